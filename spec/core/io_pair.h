/* io_pair.h: two streams, each the other's peer: `ours`, which a spec is about, and `theirs`. */
#ifndef TIDE_SPEC_IO_PAIR_H
#define TIDE_SPEC_IO_PAIR_H

#include "io.h"

static tide_stream ours, theirs;

static inline void open_pair(world *w) {
  io_open(w);
  CHECK_EQ(tide_stream_pair(&ours, &theirs, w->loop), TIDE_OK);
}

/* The same over TCP. */
static inline void open_tcp_pair(world *w) {
  int pair[2];
  io_open(w);
  open_tcp_sockets(pair);
  tide_stream_init(&ours, w->loop, pair[0]);
  tide_stream_init(&theirs, w->loop, pair[1]);
}

static inline void close_pair(world *w) {
  tide_stream_close(&ours);
  tide_stream_close(&theirs);
  io_close(w);
}

#endif
