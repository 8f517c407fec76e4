/* fd.h: waiting until a descriptor can be read or written. */
#ifndef TIDE_FD_H
#define TIDE_FD_H

#include "../sched/loop.h"
#include "../sched/select.h"
#include "../sched/task.h"

TIDE_BEGIN_DECLS

/* (waits): see sched/wait.h. */

/* One reader and one writer at a time. The watcher stays armed for reading between waits, which
 * saves a system call a wait; it is disarmed when something comes that nobody waits for. */
typedef struct tide_fd {
  tide_watcher watcher; /* the loop's interest in it */
  tide_loop *loop;      /* where */
  int fd;               /* the descriptor, not owned; -1: closed */
  uint8_t armed;        /* TIDE_READABLE | TIDE_WRITABLE, as the watcher has it */
  uint8_t resting;      /* the same: whose wait is not for the descriptor, or not waited for */
  bool missed : 1;      /* it became readable while nobody waited */
  bool unwatched : 1;   /* the system refuses to watch it */
  bool borrowed : 1;    /* borrowed.h: it may be closed by its owner meanwhile */
  tide_wait *reader;    /* who waits to read, or NULL */
  tide_wait *writer;    /* who waits to write, or NULL */
} tide_fd;

/* `fd` must be non-blocking, and open until tide_fd_term: libev asserts that. */
TIDE_API void tide_fd_init(tide_fd *self, tide_loop *loop, int fd);

/* (waits) Until the descriptor is readable (or writable), or has an error or its end to tell; the
 * wait may end without (try, and wait again). TIDE_EBUSY: another task waits for this;
 * TIDE_ECLOSED; TIDE_ENOMEM, TIDE_OS(EBADF): the system refuses to watch it. `events` is one of
 * TIDE_READABLE and TIDE_WRITABLE. */
TIDE_API int tide_fd_wait(tide_fd *self, tide_task *task, int events);

/* A case of select (select.h) that happens when tide_fd_wait would end. */
TIDE_API void tide_case_fd(tide_case *self, tide_fd *fd, int events);

/* Stops watching; waits end with TIDE_ECLOSED. The descriptor is the caller's to close, after
 * this, and `self` may be freed: no task that waited in it will touch it. Harmless when repeated.
 */
TIDE_API void tide_fd_term(tide_fd *self);

TIDE_END_DECLS

#endif
