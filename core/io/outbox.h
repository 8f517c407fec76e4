/* outbox.h: bytes that the system would not take yet, sent on in the background. Internal to core.
 *
 * A stream has one only while it has unsent bytes. Where it is closed meanwhile the outbox goes on
 * under linger.c's care: it has room for all that takes, so that closing needs no memory. */
#ifndef TIDE_OUTBOX_H
#define TIDE_OUTBOX_H

#include <sys/uio.h>

#include "../base/buffer.h"
#include "private.h"
#include "stream.h"

typedef struct tide__outbox tide__outbox;

/* Who is told what becomes of an outbox; it may be freed in both. */
typedef struct tide__outbox_ops {
  /* Some bytes were sent; or, with an error, no more will be. */
  void (*progress)(tide__outbox *self, int error);
  /* The other end has taken nothing for so long that nobody need wait for it. */
  void (*stuck)(tide__outbox *self);
} tide__outbox_ops;

struct tide__outbox {
  tide_list link;              /* among the loop's, of open or of closed streams */
  tide__shared *shared;        /* whose lists those are */
  tide_wait wait;              /* for room underneath; without a task; in the transport */
  tide_stream *stream;         /* whose it is; NULL: it is closed */
  tide_transport *transport;   /* where the bytes go */
  tide_buffer bytes;           /* what is left to send: never empty while the wait is pending */
  tide_wait *writer;           /* a task's wait until there are at most `mark` bytes, or NULL */
  size_t mark;                 /* when to wake it */
  const tide__outbox_ops *ops; /* who is told */
  tide_timer look;             /* when to see whether the other end takes something, if at all */
  tide_time taken_at;          /* when it was last seen to */
  size_t untaken;              /* what was left to it then */
  const tide_scope *origin;    /* around all others of who wrote last, or of who closed; or NULL */
  bool stuck;                  /* it took nothing for too long, and nothing since */

  /* linger.c */
  tide_descriptor own; /* the closed stream's transport, where it is a descriptor */
  tide_wait input;     /* for what comes in, to be dropped */
  bool reading;        /* that is pending */
  size_t dropped;      /* how much of it came after all was sent */
  uint8_t farewell;    /* tide_farewell: how the transport ends */
  bool some_came;      /* something was dropped: more may come */
  bool at_stake;       /* it is counted: what was written may still be lost */
  bool held;           /* it is given up, and waits for a way to say so */
};

/* An empty outbox without a wait, among those of open streams; `stream` may be NULL. NULL where
 * memory is short. */
tide__outbox *tide__outbox_new(tide_loop *loop, tide_stream *stream, const tide__outbox_ops *ops);

/* Nobody may wait in it. */
void tide__outbox_free(tide__outbox *self);

/* Appends, from `skip` bytes on, what the parts hold. TIDE_OK or TIDE_ENOMEM, which changes
 * nothing. */
int tide__outbox_add(tide__outbox *self, const struct iovec *parts, size_t count, size_t skip);

/* Waits, in the background, for room to send in. An error as of the transport. */
int tide__outbox_start(tide__outbox *self);

/* Takes the outbox out of its transport. */
void tide__outbox_stop(tide__outbox *self);

/* From now on looks whether the other end takes something. TIDE_OK or TIDE_ENOMEM. */
int tide__outbox_watch(tide__outbox *self);
void tide__outbox_unwatch(tide__outbox *self);

/* Whether the other end had taken nothing for too long when that was looked at, nor since. */
bool tide__outbox_is_stuck(tide__outbox *self);

#endif
