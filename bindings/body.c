/* body.c: the life of a Lua task: what its coroutine runs, how it is started, stepped and ended.
 *
 * A task gets a coroutine when it is first stepped: most of those that end without ever waiting
 * then share one, which is in the cache. Until then its function and arguments are its user values.
 * The first user value is the function, then the coroutine once the task has waited, then the
 * result. */
#include "class.h"
#include "close.h"
#include "debug.h"
#include "error.h"
#include "future.h"
#include "group.h"
#include "local.h"
#include "nesting.h"
#include "pool.h"
#include "protect.h"
#include "reason.h"
#include "report.h"
#include "runtime.h"
#include "scope.h"
#include "slots.h"
#include "task.h"
#include "traceback.h"
#include "value.h"

enum { SPARE_STACK = 12 }; /* values for which the box and every coroutine have room in any case */

/* The body of a task's coroutine. Its stack: message handler, [group,] function, arguments.
 * What needs memory at the end happens in here, where an error has somewhere to go. */

static int pack_results(lua_State *L, int first) {
  tl_pack(L, first);
  tl_runtime_find(L)->how = TL_PACKED;
  return 1;
}

/* The error is on top, and has come to `co`. Of a cancellation that was asked for only the reason
 * is kept. */
static int keep_failure(lua_State *L, lua_State *co) {
  tl_runtime *rt = tl_runtime_find(L);
  tl_scope_misused(L, rt, lua_gettop(L), &rt->current->task.own);
  if (tl_error_was_asked(L, rt, -1, &rt->current->task.own)) {
    lua_getfield(L, -1, "reason");
    rt->how = TL_STOPPED;
    return 1;
  }
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, 1);
  tl_traceback_take_from(L, rt, co, -2);
  lua_rawseti(L, -2, 2);
  rt->how = TL_FAILED;
  return 1;
}

static int body_ended(lua_State *L, int status, lua_KContext before) {
  int count = lua_gettop(L) - (int)before;
  if (TL_UNLIKELY(count > 1)) status = tl_returned(L, status, (int)before);
  if (status != LUA_OK && status != LUA_YIELD) return keep_failure(L, L);
  return count <= 1 ? count : pack_results(L, (int)before + 1);
}

static int body(lua_State *L) {
  return body_ended(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 1, body_ended), 1);
}

/* on_error has been called, or has failed; the failure's record is at that index. */
static int told_on_error(lua_State *L, int status, lua_KContext record) {
  tl_runtime *rt = tl_runtime_find(L);
  bool failed = status != LUA_OK && status != LUA_YIELD;
  if (failed && !tl_error_was_asked(L, rt, -1, &rt->current->task.own)) {
    tl_traceback_take(L, rt, -1);
    tl_group_add_failure(L, rt, 2);
  }
  lua_settop(L, (int)record);
  rt->how = TL_FAILED;
  return 1;
}

/* Gives the failure to on_error, which may wait. On the stack: record, error, traceback, on_error.
 */
static int tell_on_error(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  int record = lua_gettop(L) - 3;
  rt->how = 0;
  lua_pushvalue(L, record + 1);
  tl_task_push(L, rt->current);
  lua_pushvalue(L, record + 2);
  return told_on_error(L, lua_pcallk(L, 3, 0, 1, record, told_on_error), record);
}

/* A group's child: a failure goes to the group, which is at 2. */
static int child_ended(lua_State *L, int status, lua_KContext before) {
  bool single = lua_gettop(L) <= (int)before + 1; /* more results may have become an error */
  int count = body_ended(L, status, before);
  if (single && (status == LUA_OK || status == LUA_YIELD)) return count;
  const tl_runtime *rt = tl_runtime_find(L);
  if (rt->how != TL_FAILED) return count;
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  if (tl_group_on_error_push(L, rt, 2)) return tell_on_error(L);
  tl_group_add_failure(L, rt, 2);
  return count;
}

static int child_body(lua_State *L) {
  return child_ended(L, lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 1, 2, child_ended), 2);
}

/* What runs in the coroutine behind the body, for tasks with loops that may be open: those that
 * were left by a `break` which, in Lua before 5.4.5, skips the closing value. */

static int loops_closed(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status == LUA_OK || status == LUA_YIELD) return 0;
  int error = lua_gettop(L);
  lua_pushliteral(L, "closing what a loop left open");
  lua_pushnil(L);
  tl_report(L, tl_runtime_find(L), error + 1, error, error + 2);
  return 0;
}

static int close_loops(lua_State *L) {
  const tl_runtime *rt = tl_runtime_find(L);
  tl_hook_push(L, rt, "loops");
  tl_task_push(L, rt->current);
  return loops_closed(L, lua_pcallk(L, 1, 0, 0, 0, loops_closed), 0);
}

/* The end. Nothing here needs memory. */

/* A hook that a task set is not for the next task in its coroutine; a host's own is. */
void tl_hook_reset(const tl_runtime *rt, lua_State *co) {
  lua_sethook(co, lua_gethook(rt->main), lua_gethookmask(rt->main), lua_gethookcount(rt->main));
  if (rt->debugging) tl_debug_watch(co);
}

static void release_slot(tl_runtime *rt, tl_task *task) {
  tl_slot_free(rt, task->slot);
  task->slot = 0;
}

/* Puts the task on the box, where the one in the spare coroutine is already; what is to be its
 * first user value comes on top, then end_task. A task that is killed ends while another runs. */
static inline lua_State *open_box(const tl_task *task) {
  lua_State *box = task->rt->pool.box;
  if (task->co == NULL || task->co != task->rt->pool.spare)
    lua_rawgeti(box, TL_BOX_LIVE, task->slot);
  return box;
}

/* The task, under the top of the box, never ran: what it was given goes, as with those that ran. */
TL_COLD static void drop_arguments(lua_State *box, const tl_task *task) {
  for (int i = 2; i <= task->values; i++) {
    lua_pushnil(box);
    lua_setiuservalue(box, -3, i);
  }
}

/* The task is not going to take over what it owns. */
TL_COLD static void close_owned(tl_task *task) {
  tl_runtime *rt = task->rt;
  rt->current = task; /* for closing, which cannot wait */
  tl_owner_close(rt->L, task);
  rt->current = NULL;
}

/* The task ends with scopes open; what groups among them have failed with is to be reported. */
TL_COLD static void leave_scopes(tl_runtime *rt) {
  rt->left = true;
  tide_defer_start(&rt->reporter, rt->loop);
}

/* Stores the value on top of the box, tells the core, lets go of what the task held. Not reusable
 * is the coroutine of a task whose body could keep nothing, not even for the group that supervises
 * it: its failure is reported in any case. */
static void end_task(tl_task *task, tide_future_state state, bool reusable) {
  tl_runtime *rt = task->rt;
  lua_State *box = rt->pool.box, *co = task->co;
  if (co != NULL && TL_UNLIKELY(lua_gethook(co) != NULL)) tl_hook_reset(rt, co);
  if (co != NULL && TL_UNLIKELY(task->traced)) tl_traceback_clear(box, rt, co);
  bool again = reusable && !task->seen; /* the coroutine */
  bool supervised = tide_container(task->task.own.parent, tide_group, scope)->supervised;
  if (co == rt->pool.spare) {
    if (!again) rt->pool.spare = NULL;
  } else if (co != NULL && again) {
    tl_pool_take_back(&rt->pool);
  }
  if (TL_UNLIKELY(co == NULL)) drop_arguments(box, task);
  lua_setiuservalue(box, -2, 1);
  task->co = NULL;
  if (TL_UNLIKELY(rt->reason_count > 0)) tl_reason_clear(box, rt, &task->task.own);
  if (TL_UNLIKELY(task->task.scope != &task->task.own)) leave_scopes(rt);
  tide_task_finish(&task->task, state);
  if (TL_UNLIKELY(state == TIDE_FUTURE_FAILED && supervised && reusable))
    tl_told(&task->task.future); /* the group was */
  if (TL_UNLIKELY(state == TIDE_FUTURE_FAILED && !(task->task.future.user & TL_TOLD)))
    tl_failed(rt, task);
  else
    release_slot(rt, task);
  lua_pop(box, 1);
}

/* The value that a cancelled task keeps: the reason, if there was one. */
static void end_cancelled(tl_task *task) {
  lua_State *box = open_box(task);
  if (task->rt->reason_count > 0)
    tl_reason_push(box, task->rt, &task->task);
  else
    lua_pushnil(box);
  end_task(task, TIDE_FUTURE_CANCELLED, true);
}

/* The coroutine returned `count` values, 0 or 1: what the body left. */
static void end_returned(tl_task *task, int count) {
  tl_runtime *rt = task->rt;
  uint8_t how = rt->how;
  tide_future_state state = TIDE_FUTURE_DONE;
  lua_State *box = open_box(task);
  if (count == 0) {
    task->task.future.user |= TL_EMPTY;
    lua_pushnil(box);
  } else {
    lua_xmove(task->co, box, 1);
  }
  if (TL_UNLIKELY(how != 0)) {
    rt->how = 0;
    if (how == TL_STOPPED)
      state = TIDE_FUTURE_CANCELLED;
    else if (how == TL_FAILED)
      state = TIDE_FUTURE_FAILED;
    else
      task->task.future.user |= how;
  }
  end_task(task, state, true);
}

/* A task that ends may have a wait that went to a resume that is not tide's. */
static inline void leave_wait(tl_task *task) {
  if (TL_UNLIKELY(task->task.state != TIDE_TASK_RUNNING)) tide_task_detach(&task->task);
}

/* The coroutine ended in a way that the body could not keep: there was no memory, or it yielded to
 * nobody. `message` is a registry reference, or LUA_NOREF: the coroutine has the error. */
static void end_broken(tl_task *task, int message) {
  lua_State *co = task->co;
  task->rt->how = 0;
  task->task.future.user |= TL_BARE;
  if (co != NULL) tl_coroutine_reset(task->rt->L, task->rt, co, "the cleanup of a broken task");
  leave_wait(task);
  if (TL_UNLIKELY(task->owned > 0)) close_owned(task);
  lua_State *box = open_box(task);
  if (message == LUA_NOREF)
    lua_xmove(co, box, 1);
  else
    lua_rawgeti(box, LUA_REGISTRYINDEX, message);
  end_task(task, TIDE_FUTURE_FAILED, false);
}

/* The step. */

/* Moves the function and what goes with it from the task's user values to the coroutine; the task
 * stays on the box. What the collector does not see may stay where it is. */
static bool fill(tl_task *task, lua_State *co) {
  lua_State *box = task->rt->pool.box;
  int count = task->values;
  if (count > SPARE_STACK && (!lua_checkstack(box, count + 2) || !lua_checkstack(co, count + 2)))
    return false;
  bool keep = task->owned > 0; /* until it has taken over what it owns */
  lua_rawgeti(box, TL_BOX_LIVE, task->slot);
  for (int i = 1; i <= count; i++) {
    if (lua_getiuservalue(box, TL_BOX_TASK, i) <= LUA_TNUMBER || i == 1 || TL_UNLIKELY(keep))
      continue;
    lua_pushnil(box);
    lua_setiuservalue(box, TL_BOX_TASK, i);
  }
  bool child = (task->task.future.user & TL_CHILD) != 0;
  lua_pushcfunction(co, child ? child_body : body);
  lua_pushcfunction(co, tl_message_handler);
  lua_xmove(box, co, count);
  return true;
}

/* Gives the task its coroutine, or ends it where it is not to run. */
static bool begin(tl_task *task) {
  task->task.future.user |= TL_BEGUN;
  if (task->task.outcome != TIDE_OK) {
    if (TL_UNLIKELY(task->owned > 0)) close_owned(task);
    end_cancelled(task);
    return false;
  }
  tl_runtime *rt = task->rt;
  lua_State *co = rt->pool.spare != NULL ? rt->pool.spare : tl_pool_refill(rt);
  if (co != NULL && fill(task, co)) {
    task->co = co;
    return true;
  }
  end_broken(task, rt->no_memory);
  return false;
}

/* The body, or what runs behind it, has returned: what the task is to end with stays on the
 * coroutine's stack meanwhile. The status of what was resumed last. */
TL_COLD static int go_on_behind(tl_task *task, int *results) {
  tl_runtime *rt = task->rt;
  int status = LUA_OK;
  leave_wait(task);
  if (task->loops == TL_OPEN && lua_checkstack(task->co, LUA_MINSTACK)) {
    task->loops = TL_CLOSING;
    task->how = rt->how;
    task->kept = *results != 0;
    rt->how = 0;
    lua_pushcfunction(task->co, close_loops);
    status = lua_resume(task->co, rt->L, 0, results);
  }
  if (status != LUA_OK || task->loops != TL_CLOSING) return status;
  rt->how = task->how;
  *results = task->kept ? 1 : 0;
  return status;
}

static inline void step_one(tide_task *core) {
  tl_task *task = tide_container(core, tl_task, task);
  tl_runtime *rt = task->rt;
  int arguments = 0, results;
  if (TL_UNLIKELY(!(core->future.user & TL_BEGUN))) {
    if (!begin(task)) return;
    arguments = task->values + 1;
  }
  lua_State *co = task->co;
  rt->current = task;
  rt->calls = 0;
  rt->waking = arguments == 0;
  int status = lua_resume(co, rt->L, arguments, &results);
  if (status == LUA_OK && TL_UNLIKELY(task->loops != TL_NO_LOOPS))
    status = go_on_behind(task, &results);
  rt->current = NULL;
  if (status == LUA_YIELD && core->state != TIDE_TASK_RUNNING) {
    if (TL_UNLIKELY(co == rt->pool.spare)) tl_pool_hand_over(&rt->pool);
  } else if (status == LUA_OK) {
    leave_wait(task);
    if (TL_UNLIKELY(rt->how == TL_FAILED) && task->owned > 0) close_owned(task);
    end_returned(task, results);
  } else {
    end_broken(task, status == LUA_YIELD ? rt->foreign_yield : LUA_NOREF);
  }
}

static void step(tide_task *task, int outcome);
static const tide_task_ops task_ops = {.name = "task", .step = step};

/* Steps the task and those after it. A yield leaves by longjmp, after which every return is
 * mispredicted: the fewer there are per step the better. */
static void step(tide_task *task, int outcome) {
  tide_loop *loop = task->loop;
  tl_runtime *rt = tide_container(task, tl_task, task)->rt;
  const tl_nesting *nesting = rt->nesting; /* of who runs the loop */
  rt->nesting = NULL;
  (void)outcome;
  do {
    step_one(task);
    if (TL_UNLIKELY(rt->loops_wait)) tide_defer_start(&rt->reporter, loop);
  } while ((task = tide_task_next(loop, &task_ops)) != NULL);
  rt->nesting = nesting;
}

/* The same for one, in debug mode. The task is kept for the report: it may end. */
static void step_watched(tide_task *core, int outcome) {
  const tl_task *task = tide_container(core, tl_task, task);
  tl_runtime *rt = task->rt;
  lua_State *L = rt->L;
  const tl_nesting *nesting = rt->nesting;
  int top = lua_gettop(L);
  rt->nesting = NULL;
  (void)outcome;
  tl_task_push(L, task);
  tl_debug_slice_begins(rt);
  step_one(core);
  tl_debug_slice_ended(L, rt, top + 1);
  lua_settop(L, top);
  rt->nesting = nesting;
}

static const tide_task_ops watched_ops = {.name = "task", .step = step_watched};

tl_task *tl_task_of(tide_task *task) {
  bool ours = task->ops == &task_ops || task->ops == &watched_ops;
  return ours ? tide_container(task, tl_task, task) : NULL;
}

void tl_task_watch(tl_task *task, bool watched) {
  task->task.ops = watched ? &watched_ops : &task_ops;
}

/* The start. */

/* The new task, on top, gets what few have. */
TL_COLD static void note_spawn(lua_State *L, tl_runtime *rt) {
  if (rt->has_locals) tl_locals_inherit(L, rt, -1);
  if (rt->debugging) tl_debug_spawned(L, rt, -1);
}

tl_task *tl_task_spawn(lua_State *L, tl_runtime *rt, tide_group *group, int group_index,
                       int function_index) {
  int own = group_index != 0 ? 1 : 0, top = lua_gettop(L); /* values before the function */
  int count = top - function_index + 1 + own;
  luaL_argcheck(L, count <= UINT16_MAX - 1, function_index, "too many arguments");
  tl_task *task = lua_newuserdatauv(L, sizeof *task, count);
  tl_class_push(L, rt, TL_TASK);
  lua_setmetatable(L, -2);
  if (own == 1) {
    lua_pushvalue(L, group_index);
    lua_setiuservalue(L, top + 1, 1);
  }
  for (int i = function_index; i <= top; i++) {
    lua_pushvalue(L, i);
    lua_setiuservalue(L, top + 1, i - function_index + 1 + own);
  }
  task->rt = rt;
  task->co = NULL;
  task->next_failed = 0;
  task->values = (uint16_t)count;
  task->swallowed = task->held = 0;
  task->seen = task->traced = false;
  task->owned = 0;
  task->loops = TL_NO_LOOPS;
  tide_task_init(&task->task, rt->loop, &task_ops);
  if (group_index != 0) task->task.future.user = TL_CHILD;
  if (TL_UNLIKELY(rt->has_locals || rt->debugging)) note_spawn(L, rt);
  task->slot = tl_slot_find(L, rt); /* after all that may collect, and so run finalizers */
  int error = tide_task_spawn(&task->task, group);
  if (TL_UNLIKELY(error != TIDE_OK)) tl_raise(L, rt, error);
  lua_pushvalue(L, -1);
  tl_slot_take(L, rt);
  return task;
}

/* Killing. */

bool tl_is_child_body(lua_CFunction function) { return function == child_body; }

bool tl_task_group_push(lua_State *L, const tl_task *child) {
  lua_Debug ar;
  int level = 0;
  if (!(child->task.future.user & TL_CHILD)) return false;
  if (child->co == NULL) {
    tl_task_push(L, child);
    lua_getiuservalue(L, -1, 1);
    lua_remove(L, -2);
    return true;
  }
  while (lua_getstack(child->co, level + 1, &ar)) level++; /* its body, which has it at 2 */
  if (!lua_checkstack(child->co, 1) || !lua_getstack(child->co, level, &ar)) return false;
  lua_getlocal(child->co, &ar, 2);
  lua_xmove(child->co, L, 1);
  return true;
}

/* In protected mode: what the current task, which is killed while its error goes through a <close>
 * that waits, leaves; or nothing. */
static int keep_leaving(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  const tl_task *task = rt->current;
  lua_State *where = tl_error_leaving_push(L, rt, task->co);
  if (where == NULL) return 0;
  keep_failure(L, where);
  if (rt->how != TL_FAILED) return 0;
  if (tl_task_group_push(L, task)) {
    lua_rawgeti(L, -2, 1);
    lua_rawgeti(L, -3, 2);
    tl_group_add_failure(L, rt, lua_gettop(L) - 2);
    lua_pop(L, 1);
  }
  return 1;
}

/* Ends a killed task, which has failed with what is on top of L, and popped; `kept` where it is the
 * task's error, and not why that could not be kept. */
static void end_killed(lua_State *L, tl_task *task, bool kept) {
  lua_xmove(L, open_box(task), 1);
  if (!kept) task->task.future.user |= TL_BARE;
  end_task(task, TIDE_FUTURE_FAILED, kept);
}

void tl_task_kill(lua_State *L, tl_task *task) {
  tl_runtime *rt = task->rt;
  tl_task *killer = rt->current;
  lua_State *stack = rt->L;
  uint8_t how = rt->how; /* of a body that has just ended, where a finalizer kills */
  tide_task_detach(&task->task);
  rt->current = task; /* for the <close> variables, which run now and cannot wait */
  rt->L = L;
  if (task->owned > 0) tl_owner_close(L, task);
  bool kept = true, failed = false;
  if (task->co != NULL) {
    if (task->co != L) { /* else it calls what ends the state */
      lua_pushcfunction(L, keep_leaving);
      kept = lua_pcall(L, 0, 1, 0) == LUA_OK;
      failed = !lua_isnil(L, -1);
      if (!failed) lua_pop(L, 1);
      rt->how = 0;
    }
    tl_close_nested(L, rt, task->co);
    tl_close_coroutine(L, rt, task->co, TL_KILLED);
    if (lua_status(task->co) == LUA_YIELD)
      task->seen = true; /* too many are closed inside each other: it stays as it is */
    else
      lua_settop(task->co, 0);
    leave_wait(task);
    if (task->task.scope != &task->task.own) leave_scopes(rt);
    while (task->task.scope != &task->task.own) tide_scope_exit(task->task.scope);
  }
  rt->current = killer;
  rt->L = stack;
  if (failed)
    end_killed(L, task, kept);
  else
    end_cancelled(task);
  rt->how = how;
}
