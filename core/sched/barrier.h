/* barrier.h: so many tasks wait until all of them have come. */
#ifndef TIDE_BARRIER_H
#define TIDE_BARRIER_H

#include "task.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

typedef struct tide_barrier {
  size_t parties;    /* how many must come */
  size_t waiting;    /* how many have */
  bool broken;       /* abort was called; until reset, waits fail */
  tide_list waiters; /* in order of arrival */
} tide_barrier;

TIDE_API void tide_barrier_init(tide_barrier *barrier, size_t parties);

/* (waits) Until all parties wait; the last to come does not. wait.value.number is then the task's
 * place in the order of arrival, from 1. TIDE_EBROKEN_BARRIER after an abort or a reset. A wait
 * that is cancelled did not happen: the others go on waiting. */
TIDE_API int tide_barrier_wait(tide_barrier *barrier, tide_task *task);

/* Waits in progress fail; the barrier is as new. */
TIDE_API void tide_barrier_reset(tide_barrier *barrier);

/* Waits in progress and to come fail. */
TIDE_API void tide_barrier_abort(tide_barrier *barrier);

TIDE_END_DECLS

#endif
