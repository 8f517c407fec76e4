/* task.c: Task, spawn and sleep. What runs inside is in body.c. */
#include <string.h>

#include "class.h"
#include "error.h"
#include "future.h"
#include "parts.h"
#include "place.h"
#include "reason.h"
#include "run.h"
#include "runtime.h"
#include "slots.h"
#include "task.h"
#include "value.h"
#include "wait.h"

/* tide.spawn(fn, ...) -> Task */
static int spawn(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_check_callable(L, 1);
  tl_task_spawn(L, rt, tl_run_home(&rt->run, tl_loop(L, rt)), 0, 1);
  return 1;
}

void tl_task_push(lua_State *L, const tl_task *task) { tl_slot_push(L, task->rt, task->slot); }

void tl_task_find(lua_State *L, tl_runtime *rt, uint64_t id) {
  const tl_task *task;
  for (int slot = 0; (task = tl_live_task_push(L, rt, &slot)) != NULL; lua_pop(L, 1))
    if (task->task.id == id) return;
  lua_pushnil(L);
}

/* Sleeping. */

static int slept(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  tl_outcome(L, (tl_runtime *)ctx);
  return 0;
}

/* tide.sleep(seconds) */
static int sleep_(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  int is_number;
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  double seconds = lua_tonumberx(L, 1, &is_number);
  if (TL_UNLIKELY(!is_number)) luaL_checknumber(L, 1);
  if (seconds == 0) {
    tide_task_yield(&task->task);
    return tl_wait(L, (lua_KContext)rt, slept);
  }
  luaL_argcheck(L, seconds > 0, 1, "must not be negative or NaN");
  tide_time when = tide_loop_after(rt->loop, tide_time_from_seconds(seconds));
  return tl_finish(L, rt, tide_task_sleep_until(&task->task, when), (lua_KContext)rt, slept);
}

/* Methods. */

static tl_task *check_task(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_TASK); }

static int task_cancel(lua_State *L) {
  tl_task *task = check_task(L);
  tl_loop(L, task->rt);
  if (task->task.state != TIDE_TASK_ENDED) tl_reason_set(L, task->rt, &task->task.own, 2);
  lua_pushboolean(L, tide_task_cancel(&task->task));
  return 1;
}

static int task_uncancel(lua_State *L) {
  tl_task *task = check_task(L);
  tl_loop(L, task->rt);
  tide_task_uncancel(&task->task);
  if (task->task.own.requests == 0) {
    tl_reason_clear(L, task->rt, &task->task.own);
    task->swallowed = 0;
  }
  lua_pushinteger(L, task->task.own.requests);
  return 1;
}

static int task_cancelling(lua_State *L) {
  lua_pushinteger(L, check_task(L)->task.own.requests);
  return 1;
}

static int task_id(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_task(L)->task.id);
  return 1;
}

void tl_task_name_push(lua_State *L, const tl_task *task, int index) {
  if (task->task.future.user & TL_NAMED) {
    tl_table_push(L, task->rt, TL_NAMES);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    lua_remove(L, -2);
  } else if (task == task->rt->run.root) {
    lua_pushliteral(L, "main");
  } else {
    lua_pushfstring(L, "task-%I", (lua_Integer)task->task.id);
  }
}

static int task_name(lua_State *L) {
  tl_task_name_push(L, check_task(L), 1);
  return 1;
}

static int task_set_name(lua_State *L) {
  tl_task *task = check_task(L);
  luaL_checkstring(L, 2);
  lua_settop(L, 2);
  tl_table_push(L, task->rt, TL_NAMES);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_rawset(L, -3);
  task->task.future.user |= TL_NAMED;
  lua_settop(L, 1);
  return 1;
}

const char *tl_task_status(const tl_task *task) {
  switch (task->task.future.state) {
  case TIDE_FUTURE_DONE:
    return "done";
  case TIDE_FUTURE_FAILED:
    return "failed";
  case TIDE_FUTURE_CANCELLED:
    return "cancelled";
  default:
    break;
  }
  if (task->task.state == TIDE_TASK_RUNNING) return "running";
  return task->task.state == TIDE_TASK_WAITING ? "waiting" : "ready";
}

static int task_status(lua_State *L) {
  lua_pushstring(L, tl_task_status(check_task(L)));
  return 1;
}

/* task:traceback() -> string | nil: where it is, or where it failed */
static int task_traceback(lua_State *L) {
  tl_task *task = check_task(L);
  if (task->co != NULL) {
    tl_trace_push(L, task);
  } else if (task->task.future.state == TIDE_FUTURE_FAILED) {
    tl_failure_trace_push(L, &task->task.future, 1);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* task:kill() -> boolean: whether it had not ended yet */
static int task_kill(lua_State *L) {
  tl_task *task = check_task(L);
  tl_loop(L, task->rt);
  bool live = task->task.state != TIDE_TASK_ENDED;
  if (live && (task == task->rt->current || task->task.state == TIDE_TASK_RUNNING))
    return tl_raise_message(L, task->rt, TIDE_EINVALID_STATE,
                            task == task->rt->current
                                ? "a task cannot kill itself"
                                : "the task cannot be killed now: it is being killed already, or "
                                  "kills the one whose cleanup this is");
  if (live) tl_task_kill(L, task);
  lua_pushboolean(L, live);
  return 1;
}

static int task_tostring(lua_State *L) {
  tl_task *task = check_task(L);
  tl_task_name_push(L, task, 1);
  const char *waits_for = tide_task_waits_for(&task->task);
  lua_pushfstring(L, "Task(%s, %s%s%s)", lua_tostring(L, -1), tl_task_status(task),
                  waits_for != NULL ? ": " : "", waits_for != NULL ? waits_for : "");
  return 1;
}

/* tide.current_task() -> Task | nil */
static int current_task(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  if (rt->current == NULL)
    lua_pushnil(L);
  else
    tl_task_push(L, rt->current);
  return 1;
}

/* tide.all_tasks() -> list of those that have not ended, in no particular order */
static int all_tasks(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  lua_newtable(L);
  int count = 0;
  for (int slot = 0; tl_live_task_push(L, rt, &slot) != NULL;) lua_rawseti(L, -2, ++count);
  return 1;
}

/* task:parent() -> the Task whose TaskGroup it is a child of; nil: of none, or it has ended */
static int task_parent(lua_State *L) {
  const tl_task *task = check_task(L);
  lua_pushnil(L);
  if (task->slot == 0) return 1;
  const tide_scope *scope = task->task.own.parent;
  while (scope != NULL && (scope->task == NULL || tl_task_of(scope->task) == NULL))
    scope = scope->parent;
  if (scope == NULL) return 1;
  tl_task_push(L, tl_task_of(scope->task));
  return 1;
}

/* tide.mark_loops(): the hook "loops" is to be called when the current task ends */
static int mark_loops(lua_State *L) {
  tl_rt(L)->current->behind = TL_OPEN;
  return 0;
}

void tl_task_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {
      {"spawn", spawn},         {"sleep", sleep_},          {"current_task", current_task},
      {"all_tasks", all_tasks}, {"mark_loops", mark_loops}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"cancel", task_cancel},
                                     {"uncancel", task_uncancel},
                                     {"cancelling", task_cancelling},
                                     {"id", task_id},
                                     {"parent", task_parent},
                                     {"name", task_name},
                                     {"set_name", task_set_name},
                                     {"status", task_status},
                                     {"traceback", task_traceback},
                                     {"kill", task_kill},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", task_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_TASK, "Task", methods, metamethods);
  tl_constructor(L, rt, "Task", TL_TASK, NULL);
  tl_functions(L, rt, functions);
}
