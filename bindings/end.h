/* end.h: how Lua tasks end. Each of these tells the core, which wakes who awaits the task, and lets
 * go of what the task held. */
#ifndef TL_END_H
#define TL_END_H

#include "runtime.h"
#include "task.h"

/* Its coroutine returned `count` values, 0 or 1: what the body left. */
void tl_end_returned(tl_task *task, int count);

/* It was cancelled: it keeps the reason, if there was one. */
void tl_end_cancelled(tl_task *task);

/* It was killed, and has failed with what is on top of L, and popped; `kept` where that is the
 * task's error, and not why it could not be kept. */
void tl_end_failed(lua_State *L, tl_task *task, bool kept);

/* Its coroutine ended in a way that the body could not keep: there was no memory, or it yielded to
 * nobody. `message` is a registry reference, or LUA_NOREF: the coroutine has the error. */
void tl_end_broken(tl_task *task, int message);

/* A task that ends may have a wait that went to a resume that is not tide's. */
static inline void tl_leave_wait(tl_task *task) {
  if (TL_UNLIKELY(task->task.state != TIDE_TASK_RUNNING)) tide_task_detach(&task->task);
}

/* The hook of a coroutine that another task may use is what all have. */
void tl_hook_reset(const tl_runtime *rt, lua_State *co);

#endif
