/* io_write.c: the writing half of streams; `ours` is written to. */
#include <pthread.h>
#include <signal.h>

#include "../../core/io/sys.h"
#include "io_write.h"

static void flusher(actor *self) {
  BEGIN;
  CALL_OR_END(tide_stream_flush(&ours, &self->task));
  say(self, "flushed");
  END;
}

/* Writing. */

static void parts_writer(actor *self) {
  static struct iovec parts[3000];
  for (size_t i = 0; i < 3000; i++) parts[i] = (struct iovec){large + i * 3, 3};
  BEGIN;
  CALL_OR_END(tide_stream_write(&ours, &self->task, parts, 0));
  CALL_OR_END(tide_stream_write(&ours, &self->task, parts, 3000));
  parts[1].iov_len = 0;
  CALL_OR_END(tide_stream_write(&ours, &self->task, parts + 1, 1));
  END;
}

static void parts_arrive_in_order(void) {
  world w;
  open_pair(&w);
  actor *a = spawn(&w, "a", parts_writer);
  settle(&w);
  CHECK_EQ(a->suspensions, 0);
  CHECK_EQ(drain_all(&w, 0), 9000);
  close_pair(&w);
}

static void what_the_system_does_not_take_is_sent_in_the_background(void) {
  world w;
  open_pair(&w);
  spawn(&w, "a", writer);
  turn(&w);
  CHECK_LOG(&w, "a wrote");
  CHECK(tide_stream_unsent(&ours) > 0);
  CHECK_EQ(drain_all(&w, 0), LARGE);
  CHECK_EQ(tide_stream_unsent(&ours), 0);
  CHECK(ours.output == NULL);
  CHECK_EQ(drain_all(&w, LARGE), LARGE);
  CHECK_LOG(&w, "a wrote more, more");
  CHECK_EQ(ours.own.fd.armed & TIDE_WRITABLE, 0); /* else it would be told so forever */
  close_pair(&w);
}

static void parts_are_kept_in_order_wherever_the_system_cuts_them(void) {
  world w;
  open_pair(&w);
  for (int size = 1; size < 64; size += check_quick() ? 31 : 7) {
    struct iovec parts[4] = {{large, 5}, {large + 5, 0}, {large + 5, 50}, {large + 55, LARGE - 55}};
    actor a = {.world = &w};
    tide_task_init(&a.task, w.loop, &actor_ops);
    CHECK_EQ(setsockopt(ours.own.fd.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    CHECK_EQ(tide_stream_write(&ours, &a.task, parts, 4), TIDE_OK);
    CHECK(tide_stream_unsent(&ours) > 0);
    CHECK_EQ(drain_all(&w, 0), LARGE);
  }
  close_pair(&w);
}

/* Back-pressure. */

static void small_writer(actor *self) {
  BEGIN;
  while (self->i < 100) {
    CALL_OR_END(write_part(self, (size_t)self->i * 1000, 1000));
    self->i++;
  }
  END;
}

static void writers_wait_above_the_high_mark_for_the_low_mark(void) {
  world w;
  int size = 1;
  open_pair(&w);
  CHECK_EQ(setsockopt(ours.own.fd.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
  tide_stream_set_marks(&ours, 5000, 10000);
  actor *a = spawn(&w, "a", small_writer);
  turns(&w, 2);
  CHECK_EQ(a->task.state, TIDE_TASK_WAITING);
  CHECK_TEXT(tide_task_waits_for(&a->task), "Stream.write");
  size_t most = tide_stream_unsent(&ours), seen = 0;
  CHECK(most > 10000 && most <= 11000);
  int before = a->i;
  while (tide_stream_unsent(&ours) > 5000) {
    CHECK_EQ(a->i, before);
    CHECK_EQ(a->steps, 1);
    CHECK(seen < 100000);
    char one[500];
    ssize_t got = recv(theirs.own.fd.fd, one, sizeof one, MSG_DONTWAIT);
    CHECK(got > 0);
    check_pattern(one, seen, (size_t)got);
    seen += (size_t)got;
    tide_loop_turn(w.loop, false);
  }
  turns(&w, 1);
  CHECK(a->i > before);
  CHECK(tide_stream_unsent(&ours) <= 11000);
  CHECK_EQ(drain_all(&w, seen), 100000);
  settle(&w);
  close_pair(&w);
}

/* Turns. Each of several writers writes the next part of the pattern, self->i, in two pieces. */

enum { WRITERS = 4, PART = LARGE / WRITERS };

static int write_part_in_pieces(actor *self) {
  char *part = large + self->i * PART;
  struct iovec pieces[2] = {{part, 1000}, {part + 1000, PART - 1000}};
  return tide_stream_write(&ours, &self->task, pieces, 2);
}

static void part_writer(actor *self) {
  BEGIN;
  CALL_OR_END(write_part_in_pieces(self));
  say(self, "%d", self->i);
  END;
}

static actor *spawn_part_writer(world *w, int i) {
  actor *self = spawn(w, "w", part_writer);
  self->i = i;
  return self;
}

/* Takes what comes, `seen` of it so far, until whose turn it is is about to go on, or all have
 * ended. Gives how much there was. */
static size_t drain_until_it_goes_on(world *w, size_t seen) {
  for (int turns = 0; ours.writer != NULL && ours.writer->state == TIDE_TASK_WAITING; turns++) {
    CHECK(turns < 1000000);
    seen += drain(w, seen);
    tide_loop_turn(w->loop, false);
  }
  return seen;
}

static void writers_take_turns(void) {
  world w;
  open_pair(&w);
  tide_stream_set_marks(&ours, 5000, 10000);
  for (int i = 0; i < WRITERS; i++) spawn_part_writer(&w, i);
  actor *f = spawn(&w, "f", flusher);
  turns(&w, 2);
  CHECK_LOG(&w, "w 0");
  CHECK_EQ(tide_stream_close_write(&ours), TIDE_EBUSY);
  CHECK_EQ(f->task.state, TIDE_TASK_WAITING);
  CHECK_EQ(drain_all(&w, 0), WRITERS * PART);
  CHECK_LOG(&w, "w 1, w 2, w 3, f flushed");
  CHECK(ours.writer == NULL && ours.turns == NULL);
  close_pair(&w);
}

static void who_comes_later_does_not_overtake(void) {
  world w;
  open_pair(&w);
  tide_stream_set_marks(&ours, 5000, 10000);
  spawn_part_writer(&w, 0);
  spawn_part_writer(&w, 1);
  turns(&w, 1);
  size_t seen = drain_until_it_goes_on(&w, 0);
  spawn_part_writer(&w, 2); /* while the second is about to write */
  tide_loop_turn(w.loop, false);
  seen = drain_all(&w, seen);
  CHECK_EQ(seen, 3 * PART);
  CHECK_LOG(&w, "w 0, w 1, w 2");
  close_pair(&w);
}

static void an_error_is_told_to_all_who_wait_for_their_turn(void) {
  world w;
  open_pair(&w);
  for (int i = 0; i < WRITERS; i++) spawn_part_writer(&w, i);
  turns(&w, 2);
  tide_stream_close(&theirs);
  settle(&w);
  CHECK_EQ(w.actors[0].outcome, TIDE_OK);
  for (int i = 1; i < WRITERS; i++) CHECK(actor_failed_with(&w.actors[i], TIDE_OS(EPIPE)));
  close_pair(&w);
}

/* Whether they wait for room, for their turn, or are about to go on; it may be freed at once. */
static void closing_it_ends_all_turns(void) {
  for (int ready = 0; ready < 2; ready++) {
    for (int kill = 0; kill < 2; kill++) {
      world w;
      open_pair(&w);
      for (int i = 0; i < WRITERS; i++) spawn_part_writer(&w, i);
      turns(&w, 2);
      size_t seen = ready ? drain_until_it_goes_on(&w, 0) : 0;
      tide_stream_close(&ours);
      memset(&ours, 0xee, sizeof ours);
      for (unsigned i = 1; kill && i < WRITERS; i++) actor_kill(&w.actors[i]);
      seen = drain_all(&w, seen);
      CHECK_EQ(seen, PART);
      for (unsigned i = 1; i < WRITERS; i++)
        CHECK(actor_failed_with(&w.actors[i], kill ? TIDE_ECANCELLED : TIDE_ECLOSED));
      tide_stream_close(&theirs);
      io_close(&w);
    }
  }
}

static void flush_waits_until_all_is_with_the_system(void) {
  world w;
  open_pair(&w);
  spawn(&w, "f", flusher);
  settle(&w);
  CHECK_LOG(&w, "f flushed");
  actor a = {.world = &w};
  tide_task_init(&a.task, w.loop, &actor_ops);
  CHECK_EQ(write_large(&a), TIDE_OK);
  actor *f = spawn(&w, "f", flusher);
  turns(&w, 2);
  size_t seen = drain(&w, 0);
  turns(&w, 3);
  CHECK_EQ(f->steps, 1);
  CHECK_TEXT(tide_task_waits_for(&f->task), "Stream.flush");
  CHECK_EQ(drain_all(&w, seen), LARGE);
  CHECK_LOG(&w, "f flushed");
  close_pair(&w);
}

/* Cancelling. */

static void stage_blocked_writer(world *w) {
  CHECK_EQ(tide_stream_pair(&ours, &theirs, w->loop), TIDE_OK);
  w->victim = spawn(w, "v", writer);
}

/* The scenario's other end: reads once the victim was struck or the like of it has passed. */
static size_t seen_there;

static void late_drainer(actor *self) {
  BEGIN;
  while (self->i < 30) {
    WAIT(sleep_ms(self, self->i == 0 ? 5 : 1));
    if (self->outcome == TIDE_ENOMEM) continue; /* it is not this allocation that matters */
    seen_there += drain(self->world, seen_there);
    self->i++;
  }
  END;
}

static void stage_write(world *w) {
  stage_blocked_writer(w);
  seen_there = 0;
  spawn(w, "late", late_drainer);
}

static void verify_write(world *w) {
  CHECK_EQ(seen_there, LARGE);
  CHECK_TEXT(w->log, w->victim->outcome == TIDE_OK ? "v wrote, v wrote more, more" : "v wrote");
  CHECK(ours.writer == NULL);
  tide_stream_close(&ours);
  tide_stream_close(&theirs);
}

/* The victim is the first, the second or the last of four. The others are not harmed. */
static unsigned victim_place;
static char *received;

static void turn_drainer(actor *self) {
  BEGIN;
  while (self->i < 40) {
    WAIT(sleep_ms(self, self->i == 0 ? 5 : 1));
    ssize_t got = recv(theirs.own.fd.fd, received + seen_there, LARGE - seen_there, MSG_DONTWAIT);
    if (got > 0) seen_there += (size_t)got;
    self->i++;
  }
  END;
}

static void stage_turns(world *w) {
  CHECK_EQ(tide_stream_pair(&ours, &theirs, w->loop), TIDE_OK);
  seen_there = 0;
  for (int i = 0; i < WRITERS; i++) spawn_part_writer(w, i);
  w->victim = &w->actors[victim_place];
  spawn(w, "d", turn_drainer);
}

static void verify_turns(world *w) {
  size_t at = 0;
  for (unsigned i = 0; i < WRITERS; i++) {
    if (w->actors[i].outcome != TIDE_OK) {
      CHECK(&w->actors[i] == w->victim && w->actors[i].outcome == TIDE_ECANCELLED);
      continue;
    }
    CHECK(memcmp(received + at, large + i * PART, PART) == 0);
    at += PART;
  }
  CHECK_EQ(seen_there, at);
  CHECK(ours.writer == NULL && ours.turns == NULL);
  tide_stream_close(&ours);
  tide_stream_close(&theirs);
}

static void who_is_cancelled_in_the_queue_wrote_nothing_and_harms_nobody(void) {
  static const scenario queue = {stage_turns, verify_turns};
  static const unsigned places[] = {1, 2, WRITERS - 1};
  received = malloc(LARGE);
  for (unsigned i = 0; i < 3; i++) {
    victim_place = places[i];
    play_all_blows(&queue);
  }
  free(received);
}

static void a_cancelled_write_did_not_happen(void) {
  static const scenario blocked = {stage_write, verify_write};
  play_all_blows(&blocked);
}

/* Shortages. */

static void verify_short_write(world *w) {
  actor *v = &w->actors[0];
  seen_there = drain_all(w, seen_there);
  if (v->outcome == TIDE_OK)
    CHECK_EQ(seen_there, LARGE);
  else
    CHECK_EQ(v->outcome, TIDE_ENOMEM);
  CHECK(seen_there == LARGE || ours.write_error == TIDE_ENOMEM);
  tide_stream_close(&ours);
  tide_stream_close(&theirs);
}

static void shortages_are_told(void) {
  static const scenario shortage = {stage_write, verify_short_write};
  play_all_shortages(&shortage);
}

/* Errors. */

static void an_error_of_the_background_shows_later_and_stays(void) {
  world w;
  open_pair(&w);
  actor *a = spawn(&w, "a", writer);
  turns(&w, 2);
  CHECK_EQ(a->task.state, TIDE_TASK_WAITING);
  tide_stream_close(&theirs);
  settle(&w);
  CHECK(actor_failed_with(a, TIDE_OS(EPIPE)));
  CHECK_EQ(tide_stream_unsent(&ours), 0);
  a = spawn(&w, "a", writer);
  actor *f = spawn(&w, "f", flusher);
  settle(&w);
  CHECK(actor_failed_with(a, TIDE_OS(EPIPE)));
  CHECK(actor_failed_with(f, TIDE_OS(EPIPE)));
  CHECK_EQ(tide_stream_close_write(&ours), TIDE_OS(EPIPE));
  CHECK_LOG(&w, "a wrote");
  close_pair(&w);
}

static void an_error_at_once_shows_at_once(void) {
  world w;
  open_pair(&w);
  tide_stream_close(&theirs);
  actor *a = spawn(&w, "a", writer);
  settle(&w);
  CHECK(actor_failed_with(a, TIDE_OS(EPIPE)));
  close_pair(&w);
}

/* In the old way too, which holds the signal back. */
static void a_signal_that_was_pending_stays(void) {
  tide_loop *loop = tide_loop_new(NULL);
  for (uint8_t channel = TIDE__PLAIN_CHANNEL; channel <= TIDE__OLD_CHANNEL; channel++) {
    for (int was_pending = 0; was_pending < 2; was_pending++) {
      int ends[2];
      sigset_t set, before, pending;
      struct iovec part = {large, 10};
      uint8_t how = channel;
      snprintf(check_state.context, sizeof check_state.context, "channel %d, %d", channel,
               was_pending);
      CHECK_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
      CHECK_EQ(tide__sys_send(loop, ends[1], &part, 1, &how), 10);
      close(ends[0]);
      sigemptyset(&set);
      sigaddset(&set, SIGPIPE);
      pthread_sigmask(SIG_BLOCK, &set, &before);
      if (was_pending) raise(SIGPIPE);
      CHECK_EQ(tide__sys_send(loop, ends[1], &part, 1, &how), -EPIPE);
      sigpending(&pending);
      CHECK_EQ(sigismember(&pending, SIGPIPE), was_pending);
      static const struct timespec at_once = {0, 0};
      if (was_pending) CHECK_EQ(sigtimedwait(&set, NULL, &at_once), SIGPIPE);
      pthread_sigmask(SIG_SETMASK, &before, NULL);
      how = channel;
      CHECK_EQ(tide__sys_send(loop, ends[1], &part, 1, &how), -EPIPE);
      pthread_sigmask(SIG_BLOCK, NULL, &pending);
      CHECK(!sigismember(&pending, SIGPIPE));
      close(ends[1]);
    }
  }
  tide_loop_free(loop);
}

static void pipes_raise_no_signal(void) {
  world w;
  int ends[2];
  io_open(&w);
  CHECK_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
  tide_stream_init(&ours, w.loop, ends[1]);
  actor *a = spawn(&w, "a", writer);
  turns(&w, 2);
  CHECK_EQ(a->task.state, TIDE_TASK_WAITING);
  char bytes[100];
  CHECK_EQ(read(ends[0], bytes, sizeof bytes), sizeof bytes);
  check_pattern(bytes, 0, sizeof bytes);
  close(ends[0]);
  settle(&w);
  CHECK(actor_failed_with(a, TIDE_OS(EPIPE)));
  sigset_t pending;
  sigpending(&pending);
  CHECK(!sigismember(&pending, SIGPIPE));
  sigprocmask(SIG_BLOCK, NULL, &pending);
  CHECK(!sigismember(&pending, SIGPIPE));
  tide_stream_close(&ours);
  io_close(&w);
}

/* Half a stream. */

static void close_write_ends_it_behind_what_was_written(void) {
  world w;
  open_pair(&w);
  actor a = {.world = &w};
  tide_task_init(&a.task, w.loop, &actor_ops);
  CHECK_EQ(write_large(&a), TIDE_OK);
  CHECK_EQ(tide_stream_close_write(&ours), TIDE_OK);
  CHECK_EQ(tide_stream_close_write(&ours), TIDE_OK);
  a.task.streak = 0; /* no turn is due */
  CHECK_EQ(write_text(&a, "x"), TIDE_ECLOSED);
  spawn(&w, "f", flusher);
  size_t seen = 0;
  while (seen < LARGE) {
    seen += drain(&w, seen);
    tide_loop_turn(w.loop, false);
  }
  turns(&w, 2);
  drain(&w, seen);
  CHECK_LOG(&w, "f flushed, end");
  raw_send(&theirs, "still open");
  tide_slice got;
  ours.own.fd.missed = true;
  CHECK_EQ(tide_stream_read(&ours, &a.task, 100, &got), TIDE_OK);
  CHECK_TEXT(text_of(got), "still open");
  close_pair(&w);
}

static void close_write_with_nothing_to_send_is_seen_at_once(void) {
  world w;
  open_pair(&w);
  CHECK_EQ(tide_stream_close_write(&ours), TIDE_OK);
  drain(&w, 0);
  CHECK_LOG(&w, "end");
  tide_stream_close(&ours);
  CHECK_EQ(tide_stream_close_write(&ours), TIDE_ECLOSED);
  close_pair(&w);
}

int main(void) {
  large = patterned(0, LARGE);
  RUN(parts_arrive_in_order);
  RUN(what_the_system_does_not_take_is_sent_in_the_background);
  RUN(parts_are_kept_in_order_wherever_the_system_cuts_them);
  RUN(writers_wait_above_the_high_mark_for_the_low_mark);
  RUN(writers_take_turns);
  RUN(who_comes_later_does_not_overtake);
  RUN(an_error_is_told_to_all_who_wait_for_their_turn);
  RUN(closing_it_ends_all_turns);
  RUN(who_is_cancelled_in_the_queue_wrote_nothing_and_harms_nobody);
  RUN(flush_waits_until_all_is_with_the_system);
  RUN(a_cancelled_write_did_not_happen);
  RUN(shortages_are_told);
  RUN(an_error_of_the_background_shows_later_and_stays);
  RUN(an_error_at_once_shows_at_once);
  RUN(pipes_raise_no_signal);
  RUN(a_signal_that_was_pending_stays);
  RUN(close_write_ends_it_behind_what_was_written);
  RUN(close_write_with_nothing_to_send_is_seen_at_once);
  free(large);
  return check_summary();
}
