/* rwlock.h: many readers or one writer, in order of arrival: a reader that comes after a waiting
 * writer waits behind it. */
#ifndef TIDE_RWLOCK_H
#define TIDE_RWLOCK_H

#include "task.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

typedef struct tide_rwlock {
  size_t readers;    /* how many read */
  bool writing;      /* somebody writes; then nobody reads */
  tide_list waiters; /* readers and writers; value.number: 1 for a writer */
} tide_rwlock;

TIDE_API void tide_rwlock_init(tide_rwlock *lock);

/* (waits) */
TIDE_API int tide_rwlock_acquire(tide_rwlock *lock, tide_task *task, bool write);

/* A case of select (select.h): that the task reads or writes. */
TIDE_API void tide_case_rwlock(tide_case *self, tide_rwlock *lock, bool write);

/* Ends one holder's reading or writing. TIDE_EINVALID_STATE where nobody does. */
TIDE_API int tide_rwlock_release(tide_rwlock *lock, bool write);

/* How many of those who wait want to write. O(waiters). */
TIDE_API size_t tide_rwlock_writers_waiting(const tide_rwlock *lock);

TIDE_END_DECLS

#endif
