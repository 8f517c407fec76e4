/* io_memory.h: two streams over memory, one that writes and one that reads. */
#ifndef TIDE_SPEC_IO_MEMORY_H
#define TIDE_SPEC_IO_MEMORY_H

#include "io.h"

static tide_stream one, other;

static char bytes[40000];

static inline void open_memory(world *w, size_t capacity) {
  io_open(w);
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = pattern(i);
  CHECK_EQ(tide_stream_memory_pair(&one, &other, w->loop, capacity), TIDE_OK);
}

static inline void close_memory(world *w) {
  tide_stream_close(&one);
  tide_stream_close(&other);
  settle(w);
  io_close(w);
}

/* Writes `i` bytes to `one`, and its end. */
static inline void writer(actor *self) {
  BEGIN;
  CALL_OR_END(tide_stream_write(&one, &self->task, &(struct iovec){bytes, (size_t)self->i}, 1));
  say(self, "wrote");
  CALL_OR_END(tide_stream_flush(&one, &self->task));
  say(self, "flushed");
  tide_stream_close_write(&one);
  END;
}

/* Reads from `other` up to its end, or an error. */
static inline void reader(actor *self) {
  tide_slice slice;
  BEGIN;
  for (;;) {
    CALL(tide_stream_read(&other, &self->task, 1000, &slice));
    if (self->script.outcome != TIDE_OK) break;
    check_pattern(slice.data, (size_t)self->i, slice.length);
    self->i += (int)slice.length;
  }
  say(self, "%d after %d", self->script.outcome, self->i);
  TIDE_LEAVE(TIDE_OK);
  END;
}

static inline actor *spawn_writer(world *w, int size) {
  actor *self = spawn(w, "w", writer);
  self->i = size;
  return self;
}

#endif
