/* transport_lies.c: what becomes of streams whose transport does not keep its word. */
#include "io_memory.h"

typedef enum lie {
  SAYS_NONE,  /* it has moved no bytes */
  SAYS_MORE,  /* more than it was to */
  IN_A_HURRY, /* another try is worth it, at once and always */
  FAILS,      /* after a part */
} lie;

typedef struct liar {
  tide_transport transport; /* first */
  tide_transport *below;
  tide_loop *loop;
  lie lie;
  size_t honest;       /* bytes that it moves before */
  tide_farewell bye;   /* what it says to that */
  tide_wait *hurry[2]; /* a reader and a writer */
  tide_timer timer;    /* for them to try again */
} liar;

static int liars_alive;

static liar *liar_of(const tide_transport *self) { return tide_container(self, liar, transport); }

/* What it says of so many bytes. */
static int tell(liar *self, int result, size_t size, size_t *count) {
  if (result != TIDE_OK || self->lie == IN_A_HURRY) return result;
  if (self->honest >= *count) {
    self->honest -= *count;
    return TIDE_OK;
  }
  if (self->lie == FAILS) return TIDE_OS(EIO);
  *count = self->lie == SAYS_NONE ? 0 : size + 1;
  return TIDE_OK;
}

static int liar_read(tide_transport *transport, void *buffer, size_t size, size_t *got) {
  liar *self = liar_of(transport);
  int result = self->below->ops->read(self->below, buffer, size > 7 ? 7 : size, got);
  return tell(self, result, size, got);
}

static int liar_write(tide_transport *transport, const struct iovec *parts, size_t count,
                      size_t *sent) {
  liar *self = liar_of(transport);
  size_t total = 0;
  for (size_t i = 0; i < count; i++) total += parts[i].iov_len;
  int result = self->below->ops->write(self->below, parts, count, sent);
  return tell(self, result, total, sent);
}

static void hurry(tide_timer *timer) {
  liar *self = tide_container(timer, liar, timer);
  tide_wait *reader = self->hurry[0], *writer = self->hurry[1];
  self->hurry[0] = self->hurry[1] = NULL;
  tide_transport_wake(&reader, TIDE_OK);
  tide_transport_wake(&writer, TIDE_OK);
}

static int liar_wait(tide_transport *transport, tide_wait *wait, int events) {
  liar *self = liar_of(transport);
  if (self->lie != IN_A_HURRY) return self->below->ops->wait(self->below, wait, events);
  self->hurry[events & TIDE_READABLE ? 0 : 1] = wait;
  if (tide_timer_armed(&self->timer)) return TIDE_OK;
  return tide_timer_start(&self->timer, self->loop, tide_loop_now(self->loop) + 1000);
}

static bool liar_waited(const tide_transport *transport, int events) {
  const liar *self = liar_of(transport);
  if (self->lie != IN_A_HURRY) return self->below->ops->waited(self->below, events);
  return self->hurry[events & TIDE_READABLE ? 0 : 1] != NULL;
}

static void liar_leave(tide_transport *transport, tide_wait *wait) {
  liar *self = liar_of(transport);
  for (int i = 0; i < 2; i++)
    if (self->hurry[i] == wait) self->hurry[i] = NULL;
  self->below->ops->leave(self->below, wait);
}

static int liar_end(tide_transport *transport, bool both) {
  liar *self = liar_of(transport);
  return self->below->ops->end(self->below, both);
}

static tide_farewell liar_farewell(const tide_transport *transport) {
  return liar_of(transport)->bye;
}

static size_t liar_untaken(const tide_transport *transport) {
  const liar *self = liar_of(transport);
  return self->below->ops->untaken(self->below);
}

static void liar_withdraw(tide_transport *transport) {
  liar *self = liar_of(transport);
  for (int i = 0; i < 2; i++) tide_transport_wake(&self->hurry[i], TIDE_ECLOSED);
  self->below->ops->withdraw(self->below);
}

static void liar_close(tide_transport *transport, bool reset) {
  liar *self = liar_of(transport);
  tide_timer_stop(&self->timer, self->loop);
  self->below->ops->close(self->below, reset);
  liars_alive--;
  free(self);
}

static const tide_transport_ops liar_ops = {
    .name = "liar",
    .read = liar_read,
    .write = liar_write,
    .wait = liar_wait,
    .waited = liar_waited,
    .leave = liar_leave,
    .end = liar_end,
    .farewell = liar_farewell,
    .untaken = liar_untaken,
    .withdraw = liar_withdraw,
    .close = liar_close,
};

static void belie(tide_stream *stream, tide_loop *loop, lie what, size_t honest) {
  liar *self = calloc(1, sizeof *self);
  CHECK(self != NULL);
  *self = (liar){.transport.ops = &liar_ops, .lie = what, .honest = honest, .loop = loop};
  self->below = stream->transport;
  tide_timer_init(&self->timer, hurry);
  tide_stream_init_on(stream, loop, &self->transport);
  liars_alive++;
}

static void one_that_lies_breaks_its_stream_and_nothing_else(void) {
  static const lie lies[] = {SAYS_NONE, SAYS_MORE, FAILS};
  static const char *const told[] = {"r -1071 after ", "r -1071 after ", "r -1005 after "};
  for (int i = 0; i < 3; i++)
    for (size_t honest = 0; honest < 60; honest += 20) {
      world w;
      open_memory(&w, 50);
      belie(&other, w.loop, lies[i], honest);
      actor *a = spawn_writer(&w, 3000);
      spawn(&w, "r", reader);
      settle(&w);
      CHECK(strstr(w.log, told[i]) != NULL);
      tide_stream_close(&other);
      settle(&w);
      CHECK_EQ(tide_future_error(&a->task.future), TIDE_OS(EPIPE));
      close_memory(&w);
      CHECK_EQ(liars_alive, 0);
    }
}

static void the_same_of_writes_at_once_and_later(void) {
  static const lie lies[] = {SAYS_NONE, SAYS_MORE, FAILS};
  for (int i = 0; i < 3; i++)
    for (size_t honest = 0; honest < 200; honest += 50) {
      world w;
      open_memory(&w, 50);
      belie(&one, w.loop, lies[i], honest);
      actor *a = spawn_writer(&w, 3000);
      spawn(&w, "r", reader);
      settle(&w);
      CHECK_EQ(tide_future_error(&a->task.future), TIDE_OS(lies[i] == FAILS ? EIO : EPROTO));
      CHECK_EQ(tide_stream_unsent(&one), 0);
      close_memory(&w);
      CHECK_EQ(liars_alive, 0);
    }
}

/* What comes in is read and dropped meanwhile. */
static void one_that_lies_while_it_lingers_is_closed(void) {
  static const lie lies[] = {SAYS_NONE, SAYS_MORE, FAILS};
  for (int i = 0; i < 3; i++)
    for (tide_farewell bye = TIDE_FAREWELL_NONE; bye <= TIDE_FAREWELL_SHUT; bye++) {
      world w;
      open_memory(&w, 50);
      belie(&one, w.loop, lies[i], 70);
      liar_of(one.transport)->bye = bye;
      spawn_writer(&w, 300);
      turn(&w);
      struct iovec some = {bytes, 40};
      size_t sent = 0;
      CHECK_EQ(other.transport->ops->write(other.transport, &some, 1, &sent), TIDE_OK);
      tide_stream_close(&one);
      spawn(&w, "r", reader);
      settle(&w);
      CHECK_EQ(tide_loop_lingering(w.loop), 0);
      close_memory(&w);
      CHECK_EQ(liars_alive, 0);
    }
}

static void readiness_that_is_always_there_lets_others_run(void) {
  world w;
  open_memory(&w, 50);
  belie(&one, w.loop, IN_A_HURRY, 0);
  belie(&other, w.loop, IN_A_HURRY, 0);
  actor *r = spawn(&w, "r", reader);
  for (int i = 0; i < 100; i++) CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  CHECK(!actor_ended(r));
  spawn_writer(&w, 3000);
  for (int i = 0; i < 10000 && !actor_ended(r); i++) tide_loop_turn(w.loop, true);
  CHECK(strstr(w.log, "r -13 after 3000") != NULL);
  close_memory(&w);
  CHECK_EQ(liars_alive, 0);
}

int main(void) {
  RUN(one_that_lies_breaks_its_stream_and_nothing_else);
  RUN(the_same_of_writes_at_once_and_later);
  RUN(one_that_lies_while_it_lingers_is_closed);
  RUN(readiness_that_is_always_there_lets_others_run);
  return check_summary();
}
