/* park.h: the one FIFO of parked waits that locks, queues, events and futures share. Internal to
 * core. */
#ifndef TIDE_PARK_H
#define TIDE_PARK_H

#include "task.h"

/* Parks the running task, whose wait was entered, at the list's end. Always TIDE_PENDING. */
int tide__wait_park(tide_task *task, tide_list *waiters);

/* An `abandon` for waits that are in a list. */
void tide__wait_unlink(tide_wait *wait);

/* The source's word that the wait is over (it must be out of the source already). */
void tide__wait_end(tide_wait *wait, int outcome);

/* The same for one that is in its source, which may be gone when the task learns of it. */
void tide__wait_break(tide_wait *wait, int outcome);

/* The longest waiter, still in the list, or NULL. */
static inline tide_wait *tide__park_first(const tide_list *waiters) {
  return tide_list_empty(waiters) ? NULL : tide_container(waiters->next, tide_wait, in.link);
}

/* Ends the longest wait and gives it, or NULL where there is none. */
tide_wait *tide__park_wake(tide_list *waiters, int outcome);

void tide__park_wake_all(tide_list *waiters, int outcome);

#endif
