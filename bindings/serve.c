/* serve.c: the body of the task of a server's connection; the server is in lua/tide/net.lua.
 *
 * Connections mostly wait, in many thousands. So the body is one C function: what it leaves of the
 * stack that Lua gives to a coroutine is enough for a handler that waits in a loop over its stream.
 */
#include "serve.h"
#include "owner.h"
#include "parts.h"
#include "protect.h"
#include "runtime.h"
#include "scope.h"
#include "task.h"
#include "traceback.h"

enum { SERVER = 1, STREAM }; /* on its stack, then a seat if connections are counted */

static int told(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 0;
}

/* The server is told what the handler has failed with, by its hook. */
static int ended(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status == LUA_OK || status == LUA_YIELD) return 0;
  tl_runtime *rt = tl_runtime_find(L);
  int error = lua_gettop(L);
  tl_scope_misused(L, rt, error, &rt->current->task.own);
  if (tl_protect_passes(L, rt)) return lua_error(L);
  tl_hook_push(L, rt, "connection_failed");
  lua_pushvalue(L, SERVER);
  lua_pushvalue(L, STREAM);
  lua_pushvalue(L, error);
  tl_traceback_take(L, rt, error);
  lua_callk(L, 4, 0, 0, told);
  return 0;
}

static int serve_connection(lua_State *L) {
  tl_owner_take(L, tl_runtime_find(L)->current);
  lua_getfield(L, SERVER, "cancelled");
  bool cancelled = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  if (cancelled) return 0;
  int message_handler = lua_gettop(L) + 1;
  lua_pushcfunction(L, tl_message_handler);
  lua_getfield(L, SERVER, "handler");
  lua_pushvalue(L, STREAM);
  return ended(L, lua_pcallk(L, 1, 0, message_handler, 0, ended), 0);
}

bool tl_serve_holds(lua_CFunction function) { return function == serve_connection; }

/* tide.spawn_connection(group | nil, server, stream[, seat]) -> Task, which owns the stream and the
 * seat; they are closed also where this raises */
static int spawn_connection(lua_State *L) {
  lua_settop(L, lua_isnoneornil(L, 4) ? 3 : 4);
  lua_pushinteger(L, lua_gettop(L) - 2);
  lua_insert(L, 1);
  return tl_owner_spawn(L, serve_connection);
}

void tl_serve_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"spawn_connection", spawn_connection}, {NULL, NULL}};
  tl_functions(L, rt, functions);
}
