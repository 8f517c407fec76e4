/* stream_copy.c: from one stream to another.
 *
 * Bytes go out of the first one's buffer, which may be the loop's scratch, into the second: they
 * are consumed there once they have been accepted here, and counted with that. So there is no
 * moment at which bytes belong to the call.
 *
 * While it waits to write, the task has its place in both streams. */
#include "halves.h"
#include "private.h"

static void let_go(const tide_wait *wait) {
  tide_stream *from = wait->value.pointer;
  if (from->reader == wait->task) from->reader = NULL;
}

static void copy_leave(tide_wait *wait) {
  let_go(wait);
  tide__write_leave(wait);
}

static void copy_forget(tide_wait *wait, int outcome) {
  if (outcome != TIDE_OK) return; /* both are let go of already */
  let_go(wait);
  tide__write_pass_on(tide__stream_of(wait), wait->task);
}

static const tide_wait_ops copy_ops = {
    .name = "Stream.copy", .abandon = copy_leave, .reject = copy_forget};

/* Writes of what is buffered at most `most` bytes. */
static int write_some(tide_stream *from, tide_stream *to, tide_task *task, uint64_t most,
                      uint64_t *copied) {
  size_t size = tide_stream_buffered(from);
  if (size > most) size = (size_t)most;
  int error = tide__write_waits(to, task) ? tide__read_own(from) : TIDE_OK;
  if (error != TIDE_OK) return error;
  task->wait.value.pointer = from;
  struct iovec part = {tide_buffer_bytes(&from->input), size};
  int result = tide__write(to, task, &copy_ops, &part, 1);
  if (result != TIDE_OK) return result;
  tide_buffer_consume(&from->input, size);
  from->searched = 0;
  *copied += size;
  return TIDE_OK;
}

int tide_stream_copy(tide_stream *from, tide_stream *to, tide_task *task, uint64_t max,
                     uint64_t *copied) {
  int result = tide__read_enter(from, task);
  if (result != TIDE_OK) {
    tide__write_pass_on(to, task);
    return result;
  }
  while (result == TIDE_OK && *copied < max) {
    uint64_t left = max - *copied;
    if (tide_stream_buffered(from) == 0) result = tide__read_more(from, task, SIZE_MAX);
    if (result == TIDE_OK) result = write_some(from, to, task, left, copied);
  }
  return tide__read_finish(from, task, result);
}
