/* owner.c: tasks that own to-be-closed values: these are closed when the task has ended, whether it
 * began or not.
 *
 * What runs makes to-be-closed variables of them before all else. A task that ends without having
 * come so far (it was cancelled or killed while it was ready, or there was no memory) has them
 * closed by end.c. No memory is needed for that, as long as none of the values needs any. */
#include "owner.h"

#include "class.h"
#include "future.h"
#include "group.h"
#include "parts.h"
#include "report.h"
#include "run.h"
#include "runtime.h"
#include "task.h"
#include "value.h"

/* The first of what a task owns, which is behind its group, the body and that one's first value. */
static int first_value(const tl_task *task) { return task->task.future.user & TL_CHILD ? 4 : 3; }

/* Closes its arguments, the last one first. */
static int close_all(lua_State *L) {
  int count = lua_gettop(L);
  for (int i = 1; i <= count; i++) lua_toclose(L, i);
  return 0;
}

/* Reports the error at 1. */
static int report_failure(lua_State *L) {
  lua_settop(L, 1);
  lua_pushliteral(L, "closing what a task owned that did not begin");
  lua_pushnil(L);
  tl_report(L, tl_runtime_find(L), 2, 1, 3);
  return 0;
}

/* Closes the values on top, `count`, with the function below them; pops all. */
static void close_values(lua_State *L, int count) {
  if (lua_pcall(L, count, 0, 0) == LUA_OK) return;
  lua_pushcfunction(L, report_failure);
  lua_insert(L, -2);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
  tl_complain(tl_runtime_find(L), "closing what a task owned failed, and reporting it failed too");
  lua_pop(L, 1);
}

void tl_owner_close(lua_State *L, tl_task *task) {
  tl_runtime *rt = task->rt;
  tl_task *current = rt->current;
  int count = task->owned;
  task->owned = 0;
  if (!lua_checkstack(L, count + 3)) return; /* the collector closes them */
  rt->current = task;                        /* which is in no step: closing cannot wait */
  lua_pushcfunction(L, close_all);
  tl_task_push(L, task);
  int index = lua_gettop(L);
  for (int i = 0; i < count; i++) lua_getiuservalue(L, index, first_value(task) + i);
  lua_remove(L, index);
  close_values(L, count);
  rt->current = current;
}

static int returned(lua_State *L, int status, lua_KContext before) {
  (void)status;
  return lua_gettop(L) - (int)before;
}

void tl_owner_take(lua_State *L, tl_task *task) {
  int owned = task->owned;
  for (int i = 0; i < owned; i++) lua_toclose(L, i + 2);
  task->owned = 0;
  tl_task_push(L, task);
  for (int i = 2; i <= task->values; i++) {
    lua_pushnil(L);
    lua_setiuservalue(L, -2, i);
  }
  lua_pop(L, 1);
}

/* The body of those of spawn_owning: the function, and its arguments. */
static int own(lua_State *L) {
  int top = lua_gettop(L);
  luaL_checkstack(L, top + 2, NULL);
  tl_owner_take(L, tl_runtime_find(L)->current);
  for (int i = 1; i <= top; i++) lua_pushvalue(L, i);
  lua_callk(L, top - 1, LUA_MULTRET, top, returned);
  return returned(L, LUA_OK, top);
}

static void check_closable(lua_State *L, int index) {
  if (!lua_toboolean(L, index)) return;
  if (luaL_getmetafield(L, index, "__close") == LUA_TNIL)
    luaL_argerror(L, index, "a value with a __close expected");
  lua_pop(L, 1);
}

/* spawn_owned(body, count, group | nil, x, ...) -> Task */
static int spawn_owned(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  int count = (int)lua_tointeger(L, 2);
  for (int i = 0; i < count; i++) check_closable(L, i + 5);
  bool child = !lua_isnil(L, 3);
  tide_group *group = child ? tl_group_for_spawn(L, rt, 3) : tl_run_home(&rt->run, tl_loop(L, rt));
  lua_pushvalue(L, 1);
  lua_insert(L, 4);
  tl_task *task = tl_task_spawn(L, rt, group, child ? 3 : 0, 4);
  task->owned = (uint8_t)count;
  return 1;
}

int tl_owner_spawn(lua_State *L, lua_CFunction body) {
  int top = lua_gettop(L), count = (int)luaL_checkinteger(L, 1);
  luaL_argcheck(L, count >= 0 && count <= UINT8_MAX && count <= top - 3, 1, "no such values");
  luaL_checkstack(L, top + 3, NULL);
  lua_pushcfunction(L, spawn_owned);
  lua_pushcfunction(L, body);
  for (int i = 1; i <= top; i++) lua_pushvalue(L, i);
  if (lua_pcall(L, top + 1, 1, 0) == LUA_OK) return 1;
  lua_pushcfunction(L, close_all);
  for (int i = 0; i < count; i++) lua_pushvalue(L, i + 4);
  close_values(L, count);
  return lua_error(L);
}

/* tide.spawn_owning(count, group | nil, fn, value, ...) -> Task of fn(value, ...), which owns the
 * first `count` values (nil and false are nothing to close). They are closed also where this
 * raises.
 */
static int spawn_owning(lua_State *L) { return tl_owner_spawn(L, own); }

void tl_owner_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"spawn_owning", spawn_owning}, {NULL, NULL}};
  tl_functions(L, rt, functions);
}
