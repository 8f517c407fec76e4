/* step.c: how Lua tasks are started and stepped.
 *
 * A task gets a coroutine when it is first stepped: most of those that end without ever waiting
 * then share one, which is in the cache. Until then its function and arguments are its user values.
 * The first user value is the function, then the coroutine once the task has waited, then the
 * result. */
#include "body.h"
#include "class.h"
#include "debug.h"
#include "end.h"
#include "error.h"
#include "future.h"
#include "group.h"
#include "local.h"
#include "nesting.h"
#include "owner.h"
#include "pool.h"
#include "runtime.h"
#include "slots.h"
#include "task.h"
#include "traceback.h"
#include "value.h"

enum {
  SPARE_STACK = 12,     /* values for which the box and every coroutine have room in any case */
  COROUTINE_SIZE = 256, /* bytes of a lua_State, about */
  LINE = 64,            /* of the cache */
};

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
    int type = lua_getiuservalue(box, TL_BOX_TASK, i);
    if (!tl_is_collectable(type) || i == 1 || TL_UNLIKELY(keep)) continue;
    lua_pushnil(box);
    lua_setiuservalue(box, TL_BOX_TASK, i);
  }
  bool child = (task->task.future.user & TL_CHILD) != 0;
  lua_pushcfunction(co, child ? tl_child_body : tl_body);
  lua_pushcfunction(co, tl_message_handler);
  lua_xmove(box, co, count);
  return true;
}

/* Gives the task its coroutine, or ends it where it is not to run. */
static bool begin(tl_task *task) {
  tl_runtime *rt = task->rt;
  task->task.future.user |= TL_BEGUN;
  if (task->task.outcome != TIDE_OK) {
    if (TL_UNLIKELY(task->owned > 0)) tl_owner_close(rt->L, task);
    tl_end_cancelled(task);
    return false;
  }
  lua_State *co = rt->pool.spare != NULL ? rt->pool.spare : tl_pool_refill(rt);
  if (co != NULL && fill(task, co)) {
    task->co = co;
    return true;
  }
  tl_end_broken(task, rt->messages.no_memory);
  return false;
}

/* The body, or what runs behind it, has returned: what the task is to end with stays on the
 * coroutine's stack meanwhile. The status of what was resumed last. */
TL_COLD static int go_on_behind(tl_task *task, int *results) {
  tl_runtime *rt = task->rt;
  int status = LUA_OK;
  tl_leave_wait(task);
  if (task->behind == TL_OPEN && lua_checkstack(task->co, LUA_MINSTACK)) {
    task->behind = TL_CLOSING;
    task->how = rt->step.how;
    task->kept = *results != 0;
    rt->step.how = 0;
    lua_pushcfunction(task->co, tl_body_close_behind);
    status = lua_resume(task->co, rt->L, 0, results);
  }
  if (status != LUA_OK || task->behind != TL_CLOSING) return status;
  rt->step.how = task->how;
  *results = task->kept ? 1 : 0;
  return status;
}

TL_INLINE void step_one(tide_task *core) {
  tl_task *task = tide_container(core, tl_task, task);
  tl_runtime *rt = task->rt;
  int arguments = 0, results;
  if (TL_UNLIKELY(!(core->future.user & TL_BEGUN))) {
    if (!begin(task)) return;
    arguments = task->values + 1;
  }
  lua_State *co = task->co;
  rt->current = task;
  rt->step.calls = 0;
  rt->step.waking = arguments == 0;
  int status = lua_resume(co, rt->L, arguments, &results);
  if (status == LUA_OK && TL_UNLIKELY(task->behind != TL_NOTHING))
    status = go_on_behind(task, &results);
  rt->current = NULL;
  if (status == LUA_YIELD && core->state != TIDE_TASK_RUNNING) {
    if (TL_UNLIKELY(co == rt->pool.spare)) tl_pool_hand_over(&rt->pool);
  } else if (status == LUA_OK) {
    tl_leave_wait(task);
    if (TL_UNLIKELY(rt->step.how == TL_FAILED) && task->owned > 0) tl_owner_close(rt->L, task);
    tl_end_returned(task, results);
  } else {
    tl_end_broken(task, status == LUA_YIELD ? rt->messages.foreign_yield : LUA_NOREF);
  }
}

/* Has the processor fetch the coroutine of the task that comes next. */
TL_INLINE void fetch_ahead(const tide_loop *loop, const tide_task_ops *ops) {
  const tide_task *ahead = tide_task_fetch_ahead(loop);
  if (ahead == NULL || ahead->ops != ops) return;
  const char *co = (const char *)tide_container(ahead, const tl_task, task)->co;
  if (co == NULL) return; /* it has not begun */
  for (int at = 0; at < COROUTINE_SIZE; at += LINE) __builtin_prefetch(co + at);
}

/* Steps the task and those after it. A yield leaves by longjmp, after which every return is
 * mispredicted: the fewer there are per step the better. */
static void step(tide_task *task, int outcome) {
  tide_loop *loop = task->loop;
  tl_runtime *rt = tide_container(task, tl_task, task)->rt;
  const tide_task_ops *ops = &rt->ops.task;
  tl_nesting *nesting = rt->nesting; /* of who runs the loop */
  rt->nesting = NULL;
  (void)outcome;
  do {
    fetch_ahead(loop, ops);
    step_one(task);
    if (TL_UNLIKELY(rt->reports.loops_wait)) tide_defer_start(&rt->reports.at_end, loop);
  } while ((task = tide_task_next(loop, ops)) != NULL);
  rt->nesting = nesting;
}

/* The same for one, in debug mode. The task is kept for the report: it may end. */
static void step_watched(tide_task *core, int outcome) {
  const tl_task *task = tide_container(core, tl_task, task);
  tl_runtime *rt = task->rt;
  lua_State *L = rt->L;
  tl_nesting *nesting = rt->nesting;
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

void tl_ops_init(tl_ops *ops, tide_lane *lane) {
  ops->task = (tide_task_ops){.name = "task", .step = step, .lane = lane};
  ops->watched = (tide_task_ops){.name = "task", .step = step_watched, .lane = lane};
  ops->callback = (tide_task_ops){.name = "callback", .step = tl_handle_step, .lane = lane};
}

tl_task *tl_task_of(tide_task *task) {
  bool ours = task->ops->step == step || task->ops->step == step_watched;
  return ours ? tide_container(task, tl_task, task) : NULL;
}

void tl_task_watch(tl_task *task, bool watched) {
  task->task.ops = watched ? &task->rt->ops.watched : &task->rt->ops.task;
}

/* The start. */

/* The new task, on top, gets what few have. */
TL_COLD static void note_spawn(lua_State *L, tl_runtime *rt) {
  if (rt->has_locals) tl_locals_inherit(L, rt, -1);
  if (rt->debug.on) tl_debug_spawned(L, rt, -1);
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
  task->held_since = 0;
  task->seen = task->traced = task->greenlets = false;
  task->owned = 0;
  task->completes = task->over = false;
  task->behind = TL_NOTHING;
  tide_task_init(&task->task, rt->loop, &rt->ops.task);
  if (group_index != 0) task->task.future.user = TL_CHILD;
  if (TL_UNLIKELY(rt->has_locals || rt->debug.on)) note_spawn(L, rt);
  task->slot = tl_slot_find(L, rt); /* after all that may collect, and so run finalizers */
  int error = tide_task_spawn(&task->task, group);
  if (TL_UNLIKELY(error != TIDE_OK)) {
    if (group_index != 0) tl_group_for_spawn(L, rt, group_index); /* a finalizer has closed it */
    tl_raise(L, rt, error);
  }
  lua_pushvalue(L, -1);
  tl_slot_take(L, rt);
  return task;
}
