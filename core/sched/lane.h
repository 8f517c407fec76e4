/* lane.h: the tasks of one owner among others' in the same loop.
 *
 * Tasks whose ops name a lane are stepped in it, the others in the loop's own. Lanes take turns: a
 * turn of the loop steps what is ready in each, one lane after the other, for at most the loop's
 * share of time (tide_loop_set_share) and one step more. What is left of a lane's tasks then is
 * gone on with, in order, when it is its turn again. So whoever has 10,000 tasks ready delays a
 * neighbour by its share, not by 10,000 steps. In a loop without such lanes, and in virtual time,
 * nobody is cut short, and no time is looked at for it. With a manual clock tasks run in the same
 * order again only where the share is TIDE_NEVER. */
#ifndef TIDE_LANE_H
#define TIDE_LANE_H

#include "loop.h"

TIDE_BEGIN_DECLS

struct tide_lane {
  tide_list link;  /* among the lanes of the loop that have tasks ready */
  tide_list ready; /* tasks to be stepped in a turn to come, through wait.in.link */
  tide_list batch; /* tasks still to be stepped in this */
  tide_loop *loop; /* whose */
  uint64_t seed;   /* state of the generator that shuffles batches; 0: they are not */
};

/* A lane of the loop's. It is to be freed, by tide_lane_term, before the loop. */
TIDE_API void tide_lane_init(tide_lane *lane, tide_loop *loop);

/* None of its tasks is ready or will be: all have ended or were detached. Not from a step of one of
 * them. */
TIDE_API void tide_lane_term(tide_lane *lane);

/* As tide_loop_set_seed and tide_loop_seed, for the lane's tasks. */
TIDE_API void tide_lane_set_seed(tide_lane *lane, uint64_t seed);
TIDE_API uint64_t tide_lane_seed(const tide_lane *lane);

TIDE_END_DECLS

#endif
