/* lock.c: mutual exclusion, handed over in order of arrival. */
#include "script.h"

static tide_lock lock;

static void holder(actor *self) {
  BEGIN;
  TRY(tide_lock_acquire(&lock, &self->task));
  say(self, "has it");
  WAIT(sleep_ms(self, 2));
  CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
  END;
}

static void open_world(world *w) {
  world_open(w);
  tide_lock_init(&lock);
}

static void close_world(world *w) {
  CHECK(lock.owner == 0);
  CHECK(tide_list_empty(&lock.waiters));
  world_close(w);
}

static void one_holds_it_at_a_time_in_order_of_arrival(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", holder);
  spawn(&w, "b", holder);
  spawn(&w, "c", holder);
  turn(&w);
  CHECK(lock.owner == a->task.id);
  CHECK_LOG(&w, "a has it");
  settle(&w);
  CHECK_LOG(&w, "b has it, c has it");
  close_world(&w);
}

static void a_free_one_is_taken_without_waiting(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", holder);
  settle(&w);
  CHECK_EQ(a->suspensions, 1); /* the sleep */
  close_world(&w);
}

static void thief(actor *self) {
  BEGIN;
  TRY(tide_lock_acquire(&lock, &self->task));
  TRY(tide_task_yield(&self->task));
  CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
  say(self, "wants it again");
  CHECK(!tide_lock_try(&lock, &self->task));
  TRY(tide_lock_acquire(&lock, &self->task));
  say(self, "has it again");
  CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
  END;
}

static void nobody_overtakes_one_who_waits(void) {
  world w;
  open_world(&w);
  spawn(&w, "thief", thief);
  spawn(&w, "b", holder);
  settle(&w);
  CHECK_LOG(&w, "thief wants it again, b has it, thief has it again");
  close_world(&w);
}

static void misuser(actor *self) {
  BEGIN;
  CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_EINVALID_STATE);
  CHECK(tide_lock_try(&lock, &self->task));
  CHECK(!tide_lock_try(&lock, &self->task));
  CHECK_EQ(tide_lock_acquire(&lock, &self->task), TIDE_EINVALID_STATE);
  CHECK_EQ(tide_lock_release(&lock, NULL), TIDE_EINVALID_STATE);
  CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
  END;
}

static void only_the_owner_may_release_it_and_only_others_acquire_it(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", misuser);
  settle(&w);
  close_world(&w);
}

static void a_cancelled_waiter_leaves_the_line(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", holder);
  actor *b = spawn(&w, "b", holder);
  spawn(&w, "c", holder);
  turn(&w);
  tide_task_cancel(&b->task);
  settle(&w);
  CHECK_LOG(&w, "a has it, c has it");
  CHECK_EQ(b->outcome, TIDE_ECANCELLED);
  close_world(&w);
}

static void quick(actor *self) {
  BEGIN;
  TRY(tide_lock_acquire(&lock, &self->task));
  say(self, "has it");
  CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
  WAIT(tide_task_yield(&self->task));
  say(self, "%d", self->outcome);
  END;
}

static void one_cancelled_when_it_had_the_lock_already_has_it(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", holder);
  actor *b = spawn(&w, "b", quick);
  turn(&w);
  while (lock.owner != b->task.id) CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  CHECK_EQ(b->task.state, TIDE_TASK_READY);
  tide_task_cancel(&b->task);
  settle(&w);
  CHECK_LOG(&w, "a has it, b has it, b -1");
  close_world(&w);
}

static void doomed(actor *self) {
  BEGIN;
  tide_task_cancel(&self->task);
  TRY(tide_lock_acquire(&lock, &self->task));
  say(self, "has it");
  END;
}

static void a_cancelled_task_cannot_take_a_free_one(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", doomed);
  settle(&w);
  CHECK_EQ(a->outcome, TIDE_ECANCELLED);
  CHECK_LOG(&w, "");
  close_world(&w);
}

/* Everything at once. */

static int inside;

static void critical(actor *self) {
  BEGIN;
  for (; self->i < 3; self->i++) {
    TRY(tide_lock_acquire(&lock, &self->task));
    CHECK_EQ(inside++, 0);
    WAIT(self->i == 1 ? tide_task_yield(&self->task) : sleep_ms(self, 1));
    CHECK_EQ(--inside, 0);
    CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
  }
  END;
}

static void let_go(actor *self) {
  if (tide_lock_release(&lock, &self->task) == TIDE_OK) inside--;
}

static void stage(world *w) {
  tide_lock_init(&lock);
  inside = 0;
  spawn(w, "a", critical);
  w->victim = spawn(w, "victim", critical);
  w->victim->close = let_go;
  spawn(w, "b", critical);
}

static void verify(world *w) {
  CHECK(lock.owner == 0);
  CHECK(tide_list_empty(&lock.waiters));
  CHECK_EQ(inside, 0);
  CHECK_EQ(w->actors[0].i, 3);
  CHECK_EQ(w->actors[2].i, 3);
}

static void a_holder_or_waiter_may_be_struck_at_any_wait(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
}

int main(void) {
  RUN(one_holds_it_at_a_time_in_order_of_arrival);
  RUN(a_free_one_is_taken_without_waiting);
  RUN(nobody_overtakes_one_who_waits);
  RUN(only_the_owner_may_release_it_and_only_others_acquire_it);
  RUN(a_cancelled_waiter_leaves_the_line);
  RUN(one_cancelled_when_it_had_the_lock_already_has_it);
  RUN(a_cancelled_task_cannot_take_a_free_one);
  RUN(a_holder_or_waiter_may_be_struck_at_any_wait);
  return check_summary();
}
