/* semaphore.h: a number of permits, handed out in order of arrival: who wants many is not overtaken
 * by who wants few. */
#ifndef TIDE_SEMAPHORE_H
#define TIDE_SEMAPHORE_H

#include "task.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

typedef struct tide_semaphore {
  size_t permits;    /* free ones; fewer than the first in `waiters` wants */
  size_t bound;      /* permits may not exceed it */
  tide_list waiters; /* who wants some; value.number: how many */
  bool closed;       /* gives out no more */
} tide_semaphore;

/* `bound`: SIZE_MAX for none. */
TIDE_API void tide_semaphore_init(tide_semaphore *semaphore, size_t permits, size_t bound);

/* (waits) Takes `count` permits at once. TIDE_ELIMIT: there are never so many. TIDE_ECLOSED. */
TIDE_API int tide_semaphore_acquire(tide_semaphore *semaphore, tide_task *task, size_t count);

/* Whether so many permits were free, with nobody waiting, and are taken now. */
TIDE_API bool tide_semaphore_try(tide_semaphore *semaphore, size_t count);

/* Gives permits back. TIDE_ELIMIT where that would exceed the bound: then none. */
TIDE_API int tide_semaphore_release(tide_semaphore *semaphore, size_t count);

/* Gives out no more: who waits fails with TIDE_ECLOSED. What is out may come back. */
TIDE_API void tide_semaphore_close(tide_semaphore *semaphore);

/* A case of select (select.h): that the task has a permit. TIDE_ECLOSED. */
TIDE_API void tide_case_semaphore(tide_case *self, tide_semaphore *semaphore);

TIDE_END_DECLS

#endif
