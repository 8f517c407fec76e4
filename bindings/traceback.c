/* traceback.c: where errors come from.
 *
 * The traceback of an error is made where it is raised, by the first handler that it passes, and
 * kept with the error for the coroutine that it goes through: in TL_TRACEBACKS, until it is caught,
 * or its task has ended. What is kept may begin further away, in a task that was awaited and
 * failed, or in a coroutine that was resumed. An error of tide's has in its field `traceback` where
 * it was raised first. */
#include <string.h>

#include "class.h"
#include "coroutine.h"
#include "error.h"
#include "future.h"
#include "generator.h"
#include "runtime.h"
#include "task.h"
#include "traceback.h"

enum { LONG_TRACE = 16384 }; /* bytes; a traceback that is longer grows no more */

/* The same where the error is being raised; callbacks have no scope. */
static bool is_cancellation(lua_State *L, const tl_runtime *rt, int index) {
  if (rt->current == NULL) return tl_error_is(L, rt, index, "cancelled");
  return tl_error_was_asked(L, rt, index, rt->current->task.scope);
}

int tl_rethrow(lua_State *L, tl_runtime *rt) {
  rt->raised.rethrowing = true;
  return lua_error(L);
}

/* Pushes TL_TRACEBACKS and, as its key, `co`. */
static void push_place(lua_State *L, const tl_runtime *rt, lua_State *co) {
  tl_table_push(L, rt, TL_TRACEBACKS);
  lua_pushthread(co);
  if (co != L) lua_xmove(co, L, 1);
}

/* Whether the error at 1 has a traceback for this coroutine. */
static bool is_kept(lua_State *L, const tl_runtime *rt) {
  push_place(L, rt, L);
  bool kept = lua_rawget(L, -2) == LUA_TTABLE;
  if (kept) {
    lua_rawgeti(L, -1, 1);
    kept = lua_rawequal(L, -1, 1);
  }
  lua_settop(L, 1);
  return kept;
}

/* Keeps the traceback on top for the error at 1, which goes through `co`. */
static void keep_traceback(lua_State *L, const tl_runtime *rt, lua_State *co) {
  int traceback = lua_gettop(L);
  push_place(L, rt, co);
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, traceback);
  lua_rawseti(L, -2, 2);
  lua_rawset(L, -3);
  lua_settop(L, traceback);
  if (rt->current != NULL && rt->current->co == co) rt->current->traced = true;
}

/* Pushes the task of which the function of `ar` has just got the error at 1, or nothing. */
static const tl_task *push_failed_task(lua_State *L, tl_runtime *rt, lua_State *co, lua_Debug *ar) {
  int index = rt->raised.awaited;
  rt->raised.awaited = 0;
  if (index == 0 || lua_getlocal(co, ar, index) == NULL) return NULL;
  if (co != L) lua_xmove(co, L, 1);
  const tl_task *task = tl_test(L, rt, -1, TL_TASK);
  if (task != NULL && task->task.future.state == TIDE_FUTURE_FAILED) {
    tl_failure_push(L, &task->task.future, -1);
    bool same = lua_rawequal(L, -1, 1);
    lua_pop(L, 1);
    if (same) return task;
  }
  lua_pop(L, 1);
  return NULL;
}

/* Of a task's traceback and name, which are on top and popped: pushes it with where the error went.
 */
static void push_awaited(lua_State *L, const tl_runtime *rt) {
  int top = lua_gettop(L);
  lua_pushfstring(L, "%s\nin task '%s'", lua_tostring(L, top - 1), lua_tostring(L, top));
  if (rt->current != NULL) {
    tl_task_push(L, rt->current);
    tl_task_name_push(L, rt->current, lua_gettop(L));
    lua_pushfstring(L, "%s, awaited by '%s'", lua_tostring(L, -3), lua_tostring(L, -1));
  }
  lua_replace(L, top - 1);
  lua_settop(L, top - 1);
}

/* Makes of the failed task on top the traceback that it left, and who awaited it; whether there is
 * one. */
static bool describe_task(lua_State *L, const tl_runtime *rt, const tl_task *failed) {
  int task = lua_gettop(L);
  bool known = tl_failure_trace_push(L, &failed->task.future, task) == LUA_TSTRING;
  if (known && lua_rawlen(L, -1) < LONG_TRACE) {
    tl_task_name_push(L, failed, task);
    push_awaited(L, rt);
  }
  if (known) lua_replace(L, task);
  lua_settop(L, known ? task : task - 1);
  return known;
}

/* Pushes the traceback of a coroutine that has failed, which the function at the level has resumed;
 * whether there is one. */
static bool push_inner(lua_State *L, const tl_runtime *rt, lua_State *co, int level) {
  lua_State *inner = tl_coroutine_at(co, level);
  if (inner == NULL) return false;
  int top = lua_gettop(L);
  push_place(L, rt, inner);
  bool known = lua_rawget(L, -2) == LUA_TTABLE;
  if (known) {
    lua_rawgeti(L, -1, 2);
    lua_pushliteral(L, "\nin a coroutine resumed at");
    lua_concat(L, 2);
    lua_replace(L, top + 1);
  }
  lua_settop(L, known ? top + 1 : top);
  return known;
}

/* Pushes where the error at 1 comes from, which the function at the level of `co` raises, where
 * that is further away; or pushes nothing. */
static bool push_origin(lua_State *L, tl_runtime *rt, lua_State *co, int level) {
  lua_Debug ar;
  if (!lua_getstack(co, level, &ar) || !lua_checkstack(co, 2)) return false;
  const tl_task *failed = push_failed_task(L, rt, co, &ar);
  return failed != NULL ? describe_task(L, rt, failed) : push_inner(L, rt, co, level);
}

/* Pushes the traceback of `co` from the level on, behind the origin on top, which it replaces. */
static void add_traceback(lua_State *L, lua_State *co, int level) {
  if (lua_rawlen(L, -1) >= LONG_TRACE) return;
  lua_pushliteral(L, "\n");
  luaL_traceback(L, co, NULL, level);
  lua_concat(L, 3);
}

int tl_message_handler(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  bool again = rt->raised.rethrowing;
  lua_settop(L, 1);
  tl_error_explain(L);
  rt->raised.rethrowing = false;
  if (is_cancellation(L, rt, 1) || tl_generator_exits(L, 1)) return 1;
  if (again && is_kept(L, rt)) return 1;
  bool ours = tl_is_error(L, rt, 1);
  bool placed = ours && tl_error_field_push(L, 1, "traceback") != LUA_TNIL;
  lua_settop(L, 1);
  bool far = push_origin(L, rt, L, 1);
  if (far)
    add_traceback(L, L, 1);
  else if (!placed)
    luaL_traceback(L, L, NULL, 1);
  if (ours && !placed) {
    lua_pushvalue(L, -1);
    lua_setfield(L, 1, "traceback");
  }
  if (far || !ours) keep_traceback(L, rt, L);
  lua_settop(L, 1);
  return 1;
}

/* In protected mode: keeps the traceback of the coroutine, a light userdata at 2, that failed with
 * the error at 1. */
static int capture(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  lua_State *co = lua_touserdata(L, 2);
  lua_settop(L, 1);
  if (is_cancellation(L, rt, 1)) {
    tl_traceback_clear(L, rt, co);
    return 0;
  }
  if (push_origin(L, rt, co, 0))
    add_traceback(L, co, 0);
  else
    luaL_traceback(L, co, NULL, 0);
  keep_traceback(L, rt, co);
  return 0;
}

void tl_traceback_capture(lua_State *L, lua_State *co) {
  if (!lua_checkstack(L, 3) || !lua_checkstack(co, 1)) return;
  lua_pushcfunction(L, capture);
  lua_pushvalue(co, -1);
  lua_xmove(co, L, 1);
  lua_pushlightuserdata(L, co);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1); /* no memory: the error has no origin */
}

int tl_raise_traced(lua_State *L, tl_runtime *rt) {
  lua_settop(L, 3);
  if (lua_isstring(L, 2)) {
    bool elsewhere = lua_isstring(L, 3) && lua_rawlen(L, 2) < LONG_TRACE;
    if (elsewhere) {
      push_awaited(L, rt);
      add_traceback(L, L, 1);
    } else {
      lua_settop(L, 2);
    }
    keep_traceback(L, rt, L);
  }
  lua_settop(L, 1);
  return tl_rethrow(L, rt);
}

void tl_traceback_clear(lua_State *L, const tl_runtime *rt, lua_State *co) {
  push_place(L, rt, co);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Pushes the traceback that is kept for the error at `index` in the coroutine, or nil, and forgets
 * it. What is kept for another one stays: that one is still on its way, through a `<close>`. */
static int take_kept(lua_State *L, const tl_runtime *rt, lua_State *co, int index) {
  int top = lua_gettop(L);
  lua_pushnil(L);
  push_place(L, rt, co);
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    bool same = lua_rawequal(L, -2, index);
    if (same) lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    if (same) tl_traceback_clear(L, rt, co);
  }
  lua_settop(L, top + 1);
  return lua_type(L, -1);
}

void tl_traceback_forget(lua_State *L, const tl_runtime *rt) {
  take_kept(L, rt, L, lua_gettop(L));
  lua_pop(L, 1);
}

void tl_traceback_take_from(lua_State *L, const tl_runtime *rt, lua_State *co, int error_index) {
  error_index = lua_absindex(L, error_index);
  if (take_kept(L, rt, co, error_index) != LUA_TNIL || !tl_is_error(L, rt, error_index)) return;
  lua_pop(L, 1);
  tl_error_field_push(L, error_index, "traceback");
}

void tl_traceback_take(lua_State *L, const tl_runtime *rt, int error_index) {
  tl_traceback_take_from(L, rt, L, error_index);
}
