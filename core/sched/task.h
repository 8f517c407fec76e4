/* task.h: what the loop runs. A task is stepped, parks itself on a wait, and is stepped again when
 * that has ended. What a step is, its owner says: a coroutine, a state machine, a callback. */
#ifndef TIDE_TASK_H
#define TIDE_TASK_H

#include "future.h"
#include "scope.h"
#include "wait.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

typedef struct tide_group tide_group;
typedef struct tide_lane tide_lane; /* lane.h */

typedef struct tide_task_ops {
  const char *name; /* what these tasks are, for who looks at the tree; or NULL */
  /* Runs the task up to its next wait or its end. `outcome` is that of the wait that ended; at the
   * first step TIDE_OK, or TIDE_ECANCELLED where the task was cancelled before it ran. It returns
   * after a waiting function gave TIDE_PENDING, or after tide_task_finish. It must not raise,
   * longjmp or block. */
  void (*step)(tide_task *task, int outcome);
  /* Where these tasks take turns with others; NULL: in the loop's own lane. It is one of the loop
   * that they are made for. */
  tide_lane *lane;
  /* The loop is being freed (tide_loop_free), and the task has not ended: now it has, as cancelled,
   * and will not be stepped. Gives back what it holds; may free it, and call whatever does not
   * wait, but spawn no task. Tasks that were spawned inside of this one come first. NULL: it holds
   * nothing that its owner would not give back. */
  void (*drop)(tide_task *task);
} tide_task_ops;

typedef enum tide_task_state {
  TIDE_TASK_NEW,     /* not spawned yet */
  TIDE_TASK_READY,   /* in the ready list */
  TIDE_TASK_RUNNING, /* inside its step */
  TIDE_TASK_WAITING, /* its wait is pending */
  TIDE_TASK_ENDED,   /* finished: the core holds no pointer to it */
} tide_task_state;

/* Allocated by whoever makes the task, and kept until it has ended. */
struct tide_task {
  tide_future future;       /* must be first: ends when the task does */
  tide_scope own;           /* the scope that tide_task_cancel cancels */
  tide_scope *scope;        /* the innermost scope around the point where it is */
  const tide_task_ops *ops; /* how to step it */
  tide_loop *loop;          /* where it runs */
  tide_wait wait;           /* what it waits for; while ready, its link is in the ready list */
  uint64_t id;              /* from 1, never reused in one loop */
  int outcome;              /* of the last wait */
  uint8_t state;            /* tide_task_state */
  uint8_t streak;           /* waits in a row that needed no waiting */
  bool started : 1;         /* it was stepped at least once */
  bool branched : 1;        /* it has left a branch, of branch.h, at least once */
  uint8_t user;             /* free for the owner */
};

/* A task that is not in any loop yet. Spawning it puts its scope into a group's (the one for tasks
 * of no other group: tide_loop_background). */
TIDE_API void tide_task_init(tide_task *task, tide_loop *loop, const tide_task_ops *ops);

/* Starts the task in `group`: its first step comes at the loop's next turn, or when the group's
 * limit lets it. TIDE_ECLOSED where the group takes no more. */
TIDE_API int tide_task_spawn(tide_task *task, tide_group *group);

/* The same, at `when` on the loop's clock: then the limit is asked. TIDE_ENOMEM, TIDE_ECLOSED. */
TIDE_API int tide_task_spawn_at(tide_task *task, tide_group *group, tide_time when);

/* The same, once `future` has ended. The future must outlive the task's wait. */
TIDE_API int tide_task_spawn_after(tide_task *task, tide_group *group, tide_future *future);

/* From inside its step, or after tide_task_detach: the task has ended. Wakes who waits for it and
 * tells its group. The caller may free the task afterwards. */
TIDE_API void tide_task_finish(tide_task *task, tide_future_state state);

/* The same: done for TIDE_OK, cancelled for TIDE_ECANCELLED, else failed with that error (a
 * positive number counts as TIDE_EMISUSE), which
 * tide_future_error gives to who awaits the task, and tide_group_error to who waits for its group
 * where it is the first to fail there. Timeouts that the task has open (timeout.h) end as by
 * tide_timeout_end: TIDE_ECANCELLED may become TIDE_ETIMEOUT. */
TIDE_API void tide_task_finish_with(tide_task *task, int error);

/* From the end of a step, for owners that step many tasks in one loop of their own: the next task
 * to be stepped now, with the outcome of its wait in `outcome`, if its ops are `ops`. NULL: return
 * from the step. */
TIDE_API tide_task *tide_task_next(tide_loop *loop, const tide_task_ops *ops);

/* For the same owners, at the beginning of a step: has the processor fetch into its cache what the
 * loop knows of the task after next, and returns the one that is probably next, of which that was
 * done before: so its owner can have fetched what it has of its own. NULL: there is none yet.
 * Changes nothing but times. */
TIDE_API const tide_task *tide_task_fetch_ahead(const tide_loop *loop);

/* Requests cancellation: cancels the task's own scope. False where it has ended. */
TIDE_API bool tide_task_cancel(tide_task *task);

/* The same, of all scopes that it has open too: none of them shields what is inside. */
TIDE_API bool tide_task_cancel_through(tide_task *task);

/* Takes one request back. */
TIDE_API void tide_task_uncancel(tide_task *task);

/* Whether waits raise at the point where the task is. */
static inline bool tide_task_cancelled(const tide_task *task) {
  return tide_scope_cancelled(task->scope);
}

/* Takes a task that is not running out of the loop for good: its wait is abandoned, or what it
 * was given goes back. It is never stepped again; tide_task_finish must follow. Harmless on one
 * that is in no list: it is all zeros, was not spawned yet, runs, was detached, or has ended. */
TIDE_API void tide_task_detach(tide_task *task);

/* (waits) Lets every other ready task run once. Always TIDE_PENDING. */
TIDE_API int tide_task_yield(tide_task *task);

/* (waits) Until `when` on the loop's clock; a time that has passed yields. TIDE_ENOMEM. */
TIDE_API int tide_task_sleep_until(tide_task *task, tide_time when);

/* What the task waits for ("Queue.get"), or NULL where it does not. */
TIDE_API const char *tide_task_waits_for(const tide_task *task);

/* For how long, on the loop's clock; 0 where it does not wait. Good to 1.05 ms, and up to 52 days.
 * Functions that are called again begin a new wait each time. */
TIDE_API tide_time tide_task_waited(const tide_task *task);

TIDE_END_DECLS

#endif
