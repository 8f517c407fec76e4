/* condition.c: waiting for a word, with a lock let go meanwhile and held again after. */
#include "script.h"

static tide_lock lock;
static tide_condition condition;

static void waiter(actor *self) {
  BEGIN;
  TRY(tide_lock_acquire(&lock, &self->task));
  WAIT(tide_condition_wait(&condition, &self->task));
  CHECK(lock.owner == self->task.id);
  say(self, "%d", self->outcome);
  CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
  END;
}

static void notifier(actor *self) {
  BEGIN;
  TRY(tide_lock_acquire(&lock, &self->task));
  CHECK_EQ(tide_condition_notify(&condition, &self->task, (size_t)self->data), TIDE_OK);
  WAIT(sleep_ms(self, 3));
  say(self, "releases");
  CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
  END;
}

static void let_go(actor *self) { tide_lock_release(&lock, &self->task); }

static void open_world(world *w) {
  world_open(w);
  tide_lock_init(&lock);
  tide_condition_init(&condition, &lock);
}

static void check_free(void) {
  CHECK(lock.owner == 0);
  CHECK(tide_list_empty(&lock.waiters));
  CHECK(tide_list_empty(&condition.waiters));
}

static void close_world(world *w) {
  check_free();
  world_close(w);
}

static void notify(world *w, size_t count) { spawn(w, "n", notifier)->data = (void *)count; }

static void notify_wakes_the_longest_waiter_once_the_lock_is_free(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", waiter);
  spawn(&w, "b", waiter);
  settle(&w);
  CHECK(lock.owner == 0);
  notify(&w, 1);
  settle(&w);
  CHECK_LOG(&w, "n releases, a 0");
  notify(&w, 1);
  settle(&w);
  CHECK_LOG(&w, "n releases, b 0");
  close_world(&w);
}

static void notify_wakes_so_many_or_all(void) {
  world w;
  open_world(&w);
  for (int i = 0; i < 5; i++) spawn(&w, "a", waiter);
  settle(&w);
  notify(&w, 2);
  settle(&w);
  CHECK_LOG(&w, "n releases, a 0, a 0");
  notify(&w, SIZE_MAX);
  settle(&w);
  CHECK_LOG(&w, "n releases, a 0, a 0, a 0");
  notify(&w, 1); /* nobody is there */
  settle(&w);
  CHECK_LOG(&w, "n releases");
  close_world(&w);
}

static void outsider(actor *self) {
  BEGIN;
  CHECK_EQ(tide_condition_wait(&condition, &self->task), TIDE_EINVALID_STATE);
  CHECK_EQ(tide_condition_notify(&condition, &self->task, 1), TIDE_EINVALID_STATE);
  CHECK_EQ(tide_condition_notify(&condition, NULL, 1), TIDE_EINVALID_STATE);
  END;
}

static void without_the_lock_it_cannot_be_used(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", outsider);
  settle(&w);
  close_world(&w);
}

static void a_cancelled_waiter_has_the_lock_back_before_it_is_told(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", waiter);
  settle(&w);
  notify(&w, 0);
  turn(&w);
  tide_task_cancel(&a->task);
  turn(&w);
  CHECK_EQ(a->task.state, TIDE_TASK_WAITING);
  settle(&w);
  CHECK_LOG(&w, "n releases, a -1");
  close_world(&w);
}

static void a_waiter_cancelled_once_it_was_notified_has_been_notified(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", waiter);
  settle(&w);
  notify(&w, 1);
  turn(&w);
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK_LOG(&w, "n releases, a 0");
  close_world(&w);
}

static void an_interrupted_waiter_has_the_lock_back_too(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", waiter);
  settle(&w);
  tide_loop_interrupt(w.loop, &a->task, TIDE_EDEADLOCK);
  settle(&w);
  CHECK_LOG(&w, "a -8");
  close_world(&w);
}

static void one_that_waits_for_its_lock_back_cannot_be_interrupted(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", waiter);
  settle(&w);
  notify(&w, 1);
  turn(&w);
  tide_loop_interrupt(w.loop, &a->task, TIDE_EDEADLOCK);
  CHECK_EQ(a->task.state, TIDE_TASK_WAITING);
  settle(&w);
  CHECK_LOG(&w, "n releases, a 0");
  close_world(&w);
}

static void doomed(actor *self) {
  BEGIN;
  TRY(tide_lock_acquire(&lock, &self->task));
  tide_task_cancel(&self->task);
  WAIT(tide_condition_wait(&condition, &self->task));
  CHECK(lock.owner == self->task.id);
  say(self, "%d", self->outcome);
  CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
  END;
}

static void a_wait_in_a_cancelled_scope_keeps_the_lock(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", doomed);
  settle(&w);
  CHECK_LOG(&w, "a -1");
  close_world(&w);
}

static void who_is_killed_once_it_was_notified_passes_the_word_on(void) {
  for (int late = 0; late < 2; late++) {
    world w;
    open_world(&w);
    actor *a = spawn(&w, "a", waiter);
    spawn(&w, "b", waiter);
    a->close = let_go;
    settle(&w);
    notify(&w, 1);
    turn(&w);
    while (late && lock.owner != a->task.id) CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
    actor_kill(a);
    settle(&w);
    CHECK_LOG(&w, "n releases, b 0");
    close_world(&w);
  }
}

static void its_waiters_take_their_turn_for_the_lock(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", waiter);
  settle(&w);
  notify(&w, 1);
  spawn(&w, "b", waiter);
  turn(&w);
  settle(&w);
  CHECK_LOG(&w, "n releases, a 0");
  notify(&w, 1);
  settle(&w);
  CHECK_LOG(&w, "n releases, b 0");
  close_world(&w);
}

static void late_notifier(actor *self) {
  BEGIN;
  TRY(tide_lock_acquire(&lock, &self->task));
  WAIT(sleep_ms(self, 1));
  CHECK_EQ(tide_condition_notify(&condition, &self->task, 1), TIDE_OK);
  CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
  END;
}

static void holder(actor *self) {
  BEGIN;
  TRY(tide_lock_acquire(&lock, &self->task));
  say(self, "has the lock");
  CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
  END;
}

static void a_notified_waiter_does_not_overtake_who_waits_for_the_lock(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", waiter);
  turn(&w);
  spawn(&w, "n", late_notifier);
  spawn(&w, "b", holder);
  settle(&w);
  CHECK_LOG(&w, "b has the lock, a 0");
  close_world(&w);
}

static void waits_then_locks(actor *self) {
  BEGIN;
  TRY(tide_lock_acquire(&lock, &self->task));
  WAIT(tide_condition_wait(&condition, &self->task));
  say(self, "%d", self->outcome);
  tide_task_uncancel(&self->task);
  CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
  WAIT(sleep_ms(self, 5));
  WAIT(tide_lock_acquire(&lock, &self->task));
  say(self, "%d", self->outcome);
  CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
  END;
}

static void how_a_wait_ended_does_not_taint_the_next_one(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", waits_then_locks);
  turn(&w);
  tide_task_cancel(&a->task);
  turn(&w);
  CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  CHECK_EQ(a->task.state, TIDE_TASK_READY);
  actor *n = actor_new(&w, "n", notifier); /* has the lock when a wants it */
  n->task.id = UINT64_MAX;                 /* as it is not spawned */
  CHECK(tide_lock_try(&lock, &n->task));
  turn(&w);
  CHECK_EQ(a->task.state, TIDE_TASK_WAITING);
  CHECK_EQ(tide_lock_release(&lock, &n->task), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "a -1, a 0");
  w.count--;
  close_world(&w);
}

static void one_killed_while_it_gets_its_lock_back_to_be_told_it_was_cancelled_wakes_nobody(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", waiter);
  actor *b = spawn(&w, "b", waiter);
  a->close = let_go;
  settle(&w);
  notify(&w, 0);
  turn(&w);
  tide_task_cancel(&a->task);
  actor_kill(a);
  settle(&w);
  CHECK_EQ(b->task.state, TIDE_TASK_WAITING);
  notify(&w, 1);
  settle(&w);
  close_world(&w);
}

/* Everything at once: a mailbox, as one writes it with a condition. */

static int letters, delivered;

static void reader(actor *self) {
  BEGIN;
  TRY(tide_lock_acquire(&lock, &self->task));
  for (; self->i < 3; self->i++) {
    while (letters == 0 && self->outcome == TIDE_OK)
      WAIT(tide_condition_wait(&condition, &self->task));
    CHECK(lock.owner == self->task.id);
    if (self->outcome != TIDE_OK) break;
    letters--;
    delivered++;
    WAIT(tide_task_yield(&self->task));
    if (self->outcome != TIDE_OK) break;
  }
  CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
  END;
}

static void writer(actor *self) {
  BEGIN;
  for (; self->i < 9; self->i++) {
    TRY(tide_lock_acquire(&lock, &self->task));
    letters++;
    CHECK_EQ(tide_condition_notify(&condition, &self->task, 1), TIDE_OK);
    if (self->i == 6) WAIT(sleep_ms(self, 1));
    CHECK_EQ(tide_lock_release(&lock, &self->task), TIDE_OK);
    if (self->i % 2) TRY(sleep_ms(self, 1));
  }
  END;
}

static void stage(world *w) {
  tide_lock_init(&lock);
  tide_condition_init(&condition, &lock);
  letters = delivered = 0;
  w->victim = spawn(w, "victim", reader);
  w->victim->close = let_go;
  spawn(w, "a", reader);
  spawn(w, "b", reader);
  spawn(w, "writer", writer);
}

static void verify(world *w) {
  check_free();
  CHECK_EQ(delivered + letters, 9);
  CHECK_EQ(w->actors[1].i, 3); /* no word was lost */
  CHECK_EQ(w->actors[2].i, 3);
}

static void a_waiter_may_be_struck_at_any_wait(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
}

int main(void) {
  RUN(notify_wakes_the_longest_waiter_once_the_lock_is_free);
  RUN(notify_wakes_so_many_or_all);
  RUN(without_the_lock_it_cannot_be_used);
  RUN(a_cancelled_waiter_has_the_lock_back_before_it_is_told);
  RUN(a_waiter_cancelled_once_it_was_notified_has_been_notified);
  RUN(an_interrupted_waiter_has_the_lock_back_too);
  RUN(one_that_waits_for_its_lock_back_cannot_be_interrupted);
  RUN(a_wait_in_a_cancelled_scope_keeps_the_lock);
  RUN(who_is_killed_once_it_was_notified_passes_the_word_on);
  RUN(its_waiters_take_their_turn_for_the_lock);
  RUN(a_notified_waiter_does_not_overtake_who_waits_for_the_lock);
  RUN(how_a_wait_ended_does_not_taint_the_next_one);
  RUN(one_killed_while_it_gets_its_lock_back_to_be_told_it_was_cancelled_wakes_nobody);
  RUN(a_waiter_may_be_struck_at_any_wait);
  return check_summary();
}
