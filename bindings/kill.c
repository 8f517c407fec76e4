/* kill.c: killing a task: what it has open is closed, at once, and it ends. */
#include "body.h"
#include "close.h"
#include "end.h"
#include "future.h"
#include "greenlet.h"
#include "group.h"
#include "owner.h"
#include "report.h"
#include "runtime.h"
#include "task.h"

/* In protected mode: what the current task, which is killed while its error goes through a <close>
 * that waits, leaves; or nothing. */
static int keep_leaving(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  const tl_task *task = rt->current;
  lua_State *where = tl_error_leaving_push(L, rt, task->co);
  if (where == NULL) return 0;
  tl_body_keep_failure(L, where);
  if (rt->step.how != TL_FAILED) return 0;
  if (tl_task_group_push(L, task)) {
    lua_rawgeti(L, -2, 1);
    lua_rawgeti(L, -3, 2);
    tl_group_add_failure(L, rt, lua_gettop(L) - 2);
    lua_pop(L, 1);
  }
  return 1;
}

void tl_task_kill(lua_State *L, tl_task *task) {
  tl_runtime *rt = task->rt;
  tl_task *killer = rt->current;
  lua_State *stack = rt->L;
  uint8_t how = rt->step.how; /* of a body that has just ended, where a finalizer kills */
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
      rt->step.how = 0;
    }
    tl_close_nested(L, rt, task->co, TL_KILLED);
    tl_close_coroutine(L, rt, task->co, TL_KILLED);
    if (task->greenlets) tl_greenlets_kill(L, task);
    if (lua_status(task->co) == LUA_YIELD)
      task->seen = true; /* too many are closed inside each other: it stays as it is */
    else
      lua_settop(task->co, 0);
    tl_leave_wait(task);
    if (task->task.scope != &task->task.own) tl_report_left(rt);
    while (task->task.scope != &task->task.own) tide_scope_exit(task->task.scope);
  }
  rt->current = killer;
  rt->L = stack;
  if (failed)
    tl_end_failed(L, task, kept);
  else
    tl_end_cancelled(task);
  rt->step.how = how;
}

void tl_task_kill_all(lua_State *L, tl_runtime *rt, const tide_group *group) {
  tl_task *task;
  tide_lane *before = tide_lane_visit(tl_lane(rt)); /* cleanup has a slice */
  for (int slot = 0; (task = tl_live_task_push(L, rt, &slot)) != NULL; lua_pop(L, 1)) {
    if (task->task.state == TIDE_TASK_RUNNING) continue;
    if (group == NULL || tide_scope_outermost(&task->task.own) == &group->scope)
      tl_task_kill(L, task);
  }
  tide_lane_leave(tl_lane(rt), before);
}
