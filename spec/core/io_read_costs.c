/* io_read_costs.c: what readers cost: memory, system calls, the turns of others. */
#include "io_read.h"

static void an_idle_stream_holds_no_memory(void) {
  world w;
  open_pair(&w);
  ask_until(100, "\n");
  raw_send(&theirs, "one\ntwo\nthree\n");
  actor *r = read_times(&w, 4);
  turns(&w, 8);
  CHECK_EQ(r->task.state, TIDE_TASK_WAITING);
  CHECK(ours.input.data == NULL);
  raw_send(&theirs, "four\n");
  settle(&w);
  CHECK_LOG(&w, "r 'one\n', r 'two\n', r 'three\n', r 'four\n'");
  close_pair(&w);
}

/* What reads share is given back once nothing was read for a second; not while anybody may still
 * look at what he was told. */

static void sleeper(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, (unsigned)self->i));
  END;
}

static void sleep_through(world *w, unsigned ms) {
  actor *self = spawn(w, "sleeper", sleeper);
  self->i = (int)ms;
  CHECK_EQ(tide_loop_run(w->loop, &self->task.future), TIDE_OK);
}

static size_t shared_bytes(world *w) {
  const tide__shared *shared = tide__shared_find(w->loop);
  return shared != NULL && shared->scratch != NULL ? TIDE__SCRATCH : 0;
}

static void what_reads_share_is_given_back_when_nobody_reads(void) {
  world w;
  open_pair(&w);
  tide_loop_set_autojump_threshold(w.loop, 1000000);
  ask_for(SOME, 100);
  actor *r = read_times(&w, 2);
  raw_send(&theirs, "x");
  turns(&w, 8);
  CHECK_LOG(&w, "r 'x'");
  CHECK_EQ(r->task.state, TIDE_TASK_WAITING);
  CHECK_EQ(shared_bytes(&w), TIDE__SCRATCH);
  sleep_through(&w, 999);
  CHECK_EQ(shared_bytes(&w), TIDE__SCRATCH);
  sleep_through(&w, 2);
  CHECK_EQ(shared_bytes(&w), 0);
  raw_send(&theirs, "y");
  settle(&w);
  CHECK_LOG(&w, "r 'y'");
  close_pair(&w);
}

static void holder(actor *self) {
  static tide_slice got;
  BEGIN;
  CALL_OR_END(tide_stream_read(&ours, &self->task, 100, &got));
  TRY(sleep_ms(self, 5000));
  say(self, "still %s", text_of(got));
  if (self->i > 0) tide_stream_done(&ours);
  TRY(sleep_ms(self, 5000));
  END;
}

static void what_was_told_stays_until_it_is_done_with(void) {
  for (int done = 0; done < 2; done++) {
    world w;
    open_pair(&w);
    raw_send(&theirs, "told");
    ours.own.fd.missed = true;
    spawn(&w, "h", holder)->i = done;
    settle(&w);
    CHECK_LOG(&w, "h still told");
    CHECK_EQ(shared_bytes(&w), done ? 0 : TIDE__SCRATCH);
    tide_stream_close(&ours);
    sleep_through(&w, 2000);
    CHECK_EQ(shared_bytes(&w), 0);
    tide_stream_close(&theirs);
    io_close(&w);
  }
}

/* /dev/zero: there is always more. */
static void a_flood_lets_others_run(void) {
  enum { FLOOD = 32 << 20 };
  world w;
  io_open(&w);
  tide_stream_init(&ours, w.loop, open("/dev/zero", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  ask_for(ALL, FLOOD);
  actor *all = read_once(&w);
  settle(&w);
  CHECK_LOG(&w, "r limit");
  CHECK(all->suspensions >= FLOOD / (1 << 20) / 2); /* a turn about every MiB */
  tide_stream_close(&ours);
  io_close(&w);
}

/* Stepped or killed after that, the task does not touch it. */
static void it_may_be_freed_once_closed_though_its_reader_was_made_ready(void) {
  for (int kill = 0; kill < 2; kill++) {
    world w;
    io_open(&w);
    CHECK_EQ(tide_stream_pair(&ours, &theirs, w.loop), TIDE_OK);
    ask_for(SOME, 10);
    actor *a = read_once(&w);
    turn(&w);
    raw_send(&theirs, "x");
    turn(&w);
    CHECK_EQ(a->task.state, TIDE_TASK_READY);
    tide_stream_close(&ours);
    memset(&ours, 0xee, sizeof ours);
    if (kill) actor_kill(a);
    settle(&w);
    CHECK(actor_failed_with(a, kill ? TIDE_ECANCELLED : TIDE_ECLOSED));
    tide_stream_close(&theirs);
    io_close(&w);
  }
}

int main(void) {
  RUN(it_may_be_freed_once_closed_though_its_reader_was_made_ready);
  RUN(an_idle_stream_holds_no_memory);
  RUN(what_reads_share_is_given_back_when_nobody_reads);
  RUN(what_was_told_stays_until_it_is_done_with);
  RUN(a_flood_lets_others_run);
  return check_summary();
}
