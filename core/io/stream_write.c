/* stream_write.c: the writing half of streams. */
#include <errno.h>

#include "outbox.h"
#include "recall.h"
#include "stream.h"
#include "sys.h"

enum { PARTS_AT_ONCE = 1024 }; /* Linux's IOV_MAX */

static tide_stream *stream_of(const tide_wait *wait) {
  return tide_container(wait->source, tide_stream, fd);
}

static void leave(tide_wait *wait) {
  tide_stream *stream = stream_of(wait);
  stream->output->writer = NULL;
  stream->writer = NULL;
}

static void forget(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) stream_of(wait)->writer = NULL;
}

static const tide_wait_ops write_ops = {.name = "Stream.write", .abandon = leave, .reject = forget};
static const tide_wait_ops flush_ops = {.name = "Stream.flush", .abandon = leave, .reject = forget};

static int enter(tide_stream *stream, tide_task *task, const tide_wait_ops *ops) {
  return tide__recall_enter(&stream->fd, &stream->writer, task, ops);
}

/* Until there are at most `mark` unsent bytes. */
static int park(tide_stream *stream, tide_task *task, size_t mark) {
  stream->output->writer = &task->wait;
  stream->output->mark = mark;
  return tide__task_park(task);
}

static int shut(tide_stream *stream) {
  int error = tide__sys_shutdown_write(stream->fd.fd);
  if (error < 0 && error != -ENOTCONN) stream->write_error = TIDE_OS(-error);
  return stream->write_error;
}

static void drop_output(tide_stream *stream) {
  tide__outbox_free(stream->output, stream->fd.loop);
  stream->output = NULL;
}

/* What the outbox tells of its sending. */
static void progress(tide__outbox *outbox, int error) {
  tide_stream *stream = tide_container(outbox->fd, tide_stream, fd);
  size_t left = error == TIDE_OK ? tide_buffer_size(&outbox->bytes) : 0;
  tide_wait *writer = left <= outbox->mark ? outbox->writer : NULL;
  if (writer != NULL) outbox->writer = NULL;
  if (error != TIDE_OK) stream->write_error = error;
  if (left == 0) drop_output(stream);
  if (left == 0 && error == TIDE_OK && stream->write_closed) shut(stream);
  if (writer != NULL) tide__wait_end(writer, TIDE_OK); /* its next call sees the rest */
}

static size_t length_of(const struct iovec *parts, size_t count) {
  size_t total = 0;
  for (size_t i = 0; i < count; i++) total += parts[i].iov_len;
  return total;
}

/* Sends what the system takes. */
static int send_now(tide_stream *stream, const struct iovec *parts, size_t count, size_t *sent) {
  for (size_t at = 0; at < count; at += PARTS_AT_ONCE) {
    size_t few = count - at < PARTS_AT_ONCE ? count - at : PARTS_AT_ONCE;
    ssize_t taken = tide__sys_send(stream->fd.fd, parts + at, few, &stream->plain);
    if (taken == -EAGAIN) break;
    if (taken < 0) return stream->write_error = TIDE_OS((int)-taken);
    *sent += (size_t)taken;
    if ((size_t)taken < length_of(parts + at, few)) break;
  }
  return TIDE_OK;
}

static int send_later(tide_stream *stream, const struct iovec *parts, size_t count, size_t sent) {
  bool fresh = stream->output == NULL;
  if (fresh) stream->output = tide__outbox_new(&stream->fd, stream->plain, progress);
  if (stream->output == NULL) return TIDE_ENOMEM;
  int error = tide__outbox_add(stream->output, parts, count, sent);
  if (error == TIDE_OK && fresh) error = tide__outbox_start(stream->output);
  if (error != TIDE_OK && fresh) drop_output(stream);
  return error;
}

static int accept_all(tide_stream *stream, tide_task *task, const struct iovec *parts,
                      size_t count) {
  size_t total = length_of(parts, count), sent = 0;
  int error = stream->output == NULL ? send_now(stream, parts, count, &sent) : TIDE_OK;
  tide__wait_charge(task, total);
  if (error != TIDE_OK || sent == total) return error;
  error = send_later(stream, parts, count, sent);
  if (sent > 0) stream->write_error = error; /* half of it is on its way */
  return error;
}

size_t tide_stream_unsent(const tide_stream *stream) {
  return stream->output != NULL ? tide_buffer_size(&stream->output->bytes) : 0;
}

int tide_stream_write(tide_stream *stream, tide_task *task, const struct iovec *parts,
                      size_t count) {
  int result = enter(stream, task, &write_ops);
  if (result != TIDE_OK) return result;
  if (stream->write_error != TIDE_OK) return stream->write_error;
  if (stream->write_closed) return TIDE_ECLOSED;
  if (tide_stream_unsent(stream) <= stream->high_mark)
    return accept_all(stream, task, parts, count);
  return tide__recall_leave(&stream->writer, task, park(stream, task, stream->low_mark));
}

int tide_stream_flush(tide_stream *stream, tide_task *task) {
  int result = enter(stream, task, &flush_ops);
  if (result != TIDE_OK) return result;
  if (stream->output == NULL) return stream->write_error;
  return tide__recall_leave(&stream->writer, task, park(stream, task, 0));
}

int tide_stream_close_write(tide_stream *stream) {
  if (tide_stream_closed(stream)) return TIDE_ECLOSED;
  if (stream->writer != NULL) return TIDE_EBUSY;
  if (stream->write_closed || stream->write_error != TIDE_OK) return stream->write_error;
  stream->write_closed = true;
  return stream->output == NULL ? shut(stream) : TIDE_OK;
}
