/* transport.c: streams over memory, and over a transport of ones own. */
#include "io_memory.h"

static void bytes_come_through_memory_whatever_its_size(void) {
  static const size_t capacities[] = {0, 1, 7, 1000, 100000};
  for (int i = 0; i < 5; i++) {
    world w;
    open_memory(&w, capacities[i]);
    spawn_writer(&w, 3000);
    spawn(&w, "r", reader);
    settle(&w);
    CHECK(strstr(w.log, "w wrote") != NULL && strstr(w.log, "w flushed") != NULL);
    CHECK(strstr(w.log, "r -13 after 3000") != NULL);
    close_memory(&w);
  }
}

static void the_reader_pushes_back(void) {
  world w;
  open_memory(&w, 100);
  spawn_writer(&w, 30000);
  settle(&w);
  CHECK_LOG(&w, "w wrote"); /* a write waits before, not after */
  CHECK_EQ(tide_stream_unsent(&one), 30000 - 100);
  spawn(&w, "r", reader);
  settle(&w);
  CHECK_LOG(&w, "w flushed, r -13 after 30000");
  close_memory(&w);
}

static void a_read_that_nobody_answers_is_a_deadlock(void) {
  world w;
  open_memory(&w, 100);
  actor *r = spawn(&w, "r", reader);
  settle(&w);
  CHECK_TEXT(tide_task_waits_for(&r->task), "Stream.read");
  tide_stream_close(&other);
  settle(&w);
  CHECK_LOG(&w, "r -4 after 0");
  close_memory(&w);
}

static void what_was_written_arrives_though_the_stream_is_closed(void) {
  world w;
  open_memory(&w, 100);
  spawn_writer(&w, 30000);
  turn(&w);
  tide_stream_close(&one);
  CHECK_EQ(tide_loop_lingering(w.loop), 1);
  spawn(&w, "r", reader);
  settle(&w);
  CHECK(strstr(w.log, "r -13 after 30000") != NULL);
  CHECK_EQ(tide_loop_lingering(w.loop), 0);
  close_memory(&w);
}

static void what_did_not_arrive_does_not_look_like_all(void) {
  world w;
  open_memory(&w, 100);
  spawn_writer(&w, 30000);
  turn(&w);
  tide_stream_close(&one);
  settle(&w); /* nobody reads: it is given up */
  CHECK_EQ(tide_loop_lingering(w.loop), 0);
  spawn(&w, "r", reader);
  settle(&w);
  CHECK(strstr(w.log, "r -1104 after 100") != NULL); /* ECONNRESET */
  close_memory(&w);
}

static void writing_to_one_that_is_closed_fails(void) {
  world w;
  open_memory(&w, 100);
  tide_stream_close(&other);
  actor *a = spawn_writer(&w, 10);
  settle(&w);
  CHECK_EQ(tide_future_error(&a->task.future), TIDE_OS(EPIPE));
  tide_address address;
  CHECK_EQ(tide_stream_local_address(&one, &address), TIDE_OS(ENOTSOCK));
  close_memory(&w);
}

static void chooser(actor *self) {
  static tide_case cases[2];
  static tide_select choice;
  BEGIN;
  tide_case_readable(&cases[0], &other);
  tide_case_at(&cases[1], after_ms(self->world, 100));
  tide_select_init(&choice, cases, 2);
  CALL_OR_END(tide_select_wait(&choice, &self->task));
  say(self, "%u", choice.chosen);
  END;
}

static void that_it_can_be_read_is_a_case_of_select(void) {
  world w;
  open_memory(&w, 100);
  spawn(&w, "c", chooser);
  settle(&w);
  CHECK_LOG(&w, "c 1");
  spawn(&w, "c", chooser);
  turn(&w);
  spawn_writer(&w, 5);
  settle(&w);
  CHECK(strstr(w.log, "c 0") != NULL);
  close_memory(&w);
}

/* A transport over another: bytes are changed on their way, and none passes before each end has
 * greeted the other: a read may have to write, and a write to read. */
typedef struct sealed {
  tide_transport transport; /* first */
  tide_transport *below;
  tide_wait *places[2]; /* the stream's waits, to read and to write */
  tide_wait waits[2];   /* this one's, below */
  bool greeted, welcomed;
} sealed;

static int sealed_alive;

static sealed *sealed_of(const tide_transport *self) {
  return tide_container(self, sealed, transport);
}

static void came(tide_wait *wait, int outcome) {
  sealed *self = wait->source;
  tide_wait *first = self->places[0];
  (void)outcome;
  self->places[0] = NULL;
  tide_wait *second = self->places[1];
  self->places[1] = NULL;
  tide_transport_wake(&first, TIDE_OK); /* each tries again */
  tide_transport_wake(&second, TIDE_OK);
}

static void leave_below(tide_wait *wait) {
  sealed *self = wait->source;
  self->below->ops->leave(self->below, wait);
}

static const tide_wait_ops below_ops = {.name = "sealed", .abandon = leave_below, .ended = came};

static int greet(sealed *self) {
  char byte = 'H';
  size_t count = 0;
  int result = TIDE_OK;
  if (!self->greeted)
    result = self->below->ops->write(self->below, &(struct iovec){&byte, 1}, 1, &count);
  if (result != TIDE_OK) return result;
  self->greeted = true;
  if (!self->welcomed) result = self->below->ops->read(self->below, &byte, 1, &count);
  if (result == TIDE_OK) self->welcomed = true;
  return result;
}

static int sealed_read(tide_transport *transport, void *buffer, size_t size, size_t *got) {
  sealed *self = sealed_of(transport);
  int result = greet(self);
  if (result == TIDE_OK) result = self->below->ops->read(self->below, buffer, size, got);
  for (size_t i = 0; result == TIDE_OK && i < *got; i++) ((unsigned char *)buffer)[i] ^= 0x55;
  return result;
}

static int sealed_write(tide_transport *transport, const struct iovec *parts, size_t count,
                        size_t *sent) {
  sealed *self = sealed_of(transport);
  char piece[64];
  size_t size = 0;
  int result = greet(self);
  if (result != TIDE_OK) return result;
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < parts[i].iov_len && size < sizeof piece; j++)
      piece[size++] = (char)(((const char *)parts[i].iov_base)[j] ^ 0x55);
  return self->below->ops->write(self->below, &(struct iovec){piece, size}, 1, sent);
}

static int sealed_wait(tide_transport *transport, tide_wait *wait, int events) {
  sealed *self = sealed_of(transport);
  int which = events & TIDE_READABLE ? 0 : 1;
  int below = !self->greeted    ? TIDE_WRITABLE
              : !self->welcomed ? TIDE_READABLE
              : which == 0      ? TIDE_READABLE
                                : TIDE_WRITABLE;
  int place = below == TIDE_READABLE ? 0 : 1;
  if (self->places[which] != NULL) return TIDE_EBUSY;
  self->places[which] = wait;
  if (self->below->ops->waited(self->below, below)) return TIDE_OK;
  self->waits[place] = (tide_wait){.ops = &below_ops, .source = self};
  return self->below->ops->wait(self->below, &self->waits[place], below);
}

static bool sealed_waited(const tide_transport *transport, int events) {
  return sealed_of(transport)->places[events & TIDE_READABLE ? 0 : 1] != NULL;
}

static void sealed_leave(tide_transport *transport, tide_wait *wait) {
  sealed *self = sealed_of(transport);
  for (int i = 0; i < 2; i++)
    if (self->places[i] == wait) self->places[i] = NULL;
}

static int sealed_end(tide_transport *transport, bool both) {
  sealed *self = sealed_of(transport);
  return self->below->ops->end(self->below, both);
}

static tide_farewell sealed_farewell(const tide_transport *transport) {
  const sealed *self = sealed_of(transport);
  return self->below->ops->farewell(self->below);
}

static size_t sealed_untaken(const tide_transport *transport) {
  const sealed *self = sealed_of(transport);
  return self->below->ops->untaken(self->below);
}

static void sealed_withdraw(tide_transport *transport) {
  sealed *self = sealed_of(transport);
  tide_transport_wake(&self->places[0], TIDE_ECLOSED);
  tide_transport_wake(&self->places[1], TIDE_ECLOSED);
  for (int i = 0; i < 2; i++)
    if (self->waits[i].ops != NULL) self->below->ops->leave(self->below, &self->waits[i]);
}

static void sealed_close(tide_transport *transport, bool reset) {
  sealed *self = sealed_of(transport);
  sealed_withdraw(transport);
  self->below->ops->close(self->below, reset);
  sealed_alive--;
  free(self);
}

static const tide_transport_ops sealed_ops = {
    .name = "sealed",
    .read = sealed_read,
    .write = sealed_write,
    .wait = sealed_wait,
    .waited = sealed_waited,
    .leave = sealed_leave,
    .end = sealed_end,
    .farewell = sealed_farewell,
    .untaken = sealed_untaken,
    .withdraw = sealed_withdraw,
    .close = sealed_close,
};

/* The stream goes on over a seal of what it was over. */
static void seal(tide_stream *stream, tide_loop *loop) {
  sealed *self = calloc(1, sizeof *self);
  CHECK(self != NULL);
  *self = (sealed){.transport.ops = &sealed_ops, .below = stream->transport};
  tide_stream_init_on(stream, loop, &self->transport);
  sealed_alive++;
}

static void a_read_may_have_to_write_and_a_write_to_read(void) {
  static const size_t capacities[] = {1, 3, 500};
  for (int i = 0; i < 3; i++) {
    world w;
    open_memory(&w, capacities[i]);
    seal(&one, w.loop);
    seal(&other, w.loop);
    actor *r = spawn(&w, "r", reader);
    settle(&w);
    CHECK(!actor_ended(r));
    spawn_writer(&w, 3000);
    settle(&w);
    CHECK(strstr(w.log, "r -13 after 3000") != NULL);
    close_memory(&w);
    CHECK_EQ(sealed_alive, 0);
  }
}

static void what_lingers_goes_through_it(void) {
  world w;
  open_memory(&w, 50);
  seal(&one, w.loop);
  seal(&other, w.loop);
  spawn_writer(&w, 3000);
  settle(&w);
  CHECK_LOG(&w, "w wrote");
  tide_stream_close(&one);
  spawn(&w, "r", reader);
  settle(&w);
  CHECK(strstr(w.log, "r -13 after 3000") != NULL);
  close_memory(&w);
  CHECK_EQ(sealed_alive, 0);
}

/* Everything at once. */

static void stage_memory(world *w) {
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = pattern(i);
  one.transport = other.transport = NULL;
  if (tide_stream_memory_pair(&one, &other, w->loop, 300) != TIDE_OK) return;
  tide_stream_set_marks(&one, 100, 200);
}

static void stage_writer(world *w) {
  stage_memory(w);
  w->victim = spawn_writer(w, 5000);
  spawn(w, "r", reader);
}

static void stage_reader(world *w) {
  stage_memory(w);
  spawn_writer(w, 5000);
  w->victim = spawn(w, "r", reader);
}

static void stage_sealed(world *w) {
  stage_memory(w);
  seal(&one, w->loop);
  seal(&other, w->loop);
  spawn_writer(w, 5000);
  w->victim = spawn(w, "r", reader);
}

static void verify(world *w) {
  tide_stream_close(&one);
  settle(w);
  tide_stream_close(&other);
  settle(w);
  CHECK_EQ(sealed_alive, 0);
}

static void struck_at_any_wait_nothing_is_left_behind(void) {
  play_all_blows(&(scenario){.stage = stage_writer, .verify = verify});
  play_all_blows(&(scenario){.stage = stage_reader, .verify = verify});
  play_all_blows(&(scenario){.stage = stage_sealed, .verify = verify});
}

static void whichever_allocation_fails(void) {
  play_all_shortages(&(scenario){.stage = stage_writer, .verify = verify});
}

static void whichever_call_fails_and_a_byte_at_a_time(void) {
  static const tide_call calls[] = {TIDE_CALL_READ, TIDE_CALL_WRITE, TIDE_CALL_SHUTDOWN};
  for (int call = 0; call < 3; call++) {
    for (unsigned at = 1; at < 40; at++) {
      world w;
      tide_faults faults = {.call = calls[call], .at = at, .error = EIO, .one_byte = at % 2};
      open_memory(&w, 100);
      tide_loop_set_faults(w.loop, &faults);
      spawn_writer(&w, 3000);
      spawn(&w, "r", reader);
      settle(&w);
      tide_loop_set_faults(w.loop, NULL);
      tide_stream_close(&one);
      settle(&w);
      close_memory(&w);
    }
  }
}

int main(void) {
  RUN(bytes_come_through_memory_whatever_its_size);
  RUN(the_reader_pushes_back);
  RUN(a_read_that_nobody_answers_is_a_deadlock);
  RUN(what_was_written_arrives_though_the_stream_is_closed);
  RUN(what_did_not_arrive_does_not_look_like_all);
  RUN(writing_to_one_that_is_closed_fails);
  RUN(that_it_can_be_read_is_a_case_of_select);
  RUN(a_read_may_have_to_write_and_a_write_to_read);
  RUN(what_lingers_goes_through_it);
  RUN(struck_at_any_wait_nothing_is_left_behind);
  RUN(whichever_allocation_fails);
  RUN(whichever_call_fails_and_a_byte_at_a_time);
  return check_summary();
}
