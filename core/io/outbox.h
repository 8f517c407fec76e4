/* outbox.h: bytes that the system would not take yet, sent on in the background. Internal to core.
 *
 * A stream has one only while it has unsent bytes; where it is closed meanwhile, the outbox goes on
 * under linger.c's care. */
#ifndef TIDE_OUTBOX_H
#define TIDE_OUTBOX_H

#include <sys/uio.h>

#include "../base/buffer.h"
#include "private.h"

typedef struct tide__outbox tide__outbox;

struct tide__outbox {
  tide_wait wait;    /* for room in the system's buffer; without a task; pending in `fd` */
  tide_fd *fd;       /* where the bytes go */
  tide_buffer bytes; /* what is left to send: never empty while the wait is pending */
  tide_wait *writer; /* a task's wait until there are at most `mark` bytes, or NULL */
  size_t mark;       /* when to wake it */
  bool plain;        /* they do not go to a socket */
  /* Some bytes were sent; or, with an error, no more will be. The last the outbox does: it may be
   * freed. */
  void (*progress)(tide__outbox *self, int error);
};

/* An empty outbox without a wait; NULL where memory is short. */
tide__outbox *tide__outbox_new(tide_fd *fd, bool plain,
                               void (*progress)(tide__outbox *self, int error));

/* Nobody may wait in it. */
void tide__outbox_free(tide__outbox *self, tide_loop *loop);

/* Appends, from `skip` bytes on, what the parts hold. TIDE_OK or TIDE_ENOMEM, which changes
 * nothing. */
int tide__outbox_add(tide__outbox *self, const struct iovec *parts, size_t count, size_t skip);

/* Waits, in the background, for room to send in. An error as of tide_fd_wait. */
int tide__outbox_start(tide__outbox *self);

/* Takes the outbox out of its descriptor. */
void tide__outbox_stop(tide__outbox *self);

#endif
