/* halves.h: what the two halves of a stream give to functions made of both. Internal to core. */
#ifndef TIDE_HALVES_H
#define TIDE_HALVES_H

#include "stream.h"

/* Where the stream is; and whose wait that is, of those that streams have. */
static inline tide_loop *tide__loop_of(const tide_stream *stream) { return stream->own.fd.loop; }
static inline tide_stream *tide__stream_of(const tide_wait *wait) { return wait->source; }

/* stream_read.c */

/* Begins a reading call: TIDE_OK, or what is to be returned. */
int tide__read_enter(tide_stream *stream, tide_task *task);

/* Gets more bytes into the buffer, some of `want`, or says what is to be returned: TIDE_PENDING
 * where the task is parked. */
int tide__read_more(tide_stream *stream, tide_task *task, size_t want);

/* The task waits to be called again, when there is something to read. TIDE_PENDING, or an error. */
int tide__read_park(tide_stream *stream, tide_task *task);

/* Puts what is buffered where it stays. TIDE_OK, or TIDE_ENOMEM: it is lost, and so is the stream.
 */
int tide__read_own(tide_stream *stream);

/* Says that `result` is returned, or else what is to be. */
int tide__read_finish(tide_stream *stream, tide_task *task, int result);

/* stream_write.c */

/* Whether a write by the task would wait. */
bool tide__write_waits(const tide_stream *stream, const tide_task *task);

/* tide_stream_write, in a wait of these ops, which call tide__write_leave, and where the task will
 * not go on, tide__write_pass_on. */
int tide__write(tide_stream *stream, tide_task *task, const tide_wait_ops *ops,
                const struct iovec *parts, size_t count);
void tide__write_leave(tide_wait *wait);
void tide__write_pass_on(tide_stream *stream, const tide_task *task); /* if it has the turn */

#endif
