/* timeout.c: deadlines round stretches of a task's steps. */
#include "script.h"

static tide_timeout outer, inner;
static tide_event event;

static int begin_ms(tide_timeout *timeout, actor *self, unsigned ms) {
  return tide_timeout_begin(timeout, &self->task, ms * (tide_time)1000000);
}

/* Two sleeps of `slot` ms each within `i` ms; goes on afterwards. */
static void stretch(actor *self) {
  BEGIN;
  TRY(begin_ms(&outer, self, (unsigned)self->i));
  WAIT(sleep_ms(self, self->slot));
  if (self->script.outcome == TIDE_OK) WAIT(sleep_ms(self, self->slot));
  self->script.outcome = tide_timeout_end(&outer, self->script.outcome);
  say(self, "%d", self->script.outcome);
  if (self->script.outcome == TIDE_ETIMEOUT) CHECK(tide_timeout_expired(&outer));
  WAIT(sleep_ms(self, 1));
  say(self, "%d", self->script.outcome);
  END;
}

static actor *spawn_stretch(world *w, unsigned limit, unsigned each) {
  actor *self = spawn(w, "a", stretch);
  self->i = (int)limit;
  self->slot = each;
  return self;
}

static void one_that_is_in_time_ends_as_it_ends(void) {
  world w;
  world_open(&w);
  spawn_stretch(&w, 100, 40);
  settle(&w);
  CHECK_LOG(&w, "a 0, a 0");
  world_close(&w);
}

static void one_that_is_not_says_so_and_its_task_goes_on(void) {
  world w;
  world_open(&w);
  tide_time begun = tide_loop_now(w.loop);
  spawn_stretch(&w, 100, 60);
  settle(&w);
  CHECK_LOG(&w, "a -2, a 0");
  CHECK_EQ(tide_loop_now(w.loop) - begun, 101 * 1000000);
  world_close(&w);
}

static void one_without_time_ends_at_its_first_wait(void) {
  world w;
  world_open(&w);
  spawn_stretch(&w, 0, 60);
  settle(&w);
  CHECK_LOG(&w, "a -2, a 0");
  world_close(&w);
}

static void where_the_task_is_cancelled_too_it_is_cancelled(void) {
  world w;
  world_open(&w);
  actor *a = spawn_stretch(&w, 100, 60);
  turn(&w);
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK_LOG(&w, "a -1, a -1");
  CHECK_EQ(tide_future_error(&a->task.future), TIDE_ECANCELLED);
  world_close(&w);
}

static void nested(actor *self) {
  BEGIN;
  TRY(begin_ms(&outer, self, 100));
  TRY(begin_ms(&inner, self, (unsigned)self->i));
  WAIT(sleep_ms(self, self->slot));
  self->script.outcome = tide_timeout_end(&inner, self->script.outcome);
  say(self, "inner %d", self->script.outcome);
  self->script.outcome = tide_timeout_end(&outer, self->script.outcome);
  say(self, "outer %d", self->script.outcome);
  END;
}

static void of_nested_ones_the_one_whose_time_is_up_says_so(void) {
  world w;
  world_open(&w);
  actor *a = spawn(&w, "a", nested);
  a->i = 50;
  a->slot = 70;
  settle(&w);
  CHECK_LOG(&w, "a inner -2, a outer -2");
  actor *b = spawn(&w, "b", nested);
  b->i = 200;
  b->slot = 150;
  settle(&w);
  CHECK_LOG(&w, "b inner -1, b outer -2");
  world_close(&w);
}

/* The task ends within. */

static void ending(actor *self) {
  BEGIN;
  TRY(begin_ms(&outer, self, 100));
  TRY(begin_ms(&inner, self, 50));
  TRY(tide_event_wait(&event, &self->task));
  END;
}

static void a_task_that_ends_within_fails_with_it(void) {
  world w;
  world_open(&w);
  tide_event_init(&event);
  actor *a = spawn(&w, "a", ending);
  settle(&w);
  CHECK_EQ(tide_future_error(&a->task.future), TIDE_ETIMEOUT);
  CHECK_EQ(a->task.future.state, TIDE_FUTURE_FAILED);
  memset(&outer, 0xee, sizeof outer); /* nobody looks at them any more */
  memset(&inner, 0xee, sizeof inner);
  actor *b = spawn(&w, "b", ending);
  turn(&w);
  tide_event_set(&event);
  settle(&w);
  CHECK_EQ(tide_future_error(&b->task.future), TIDE_OK);
  world_close(&w);
}

static void stage(world *w) {
  tide_event_init(&event);
  w->victim = spawn(w, "victim", ending);
}

static void stage_stretch(world *w) { w->victim = spawn_stretch(w, 100, 60); }

static void verify(world *w) {
  (void)w;
  CHECK(!tide_timer_armed(&outer.deadline.timer));
  CHECK(!tide_timer_armed(&inner.deadline.timer));
}

static void struck_at_any_wait_it_leaves_no_deadline(void) {
  play_all_blows(&(scenario){.stage = stage_stretch, .verify = verify});
}

static void without_memory_it_does_not_begin(void) {
  play_all_shortages(&(scenario){.stage = stage, .verify = verify});
}

static void endless(actor *self) {
  BEGIN;
  TRY(tide_timeout_begin(&outer, &self->task, TIDE_NEVER));
  TRY(sleep_ms(self, 1000000));
  CHECK_EQ(tide_timeout_end(&outer, TIDE_ELIMIT), TIDE_ELIMIT);
  CHECK_EQ(tide_timeout_end(&outer, TIDE_ECANCELLED), TIDE_ECANCELLED); /* again */
  END;
}

static void one_for_ever_never_is_up(void) {
  world w;
  world_open(&w);
  actor *a = spawn(&w, "a", endless);
  settle(&w);
  CHECK_EQ(tide_future_error(&a->task.future), TIDE_OK);
  world_close(&w);
}

int main(void) {
  RUN(one_that_is_in_time_ends_as_it_ends);
  RUN(one_that_is_not_says_so_and_its_task_goes_on);
  RUN(one_without_time_ends_at_its_first_wait);
  RUN(where_the_task_is_cancelled_too_it_is_cancelled);
  RUN(of_nested_ones_the_one_whose_time_is_up_says_so);
  RUN(a_task_that_ends_within_fails_with_it);
  RUN(struck_at_any_wait_it_leaves_no_deadline);
  RUN(without_memory_it_does_not_begin);
  RUN(one_for_ever_never_is_up);
  return check_summary();
}
