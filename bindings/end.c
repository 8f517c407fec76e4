/* end.c: how Lua tasks end. Nothing here needs memory. */
#include "end.h"

#include "close.h"
#include "debug.h"
#include "future.h"
#include "greenlet.h"
#include "group.h"
#include "owner.h"
#include "pool.h"
#include "reason.h"
#include "report.h"
#include "runtime.h"
#include "slots.h"
#include "task.h"
#include "traceback.h"

/* A hook that a task set is not for the next task in its coroutine; a host's own is. */
void tl_hook_reset(const tl_runtime *rt, lua_State *co) {
  tl_hook hosts = tl_hook_of_host(rt);
  lua_sethook(co, hosts.hook, hosts.mask, hosts.count);
  if (rt->debug.on) tl_debug_watch(co);
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

/* Its coroutine has one. */
TL_COLD static void end_hook(const tl_runtime *rt, const tl_task *task) {
  tl_limits_task_ends(rt, task);
  tl_hook_reset(rt, task->co);
}

/* Stores the value on top of the box, tells the core, lets go of what the task held. Not reusable
 * is the coroutine of a task whose body could keep nothing, not even for the group that supervises
 * it: its failure is reported in any case. */
static void end_task(tl_task *task, int error, bool reusable) {
  tl_runtime *rt = task->rt;
  lua_State *box = rt->pool.box, *co = task->co;
  if (co != NULL && TL_UNLIKELY(lua_gethook(co) != NULL)) end_hook(rt, task);
  if (co != NULL && TL_UNLIKELY(task->traced)) tl_traceback_clear(box, rt, co);
  bool again = reusable && !task->seen; /* the coroutine */
  const tide_group *group = tide_container(task->task.own.parent, tide_group, scope);
  bool supervised = group->supervised && tl_group_is_ours(group); /* C's is told no error */
  if (co == rt->pool.spare) {
    if (!again) rt->pool.spare = NULL;
  } else if (co != NULL && again) {
    tl_pool_take_back(rt);
  }
  if (TL_UNLIKELY(co == NULL)) drop_arguments(box, task);
  lua_setiuservalue(box, -2, 1);
  task->co = NULL;
  if (TL_UNLIKELY(task->completes)) tide_defer_start(&rt->reports.at_end, rt->loop);
  if (TL_UNLIKELY(task->greenlets)) tl_greenlets_leave(box, task);
  if (TL_UNLIKELY(rt->reason_count > 0)) tl_reason_clear(box, rt, &task->task.own);
  if (TL_UNLIKELY(task->task.scope != &task->task.own)) tl_report_left(rt);
  tide_task_finish_with(&task->task, error);
  bool failed = task->task.future.state == TIDE_FUTURE_FAILED;
  if (TL_UNLIKELY(failed && supervised && reusable))
    tl_told(&task->task.future); /* the group was */
  if (TL_UNLIKELY(failed && !(task->task.future.user & TL_TOLD)))
    tl_failed(rt, task);
  else
    release_slot(rt, task);
  lua_pop(box, 1);
}

void tl_end_cancelled(tl_task *task) {
  lua_State *box = open_box(task);
  if (task->rt->reason_count > 0)
    tl_reason_push(box, task->rt, &task->task);
  else
    lua_pushnil(box);
  end_task(task, TIDE_ECANCELLED, true);
}

/* In protected mode. */
static int report_open(lua_State *L) {
  tl_group_report_open(L, tl_runtime_find(L), lua_touserdata(L, 1));
  return 0;
}

/* The task, which has returned, has scopes open. */
TL_COLD static void tell_open(tl_task *task) {
  lua_State *L = task->rt->L;
  lua_pushcfunction(L, report_open);
  lua_pushlightuserdata(L, task);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
  tl_complain(task->rt, "a TaskGroup was left without <close>, and reporting it failed");
  lua_pop(L, 1);
}

/* Of the record on top of the box. */
static int number_of_record(lua_State *box) {
  lua_rawgeti(box, -1, TL_RECORD_NUMBER);
  int number = (int)lua_tointeger(box, -1);
  lua_pop(box, 1);
  return number;
}

void tl_end_returned(tl_task *task, int count) {
  tl_runtime *rt = task->rt;
  if (TL_UNLIKELY(task->task.scope != &task->task.own)) tell_open(task);
  uint8_t how = rt->step.how;
  int error = TIDE_OK;
  lua_State *box = open_box(task);
  if (count == 0) {
    task->task.future.user |= TL_EMPTY;
    lua_pushnil(box);
  } else {
    lua_xmove(task->co, box, 1);
  }
  if (TL_UNLIKELY(how != 0)) {
    rt->step.how = 0;
    if (how == TL_STOPPED)
      error = TIDE_ECANCELLED;
    else if (how == TL_FAILED)
      error = number_of_record(box);
    else
      task->task.future.user |= how;
  }
  end_task(task, error, true);
}

void tl_end_broken(tl_task *task, int message) {
  lua_State *co = task->co;
  task->rt->step.how = 0;
  task->task.future.user |= TL_BARE;
  if (co != NULL) tl_coroutine_reset(task->rt->L, task->rt, co, "the cleanup of a broken task");
  if (TL_UNLIKELY(task->greenlets)) tl_greenlets_kill(task->rt->L, task);
  tl_leave_wait(task);
  if (TL_UNLIKELY(task->owned > 0)) tl_owner_close(task->rt->L, task);
  lua_State *box = open_box(task);
  if (message == LUA_NOREF)
    lua_xmove(co, box, 1);
  else
    lua_rawgeti(box, LUA_REGISTRYINDEX, message);
  tl_memory_caught(box, task->rt);
  end_task(task, message == task->rt->messages.no_memory ? TIDE_ENOMEM : TIDE_EFAILED, false);
}

void tl_end_failed(lua_State *L, tl_task *task, bool kept) {
  lua_State *box = open_box(task);
  lua_xmove(L, box, 1);
  if (!kept) task->task.future.user |= TL_BARE;
  end_task(task, kept ? number_of_record(box) : TIDE_EFAILED, kept);
}
