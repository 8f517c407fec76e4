/* io_pair.h: two streams, each the other's peer: `ours`, which a spec is about, and `theirs`. */
#ifndef TIDE_SPEC_IO_PAIR_H
#define TIDE_SPEC_IO_PAIR_H

#include <netinet/in.h>

#include "io.h"

enum { SMALL_BUFFER = 50000 }; /* bytes: of TCP's buffers, which else may hold megabytes */

static tide_stream ours, theirs;

static inline void open_pair(world *w) {
  io_open(w);
  CHECK_EQ(tide_stream_pair(&ours, &theirs, w->loop), TIDE_OK);
}

/* The same over TCP. */
static inline void open_tcp_pair(world *w) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  io_open(w);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_EQ(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
  setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &(int){SMALL_BUFFER}, sizeof(int));
  CHECK_EQ(listen(listener, 1), 0);
  CHECK_EQ(getsockname(listener, (struct sockaddr *)&address, &length), 0);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){SMALL_BUFFER}, sizeof(int));
  CHECK_EQ(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
  tide_stream_init(&theirs, w->loop, fd);
  tide_stream_init(&ours, w->loop, accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
  close(listener);
}

static inline void close_pair(world *w) {
  tide_stream_close(&ours);
  tide_stream_close(&theirs);
  io_close(w);
}

#endif
