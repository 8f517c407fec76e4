/* timer.c: deadlines fire in order, once, and never early. */
#include "script.h"

typedef struct alarm_clock {
  tide_timer timer;
  world *world;
  int number;
  tide_time when;             /* what it was set to */
  tide_time rang;             /* when it fired; 0: it has not */
  struct alarm_clock *starts; /* set by this one when it fires */
} alarm_clock;

static int rung[4096]; /* numbers in the order they fired */
static int rung_count;

static void ring(tide_timer *timer) {
  alarm_clock *self = tide_container(timer, alarm_clock, timer);
  self->rang = tide_loop_now(self->world->loop);
  CHECK(!tide_timer_armed(timer));
  CHECK(self->rang >= self->when);
  rung[rung_count++] = self->number;
  alarm_clock *next = self->starts;
  if (next != NULL)
    CHECK_EQ(tide_timer_start(&next->timer, next->world->loop, next->when), TIDE_OK);
}

static void alarm_init(alarm_clock *self, world *w, int number, tide_time when) {
  *self = (alarm_clock){.world = w, .number = number, .when = when};
  tide_timer_init(&self->timer, ring);
}

static void alarm_set(alarm_clock *self, world *w, int number, tide_time when) {
  alarm_init(self, w, number, when);
  CHECK_EQ(tide_timer_start(&self->timer, w->loop, when), TIDE_OK);
}

static void they_fire_in_the_order_of_their_times(void) {
  static alarm_clock clocks[4];
  static const unsigned ms[] = {30, 10, 40, 20};
  world w;
  world_open(&w);
  rung_count = 0;
  for (int i = 0; i < 4; i++) alarm_set(&clocks[i], &w, i, after_ms(&w, ms[i]));
  settle(&w);
  CHECK_EQ(rung_count, 4);
  CHECK(rung[0] == 1 && rung[1] == 3 && rung[2] == 0 && rung[3] == 2);
  for (int i = 0; i < 4; i++) CHECK_EQ(clocks[i].rang, clocks[i].when);
  world_close(&w);
}

static void equal_times_fire_in_the_order_they_were_set(void) {
  static alarm_clock clocks[1000];
  world w;
  world_open(&w);
  rung_count = 0;
  tide_time when = after_ms(&w, 5);
  for (int i = 0; i < 1000; i++) alarm_set(&clocks[i], &w, i, when);
  for (int i = 0; i < 1000; i += 3) tide_timer_stop(&clocks[i].timer, w.loop);
  settle(&w);
  CHECK_EQ(rung_count, 666);
  for (int i = 1; i < rung_count; i++) CHECK(rung[i - 1] < rung[i]);
  world_close(&w);
}

static void a_stopped_one_does_not_fire(void) {
  alarm_clock clock;
  world w;
  world_open(&w);
  rung_count = 0;
  alarm_set(&clock, &w, 1, after_ms(&w, 5));
  CHECK(tide_timer_armed(&clock.timer));
  tide_timer_stop(&clock.timer, w.loop);
  tide_timer_stop(&clock.timer, w.loop);
  CHECK(!tide_timer_armed(&clock.timer));
  settle(&w);
  CHECK_EQ(rung_count, 0);
  world_close(&w);
}

static void never_does_not_arm_it(void) {
  alarm_clock clock;
  world w;
  world_open(&w);
  alarm_set(&clock, &w, 1, TIDE_NEVER);
  CHECK(!tide_timer_armed(&clock.timer));
  CHECK(tide_loop_deadline(w.loop) == TIDE_NEVER);
  world_close(&w);
}

static void one_may_start_another_and_itself_is_free_again(void) {
  alarm_clock first, second;
  world w;
  world_open(&w);
  rung_count = 0;
  alarm_set(&first, &w, 1, after_ms(&w, 1));
  alarm_init(&second, &w, 2, after_ms(&w, 2));
  first.starts = &second;
  settle(&w);
  CHECK(rung_count == 2 && rung[1] == 2);
  first.starts = NULL;
  first.when = after_ms(&w, 1);
  CHECK_EQ(tide_timer_start(&first.timer, w.loop, first.when), TIDE_OK);
  settle(&w);
  CHECK_EQ(rung_count, 3);
  world_close(&w);
}

static void a_time_that_has_passed_fires_at_the_next_poll(void) {
  alarm_clock clock;
  world w;
  world_open(&w);
  rung_count = 0;
  alarm_set(&clock, &w, 1, tide_loop_now(w.loop) - 1);
  CHECK_EQ(rung_count, 0);
  turn(&w);
  CHECK_EQ(rung_count, 1);
  world_close(&w);
}

static void thousands_fire_in_order_while_others_are_stopped(void) {
  static alarm_clock clocks[4096];
  world w;
  world_open(&w);
  rung_count = 0;
  srand(4);
  for (int i = 0; i < 4096; i++) alarm_set(&clocks[i], &w, i, after_ms(&w, (unsigned)rand() % 500));
  for (int i = 0; i < 4096; i += 2) tide_timer_stop(&clocks[i].timer, w.loop);
  settle(&w);
  CHECK_EQ(rung_count, 2048);
  for (int i = 1; i < rung_count; i++) {
    const alarm_clock *a = &clocks[rung[i - 1]], *b = &clocks[rung[i]];
    CHECK(a->when < b->when || (a->when == b->when && a->number < b->number));
  }
  world_close(&w);
}

static void no_memory_leaves_it_disarmed(void) {
  alarm_clock clock;
  world w;
  world_open(&w);
  alarm_init(&clock, &w, 1, after_ms(&w, 1));
  w.memory.fail_at = w.memory.allocations + 1;
  CHECK_EQ(tide_timer_start(&clock.timer, w.loop, clock.when), TIDE_ENOMEM);
  CHECK(!tide_timer_armed(&clock.timer));
  CHECK_EQ(tide_timer_start(&clock.timer, w.loop, clock.when), TIDE_OK);
  tide_timer_stop(&clock.timer, w.loop);
  world_close(&w);
}

static void by_the_real_clock_none_is_early(void) {
  world w;
  world_open_real(&w);
  rung_count = 0;
  for (int i = 0; i < 20; i++) {
    alarm_clock clock;
    tide_loop_update_now(w.loop);
    alarm_set(&clock, &w, i, tide_loop_now(w.loop) + (tide_time)i * 211003);
    while (!clock.rang) CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
    CHECK(tide_clock_monotonic() >= clock.when);
  }
  world_close(&w);
}

/* Sleeps: timers inside a task's wait. */

static void sleeper(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, (unsigned)(size_t)self->data));
  say(self, "woke");
  END;
}

static actor *spawn_sleeper(world *w, const char *name, size_t ms) {
  actor *self = spawn(w, name, sleeper);
  self->data = (void *)ms;
  return self;
}

static void equal_sleeps_begun_in_one_turn_end_in_one_turn(void) {
  world w;
  world_open(&w);
  for (int i = 0; i < 5; i++) spawn_sleeper(&w, "s", 10);
  turn(&w);
  uint64_t before = w.loop->turns;
  tide_time began = tide_loop_now(w.loop);
  settle(&w);
  CHECK_EQ(tide_loop_now(w.loop) - began, 10000000);
  CHECK_EQ(w.loop->turns - before, 2); /* one whose poll jumps, one that steps them */
  CHECK_LOG(&w, "s woke, s woke, s woke, s woke, s woke");
  world_close(&w);
}

static void sleepers_wake_in_order(void) {
  world w;
  world_open(&w);
  spawn_sleeper(&w, "c", 3);
  spawn_sleeper(&w, "a", 1);
  spawn_sleeper(&w, "d", 3);
  spawn_sleeper(&w, "b", 2);
  settle(&w);
  CHECK_LOG(&w, "a woke, b woke, c woke, d woke");
  world_close(&w);
}

static void nap(actor *self) {
  BEGIN;
  for (; self->i < 3; self->i++) TRY(sleep_ms(self, 1));
  END;
}

static void stage_naps(world *w) {
  w->victim = spawn(w, "victim", nap);
  spawn_sleeper(w, "other", 2);
}

static void verify_naps(world *w) { CHECK_EQ(w->actors[1].outcome, TIDE_OK); }

static void a_sleeper_struck_at_any_time_leaves_no_timer(void) {
  play_all_blows(&(scenario){.stage = stage_naps, .verify = verify_naps});
}

static void verify_nothing(world *w) { (void)w; }

static void a_sleep_without_memory_fails(void) {
  play_all_shortages(&(scenario){.stage = stage_naps, .verify = verify_nothing});
}

int main(void) {
  RUN(they_fire_in_the_order_of_their_times);
  RUN(equal_times_fire_in_the_order_they_were_set);
  RUN(a_stopped_one_does_not_fire);
  RUN(never_does_not_arm_it);
  RUN(one_may_start_another_and_itself_is_free_again);
  RUN(a_time_that_has_passed_fires_at_the_next_poll);
  RUN(thousands_fire_in_order_while_others_are_stopped);
  RUN(no_memory_leaves_it_disarmed);
  RUN(by_the_real_clock_none_is_early);
  RUN(equal_sleeps_begun_in_one_turn_end_in_one_turn);
  RUN(sleepers_wake_in_order);
  RUN(a_sleeper_struck_at_any_time_leaves_no_timer);
  RUN(a_sleep_without_memory_fails);
  return check_summary();
}
