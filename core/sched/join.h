/* join.h: several futures, one after the other as they end. gather, wait, race and as_completed are
 * loops over this. */
#ifndef TIDE_JOIN_H
#define TIDE_JOIN_H

#include "future.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

typedef struct tide_join_member {
  tide_wait wait;      /* for the future's end; without a task; in.link alone once it came */
  tide_future *future; /* kept alive by the join's owner until tide_join_term */
} tide_join_member;

typedef struct tide_join {
  tide_loop *loop;           /* where */
  tide_wait *waiter;         /* who is in tide_join_wait, or NULL */
  bool forward;              /* a cancelled waiter gives the members up */
  bool force;                /* also tasks for which others wait; to be set after tide_join_init */
  bool held;                 /* tide_join_hold was called */
  bool draining;             /* it did; it wakes when those that it cancelled have ended */
  uint32_t count;            /* members added */
  uint32_t ended;            /* how many of them have ended */
  uint32_t taken;            /* how many of those tide_join_take gave out */
  uint32_t left;             /* how many it let go of */
  uint32_t looked_at;        /* while circles of tasks that wait for each other are looked for */
  uint32_t *order;           /* the indices of those that ended, in that order */
  tide_join_member *members; /* behind the join; room for as many as tide_join_size was told */
} tide_join;

/* Bytes of a join with room for `members`, which its owner allocates. */
TIDE_API size_t tide_join_size(uint32_t members);

TIDE_API void tide_join_init(tide_join *join, tide_loop *loop, uint32_t members, bool forward);

/* Adds a future; its index is the number of those added before. */
TIDE_API void tide_join_add(tide_join *join, tide_future *future);

/* Takes the index (from 0) of the next member that has ended. False where there is none yet. */
TIDE_API bool tide_join_take(tide_join *join, uint32_t *index);

/* (waits) Until tide_join_take gives something; with `forward`, a cancelled waiter gives up the
 * members by the rule of tide_future_wait, and ends, with TIDE_ECANCELLED, when those that were
 * cancelled have ended; tide_join_take gives them. TIDE_EINVALID_STATE: nothing is left to wait
 * for. TIDE_EBUSY: another task waits already. */
TIDE_API int tide_join_wait(tide_join *join, tide_task *task);

/* A case of select (select.h): that tide_join_take gives something. No member is given up where the
 * task is cancelled. Errors as of tide_join_wait. */
TIDE_API void tide_case_join(tide_case *self, tide_join *join);

/* From now on whoever waits cleans up: has cancelled what it awaits, and is in a shield. The wait
 * hands nothing on, and ends with TIDE_OK too, after which tide_join_take gives nothing, where what
 * is awaited waits for the waiter's end. Nobody may wait at present. */
TIDE_API void tide_join_hold(tide_join *join);

/* Lets go of the members that have not ended. */
TIDE_API void tide_join_term(tide_join *join);

TIDE_END_DECLS

#endif
