/* io_listener.h: a listener, and tasks that accept. */
#ifndef TIDE_SPEC_IO_LISTENER_H
#define TIDE_SPEC_IO_LISTENER_H

#include "io.h"

enum { SOON = 2000 }; /* turns in which whatever is under way comes to its end */

static tide_listener listener;
static tide_connect attempt;
static tide_address address; /* of the listener */
static char path[TIDE_ADDRESS_TEXT];

static inline void parse(const char *host, uint16_t port) {
  CHECK_EQ(tide_address_parse(&address, host, port), TIDE_OK);
}

/* A listener where the system chooses the port; `address` is where. */
static inline void open_listener(world *w, const char *host) {
  io_open(w);
  parse(host, 0);
  CHECK_EQ(tide_listener_open(&listener, w->loop, &address, NULL), TIDE_OK);
  CHECK_EQ(tide_listener_address(&listener, &address), TIDE_OK);
}

static inline void close_listener(world *w) {
  tide_listener_close(&listener);
  tide_connect_term(&attempt);
  io_close(w);
}

static const char *unix_path(void) {
  snprintf(path, sizeof path, "unix:/tmp/tide-spec-%ld.sock", (long)getpid());
  return path;
}

/* Accepts self->i connections and says so; closes them. */
static inline void acceptor(actor *self) {
  int fd = -1;
  BEGIN;
  while (self->i-- > 0) {
    CALL_OR_END(tide_listener_accept(&listener, &self->task, &fd));
    say(self, "accepted");
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
  }
  END;
}

static inline actor *accept_times(world *w, int times) {
  actor *self = spawn(w, "a", acceptor);
  self->i = times;
  return self;
}

static inline void connector(actor *self) {
  BEGIN;
  CALL_OR_END(tide_connect_wait(&attempt, &self->task));
  say(self, "connected");
  END;
}

static inline actor *connect_once(world *w) {
  CHECK_EQ(tide_connect_start(&attempt, w->loop, &address, NULL), TIDE_OK);
  return spawn(w, "c", connector);
}

/* Turns until `a` has ended: real sockets take real time. */
static inline void finish(world *w, const actor *a) {
  for (int i = 0; i < SOON && !actor_ended(a); i++) {
    turn(w);
    if (i > SOON / 2) usleep(10000);
  }
  CHECK(actor_ended(a));
}

static tide_case chosen_from[2];
static tide_select choice;

/* A select over the listener and a long time. */
static inline void chooser(actor *self) {
  BEGIN;
  tide_case_at(&chosen_from[0], after_ms(self->world, 3600000));
  tide_case_accept(&chosen_from[1], &listener);
  tide_select_init(&choice, chosen_from, 2);
  CALL_OR_END(tide_select_wait(&choice, &self->task));
  say(self, "chose %d", (int)choice.chosen);
  if (choice.chosen == 1) close((int)chosen_from[1].wait.value.integer);
  END;
}

static inline void close_and_free_listener(void) {
  tide_listener_close(&listener);
  memset(&listener, 0xee, sizeof listener);
}

#endif
