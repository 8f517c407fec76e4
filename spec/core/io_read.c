/* io_read.c: the reading half of streams. `ours` is read; the spec sends through `theirs`. */
#include "io_read.h"

/* A reader calls what `ask` says, self->i times, and says what it got. */

/* Reads as `ask` says what was sent already, and perhaps the end behind. */
static void check_reads(world *w, const char *log) {
  read_once(w);
  settle(w);
  CHECK_LOG(w, log);
}

/* read */

static void read_gives_what_there_is(void) {
  world w;
  open_pair(&w);
  ask_for(SOME, 100);
  raw_send(&theirs, "hello");
  check_reads(&w, "r 'hello'");
  raw_send(&theirs, "a");
  raw_send(&theirs, "b");
  check_reads(&w, "r 'ab'");
  close_pair(&w);
}

static void read_gives_at_most_what_was_asked_for(void) {
  world w;
  open_pair(&w);
  raw_send(&theirs, "hello");
  ask_for(SOME, 2);
  check_reads(&w, "r 'he'");
  check_reads(&w, "r 'll'");
  check_reads(&w, "r 'o'");
  ask_for(SOME, 0);
  check_reads(&w, "r ''");
  close_pair(&w);
}

static void read_waits_for_the_first_byte(void) {
  world w;
  open_pair(&w);
  ask_for(SOME, 100);
  actor *r = read_once(&w);
  turns(&w, 3);
  CHECK_EQ(r->task.state, TIDE_TASK_WAITING);
  CHECK_TEXT(tide_task_waits_for(&r->task), "Stream.read");
  raw_send(&theirs, "x");
  settle(&w);
  CHECK_LOG(&w, "r 'x'");
  close_pair(&w);
}

static void the_end_is_told_again_and_again(void) {
  world w;
  open_pair(&w);
  ask_for(SOME, 100);
  raw_send(&theirs, "last");
  raw_close(&theirs);
  check_reads(&w, "r 'last'");
  check_reads(&w, "r end ''");
  check_reads(&w, "r end ''");
  ask_for(EXACTLY, 1);
  check_reads(&w, "r end ''");
  ask_for(ALL, 0);
  check_reads(&w, "r ''");
  close_pair(&w);
}

static void what_comes_while_nobody_waits_is_there_at_once(void) {
  world w;
  open_pair(&w);
  ask_for(SOME, 100);
  actor *first = read_once(&w);
  turns(&w, 2);
  raw_send(&theirs, "one");
  turns(&w, 3);
  CHECK(actor_ended(first));
  raw_send(&theirs, "two");
  turns(&w, 3);
  actor *second = read_once(&w);
  turn(&w);
  CHECK_EQ(second->steps, 1);
  CHECK_LOG(&w, "r 'one', r 'two'");
  close_pair(&w);
}

/* The peer closed without reading what we had sent. */
static void a_reset_is_told_again_and_again(void) {
  world w;
  open_pair(&w);
  ask_for(EXACTLY, 100);
  raw_send(&ours, "never read");
  raw_send(&theirs, "last");
  raw_close(&theirs);
  actor *r = read_once(&w);
  settle(&w);
  CHECK(actor_failed_with(r, TIDE_OS(ECONNRESET)));
  CHECK_LOG(&w, "r os");
  ask_for(SOME, 100);
  check_reads(&w, "r 'last'");
  check_reads(&w, "r os");
  check_reads(&w, "r os");
  close_pair(&w);
}

/* read_exactly */

static void exactly_waits_for_all_of_it(void) {
  world w;
  open_pair(&w);
  ask_for(EXACTLY, 6);
  actor *r = read_once(&w);
  turns(&w, 2);
  raw_send(&theirs, "abc");
  turns(&w, 3);
  CHECK(!actor_ended(r));
  CHECK_EQ(tide_stream_buffered(&ours), 3);
  raw_send(&theirs, "defgh");
  settle(&w);
  CHECK_LOG(&w, "r 'abcdef'");
  CHECK_EQ(tide_stream_buffered(&ours), 2);
  ask_for(EXACTLY, 0);
  check_reads(&w, "r ''");
  ask_for(EXACTLY, 2);
  check_reads(&w, "r 'gh'");
  close_pair(&w);
}

static void exactly_gives_what_came_before_the_end(void) {
  world w;
  open_pair(&w);
  ask_for(EXACTLY, 6);
  raw_send(&theirs, "abc");
  tide_stream_close(&theirs);
  check_reads(&w, "r end 'abc'");
  check_reads(&w, "r end ''");
  close_pair(&w);
}

/* read_until */

/* The text in two pieces, cut at every place. */
static void check_lines_cut_anywhere(const char *text, const char *separator, int lines,
                                     const char *log) {
  for (size_t cut = 0; cut <= strlen(text); cut++) {
    world w;
    char first[64];
    open_pair(&w);
    snprintf(check_state.context, sizeof check_state.context, "cut at %zu", cut);
    snprintf(first, sizeof first, "%.*s", (int)cut, text);
    ask_until(100, separator);
    read_times(&w, lines);
    turns(&w, 2);
    raw_send(&theirs, first);
    turns(&w, 6);
    raw_send(&theirs, text + cut);
    tide_stream_close(&theirs);
    settle(&w);
    CHECK_LOG(&w, log);
    close_pair(&w);
  }
}

static void separators_are_found_wherever_reads_are_cut(void) {
  check_lines_cut_anywhere("ab\ncd\n\ne", "\n", 4, "r 'ab\n', r 'cd\n', r '\n', r end 'e'");
  check_lines_cut_anywhere("k: v\r\n\r\nbody", "\r\n\r\n", 2, "r 'k: v\r\n\r\n', r end 'body'");
  check_lines_cut_anywhere("aaab-aaaab", "aaab", 2, "r 'aaab', r '-aaaab'");
  check_lines_cut_anywhere("x--boundary--y--boundary-", "--boundary--", 2,
                           "r 'x--boundary--', r end 'y--boundary-'");
}

static void until_gives_up_at_a_limit_and_keeps_the_bytes(void) {
  world w;
  open_pair(&w);
  ask_until(4, "\n");
  raw_send(&theirs, "abc\nabcd\nab");
  check_reads(&w, "r 'abc\n'");
  check_reads(&w, "r limit");
  check_reads(&w, "r limit");
  ask_until(5, "\n");
  check_reads(&w, "r 'abcd\n'");
  ask_until(2, "\n");
  check_reads(&w, "r limit"); /* no separator can come in time */
  ask_for(SOME, 100);
  check_reads(&w, "r 'ab'");
  close_pair(&w);
}

static void until_wants_a_separator(void) {
  world w;
  open_pair(&w);
  ask_until(4, "");
  check_reads(&w, "r os");
  ask_for(SOME, 4);
  raw_send(&theirs, "x");
  check_reads(&w, "r 'x'");
  close_pair(&w);
}

/* What was searched for one separator was not searched for another. */
static void another_separator_is_searched_for_from_the_start(void) {
  static const char *const others[] = {"b", "bc", "boundary of ten", "-boundary of ten"};
  for (int i = 0; i < 4; i++) {
    world w;
    open_pair(&w);
    snprintf(check_state.context, sizeof check_state.context, "separator %s", others[i]);
    ask_until(100, i == 2 ? "boundary of two" : "X");
    actor *r = read_once(&w);
    raw_send(&theirs, "abcd-boundary of ten-");
    turns(&w, 6);
    tide_task_cancel(&r->task);
    settle(&w);
    CHECK_LOG(&w, "r cancelled");
    ask.separator = others[i];
    static const char *const logs[] = {"r 'ab'", "r 'abc'", "r 'abcd-boundary of ten'",
                                       "r 'abcd-boundary of ten'"};
    check_reads(&w, logs[i]);
    close_pair(&w);
  }
}

/* read_all */

static void all_reads_to_the_end(void) {
  world w;
  open_pair(&w);
  ask_for(ALL, 100);
  read_times(&w, 2);
  turns(&w, 2);
  raw_send(&theirs, "one, ");
  turns(&w, 3);
  raw_send(&theirs, "two");
  turns(&w, 3);
  CHECK_LOG(&w, "");
  tide_stream_close(&theirs);
  settle(&w);
  CHECK_LOG(&w, "r 'one, two', r ''");
  close_pair(&w);
}

static void all_gives_up_at_a_limit_and_keeps_the_bytes(void) {
  world w;
  open_pair(&w);
  ask_for(ALL, 4);
  raw_send(&theirs, "abcde");
  check_reads(&w, "r limit");
  ask.count = 5;
  tide_stream_close(&theirs);
  check_reads(&w, "r 'abcde'");
  close_pair(&w);
}

/* Large amounts, by every function. */

enum { LARGE = 1000003 };

static void large_sender(actor *self) {
  BEGIN;
  if (self->data == NULL) self->data = patterned(0, LARGE);
  while (self->i < LARGE) {
    ssize_t sent = send(theirs.own.fd.fd, (char *)self->data + self->i, (size_t)(LARGE - self->i),
                        MSG_NOSIGNAL);
    if (sent > 0) self->i += (int)sent;
    TRY(sleep_ms(self, 1));
  }
  free(self->data);
  tide_stream_close(&theirs);
  END;
}

static void large_reader(actor *self) {
  tide_slice got = {0};
  BEGIN;
  do {
    CALL(call(self, &got));
    CHECK(self->outcome == TIDE_OK || self->outcome == TIDE_EEOF);
    check_pattern(got.data, (size_t)self->i, got.length);
    self->i += (int)got.length;
  } while (self->outcome == TIDE_OK && got.length > 0);
  CHECK_EQ(self->i, LARGE);
  if (self->outcome == TIDE_EEOF) self->outcome = TIDE_OK;
  END;
}

static void check_large(void) {
  world w;
  open_pair(&w);
  spawn(&w, "s", large_sender);
  actor *r = spawn(&w, "r", large_reader);
  settle(&w);
  CHECK_EQ(r->outcome, TIDE_OK);
  close_pair(&w);
}

static void large_amounts_arrive_whole(void) {
  ask_for(SOME, 100);
  check_large();
  ask_for(SOME, SIZE_MAX);
  check_large();
  ask_for(EXACTLY, 7);
  check_large();
  ask_for(EXACTLY, 300000);
  check_large();
  ask_for(EXACTLY, SIZE_MAX);
  check_large();
  ask_until(SIZE_MAX, "\x41");
  check_large();
  ask_until(SIZE_MAX, "no such thing");
  check_large();
  ask_for(ALL, SIZE_MAX);
  check_large();
}

/* Other tasks. */

static void only_one_task_reads(void) {
  world w;
  open_pair(&w);
  ask_for(EXACTLY, 4);
  actor *first = read_once(&w);
  turns(&w, 2);
  actor *second = spawn(&w, "second", reader);
  turns(&w, 2);
  CHECK(actor_failed_with(second, TIDE_EBUSY));
  raw_send(&theirs, "ab");
  turn(&w); /* the first was told, and has not read yet */
  CHECK_EQ(first->task.state, TIDE_TASK_READY);
  tide_slice got = {0};
  actor third = {.world = &w, .name = "third", .body = reader};
  tide_task_init(&third.task, w.loop, &actor_ops);
  CHECK_EQ(tide_stream_read(&ours, &third.task, 1, &got), TIDE_EBUSY);
  turns(&w, 3);
  raw_send(&theirs, "cd");
  settle(&w);
  CHECK_LOG(&w, "second invalid_state, r 'abcd'");
  close_pair(&w);
}

static void who_is_gone_does_not_keep_others_from_reading(void) {
  for (blow how = 0; how < BLOWS; how++) {
    world w;
    open_pair(&w);
    snprintf(check_state.context, sizeof check_state.context, "blow %d", (int)how);
    ask_for(EXACTLY, 4);
    w.victim = read_once(&w);
    w.blow = how;
    w.when = 1;
    turns(&w, 2);
    raw_send(&theirs, "ab");
    turns(&w, 4);
    CHECK(w.struck);
    raw_send(&theirs, "cd");
    if (how != CANCEL_UNCANCEL && how != READY_CANCEL) CHECK(actor_ended(w.victim));
    settle(&w);
    w.log[0] = '\0';
    raw_send(&theirs, "ef");
    ask_for(SOME, 100);
    check_reads(&w, tide_stream_buffered(&ours) > 0 ? "r 'abcd'" : "r 'abcdef'");
    close_pair(&w);
  }
}

static void closing_it_ends_the_wait(void) {
  world w;
  open_pair(&w);
  ask_for(EXACTLY, 4);
  raw_send(&theirs, "ab");
  actor *r = read_once(&w);
  turns(&w, 6);
  tide_stream_close(&ours);
  tide_stream_close(&ours);
  settle(&w);
  CHECK(actor_failed_with(r, TIDE_ECLOSED));
  check_reads(&w, "r closed, r closed");
  close_pair(&w);
}

/* It was told that there is something to read, and is not to touch the stream any more. */
static void closing_it_ends_a_wait_that_is_over(void) {
  world w;
  open_pair(&w);
  ask_for(EXACTLY, 4);
  actor *r = read_once(&w);
  turns(&w, 2);
  raw_send(&theirs, "abcd");
  turn(&w);
  CHECK_EQ(r->task.state, TIDE_TASK_READY);
  tide_stream_close(&ours);
  settle(&w);
  CHECK(actor_failed_with(r, TIDE_ECLOSED));
  close_pair(&w);
}

static void a_cancelled_task_does_not_read_at_all(void) {
  world w;
  open_pair(&w);
  ask_for(SOME, 100);
  raw_send(&theirs, "ab");
  actor *r = read_once(&w);
  r->task.started = true; /* else it would not even run */
  tide_task_cancel(&r->task);
  settle(&w);
  CHECK_LOG(&w, "r cancelled");
  check_reads(&w, "r 'ab'");
  close_pair(&w);
}

/* Nothing that was sent is lost by cancelling or killing a reader at any place. */

static void dribbler(actor *self) {
  BEGIN;
  while (self->i < 10) {
    raw_send(&theirs, (char[]){(char)('0' + self->i++), '\0'});
    WAIT(sleep_ms(self, 1)); /* or not, where memory is short */
  }
  tide_stream_close(&theirs);
  self->outcome = TIDE_OK;
  END;
}

static size_t taken; /* by the victim */

static void counting_reader(actor *self) {
  tide_slice got = {0};
  BEGIN;
  do {
    CALL(call(self, &got));
    if (self->outcome == TIDE_OK || self->outcome == TIDE_EEOF) taken += got.length;
  } while (self->outcome == TIDE_OK && got.length > 0);
  END;
}

static void stage_dribble(world *w) {
  CHECK_EQ(tide_stream_pair(&ours, &theirs, w->loop), TIDE_OK);
  taken = 0;
  w->victim = spawn(w, "victim", counting_reader);
  spawn(w, "dribbler", dribbler);
}

static void verify_dribble(world *w) {
  char rest[32];
  ssize_t unread = recv(ours.own.fd.fd, rest, sizeof rest, MSG_DONTWAIT);
  CHECK_EQ((ssize_t)(taken + tide_stream_buffered(&ours)) + (unread > 0 ? unread : 0), 10);
  for (size_t i = 0; i < tide_stream_buffered(&ours); i++)
    CHECK_EQ(tide_buffer_bytes(&ours.input)[i], (char)('0' + taken + i));
  CHECK(w->log[0] == '\0');
  tide_stream_close(&ours);
}

static const scenario dribble = {stage_dribble, verify_dribble};

static void cancelling_loses_no_byte(void) {
  ask_for(SOME, 3);
  play_all_blows(&dribble);
  ask_for(EXACTLY, 4);
  play_all_blows(&dribble);
  ask_until(100, "7");
  play_all_blows(&dribble);
  ask_for(ALL, 100);
  play_all_blows(&dribble);
}

/* Where memory is short, bytes are missing only where the stream says so for good. */
static void verify_short(world *w) {
  actor *victim = &w->actors[0];
  char rest[32];
  ssize_t unread = recv(ours.own.fd.fd, rest, sizeof rest, MSG_DONTWAIT);
  size_t seen = taken + tide_stream_buffered(&ours) + (unread > 0 ? (size_t)unread : 0);
  if (ours.read_error == TIDE_ENOMEM)
    CHECK_EQ(victim->outcome, TIDE_ENOMEM);
  else
    CHECK_EQ(seen, 10);
  tide_stream_close(&ours);
  tide_stream_close(&theirs);
}

static void stage_short(world *w) {
  stage_dribble(w);
  w->victim = NULL;
}

static void shortages_lose_no_byte_unnoticed(void) {
  static const scenario shortage = {stage_short, verify_short};
  ask_for(SOME, 3);
  play_all_shortages(&shortage);
  ask_for(EXACTLY, 4);
  play_all_shortages(&shortage);
  ask_until(100, "7");
  play_all_shortages(&shortage);
  ask_until(1, "x"); /* which there is not */
  play_all_shortages(&shortage);
  ask_for(ALL, 100);
  play_all_shortages(&shortage);
}

int main(void) {
  RUN(read_gives_what_there_is);
  RUN(read_gives_at_most_what_was_asked_for);
  RUN(read_waits_for_the_first_byte);
  RUN(the_end_is_told_again_and_again);
  RUN(a_reset_is_told_again_and_again);
  RUN(what_comes_while_nobody_waits_is_there_at_once);
  RUN(exactly_waits_for_all_of_it);
  RUN(exactly_gives_what_came_before_the_end);
  RUN(separators_are_found_wherever_reads_are_cut);
  RUN(until_gives_up_at_a_limit_and_keeps_the_bytes);
  RUN(until_wants_a_separator);
  RUN(another_separator_is_searched_for_from_the_start);
  RUN(all_reads_to_the_end);
  RUN(all_gives_up_at_a_limit_and_keeps_the_bytes);
  RUN(large_amounts_arrive_whole);
  RUN(only_one_task_reads);
  RUN(who_is_gone_does_not_keep_others_from_reading);
  RUN(closing_it_ends_the_wait);
  RUN(closing_it_ends_a_wait_that_is_over);
  RUN(a_cancelled_task_does_not_read_at_all);
  RUN(cancelling_loses_no_byte);
  RUN(shortages_lose_no_byte_unnoticed);
  return check_summary();
}
