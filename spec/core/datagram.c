/* datagram.c: datagrams over UDP and unix sockets. */
#include <errno.h>
#include <unistd.h>

#include "script.h"

static tide_datagram one, other;
static tide_address where; /* the other is */

static void open_on(world *w, const char *host, const tide_datagram_options *options) {
  one.fd.fd = other.fd.fd = -1;
  CHECK_EQ(tide_address_parse(&where, host, 0), TIDE_OK);
  if (tide_datagram_open(&one, w->loop, &where, options) != TIDE_OK) return;
  if (tide_datagram_open(&other, w->loop, &where, options) != TIDE_OK) return;
  tide_datagram_address(&other, &where);
}

static void close_both(void) {
  tide_datagram_close(&one);
  tide_datagram_close(&other);
  tide_datagram_close(&other);
}

/* Sends its name `i` times. */
static void sender(actor *self) {
  BEGIN;
  while (self->i-- > 0)
    CALL_OR_END(tide_datagram_send(&one, &self->task, self->name, strlen(self->name), &where));
  END;
}

/* Receives `i` times, and says what came. */
static void receiver(actor *self) {
  char text[16];
  size_t size = 0;
  BEGIN;
  while (self->i-- > 0) {
    CALL((size = sizeof text, tide_datagram_receive(&other, &self->task, text, &size, NULL)));
    if (self->outcome != TIDE_OK) break;
    say(self, "%.*s", (int)size, text);
  }
  if (self->outcome == TIDE_ECLOSED) say(self, "closed");
  self->outcome = TIDE_OK;
  END;
}

static void they_arrive_whole(void) {
  world w;
  world_open(&w);
  open_on(&w, "127.0.0.1", NULL);
  spawn(&w, "r", receiver)->i = 2;
  spawn(&w, "hello", sender)->i = 2;
  settle(&w);
  CHECK_LOG(&w, "r hello, r hello");
  close_both();
  world_close(&w);
}

static void options_are_set(void) {
  static const tide_datagram_options all = {
      .reuseport = true, .broadcast = true, .ipv6only = true, .ttl = 3};
  world w;
  int value = 0;
  socklen_t size = sizeof value;
  world_open(&w);
  open_on(&w, "::1", &all);
  CHECK_EQ(getsockopt(one.fd.fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &value, &size), 0);
  CHECK_EQ(value, 3);
  close_both();
  open_on(&w, "127.0.0.1", &all);
  CHECK_EQ(getsockopt(one.fd.fd, IPPROTO_IP, IP_TTL, &value, &size), 0);
  CHECK_EQ(value, 3);
  close_both();
  world_close(&w);
}

static void closing_ends_who_waits(void) {
  world w;
  world_open(&w);
  open_on(&w, "127.0.0.1", NULL);
  spawn(&w, "r", receiver)->i = 1;
  turn(&w);
  close_both();
  settle(&w);
  CHECK_LOG(&w, "r closed");
  CHECK_EQ(tide_datagram_address(&other, &where), TIDE_ECLOSED);
  CHECK_EQ(tide_datagram_connect(&other, &where), TIDE_ECLOSED);
  CHECK_EQ(tide_datagram_join(&other, &where, 0), TIDE_ECLOSED);
  world_close(&w);
}

/* Both sides; what does not arrive is not waited for. */
static void stage(world *w) {
  open_on(w, "127.0.0.1", NULL);
  actor *r = spawn(w, "r", receiver), *s = spawn(w, "hello", sender);
  r->i = s->i = 3;
  w->victim = r;
}

static void verify(world *w) {
  close_both();
  settle(w);
}

static void stage_full_unix_socket(world *w) {
  open_on(w, "unix:@tide-spec-datagram", NULL);
  tide_datagram_close(&one);
  CHECK_EQ(tide_address_parse(&where, "unix:@tide-spec-datagram", 0), TIDE_OK);
  tide_datagram_open(&other, w->loop, &where, NULL);
  tide_address mine;
  CHECK_EQ(tide_address_parse(&mine, "unix:@tide-spec-datagram2", 0), TIDE_OK);
  tide_datagram_open(&one, w->loop, &mine, NULL);
  w->victim = spawn(w, "x", sender);
  w->victim->i = 1000;
  for (int i = 0; i < 10; i++) turn(w); /* full */
  spawn(w, "r", receiver)->i = 1;
}

static const scenario both = {.stage = stage, .verify = verify};
static const scenario full = {.stage = stage_full_unix_socket, .verify = verify};

static void struck_at_any_wait_the_place_is_free(void) { play_all_blows(&both); }

static void a_sender_to_a_full_socket_may_be_struck_at_any_wait(void) {
  for (unsigned when = 1; when < 20; when++) {
    play_blow(&full, CANCEL, when);
    play_blow(&full, KILL, when);
  }
  check_state.context[0] = '\0';
}

static void whichever_call_fails_nothing_is_left(void) {
  static const tide_call calls[] = {TIDE_CALL_SOCKET, TIDE_CALL_BIND, TIDE_CALL_READ,
                                    TIDE_CALL_WRITE, TIDE_CALL_GETSOCKNAME};
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    for (unsigned at = 1; at < 8; at++) {
      world w;
      tide_faults faults = {.call = calls[i], .at = at, .error = ENOBUFS};
      world_open(&w);
      tide_loop_set_faults(w.loop, &faults);
      both.stage(&w);
      for (int turns = 0; turns < 20; turns++) tide_loop_turn(w.loop, false);
      both.verify(&w);
      tide_loop_set_faults(w.loop, NULL);
      world_close(&w);
    }
  }
}

int main(void) {
  RUN(they_arrive_whole);
  RUN(options_are_set);
  RUN(closing_ends_who_waits);
  RUN(struck_at_any_wait_the_place_is_free);
  RUN(a_sender_to_a_full_socket_may_be_struck_at_any_wait);
  RUN(whichever_call_fails_nothing_is_left);
  return check_summary();
}
