/* net.c: tide.net: connect, listen, serve (whose Server is in lua/tide/net.lua), pair,
 * memory_pair. */
#include <errno.h>
#include <string.h>

#include "class.h"
#include "error.h"
#include "net.h"
#include "options.h"
#include "owned.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"
#include "tls.h"
#include "value.h"
#include "wait.h"

static int raise_host(lua_State *L, const tl_runtime *rt, int error, const char *host) {
  lua_pushfstring(L, "%s: %s", host, tide_error_message(error));
  return tl_raise_message(L, rt, error, lua_tostring(L, -1));
}

int tl_raise_address(lua_State *L, const tl_runtime *rt, int error, const tide_address *address) {
  char text[TIDE_ADDRESS_TEXT];
  if (error == TIDE_ECANCELLED) return tl_raise_outcome(L, (tl_runtime *)(uintptr_t)rt, error);
  tide_address_format(address, text);
  return raise_host(L, rt, error, text);
}

/* Addresses: arguments are checked, the options too, before it is seen what an address names. */

static bool is_unix(const char *host) { return strncmp(host, "unix:", 5) == 0; }

/* Host and port, or a unix path, at `index`: gives where the options are. */
static int check_address(lua_State *L, int index) {
  if (is_unix(luaL_checkstring(L, index))) return index + (lua_istable(L, index + 1) ? 1 : 2);
  lua_Integer port = luaL_checkinteger(L, index + 1);
  luaL_argcheck(L, port >= 0 && port <= UINT16_MAX, index + 1, "not a port (0 to 65535)");
  return index + 2;
}

/* The string at `index`. One with zeros in it names no host, and no file. */
static const char *check_host(lua_State *L, const tl_runtime *rt, int index) {
  size_t length;
  const char *host = lua_tolstring(L, index, &length);
  if (strlen(host) != length)
    tl_raise_message(L, rt, is_unix(host) ? TIDE_OS(EINVAL) : TIDE_EDNS, "the address has a NUL");
  return host;
}

void tl_address_parse(lua_State *L, const tl_runtime *rt, const char *host, uint16_t port,
                      tide_address *address) {
  int error = tide_address_parse(address, host, port);
  if (error == TIDE_EDNS)
    tl_raise_message(L, rt, error,
                     lua_pushfstring(L,
                                     "%s: not a numeric address, as is wanted here; "
                                     "tide.dns.resolve gives those of a name",
                                     host));
  if (error != TIDE_OK) raise_host(L, rt, error, host);
}

/* What it names. */
static void parse_host(lua_State *L, const tl_runtime *rt, int index, uint16_t port,
                       tide_address *address) {
  tl_address_parse(L, rt, check_host(L, rt, index), port, address);
}

/* The same of what check_address has seen. */
static void parse_address(lua_State *L, const tl_runtime *rt, int index, tide_address *address) {
  parse_host(L, rt, index, (uint16_t)lua_tointeger(L, index + 1), address);
}

int tl_address_push(lua_State *L, const tide_address *address) {
  char host[TIDE_ADDRESS_TEXT];
  tide_address_host(address, host);
  lua_pushstring(L, host);
  if (tide_address_is_unix(address)) return 1;
  lua_pushinteger(L, tide_address_port(address));
  return 2;
}

/* Whether the option at `index` is switched off. */
static bool is_off(lua_State *L, int index) {
  return lua_isboolean(L, index) && !lua_toboolean(L, index);
}

/* Whether the option `tls` at `index` asks for it; then it is replaced as by tl_tls_prepare. */
static bool prepare_tls(lua_State *L, const tl_runtime *rt, int index, const char *side,
                        const char *host, int position, const char *function) {
  if (!lua_toboolean(L, index)) return false;
  tl_tls_prepare(L, rt, index, side, host, position, function);
  return true;
}

/* connect: with the connector at 1, which is closed however that is left, the stream to be at 2,
 * the host at 3, the port at 4, at 5 what tl_tls_prepare has made, or nil, and at 6 the seconds of
 * keepalive. */

static void connector_release(tl_runtime *rt, void *connector) {
  (void)rt;
  tide_dial_term(connector);
}

static int connector_close(lua_State *L) {
  tide_dial_term(tl_check(L, tl_rt(L), 1, TL_CONNECTOR));
  return 0;
}

/* Pushes {{address=, error=}, ...}. */
static void push_attempts(lua_State *L, const tide_dial *self) {
  char text[TIDE_ADDRESS_TEXT];
  lua_createtable(L, (int)self->count, 0);
  for (size_t i = 0; i < self->count; i++) {
    lua_createtable(L, 0, 2);
    tide_address_format(&self->attempts[i].connect.address, text);
    lua_pushstring(L, text);
    lua_setfield(L, -2, "address");
    lua_pushstring(L, tide_error_message(self->attempts[i].result));
    lua_setfield(L, -2, "error");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* Pushes "host: address: error; address: error"; of one address, if that is the host, no more. */
static const char *push_message(lua_State *L, const tide_dial *self, const char *host) {
  char text[TIDE_ADDRESS_TEXT];
  luaL_Buffer buffer;
  tide_address_host(&self->attempts[0].connect.address, text);
  luaL_buffinit(L, &buffer);
  if (self->count > 1 || strcmp(text, host) != 0) {
    luaL_addstring(&buffer, host);
    luaL_addstring(&buffer, ": ");
  }
  for (size_t i = 0; i < self->count; i++) {
    tide_address_format(&self->attempts[i].connect.address, text);
    if (i > 0) luaL_addstring(&buffer, "; ");
    luaL_addstring(&buffer, text);
    luaL_addstring(&buffer, ": ");
    luaL_addstring(&buffer, tide_error_message(self->attempts[i].result));
  }
  luaL_pushresult(&buffer);
  return lua_tostring(L, -1);
}

static int raise_dial(lua_State *L, tl_runtime *rt, const tide_dial *self, int result) {
  const char *host = lua_tostring(L, 3);
  if (result == TIDE_ECANCELLED || result == TIDE_ENOMEM) return tl_raise_outcome(L, rt, result);
  if (result == TIDE_EDNS) return tl_raise_dns(L, rt, self->code, host);
  if (result == TIDE_OS(ENOSYS) && self->count == 0) return tl_raise_no_dns(L, rt);
  if (self->count == 0) return raise_host(L, rt, result, host);
  tl_error_push(L, rt, result, push_message(L, self, host));
  push_attempts(L, self);
  lua_setfield(L, -2, "attempts");
  return lua_error(L);
}

static int secured(lua_State *L, int status, lua_KContext context) {
  (void)L, (void)status, (void)context;
  return 1;
}

static int connected(lua_State *L, int status, lua_KContext context) {
  tl_runtime *rt = tl_rt(L);
  tide_dial *self = lua_touserdata(L, 1);
  (void)status;
  (void)context;
  int result = tl_take_outcome(L, rt);
  if (TL_UNLIKELY(result != TIDE_OK)) return raise_dial(L, rt, self, result);
  tide_stream_init(lua_touserdata(L, 2), rt->loop, tide_dial_take(self));
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, 2, 1);
  lua_settop(L, 6);
  unsigned keepalive = (unsigned)lua_tointeger(L, 6);
  if (keepalive > 0) tide_stream_set_keepalive(lua_touserdata(L, 2), keepalive);
  if (lua_isnil(L, 5)) {
    lua_settop(L, 2);
    return 1;
  }
  tl_hook_push(L, rt, "tls_connected");
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 5);
  lua_pushvalue(L, 4);
  lua_callk(L, 3, 1, 0, secured);
  return 1;
}

/* The one table of a call, at 1: in its place host, port and the other fields. */
static void spread_table(lua_State *L) {
  lua_settop(L, 1);
  lua_getfield(L, 1, "host");
  lua_getfield(L, 1, "port");
  luaL_argcheck(L, lua_type(L, 2) == LUA_TSTRING, 1, "field 'host' must be a string");
  bool is_port = lua_isinteger(L, 3) || (lua_isnil(L, 3) && is_unix(lua_tostring(L, 2)));
  luaL_argcheck(L, is_port, 1, "field 'port' must be a port (0 to 65535)");
  lua_newtable(L);
  tl_copy_fields(L, 1, 4);
  lua_pushnil(L);
  lua_setfield(L, 4, "host");
  lua_pushnil(L);
  lua_setfield(L, 4, "port");
  lua_remove(L, 1);
  if (lua_isnil(L, 2)) lua_remove(L, 2);
}

/* net.connect(host, port[, {nodelay=true, local_address=, local_port=, family="inet"|"inet6",
 * delay=0.25, tls=, keepalive=}]) -> Stream (waits); net.connect("unix:/path");
 * net.connect{host=, port=, ...} */
static int net_connect(lua_State *L) {
  static const char known[] = "nodelay:flag local_address:string local_port:port "
                              "family:inet|inet6 delay:span tls:any keepalive:any";
  tl_runtime *rt = tl_rt(L);
  tide_address local;
  tide_dial_options options = {0};
  if (TL_UNLIKELY(tl_begin(L, rt) == NULL)) return tl_turn(L, rt);
  if (lua_istable(L, 1)) spread_table(L);
  int position = check_address(L, 1), option = tl_options(L, position, known);
  const char *host = check_host(L, rt, 1);
  luaL_argcheck(L, *host != '\0', 1, "an empty host");
  uint16_t port = is_unix(host) ? 0 : (uint16_t)lua_tointeger(L, 2);
  options.nagle = is_off(L, option);
  if (!lua_isnil(L, option + 1)) {
    parse_host(L, rt, option + 1, 0, &local);
    options.local = &local;
  }
  options.local_port = (uint16_t)lua_tointeger(L, option + 2);
  if (!lua_isnil(L, option + 3))
    options.family = strcmp(lua_tostring(L, option + 3), "inet") == 0 ? AF_INET : AF_INET6;
  if (!lua_isnil(L, option + 4)) options.delay = tl_check_time(L, option + 4);
  bool kept = !lua_isnil(L, option + 6);
  unsigned keepalive = kept ? tl_check_keepalive(L, option + 6, position) : 0;
  const char *peer = is_unix(host) ? NULL : host;
  if (prepare_tls(L, rt, option + 5, "client", peer, position, "connect"))
    lua_pushvalue(L, option + 5);
  else
    lua_pushnil(L);
  lua_pushinteger(L, port);
  lua_pushinteger(L, keepalive);
  lua_replace(L, 4);
  lua_replace(L, 2);
  lua_replace(L, 3);
  lua_settop(L, 4);
  tide_dial *dial = tl_owned_new(L, rt, TL_CONNECTOR, sizeof *dial, 0);
  tl_stream_new(L, rt);
  lua_rotate(L, 1, 2);
  lua_toclose(L, 1);
  tide_dial_start(dial, rt->loop, host, port, &options);
  int result = tide_dial_wait(dial, &rt->current->task);
  if (result != TIDE_OK && result != TIDE_PENDING) return raise_dial(L, rt, dial, result);
  return tl_finish(L, rt, result, 0, connected);
}

/* Listeners: the options that come first in those of listen and of serve. */
#define LISTENING "nodelay:flag reuseport:flag backlog:count tls:any handshake_timeout:seconds"

/* What a listener has for the streams that it accepts is its user value. */
static int push_listener(lua_State *L, tl_runtime *rt, const tide_address *address, int option) {
  tide_listen_options options = {
      .nagle = is_off(L, option),
      .reuseport = lua_toboolean(L, option + 1),
      .backlog = (int)lua_tointeger(L, option + 2),
  };
  tide_listener *listener = tl_listener_new(L, rt);
  int error = tide_listener_open(listener, rt->loop, address, &options);
  return error == TIDE_OK ? 1 : tl_raise_address(L, rt, error, address);
}

/* net.listen(host, port[, {backlog=, reuseport=, nodelay=true, tls=}]) -> Listener;
 * net.listen("unix:/path") */
static int net_listen(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tide_address address = {0};
  tl_loop(L, rt);
  int position = check_address(L, 1), option = tl_options(L, position, LISTENING);
  bool tls = prepare_tls(L, rt, option + 3, "server", NULL, position, "listen");
  parse_address(L, rt, 1, &address);
  push_listener(L, rt, &address, option);
  if (tls) lua_pushvalue(L, option + 3);
  if (tls) lua_setiuservalue(L, -2, 1);
  return 1;
}

/* net.serve(handler, host, port[, options]), net.serve(handler, "unix:/path"[, options]) -> Server,
 * which listens already. The rest is in lua/tide/net.lua. */
static int net_serve(lua_State *L) {
  enum { OWN = 5 }; /* options of LISTENING */
  tl_runtime *rt = tl_rt(L);
  tide_address address = {0};
  tl_loop(L, rt);
  tl_check_callable(L, 1);
  int position = check_address(L, 2);
  int option =
      tl_options(L, position, LISTENING " max_connections:count on_error:function group:TaskGroup");
  bool tls = prepare_tls(L, rt, option + 3, "server", NULL, position, "serve");
  parse_address(L, rt, 2, &address);
  push_listener(L, rt, &address, option);
  tl_hook_push(L, rt, "serve");
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -3);
  lua_pushvalue(L, option + OWN);
  lua_pushvalue(L, option + OWN + 1);
  lua_pushvalue(L, option + OWN + 2);
  if (tls)
    lua_pushvalue(L, option + 3);
  else
    lua_pushnil(L);
  lua_pushvalue(L, option + 4);
  lua_call(L, 7, 1);
  return 1;
}

/* net.pair() -> Stream, Stream */
static int net_pair(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_loop(L, rt);
  tide_stream *one = tl_stream_new(L, rt), *other = tl_stream_new(L, rt);
  int error = tide_stream_pair(one, other, rt->loop);
  return error == TIDE_OK ? 2 : tl_raise(L, rt, error);
}

enum { MEMORY_CAPACITY = 64 * 1024, MEMORY_MOST = 1 << 30 }; /* bytes each way */

/* net.memory_pair([capacity]) -> Stream, Stream */
static int net_memory_pair(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  lua_Integer capacity = luaL_optinteger(L, 1, MEMORY_CAPACITY);
  luaL_argcheck(L, capacity > 0 && capacity <= MEMORY_MOST, 1, "a number of bytes expected");
  tl_loop(L, rt);
  tide_stream *one = tl_stream_new(L, rt), *other = tl_stream_new(L, rt);
  int error = tide_stream_memory_pair(one, other, rt->loop, (size_t)capacity);
  return error == TIDE_OK ? 2 : tl_raise(L, rt, error);
}

void tl_net_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {
      {"connect", net_connect}, {"listen", net_listen},           {"serve", net_serve},
      {"pair", net_pair},       {"memory_pair", net_memory_pair}, {NULL, NULL}};
  static const luaL_Reg connector[] = {{"__close", connector_close}, {NULL, NULL}};
  tl_stream_open(L, rt);
  tl_listener_open(L, rt);
  tl_class_new(L, rt, TL_CONNECTOR, "connector", NULL, connector);
  tl_owned_class(L, rt, TL_CONNECTOR, connector_release);
  lua_newtable(L);
  tl_functions(L, rt, functions);
  tl_datagram_open(L, rt);
  tl_constructor(L, rt, "Stream", TL_STREAM, NULL);
  tl_constructor(L, rt, "Listener", TL_LISTENER, NULL);
  lua_setfield(L, -2, "net");
}
