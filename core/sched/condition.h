/* condition.h: waiting, with a lock let go meanwhile, for somebody's word. */
#ifndef TIDE_CONDITION_H
#define TIDE_CONDITION_H

#include "lock.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

typedef struct tide_condition {
  tide_lock *lock;   /* the owner's; outlives the condition */
  tide_list waiters; /* who waits for notify */
} tide_condition;

TIDE_API void tide_condition_init(tide_condition *condition, tide_lock *lock);

/* (waits) Releases the lock, waits for a notification, takes the lock again. Whatever the outcome,
 * the task holds the lock. TIDE_EINVALID_STATE where it did not, or more than once. */
TIDE_API int tide_condition_wait(tide_condition *condition, tide_task *task);

/* Wakes up to `count` of the longest waiters. TIDE_EINVALID_STATE where `task` does not hold the
 * lock. */
TIDE_API int tide_condition_notify(tide_condition *condition, const tide_task *task, size_t count);

TIDE_END_DECLS

#endif
