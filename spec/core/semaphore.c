/* semaphore.c: a number of permits, handed out in order of arrival. */
#include "script.h"

static tide_semaphore semaphore;
static size_t taken;

static void user(actor *self) {
  BEGIN;
  TRY(tide_semaphore_acquire(&semaphore, &self->task, 1));
  taken++;
  say(self, "in");
  WAIT(sleep_ms(self, 2));
  taken--;
  CHECK_EQ(tide_semaphore_release(&semaphore, 1), TIDE_OK);
  END;
}

static void open_world(world *w, size_t permits, size_t bound) {
  world_open(w);
  taken = 0;
  tide_semaphore_init(&semaphore, permits, bound);
}

static void so_many_may_enter_and_the_others_follow_in_order(void) {
  world w;
  open_world(&w, 2, SIZE_MAX);
  spawn(&w, "a", user);
  spawn(&w, "b", user);
  spawn(&w, "c", user);
  spawn(&w, "d", user);
  turn(&w);
  CHECK_LOG(&w, "a in, b in");
  CHECK_EQ(taken, 2);
  settle(&w);
  CHECK_LOG(&w, "c in, d in");
  CHECK_EQ(semaphore.permits, 2);
  world_close(&w);
}

static void a_permit_given_back_goes_to_who_waits_and_to_nobody_else(void) {
  world w;
  open_world(&w, 0, SIZE_MAX);
  spawn(&w, "a", user);
  turn(&w);
  CHECK_EQ(tide_semaphore_release(&semaphore, 1), TIDE_OK);
  CHECK(!tide_semaphore_try(&semaphore, 1));
  spawn(&w, "b", user);
  settle(&w);
  CHECK_LOG(&w, "a in, b in");
  CHECK_EQ(semaphore.permits, 1);
  world_close(&w);
}

static void a_bounded_one_takes_no_more_than_its_bound(void) {
  tide_semaphore_init(&semaphore, 1, 2);
  CHECK_EQ(tide_semaphore_release(&semaphore, 1), TIDE_OK);
  CHECK_EQ(tide_semaphore_release(&semaphore, 1), TIDE_ELIMIT);
  CHECK(tide_semaphore_try(&semaphore, 1));
  CHECK(tide_semaphore_try(&semaphore, 1));
  CHECK(!tide_semaphore_try(&semaphore, 1));
}

static void a_cancelled_waiter_takes_no_permit(void) {
  world w;
  open_world(&w, 1, 1);
  spawn(&w, "a", user);
  actor *b = spawn(&w, "b", user);
  spawn(&w, "c", user);
  turn(&w);
  tide_task_cancel(&b->task);
  settle(&w);
  CHECK_LOG(&w, "a in, c in");
  CHECK_EQ(semaphore.permits, 1);
  world_close(&w);
}

/* Several permits, and the end. */

static void greedy(actor *self) {
  BEGIN;
  WAIT(tide_semaphore_acquire(&semaphore, &self->task, (size_t)self->i));
  say(self, "%d", self->outcome);
  END;
}

static actor *spawn_greedy(world *w, const char *name, int count) {
  actor *self = spawn(w, name, greedy);
  self->i = count;
  return self;
}

static void who_wants_few_does_not_overtake_who_wants_many(void) {
  world w;
  open_world(&w, 2, 9);
  spawn_greedy(&w, "a", 3);
  spawn_greedy(&w, "b", 1);
  settle(&w);
  CHECK_LOG(&w, "");
  CHECK(!tide_semaphore_try(&semaphore, 1));
  CHECK_EQ(tide_semaphore_release(&semaphore, 1), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "a 0");
  CHECK_EQ(tide_semaphore_release(&semaphore, 3), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "b 0");
  CHECK_EQ(semaphore.permits, 2);
  CHECK_EQ(tide_semaphore_release(&semaphore, 8), TIDE_ELIMIT);
  CHECK_EQ(semaphore.permits, 2);
  world_close(&w);
}

static void those_behind_one_that_gives_up_get_what_there_is(void) {
  for (int kill = 0; kill < 2; kill++) {
    world w;
    open_world(&w, 2, 9);
    actor *a = spawn_greedy(&w, "a", 3);
    spawn_greedy(&w, "b", 2);
    settle(&w);
    if (kill)
      actor_kill(a);
    else
      tide_task_cancel(&a->task);
    settle(&w);
    CHECK_LOG(&w, kill ? "b 0" : "b 0, a -1");
    world_close(&w);
  }
}

static void what_a_killed_task_was_given_comes_back_whole(void) {
  world w;
  open_world(&w, 0, 9);
  actor *a = spawn_greedy(&w, "a", 3);
  settle(&w);
  tide_semaphore_release(&semaphore, 4);
  actor_kill(a);
  CHECK_EQ(semaphore.permits, 4);
  world_close(&w);
}

static void there_is_no_waiting_for_more_than_there_ever_are(void) {
  world w;
  open_world(&w, 2, 2);
  spawn_greedy(&w, "a", 3);
  settle(&w);
  char expected[16];
  snprintf(expected, sizeof expected, "a %d", TIDE_ELIMIT);
  CHECK_LOG(&w, expected);
  world_close(&w);
}

static void closed_it_gives_out_no_more(void) {
  world w;
  open_world(&w, 0, 9);
  spawn_greedy(&w, "a", 1);
  settle(&w);
  tide_semaphore_close(&semaphore);
  spawn_greedy(&w, "b", 1);
  settle(&w);
  char expected[32];
  snprintf(expected, sizeof expected, "a %d, b %d", TIDE_ECLOSED, TIDE_ECLOSED);
  CHECK_LOG(&w, expected);
  CHECK_EQ(tide_semaphore_release(&semaphore, 1), TIDE_OK);
  CHECK(!tide_semaphore_try(&semaphore, 1));
  world_close(&w);
}

/* Everything at once. */

static void regular(actor *self) {
  BEGIN;
  for (; self->i < 300; self->i++) {
    TRY(tide_semaphore_acquire(&semaphore, &self->task, 1));
    self->data = self;
    CHECK(++taken <= 2);
    if (self->i % 100 == 99) WAIT(sleep_ms(self, 1));
    taken--;
    self->data = NULL;
    CHECK_EQ(tide_semaphore_release(&semaphore, 1), TIDE_OK);
  }
  END;
}

static void let_go(actor *self) {
  if (self->data == NULL) return;
  taken--;
  tide_semaphore_release(&semaphore, 1);
}

static void stage(world *w) {
  taken = 0;
  tide_semaphore_init(&semaphore, 2, 2);
  spawn(w, "a", regular);
  w->victim = spawn(w, "victim", regular);
  w->victim->close = let_go;
  spawn(w, "b", regular);
}

static void verify(world *w) {
  CHECK_EQ(semaphore.permits, 2);
  CHECK(tide_list_empty(&semaphore.waiters));
  CHECK_EQ(w->actors[0].i, 300);
  CHECK_EQ(w->actors[2].i, 300);
}

static void a_holder_or_waiter_may_be_struck_at_any_wait(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
}

int main(void) {
  RUN(so_many_may_enter_and_the_others_follow_in_order);
  RUN(a_permit_given_back_goes_to_who_waits_and_to_nobody_else);
  RUN(a_bounded_one_takes_no_more_than_its_bound);
  RUN(a_cancelled_waiter_takes_no_permit);
  RUN(who_wants_few_does_not_overtake_who_wants_many);
  RUN(those_behind_one_that_gives_up_get_what_there_is);
  RUN(what_a_killed_task_was_given_comes_back_whole);
  RUN(there_is_no_waiting_for_more_than_there_ever_are);
  RUN(closed_it_gives_out_no_more);
  RUN(a_holder_or_waiter_may_be_struck_at_any_wait);
  return check_summary();
}
