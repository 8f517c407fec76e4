/* turn.c: stepping what is ready: turns, runs of turns, and ticks. */
#include <errno.h>

#include "../base/shuffle.h"
#include "lane.h"
#include "port.h"
#include "private.h"

/* While only ready tasks keep the loop busy, it is polled at the first turn's end after this many
 * nanoseconds. Reading the clock costs as much as half a step: it is read every so many steps, and
 * before each once steps have proved slow, or where they are to end at a certain time. What was
 * slow is likely to be so again, and after an idle poll anything may come: then, for so many turns,
 * it is read at the end of each as well, which costs a hundredth of what was slow. */
static const tide_time POLL_INTERVAL = 200000;
enum { MAX_STRIDE = 32 };

/* Steps have been made since the clock was looked at last: the longest slice is one of them, or at
 * most all of them. */
__attribute__((noinline)) void tide__look_at_clock(tide_loop *loop) {
  tide_time now = tide_clock_monotonic();
  tide_time span = now - loop->checked;
  if (span > loop->longest) loop->longest = span;
  loop->steps += loop->stride - loop->left;
  bool spaced = span < POLL_INTERVAL && loop->steps_end == TIDE_NEVER;
  bool over = now >= loop->steps_end;
  loop->left = loop->stride = over ? 0 : spaced ? MAX_STRIDE : 1;
  loop->checked = now;
  loop->due = now - loop->polled >= POLL_INTERVAL;
  if (span >= POLL_INTERVAL)
    loop->wary = TIDE__WARY_TURNS;
  else if (loop->due && loop->wary == 0)
    loop->wary = 1; /* this turn's end */
}

/* Whether the next step may begin: else its time is over. */
static inline bool may_step(tide_loop *loop) {
  if (__builtin_expect(loop->left == 0, 0)) tide__look_at_clock(loop);
  return loop->left > 0;
}

/* Takes a task out of the batch and makes it the running one. */
static tide_task *begin_step(tide_loop *loop, tide_list *link) {
  tide_task *task = tide_container(link, tide_task, wait.in.link);
  tide_list_remove(link);
  if (!task->started) {
    task->started = true;
    if (tide_task_cancelled(task)) task->outcome = TIDE_ECANCELLED;
  }
  task->state = TIDE_TASK_RUNNING;
  loop->current = task;
  loop->left--;
  return task;
}

/* What is ready now is this turn's. */
static inline void fill_batch(tide_lane *lane) {
  tide_list_splice(&lane->batch, &lane->ready);
  if (lane->seed != 0) tide__list_shuffle(&lane->batch, &lane->seed);
}

/* Steps what is ready in the lane, or goes on with what was left. */
static void run_lane(tide_loop *loop, tide_lane *lane) {
  if (tide_list_empty(&lane->batch)) fill_batch(lane);
  loop->lane = lane;
  while (!tide_list_empty(&lane->batch) && may_step(loop)) {
    tide_task *task = begin_step(loop, lane->batch.next);
    task->ops->step(task, task->outcome);
  }
  loop->lane = NULL;
  loop->current = NULL;
  if (tide_list_empty(&lane->link) && tide__lane_has_tasks(lane))
    tide_list_append(&loop->active, &lane->link);
}

/* The same where it has a budget, and something is left of it. */
__attribute__((noinline)) static void run_metered(tide_loop *loop, tide_lane *lane) {
  if (!tide__lane_has_budget(lane)) return;
  tide_time began = tide_clock_thread();
  run_lane(loop, lane);
  tide__lane_spend(lane, tide_clock_thread() - began);
}

/* Whether lanes take turns by time: in virtual time nothing may depend on how fast the machine is.
 */
static bool has_shares(const tide_loop *loop) {
  return loop->lanes > 0 && (!loop->virtual_clock || loop->manual_clock);
}

/* The lane's share of the turn begins, where there are others, or a tick's time is running out. */
static void begin_share(tide_loop *loop) {
  loop->steps_end = loop->tick_end;
  if (has_shares(loop)) {
    tide_time end = tide_time_add(tide_clock_monotonic(), loop->share);
    if (end < loop->steps_end) loop->steps_end = end;
  }
  if (loop->steps_end == TIDE_NEVER) return;
  tide__look_at_clock(loop);
  if (loop->left > 0) return;
  loop->left = loop->stride = 1; /* in any case: all come to their end, however short it is */
}

/* Those that are not come to any more are the first of the next turn. */
static void run_lanes(tide_loop *loop) {
  tide_list round;
  tide_list_init(&round);
  tide_list_splice(&round, &loop->active);
  for (bool first = true; !tide_list_empty(&round); first = false) {
    begin_share(loop);
    if (!first && loop->checked >= loop->tick_end) break;
    tide_lane *lane = tide_container(tide_list_shift(&round), tide_lane, link);
    if (__builtin_expect(lane->budget == 0, 1))
      run_lane(loop, lane);
    else
      run_metered(loop, lane);
  }
  if (tide_list_empty(&round)) return;
  tide_list_splice(&round, &loop->active);
  tide_list_splice(&loop->active, &round);
}

__attribute__((noinline)) static bool look_at_turn_end(tide_loop *loop) {
  if (loop->due || !tide__ready(loop)) return true;
  if (loop->wary > 0) loop->wary--;
  tide__look_at_clock(loop);
  return loop->due;
}

/* Whether the clock says if a poll is due. */
static inline bool is_wary(const tide_loop *loop) { return loop->wary > 0 || loop->left == 0; }

static inline bool poll_is_due(tide_loop *loop) {
  return is_wary(loop) ? look_at_turn_end(loop) : !tide__ready(loop);
}

/* What the host does between turns is no slice. */
static void begin_turning(tide_loop *loop) {
  loop->turning = true;
  loop->hosts_errno = errno;
  tide__port_attend(loop->port);
  loop->checked = tide_clock_monotonic();
}

static void end_turning(tide_loop *loop) {
  if (loop->left < loop->stride) tide__look_at_clock(loop);
  loop->turning = false;
  if (loop->polled_by >= 0) tide__show_next_turn(loop);
  tide__port_leave(loop->port);
  loop->steps_end = loop->tick_end = TIDE_NEVER;
  if (loop->at_rest != NULL) loop->at_rest->run(loop->at_rest);
  errno = loop->hosts_errno;
}

static void run_turn(tide_loop *loop) {
  run_lanes(loop);
  if (!tide_list_empty(&loop->deferred)) tide__run_deferred(&loop->deferred);
  loop->turns++;
}

int tide_loop_turn(tide_loop *loop, bool block) {
  if (loop->turning) return TIDE_EALREADY_RUNNING;
  if (block && loop->guest) return TIDE_EINVALID_STATE;
  begin_turning(loop);
  run_turn(loop);
  int error = poll_is_due(loop) ? tide__poll(loop, block) : TIDE_OK;
  end_turning(loop);
  return error;
}

static inline bool run_is_over(const tide_loop *loop) { return loop->stopping || loop->over; }

/* Begins the next turn where there is nothing to do between this one and it. */
static inline bool roll_over(tide_loop *loop, tide_lane *lane) {
  if (!loop->rolling || tide_list_empty(&lane->ready)) return false;
  if (!tide_list_empty(&loop->deferred)) return false;
  if (is_wary(loop) && look_at_turn_end(loop)) return false;
  loop->turns++;
  fill_batch(lane);
  return true;
}

tide_task *tide_task_next(tide_loop *loop, const tide_task_ops *ops) {
  tide_lane *lane = loop->lane;
  if (tide_list_empty(&lane->batch) && !roll_over(loop, lane)) return NULL;
  if (!may_step(loop)) return NULL;
  const tide_task *task = tide_container(lane->batch.next, tide_task, wait.in.link);
  return task->ops == ops ? begin_step(loop, lane->batch.next) : NULL;
}

/* The future may be gone as soon as this returns. */
static void until_ended(tide_wait *wait, int outcome) {
  (void)outcome;
  tide_loop *loop = wait->source;
  loop->over = true;
  loop->rolling = false;
}

/* The run waits for the future as others do. */
static void await(tide_loop *loop, tide_future *future) {
  static const tide_wait_ops ops = {
      .name = "run", .abandon = tide__wait_unlink, .ended = until_ended};
  loop->until = (tide_wait){.ops = &ops, .source = loop};
  tide_list_init(&loop->until.in.link);
  loop->over = false;
  if (future == NULL) return;
  loop->over = tide_future_ended(future);
  if (!loop->over) tide_list_append(&future->waiters, &loop->until.in.link);
}

/* What was posted is as good as tasks that are ready: not each post needs a poll. */
static bool takes_posts(tide_loop *loop) {
  if (!tide__port_waits(loop->port)) return false;
  if (tide_clock_monotonic() - loop->polled >= POLL_INTERVAL) return false;
  tide__port_look(loop->port);
  return true;
}

int tide_loop_run(tide_loop *loop, tide_future *until) {
  int error = TIDE_OK;
  if (loop->turning) return TIDE_EALREADY_RUNNING;
  if (loop->guest) return TIDE_EINVALID_STATE;
  begin_turning(loop);
  await(loop, until);
  loop->running = true;
  while (error == TIDE_OK && !run_is_over(loop)) {
    loop->rolling = loop->lanes == 0;
    run_turn(loop);
    if (poll_is_due(loop) && !takes_posts(loop)) error = tide__poll(loop, !run_is_over(loop));
  }
  end_turning(loop);
  tide_list_remove(&loop->until.in.link);
  loop->running = loop->rolling = loop->stopping = loop->over = false;
  bool all_ended = error == TIDE_EDEADLOCK && until == NULL && loop->live == 0;
  return all_ended ? TIDE_OK : error;
}

/* Turns and polls until the tick's time is over, or a poll has found nothing to do but for tasks
 * that let others run. Whether the last thing was a poll. */
static bool turn_and_poll(tide_loop *loop) {
  for (;;) {
    run_turn(loop);
    bool idle = tide__lanes_only_yielded(loop);
    bool polls = idle || poll_is_due(loop);
    if (polls) tide__poll(loop, false);
    if (loop->checked >= loop->tick_end || (idle && tide__lanes_only_yielded(loop))) return polls;
  }
}

int tide_loop_tick(tide_loop *loop, tide_time budget, bool *more) {
  if (loop->turning) return TIDE_EALREADY_RUNNING;
  begin_turning(loop);
  loop->tick_end = tide_time_add(loop->checked, budget);
  bool polled = budget > 0 && turn_and_poll(loop);
  if (!polled) tide__poll(loop, false);
  end_turning(loop);
  if (more != NULL) *more = tide__ready(loop);
  return TIDE_OK;
}
