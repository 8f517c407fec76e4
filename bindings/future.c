/* future.c: Futures, and the reading half that Tasks and Futures share. */
#include "future.h"
#include "class.h"
#include "error.h"
#include "make.h"
#include "parts.h"
#include "reason.h"
#include "report.h"
#include "runtime.h"
#include "task.h"
#include "value.h"
#include "wait.h"

_Static_assert(offsetof(tl_task, task.future) == 0 && offsetof(tl_future, future) == 0,
               "a Task and a Future begin with the core's future");

/* The future of a Task or a Future at `index`, or NULL; leaves a value on the stack. */
static tide_future *test_future(lua_State *L, const tl_runtime *rt, int index) {
  tide_future *future = lua_touserdata(L, index);
  if (future == NULL || !lua_getmetatable(L, index)) return NULL;
  const void *metatable = lua_topointer(L, -1);
  return metatable == rt->classes.metatables[TL_TASK] ||
                 metatable == rt->classes.metatables[TL_FUTURE]
             ? future
             : NULL;
}

tide_future *tl_check_future(lua_State *L, const tl_runtime *rt, int index) {
  int top = lua_gettop(L);
  tide_future *future = test_future(L, rt, index);
  if (TL_UNLIKELY(future == NULL)) luaL_typeerror(L, index, "Task or Future");
  lua_settop(L, top);
  return future;
}

bool tl_kept_push(lua_State *L, const tide_future *future, int index) {
  bool none = lua_getiuservalue(L, index, 1) == LUA_TNIL && !(future->user & TL_BARE);
  if (!none) return !(future->user & TL_BARE);
  lua_pushliteral(L, "it failed in C, without an error of Lua's");
  lua_replace(L, -2);
  return false;
}

int tl_failure_number(lua_State *L, const tl_runtime *rt, int error) {
  int number = tl_error_number(L, rt, error);
  return number == TIDE_ECANCELLED ? TIDE_EFAILED : number;
}

/* A field of what a failed future keeps: the error, or the traceback. */
static void push_record(lua_State *L, const tide_future *future, int index, int field) {
  if (!tl_kept_push(L, future, index)) {
    if (field == TL_RECORD_ERROR) return;
    lua_pushnil(L);
  } else {
    lua_rawgeti(L, -1, field);
  }
  lua_remove(L, -2);
}

void tl_failure_push(lua_State *L, const tide_future *future, int index) {
  push_record(L, future, index, TL_RECORD_ERROR);
}

int tl_failure_trace_push(lua_State *L, const tide_future *future, int index) {
  push_record(L, future, index, TL_RECORD_TRACEBACK);
  return lua_type(L, -1);
}

/* Awaiting something that was cancelled raises `cancelled`, marked with the task; where this task
 * itself is cancelled too, it is its own. */
static int raise_foreign_cancel(lua_State *L, tl_runtime *rt, int index) {
  if (rt->current != NULL && tide_task_cancelled(&rt->current->task))
    return tl_raise_cancelled(L, rt);
  index = lua_absindex(L, index);
  tl_error_push(L, rt, TIDE_ECANCELLED, "the task that was awaited was cancelled");
  lua_pushvalue(L, index);
  lua_setfield(L, -2, "task");
  lua_getiuservalue(L, index, 1);
  lua_setfield(L, -2, "reason");
  return lua_error(L);
}

int tl_result_push(lua_State *L, tl_runtime *rt, tide_future *future, int index) {
  switch (future->state) {
  case TIDE_FUTURE_DONE:
    if (future->user & TL_EMPTY) return 0;
    lua_getiuservalue(L, index, 1);
    break;
  case TIDE_FUTURE_FAILED:
    tl_told(future);
    rt->raised.awaited = lua_absindex(L, index);
    tl_failure_push(L, future, index);
    return lua_error(L);
  case TIDE_FUTURE_CANCELLED:
    return raise_foreign_cancel(L, rt, index);
  default:
    return tl_raise_message(L, rt, TIDE_EINVALID_STATE, "the result is not there yet");
  }
  if (!(future->user & TL_PACKED)) return 1;
  int table = lua_gettop(L);
  lua_getfield(L, table, "n");
  int count = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  luaL_checkstack(L, count, "too many results");
  for (int i = 1; i <= count; i++) lua_rawgeti(L, table, i);
  lua_remove(L, table);
  return count;
}

static tl_runtime *runtime_of(const tide_future *future) {
  return future->is_task ? ((const tl_task *)(const void *)future)->rt
                         : ((const tl_future *)(const void *)future)->rt;
}

static int awaited(lua_State *L, int status, lua_KContext future) {
  (void)status;
  tl_runtime *rt = runtime_of((const tide_future *)future);
  tl_outcome(L, rt);
  return tl_result_push(L, rt, (tide_future *)future, 1);
}

static int await_future(lua_State *L, bool shielded) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  tide_future *future = test_future(L, rt, 1);
  if (TL_UNLIKELY(future == NULL)) luaL_typeerror(L, 1, "Task or Future");
  int result = tide_future_wait(future, &task->task, shielded);
  if (TL_UNLIKELY(result == TIDE_EINVALID_STATE))
    return tl_raise_message(L, rt, result, "a task cannot await itself");
  return tl_finish(L, rt, result, (lua_KContext)future, awaited);
}

/* future:await() -> results... */
static int future_await(lua_State *L) { return await_future(L, false); }

/* tide.shielded_await(future): the waiter's cancellation leaves the future alone */
static int shielded_await(lua_State *L) { return await_future(L, true); }

static int awaited_value(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L);
}

/* tide.await(x) -> results...: a Task, a Future or anything with __await */
static int await(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  if (tl_test(L, rt, 1, TL_TASK) != NULL || tl_test(L, rt, 1, TL_FUTURE) != NULL)
    return future_await(L);
  if (tl_is_due_or_cancelled(L, rt)) return tl_turn(L, rt);
  if (luaL_getmetafield(L, 1, "__await") == LUA_TNIL)
    return luaL_typeerror(L, 1, "Task, Future or a value with __await");
  lua_insert(L, 1);
  lua_settop(L, 2);
  lua_callk(L, 1, LUA_MULTRET, 0, awaited_value);
  return lua_gettop(L);
}

static int future_done(lua_State *L) {
  lua_pushboolean(L, tide_future_ended(tl_check_future(L, tl_rt(L), 1)));
  return 1;
}

static int future_cancelled(lua_State *L) {
  lua_pushboolean(L, tl_check_future(L, tl_rt(L), 1)->state == TIDE_FUTURE_CANCELLED);
  return 1;
}

static int future_result(lua_State *L) {
  return tl_result_push(L, tl_rt(L), tl_check_future(L, tl_rt(L), 1), 1);
}

/* future:error() -> the error it failed with, or nil; raises where that is not known */
static int future_error(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tide_future *future = tl_check_future(L, rt, 1);
  if (future->state == TIDE_FUTURE_FAILED) {
    tl_told(future);
    tl_failure_push(L, future, 1);
  } else if (future->state == TIDE_FUTURE_DONE) {
    lua_pushnil(L);
  } else {
    return tl_result_push(L, rt, future, 1);
  }
  return 1;
}

/* future:statistics() -> {tasks_waiting=} */
static int future_statistics(lua_State *L) {
  const tide_future *future = tl_check_future(L, tl_rt(L), 1);
  lua_createtable(L, 0, 1);
  tl_set_waiters(L, "tasks_waiting", &future->waiters);
  return 1;
}

/* NULL: it was cancelled, and nobody is to hear of what comes too late. */
static tl_future *check_pending(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_future *future = tl_check(L, rt, 1, TL_FUTURE);
  if (future->future.state == TIDE_FUTURE_CANCELLED) return NULL;
  if (tide_future_ended(&future->future))
    tl_raise_message(L, rt, TIDE_EINVALID_STATE, "the future has its result already");
  return future;
}

static int set(lua_State *L, tl_future *future, int error) {
  lua_pushboolean(L, future != NULL && tide_future_end_with(&future->future, error) == TIDE_OK);
  return 1;
}

/* future:set_result(...) -> whether it took: false where it was cancelled. To pack the results may
 * collect, and a finalizer set the future: it is looked at behind that. */
static int future_set_result(lua_State *L) {
  tl_check(L, tl_rt(L), 1, TL_FUTURE);
  int count = lua_gettop(L) - 1;
  if (count == 0) lua_pushnil(L);
  if (count > 1) tl_pack(L, 2);
  tl_future *future = check_pending(L);
  if (future == NULL) return set(L, NULL, TIDE_OK);
  future->future.user |= count == 0 ? TL_EMPTY : count > 1 ? TL_PACKED : 0;
  lua_setiuservalue(L, 1, 1);
  return set(L, future, TIDE_OK);
}

/* future:set_error(error) -> as set_result; the record of the failure is made first */
static int future_set_error(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_check(L, rt, 1, TL_FUTURE);
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  tl_record_push(L, rt, 2);
  int number = tl_failure_number(L, rt, 2);
  tl_future *future = check_pending(L);
  if (future == NULL) return set(L, NULL, number);
  lua_setiuservalue(L, 1, 1);
  tl_report_when_collected(L, rt, &future->future);
  return set(L, future, number);
}

static int future_cancel(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_future *future = tl_check(L, rt, 1, TL_FUTURE);
  lua_pushboolean(L, tide_future_cancel(&future->future));
  return 1;
}

static int future_tostring(lua_State *L) {
  static const char *const states[] = {"pending", "done", "failed", "cancelled"};
  lua_pushfstring(L, "Future(%s)", states[tl_check_future(L, tl_rt(L), 1)->state]);
  return 1;
}

tide_future *tl_future_push(lua_State *L, tl_runtime *rt) {
  tl_future *future = tl_object_new(L, rt, TL_FUTURE, sizeof *future, 1);
  tide_future_init(&future->future);
  future->rt = rt;
  return &future->future;
}

/* tide.Future() -> Future */
static int new_future(lua_State *L) {
  tl_future_push(L, tl_rt(L));
  return 1;
}

static const luaL_Reg reading[] = {{"await", future_await},
                                   {"done", future_done},
                                   {"cancelled", future_cancelled},
                                   {"result", future_result},
                                   {"error", future_error},
                                   {"statistics", future_statistics},
                                   {NULL, NULL}};

static void add_reading_half(lua_State *L, tl_runtime *rt, tl_class class) {
  tl_class_push(L, rt, class);
  lua_getfield(L, -1, "__index");
  tl_functions(L, rt, reading);
  lua_pop(L, 2);
}

void tl_future_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {
      {"await", await}, {"shielded_await", shielded_await}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"set_result", future_set_result},
                                     {"set_error", future_set_error},
                                     {"cancel", future_cancel},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", future_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_FUTURE, "Future", methods, metamethods);
  add_reading_half(L, rt, TL_TASK);
  add_reading_half(L, rt, TL_FUTURE);
  tl_functions(L, rt, functions);
  tl_constructor(L, rt, "Future", TL_FUTURE, new_future);
}
