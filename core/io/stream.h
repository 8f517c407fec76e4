/* stream.h: bytes to and from a descriptor, or another transport, buffered.
 *
 * Functions marked (waits) are *called again*: they return TIDE_PENDING where they would block;
 * when the task is stepped with outcome TIDE_OK it makes the same call again, and with any other
 * outcome it does not: then the call did not happen, and what had been read stays buffered.
 *
 * One task reads at a time: a second gets TIDE_EBUSY. Those that write or flush take turns, in the
 * order of their calls, each with the whole of it. */
#ifndef TIDE_STREAM_H
#define TIDE_STREAM_H

#include <sys/uio.h>

#include "../base/buffer.h"
#include "address.h"
#include "transport.h"

TIDE_BEGIN_DECLS

/* (waits): see sched/wait.h. */

typedef struct tide_stream {
  tide_transport *transport;   /* what the bytes go through, owned; NULL: closed */
  tide_descriptor own;         /* that, where it is a descriptor; else only its loop counts */
  tide_buffer input;           /* what was read and not yet asked for; no memory while idle */
  tide_task *reader;           /* inside a reading function and to call it again, or NULL */
  tide_task *writer;           /* the same for writing functions: whose turn it is, or NULL */
  tide_wait *turns;            /* who waits for a turn: the first of a ring; NULL: nobody */
  struct tide__outbox *output; /* unsent bytes; NULL: none */
  size_t searched;             /* bytes of `input` in which no separator begins */
  uint64_t separator;          /* which separator that is true of; 0: none */
  int read_error;              /* why nothing more can be read (TIDE_EEOF: the end), or TIDE_OK */
  int write_error;             /* why nothing more can be written, or TIDE_OK */
  uint32_t low_mark;           /* unsent bytes at which a waiting writer goes on */
  uint32_t high_mark;          /* unsent bytes above which a writer waits */
  bool write_closed;           /* tide_stream_close_write was called */
  bool wrote;                  /* something was sent */
} tide_stream;

/* The states of a stream: each of its two sides is in one. The tables have what a call answers
 * there (without TIDE_; "waits" is TIDE_PENDING), and behind an arrow the state that comes of it
 * where that is another. spec/core/io_states.c walks them.
 *
 * Reading.  quiet     nothing is buffered
 *           buffered  bytes are that nobody has asked for
 *           read      a task waits in one of the calls
 *           ended     the other end has ended, and all was taken
 *           broken    the system gave an error; bytes may be buffered
 *           closed
 *
 *             read             read_exactly, read_until    read_all
 *   quiet     waits -> read    waits -> read               waits -> read
 *   buffered  OK -> quiet (1)  OK -> quiet (1) where       waits -> read; or ELIMIT,
 *                              there is enough; else       where there is more than `max`
 *                              waits -> read, or ELIMIT
 *   read      EBUSY            EBUSY                       EBUSY
 *   ended     EEOF             EEOF                        OK: no bytes
 *   broken    as in buffered where there is enough, else that error
 *   closed    ECLOSED          ECLOSED                     ECLOSED
 *
 *   (1) or buffered, where some are left
 *
 * A wait ends in quiet or buffered, where what was asked for has come or the task was cancelled; in
 * ended or broken where the end has come, or an error.
 *
 * Writing.  idle      the system has all
 *           sending   it has not, and is given more as it takes some
 *           full      the same, and what it has not is above the high mark
 *           taken     a task waits in one of the calls
 *           ending    close_write was called, and the system has not all
 *           ended     the same, and it has
 *           broken    the system gave an error
 *           closed
 *
 *             write              flush               close_write
 *   idle      OK (2)             OK                  OK -> ended
 *   sending   OK (2)             waits -> taken      OK -> ending
 *   full      waits -> taken     waits -> taken      OK -> ending
 *   taken     waits for a turn   waits for a turn    EBUSY
 *   ending    ECLOSED            waits -> taken      OK
 *   ended     ECLOSED            OK                  OK
 *   broken    that error         that error          that error
 *   closed    ECLOSED            ECLOSED             ECLOSED
 *
 *   (2) -> sending or full, by how much the system does not take
 *
 * As the system takes bytes full becomes sending, sending idle, and ending ended; where it gives an
 * error each becomes broken. When nobody waits any more, taken is what it would be otherwise.
 *
 * close leads from every state to closed, and who waits gets ECLOSED. */

/* A part of somebody's memory. */
typedef struct tide_slice {
  const char *data; /* where it begins */
  size_t length;    /* its bytes */
} tide_slice;

/* Takes over `fd`, a connected socket (or pipe, or terminal) in non-blocking mode; -1: it is
 * closed. Allocates nothing. */
TIDE_API void tide_stream_init(tide_stream *stream, tide_loop *loop, int fd);

/* The same with a transport, which it takes over. */
TIDE_API void tide_stream_init_on(tide_stream *stream, tide_loop *loop, tide_transport *transport);

/* Two streams, each the other's peer. TIDE_OK or TIDE_OS(...), with neither. */
TIDE_API int tide_stream_pair(tide_stream *one, tide_stream *other, tide_loop *loop);

/* The same in memory, without the system: what one has written and the other not read is at most
 * `capacity` bytes (1 at least), besides what each buffers. Nobody outside can wake who waits for
 * it: a read that nobody will answer is a deadlock. TIDE_OK or TIDE_ENOMEM, with neither. */
TIDE_API int tide_stream_memory_pair(tide_stream *one, tide_stream *other, tide_loop *loop,
                                     size_t capacity);

/* Closes the stream: tasks that wait in it get TIDE_ECLOSED, unread bytes are dropped, and the
 * stream may be freed: no task that waited in it will touch it. Harmless when repeated.
 *
 * The descriptor is closed later where that is needed for what was written to arrive. Unsent bytes
 * are sent on as long as the other end takes some; where it takes nothing for five seconds that is
 * given up, and it finds ECONNRESET and not an orderly end. Behind the last byte it is told the
 * end; over TCP, what it sends is dropped for two seconds more, or 64 KiB of it, or until it ends.
 * (A unix socket can be reset only once its peer has sent something more: the descriptor is kept
 * until then, or until the peer has gone. A pipe cannot be reset.) */
TIDE_API void tide_stream_close(tide_stream *stream);

static inline bool tide_stream_closed(const tide_stream *stream) {
  return stream->transport == NULL;
}

/* How many closed streams have bytes left to send, or are about to lose them to what comes in.
 * tide_loop_free resets them. */
TIDE_API size_t tide_loop_lingering(const tide_loop *loop);

/* For who is about to free the loop, or to leave it alone: turns it (inside a turn: only polls)
 * until what was written to streams, open and closed ones, is sent, as long as their other ends
 * take some of it: a stream of which nothing was taken for five seconds is given up. Ready tasks
 * are stepped meanwhile, where it turns. */
TIDE_API void tide_loop_send_all(tide_loop *loop);

/* The same for what was accepted from tasks of that group, which is in no other, or of groups in
 * it: of a stream that others write to as well, where they did so last; of one that all was sent
 * of, where they closed it. What others wrote is sent on in the background. */
TIDE_API void tide_group_send_all(tide_group *group);

/* Reading. What a slice tells is valid until the next reading call on any stream of the loop, or
 * until this stream is closed.
 *
 * Errors of all: TIDE_ECLOSED, TIDE_EBUSY, TIDE_OS(...); TIDE_ENOMEM, after which, where bytes
 * were lost, the stream cannot be read any more. With these the bytes stay buffered. */

/* A case of select (sched/select.h) that happens when a read would not wait: bytes are buffered, or
 * the end, or an error, is there to be told. What came meanwhile is buffered, and nothing taken.
 * Errors: those of all. */
TIDE_API void tide_case_readable(tide_case *self, tide_stream *stream);

/* What slices have told of the stream's bytes is not looked at any more. Not needed for anything
 * but memory: a loop gives 64 KiB back, once nothing was read for a second, where no slice is
 * valid. */
TIDE_API void tide_stream_done(const tide_stream *stream);

/* (waits) What there is, at least one byte and at most `max` (limited to 64 KiB where nothing was
 * buffered). TIDE_EEOF: the end. */
TIDE_API int tide_stream_read(tide_stream *stream, tide_task *task, size_t max, tide_slice *out);

/* (waits) Exactly `count` bytes. TIDE_EEOF: the end came before; `out` tells the bytes up to it,
 * which are taken. */
TIDE_API int tide_stream_read_exactly(tide_stream *stream, tide_task *task, size_t count,
                                      tide_slice *out);

/* (waits) All up to and with the next `separator`, which is not empty: at most `max` bytes, else
 * TIDE_ELIMIT, and they stay buffered. TIDE_EEOF: as tide_stream_read_exactly. */
TIDE_API int tide_stream_read_until(tide_stream *stream, tide_task *task, tide_slice separator,
                                    size_t max, tide_slice *out);

/* (waits) All up to the end, perhaps nothing. More than `max` bytes: TIDE_ELIMIT, and those read
 * so far stay buffered. */
TIDE_API int tide_stream_read_all(tide_stream *stream, tide_task *task, size_t max,
                                  tide_slice *out);

/* Writing. An error of the system shows in this or a later call, and in all that follow.
 *
 * Errors of all: TIDE_ECLOSED (of the writing side too), TIDE_OS(...), TIDE_ENOMEM (nothing was
 * written; or, where a part was, no more can be). */

/* (waits) Accepts all that the parts hold: sends it, or copies what the system does not take and
 * sends that in the background. Waits before that: for its turn; and, where there are more than the
 * high mark of unsent bytes, until the low mark is reached. */
TIDE_API int tide_stream_write(tide_stream *stream, tide_task *task, const struct iovec *parts,
                               size_t count);

/* (waits) Copies from one stream to another what comes, until `*copied`, which begins at 0 and is
 * added to, is `max`: TIDE_OK; or until `from` ends: TIDE_EEOF. `copied` is in the task's struct:
 * it outlives the waits, as do both streams, unless they are closed.
 *
 * Counted is what `to` has accepted, as by tide_stream_write. What it has not is in `from` still:
 * so whenever the call ends, cancelled, killed, or with an error of either stream, nothing is lost
 * or doubled, and a further one goes on from there. (Where `to` fails in the middle of a piece,
 * its peer may have got a part of it: such a stream cannot be written any more.)
 *
 * `from` has this reader for the whole time; at `to` each piece is a write of its own, among which
 * others take their turns. The end is not handed on: tide_stream_close_write does that, and what
 * goes the other way goes on. They may be one stream. Errors: those of reading and of writing. */
TIDE_API int tide_stream_copy(tide_stream *from, tide_stream *to, tide_task *task, uint64_t max,
                              uint64_t *copied);

/* (waits) Until the system has taken all that was written. Takes its turn among the writers. */
TIDE_API int tide_stream_flush(tide_stream *stream, tide_task *task);

/* Ends the writing side: the peer sees the end behind what was written. Does not wait; errors of
 * the background are tide_stream_flush's to tell. TIDE_OK, TIDE_ECLOSED, TIDE_EBUSY (a task is
 * inside a writing function), TIDE_OS(...) (ENOTSOCK: a pipe can only be closed). Harmless when
 * repeated. */
TIDE_API int tide_stream_close_write(tide_stream *stream);

/* In bytes; 16 and 64 KiB at first. `low` must not be above `high`. */
TIDE_API void tide_stream_set_marks(tide_stream *stream, uint32_t low, uint32_t high);

/* Of a TCP connection: whether small writes are sent at once (TCP_NODELAY); and after how many
 * seconds of silence, and how often from then on, the system asks the other end whether it is still
 * there (SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL: tcp(7)); 0: it does not. At most 32767.
 * TIDE_OK, TIDE_ECLOSED, TIDE_OS(...): ENOTSOCK, where it is no socket, EOPNOTSUPP, where it is not
 * TCP. */
TIDE_API int tide_stream_set_nodelay(const tide_stream *stream, bool on);
TIDE_API int tide_stream_set_keepalive(const tide_stream *stream, unsigned seconds);

/* Bytes written that the system has not taken. */
TIDE_API size_t tide_stream_unsent(const tide_stream *stream);

/* Bytes read that nobody has asked for. */
static inline size_t tide_stream_buffered(const tide_stream *stream) {
  return tide_buffer_size(&stream->input);
}

/* Of this end and of the other. TIDE_OK, TIDE_ECLOSED, TIDE_OS(...): ENOTSOCK, where it is no
 * socket. */
TIDE_API int tide_stream_local_address(const tide_stream *stream, tide_address *address);
TIDE_API int tide_stream_peer_address(const tide_stream *stream, tide_address *address);

TIDE_END_DECLS

#endif
