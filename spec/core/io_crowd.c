/* io_crowd.c: an echo server and many clients, all of them tasks of one loop. */
#include <sys/resource.h>

#include "io.h"

enum { MOST = 1000, ROUNDS = 5, MESSAGE = 64 };

typedef struct peer {
  actor actor;           /* first */
  tide_stream stream;    /* to the other end */
  tide_connect attempt;  /* of a client */
  char message[MESSAGE]; /* what it sends */
} peer;

static tide_listener listener;
static tide_address address;
static peer clients[MOST], servers[MOST];
static int crowd, served, answered, fewest_rounds_at_first_end;

static tide_stream *stream_of(actor *self) { return &((peer *)self)->stream; }

static void spawn_peer(world *w, peer *self, void (*body)(actor *self)) {
  self->actor = (actor){.world = w, .body = body};
  tide_task_init(&self->actor.task, w->loop, &actor_ops);
  CHECK_EQ(tide_task_spawn(&self->actor.task, tide_loop_background(w->loop)), TIDE_OK);
}

static void server(actor *self) {
  tide_stream *stream = stream_of(self);
  tide_slice got = {0};
  BEGIN;
  for (;;) {
    CALL(tide_stream_read(stream, &self->task, 4096, &got));
    if (self->outcome != TIDE_OK) break;
    struct iovec part = {(void *)got.data, got.length};
    self->outcome = tide_stream_write(stream, &self->task, &part, 1);
    CHECK_EQ(self->outcome, TIDE_OK); /* so little never waits */
  }
  CHECK_EQ(self->outcome, TIDE_EEOF);
  tide_stream_close(stream);
  self->outcome = TIDE_OK;
  END;
}

static void acceptor(actor *self) {
  BEGIN;
  while (self->i < crowd) {
    CALL_OR_END(tide_listener_accept(&listener, &self->task, &served));
    tide_stream_init(&servers[self->i].stream, self->world->loop, served);
    spawn_peer(self->world, &servers[self->i++], server);
  }
  END;
}

/* How far the slowest is when the first is at the end. */
static void note_the_slowest(void) {
  if (fewest_rounds_at_first_end >= 0) return;
  fewest_rounds_at_first_end = ROUNDS;
  for (int i = 0; i < crowd; i++)
    if (clients[i].actor.i < fewest_rounds_at_first_end)
      fewest_rounds_at_first_end = clients[i].actor.i;
}

static void client(actor *self) {
  peer *me = (peer *)self;
  tide_slice got = {0};
  struct iovec part = {me->message, MESSAGE};
  BEGIN;
  CALL_OR_END(tide_connect_wait(&me->attempt, &self->task));
  tide_stream_init(&me->stream, self->world->loop, tide_connect_take(&me->attempt));
  while (self->i < ROUNDS) {
    memset(me->message, 'a' + self->i, MESSAGE);
    snprintf(me->message, MESSAGE, "%d of %d", (int)(me - clients), crowd);
    CALL_OR_END(tide_stream_write(&me->stream, &self->task, &part, 1));
    CALL_OR_END(tide_stream_read_exactly(&me->stream, &self->task, MESSAGE, &got));
    CHECK(memcmp(got.data, me->message, MESSAGE) == 0);
    self->i++;
    answered++;
  }
  note_the_slowest();
  tide_stream_close(&me->stream);
  END;
}

static void check_crowd(int size, const char *host) {
  world w;
  io_open(&w);
  crowd = size;
  answered = 0;
  fewest_rounds_at_first_end = -1;
  CHECK_EQ(tide_address_parse(&address, host, 0), TIDE_OK);
  CHECK_EQ(tide_listener_open(&listener, w.loop, &address, NULL), TIDE_OK);
  CHECK_EQ(tide_listener_address(&listener, &address), TIDE_OK);
  actor *a = spawn(&w, "a", acceptor);
  for (int i = 0; i < size; i++) {
    CHECK_EQ(tide_connect_start(&clients[i].attempt, w.loop, &address, NULL), TIDE_OK);
    spawn_peer(&w, &clients[i], client);
  }
  settle(&w);
  CHECK_EQ(a->outcome, TIDE_OK);
  for (int i = 0; i < size; i++) {
    CHECK_EQ(clients[i].actor.outcome, TIDE_OK);
    CHECK_EQ(servers[i].actor.outcome, TIDE_OK);
    CHECK(actor_ended(&servers[i].actor));
  }
  CHECK_EQ(answered, size * ROUNDS);
  tide_listener_close(&listener);
  io_close(&w);
}

static void an_echo_comes_back(void) {
  check_crowd(1, "127.0.0.1");
  check_crowd(1, "::1");
  check_crowd(1, "unix:@tide-spec-crowd");
}

static void a_thousand_at_once_are_all_served(void) {
  check_crowd(MOST, "127.0.0.1");
  check_crowd(MOST, "unix:@tide-spec-crowd");
}

/* When the first has had its rounds, the last is at most one batch of accepted connections behind:
 * it has been connected at least. */
static void none_of_them_starves(void) {
  check_crowd(200, "127.0.0.1");
  printf("# when the first client ended the slowest had done %d rounds of %d\n",
         fewest_rounds_at_first_end, ROUNDS);
  CHECK(fewest_rounds_at_first_end >= 1);
}

int main(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 3 * MOST) {
    limit.rlim_cur = 3 * MOST;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
      printf("1..0 # skipped: %d descriptors are not allowed\n", 3 * MOST);
      return 0;
    }
  }
  RUN(an_echo_comes_back);
  RUN(a_thousand_at_once_are_all_served);
  RUN(none_of_them_starves);
  return check_summary();
}
