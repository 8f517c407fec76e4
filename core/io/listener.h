/* listener.h: a socket that connections come to. */
#ifndef TIDE_LISTENER_H
#define TIDE_LISTENER_H

#include "address.h"
#include "fd.h"
#include "stream.h"

TIDE_BEGIN_DECLS

/* (waits): see sched/wait.h. */

typedef struct tide_listen_options {
  int backlog;    /* connections that wait to be accepted; 0: 4096. The system has its own limit */
  bool reuseport; /* several listeners share the port, and the system its connections */
  bool nagle;     /* connections keep small writes back until the last was acknowledged */
} tide_listen_options;

typedef struct tide_listener {
  tide_fd fd;          /* owned, with its descriptor */
  tide_task *acceptor; /* inside tide_listener_accept and to call it again, or NULL */
  tide_wait *chooser;  /* a case of select that waits for a connection, or NULL */
  tide_wait watch;     /* in `fd` on behalf of that case, which has it from then */
  uint64_t file[2];    /* unix: the socket's file, to be removed: device, inode; 0: none */
  bool drained;        /* the last try found nobody: wait before the next */
} tide_listener;

/* Binds and listens. `options` NULL: all zero. A unix path where a socket was left behind that
 * nobody listens on is taken over. TIDE_OK, or TIDE_OS(...): it is closed then. */
TIDE_API int tide_listener_open(tide_listener *listener, tide_loop *loop,
                                const tide_address *address, const tide_listen_options *options);

/* (waits) Gives a connection's descriptor, the caller's to close: non-blocking, close-on-exec, and
 * for TCP with TCP_NODELAY. Called again after TIDE_PENDING, as a stream's functions are. Where
 * there are no descriptors left it waits and tries again ten times a second. TIDE_ECLOSED,
 * TIDE_EBUSY, TIDE_ENOMEM, TIDE_OS(...). */
TIDE_API int tide_listener_accept(tide_listener *listener, tide_task *task, int *fd);

/* (waits) The same, with the connection as a stream, the caller's to close. It is untouched where
 * that fails. */
TIDE_API int tide_listener_accept_stream(tide_listener *listener, tide_task *task,
                                         tide_stream *stream);

/* Closes the socket, and removes the file of a unix one; the waiting task, also one in a select,
 * gets TIDE_ECLOSED. Then `listener` may be freed: that task will not touch it. Harmless when
 * repeated. */
TIDE_API void tide_listener_close(tide_listener *listener);

/* Whether it waits until there are descriptors again. */
static inline bool tide_listener_paused(const tide_listener *listener) {
  return (listener->fd.resting & TIDE_READABLE) != 0;
}

/* Where it listens, with the port that the system chose. TIDE_OK, TIDE_ECLOSED, TIDE_OS(...). */
TIDE_API int tide_listener_address(const tide_listener *listener, tide_address *address);

/* A case of select (select.h): that a connection was accepted: its descriptor in
 * wait.value.integer. */
TIDE_API void tide_case_accept(tide_case *self, tide_listener *listener);

TIDE_END_DECLS

#endif
