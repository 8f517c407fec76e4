/* task.c: Lua tasks: coroutines that the loop steps. */
#include <string.h>

#include "bindings.h"

enum {
  POOL_MAX = 1024,  /* finished coroutines kept for reuse */
  SPARE_STACK = 16, /* arguments for which a coroutine's stack has room in any case */
};

/* The body of a task's coroutine. Its stack: message handler, [group,] function, arguments.
 * Everything that needs memory happens in here, where an error has somewhere to go. */

static int pack_results(lua_State *L, int first) {
  int count = lua_gettop(L) - first + 1;
  lua_createtable(L, count, 1);
  lua_insert(L, first);
  for (int i = count; i >= 1; i--) lua_rawseti(L, first, i);
  lua_pushinteger(L, count);
  lua_setfield(L, first, "n");
  tl_runtime_find(L)->how = TL_PACKED;
  return 1;
}

static int keep_failure(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, 1);
  tl_traceback_push(L, rt, -2);
  lua_rawseti(L, -2, 2);
  rt->how = TL_FAILED;
  return 1;
}

static int body_ended(lua_State *L, int status, lua_KContext before) {
  if (status != LUA_OK && status != LUA_YIELD) return keep_failure(L);
  int count = lua_gettop(L) - (int)before;
  return count <= 1 ? count : pack_results(L, (int)before + 1);
}

static int body(lua_State *L) {
  return body_ended(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 1, body_ended), 1);
}

/* A group's child: a failure goes into the list that is the group's user value. */
static int child_ended(lua_State *L, int status, lua_KContext before) {
  const tl_runtime *rt = tl_runtime_find(L);
  if (status != LUA_OK && status != LUA_YIELD && !tl_error_is(L, rt, -1, "cancelled")) {
    lua_getiuservalue(L, 2, 1);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
  }
  return body_ended(L, status, before);
}

static int child_body(lua_State *L) {
  return child_ended(L, lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 1, 2, child_ended), 2);
}

/* The end. Nothing here needs memory. */

static void note_failure(tl_runtime *rt, tl_task *task) {
  task->next_failed = rt->failed;
  rt->failed = task->slot;
  tide_defer_start(&rt->reporter, rt->loop);
}

/* Lets go of a task's slot, which keeps the coroutine for the next one; both are on the box. */
static void release_slot(tl_runtime *rt, tl_task *task, bool reusable) {
  if (!reusable || rt->pooled >= POOL_MAX) {
    lua_pop(rt->box, 1);
    lua_pushboolean(rt->box, 0);
  } else {
    rt->pooled++;
  }
  lua_rawseti(rt->box, 1, task->slot);
  rt->slots[rt->slot_count++] = task->slot;
  task->slot = 0;
}

/* Stores the value on top of the coroutine, tells the core, lets go of what the task held. */
static void end_task(tl_task *task, tide_future_state state, bool reusable) {
  tl_runtime *rt = task->rt;
  lua_State *box = rt->box, *co = task->co;
  bool supervised = tide_container(task->task.own.parent, tide_group, scope)->supervised;
  lua_rawgeti(box, 1, task->slot);
  lua_getiuservalue(box, 2, 1);
  lua_xmove(co, box, 1);
  lua_setiuservalue(box, 2, 1);
  task->co = NULL;
  if (TL_UNLIKELY(rt->reason_count > 0)) tl_reason_clear(box, rt, &task->task.own);
  tide_task_finish(&task->task, state);
  if (!reusable) lua_resetthread(co);
  lua_settop(co, 0);
  if (TL_UNLIKELY(state == TIDE_FUTURE_FAILED && !task->task.future.observed && !supervised))
    note_failure(rt, task);
  else
    release_slot(rt, task, reusable);
  lua_settop(box, 1);
}

static void end_cancelled(tl_task *task) {
  lua_pushnil(task->co);
  end_task(task, TIDE_FUTURE_CANCELLED, true);
}

static bool failed_by_cancellation(const tl_task *task) {
  lua_rawgeti(task->co, -1, 1);
  bool cancelled = tl_error_is(task->co, task->rt, -1, "cancelled");
  lua_pop(task->co, 1);
  return cancelled;
}

/* The coroutine returned `count` values, 0 or 1: what the body left. */
static void end_returned(tl_task *task, int count) {
  uint8_t how = task->rt->how;
  tide_future_state state = TIDE_FUTURE_DONE;
  if (TL_UNLIKELY(how != 0)) {
    task->rt->how = 0;
    if (how == TL_FAILED)
      state = failed_by_cancellation(task) ? TIDE_FUTURE_CANCELLED : TIDE_FUTURE_FAILED;
    else
      task->task.future.user |= how;
  } else if (count == 0) {
    task->task.future.user |= TL_EMPTY;
    lua_pushnil(task->co);
  }
  end_task(task, state, true);
}

/* The coroutine was left by an error that the body could not keep (memory), or yielded to nobody:
 * the value on top is the error. */
static void end_broken(tl_task *task) {
  task->rt->how = 0;
  task->task.future.user |= TL_BARE;
  end_task(task, TIDE_FUTURE_FAILED, false);
}

static void step(tide_task *core, int outcome) {
  tl_task *task = tide_container(core, tl_task, task);
  tl_runtime *rt = task->rt;
  lua_State *co = task->co;
  int arguments = 0, results;
  if (TL_UNLIKELY(!(core->future.user & TL_BEGUN))) {
    core->future.user |= TL_BEGUN;
    arguments = lua_gettop(co) - 1;
    if (outcome != TIDE_OK) {
      end_cancelled(task);
      return;
    }
  }
  rt->current = task;
  int status = lua_resume(co, rt->L, arguments, &results);
  rt->current = NULL;
  if (status == LUA_YIELD && core->state != TIDE_TASK_RUNNING) return;
  if (status == LUA_OK) {
    end_returned(task, results);
    return;
  }
  if (status == LUA_YIELD) {
    lua_settop(co, 0);
    lua_pushliteral(co, "a task was suspended by a yield that is not one of tide's");
  }
  end_broken(task);
}

static const tide_task_ops task_ops = {.step = step};

/* The start. */

bool tl_task_is_body(lua_State *co) {
  if (lua_status(co) != LUA_OK || lua_gettop(co) == 0) return false;
  lua_CFunction function = lua_tocfunction(co, 1);
  return function == body || function == child_body;
}

/* Pushes the coroutine that is to run in `slot`: one that waits there for reuse, or a new one. */
static lua_State *push_coroutine(lua_State *L, tl_runtime *rt, int slot) {
  lua_rawgeti(rt->box, 1, slot);
  lua_xmove(rt->box, L, 1);
  lua_State *co = lua_tothread(L, -1);
  if (co != NULL) {
    rt->pooled--;
    return co;
  }
  lua_pop(L, 1);
  return lua_newthread(L);
}

static void push_body(lua_State *L, lua_State *co, int group_index, int count) {
  lua_pushcfunction(co, group_index != 0 ? child_body : body);
  lua_pushcfunction(co, tl_message_handler);
  if (group_index != 0) {
    lua_pushvalue(L, group_index);
    lua_xmove(L, co, 1);
  }
  lua_xmove(L, co, count);
}

tl_task *tl_task_spawn(lua_State *L, tl_runtime *rt, tide_group *group, int group_index,
                       int function_index) {
  int count = lua_gettop(L) - function_index + 1;
  int slot = tl_slot_find(L, rt);
  tl_task *task = lua_newuserdatauv(L, sizeof *task, 1);
  tl_class_push(L, rt, TL_TASK);
  lua_setmetatable(L, -2);
  task->rt = rt;
  task->slot = slot;
  task->next_failed = 0;
  tide_task_init(&task->task, rt->loop, &task_ops);
  lua_State *co = task->co = push_coroutine(L, rt, slot);
  if (count > SPARE_STACK && !lua_checkstack(co, count + 3)) luaL_error(L, "too many arguments");
  lua_setiuservalue(L, -2, 1);
  int error = tide_task_spawn(&task->task, group);
  if (TL_UNLIKELY(error != TIDE_OK)) tl_raise(L, rt, error);
  lua_pushvalue(L, -1);
  tl_slot_take(L, rt);
  lua_insert(L, function_index);
  push_body(L, co, group_index, count);
  return task;
}

/* tide.spawn(fn, ...) -> Task */
static int spawn(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_check_callable(L, 1);
  tl_task_spawn(L, rt, tide_loop_background(rt->loop), 0, 1);
  return 1;
}

void tl_task_push(lua_State *L, const tl_task *task) {
  tl_table_push(L, task->rt, TL_LIVE);
  lua_rawgeti(L, -1, task->slot);
  lua_remove(L, -2);
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
  double seconds = lua_tonumberx(L, 1, &is_number);
  if (TL_UNLIKELY(!is_number)) luaL_checknumber(L, 1);
  tl_task *task = tl_enter(L, rt);
  if (seconds == 0) {
    tide_task_yield(&task->task);
    return tl_wait(L, (lua_KContext)rt, slept);
  }
  luaL_argcheck(L, seconds > 0, 1, "must not be negative or NaN");
  tide_time when = tide_time_add(tide_loop_now(rt->loop), tide_time_from_seconds(seconds));
  return tl_finish(L, rt, tide_task_sleep_until(&task->task, when), (lua_KContext)rt, slept);
}

/* Reasons of cancellation. */

void tl_reason_set(lua_State *L, tl_runtime *rt, const tide_scope *scope, int index) {
  if (lua_isnoneornil(L, index) || (scope->flags & TIDE_SCOPE_CALLED)) return;
  lua_pushvalue(L, index);
  tl_table_push(L, rt, TL_REASONS);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, scope);
  lua_pop(L, 1);
  rt->reason_count++;
}

void tl_reason_clear(lua_State *L, tl_runtime *rt, const tide_scope *scope) {
  if (rt->reason_count == 0) return;
  tl_table_push(L, rt, TL_REASONS);
  if (lua_rawgetp(L, -1, scope) != LUA_TNIL) {
    lua_pushnil(L);
    lua_rawsetp(L, -3, scope);
    rt->reason_count--;
  }
  lua_pop(L, 2);
}

/* Methods. */

static tl_task *check_task(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_TASK); }

static int task_cancel(lua_State *L) {
  tl_task *task = check_task(L);
  if (task->task.state != TIDE_TASK_ENDED) tl_reason_set(L, task->rt, &task->task.own, 2);
  lua_pushboolean(L, tide_task_cancel(&task->task));
  return 1;
}

static int task_uncancel(lua_State *L) {
  tl_task *task = check_task(L);
  tide_task_uncancel(&task->task);
  if (task->task.own.requests == 0) tl_reason_clear(L, task->rt, &task->task.own);
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

static void push_name(lua_State *L, const tl_task *task, int index) {
  if (task->task.future.user & TL_NAMED) {
    tl_table_push(L, task->rt, TL_NAMES);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    lua_remove(L, -2);
  } else {
    lua_pushfstring(L, "task-%I", (lua_Integer)task->task.id);
  }
}

static int task_name(lua_State *L) {
  push_name(L, check_task(L), 1);
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

static const char *status_name(const tl_task *task) {
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
  lua_pushstring(L, status_name(check_task(L)));
  return 1;
}

/* task:traceback() -> string | nil: where it is, or where it failed */
static int task_traceback(lua_State *L) {
  tl_task *task = check_task(L);
  if (task->co != NULL) {
    luaL_traceback(L, task->co, NULL, task->co == L ? 1 : 0);
  } else if (task->task.future.state == TIDE_FUTURE_FAILED &&
             !(task->task.future.user & TL_BARE)) {
    lua_getiuservalue(L, 1, 1);
    lua_rawgeti(L, -1, 2);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

void tl_task_kill(lua_State *L, tl_task *task) {
  tl_runtime *rt = task->rt;
  tl_task *killer = rt->current;
  lua_State *stack = rt->L;
  rt->current = task; /* for the <close> variables, which run now and cannot wait */
  rt->L = L;
  tide_task_detach(&task->task);
  tl_coroutine_close_nested(task->co);
  lua_resetthread(task->co);
  rt->current = killer;
  lua_settop(task->co, 0);
  end_cancelled(task);
  rt->L = stack;
}

/* task:kill() -> boolean: whether it had not ended yet */
static int task_kill(lua_State *L) {
  tl_task *task = check_task(L);
  bool live = task->task.state != TIDE_TASK_ENDED;
  if (live && task->task.state == TIDE_TASK_RUNNING)
    return tl_raise_message(L, task->rt, TIDE_EINVALID_STATE, "a task cannot kill itself");
  if (live) tl_task_kill(L, task);
  lua_pushboolean(L, live);
  return 1;
}

static int task_tostring(lua_State *L) {
  tl_task *task = check_task(L);
  push_name(L, task, 1);
  const char *waits_for = tide_task_waits_for(&task->task);
  lua_pushfstring(L, "Task(%s, %s%s%s)", lua_tostring(L, -1), status_name(task),
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

/* tide.all_tasks() -> list of those that have not ended, oldest first */
static int all_tasks(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  lua_newtable(L);
  tl_table_push(L, rt, TL_LIVE);
  int count = 0;
  for (int slot = 1; slot <= rt->slot_capacity; slot++) {
    lua_rawgeti(L, -1, slot);
    const tl_task *task = tl_test(L, rt, -1, TL_TASK);
    if (task != NULL && task->task.state != TIDE_TASK_ENDED)
      lua_rawseti(L, -3, ++count);
    else
      lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return 1;
}

void tl_task_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"spawn", spawn},
                                       {"sleep", sleep_},
                                       {"current_task", current_task},
                                       {"all_tasks", all_tasks},
                                       {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"cancel", task_cancel},     {"uncancel", task_uncancel}, {"cancelling", task_cancelling},
      {"id", task_id},             {"name", task_name},         {"set_name", task_set_name},
      {"status", task_status},     {"traceback", task_traceback}, {"kill", task_kill},
      {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", task_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_TASK, "Task", methods, metamethods);
  tl_functions(L, rt, functions);
}
