/* source.c: the machinery of waits, for sources that are not the core's. */
#include "source.h"

#include "private.h"

bool tide_source_enter(tide_task *task, const tide_wait_ops *ops, void *source) {
  return tide__wait_enter(task, ops, source);
}

int tide_source_over(tide_task *task, int outcome) { return tide__wait_over(task, outcome); }

int tide_source_park(tide_task *task, tide_list *waiters) { return tide__wait_park(task, waiters); }

void tide_source_leave(tide_wait *wait) { tide__wait_unlink(wait); }

void tide_source_end(tide_wait *wait, int outcome) {
  tide__wait_unlink(wait);
  tide__wait_end(wait, tide__error_given(outcome));
}
