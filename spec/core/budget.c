/* budget.c: lanes with a budget, and slices that a watchdog looks at. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "script.h"

static const tide_time MILLISECOND = 1000000;

static void burn(tide_time span) {
  tide_time until = tide_clock_thread() + span;
  while (tide_clock_thread() < until) continue;
}

/* A task that uses so much in each step, and takes turns for ever. */
typedef struct burner {
  tide_task task;
  tide_time span;  /* in each step */
  tide_time spent; /* in all */
  int steps;
} burner;

static void burner_step(tide_task *task, int outcome) {
  burner *self = (burner *)task;
  if (outcome == TIDE_ECANCELLED) {
    tide_task_finish(task, TIDE_FUTURE_CANCELLED);
    return;
  }
  tide_time began = tide_clock_thread();
  burn(self->span);
  self->spent += tide_clock_thread() - began;
  self->steps++;
  tide_task_yield(task);
}

static void begin(burner *self, tide_loop *loop, const tide_task_ops *ops, tide_time span) {
  *self = (burner){.span = span};
  tide_task_init(&self->task, loop, ops);
  CHECK_EQ(tide_task_spawn(&self->task, tide_loop_background(loop)), TIDE_OK);
}

static void end(burner *self, tide_loop *loop) {
  tide_lane_set_budget(
      self->task.ops->lane != NULL ? self->task.ops->lane : tide_loop_own_lane(loop), 0);
  tide_task_cancel(&self->task);
  while (!tide_future_ended(&self->task.future)) tide_loop_turn(loop, false);
}

/* The host moves the clock: how busy the machine is makes no difference. */
static void a_lane_takes_no_more_than_its_budget_on_average(void) {
  tide_loop *loop = tide_loop_new(NULL);
  tide_lane poor, rich;
  burner a, b;
  tide_loop_set_manual_clock(loop);
  tide_lane_init(&poor, loop);
  tide_lane_init(&rich, loop);
  const tide_task_ops poor_ops = {.name = "poor", .step = burner_step, .lane = &poor};
  const tide_task_ops rich_ops = {.name = "rich", .step = burner_step, .lane = &rich};
  tide_lane_set_budget(&poor, 50 * MILLISECOND);
  begin(&a, loop, &poor_ops, 100000);
  begin(&b, loop, &rich_ops, 1000);
  for (int i = 0; i < 1000; i++) {
    CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
    CHECK_EQ(tide_loop_advance(loop, MILLISECOND), TIDE_OK);
  }
  CHECK(a.spent < 56 * MILLISECOND); /* 50, and 5 to begin with, and a step */
  CHECK(a.spent > 20 * MILLISECOND); /* of which its turns take some themselves */
  CHECK_EQ(b.steps, 1000);
  end(&a, loop);
  end(&b, loop);
  tide_lane_term(&poor);
  tide_lane_term(&rich);
  CHECK_EQ(tide_loop_get_stats(loop).timers, 0);
  tide_loop_free(loop);
}

static void a_loop_whose_lane_is_set_aside_sleeps_and_is_in_no_deadlock(void) {
  tide_loop *loop = tide_loop_new(NULL);
  static const tide_task_ops ops = {.name = "own", .step = burner_step};
  burner a;
  tide_lane_set_budget(tide_loop_own_lane(loop), 20 * MILLISECOND);
  begin(&a, loop, &ops, 200000);
  tide_time began = tide_clock_monotonic(), used = tide_clock_thread();
  while (tide_clock_monotonic() - began < 200 * MILLISECOND)
    CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
  CHECK(tide_clock_thread() - used < 30 * MILLISECOND);
  CHECK(tide_loop_deadline(loop) < TIDE_NEVER);
  end(&a, loop);
  tide_loop_free(loop);
}

static void what_was_taken_too_much_is_made_up_for(void) {
  tide_loop *loop = tide_loop_new(NULL);
  tide_lane lane;
  burner a;
  bool more;
  int waited = 0;
  tide_loop_set_manual_clock(loop);
  tide_lane_init(&lane, loop);
  const tide_task_ops ops = {.name = "long", .step = burner_step, .lane = &lane};
  tide_lane_set_budget(&lane, 100 * MILLISECOND);
  begin(&a, loop, &ops, 20 * MILLISECOND); /* of 10 that there are: 100 ms until it is 0 */
  for (; a.steps < 2; waited++) {
    CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
    CHECK_EQ(tide_loop_advance(loop, MILLISECOND), TIDE_OK);
  }
  CHECK(waited > 110); /* and a quarter of what there may be */
  CHECK_EQ(tide_loop_tick(loop, MILLISECOND, &more), TIDE_OK);
  CHECK(!more);
  tide_lane_set_budget(&lane, 0); /* it goes on at once */
  CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  CHECK_EQ(a.steps, 3);
  end(&a, loop);
  tide_lane_term(&lane);
  tide_loop_free(loop);
}

static void a_lane_may_go_while_it_is_set_aside(void) {
  tide_loop *loop = tide_loop_new(NULL);
  tide_lane lane;
  burner a;
  tide_lane_init(&lane, loop);
  const tide_task_ops ops = {.name = "long", .step = burner_step, .lane = &lane};
  tide_lane_set_budget(&lane, MILLISECOND);
  begin(&a, loop, &ops, 2 * MILLISECOND);
  for (int i = 0; i < 3; i++) CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  CHECK_EQ(a.steps, 1);
  tide_task_detach(&a.task);
  tide_task_finish(&a.task, TIDE_FUTURE_CANCELLED);
  tide_lane_term(&lane);
  CHECK_EQ(tide_loop_get_stats(loop).timers, 0);
  tide_loop_free(loop);
}

static void in_virtual_time_it_is_not_heeded(void) {
  tide_loop *loop = tide_loop_new(NULL);
  static const tide_task_ops ops = {.name = "own", .step = burner_step};
  burner a;
  tide_loop_set_virtual_clock(loop);
  tide_lane_set_budget(tide_loop_own_lane(loop), MILLISECOND);
  begin(&a, loop, &ops, MILLISECOND);
  for (int i = 0; i < 20; i++) CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
  CHECK_EQ(a.steps, 20);
  end(&a, loop);
  tide_loop_free(loop);
}

/* Slices. */

typedef struct slice {
  tide_slice_limit limit; /* first */
  volatile int times;
  volatile tide_time taken; /* the first time */
} slice;

static void note_over(tide_slice_limit *limit, tide_time taken) {
  slice *self = (slice *)limit;
  if (self->times++ == 0) self->taken = taken;
}

/* Until it was told so often, or for very long: the system may be slow to count. */
static void burn_until(const slice *s, int times) {
  for (int i = 0; i < 1000 && s->times < times; i++) burn(MILLISECOND);
}

static void turn_once(tide_loop *loop) { CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK); }

static void a_step_that_takes_longer_than_its_slice_is_told_again_and_again(void) {
  tide_loop *loop = tide_loop_new(NULL);
  static const tide_task_ops ops = {.name = "own", .step = burner_step};
  slice s = {.limit = {.span = 10 * MILLISECOND, .over = note_over}};
  burner a;
  CHECK_EQ(tide_loop_watchdog(loop), 0);
  CHECK_EQ(tide_loop_set_watchdog(loop, SIGURG), TIDE_OK);
  CHECK_EQ(tide_loop_watchdog(loop), SIGURG);
  tide_lane_set_slice(tide_loop_own_lane(loop), &s.limit);
  begin(&a, loop, &ops, 300 * MILLISECOND);
  turn_once(loop);
  CHECK(s.times > 1);
  CHECK(s.taken >= 10 * MILLISECOND && s.taken < 110 * MILLISECOND);
  s.times = 0;
  a.span = 2 * MILLISECOND;
  for (int i = 0; i < 30; i++) turn_once(loop);
  CHECK_EQ(s.times, 0);
  a.span = 60 * MILLISECOND;
  tide_lane_set_slice(tide_loop_own_lane(loop), NULL);
  turn_once(loop);
  CHECK_EQ(s.times, 0);
  end(&a, loop);
  tide_loop_free(loop);
}

static void only_lanes_that_have_one_are_looked_at(void) {
  tide_loop *loop = tide_loop_new(NULL);
  tide_lane lane;
  slice s = {.limit = {.span = 5 * MILLISECOND, .over = note_over}};
  burner a;
  tide_lane_init(&lane, loop);
  static const tide_task_ops ops = {.name = "own", .step = burner_step};
  CHECK_EQ(tide_loop_set_watchdog(loop, SIGURG), TIDE_OK);
  tide_lane_set_slice(&lane, &s.limit);
  begin(&a, loop, &ops, 40 * MILLISECOND);
  turn_once(loop);
  CHECK_EQ(s.times, 0);
  tide_lane *before = tide_lane_visit(&lane);
  CHECK(tide_loop_running_lane(loop) == &lane);
  burn_until(&s, 1);
  tide_lane_leave(&lane, before);
  CHECK(s.times > 0);
  CHECK(tide_loop_running_lane(loop) == NULL);
  end(&a, loop);
  tide_lane_term(&lane);
  tide_loop_free(loop);
}

/* A timer needs a place among the signals that the system keeps for the user. */
static void where_no_timer_is_to_be_had_the_signal_is_as_before(void) {
  tide_loop *loop = tide_loop_new(NULL);
  struct rlimit before, none;
  struct sigaction action;
  signal(SIGUSR1, SIG_IGN);
  CHECK_EQ(getrlimit(RLIMIT_SIGPENDING, &before), 0);
  none = before;
  none.rlim_cur = 0;
  CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &none), 0);
  CHECK_EQ(tide_loop_set_watchdog(loop, SIGUSR1), TIDE_OS(EAGAIN));
  CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &before), 0);
  CHECK_EQ(tide_loop_watchdog(loop), 0);
  CHECK_EQ(sigaction(SIGUSR1, NULL, &action), 0);
  CHECK(action.sa_handler == SIG_IGN);
  CHECK_EQ(tide_loop_set_watchdog(loop, SIGUSR1), TIDE_OK);
  tide_loop_free(loop);
  signal(SIGUSR1, SIG_DFL);
}

static void without_a_watchdog_or_a_slice_no_signal_comes(void) {
  tide_loop *loop = tide_loop_new(NULL);
  slice s = {.limit = {.span = MILLISECOND, .over = note_over}};
  tide_lane *own = tide_loop_own_lane(loop);
  tide_lane_set_slice(own, &s.limit);
  tide_lane *before = tide_lane_visit(own);
  burn(20 * MILLISECOND);
  CHECK_EQ(s.times, 0);
  CHECK_EQ(tide_loop_set_watchdog(loop, SIGURG), TIDE_OK);
  burn_until(&s, 1);
  CHECK(s.times > 0);
  CHECK_EQ(tide_loop_set_watchdog(loop, SIGUSR2), TIDE_OK); /* another one */
  s.times = 0;
  burn_until(&s, 1);
  CHECK(s.times > 0);
  CHECK_EQ(tide_loop_set_watchdog(loop, 0), TIDE_OK);
  CHECK_EQ(tide_loop_set_watchdog(loop, 0), TIDE_OK);
  s.times = 0;
  burn(20 * MILLISECOND);
  CHECK_EQ(s.times, 0);
  tide_lane_leave(own, before);
  CHECK_EQ(tide_loop_set_watchdog(loop, SIGKILL), TIDE_OS(EINVAL));
  CHECK_EQ(tide_loop_watchdog(loop), 0);
  tide_loop_free(loop);
}

static void what_else_sends_the_signal_does_nothing(void) {
  tide_loop *loop = tide_loop_new(NULL);
  slice s = {.limit = {.span = 0, .over = note_over}};
  CHECK_EQ(tide_loop_set_watchdog(loop, SIGURG), TIDE_OK);
  tide_lane_set_slice(tide_loop_own_lane(loop), &s.limit);
  tide_lane *before = tide_lane_visit(tide_loop_own_lane(loop));
  errno = EAGAIN;
  for (int i = 0; i < 10; i++) raise(SIGURG);
  CHECK_EQ(errno, EAGAIN);
  CHECK_EQ(s.times, 0);
  tide_lane_leave(tide_loop_own_lane(loop), before);
  tide_loop_free(loop);
  for (int i = 0; i < 10; i++) raise(SIGURG); /* the handler is there still */
}

int main(void) {
  RUN(a_lane_takes_no_more_than_its_budget_on_average);
  RUN(a_loop_whose_lane_is_set_aside_sleeps_and_is_in_no_deadlock);
  RUN(what_was_taken_too_much_is_made_up_for);
  RUN(a_lane_may_go_while_it_is_set_aside);
  RUN(in_virtual_time_it_is_not_heeded);
  RUN(a_step_that_takes_longer_than_its_slice_is_told_again_and_again);
  RUN(only_lanes_that_have_one_are_looked_at);
  RUN(where_no_timer_is_to_be_had_the_signal_is_as_before);
  RUN(without_a_watchdog_or_a_slice_no_signal_comes);
  RUN(what_else_sends_the_signal_does_nothing);
  return check_summary();
}
