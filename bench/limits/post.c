/* Limit of waking another thread's loop: two libev loops in two threads, a message to and fro, each
 * in a callback of an ev_async (an eventfd below). `post eventfd`: an eventfd of one's own that an
 * ev_io reads. post [eventfd] [trips] */
#define _GNU_SOURCE
#include <ev.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "measure.h"

typedef struct side {
  ev_async async;
  ev_io io;
  int fd;             /* -1: the async is used */
  struct ev_loop *ev; /* where it is */
  struct side *other;
  long left; /* messages still to come */
} side;

static void send_to(side *self) {
  static const uint64_t once = 1;
  if (self->fd < 0)
    ev_async_send(self->ev, &self->async);
  else if (write(self->fd, &once, sizeof once) < 0)
    fail("cannot write");
}

static void came(side *self) {
  send_to(self->other);
  if (--self->left == 0) ev_break(self->ev, EVBREAK_ALL);
}

static void on_async(struct ev_loop *ev, ev_async *async, int events) {
  (void)ev, (void)events;
  came((side *)async->data);
}

static void on_readable(struct ev_loop *ev, ev_io *io, int events) {
  (void)ev, (void)events;
  uint64_t times;
  if (read(io->fd, &times, sizeof times) > 0) came((side *)io->data);
}

static void open_side(side *self, side *other, int by_eventfd, long trips) {
  *self = (side){.other = other, .left = trips, .fd = by_eventfd ? eventfd(0, EFD_NONBLOCK) : -1};
  self->ev = ev_loop_new(EVFLAG_AUTO);
  self->async.data = self->io.data = self;
  ev_async_init(&self->async, on_async);
  ev_io_init(&self->io, on_readable, self->fd, EV_READ);
  if (by_eventfd)
    ev_io_start(self->ev, &self->io);
  else
    ev_async_start(self->ev, &self->async);
}

static void *run(void *argument) {
  ev_run(((side *)argument)->ev, 0);
  return NULL;
}

int main(int argc, char **argv) {
  int by_eventfd = argc > 1 && strcmp(argv[1], "eventfd") == 0;
  long trips = argument(argc, argv, 1 + by_eventfd, 100000);
  side here, there;
  pthread_t thread;
  open_side(&here, &there, by_eventfd, trips);
  open_side(&there, &here, by_eventfd, trips);
  if (pthread_create(&thread, NULL, run, &there) != 0) fail("no thread");
  double began = wall_ns();
  send_to(&there);
  run(&here);
  printf("ns %.1f\n", (wall_ns() - began) / (double)trips / 2);
  pthread_join(thread, NULL);
  return 0;
}
