/* lane.h: the tasks of one owner among others' in the same loop.
 *
 * Tasks whose ops name a lane are stepped in it, the others in the loop's own. Lanes take turns: a
 * turn of the loop steps what is ready in each, one lane after the other, for at most the loop's
 * share of time (tide_loop_set_share) and one step more. What is left of a lane's tasks then is
 * gone on with, in order, when it is its turn again. So whoever has 10,000 tasks ready delays a
 * neighbour by its share, not by 10,000 steps. In a loop without such lanes, and in virtual time,
 * nobody is cut short, and no time is looked at for it. With a manual clock tasks run in the same
 * order again only where the share is TIDE_NEVER.
 *
 * A lane may have a budget, and a slice for each step (watchdog.h). */
#ifndef TIDE_LANE_H
#define TIDE_LANE_H

#include "loop.h"
#include "timer.h"

TIDE_BEGIN_DECLS

typedef struct tide_slice_limit tide_slice_limit; /* watchdog.h */

struct tide_lane {
  tide_list link;          /* among the lanes of the loop that have tasks ready */
  tide_list ready;         /* tasks to be stepped in a turn to come, through wait.in.link */
  tide_list batch;         /* tasks still to be stepped in this */
  tide_loop *loop;         /* whose */
  uint64_t seed;           /* state of the generator that shuffles batches; 0: they are not */
  tide_time budget;        /* of CPU time per second; 0: none */
  int64_t left;            /* of that, as it was filled last; below zero: more was taken */
  tide_time filled;        /* when that was, by the loop's clock */
  tide_timer more;         /* while it is set aside: when it has enough again */
  tide_slice_limit *slice; /* of CPU time that a step may take; or NULL */
};

/* A lane of the loop's. It is to be freed, by tide_lane_term, before the loop. */
TIDE_API void tide_lane_init(tide_lane *lane, tide_loop *loop);

/* None of its tasks is ready or will be: all have ended or were detached. Not from a step of one of
 * them. */
TIDE_API void tide_lane_term(tide_lane *lane);

/* As tide_loop_set_seed and tide_loop_seed, for the lane's tasks. */
TIDE_API void tide_lane_set_seed(tide_lane *lane, uint64_t seed);
TIDE_API uint64_t tide_lane_seed(const tide_lane *lane);

/* What the lane's tasks may take of the thread's CPU time in each second of the loop's clock, on
 * average and up to a tenth of it in one go; 0: all. While they have taken more, they are not
 * stepped: the lane is passed over. A step is never cut short by it (for that see watchdog.h), and
 * does not begin before what it has taken too much has been made up for. Not heeded while time is
 * virtual. */
TIDE_API void tide_lane_set_budget(tide_lane *lane, tide_time span);

/* The lane of tasks whose ops name none. */
TIDE_API tide_lane *tide_loop_own_lane(tide_loop *loop);

TIDE_END_DECLS

#endif
