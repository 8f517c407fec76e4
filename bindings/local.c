/* local.c: Local: values that belong to a task, and to the tasks it spawns.
 *
 * TL_LOCALS has for each task with values a table, local -> value, which holds no Local, and a
 * value only as long as its Local is there: both tables are of one kind. Tables are never changed:
 * who sets a value makes a new one, so a spawned task inherits by having the same. A coroutine
 * inherits in the same manner from who resumes it first. What is set outside of all tasks is for
 * those that are spawned there, under the runtime's key. */
#include "local.h"
#include "class.h"
#include "parts.h"
#include "protect.h"
#include "runtime.h"
#include "task.h"
#include "traceback.h"
#include "value.h"
#include "wait.h"

enum { DEFAULT = 1 }; /* user value of a Local */

/* Whose values the code that runs has: a coroutine's, if it is in one of the program's. */
static void push_key(lua_State *L, tl_runtime *rt) {
  lua_State *co = rt->nesting != NULL ? rt->nesting->co : NULL;
  if (co != NULL && (rt->current == NULL || co != rt->current->co)) {
    lua_pushthread(co);
    if (co != L) lua_xmove(co, L, 1);
  } else if (rt->current != NULL)
    tl_task_push(L, rt->current);
  else
    lua_pushlightuserdata(L, rt);
}

/* Pushes TL_LOCALS and the present table, or nil. */
static void push_values(lua_State *L, tl_runtime *rt) {
  tl_table_push(L, rt, TL_LOCALS);
  push_key(L, rt);
  lua_rawget(L, -2);
}

void tl_locals_inherit(lua_State *L, tl_runtime *rt, int heir) {
  heir = lua_absindex(L, heir);
  push_values(L, rt);
  lua_pushvalue(L, heir);
  lua_insert(L, -2);
  if (!lua_isnil(L, -1))
    lua_rawset(L, -3);
  else
    lua_pop(L, 2);
  lua_pop(L, 1);
}

void tl_locals_begin(lua_State *L, tl_runtime *rt, lua_State *co) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  luaL_checkstack(co, 1, NULL);
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  tl_locals_inherit(L, rt, -1);
  lua_pop(L, 1);
}

/* local:get() -> value */
static int local_get(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_check(L, rt, 1, TL_LOCAL);
  lua_settop(L, 1);
  push_values(L, rt);
  if (lua_istable(L, 3)) {
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 3) != LUA_TNIL) return 1;
  }
  lua_getiuservalue(L, 1, DEFAULT);
  return 1;
}

/* local:set(value): for this task or coroutine, and what it spawns from now on */
static int local_set(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_check(L, rt, 1, TL_LOCAL);
  lua_settop(L, 2);
  rt->has_locals = true;
  lua_newtable(L);    /* at 3; may collect, and a finalizer set one */
  push_values(L, rt); /* at 4, 5 */
  lua_getmetatable(L, 4);
  lua_setmetatable(L, 3);
  if (lua_istable(L, 5)) {
    for (lua_pushnil(L); lua_next(L, 5) != 0;) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, 3);
    }
  }
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_rawset(L, 3);
  push_key(L, rt);
  lua_pushvalue(L, 3);
  lua_rawset(L, 4);
  return 0;
}

static int restore(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  bool failed = tl_returned(L, status, 3) != LUA_OK;
  lua_pushlightuserdata(L, tl_rt(L));
  lua_pushcclosure(L, local_set, 1);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 0);
  return failed ? tl_rethrow(L, tl_rt(L)) : lua_gettop(L) - 3;
}

/* local:with(value, fn, ...) -> results...: the value inside fn (which may wait), then the old one
 */
static int local_with(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  if (tl_is_due(L, rt)) return tl_turn_held(L, rt);
  tl_check(L, rt, 1, TL_LOCAL);
  luaL_checkany(L, 2);
  tl_check_callable(L, 3);
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, local_get, 1);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1); /* the old value, which comes to 2 in the end */
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, local_set, 1);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 0);
  lua_replace(L, 2);
  lua_pushcfunction(L, tl_message_handler);
  lua_insert(L, 3); /* local, old value, handler, fn, arguments */
  return restore(L, lua_pcallk(L, lua_gettop(L) - 4, LUA_MULTRET, 3, 0, restore), 0);
}

static int local_tostring(lua_State *L) {
  tl_check(L, tl_rt(L), 1, TL_LOCAL);
  local_get(L);
  lua_pushfstring(L, "Local(%s)", luaL_tolstring(L, -1, NULL));
  return 1;
}

/* tide.Local([default]) */
static int new_local(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  lua_settop(L, 1);
  tl_object_new(L, rt, TL_LOCAL, 1, DEFAULT);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, DEFAULT);
  return 1;
}

void tl_local_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {
      {"get", local_get}, {"set", local_set}, {"with", local_with}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", local_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_LOCAL, "Local", methods, metamethods);
  tl_constructor(L, rt, "Local", TL_LOCAL, new_local);
}
