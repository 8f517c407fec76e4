/* fd.c: waiting until a descriptor can be read or written. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../core/io/private.h"
#include "script.h"

static int ends[2]; /* of a pipe: to read from, to write to */
static tide_fd in, out;

static void make_pipe(world *w) {
  CHECK_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
  tide_fd_init(&in, w->loop, ends[0]);
  tide_fd_init(&out, w->loop, ends[1]);
}

static void open_pipe(world *w) {
  world_open(w);
  make_pipe(w);
}

static void open_real_pipe(world *w) {
  world_open_real(w);
  make_pipe(w);
}

static void close_pipe(world *w) {
  CHECK(in.reader == NULL && in.writer == NULL && out.reader == NULL && out.writer == NULL);
  tide_fd_term(&in);
  tide_fd_term(&out);
  CHECK_EQ(close(ends[0]), 0);
  if (ends[1] >= 0) CHECK_EQ(close(ends[1]), 0);
  world_close(w);
}

static void feed(const char *text) { CHECK_EQ(write(ends[1], text, strlen(text)), strlen(text)); }

/* Reads `i` times and says what came. */
static void reader(actor *self) {
  char text[16];
  BEGIN;
  while (self->i-- > 0) {
    WAIT(tide_fd_wait(&in, &self->task, TIDE_READABLE));
    ssize_t n = self->outcome == TIDE_OK ? read(ends[0], text, sizeof text - 1) : 0;
    text[n > 0 ? n : 0] = '\0';
    say(self, "%d '%s'", self->outcome, text);
  }
  END;
}

static void writer(actor *self) {
  BEGIN;
  WAIT(tide_fd_wait(&out, &self->task, TIDE_WRITABLE));
  say(self, "%d", self->outcome);
  END;
}

static void in_writer(actor *self) {
  BEGIN;
  WAIT(tide_fd_wait(&in, &self->task, TIDE_WRITABLE));
  say(self, "%d", self->outcome);
  END;
}

static actor *spawn_reader(world *w, const char *name, int times) {
  actor *self = spawn(w, name, reader);
  self->i = times;
  return self;
}

static void turns(world *w, int n) {
  while (n-- > 0) turn(w);
}

static void who_waits_to_read_is_woken_when_there_is_something(void) {
  world w;
  open_pipe(&w);
  spawn_reader(&w, "r", 2);
  turns(&w, 3);
  CHECK_LOG(&w, "");
  feed("one");
  turns(&w, 2);
  CHECK_LOG(&w, "r 0 'one'");
  feed("two");
  turns(&w, 2);
  CHECK_LOG(&w, "r 0 'two'");
  close_pipe(&w);
}

/* Virtual time and descriptors. */

static void hour_sleeper(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 3600000));
  say(self, "slept");
  END;
}

static void virtual_time_does_not_jump_over_what_is_there(void) {
  world w;
  open_pipe(&w);
  spawn_reader(&w, "r", 2);
  spawn(&w, "s", hour_sleeper);
  turns(&w, 2);
  feed("one");
  CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  CHECK_LOG(&w, "r 0 'one'");
  turn(&w); /* it was quiet: time has jumped, and the reader waits on */
  CHECK_LOG(&w, "s slept");
  feed("two");
  settle(&w);
  CHECK_LOG(&w, "r 0 'two'");
  close_pipe(&w);
}

static pthread_t looper; /* the thread of the loop */

static void nothing(int signal) { (void)signal; }

/* A poll that a signal comes into ends before its time. */
static void *interrupt_and_feed(void *unused) {
  for (int i = 0; i < 5; i++) {
    usleep(2000);
    pthread_kill(looper, SIGUSR1);
  }
  feed("late");
  return unused;
}

static void a_signal_is_not_the_end_of_the_quiet(void) {
  pthread_t other;
  world w;
  struct sigaction before, action = {.sa_handler = nothing};
  open_pipe(&w);
  CHECK_EQ(sigaction(SIGUSR1, &action, &before), 0);
  tide_loop_set_autojump_threshold(w.loop, FOR_EVER);
  spawn(&w, "s", hour_sleeper);
  spawn_reader(&w, "r", 1);
  looper = pthread_self();
  CHECK_EQ(pthread_create(&other, NULL, interrupt_and_feed, NULL), 0);
  settle(&w);
  CHECK_EQ(pthread_join(other, NULL), 0);
  CHECK_EQ(sigaction(SIGUSR1, &before, NULL), 0);
  CHECK_LOG(&w, "r 0 'late', s slept");
  close_pipe(&w);
}

static void *feed_soon(void *unused) {
  usleep(5000);
  feed("late");
  return unused;
}

static void virtual_time_waits_for_quiet_as_long_as_it_is_told(void) {
  pthread_t other;
  world w;
  open_pipe(&w);
  tide_loop_set_autojump_threshold(w.loop, (tide_time)10 * 1000000000);
  CHECK_EQ(tide_loop_autojump_threshold(w.loop), (tide_time)10 * 1000000000);
  spawn(&w, "s", hour_sleeper);
  spawn_reader(&w, "r", 1);
  CHECK_EQ(pthread_create(&other, NULL, feed_soon, NULL), 0);
  settle(&w); /* once nothing is watched there is no quiet to wait for */
  CHECK_EQ(pthread_join(other, NULL), 0);
  CHECK_LOG(&w, "r 0 'late', s slept");
  spawn_reader(&w, "r", 1);
  spawn(&w, "s", hour_sleeper);
  tide_time began = tide_clock_monotonic();
  tide_loop_set_autojump_threshold(w.loop, 3000000);
  CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  CHECK(tide_clock_monotonic() - began >= 3000000);
  turn(&w);
  CHECK_LOG(&w, "s slept");
  feed("two");
  settle(&w);
  CHECK_LOG(&w, "r 0 'two'");
  close_pipe(&w);
}

static void who_waits_to_write_is_woken_when_there_is_room(void) {
  char block[4096] = {0};
  world w;
  open_pipe(&w);
  while (write(ends[1], block, sizeof block) > 0) continue;
  spawn(&w, "w", writer);
  turns(&w, 3);
  CHECK_LOG(&w, "");
  while (read(ends[0], block, sizeof block) > 0) continue;
  turns(&w, 2);
  CHECK_LOG(&w, "w 0");
  close_pipe(&w);
}

static void the_end_of_the_other_side_is_something_to_read(void) {
  world w;
  open_pipe(&w);
  spawn_reader(&w, "r", 1);
  turns(&w, 2);
  CHECK_EQ(close(ends[1]), 0);
  ends[1] = -1;
  turns(&w, 2);
  CHECK_LOG(&w, "r 0 ''");
  close_pipe(&w);
}

static void a_wait_for_a_descriptor_is_no_deadlock(void) {
  world w;
  open_pipe(&w);
  spawn_reader(&w, "r", 1);
  turns(&w, 2);
  CHECK_EQ(w.loop->holds, 1);
  feed("late");
  CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "r 0 'late'");
  close_pipe(&w);
}

static void one_task_at_a_time_may_wait_for_each(void) {
  world w;
  open_pipe(&w);
  spawn_reader(&w, "a", 1);
  spawn_reader(&w, "b", 1);
  turns(&w, 2);
  CHECK_LOG(&w, "b -16 ''");
  feed("x");
  settle(&w);
  CHECK_LOG(&w, "a 0 'x'");
  close_pipe(&w);
}

static void a_cancelled_wait_leaves_the_descriptor_to_others(void) {
  world w;
  open_pipe(&w);
  actor *a = spawn_reader(&w, "a", 1);
  turns(&w, 2);
  tide_task_cancel(&a->task);
  CHECK_EQ(w.loop->holds, 0);
  spawn_reader(&w, "b", 1);
  turns(&w, 2);
  feed("x");
  settle(&w);
  CHECK_LOG(&w, "a -1 '', b 0 'x'");
  close_pipe(&w);
}

static void what_came_while_nobody_waited_is_seen_by_the_next_wait(void) {
  world w;
  open_pipe(&w);
  actor *a = spawn_reader(&w, "a", 1);
  turns(&w, 2);
  tide_task_cancel(&a->task);
  turns(&w, 2);
  feed("x");
  turns(&w, 5);
  CHECK_EQ(in.armed, 0); /* or every poll would tell of it */
  spawn_reader(&w, "b", 1);
  settle(&w);
  CHECK_LOG(&w, "a -1 '', b 0 'x'");
  close_pipe(&w);
}

static void terminating_it_ends_the_waits(void) {
  world w;
  open_pipe(&w);
  actor *a = spawn_reader(&w, "a", 1);
  turns(&w, 1);
  actor *b = spawn(&w, "b", in_writer);
  turns(&w, 1);
  tide_fd_term(&in);
  tide_fd_term(&in);
  CHECK_EQ(a->task.state, TIDE_TASK_READY);
  CHECK_EQ(b->task.state, TIDE_TASK_READY);
  memset(&in, 0xff, sizeof in); /* it may be freed before the tasks are stepped */
  feed("x");
  turns(&w, 2);
  CHECK_LOG(&w, "a -4 '', b -4");
  tide_fd_init(&in, w.loop, ends[0]);
  tide_fd_term(&in);
  spawn_reader(&w, "c", 1);
  settle(&w);
  CHECK_LOG(&w, "c -4 ''");
  close_pipe(&w);
}

static void one_killed_after_it_was_terminated_does_not_touch_it(void) {
  world w;
  open_pipe(&w);
  actor *a = spawn_reader(&w, "a", 1);
  turns(&w, 2);
  tide_fd_term(&in);
  memset(&in, 0xff, sizeof in);
  actor_kill(a);
  tide_fd_init(&in, w.loop, ends[0]);
  close_pipe(&w);
}

static void busy(actor *self) {
  BEGIN;
  for (;;) TRY(tide_task_yield(&self->task));
  END;
}

static void busy_tasks_do_not_starve_descriptors(void) {
  for (int real = 0; real < 2; real++) {
    world w;
    (real ? open_real_pipe : open_pipe)(&w);
    actor *b = spawn(&w, "busy", busy);
    actor *r = spawn_reader(&w, "r", 1);
    turns(&w, 3);
    feed("x");
    tide_time began = tide_clock_monotonic();
    CHECK_EQ(tide_loop_run(w.loop, &r->task.future), TIDE_OK);
    CHECK(tide_clock_monotonic() - began < FOR_EVER);
    tide_task_cancel(&b->task);
    settle(&w);
    close_pipe(&w);
  }
}

static void sleeper(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 20));
  END;
}

static void the_real_clock_waits_for_whatever_comes_first(void) {
  world w;
  open_real_pipe(&w);
  actor *s = spawn(&w, "s", sleeper);
  spawn_reader(&w, "r", 2); /* the second never comes */
  feed("x");
  tide_time began = tide_loop_now(w.loop);
  CHECK_EQ(tide_loop_run(w.loop, &s->task.future), TIDE_OK);
  tide_time took = tide_clock_monotonic() - began;
  CHECK(took >= 20000000 && took < FOR_EVER);
  CHECK(w.loop->turns < 10);
  CHECK_LOG(&w, "r 0 'x'");
  feed("y");
  settle(&w);
  close_pipe(&w);
}

static void a_host_that_never_blocks_sees_descriptors_too(void) {
  world w;
  open_real_pipe(&w);
  spawn_reader(&w, "r", 1);
  turns(&w, 2);
  feed("x");
  turns(&w, 3);
  CHECK_LOG(&w, "r 0 'x'");
  close_pipe(&w);
}

static void who_reads_and_who_writes_may_wait_for_the_same_one(void) {
  char block[4096] = {0};
  int pair[2];
  world w;
  world_open(&w);
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
  tide_fd_init(&in, w.loop, pair[0]);
  tide_fd_init(&out, w.loop, -1);
  ends[0] = pair[0];
  while (write(pair[0], block, sizeof block) > 0) continue;
  spawn_reader(&w, "r", 2);
  turns(&w, 2);
  spawn(&w, "w", in_writer);
  turns(&w, 2);
  CHECK_LOG(&w, "");
  CHECK_EQ(write(pair[1], "x", 1), 1);
  turns(&w, 2);
  CHECK_LOG(&w, "r 0 'x'");
  while (read(pair[1], block, sizeof block) > 0) continue;
  turns(&w, 2);
  CHECK_LOG(&w, "w 0");
  CHECK_EQ(write(pair[1], "y", 1), 1);
  turns(&w, 2);
  CHECK_LOG(&w, "r 0 'y'");
  ends[1] = pair[1];
  close_pipe(&w);
}

/* Select. */

/* Waits for both directions of `in` at once, self->i times. */
static void both_ways(actor *self) {
  static tide_case cases[2];
  static tide_select select;
  BEGIN;
  while (self->i-- > 0) {
    tide_case_fd(&cases[0], &in, TIDE_READABLE);
    tide_case_fd(&cases[1], &in, TIDE_WRITABLE);
    tide_select_init(&select, cases, 2);
    CALL(tide_select_wait(&select, &self->task));
    say(self, "%d: %d", (int)select.chosen, self->outcome);
  }
  END;
}

static void one_select_may_wait_for_both_directions(void) {
  int pair[2];
  world w;
  world_open(&w);
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
  tide_fd_init(&in, w.loop, pair[0]);
  CHECK_EQ(write(pair[1], "x", 1), 1); /* so that both come in one event */
  actor *a = spawn(&w, "a", both_ways);
  a->i = 3;
  settle(&w);
  CHECK_LOG(&w, "a 0: 0, a 0: 0, a 0: 0");
  char byte;
  CHECK_EQ(read(pair[0], &byte, 1), 1);
  a = spawn(&w, "b", both_ways);
  a->i = 1;
  settle(&w);
  CHECK_LOG(&w, "b 1: 0");
  CHECK(in.reader == NULL && in.writer == NULL);
  a = spawn(&w, "c", both_ways);
  a->i = 2;
  turn(&w);
  tide_fd_term(&in);
  memset(&in, 0xff, sizeof in);
  in.fd = -1;
  settle(&w);
  CHECK_LOG(&w, "c 1: 0, c 0: -4");
  tide_fd_init(&in, w.loop, pair[0]);
  while (write(pair[0], "much that nobody reads", 22) > 0) continue;
  a = spawn(&w, "d", both_ways); /* neither way */
  a->i = 1;
  turn(&w);
  CHECK_EQ(a->task.state, TIDE_TASK_WAITING);
  tide__wait_break(in.writer, TIDE_ECLOSED);
  CHECK(in.reader == NULL && in.writer == NULL);
  settle(&w);
  CHECK_LOG(&w, "d 1: -4");
  close(pair[0]);
  close(pair[1]);
  world_close(&w);
}

/* Everything at once. */

static void feeder(actor *self) {
  BEGIN;
  for (; self->i < 4; self->i++) {
    TRY(tide_fd_wait(&out, &self->task, TIDE_WRITABLE));
    feed("x");
    TRY(sleep_ms(self, 1));
  }
  tide_fd_term(&in);
  END;
}

static void stage(world *w) {
  make_pipe(w);
  w->victim = spawn_reader(w, "victim", 5);
  spawn(w, "feeder", feeder);
}

static void verify(world *w) {
  (void)w;
  CHECK(in.reader == NULL && out.writer == NULL);
  tide_fd_term(&in);
  tide_fd_term(&out);
  close(ends[0]);
  close(ends[1]);
}

static void a_reader_may_be_struck_at_any_wait(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
}

static void stage_writer(world *w) {
  stage(w);
  actor_kill(w->victim);
  w->victim = &w->actors[1];
}

static void a_writer_may_be_struck_at_any_wait(void) {
  play_all_blows(&(scenario){.stage = stage_writer, .verify = verify});
}

/* Waits without a task. */

static int heard;

static void hear(tide_wait *wait, int outcome) {
  (void)wait;
  heard = outcome;
}

static const tide_wait_ops hearing = {.name = "hear", .abandon = tide__fd_leave, .ended = hear};

static void waits_without_a_task_are_told(void) {
  world w;
  open_pipe(&w);
  tide_wait wait = {.ops = &hearing, .source = &in};
  heard = 1;
  CHECK_EQ(tide__fd_wait(&in, &wait, TIDE_READABLE), TIDE_OK);
  CHECK_EQ(tide__fd_wait(&in, &wait, TIDE_READABLE), TIDE_EBUSY);
  feed("x");
  turn(&w);
  CHECK_EQ(heard, TIDE_OK);
  CHECK_EQ(tide__fd_wait(&in, &wait, TIDE_READABLE), TIDE_OK);
  tide_fd_term(&in);
  CHECK_EQ(heard, TIDE_ECLOSED);
  CHECK_EQ(w.loop->holds, 0);
  CHECK_EQ(tide__fd_wait(&in, &wait, TIDE_READABLE), TIDE_ECLOSED);
  close_pipe(&w);
}

int main(void) {
  RUN(who_waits_to_read_is_woken_when_there_is_something);
  RUN(virtual_time_does_not_jump_over_what_is_there);
  RUN(virtual_time_waits_for_quiet_as_long_as_it_is_told);
  RUN(a_signal_is_not_the_end_of_the_quiet);
  RUN(who_waits_to_write_is_woken_when_there_is_room);
  RUN(the_end_of_the_other_side_is_something_to_read);
  RUN(a_wait_for_a_descriptor_is_no_deadlock);
  RUN(one_task_at_a_time_may_wait_for_each);
  RUN(a_cancelled_wait_leaves_the_descriptor_to_others);
  RUN(what_came_while_nobody_waited_is_seen_by_the_next_wait);
  RUN(terminating_it_ends_the_waits);
  RUN(one_killed_after_it_was_terminated_does_not_touch_it);
  RUN(who_reads_and_who_writes_may_wait_for_the_same_one);
  RUN(one_select_may_wait_for_both_directions);
  RUN(busy_tasks_do_not_starve_descriptors);
  RUN(the_real_clock_waits_for_whatever_comes_first);
  RUN(a_host_that_never_blocks_sees_descriptors_too);
  RUN(waits_without_a_task_are_told);
  RUN(a_reader_may_be_struck_at_any_wait);
  RUN(a_writer_may_be_struck_at_any_wait);
  return check_summary();
}
