/* steps.h: steps that read from top to bottom, although they return at every wait: macros in the
 * manner of protothreads.
 *
 *     typedef struct consumer {
 *       tide_task task;
 *       tide_steps steps; // zeros in the beginning
 *       tide_queue *queue;
 *     } consumer;
 *
 *     static void consume(tide_task *task, int outcome) {
 *       consumer *self = tide_container(task, consumer, task);
 *       TIDE_BEGIN(task, &self->steps, outcome);
 *       for (;;) {
 *         TIDE_TRY(tide_queue_get(self->queue, task));
 *         use((uint32_t)task->wait.value.number);
 *       }
 *       TIDE_END;
 *     }
 *
 * Locals do not outlive a wait: what must is in the task's struct. A body is a switch, whose cases
 * are lines: no other switch is around a wait, and one line has one wait. In C++ no local with an
 * initial value is in the scope of a wait. */
#ifndef TIDE_STEPS_H
#define TIDE_STEPS_H

#include "task.h"

TIDE_BEGIN_DECLS

/* Where such a task is; zeros before it begins. */
typedef struct tide_steps {
  int at;      /* the line of the wait it is in; 0: the beginning */
  int outcome; /* of its last wait, or call that need not wait */
} tide_steps;

TIDE_END_DECLS

/* The beginning of a step's body, with what the step was given. Where the task was cancelled before
 * its first step the body does not run. */
#define TIDE_BEGIN(task, steps, result)    \
  tide_task *const tide_task_ = (task);    \
  tide_steps *const tide_steps_ = (steps); \
  tide_steps_->outcome = (result);         \
  switch (tide_steps_->at) {               \
  default:                                 \
    if (tide_steps_->outcome == TIDE_OK) {

/* Its end: the task has ended with its last outcome (tide_task_finish_with). */
#define TIDE_END \
  }              \
  }              \
  tide_task_finish_with(tide_task_, tide_steps_->outcome)

/* Ends the task here, with that outcome. */
#define TIDE_LEAVE(result)                       \
  do {                                           \
    tide_task_finish_with(tide_task_, (result)); \
    return;                                      \
  } while (0)

/* Returns from the step where the call gave TIDE_PENDING, and goes on behind it at the next one. */
#define TIDE_SUSPEND_                         \
  if (tide_steps_->outcome == TIDE_PENDING) { \
    tide_steps_->at = __LINE__;               \
    return;                                   \
  case __LINE__:;                             \
  }

#define TIDE_OR_LEAVE_ \
  if (tide_steps_->outcome != TIDE_OK) TIDE_LEAVE(tide_steps_->outcome)

/* Calls a function that is called once, as those of sched/ are, and goes on when the wait is over:
 * the steps' outcome says how it went. */
#define TIDE_WAIT(call)            \
  do {                             \
    tide_steps_->outcome = (call); \
    TIDE_SUSPEND_                  \
  } while (0)

/* The same; what is no TIDE_OK ends the task. */
#define TIDE_TRY(call) \
  do {                 \
    TIDE_WAIT(call);   \
    TIDE_OR_LEAVE_;    \
  } while (0)

/* Calls a function that is called again after a wait that went well, as those of io/ are, until it
 * is done. What it is given outlives the wait. */
#define TIDE_CALL(call)                                \
  do {                                                 \
    for (;;) {                                         \
      tide_steps_->outcome = (call);                   \
      if (tide_steps_->outcome != TIDE_PENDING) break; \
      TIDE_SUSPEND_                                    \
      if (tide_steps_->outcome != TIDE_OK) break;      \
    }                                                  \
  } while (0)

/* The same; what is no TIDE_OK ends the task. */
#define TIDE_TRY_CALL(call) \
  do {                      \
    TIDE_CALL(call);        \
    TIDE_OR_LEAVE_;         \
  } while (0)

/* Calls what is called again whatever the outcome, as iterators are, until it is done. */
#define TIDE_STEP(call)                                \
  do {                                                 \
    for (;;) {                                         \
      tide_steps_->outcome = (call);                   \
      if (tide_steps_->outcome != TIDE_PENDING) break; \
      TIDE_SUSPEND_                                    \
    }                                                  \
  } while (0)

#endif
