/* budget.c: what a lane's tasks may take of the thread's CPU time, on average: a bucket. */
#include "private.h"

static const tide_time SECOND = 1000000000;

/* A bucket is full with what comes in a tenth of a second: so much may be taken in one go. Who has
 * taken more than there is waits until it is a quarter full: few long waits, not many short ones.
 */
enum { FULL = 10, ENOUGH = 4 };

static int64_t full(const tide_lane *lane) { return (int64_t)(lane->budget / FULL) + 1; }

static void refill(tide_lane *lane) {
  tide_time now = lane->loop->now, span = now - lane->filled;
  lane->filled = now;
  double came = (double)span / (double)SECOND * (double)lane->budget;
  double left = (double)lane->left + came;
  lane->left = left < (double)full(lane) ? (int64_t)left : full(lane);
}

/* When there will be enough in it. */
static tide_time time_of_more(const tide_lane *lane) {
  int64_t lacks = full(lane) / ENOUGH - lane->left;
  double span = (double)lacks / (double)lane->budget * (double)SECOND;
  double longest = (double)(TIDE_NEVER / 2);
  return tide_time_add(lane->loop->now, span < longest ? (tide_time)span + 1 : TIDE_NEVER / 2);
}

static void go_on(tide_lane *lane) {
  tide_list_remove(&lane->link);
  if (tide__lane_has_tasks(lane)) tide__lane_activate(lane);
}

static void has_more(tide_timer *timer) { go_on(tide_container(timer, tide_lane, more)); }

/* In virtual time nothing depends on how fast the machine is. Where there is no memory for the
 * deadline it goes on. */
bool tide__lane_has_budget(tide_lane *lane) {
  tide_loop *loop = lane->loop;
  if (loop->virtual_clock && !loop->manual_clock) return true;
  refill(lane);
  if (lane->left > 0) return true;
  if (tide_timer_start(&lane->more, loop, time_of_more(lane)) != TIDE_OK) return true;
  tide_list_append(&loop->aside, &lane->link);
  return false;
}

void tide__lane_spend(tide_lane *lane, tide_time span) { lane->left -= (int64_t)span; }

void tide_lane_set_budget(tide_lane *lane, tide_time span) {
  bool aside = tide_timer_armed(&lane->more);
  tide_timer_stop(&lane->more, lane->loop);
  tide_timer_init(&lane->more, has_more);
  lane->budget = span;
  lane->left = full(lane);
  lane->filled = lane->loop->now;
  if (aside) go_on(lane);
}
