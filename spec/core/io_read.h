/* io_read.h: a task that reads from `ours` what is to be asked for. */
#ifndef TIDE_SPEC_IO_READ_H
#define TIDE_SPEC_IO_READ_H

#include "io_pair.h"

enum { SOME, EXACTLY, UNTIL, ALL };

static struct {
  int what;              /* SOME, EXACTLY, UNTIL, ALL */
  size_t count;          /* of bytes, or the most of them */
  const char *separator; /* for UNTIL */
} ask;

static inline int call(actor *self, tide_slice *out) {
  tide_task *task = &self->task;
  switch (ask.what) {
  case SOME:
    return tide_stream_read(&ours, task, ask.count, out);
  case EXACTLY:
    return tide_stream_read_exactly(&ours, task, ask.count, out);
  case UNTIL:
    return tide_stream_read_until(&ours, task, slice_of(ask.separator), ask.count, out);
  default:
    return tide_stream_read_all(&ours, task, ask.count, out);
  }
}

static inline void reader(actor *self) {
  tide_slice got = {0};
  BEGIN;
  do {
    CALL(call(self, &got));
    if (self->outcome == TIDE_OK || self->outcome == TIDE_EEOF)
      say(self, "%s'%s'", self->outcome == TIDE_EEOF ? "end " : "", text_of(got));
    else
      say(self, "%s", tide_error_kind(self->outcome));
  } while (--self->i > 0 && self->outcome == TIDE_OK);
  END;
}

static inline actor *read_times(world *w, int times) {
  actor *self = spawn(w, "r", reader);
  self->i = times;
  return self;
}

static inline actor *read_once(world *w) { return read_times(w, 1); }

static inline void turns(world *w, int count) {
  while (count-- > 0) turn(w);
}

static inline void ask_until(size_t max, const char *separator) {
  ask.what = UNTIL;
  ask.count = max;
  ask.separator = separator;
}

static inline void ask_for(int what, size_t count) {
  ask.what = what;
  ask.count = count;
}

#endif
