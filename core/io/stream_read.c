/* stream_read.c: the reading half of streams.
 *
 * Reads go into the loop's scratch buffer, which `input` borrows meanwhile; what is left of it when
 * the call ends moves to memory of the stream's own. Where there are bytes already, reads go behind
 * them. */
#include <errno.h>
#include <string.h>

#include "../sched/case.h"
#include "halves.h"
#include "private.h"
#include "recall.h"
#include "stream.h"

static const size_t NOWHERE = SIZE_MAX;

static void leave_transport(tide_wait *wait) {
  tide_transport *transport = tide__stream_of(wait)->transport;
  transport->ops->leave(transport, wait);
}

static void read_leave(tide_wait *wait) {
  tide_stream *stream = tide__stream_of(wait);
  leave_transport(wait);
  stream->reader = NULL;
}

static void read_forget(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) tide__stream_of(wait)->reader = NULL;
}

static const tide_wait_ops read_ops = {
    .name = "Stream.read", .abandon = read_leave, .reject = read_forget};

/* Memory. */

static const tide_allocator *memory(const tide_stream *stream) {
  return &tide__loop_of(stream)->allocator;
}

/* Leaves the scratch to others. Where memory is short the bytes are lost: so is the stream. */
int tide__read_own(tide_stream *stream) {
  tide_buffer *input = &stream->input;
  if (!tide_buffer_borrowed(input)) return TIDE_OK;
  bool some = tide_buffer_size(input) > 0;
  if (some && tide_buffer_reserve(input, memory(stream), 0) == TIDE_OK) return TIDE_OK;
  tide_buffer_term(input, memory(stream));
  return some ? stream->read_error = TIDE_ENOMEM : TIDE_OK;
}

static size_t within(size_t value, size_t least, size_t most) {
  return value < least ? least : value > most ? most : value;
}

/* Makes room to read at least some of `want` bytes behind those in `input`; gives how many. */
static int make_room(tide_stream *stream, size_t want, size_t *room) {
  tide_buffer *input = &stream->input;
  *room = within(want, TIDE__READ_ROOM, TIDE__SCRATCH);
  if (tide_buffer_size(input) == 0) {
    char *scratch = tide__scratch_of(tide__loop_of(stream), stream);
    if (scratch == NULL) return TIDE_ENOMEM;
    tide_buffer_term(input, memory(stream));
    tide_buffer_borrow(input, scratch, 0);
    return TIDE_OK;
  }
  int error = tide_buffer_reserve(input, memory(stream), *room);
  *room = within(input->capacity - input->end, 0, TIDE__READ_MOST);
  return error;
}

/* Getting bytes. */

/* Reads behind what is in `input`. TIDE_OK: one byte at least; TIDE_PENDING: there are none now. */
static int fill(tide_stream *stream, tide_task *task, size_t want) {
  size_t room;
  if (stream->read_error != TIDE_OK) return stream->read_error;
  tide_transport *transport = stream->transport;
  if (transport->ops->drained != NULL && transport->ops->drained(transport)) return TIDE_PENDING;
  int error = make_room(stream, want, &room);
  if (error != TIDE_OK) return error;
  tide_buffer *input = &stream->input;
  size_t got = 0;
  int result = tide__transport_read(transport, input->data + input->end, room, &got);
  if (result == TIDE_PENDING) return result;
  if (result != TIDE_OK) return stream->read_error = result;
  input->end += got;
  tide__wait_charge(task, within(got, TIDE__BYTES_PER_WAIT, SIZE_MAX));
  return TIDE_OK;
}

/* Whatever the task waited for last, in the same call. */
static void wait_to_read(tide_stream *stream, tide_task *task) {
  task->wait.ops = &read_ops;
  task->wait.source = stream;
}

int tide__read_park(tide_stream *stream, tide_task *task) {
  int error = tide__read_own(stream);
  if (error != TIDE_OK) return error;
  wait_to_read(stream, task);
  error = stream->transport->ops->wait(stream->transport, &task->wait, TIDE_READABLE);
  return error == TIDE_OK ? tide__task_park(task) : error;
}

/* Gets more bytes, or says what is to be returned. */
int tide__read_more(tide_stream *stream, tide_task *task, size_t want) {
  if (task->streak == UINT8_MAX) { /* enough for one turn */
    int error = tide__read_own(stream);
    wait_to_read(stream, task);
    return error != TIDE_OK ? error : tide__wait_skip(task);
  }
  int result = fill(stream, task, want);
  return result == TIDE_PENDING ? tide__read_park(stream, task) : result;
}

int tide__read_enter(tide_stream *stream, tide_task *task) {
  int result =
      tide__recall_enter(stream, tide_stream_closed(stream), &stream->reader, task, &read_ops);
  if (result == TIDE_OK && tide_buffer_size(&stream->input) == 0)
    tide_buffer_term(&stream->input, memory(stream)); /* what the last slice was in */
  return result;
}

static int read_enter(tide_stream *stream, tide_task *task, tide_slice *out) {
  *out = (tide_slice){.data = "", .length = 0};
  return tide__read_enter(stream, task);
}

static tide_slice read_take(tide_stream *stream, size_t length) {
  tide_slice slice = {.data = "", .length = length};
  if (length > 0) slice.data = tide_buffer_bytes(&stream->input);
  tide_buffer_consume(&stream->input, length);
  stream->searched = 0;
  return slice;
}

int tide__read_finish(tide_stream *stream, tide_task *task, int result) {
  if (result == TIDE_PENDING) tide__scratch_back(tide__loop_of(stream), NULL);
  int error = tide__read_own(stream);
  if (error != TIDE_OK && result != TIDE_OK) result = error; /* else the next call tells */
  return tide__recall_leave(&stream->reader, task, result);
}

/* The four calls. */

int tide_stream_read(tide_stream *stream, tide_task *task, size_t max, tide_slice *out) {
  int result = read_enter(stream, task, out);
  if (result != TIDE_OK || max == 0) return result;
  /* who asks for little will ask again: read ahead */
  size_t want = max < TIDE__READ_ROOM ? TIDE__SCRATCH : max;
  if (tide_stream_buffered(stream) == 0) result = tide__read_more(stream, task, want);
  if (result == TIDE_OK) *out = read_take(stream, within(max, 0, tide_stream_buffered(stream)));
  return tide__read_finish(stream, task, result);
}

int tide_stream_read_exactly(tide_stream *stream, tide_task *task, size_t count, tide_slice *out) {
  int result = read_enter(stream, task, out);
  if (result != TIDE_OK) return result;
  while (result == TIDE_OK && tide_stream_buffered(stream) < count) {
    size_t missing = count - tide_stream_buffered(stream);
    result = tide__read_more(stream, task, missing < TIDE__READ_ROOM ? TIDE__SCRATCH : missing);
  }
  if (result == TIDE_OK) *out = read_take(stream, count);
  if (result == TIDE_EEOF) *out = read_take(stream, tide_stream_buffered(stream));
  return tide__read_finish(stream, task, result);
}

/* A number that tells separators apart: for up to seven bytes the bytes, else a hash of them. */
static uint64_t key_of(tide_slice separator) {
  uint64_t key = 0;
  if (separator.length <= 7) {
    memcpy(&key, separator.data, separator.length);
    return key << 8 | separator.length;
  }
  key = 14695981039346656037u; /* FNV-1a */
  for (size_t i = 0; i < separator.length; i++)
    key = (key ^ (unsigned char)separator.data[i]) * 1099511628211u;
  return key | 0xff;
}

/* Where in `input` the separator begins, or NOWHERE. Looks at no byte twice for long. */
static size_t find(tide_stream *stream, tide_slice separator) {
  uint64_t key = key_of(separator);
  size_t size = tide_stream_buffered(stream);
  const char *bytes = tide_buffer_bytes(&stream->input);
  if (stream->separator != key) stream->searched = 0;
  stream->separator = key;
  if (size < separator.length) return NOWHERE;
  const char *found =
      memmem(bytes + stream->searched, size - stream->searched, separator.data, separator.length);
  if (found != NULL) return (size_t)(found - bytes);
  stream->searched = size - separator.length + 1;
  return NOWHERE;
}

int tide_stream_read_until(tide_stream *stream, tide_task *task, tide_slice separator, size_t max,
                           tide_slice *out) {
  int result = read_enter(stream, task, out);
  if (result != TIDE_OK) return result;
  if (separator.length == 0) return TIDE_OS(EINVAL);
  size_t at;
  while ((at = find(stream, separator)) == NOWHERE && result == TIDE_OK)
    result = tide_stream_buffered(stream) >= max ? TIDE_ELIMIT
                                                 : tide__read_more(stream, task, TIDE__SCRATCH);
  if (at != NOWHERE) result = at + separator.length > max ? TIDE_ELIMIT : TIDE_OK;
  if (result == TIDE_OK) *out = read_take(stream, at + separator.length);
  if (result == TIDE_EEOF) *out = read_take(stream, tide_stream_buffered(stream));
  return tide__read_finish(stream, task, result);
}

int tide_stream_read_all(tide_stream *stream, tide_task *task, size_t max, tide_slice *out) {
  int result = read_enter(stream, task, out);
  if (result != TIDE_OK) return result;
  while (result == TIDE_OK)
    result = tide_stream_buffered(stream) > max ? TIDE_ELIMIT
                                                : tide__read_more(stream, task, TIDE__SCRATCH);
  if (result == TIDE_EEOF) {
    *out = read_take(stream, tide_stream_buffered(stream));
    result = TIDE_OK;
  }
  return tide__read_finish(stream, task, result);
}

/* As a case of select: the bytes that tell that there are some stay buffered. */

/* Whether another select waits to read. */
static bool is_chosen(const tide_stream *stream) {
  return stream->transport->ops->waited(stream->transport, TIDE_READABLE);
}

static int readable_attempt(tide_case *self) {
  tide_stream *stream = tide__stream_of(&self->wait);
  if (tide_stream_closed(stream)) return TIDE_ECLOSED;
  if (stream->reader != NULL || is_chosen(stream)) return TIDE_EBUSY;
  if (tide_stream_buffered(stream) > 0 || stream->read_error != TIDE_OK) return TIDE_OK;
  tide_buffer_term(&stream->input, memory(stream)); /* what the last slice was in */
  int result = fill(stream, self->wait.task, TIDE__SCRATCH);
  int error = tide__read_own(stream);
  tide__scratch_back(tide__loop_of(stream), stream);
  if (error != TIDE_OK) return error;
  return result == TIDE_PENDING ? result : TIDE_OK; /* an error is told by the read */
}

static int readable_park(tide_case *self) {
  tide_stream *stream = tide__stream_of(&self->wait);
  return stream->transport->ops->wait(stream->transport, &self->wait, TIDE_READABLE);
}

static const tide_wait_ops readable_wait = {.name = "Stream.readable", .abandon = leave_transport};
static const tide_case_ops readable_ops = {
    .wait = &readable_wait, .attempt = readable_attempt, .park = readable_park, .again = true};

void tide_case_readable(tide_case *self, tide_stream *stream) {
  *self = (tide_case){.ops = &readable_ops, .wait.source = stream};
}
