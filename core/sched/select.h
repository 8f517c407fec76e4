/* select.h: waiting for the first of several things, of which exactly one happens.
 *
 * A case stands for a wait on one source: a queue's next item, a lock. Each source's header has a
 * function tide_case_... that makes one, but for what cannot be begun and taken back as if it had
 * never been: Condition.wait, which lets a lock go, a barrier, which a waiter that leaves breaks,
 * and a write, which may be done in part. */
#ifndef TIDE_SELECT_H
#define TIDE_SELECT_H

#include "task.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

/* What a source gives to select: see source.h. */
typedef struct tide_case_ops {
  const tide_wait_ops *wait; /* of the wait while it is parked */
  /* Does it where that needs no waiting: TIDE_OK; TIDE_PENDING: it would wait; or an error. */
  int (*attempt)(tide_case *self);
  /* Links the wait into the source. TIDE_OK; or an error, with no effect. */
  int (*park)(tide_case *self);
  bool again; /* its end says only that the next attempt may succeed */
} tide_case_ops;

struct tide_case {
  tide_wait wait;           /* in the source while the select is parked; wait.value: what
                               it gave, said with each source */
  const tide_case_ops *ops; /* which kind of source */
};

/* Allocates nothing and owns nothing: the cases are its owner's, and so are their sources. */
typedef struct tide_select {
  tide_case *cases; /* which, in the order in which those that are ready are preferred */
  uint32_t count;   /* how many: one at least */
  uint32_t chosen;  /* the index of the one that happened, or that failed */
  bool over;        /* it has happened, and the next call says so */
  bool leaving;     /* its cases are being taken out of their sources */
} tide_select;

TIDE_API void tide_select_init(tide_select *select, tide_case *cases, uint32_t count);

/* (waits) Until one of the cases has happened: `chosen` tells which. The others are as if they had
 * never been. To be called again after TIDE_PENDING and outcome TIDE_OK;
 * with another outcome none happened. Errors are those of the first case that fails; TIDE_ENOMEM.
 */
TIDE_API int tide_select_wait(tide_select *select, tide_task *task);

/* The same without waiting: TIDE_PENDING where tide_select_wait is to be called, and nothing has
 * happened; else as that. Nothing refers to the select afterwards. */
TIDE_API int tide_select_try(tide_select *select, tide_task *task);

/* A case that happens at `when` on the loop's clock. */
TIDE_API void tide_case_at(tide_case *self, tide_time when);

TIDE_END_DECLS

#endif
