/* deadline.c: deadlines on scopes. */
#include "scope.h"

static tide_deadline deadline;

static void hurried(actor *self) {
  BEGIN;
  tide_scope_init(&self->scope, 0);
  tide_scope_enter(&self->scope, &self->task);
  tide_deadline_init(&deadline, &self->scope, self->world->loop);
  CHECK_EQ(tide_deadline_set(&deadline, after_ms(self->world, 5)), TIDE_OK);
  WAIT(sleep_ms(self, self->data != NULL ? 3 : 10));
  say(self, "%d %s", self->outcome, flags(&self->scope));
  tide_deadline_stop(&deadline);
  tide_scope_exit(&self->scope);
  TRY(sleep_ms(self, 10));
  END;
}

static void a_deadline_cancels_its_scope_and_marks_it(void) {
  world w;
  world_open(&w);
  tide_time began = tide_loop_now(w.loop);
  spawn(&w, "t", hurried);
  settle(&w);
  CHECK_LOG(&w, "t -1 Cce");
  CHECK_EQ(tide_loop_now(w.loop) - began, 15000000);
  world_close(&w);
}

static void a_deadline_that_is_stopped_does_nothing(void) {
  world w;
  world_open(&w);
  spawn(&w, "t", hurried)->data = &w;
  settle(&w);
  CHECK_LOG(&w, "t 0 -");
  CHECK(deadline.when == TIDE_NEVER);
  world_close(&w);
}

static void a_scope_cancelled_before_its_deadline_has_not_expired(void) {
  world w;
  world_open(&w);
  actor *t = spawn(&w, "t", hurried);
  turn(&w);
  tide_scope_cancel(&t->scope, w.loop);
  settle(&w);
  CHECK_LOG(&w, "t -1 Cc");
  world_close(&w);
}

static void dawdler(actor *self) {
  BEGIN;
  tide_scope_init(&self->scope, 0);
  tide_scope_enter(&self->scope, &self->task);
  tide_deadline_init(&deadline, &self->scope, self->world->loop);
  CHECK(deadline.when == TIDE_NEVER);
  CHECK_EQ(tide_deadline_set(&deadline, after_ms(self->world, 5)), TIDE_OK);
  tide_scope_cancel(&self->scope, self->world->loop);
  tide_scope_init(&scopes[0], TIDE_SCOPE_SHIELD);
  tide_scope_enter(&scopes[0], &self->task);
  WAIT(sleep_ms(self, 10));
  tide_scope_exit(&scopes[0]);
  say(self, "%s, %u", flags(&self->scope), (unsigned)self->scope.requests);
  END;
}

static void nor_has_it_if_the_deadline_comes_after_that(void) {
  world w;
  world_open(&w);
  spawn(&w, "t", dawdler);
  settle(&w);
  CHECK_LOG(&w, "t Cc, 2");
  world_close(&w);
}

static void a_deadline_can_be_moved(void) {
  world w;
  world_open(&w);
  spawn(&w, "t", hurried);
  turn(&w);
  CHECK_EQ(tide_deadline_set(&deadline, after_ms(&w, 20)), TIDE_OK);
  CHECK_EQ(deadline.when, after_ms(&w, 20));
  CHECK_EQ(w.loop->timers.count, 2);
  settle(&w);
  CHECK_LOG(&w, "t 0 -");
  world_close(&w);
}

static void a_deadline_set_to_a_time_that_has_passed_cancels_at_once(void) {
  world w;
  world_open(&w);
  actor *t = spawn(&w, "t", hurried);
  turn(&w);
  CHECK_EQ(tide_deadline_set(&deadline, tide_loop_now(w.loop)), TIDE_OK);
  CHECK_EQ(deadline.when, tide_loop_now(w.loop));
  CHECK_TEXT(flags(&t->scope), "Cce");
  settle(&w);
  CHECK_LOG(&w, "t -1 Cce");
  world_close(&w);
}

static void a_deadline_taken_away_never_comes(void) {
  world w;
  world_open(&w);
  spawn(&w, "t", hurried);
  turn(&w);
  CHECK_EQ(tide_deadline_set(&deadline, TIDE_NEVER), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "t 0 -");
  world_close(&w);
}

static void uncancel_after_a_deadline_makes_the_scope_live(void) {
  world w;
  world_open(&w);
  actor *t = spawn(&w, "t", hurried);
  turn(&w);
  tide_deadline_set(&deadline, tide_loop_now(w.loop));
  CHECK(tide_scope_uncancel(&t->scope));
  CHECK_TEXT(flags(&t->scope), "-");
  settle(&w);
  world_close(&w);
}

static void a_deadline_without_memory_is_gone(void) {
  world w;
  world_open(&w);
  tide_scope_init(&scopes[0], 0);
  tide_deadline_init(&deadline, &scopes[0], w.loop);
  w.memory.fail_at = w.memory.allocations + 1;
  CHECK_EQ(tide_deadline_set(&deadline, after_ms(&w, 1)), TIDE_ENOMEM);
  CHECK(deadline.when == TIDE_NEVER);
  tide_deadline_stop(&deadline);
  world_close(&w);
}

static void of_two_deadlines_the_outer_may_come_first(void) {
  world w;
  open_scopes(&w, 2);
  tide_deadline inner;
  tide_deadline_init(&deadline, &scopes[0], w.loop);
  tide_deadline_init(&inner, &scopes[1], w.loop);
  CHECK_EQ(tide_deadline_set(&deadline, after_ms(&w, 3)), TIDE_OK);
  CHECK_EQ(tide_deadline_set(&inner, after_ms(&w, 4)), TIDE_OK);
  while (w.actors[0].task.state != TIDE_TASK_READY || w.actors[0].steps == 0)
    CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  CHECK_TEXT(flags(&scopes[0]), "Cce");
  CHECK_TEXT(flags(&scopes[1]), "C");
  tide_deadline_stop(&inner);
  settle(&w);
  CHECK_LOG(&w, "t slept -1, t outside 1: -1, t caught by 0, t outside 0: 0");
  world_close(&w);
}

int main(void) {
  RUN(a_deadline_cancels_its_scope_and_marks_it);
  RUN(a_deadline_that_is_stopped_does_nothing);
  RUN(a_scope_cancelled_before_its_deadline_has_not_expired);
  RUN(nor_has_it_if_the_deadline_comes_after_that);
  RUN(a_deadline_can_be_moved);
  RUN(a_deadline_set_to_a_time_that_has_passed_cancels_at_once);
  RUN(a_deadline_taken_away_never_comes);
  RUN(uncancel_after_a_deadline_makes_the_scope_live);
  RUN(a_deadline_without_memory_is_gone);
  RUN(of_two_deadlines_the_outer_may_come_first);
  return check_summary();
}
