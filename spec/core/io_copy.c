/* io_copy.c: copying from one stream to another. Between `source` and `sink`, which the spec holds,
 * are `from` and `to`. */
#include "io.h"

/* Bytes: more than the sockets and the marks hold; less. */
#ifdef TIDE_TINY_BUFFERS
enum { LARGE = 20011, LITTLE = 3000 };
#else
enum { LARGE = 100003, LITTLE = 3000 };
#endif

static tide_stream source, from, to, sink;
static char *large;
static uint64_t copied;

/* The sockets hold little. */
static void open_streams(world *w) {
  large = patterned(0, LARGE);
  copied = 0;
  CHECK_EQ(tide_stream_pair(&source, &from, w->loop), TIDE_OK);
  CHECK_EQ(tide_stream_pair(&to, &sink, w->loop), TIDE_OK);
  CHECK_EQ(setsockopt(source.own.fd.fd, SOL_SOCKET, SO_SNDBUF, &(int){2304}, sizeof(int)), 0);
  CHECK_EQ(setsockopt(to.own.fd.fd, SOL_SOCKET, SO_SNDBUF, &(int){2304}, sizeof(int)), 0);
  tide_stream_set_marks(&to, 4000, 8000);
}

static void open_chain(world *w) {
  io_open(w);
  open_streams(w);
}

static void close_chain(world *w) {
  tide_stream_close(&source);
  tide_stream_close(&from);
  tide_stream_close(&to);
  tide_stream_close(&sink);
  settle(w); /* what lingers */
  free(large);
  io_close(w);
}

/* Turns in which whatever is under way comes to its end, though somebody may wait on. */
static void soon(world *w) {
  for (int i = 0; i < 2000; i++) turn(w);
}

/* Writes `i` bytes of the pattern to `source`, and its end. */
static void feeder(actor *self) {
  BEGIN;
  CALL_OR_END(tide_stream_write(&source, &self->task, &(struct iovec){large, (size_t)self->i}, 1));
  tide_stream_close_write(&source);
  END;
}

static actor *feed(world *w, int size) {
  actor *self = spawn(w, "feeder", feeder);
  self->i = size;
  return self;
}

/* Copies until `*data` bytes, or the end; then hands that on. */
static void copier(actor *self) {
  BEGIN;
  CALL(tide_stream_copy(&from, &to, &self->task, *(uint64_t *)self->data, &copied));
  say(self, "%d", self->script.outcome);
  if (self->script.outcome == TIDE_EEOF) tide_stream_close_write(&to);
  TIDE_LEAVE(TIDE_OK);
  END;
}

static uint64_t all = UINT64_MAX, few = 1000;

static actor *copy(world *w, uint64_t *max) {
  actor *self = spawn(w, "copy", copier);
  self->data = max;
  return self;
}

/* Takes everything from `*data` up to its end; `i`: how much that is. */
static void eater(actor *self) {
  tide_slice slice;
  BEGIN;
  for (;;) {
    CALL_OR_END(tide_stream_read(self->data, &self->task, 7777, &slice));
    check_pattern(slice.data, (size_t)self->i, slice.length);
    self->i += (int)slice.length;
  }
  END;
}

static actor *eat(world *w, tide_stream *stream, int at) {
  actor *self = spawn(w, "eater", eater);
  self->data = stream;
  self->i = at;
  return self;
}

static void all_is_copied_up_to_the_end(void) {
  static const int sizes[] = {0, 1, LITTLE, LARGE};
  for (int i = 0; i < 4; i++) {
    world w;
    open_chain(&w);
    feed(&w, sizes[i]);
    copy(&w, &all);
    actor *eater = eat(&w, &sink, 0);
    settle(&w);
    CHECK_LOG(&w, "copy -13");
    CHECK_EQ(copied, sizes[i]);
    CHECK_EQ(eater->i, sizes[i]);
    CHECK_EQ(tide_future_error(&eater->task.future), TIDE_EEOF);
    close_chain(&w);
  }
}

static void no_more_than_asked_for_is_copied(void) {
  world w;
  open_chain(&w);
  feed(&w, LITTLE);
  copy(&w, &few);
  actor *eater = eat(&w, &sink, 0);
  soon(&w);
  CHECK_LOG(&w, "copy 0");
  CHECK_EQ(copied, few);
  CHECK_EQ(eater->i, (int)few);
  actor *rest = eat(&w, &from, (int)few);
  soon(&w);
  CHECK_EQ(rest->i, LITTLE);
  static uint64_t none = 0;
  copied = 0;
  copy(&w, &none);
  soon(&w);
  CHECK_LOG(&w, "copy 0");
  tide_stream_close(&to);
  settle(&w);
  close_chain(&w);
}

static void echo(actor *self) {
  BEGIN;
  CALL(tide_stream_copy(&from, &from, &self->task, UINT64_MAX, &copied));
  tide_stream_close_write(&from);
  TIDE_LEAVE(TIDE_OK);
  END;
}

static void a_stream_can_be_copied_to_itself(void) {
  world w;
  open_chain(&w);
  feed(&w, LARGE);
  spawn(&w, "echo", echo);
  actor *eater = eat(&w, &source, 0);
  settle(&w);
  CHECK_EQ(copied, LARGE);
  CHECK_EQ(eater->i, LARGE);
  close_chain(&w);
}

/* Others. */

static void other_reader(actor *self) {
  tide_slice slice;
  BEGIN;
  CALL(tide_stream_read(&from, &self->task, 1, &slice));
  say(self, "%d", self->script.outcome);
  TIDE_LEAVE(TIDE_OK);
  END;
}

static void other_writer(actor *self) {
  BEGIN;
  CALL(tide_stream_write(&to, &self->task, &(struct iovec){"x", 1}, 1));
  say(self, "%d", self->script.outcome);
  TIDE_LEAVE(TIDE_OK);
  END;
}

static void nobody_else_reads_meanwhile_also_while_it_waits_to_write(void) {
  world w;
  open_chain(&w);
  actor *c = copy(&w, &all);
  turn(&w);
  CHECK_TEXT(tide_task_waits_for(&c->task), "Stream.read");
  spawn(&w, "other", other_reader);
  turn(&w);
  CHECK_LOG(&w, "other -16");
  feed(&w, LARGE);
  soon(&w);
  CHECK_TEXT(tide_task_waits_for(&c->task), "Stream.copy");
  spawn(&w, "other", other_reader);
  turn(&w);
  CHECK_LOG(&w, "other -16");
  eat(&w, &sink, 0);
  soon(&w);
  CHECK_LOG(&w, "copy -13");
  CHECK_EQ(copied, LARGE);
  close_chain(&w);
}

static void others_write_between_its_pieces(void) {
  world w;
  open_chain(&w);
  copy(&w, &all);
  turn(&w);
  spawn(&w, "other", other_writer);
  soon(&w);
  CHECK_LOG(&w, "other 0");
  tide_stream_close(&source);
  settle(&w);
  CHECK_LOG(&w, "copy -13");
  close_chain(&w);
}

static void either_may_be_closed_while_it_waits_in_either(void) {
  for (int way = 0; way < 5; way++) {
    world w;
    open_chain(&w);
    actor *c = copy(&w, &all);
    actor *f = way > 0 ? feed(&w, LARGE) : NULL;
    soon(&w);
    CHECK_TEXT(tide_task_waits_for(&c->task), way > 0 ? "Stream.copy" : "Stream.read");
    if (way >= 3) { /* it is woken first, with the turn to write */
      for (int i = 0; c->task.state == TIDE_TASK_WAITING; i++) {
        CHECK(i < 1000);
        char bytes[8192];
        while (recv(sink.own.fd.fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) continue;
        turn(&w);
      }
    }
    tide_stream *closed = way == 2 || way == 4 ? &to : &from;
    tide_stream *other = closed == &to ? &from : &to;
    tide_stream_close(closed);
    memset(closed, 0xee, sizeof *closed);
    soon(&w);
    CHECK_LOG(&w, "copy -4");
    CHECK(other->reader == NULL);
    CHECK(other->writer == NULL);
    CHECK(other->turns == NULL);
    tide_stream_close(other);
    closed->transport = NULL;
    soon(&w);
    CHECK(f == NULL || actor_ended(f));
    close_chain(&w);
  }
}

static void the_end_of_one_direction_leaves_the_other(void) {
  world w;
  open_chain(&w);
  feed(&w, LITTLE);
  copy(&w, &all);
  eat(&w, &sink, 0);
  settle(&w);
  CHECK_LOG(&w, "copy -13");
  actor *a = spawn(&w, "answer", other_writer); /* from `to`'s side nothing more can be written */
  settle(&w);
  CHECK_LOG(&w, "answer -4");
  CHECK(actor_ended(a));
  CHECK_EQ(send(sink.own.fd.fd, "back", 4, MSG_NOSIGNAL), 4);
  char bytes[8];
  CHECK_EQ(recv(to.own.fd.fd, bytes, sizeof bytes, MSG_DONTWAIT), 4);
  close_chain(&w);
}

static void errors_of_either_are_told(void) {
  world w;
  open_chain(&w);
  tide_stream_close(&sink);
  feed(&w, LITTLE);
  copy(&w, &all);
  soon(&w);
  CHECK_LOG(&w, "copy -1032"); /* EPIPE */
  CHECK_EQ(copied, 0);
  CHECK(tide_stream_buffered(&from) > 0);
  close_chain(&w);
}

/* Everything at once. */

static void late_eater(actor *self) {
  tide_slice slice;
  BEGIN;
  TRY(sleep_ms(self, 50));
  for (;;) {
    CALL_OR_END(tide_stream_read(&sink, &self->task, 7777, &slice));
    check_pattern(slice.data, (size_t)self->i, slice.length);
    self->i += (int)slice.length;
  }
  END;
}

/* Ends what the victim may have left open, so that the eater ends. */
static void ender(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 1000));
  CHECK(from.reader == NULL);
  CHECK_EQ(tide_stream_close_write(&to), TIDE_OK);
  END;
}

/* Takes what the victim has left in `from`. */
static void late_reader(actor *self) {
  tide_slice slice;
  BEGIN;
  TRY(sleep_ms(self, 2000));
  self->i = (int)copied;
  for (;;) {
    CALL_OR_END(tide_stream_read(&from, &self->task, 7777, &slice));
    check_pattern(slice.data, (size_t)self->i, slice.length);
    self->i += (int)slice.length;
  }
  END;
}

static actor *late_eats, *late_reads;

static void stage(world *w) {
  descriptors_before = count_descriptors();
  open_streams(w);
  feed(w, LARGE);
  w->victim = copy(w, &all);
  late_eats = spawn(w, "eater", late_eater);
  spawn(w, "ender", ender);
  late_reads = spawn(w, "reader", late_reader);
}

/* What was counted has arrived; the rest was in `from`. */
static void verify(world *w) {
  CHECK_EQ(late_eats->i, (int)copied);
  CHECK_EQ(late_reads->i, LARGE);
  tide_stream_close(&source);
  tide_stream_close(&from);
  tide_stream_close(&to);
  tide_stream_close(&sink);
  settle(w);
  free(large);
  CHECK_EQ(count_descriptors(), descriptors_before);
}

static void struck_at_any_wait_nothing_is_lost_that_was_counted(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
}

static void a_byte_at_a_time_it_copies_all(void) {
  world w;
  tide_faults faults = {.one_byte = true};
  open_chain(&w);
  tide_loop_set_faults(w.loop, &faults);
  feed(&w, LITTLE);
  copy(&w, &all);
  actor *eater = eat(&w, &sink, 0);
  settle(&w);
  tide_loop_set_faults(w.loop, NULL);
  CHECK_EQ(copied, LITTLE);
  CHECK_EQ(eater->i, LITTLE);
  w.log[0] = '\0';
  close_chain(&w);
}

/* What was counted is what came, whichever allocation fails. */
static void without_memory_it_counts_what_it_copied(void) {
  for (unsigned failing = 1; failing < 30; failing++) {
    world w;
    open_chain(&w);
    copy(&w, &all);
    CHECK(send(source.own.fd.fd, large, LARGE, MSG_NOSIGNAL | MSG_DONTWAIT) > 1000);
    w.memory.fail_at = w.memory.allocations + failing;
    for (int i = 0; i < 20; i++) turn(&w);
    w.memory.fail_at = 0;
    bool torn = to.write_error == TIDE_ENOMEM;
    actor *eater = eat(&w, &sink, 0);
    tide_stream_close(&source);
    soon(&w);
    tide_stream_close(&to);
    settle(&w);
    if (torn)
      CHECK(eater->i >= (int)copied);
    else
      CHECK_EQ(eater->i, (int)copied);
    close_chain(&w);
  }
}

int main(void) {
  RUN(all_is_copied_up_to_the_end);
  RUN(no_more_than_asked_for_is_copied);
  RUN(a_stream_can_be_copied_to_itself);
  RUN(nobody_else_reads_meanwhile_also_while_it_waits_to_write);
  RUN(others_write_between_its_pieces);
  RUN(either_may_be_closed_while_it_waits_in_either);
  RUN(the_end_of_one_direction_leaves_the_other);
  RUN(errors_of_either_are_told);
  RUN(struck_at_any_wait_nothing_is_lost_that_was_counted);
  RUN(a_byte_at_a_time_it_copies_all);
  RUN(without_memory_it_counts_what_it_copied);
  return check_summary();
}
