/* rwlock.c: many readers or one writer, in order of arrival. */
#include "script.h"

static tide_rwlock lock;

/* Reads if its name begins with r, else writes. */
static bool writes(const actor *self) { return self->name[0] != 'r'; }

static void user(actor *self) {
  BEGIN;
  TRY(tide_rwlock_acquire(&lock, &self->task, writes(self)));
  say(self, "in");
  CHECK(!lock.writing || lock.readers == 0);
  WAIT(sleep_ms(self, 2));
  say(self, "out");
  CHECK_EQ(tide_rwlock_release(&lock, writes(self)), TIDE_OK);
  END;
}

static void open_world(world *w) {
  world_open(w);
  tide_rwlock_init(&lock);
}

static void check_free(void) {
  CHECK_EQ(lock.readers, 0);
  CHECK(!lock.writing);
  CHECK(tide_list_empty(&lock.waiters));
}

static void close_world(world *w) {
  check_free();
  world_close(w);
}

static void readers_read_together(void) {
  world w;
  open_world(&w);
  spawn(&w, "r1", user);
  spawn(&w, "r2", user);
  settle(&w);
  CHECK_LOG(&w, "r1 in, r2 in, r1 out, r2 out");
  close_world(&w);
}

static void a_writer_is_alone(void) {
  world w;
  open_world(&w);
  spawn(&w, "w1", user);
  spawn(&w, "w2", user);
  spawn(&w, "r1", user);
  settle(&w);
  CHECK_LOG(&w, "w1 in, w1 out, w2 in, w2 out, r1 in, r1 out");
  close_world(&w);
}

static void a_reader_does_not_overtake_a_writer_that_waits(void) {
  world w;
  open_world(&w);
  spawn(&w, "r1", user);
  spawn(&w, "w1", user);
  spawn(&w, "r2", user);
  spawn(&w, "r3", user);
  settle(&w);
  CHECK_LOG(&w, "r1 in, r1 out, w1 in, w1 out, r2 in, r3 in, r2 out, r3 out");
  close_world(&w);
}

static void readers_behind_a_writer_that_gives_up_are_let_in(void) {
  world w;
  open_world(&w);
  spawn(&w, "r1", user);
  actor *writer = spawn(&w, "w1", user);
  spawn(&w, "r2", user);
  turn(&w);
  tide_task_cancel(&writer->task);
  turn(&w);
  CHECK_LOG(&w, "r1 in, r2 in");
  settle(&w);
  close_world(&w);
}

static void a_reader_that_gives_up_between_writers_lets_nobody_in(void) {
  world w;
  open_world(&w);
  spawn(&w, "w1", user);
  actor *reader = spawn(&w, "r1", user);
  spawn(&w, "w2", user);
  turn(&w);
  tide_task_cancel(&reader->task);
  settle(&w);
  CHECK_LOG(&w, "w1 in, w1 out, w2 in, w2 out");
  close_world(&w);
}

static void what_nobody_holds_cannot_be_released(void) {
  tide_rwlock_init(&lock);
  CHECK_EQ(tide_rwlock_release(&lock, true), TIDE_EINVALID_STATE);
  CHECK_EQ(tide_rwlock_release(&lock, false), TIDE_EINVALID_STATE);
}

/* Everything at once. */

static void again_and_again(actor *self) {
  BEGIN;
  for (; self->i < 4; self->i++) {
    TRY(tide_rwlock_acquire(&lock, &self->task, (writes(self) + self->i) % 2));
    self->data = self;
    CHECK(!lock.writing || lock.readers == 0);
    WAIT(sleep_ms(self, 1));
    self->data = NULL;
    CHECK_EQ(tide_rwlock_release(&lock, (writes(self) + self->i) % 2), TIDE_OK);
  }
  END;
}

static void let_go(actor *self) {
  if (self->data != NULL) tide_rwlock_release(&lock, (writes(self) + self->i) % 2);
}

static void stage(world *w) {
  tide_rwlock_init(&lock);
  spawn(w, "r1", again_and_again);
  w->victim = spawn(w, "w1", again_and_again);
  w->victim->close = let_go;
  spawn(w, "r2", again_and_again);
  spawn(w, "w2", again_and_again);
}

static void verify(world *w) {
  check_free();
  for (unsigned i = 0; i < w->count; i++) CHECK(&w->actors[i] == w->victim || w->actors[i].i == 4);
}

static void a_holder_or_waiter_may_be_struck_at_any_wait(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
}

int main(void) {
  RUN(readers_read_together);
  RUN(a_writer_is_alone);
  RUN(a_reader_does_not_overtake_a_writer_that_waits);
  RUN(readers_behind_a_writer_that_gives_up_are_let_in);
  RUN(a_reader_that_gives_up_between_writers_lets_nobody_in);
  RUN(what_nobody_holds_cannot_be_released);
  RUN(a_holder_or_waiter_may_be_struck_at_any_wait);
  return check_summary();
}
