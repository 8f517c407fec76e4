/* lock.h: mutual exclusion among tasks, handed over in order of arrival. */
#ifndef TIDE_LOCK_H
#define TIDE_LOCK_H

#include "task.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

/* A task must release what it holds before it ends: else nobody can. */
typedef struct tide_lock {
  uint64_t owner;    /* id of the task that holds it, or 0 */
  tide_list waiters; /* who wants it; empty while it is free */
  bool reentrant;    /* its owner may acquire it again, and releases it as often */
  uint32_t depth;    /* how often its owner has */
} tide_lock;

TIDE_API void tide_lock_init(tide_lock *lock);
TIDE_API void tide_rlock_init(tide_lock *lock); /* a re-entrant one */

/* (waits) TIDE_OK: `task` holds the lock. TIDE_EINVALID_STATE where it does already, and the lock
 * is not re-entrant. */
TIDE_API int tide_lock_acquire(tide_lock *lock, tide_task *task);

/* Whether `task` got the lock at once. */
TIDE_API bool tide_lock_try(tide_lock *lock, tide_task *task);

/* Hands the lock to the longest waiter, once it was released as often as acquired.
 * TIDE_EINVALID_STATE where `task` does not hold it. */
TIDE_API int tide_lock_release(tide_lock *lock, const tide_task *task);

/* A case of select (select.h): that the task has acquired the lock. */
TIDE_API void tide_case_lock(tide_case *self, tide_lock *lock);

TIDE_END_DECLS

#endif
