/* recall.h: what functions that are called again after a wait have in common. Internal to core.
 *
 * Between the end of a task's wait and its next call nobody else may come in: the place it holds,
 * its `claim`, is kept from the first call that waits to the one that does not. */
#ifndef TIDE_RECALL_H
#define TIDE_RECALL_H

#include "private.h"

/* Begins a call by `task` on `source`, which may be closed. TIDE_OK: go on; else this is to be
 * returned. */
int tide__recall_enter(void *source, bool closed, tide_task **claim, tide_task *task,
                       const tide_wait_ops *ops);

/* Says that `result` is returned: with TIDE_PENDING the task keeps its place. */
static inline int tide__recall_leave(tide_task **claim, tide_task *task, int result) {
  if (result == TIDE_PENDING) *claim = task;
  return result;
}

/* The object is closed, and nobody waits for it any more: a task that was woken to call again is
 * told so in place of that, as is one that holds the place while it waits for something else. */
void tide__recall_close(tide_task **claim);

#endif
