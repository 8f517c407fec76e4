/* future.h: a result that is not there yet. Every task is one. */
#ifndef TIDE_FUTURE_H
#define TIDE_FUTURE_H

#include "wait.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

typedef enum tide_future_state {
  TIDE_FUTURE_PENDING,
  TIDE_FUTURE_DONE,      /* with a result, kept by the future's owner */
  TIDE_FUTURE_FAILED,    /* with an error, kept by the future's owner */
  TIDE_FUTURE_CANCELLED, /* without either; a task: as it was asked to */
} tide_future_state;

enum { TIDE_PARKED_SHIFT = 20 }; /* tide_future.parked is in units of 2^20 ns */

typedef struct tide_future {
  tide_list waiters; /* waits for the end, in order of arrival */
  uint8_t state;     /* tide_future_state */
  bool observed;     /* somebody waited when it ended, or came later: a failure is seen */
  bool is_task;      /* it is the first member of a tide_task */
  uint8_t user;      /* free for the owner */
  union {
    uint32_t parked; /* a task's, until it has ended: when its wait began, in those units, modulo
                        2^32 */
    int error;       /* once it has ended: what tide_future_error gives */
  };
} tide_future;

TIDE_API void tide_future_init(tide_future *future);

static inline bool tide_future_ended(const tide_future *future) {
  return future->state != TIDE_FUTURE_PENDING;
}

/* Ends the future and wakes all that wait for it. TIDE_OK, or TIDE_EINVALID_STATE where it had
 * ended already. For tasks: tide_task_finish. */
TIDE_API int tide_future_end(tide_future *future, tide_future_state state);

/* The same: done for TIDE_OK, cancelled for TIDE_ECANCELLED, else failed with that error; a
 * positive number counts as TIDE_EMISUSE. For tasks: tide_task_finish_with. */
TIDE_API int tide_future_end_with(tide_future *future, int error);

/* How it has ended: TIDE_OK, TIDE_ECANCELLED, or the error that it failed with, TIDE_EFAILED where
 * its owner keeps one of another sort. A Lua task's is the number of its error's kind; TIDE_EFAILED
 * of a kind that is not the core's, and where the task has failed with another's cancellation.
 * TIDE_PENDING: it has not. */
static inline int tide_future_error(const tide_future *future) {
  return tide_future_ended(future) ? future->error : TIDE_PENDING;
}

/* A task: requests its cancellation. Another future: ends it as cancelled. False where it had
 * ended already. */
TIDE_API bool tide_future_cancel(tide_future *future);

/* (waits) Parks `task` until the future has ended: the outcome is TIDE_OK in whatever state it
 * then is. If the task is cancelled meanwhile, the wait ends at once with TIDE_ECANCELLED, but for
 * one that is not `shielded`, of another task for which nobody else waits: that is cancelled, and
 * the wait goes on until it has ended. (Whoever else is in `waiters` counts. Tasks that would so
 * wait for each other in a circle do not.) Futures that are no tasks stay as they are.
 * TIDE_EINVALID_STATE where a task would wait for itself. */
TIDE_API int tide_future_wait(tide_future *future, tide_task *task, bool shielded);

/* The future whose end the task waits for (not as a case of select), or NULL. */
TIDE_API tide_future *tide_task_awaits(const tide_task *task);

/* A case of select (select.h): that the future has ended. It is not cancelled with the waiter. */
TIDE_API void tide_case_future(tide_case *self, tide_future *future);

TIDE_END_DECLS

#endif
