/* borrowed.h: waiting for a descriptor that is somebody else's, who may close it at any moment. */
#ifndef TIDE_BORROWED_H
#define TIDE_BORROWED_H

#include "fd.h"

TIDE_BEGIN_DECLS

/* Everything of a tide_fd (fd.h), which is the first member, works with it but tide_fd_init and
 * tide_fd_term. It may be blocking. Any number of these may stand for one descriptor.
 *
 * Where its owner closes it between two calls of the loop's, waits that begin later end with
 * TIDE_OS(EBADF), and so do those that began since the loop was polled last. One that began before
 * does not end by that: the system forgets the descriptor without a word. So: tide_borrowed_fd_term
 * first, then close. */
typedef struct tide_borrowed_fd {
  tide_fd fd;     /* first */
  tide_list link; /* among the loop's */
  bool changed;   /* what is watched of it has, since the last poll */
} tide_borrowed_fd;

/* TIDE_OK; TIDE_OS(EBADF): it is not open; TIDE_OS(EINVAL): it is one of epoll's, which cannot be
 * watched safely (it may be the loop's own); TIDE_OS(...), TIDE_ENOMEM. After an error it is as
 * after _term. The loop must outlive it. */
TIDE_API int tide_borrowed_fd_init(tide_borrowed_fd *self, tide_loop *loop, int fd);

/* As tide_fd_term. */
TIDE_API void tide_borrowed_fd_term(tide_borrowed_fd *self);

TIDE_END_DECLS

#endif
