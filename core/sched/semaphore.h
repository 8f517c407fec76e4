/* semaphore.h: a number of permits, handed out in order of arrival. */
#ifndef TIDE_SEMAPHORE_H
#define TIDE_SEMAPHORE_H

#include "task.h"

TIDE_BEGIN_DECLS

typedef struct tide_semaphore {
  size_t permits;    /* free ones; 0 while anybody waits */
  size_t bound;      /* permits may not exceed it */
  tide_list waiters; /* who wants one */
} tide_semaphore;

/* `bound`: SIZE_MAX for none. */
TIDE_API void tide_semaphore_init(tide_semaphore *semaphore, size_t permits, size_t bound);

/* (waits) Takes a permit. */
TIDE_API int tide_semaphore_acquire(tide_semaphore *semaphore, tide_task *task);

/* Whether a permit was free, and is taken now. */
TIDE_API bool tide_semaphore_try(tide_semaphore *semaphore);

/* Gives a permit back. TIDE_EINVALID_STATE where that would exceed the bound. */
TIDE_API int tide_semaphore_release(tide_semaphore *semaphore);

/* A case of select (select.h): that the task has a permit. */
TIDE_API void tide_case_semaphore(tide_case *self, tide_semaphore *semaphore);

TIDE_END_DECLS

#endif
