/* error.c: error objects, and the tracebacks that errors leave behind. */
#include <string.h>

#include "bindings.h"

enum {
  NAME_SIZE = 64,
  LONG_TRACE = 16384, /* bytes; a traceback that is longer grows no more */
};

/* Kinds that programs use to steer: no traceback is made for them. */
static bool is_signal(int error) {
  switch (error) {
  case TIDE_ECANCELLED:
  case TIDE_ETIMEOUT:
  case TIDE_ECLOSED:
  case TIDE_EQUEUE_FULL:
  case TIDE_EQUEUE_EMPTY:
  case TIDE_EEOF:
    return true;
  default:
    return false;
  }
}

static void push_message(lua_State *L, const tl_runtime *rt, int error, const char *message) {
  if (error == TIDE_EDEADLOCK) {
    tl_hook_push(L, rt, "deadlock_message");
    if (lua_isstring(L, -1)) return;
    lua_pop(L, 1);
  }
  lua_pushstring(L, message != NULL ? message : tide_error_message(error));
}

void tl_error_push(lua_State *L, const tl_runtime *rt, int error, const char *message) {
  char name[NAME_SIZE];
  lua_createtable(L, 0, 6);
  lua_pushstring(L, tide_error_kind(error));
  lua_setfield(L, -2, "kind");
  push_message(L, rt, error, message);
  lua_setfield(L, -2, "message");
  if (tl_function_name(L, name, sizeof name) != NULL) {
    lua_pushstring(L, name);
    lua_setfield(L, -2, "op");
  }
  if (TIDE_IS_OS(error)) {
    lua_pushstring(L, tide_error_code(error));
    lua_setfield(L, -2, "code");
    lua_pushinteger(L, TIDE_ERRNO(error));
    lua_setfield(L, -2, "errno");
  }
  if (!is_signal(error)) {
    luaL_traceback(L, L, NULL, 1);
    lua_setfield(L, -2, "traceback");
  }
  tl_class_push(L, rt, TL_ERROR);
  lua_setmetatable(L, -2);
}

int tl_raise_message(lua_State *L, const tl_runtime *rt, int error, const char *message) {
  if (error == TIDE_ENOMEM) return luaL_error(L, "not enough memory");
  tl_error_push(L, rt, error, message);
  return lua_error(L);
}

int tl_raise_in_use(lua_State *L, const tl_runtime *rt, const char *message) {
  tl_error_push(L, rt, TIDE_EMISUSE, message);
  lua_pushboolean(L, true);
  lua_setfield(L, -2, "in_use");
  return lua_error(L);
}

int tl_raise(lua_State *L, const tl_runtime *rt, int error) {
  return tl_raise_message(L, rt, error, NULL);
}

static bool is_error(lua_State *L, const tl_runtime *rt, int index) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return false;
  bool is = lua_topointer(L, -1) == rt->metatables[TL_ERROR];
  lua_pop(L, 1);
  return is;
}

/* Like lua_getfield for a table's own field; its type. */
static int raw_field(lua_State *L, int index, const char *name) {
  index = lua_absindex(L, index);
  lua_pushstring(L, name);
  return lua_rawget(L, index);
}

void tl_error_value_push(lua_State *L, int index) {
  if (lua_isnil(L, index))
    lua_pushliteral(L, "<no error object>");
  else
    lua_pushvalue(L, index);
}

bool tl_error_kind_push(lua_State *L, const tl_runtime *rt, int index) {
  if (!is_error(L, rt, index)) return false;
  if (raw_field(L, index, "kind") == LUA_TSTRING) return true;
  lua_pop(L, 1);
  return false;
}

bool tl_error_is(lua_State *L, const tl_runtime *rt, int index, const char *kind) {
  if (!tl_error_kind_push(L, rt, index)) return false;
  bool is = strcmp(lua_tostring(L, -1), kind) == 0;
  lua_pop(L, 1);
  return is;
}

bool tl_error_is_cancel(lua_State *L, const tl_runtime *rt, int index) {
  if (!tl_error_is(L, rt, index, "cancelled")) return false;
  bool own = raw_field(L, index, "task") == LUA_TNIL; /* else: of a task that was awaited */
  lua_pop(L, 1);
  return own;
}

bool tl_error_was_asked(lua_State *L, const tl_runtime *rt, int index, const tide_scope *scope) {
  return tide_scope_cancelled(scope) && tl_error_is(L, rt, index, "cancelled");
}

/* The same where the error is being raised; callbacks have no scope. */
static bool is_cancellation(lua_State *L, const tl_runtime *rt, int index) {
  if (rt->current == NULL) return tl_error_is(L, rt, index, "cancelled");
  return tl_error_was_asked(L, rt, index, rt->current->task.scope);
}

int tl_rethrow(lua_State *L, tl_runtime *rt) {
  rt->rethrowing = true;
  return lua_error(L);
}

/* The traceback of an error is made where it is raised, by the first handler that it passes, and
 * kept with the error for the coroutine that it goes through: in TL_TRACEBACKS, until it is caught,
 * or its task has ended. What is kept may begin further away, in a task that was awaited and
 * failed, or in a coroutine that was resumed. An error of tide's has in its field `traceback` where
 * it was raised first. */

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
  int index = rt->awaited;
  rt->awaited = 0;
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

/* Lua's message names neither the limit nor a way around it. */
void tl_error_explain(lua_State *L) {
  static const char bare[] = "C stack overflow";
  size_t length;
  if (lua_type(L, -1) != LUA_TSTRING) return;
  const char *message = lua_tolstring(L, -1, &length);
  if (length < sizeof bare - 1 || strcmp(message + length - (sizeof bare - 1), bare) != 0) return;
  lua_pushfstring(L,
                  "%s: Lua allows about 200 nested calls of C functions that call back, such as "
                  "pcall, coroutine.wrap, tide.timeout(s, f), tide.scope(f) and tide.TaskGroup(f); "
                  "block forms nest deeper: local _ <close> = tide.timeout(s)",
                  message);
  lua_replace(L, -2);
}

int tl_message_handler(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  bool again = rt->rethrowing;
  lua_settop(L, 1);
  tl_error_explain(L);
  rt->rethrowing = false;
  if (is_cancellation(L, rt, 1) || tl_generator_exits(L, 1)) return 1;
  if (again && is_kept(L, rt)) return 1;
  bool ours = is_error(L, rt, 1);
  bool placed = ours && raw_field(L, 1, "traceback") != LUA_TNIL;
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
  if (take_kept(L, rt, co, error_index) != LUA_TNIL || !is_error(L, rt, error_index)) return;
  lua_pop(L, 1);
  raw_field(L, error_index, "traceback");
}

void tl_traceback_take(lua_State *L, const tl_runtime *rt, int error_index) {
  tl_traceback_take_from(L, rt, L, error_index);
}

/* Pushes what is told behind the message: the code, or the reason of a cancellation; or nil. */
static void push_detail(lua_State *L) {
  if (raw_field(L, 1, "code") == LUA_TSTRING) return;
  lua_pop(L, 1);
  if (raw_field(L, 1, "reason") == LUA_TNIL || lua_rawequal(L, -1, 1)) return;
  luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
}

/* err:__tostring: "kind: op: message (code)", without what there is not, or is the same. */
static int to_string(lua_State *L) {
  lua_settop(L, 1);
  luaL_checktype(L, 1, LUA_TTABLE);
  bool has_kind = raw_field(L, 1, "kind") == LUA_TSTRING;
  bool has_op = raw_field(L, 1, "op") == LUA_TSTRING;
  if (has_kind && has_op && lua_rawequal(L, 2, 3)) has_op = false;
  lua_getfield(L, 1, "message"); /* of an ErrorGroup it is made now */
  push_detail(L);
  if (!lua_isstring(L, 5)) lua_settop(L, 4);
  lua_pushfstring(L, "%s%s%s%s%s%s%s%s", has_kind ? lua_tostring(L, 2) : "", has_kind ? ": " : "",
                  has_op ? lua_tostring(L, 3) : "", has_op ? ": " : "",
                  lua_isstring(L, 4) ? lua_tostring(L, 4) : "(no message)",
                  lua_isstring(L, 5) ? " (" : "", lua_isstring(L, 5) ? lua_tostring(L, 5) : "",
                  lua_isstring(L, 5) ? ")" : "");
  return 1;
}

/* tide.error(kind, message, fields) -> error */
static int new_error(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  luaL_checktype(L, 1, LUA_TSTRING);
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TSTRING);
  if (!lua_isnoneornil(L, 3)) luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  lua_createtable(L, 0, 4);
  if (lua_istable(L, 3)) {
    for (lua_pushnil(L); lua_next(L, 3) != 0;) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, 4);
    }
  }
  lua_pushvalue(L, 1);
  lua_setfield(L, 4, "kind");
  lua_pushvalue(L, 2);
  lua_setfield(L, 4, "message");
  tl_class_push(L, rt, TL_ERROR);
  lua_setmetatable(L, 4);
  return 1;
}

/* tide.is(value, kind) -> boolean */
static int is(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, tl_error_is(L, tl_rt(L), 1, luaL_checkstring(L, 2)));
  return 1;
}

/* err:__index: the methods, at the second upvalue; the message of an ErrorGroup is made. */
static int index_error(lua_State *L) {
  lua_settop(L, 2);
  bool message = lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "message") == 0;
  if (message && tl_error_is(L, tl_rt(L), 1, tide_error_kind(TIDE_EGROUP))) {
    tl_hook_push(L, tl_rt(L), "group_message");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
  } else {
    lua_gettable(L, lua_upvalueindex(2));
  }
  return 1;
}

void tl_error_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"error", new_error}, {"is", is}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", to_string}, {NULL, NULL}};
  tl_class_new(L, rt, TL_ERROR, "tide.error", NULL, metamethods);
  tl_class_push(L, rt, TL_ERROR);
  lua_pushlightuserdata(L, rt);
  lua_getfield(L, -2, "__index");
  lua_pushvalue(L, -1);
  lua_setfield(L, -5, "error_methods");
  lua_pushcclosure(L, index_error, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  tl_functions(L, rt, functions);
}
