/* io_write.h: tasks that write to `ours`, and what comes at the other end. */
#ifndef TIDE_SPEC_IO_WRITE_H
#define TIDE_SPEC_IO_WRITE_H

#include "io_pair.h"

enum { LARGE = 1500007 }; /* more than any socket's buffer */

static char *large;

static inline void turns(world *w, int count) {
  while (count-- > 0) turn(w);
}

static inline int write_text(actor *self, const char *text) {
  struct iovec part = {(void *)text, strlen(text)};
  return tide_stream_write(&ours, &self->task, &part, 1);
}

static inline int write_part(actor *self, size_t from, size_t size) {
  struct iovec part = {large + from, size};
  return tide_stream_write(&ours, &self->task, &part, 1);
}

static inline int write_large(actor *self) { return write_part(self, 0, LARGE); }

/* Writes the large pattern, then "more". */
static inline void writer(actor *self) {
  BEGIN;
  CALL_OR_END(write_large(self));
  say(self, "wrote");
  CALL_OR_END(write_text(self, "more"));
  say(self, "wrote more");
  END;
}

/* Takes what has come at the other end and checks that it goes on the pattern; "more" and the end
 * are said. Gives how many bytes of the pattern there were. */
static inline size_t drain(world *w, size_t from) {
  static char bytes[LARGE + 100];
  ssize_t got = recv(theirs.own.fd.fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (got == 0) strcat(w->log, w->log[0] == '\0' ? "end" : ", end");
  if (got <= 0) return 0;
  size_t patterned_bytes = from >= LARGE ? 0 : (size_t)got;
  if (from + patterned_bytes > LARGE) patterned_bytes = LARGE - from;
  check_pattern(bytes, from, patterned_bytes);
  if (patterned_bytes == (size_t)got) return patterned_bytes;
  CHECK_EQ((size_t)got - patterned_bytes, 4);
  CHECK(memcmp(bytes + patterned_bytes, "more", 4) == 0);
  strcat(w->log, w->log[0] == '\0' ? "more" : ", more");
  return patterned_bytes;
}

/* The same until nothing moves any more. */
static inline size_t drain_all(world *w, size_t from) {
  for (int idle = 0; idle < 3; idle++) {
    size_t got = drain(w, from);
    from += got;
    if (got > 0) idle = 0;
    tide_loop_turn(w->loop, false);
  }
  return from;
}

#endif
