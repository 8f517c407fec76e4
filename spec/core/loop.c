/* loop.c: turns and their order; runs and what ends them; the end of a loop. */
#include "loop.h"

/* Runs. */

static void a_run_ends_with_its_future_and_waits_for_nothing_else(void) {
  world w;
  open_world(&w);
  tide_time began = tide_loop_now(w.loop);
  spawn(&w, "other", sleeper);
  spawn(&w, "main", resolver);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_OK);
  CHECK_EQ(tide_loop_now(w.loop), began);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_OK); /* it has ended: at once */
  cancel_all(&w);
  world_close(&w);
}

static void a_run_whose_last_task_ends_its_future_is_no_deadlock(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "main", resolver);
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
  CHECK(actor_ended(a));
  world_close(&w);
}

static void turner(actor *self) {
  BEGIN;
  say(self, "%d %d %d", tide_loop_turning(self->world->loop),
      tide_loop_turn(self->world->loop, false), tide_loop_run(self->world->loop, NULL));
  END;
}

static void a_turn_inside_a_turn_is_refused(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", turner);
  CHECK_EQ(tide_loop_turn(w.loop, false), TIDE_OK);
  CHECK(!tide_loop_turning(w.loop));
  char expected[32];
  snprintf(expected, sizeof expected, "a 1 %d %d", TIDE_EALREADY_RUNNING, TIDE_EALREADY_RUNNING);
  CHECK_LOG(&w, expected);
  world_close(&w);
}

static void a_stop_is_for_this_run_or_the_next(void) {
  world w;
  open_world(&w);
  tide_loop_stop(w.loop);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_OK);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_EDEADLOCK);
  world_close(&w);
}

static void a_run_whose_future_nothing_can_end_is_a_deadlock(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", sleeper);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_EDEADLOCK);
  CHECK_LOG(&w, "a slept"); /* while there were deadlines it was none */
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_EDEADLOCK); /* also where no task is left */
  world_close(&w);
}

static void a_run_without_a_future_ends_well_where_no_task_is_left(void) {
  world w;
  open_world(&w);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  spawn(&w, "a", sleeper);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  CHECK_LOG(&w, "a slept");
  actor *b = spawn(&w, "b", waiter);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_EDEADLOCK);
  actor_kill(b);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  world_close(&w);
}

static void stopper(actor *self) {
  BEGIN;
  tide_loop_stop(self->world->loop);
  say(self, "stops");
  TRY(tide_task_yield(&self->task));
  say(self, "goes on");
  END;
}

static void stop_ends_the_run_after_the_turn_and_it_can_go_on(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", stopper);
  spawn(&w, "b", sleeper);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  CHECK_LOG(&w, "a stops");
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  CHECK_LOG(&w, "a goes on, b slept");
  world_close(&w);
}

/* Turns. */

static void one_turn_steps_every_ready_task_once(void) {
  world w;
  open_world(&w);
  for (int i = 0; i < 3; i++) spawn(&w, "a", counter);
  for (int n = 1; n < 100; n++) {
    turn(&w);
    for (int i = 0; i < 3; i++) CHECK_EQ(w.actors[i].i, n);
  }
  cancel_all(&w);
  world_close(&w);
}

static void burner(actor *self) {
  BEGIN;
  TRY(tide_task_yield(&self->task));
  tide_time until = tide_clock_monotonic() + 3000000;
  while (tide_clock_monotonic() < until) continue;
  CHECK(tide_loop_get_stats(self->world->loop).longest_slice >= 3000000);
  TRY(tide_task_yield(&self->task));
  END;
}

static void stats_tell_of_steps_and_of_the_longest(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", burner);
  CHECK_EQ((int)tide_loop_get_stats(w.loop).steps, 0);
  settle(&w);
  CHECK_EQ((int)tide_loop_get_stats(w.loop).steps, 3);
  tide_time longest = tide_loop_get_stats(w.loop).longest_slice;
  CHECK(longest >= 3000000);
  tide_time until = tide_clock_monotonic() + 2 * longest;
  while (tide_clock_monotonic() < until) continue; /* the host is busy: that is no slice */
  settle(&w);
  CHECK(tide_loop_get_stats(w.loop).longest_slice == longest);
  world_close(&w);
}

static void stats_tell_what_the_loop_holds(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", counter);
  spawn(&w, "b", sleeper);
  tide_loop_stats stats = tide_loop_get_stats(w.loop);
  CHECK(stats.turns == 0 && stats.ready == 2 && stats.timers == 0 && stats.watching == 0);
  turn(&w);
  stats = tide_loop_get_stats(w.loop);
  CHECK(stats.turns == 1 && stats.ready == 1 && stats.timers == 1 && stats.watching == 0);
  cancel_all(&w);
  world_close(&w);
}

static void the_next_deadline_is_known(void) {
  world w;
  open_world(&w);
  CHECK(tide_loop_deadline(w.loop) == TIDE_NEVER);
  spawn(&w, "a", sleeper);
  CHECK_EQ(tide_loop_deadline(w.loop), tide_loop_now(w.loop));
  turn(&w);
  CHECK_EQ(tide_loop_deadline(w.loop), after_ms(&w, 1000));
  settle(&w);
  CHECK(tide_loop_deadline(w.loop) == TIDE_NEVER);
  world_close(&w);
}

static void a_turn_that_must_not_block_lets_no_virtual_time_pass(void) {
  world w;
  open_world(&w);
  tide_time began = tide_loop_now(w.loop);
  spawn(&w, "a", sleeper);
  for (int i = 0; i < 10; i++) turn(&w);
  CHECK_EQ(tide_loop_now(w.loop), began);
  tide_loop_update_now(w.loop); /* has no say in virtual time */
  CHECK_EQ(tide_loop_now(w.loop), began);
  CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  CHECK_EQ(tide_loop_now(w.loop) - began, 1000000000);
  settle(&w);
  world_close(&w);
}

static void virtual_time_stands_still_while_a_task_is_ready(void) {
  world w;
  open_world(&w);
  tide_time began = tide_loop_now(w.loop);
  spawn(&w, "a", sleeper);
  actor *busy = spawn(&w, "b", counter);
  for (int i = 0; i < 1000; i++) CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  CHECK_EQ(tide_loop_now(w.loop), began);
  tide_task_cancel(&busy->task);
  settle(&w);
  world_close(&w);
}

static void virtual_time_may_be_left_and_never_goes_back(void) {
  world w;
  open_world(&w);
  CHECK(tide_loop_clock_is_virtual(w.loop));
  tide_time began = tide_loop_now(w.loop), real = tide_clock_monotonic();
  spawn(&w, "a", sleeper); /* for a second */
  settle(&w);
  CHECK_EQ(tide_loop_now(w.loop) - began, 1000000000);
  spawn(&w, "b", sleeper)->i = 20;
  turn(&w);
  tide_loop_set_real_clock(w.loop);
  CHECK(!tide_loop_clock_is_virtual(w.loop));
  tide_loop_set_real_clock(w.loop); /* harmless */
  CHECK_EQ(tide_loop_deadline(w.loop), after_ms(&w, 20));
  settle(&w);
  CHECK(tide_loop_now(w.loop) - began >= 1020000000);
  CHECK(tide_clock_monotonic() - real >= 20000000);
  tide_time left = tide_loop_now(w.loop);
  tide_loop_update_now(w.loop);
  CHECK(tide_loop_now(w.loop) >= left);
  tide_loop_set_virtual_clock(w.loop);
  spawn(&w, "c", sleeper)->i = 3600000;
  settle(&w);
  CHECK(tide_loop_now(w.loop) - left >= (tide_time)3600000 * 1000000);
  CHECK(tide_clock_monotonic() - real < FOR_EVER);
  CHECK_LOG(&w, "a slept, b slept, c slept");
  world_close(&w);
}

/* Seeds. */

static void four_in_the_order_of(world *w, uint64_t seed) {
  static const char *const names[] = {"a", "b", "c", "d"};
  open_world(w);
  tide_loop_set_seed(w->loop, seed);
  for (int i = 0; i < 4; i++) spawn(w, names[i], sleeper)->i = 10;
  settle(w);
}

static void without_a_seed_tasks_run_in_the_order_in_which_they_became_ready(void) {
  world w;
  four_in_the_order_of(&w, 0);
  CHECK_EQ(tide_loop_seed(w.loop), 0);
  CHECK_LOG(&w, "a slept, b slept, c slept, d slept");
  world_close(&w);
}

static void a_seed_decides_the_order_of_every_turn(void) {
  enum { SEEDS = 40 };
  static char logs[SEEDS][sizeof((world *)0)->log];
  int different = 0;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    world w, again;
    four_in_the_order_of(&w, seed);
    four_in_the_order_of(&again, seed);
    CHECK_TEXT(w.log, again.log);
    CHECK_EQ(tide_loop_seed(w.loop), tide_loop_seed(again.loop));
    memcpy(logs[seed - 1], w.log, sizeof w.log);
    if (strcmp(w.log, logs[0]) != 0) different++;
    world_close(&w);
    world_close(&again);
  }
  CHECK(different > SEEDS / 2);
}

static void a_seed_may_be_taken_up_where_it_was_left(void) {
  world w, v;
  four_in_the_order_of(&w, 5);
  four_in_the_order_of(&v, 9);
  tide_loop_set_seed(v.loop, tide_loop_seed(w.loop));
  CHECK_EQ(tide_loop_seed(v.loop), tide_loop_seed(w.loop));
  for (int i = 0; i < 4; i++) {
    spawn(&w, "e", sleeper)->i = 10 + i;
    spawn(&v, "e", sleeper)->i = 10 + i;
  }
  settle(&w);
  settle(&v);
  CHECK_EQ(tide_loop_seed(v.loop), tide_loop_seed(w.loop));
  world_close(&w);
  world_close(&v);
}

/* What is outside. */

typedef struct outside {
  tide_watcher watcher;
  tide_loop *loop;
  int ends[2]; /* of a pipe: what is watched, what is written to */
} outside;

static void outside_came(tide_watcher *watcher, int events) {
  outside *self = tide_container(watcher, outside, watcher);
  CHECK_EQ(events, TIDE_READABLE);
  tide_watcher_set(watcher, self->loop, 0);
  tide_future_end(&future, TIDE_FUTURE_DONE);
}

static void open_outside(outside *self, tide_loop *loop) {
  self->loop = loop;
  CHECK_EQ(pipe(self->ends), 0);
  tide_watcher_init(&self->watcher, self->ends[0], outside_came);
}

static void close_outside(outside *self) {
  close(self->ends[0]);
  close(self->ends[1]);
}

static void a_watcher_that_is_set_can_wake_a_task(void) {
  for (int is_virtual = 0; is_virtual < 2; is_virtual++) {
    world w;
    outside o;
    (is_virtual ? world_open : world_open_real)(&w);
    tide_future_init(&future);
    open_outside(&o, w.loop);
    actor *a = spawn(&w, "a", waiter);
    CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_EDEADLOCK);
    for (int i = 0; i < 3; i++)
      tide_watcher_set(&o.watcher, w.loop, TIDE_READABLE); /* counts once */
    CHECK(tide_loop_held(w.loop));
    CHECK_EQ(tide_loop_get_stats(w.loop).watching, 1);
    CHECK_EQ(write(o.ends[1], "!", 1), 1);
    CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
    CHECK(!tide_loop_held(w.loop));
    CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
    close_outside(&o);
    world_close(&w);
  }
}

static void a_loop_that_is_held_waits_for_what_it_does_not_know(void) {
  world w;
  outside o;
  world_open_real(&w);
  tide_future_init(&future);
  open_outside(&o, w.loop);
  tide_watcher_set(&o.watcher, w.loop, TIDE_READABLE);
  tide_loop_release(w.loop); /* the watcher is no reason to wait */
  actor *a = spawn(&w, "a", waiter);
  CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_EDEADLOCK);
  tide_loop_hold(w.loop);
  tide_loop_hold(w.loop);
  tide_loop_release(w.loop);
  CHECK_EQ(write(o.ends[1], "!", 1), 1);
  tide_loop_hold(w.loop); /* for the watcher, which unsets itself */
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
  CHECK(tide_loop_held(w.loop));
  tide_loop_release(w.loop);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  close_outside(&o);
  world_close(&w);
}

static void virtual_time_of_a_held_loop_jumps_after_the_threshold(void) {
  world w;
  world_open(&w);
  tide_loop_set_autojump_threshold(w.loop, 20 * MS);
  for (int held = 0; held < 2; held++) {
    tide_time began = tide_loop_now(w.loop), real = tide_clock_monotonic();
    if (held) tide_loop_hold(w.loop);
    actor *a = spawn(&w, "a", sleeper);
    CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
    CHECK(tide_loop_now(w.loop) > began);
    CHECK(!held || tide_clock_monotonic() - real >= 20 * MS);
  }
  tide_loop_release(w.loop);
  world_close(&w);
}

/* The end of what is run for. */

typedef struct transient {
  tide_task task; /* first */
  world *world;
} transient;

static void step_and_free(tide_task *task, int outcome) {
  transient *self = (transient *)task;
  (void)outcome;
  tide_task_finish(task, TIDE_FUTURE_FAILED);
  memset(self, 0xff, sizeof *self);
  free(self);
}

static transient *transient_new(world *w) {
  static const tide_task_ops ops = {.step = step_and_free};
  transient *self = malloc(sizeof *self);
  self->world = w;
  tide_task_init(&self->task, w->loop, &ops);
  return self;
}

static void a_task_that_a_run_is_for_may_free_itself_in_its_last_step(void) {
  for (int cancelled = 0; cancelled < 2; cancelled++) {
    world w;
    world_open(&w);
    spawn(&w, "busy", counter);
    transient *self = transient_new(&w);
    CHECK_EQ(tide_task_spawn(&self->task, tide_loop_background(w.loop)), TIDE_OK);
    if (cancelled) tide_task_cancel(&self->task);
    CHECK_EQ(tide_loop_run(w.loop, &self->task.future), TIDE_OK);
    CHECK_EQ(w.loop->turns, 1);
    cancel_all(&w);
    world_close(&w);
  }
}

static tide_future *transient_future;

static void freer(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 1));
  tide_future_end(transient_future, TIDE_FUTURE_DONE);
  memset(transient_future, 0xff, sizeof *transient_future);
  free(transient_future);
  END;
}

static void a_future_that_a_run_is_for_may_be_freed_by_whoever_ends_it(void) {
  world w;
  world_open(&w);
  transient_future = malloc(sizeof *transient_future);
  tide_future_init(transient_future);
  spawn(&w, "a", freer);
  CHECK_EQ(tide_loop_run(w.loop, transient_future), TIDE_OK);
  tide_future_init(&future);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_EDEADLOCK); /* and then lets go of it */
  CHECK(tide_list_empty(&future.waiters));
  tide_loop_stop(w.loop);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_OK);
  CHECK(tide_list_empty(&future.waiters));
  world_close(&w);
}

/* Loops. */

static void loops_share_nothing(void) {
  world v, w;
  open_world(&v);
  world_open(&w);
  spawn(&v, "v", sleeper);
  spawn(&w, "w", resolver);
  settle(&w);
  CHECK(tide_future_ended(&future));
  CHECK_LOG(&v, "");
  settle(&v);
  CHECK_LOG(&v, "v slept");
  world_close(&v);
  world_close(&w);
}

static void without_memory_there_is_none(void) {
  memory m = {.fail_at = 1};
  tide_allocator allocator = {.resize = memory_resize, .context = &m};
  CHECK(tide_loop_new(&allocator) == NULL);
  CHECK_EQ(m.in_use, 0);
  tide_loop_free(NULL);
}

static void not_watched(tide_watcher *watcher, int events) {
  (void)watcher;
  (void)events;
}

static void it_can_be_freed_with_tasks_and_timers_and_watchers(void) {
  world w;
  tide_watcher watcher;
  tide_deadline deadline;
  tide_defer defer;
  int fd = fileno(stderr);
  open_world(&w);
  spawn(&w, "ready", counter);
  spawn(&w, "waiting", sleeper);
  turn(&w);
  spawn(&w, "new", sleeper);
  tide_deadline_init(&deadline, &w.actors[1].scope, w.loop);
  CHECK_EQ(tide_deadline_set(&deadline, after_ms(&w, 5)), TIDE_OK);
  tide_watcher_init(&watcher, fd, not_watched);
  tide_watcher_set(&watcher, w.loop, TIDE_WRITABLE);
  tide_defer_init(&defer, NULL);
  tide_defer_start(&defer, w.loop);
  tide_loop_free(w.loop);
  CHECK_EQ(w.memory.in_use, 0);
}

int main(void) {
  RUN(a_run_ends_with_its_future_and_waits_for_nothing_else);
  RUN(a_run_whose_last_task_ends_its_future_is_no_deadlock);
  RUN(a_turn_inside_a_turn_is_refused);
  RUN(a_stop_is_for_this_run_or_the_next);
  RUN(a_run_whose_future_nothing_can_end_is_a_deadlock);
  RUN(a_run_without_a_future_ends_well_where_no_task_is_left);
  RUN(stop_ends_the_run_after_the_turn_and_it_can_go_on);
  RUN(one_turn_steps_every_ready_task_once);
  RUN(stats_tell_what_the_loop_holds);
  RUN(stats_tell_of_steps_and_of_the_longest);
  RUN(the_next_deadline_is_known);
  RUN(a_turn_that_must_not_block_lets_no_virtual_time_pass);
  RUN(virtual_time_stands_still_while_a_task_is_ready);
  RUN(virtual_time_may_be_left_and_never_goes_back);
  RUN(without_a_seed_tasks_run_in_the_order_in_which_they_became_ready);
  RUN(a_seed_decides_the_order_of_every_turn);
  RUN(a_seed_may_be_taken_up_where_it_was_left);
  RUN(a_watcher_that_is_set_can_wake_a_task);
  RUN(a_loop_that_is_held_waits_for_what_it_does_not_know);
  RUN(virtual_time_of_a_held_loop_jumps_after_the_threshold);
  RUN(a_task_that_a_run_is_for_may_free_itself_in_its_last_step);
  RUN(a_future_that_a_run_is_for_may_be_freed_by_whoever_ends_it);
  RUN(loops_share_nothing);
  RUN(without_memory_there_is_none);
  RUN(it_can_be_freed_with_tasks_and_timers_and_watchers);
  return check_summary();
}
