/* recall.c: entering functions that are called again after a wait. */
#include "recall.h"

int tide__recall_enter(void *source, bool closed, tide_task **claim, tide_task *task,
                       const tide_wait_ops *ops) {
  if (*claim == task) *claim = NULL;
  if (!tide__wait_enter(task, ops, source)) return TIDE_PENDING;
  if (closed) return tide__wait_over(task, TIDE_ECLOSED);
  if (*claim != NULL) return tide__wait_over(task, TIDE_EBUSY);
  return tide__recall_leave(claim, task, tide__wait_skip(task));
}

void tide__recall_close(tide_task **claim) {
  tide_task *task = *claim;
  *claim = NULL;
  if (task == NULL) return;
  if (task->state == TIDE_TASK_WAITING) tide__task_interrupt(task, TIDE_ECLOSED); /* elsewhere */
  if (task->state != TIDE_TASK_READY || task->outcome != TIDE_OK) return;
  if (task->wait.ops->reject != NULL) task->wait.ops->reject(&task->wait, TIDE_OK);
  task->outcome = TIDE_ECLOSED;
}
