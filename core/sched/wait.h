/* wait.h: the record of one thing that a task waits for.
 *
 * A wait is linked into exactly one source (a park list, the timer heap, a descriptor) and ends
 * exactly once: completed by its source, or abandoned. Completion runs nobody's code: it makes the
 * task ready. What the wait was for, and what came of it, stays readable until the next wait.
 *
 * (waits), in this and other headers: the function is for the task inside its step. TIDE_PENDING:
 * the task waits, and returns from its step; the outcome of its next step is the answer, where the
 * header does not say that the call is to be made again. Anything else is the answer, and the task
 * does not wait. In a cancelled scope the next step's outcome is TIDE_ECANCELLED, and nothing has
 * happened.
 *
 * What tasks wait in (a lock, a queue) must stay until all that waited in it have been stepped
 * again or detached: one that was woken and is killed gives back what it was given. A future may be
 * freed as soon as it has ended, a task as soon as it has finished, in that very step. */
#ifndef TIDE_WAIT_H
#define TIDE_WAIT_H

#include "../base/error.h"
#include "../base/list.h"
#include "timer.h"

TIDE_BEGIN_DECLS

typedef struct tide_task tide_task;
typedef struct tide_wait tide_wait;
typedef struct tide_case tide_case; /* select.h */

typedef struct tide_wait_ops {
  const char *name; /* what is waited for, as a script would call it: "sleep", "Lock.acquire" */
  const char *(*tell)(const tide_wait *wait); /* says it where that is NULL */
  /* Takes a pending wait out of its source, as if it had never been. Required. */
  void (*abandon)(tide_wait *wait);
  /* The task is interrupted with `outcome`: TIDE_ECANCELLED where its scope was cancelled. True:
   * the wait stays pending and will end by itself. NULL or false: it is abandoned, and the task
   * wakes with the outcome. */
  bool (*cancel)(tide_wait *wait, int outcome);
  /* The wait has ended with `outcome` (TIDE_ECANCELLED: or was abandoned for good), and its task
   * will never see it: give back what it was given. */
  void (*reject)(tide_wait *wait, int outcome);
  /* For waits that hand cancellation on to what they wait for (forward.c): does so. */
  void (*forward)(tide_wait *wait);
  /* In a future's list: whether it has given up, and only waits on for the future's end. NULL: it
   * has not. */
  bool (*given_up)(const tide_wait *wait);
  /* The first task, or the one after `last`, without whose end this wait will not end, whatever is
   * asked of it; NULL past the last. NULL: it can be told to end at any time. */
  tide_task *(*awaits)(tide_wait *wait, const tide_task *last);
  /* With `awaits`: it may be the one to end, by TIDE_OK, where such waits are in a circle and none
   * of them has handed cancellation on. */
  bool lets_go;
  /* For waits without a task: called instead of waking one. Must not run user code. */
  void (*ended)(tide_wait *wait, int outcome);
  /* For those, in a future's list: who waits by it, or NULL. NULL: nobody, until it has ended. */
  tide_task *(*waiter)(const tide_wait *wait);
} tide_wait_ops;

struct tide_wait {
  union {
    tide_list link;   /* in a park list */
    tide_timer timer; /* in the timer heap */
  } in;
  tide_task *task;          /* who waits, by this or through a select; NULL: ops->ended is told */
  const tide_wait_ops *ops; /* what kind of source; NULL: none yet */
  void *source;             /* the lock, queue, future ... */
  union {
    void *pointer;
    uint64_t number;
    int64_t integer;
  } value; /* what the source gave, or what it needs to know; said with each source */
};

/* For who is about to free a lock, an event, a future: all waits in that list of its own end with
 * the outcome, an error, and no task that waited touches it any more. */
TIDE_API void tide_waits_break(tide_list *waiters, int outcome);

TIDE_END_DECLS

#endif
