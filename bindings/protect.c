/* protect.c: pcall and xpcall that let cancellation through while its scope is still cancelled. */
#include "protect.h"
#include "class.h"
#include "error.h"
#include "generator.h"
#include "interrupt.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"
#include "traceback.h"
#include "value.h"
#include "wait.h"

int tl_returned(lua_State *L, int status, int before) {
  if (status != LUA_OK && status != LUA_YIELD) return status;
  if (lua_checkstack(L, LUA_MINSTACK)) return LUA_OK;
  lua_settop(L, before);
  lua_rawgeti(L, LUA_REGISTRYINDEX, tl_runtime_find(L)->messages.too_many);
  return LUA_ERRRUN;
}

bool tl_protect_passes(lua_State *L, const tl_runtime *rt) {
  if (tl_generator_exits(L, -1) || tl_unwinds(L, rt, -1) || tl_limits_over(rt)) return true;
  return rt->current != NULL && tide_task_cancelled(&rt->current->task) &&
         tl_error_is_cancel(L, rt, -1);
}

static int finish(lua_State *L, int status, lua_KContext extra) {
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - (int)extra;
  tl_runtime *rt = tl_rt(L);
  if (tl_protect_passes(L, rt)) return lua_error(L);
  tl_traceback_forget(L, rt);
  tl_memory_caught(L, rt);
  tl_error_explain(L);
  lua_pushboolean(L, 0);
  lua_pushvalue(L, -2);
  return 2;
}

/* pcall(f, ...) -> true, results... | false, error [+, e] */
static int protected_call(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  return finish(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish), 0);
}

/* The handler of xpcall: the user's, but for cancellation on its way out. */
static int handle(lua_State *L) {
  if (tl_protect_passes(L, tl_rt(L))) return 1;
  tl_traceback_forget(L, tl_rt(L)); /* of what the handler returns there is none */
  tl_error_explain(L);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

bool tl_protect_handles(lua_CFunction function) { return function == handle; }

/* xpcall(f, handler, ...) */
static int protected_call_with_handler(lua_State *L) {
  int count = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, handle, 2);
  lua_replace(L, 2);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2); /* f, handler, true, f, arguments */
  return finish(L, lua_pcallk(L, count - 2, LUA_MULTRET, 2, 2, finish), 2);
}

static int finish_try(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 1;
  if (tl_protect_passes(L, tl_rt(L))) return lua_error(L);
  tl_traceback_forget(L, tl_rt(L));
  tl_memory_caught(L, tl_rt(L));
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

/* tide.try(f, ...) -> results... | nil, error */
static int try(lua_State *L) {
  if (tl_is_due(L, tl_rt(L))) return tl_turn_held(L, tl_rt(L));
  tl_check_callable(L, 1);
  lua_pushcfunction(L, tl_message_handler);
  lua_insert(L, 1);
  return finish_try(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, finish_try), 0);
}

static int finish_traced(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 1;
  if (tl_protect_passes(L, tl_rt(L))) return lua_error(L);
  tl_memory_caught(L, tl_rt(L));
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  tl_traceback_take(L, tl_rt(L), -1);
  return 3;
}

/* tide.traced(f, ...) -> true, results... | false, error, traceback or nil: pcall, for who hands
 * the error to another task, which raises it by tide.raise_traced. */
static int traced(lua_State *L) {
  lua_pushcfunction(L, tl_message_handler);
  lua_insert(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 2);
  int count = lua_gettop(L) - 3;
  return finish_traced(L, lua_pcallk(L, count, LUA_MULTRET, 1, 0, finish_traced), 0);
}

/* tide.raise_traced(error, traceback | nil, name | nil): see tl_raise_traced */
static int raise_traced(lua_State *L) { return tl_raise_traced(L, tl_rt(L)); }

bool tl_protect_holds(lua_CFunction function) {
  return function == protected_call || function == protected_call_with_handler || function == try ||
         function == traced;
}

/* To what the module on top has under that name. */
static void set_global(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  lua_setglobal(L, name);
}

void tl_protect_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {
      {"pcall", protected_call}, {"xpcall", protected_call_with_handler}, {"try", try},
      {"traced", traced},        {"raise_traced", raise_traced},          {NULL, NULL}};
  tl_functions(L, rt, functions);
  if (!(rt->options.keep & TIDE_LUA_KEEP_PCALL)) set_global(L, "pcall");
  if (!(rt->options.keep & TIDE_LUA_KEEP_XPCALL)) set_global(L, "xpcall");
}
