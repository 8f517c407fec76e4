/* barrier.c: so many tasks wait until all of them have come. */
#include "script.h"

static tide_barrier barrier;

static void party(actor *self) {
  BEGIN;
  WAIT(tide_barrier_wait(&barrier, &self->task));
  if (self->outcome == TIDE_OK)
    say(self, "is %d", (int)self->task.wait.value.number);
  else
    say(self, "fails %d", self->outcome);
  END;
}

static void open_world(world *w, size_t parties) {
  world_open(w);
  tide_barrier_init(&barrier, parties);
}

static void close_world(world *w) {
  CHECK_EQ(barrier.waiting, 0);
  CHECK(tide_list_empty(&barrier.waiters));
  world_close(w);
}

static void all_go_on_once_the_last_has_come_numbered_as_they_came(void) {
  world w;
  open_world(&w, 3);
  spawn(&w, "a", party);
  spawn(&w, "b", party);
  settle(&w);
  CHECK_LOG(&w, "");
  CHECK_EQ(barrier.waiting, 2);
  actor *c = spawn(&w, "c", party);
  settle(&w);
  CHECK_LOG(&w, "c is 3, a is 1, b is 2");
  CHECK_EQ(c->suspensions, 0);
  close_world(&w);
}

static void it_can_be_used_again(void) {
  world w;
  open_world(&w, 2);
  for (int i = 0; i < 6; i++) spawn(&w, "a", party);
  settle(&w);
  CHECK_LOG(&w, "a is 2, a is 2, a is 2, a is 1, a is 1, a is 1");
  close_world(&w);
}

static void a_barrier_for_one_holds_nobody_up(void) {
  world w;
  open_world(&w, 1);
  spawn(&w, "a", party);
  settle(&w);
  CHECK_LOG(&w, "a is 1");
  close_world(&w);
}

static void one_who_gives_up_has_not_come(void) {
  world w;
  open_world(&w, 3);
  actor *a = spawn(&w, "a", party);
  spawn(&w, "b", party);
  settle(&w);
  tide_task_cancel(&a->task);
  spawn(&w, "c", party);
  settle(&w);
  CHECK_LOG(&w, "a fails -1");
  spawn(&w, "d", party);
  settle(&w);
  CHECK_LOG(&w, "d is 3, b is 1, c is 2");
  close_world(&w);
}

static void reset_fails_who_waits_and_serves_who_comes_after(void) {
  world w;
  open_world(&w, 2);
  spawn(&w, "a", party);
  settle(&w);
  tide_barrier_reset(&barrier);
  spawn(&w, "b", party);
  spawn(&w, "c", party);
  settle(&w);
  CHECK_LOG(&w, "a fails -7, c is 2, b is 1");
  close_world(&w);
}

static void abort_fails_all_until_reset(void) {
  world w;
  open_world(&w, 2);
  spawn(&w, "a", party);
  settle(&w);
  tide_barrier_abort(&barrier);
  spawn(&w, "b", party);
  settle(&w);
  CHECK_LOG(&w, "a fails -7, b fails -7");
  tide_barrier_reset(&barrier);
  spawn(&w, "c", party);
  spawn(&w, "d", party);
  settle(&w);
  CHECK_LOG(&w, "d is 2, c is 1");
  close_world(&w);
}

static void one_cancelled_when_all_had_come_goes_on(void) {
  world w;
  open_world(&w, 2);
  actor *a = spawn(&w, "a", party);
  spawn(&w, "b", party);
  turn(&w);
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK_LOG(&w, "b is 2, a is 1");
  close_world(&w);
}

static void rounds(actor *self) {
  BEGIN;
  for (; self->i < 3; self->i++) TRY(tide_barrier_wait(&barrier, &self->task));
  END;
}

static void breaker(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 1)); /* if the victim did not come, its partners wait for ever */
  tide_barrier_abort(&barrier);
  END;
}

static void stage(world *w) {
  tide_barrier_init(&barrier, 3);
  spawn(w, "a", rounds);
  w->victim = spawn(w, "victim", rounds);
  spawn(w, "b", rounds);
  spawn(w, "breaker", breaker);
}

static void verify(world *w) {
  (void)w;
  CHECK_EQ(barrier.waiting, 0);
  CHECK(tide_list_empty(&barrier.waiters));
}

static void a_party_may_be_struck_at_any_wait(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
}

int main(void) {
  RUN(all_go_on_once_the_last_has_come_numbered_as_they_came);
  RUN(it_can_be_used_again);
  RUN(a_barrier_for_one_holds_nobody_up);
  RUN(one_who_gives_up_has_not_come);
  RUN(reset_fails_who_waits_and_serves_who_comes_after);
  RUN(abort_fails_all_until_reset);
  RUN(one_cancelled_when_all_had_come_goes_on);
  RUN(a_party_may_be_struck_at_any_wait);
  return check_summary();
}
