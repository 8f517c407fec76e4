/* listener.c: Listener. */
#include "class.h"
#include "error.h"
#include "net.h"
#include "owned.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"
#include "value.h"
#include "wait.h"

static tide_listener *check_listener(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_LISTENER); }

tide_listener *tl_listener_new(lua_State *L, tl_runtime *rt) {
  tide_listener *listener = tl_owned_new(L, rt, TL_LISTENER, sizeof *listener, 1);
  tide_fd_init(&listener->fd, rt->loop, -1);
  return listener;
}

/* With the listener at 1 and the stream to be at 2. */
static int try_accept(lua_State *L, tl_runtime *rt, void *self) {
  int fd;
  int result = tide_listener_accept(self, &rt->current->task, &fd);
  if (result == TIDE_PENDING) return TL_AGAIN;
  if (result != TIDE_OK) return tl_raise_outcome(L, rt, result);
  tide_stream_init(lua_touserdata(L, 2), rt->loop, fd);
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE) {
    tl_hook_push(L, rt, "tls_accepted");
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_call(L, 2, 0);
  }
  lua_settop(L, 2);
  return 1;
}

/* listener:accept() -> Stream (waits) */
static int listener_accept(lua_State *L) {
  static const tl_recall recall = {.class = TL_LISTENER, .attempt = try_accept};
  tl_runtime *rt = tl_rt(L);
  if (TL_UNLIKELY(tl_begin(L, rt) == NULL)) return tl_turn(L, rt);
  tide_listener *listener = check_listener(L);
  lua_settop(L, 1);
  tl_stream_new(L, rt);
  return tl_call(L, rt, &recall, listener);
}

static int accepted(lua_State *L, int status, lua_KContext ctx) {
  const tl_runtime *rt = (const tl_runtime *)ctx;
  if (status == LUA_OK || status == LUA_YIELD) return 1;
  if (!tl_error_is(L, rt, -1, "closed")) return lua_error(L);
  lua_pushnil(L);
  return 1;
}

/* The step of iter: accept, but nil once the listener is closed. */
static int listener_next(lua_State *L) {
  lua_KContext rt = (lua_KContext)tl_rt(L);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, listener_accept, 1);
  lua_insert(L, 1);
  return accepted(L, lua_pcallk(L, 1, 1, 0, rt, accepted), rt);
}

/* for stream in listener:iter() do */
static int listener_iter(lua_State *L) {
  check_listener(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, listener_next, 1);
  lua_pushvalue(L, 1);
  return 2;
}

/* listener:close(), __close */
static int listener_close(lua_State *L) {
  tide_listener_close(check_listener(L));
  return 0;
}

static void listener_release(tl_runtime *rt, void *listener) {
  (void)rt;
  tide_listener_close(listener);
}

/* listener:address() -> host, port; or one value for a unix socket */
static int listener_address(lua_State *L) {
  tide_address address;
  int result = tide_listener_address(check_listener(L), &address);
  return result == TIDE_OK ? tl_address_push(L, &address) : tl_raise(L, tl_rt(L), result);
}

/* listener:statistics() -> {accepting=, paused=, closed=} */
static int listener_statistics(lua_State *L) {
  const tide_listener *listener = check_listener(L);
  lua_createtable(L, 0, 3);
  tl_set_boolean(L, "accepting", listener->acceptor != NULL);
  tl_set_boolean(L, "paused", tide_listener_paused(listener));
  tl_set_boolean(L, "closed", listener->fd.fd < 0);
  return 1;
}

static int listener_tostring(lua_State *L) {
  char text[TIDE_ADDRESS_TEXT];
  tide_address address;
  if (tide_listener_address(check_listener(L), &address) != TIDE_OK) {
    lua_pushliteral(L, "Listener(closed)");
  } else {
    tide_address_format(&address, text);
    lua_pushfstring(L, "Listener(%s)", text);
  }
  return 1;
}

void tl_listener_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {
      {"accept", listener_accept},         {"iter", listener_iter},
      {"close", listener_close},           {"address", listener_address},
      {"statistics", listener_statistics}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", listener_close}, {"__tostring", listener_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_LISTENER, "Listener", methods, metamethods);
  tl_owned_class(L, rt, TL_LISTENER, listener_release);
}
