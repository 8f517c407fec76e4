/* stream.c: the input says how a text is cut into pieces on its way through a socket, and with what
 * functions it is read; what they give is compared with the text itself. Waits are cancelled
 * meanwhile: then nothing may have been taken. Time is virtual. */
#include "fuzz.h"

enum { TEXT_MAX = 3000, READS = 60, PIECES = 200 };

typedef enum reading { READ, EXACTLY, UNTIL, ALL, READINGS } reading;

static struct state {
  tide_stream writer, reader;
  char text[TEXT_MAX];
  size_t length; /* of the text */
  size_t sent;   /* of it, so far */
  size_t taken;  /* by the reader */
  reading how;   /* the reader's call */
  size_t size;   /* what it is given */
  tide_slice separator;
  tide_slice slice; /* what came of it */
  bool limited;     /* the present read has a deadline */
} it;

/* Few letters, so that separators are many, and beginnings of separators even more. */
static void make_text(void) {
  unsigned seed = input_byte() * 256 + input_byte();
  it.length = (size_t)input_byte() * input_below(13) % TEXT_MAX;
  for (size_t i = 0; i < it.length; i++) {
    seed = seed * 1103515245u + 12345u;
    it.text[i] = "ab;;"[seed >> 16 & 3];
  }
}

/* What is known without a stream. */

static size_t rest(void) { return it.length - it.taken; }

/* How many bytes there are up to the end of the next separator; 0: there is none. */
static size_t to_separator(void) {
  const char *from = it.text + it.taken;
  const char *found = memmem(from, rest(), it.separator.data, it.separator.length);
  return found != NULL ? (size_t)(found - from) + it.separator.length : 0;
}

static void check_slice(size_t length) {
  CHECK_EQ(it.slice.length, length);
  CHECK(length <= rest() && memcmp(it.slice.data, it.text + it.taken, length) == 0);
  it.taken += length;
}

/* A limit was exceeded, and nothing was taken. So many bytes without a separator are enough to
 * know: whether the end comes next is not waited for. */
static void check_limit(void) {
  CHECK(it.how == UNTIL || it.how == ALL);
  if (it.how == UNTIL && to_separator() == 0)
    CHECK(rest() >= it.size);
  else
    CHECK((it.how == UNTIL ? to_separator() : rest()) > it.size);
}

static void check_end(void) {
  if (it.how == READ) CHECK_EQ(rest(), 0);
  if (it.how == EXACTLY) CHECK(rest() < it.size);
  if (it.how == UNTIL) CHECK_EQ(to_separator(), 0);
  CHECK(it.how != ALL);
  if (it.how != READ) check_slice(rest());
}

static void check_success(void) {
  if (it.how == READ) {
    CHECK(it.slice.length >= 1 && it.slice.length <= it.size);
    check_slice(it.slice.length);
  } else if (it.how == EXACTLY) {
    check_slice(it.size);
  } else if (it.how == UNTIL) {
    CHECK(to_separator() != 0 && to_separator() <= it.size);
    check_slice(to_separator());
  } else {
    CHECK(rest() <= it.size);
    check_slice(rest());
  }
}

static void check_read(int outcome) {
  switch (outcome) {
  case TIDE_OK:
    check_success();
    break;
  case TIDE_EEOF:
    check_end();
    break;
  case TIDE_ELIMIT:
    check_limit();
    break;
  default:
    CHECK_EQ(outcome, TIDE_ECANCELLED);
    CHECK(it.limited);
  }
}

/* The reader. */

static void choose(void) {
  static const char *const separators[] = {";", "a;", ";;", ";;a", "ab;ab", "aaaaaaaa"};
  it.how = input_below(8) == 0 ? ALL : input_below(ALL);
  it.size = input_byte();
  if (it.how != EXACTLY && it.size == 0) it.size = 1;
  if (it.how == ALL) it.size *= 16;
  it.separator = slice_of(separators[input_below(6)]);
}

static int make_call(actor *self) {
  switch (it.how) {
  case READ:
    return tide_stream_read(&it.reader, &self->task, it.size, &it.slice);
  case EXACTLY:
    return tide_stream_read_exactly(&it.reader, &self->task, it.size, &it.slice);
  case UNTIL:
    return tide_stream_read_until(&it.reader, &self->task, it.separator, it.size, &it.slice);
  default:
    return tide_stream_read_all(&it.reader, &self->task, it.size, &it.slice);
  }
}

static void open_scope(actor *self) {
  it.limited = input_below(3) == 0;
  if (!it.limited) return;
  enter_scope(self, 0, input_below(3));
}

static void close_scope(actor *self) {
  if (it.limited) leave_scope(self);
}

static void read_text(actor *self) {
  BEGIN;
  for (; self->i < READS && input.at < input.size; self->i++) {
    choose();
    open_scope(self);
    CALL(make_call(self));
    close_scope(self);
    check_read(self->outcome);
  }
  it.how = ALL;
  it.size = SIZE_MAX;
  it.limited = false;
  CALL(make_call(self));
  check_read(self->outcome);
  CHECK_EQ(it.taken, it.length);
  self->outcome = TIDE_OK;
  END;
}

/* The writer. */

static struct iovec next_piece(void) {
  size_t size = input_byte() % 64;
  if (input.at >= input.size || size > it.length - it.sent) size = it.length - it.sent;
  return (struct iovec){.iov_base = it.text + it.sent, .iov_len = size};
}

static int write_piece(actor *self) {
  struct iovec piece = {.iov_base = it.text + it.sent, .iov_len = (size_t)self->slot};
  return tide_stream_write(&it.writer, &self->task, &piece, 1);
}

static void write_text(actor *self) {
  BEGIN;
  while (it.sent < it.length && self->i++ < PIECES) {
    self->slot = (uint32_t)next_piece().iov_len;
    CALL_OR_END(write_piece(self));
    it.sent += self->slot;
    WAIT(input_below(2) ? tide_task_yield(&self->task) : sleep_ms(self, input_below(3)));
  }
  self->slot = (uint32_t)(it.length - it.sent);
  CALL_OR_END(write_piece(self));
  CHECK_EQ(tide_stream_close_write(&it.writer), TIDE_OK);
  END;
}

static void run_input(void) {
  world w;
  memset(&it, 0, sizeof it);
  make_text();
  io_open(&w);
  CHECK_EQ(tide_stream_pair(&it.writer, &it.reader, w.loop), TIDE_OK);
  actor *reader = spawn(&w, "reader", read_text), *writer = spawn(&w, "writer", write_text);
  settle(&w);
  CHECK(actor_failed_with(reader, TIDE_OK) && actor_failed_with(writer, TIDE_OK));
  tide_stream_close(&it.writer);
  tide_stream_close(&it.reader);
  settle(&w);
  io_close(&w);
}
