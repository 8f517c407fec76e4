/* stream_write.c: the writing half of streams. */
#include <errno.h>

#include "halves.h"
#include "outbox.h"
#include "recall.h"
#include "stream.h"

enum { PARTS_AT_ONCE = 1024 }; /* Linux's IOV_MAX */

/* Turns. A writing function has the turn from its first call to the one that does not wait. */

static void queue_up(tide_stream *stream, tide_wait *wait) {
  tide_list_init(&wait->in.link);
  if (stream->turns == NULL)
    stream->turns = wait;
  else
    tide_list_append(&stream->turns->in.link, &wait->in.link);
}

static void step_out(tide_stream *stream, tide_wait *wait) {
  tide_wait *next = tide_container(wait->in.link.next, tide_wait, in.link);
  tide_list_remove(&wait->in.link);
  if (stream->turns == wait) stream->turns = next != wait ? next : NULL;
}

/* Handed over at once, so that who comes next cannot overtake. */
static void pass_on(tide_stream *stream) {
  tide_wait *next = stream->turns;
  stream->writer = next != NULL ? next->task : NULL;
  if (next == NULL) return;
  step_out(stream, next);
  tide__wait_end(next, TIDE_OK);
}

void tide__write_pass_on(tide_stream *stream, const tide_task *task) {
  if (stream->writer == task) pass_on(stream);
}

void tide__write_leave(tide_wait *wait) {
  tide_stream *stream = tide__stream_of(wait);
  if (stream->writer != wait->task) {
    step_out(stream, wait);
    return;
  }
  stream->output->writer = NULL;
  pass_on(stream);
}

static void write_forget(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) pass_on(tide__stream_of(wait));
}

static const tide_wait_ops write_ops = {
    .name = "Stream.write", .abandon = tide__write_leave, .reject = write_forget};
static const tide_wait_ops flush_ops = {
    .name = "Stream.flush", .abandon = tide__write_leave, .reject = write_forget};

/* TIDE_OK: the task has the turn, until finish; else this is to be returned. */
static int write_enter(tide_stream *stream, tide_task *task, const tide_wait_ops *ops) {
  bool mine = stream->writer == task;
  if (!tide__wait_enter(task, ops, stream)) {
    if (mine) pass_on(stream);
    return TIDE_PENDING;
  }
  if (tide_stream_closed(stream)) return tide__wait_over(task, TIDE_ECLOSED);
  if (!mine && stream->writer != NULL) {
    queue_up(stream, &task->wait);
    return tide__task_park(task);
  }
  stream->writer = task;
  return tide__wait_skip(task);
}

static int write_finish(tide_stream *stream, int result) {
  if (result != TIDE_PENDING) pass_on(stream);
  return result;
}

/* Until there are at most `mark` unsent bytes. */
static int write_park(tide_stream *stream, tide_task *task, size_t mark) {
  stream->output->writer = &task->wait;
  stream->output->mark = mark;
  return tide__task_park(task);
}

void tide__stream_end_turns(tide_stream *stream) {
  while (stream->turns != NULL) tide__task_interrupt(stream->turns->task, TIDE_ECLOSED);
  if (stream->output != NULL && stream->output->writer != NULL)
    tide__task_interrupt(stream->output->writer->task, TIDE_ECLOSED);
  tide__recall_close(&stream->writer);
}

static int shut(tide_stream *stream) {
  int error = stream->transport->ops->end(stream->transport, false);
  if (error != TIDE_OK && error != TIDE_OS(ENOTCONN)) stream->write_error = error;
  return stream->write_error;
}

static void drop_output(tide_stream *stream) {
  tide__outbox_free(stream->output);
  stream->output = NULL;
}

/* What the outbox tells of its sending. */
static void progress(tide__outbox *outbox, int error) {
  tide_stream *stream = outbox->stream;
  size_t left = error == TIDE_OK ? tide_buffer_size(&outbox->bytes) : 0;
  tide_wait *writer = left <= outbox->mark ? outbox->writer : NULL;
  if (writer != NULL) outbox->writer = NULL;
  if (error != TIDE_OK) stream->write_error = error;
  if (left == 0) drop_output(stream);
  if (left == 0 && error == TIDE_OK && stream->write_closed) shut(stream);
  if (writer != NULL) tide__wait_end(writer, TIDE_OK); /* its next call sees the rest */
}

static void nobody_cares(tide__outbox *outbox) { (void)outbox; } /* it is the user's to close it */

static const tide__outbox_ops output_ops = {.progress = progress, .stuck = nobody_cares};

static size_t length_of(const struct iovec *parts, size_t count) {
  size_t total = 0;
  for (size_t i = 0; i < count; i++) total += parts[i].iov_len;
  return total;
}

/* Sends what the system takes. */
static int send_now(tide_stream *stream, const struct iovec *parts, size_t count, size_t *sent) {
  for (size_t at = 0; at < count; at += PARTS_AT_ONCE) {
    size_t few = count - at < PARTS_AT_ONCE ? count - at : PARTS_AT_ONCE;
    size_t size = length_of(parts + at, few), taken = 0;
    int result = tide__transport_write(stream->transport, parts + at, few, size, &taken);
    if (result == TIDE_PENDING) break;
    if (result != TIDE_OK) return stream->write_error = result;
    *sent += taken;
    stream->wrote = true;
    if (taken < size) break;
  }
  return TIDE_OK;
}

static int send_later(tide_stream *stream, const tide_task *task, const struct iovec *parts,
                      size_t count, size_t sent) {
  bool fresh = stream->output == NULL;
  if (fresh) stream->output = tide__outbox_new(tide__loop_of(stream), stream, &output_ops);
  if (stream->output == NULL) return TIDE_ENOMEM;
  int error = tide__outbox_add(stream->output, parts, count, sent);
  if (error == TIDE_OK && fresh) error = tide__outbox_start(stream->output);
  if (error == TIDE_OK) stream->output->origin = tide_scope_outermost(&task->own);
  if (error != TIDE_OK && fresh) drop_output(stream);
  return error;
}

static int accept_all(tide_stream *stream, tide_task *task, const struct iovec *parts,
                      size_t count) {
  size_t total = length_of(parts, count), sent = 0;
  bool offered = stream->output == NULL;
  int error = offered ? send_now(stream, parts, count, &sent) : TIDE_OK;
  tide__wait_charge(task, total);
  if (error != TIDE_OK || sent == total) return error;
  error = send_later(stream, task, parts, count, sent);
  bool begun = sent > 0 || (offered && stream->transport->ops->insists);
  if (begun) stream->write_error = error; /* half of it is on its way */
  return error;
}

size_t tide_stream_unsent(const tide_stream *stream) {
  return stream->output != NULL ? tide_buffer_size(&stream->output->bytes) : 0;
}

static int write_now_or_wait(tide_stream *stream, tide_task *task, const struct iovec *parts,
                             size_t count) {
  if (stream->write_error != TIDE_OK) return stream->write_error;
  if (stream->write_closed) return TIDE_ECLOSED;
  if (tide_stream_unsent(stream) > stream->high_mark)
    return write_park(stream, task, stream->low_mark);
  return accept_all(stream, task, parts, count);
}

bool tide__write_waits(const tide_stream *stream, const tide_task *task) {
  bool turn = stream->writer == NULL || stream->writer == task;
  return !turn || task->streak == UINT8_MAX || tide_stream_unsent(stream) > stream->high_mark;
}

int tide__write(tide_stream *stream, tide_task *task, const tide_wait_ops *ops,
                const struct iovec *parts, size_t count) {
  int result = write_enter(stream, task, ops);
  if (result != TIDE_OK) return result;
  return write_finish(stream, write_now_or_wait(stream, task, parts, count));
}

int tide_stream_write(tide_stream *stream, tide_task *task, const struct iovec *parts,
                      size_t count) {
  return tide__write(stream, task, &write_ops, parts, count);
}

int tide_stream_flush(tide_stream *stream, tide_task *task) {
  int result = write_enter(stream, task, &flush_ops);
  if (result != TIDE_OK) return result;
  return write_finish(stream,
                      stream->output != NULL ? write_park(stream, task, 0) : stream->write_error);
}

int tide_stream_close_write(tide_stream *stream) {
  if (tide_stream_closed(stream)) return TIDE_ECLOSED;
  if (stream->writer != NULL) return TIDE_EBUSY;
  if (stream->write_closed || stream->write_error != TIDE_OK) return stream->write_error;
  stream->write_closed = true;
  return stream->output == NULL ? shut(stream) : TIDE_OK;
}
