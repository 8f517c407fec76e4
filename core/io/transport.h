/* transport.h: what is under a stream: bytes, as they come and go.
 *
 * The stream has the buffers, the marks, whose turn it is, and the errors; its transport moves
 * bytes, says when it can move more, and knows how to end. A descriptor is one (in the stream
 * itself), memory another (tide_stream_memory_pair); a host, or a layer such as one that encrypts,
 * may bring its own, over whatever it likes, another transport for example.
 *
 * Its functions are called by the stream alone, in the loop's thread. They do not wait, and call
 * nothing of the stream. One that says that it has moved no bytes, or more than it was to, is
 * broken: its stream fails with TIDE_OS(EPROTO). */
#ifndef TIDE_TRANSPORT_H
#define TIDE_TRANSPORT_H

#include <sys/uio.h>

#include "fd.h"

TIDE_BEGIN_DECLS

typedef struct tide_transport tide_transport;

/* What becomes of what was written when a transport is closed. */
typedef enum tide_farewell {
  TIDE_FAREWELL_NONE,   /* it arrives: it may be closed as soon as it has accepted all */
  TIDE_FAREWELL_LINGER, /* unread input, or what comes later, would destroy it (TCP): the end is
                           told, and what comes is dropped until the other end has taken all */
  TIDE_FAREWELL_SHUT,   /* it arrives, but with unread input there is no orderly end, and without
                           none but that (unix sockets) */
} tide_farewell;

enum { TIDE_UNAWAITED = 8 }; /* with TIDE_READABLE and TIDE_WRITABLE */

typedef struct tide_transport_ops {
  const char *name; /* what it is, in a word: "descriptor" */
  /* Reads at most `size` bytes, of which there is one at least: TIDE_OK, and in `got` how many: if
   * fewer than asked for, there may be more all the same. TIDE_PENDING: none at present.
   * TIDE_EEOF: the other end has ended. An error: nothing more can be read. */
  int (*read)(tide_transport *self, void *buffer, size_t size, size_t *got);
  /* Whether a read would find nothing: it is not called then. NULL: that is not known. */
  bool (*drained)(const tide_transport *self);
  /* Takes bytes of the parts, from the first on: TIDE_OK, and in `sent` how many, one at least if
   * there are any; it is called again with the rest. TIDE_PENDING: none at present. An error:
   * nothing more can be written. */
  int (*write)(tide_transport *self, const struct iovec *parts, size_t count, size_t *sent);
  /* One that has taken fewer bytes than there were takes none at present, as if it had said so. */
  bool short_is_pending;
  /* What was offered to it, and not taken, must be offered again, before anything else is. */
  bool insists;
  /* After TIDE_PENDING: ends `wait` (tide_transport_wake) with TIDE_OK once another read (`events`
   * is TIDE_READABLE) or write (TIDE_WRITABLE) may do more; too often is no mistake. What that
   * takes underneath is its business: a read may have to write first. With TIDE_UNAWAITED as well,
   * nobody waits for it, and it is no reason for the loop to go on. One wait for each of the two:
   * TIDE_EBUSY. TIDE_OK: it is pending; else an error. */
  int (*wait)(tide_transport *self, tide_wait *wait, int events);
  /* Whether such a wait is pending. */
  bool (*waited)(const tide_transport *self, int events);
  /* Forgets the wait. Harmless where it is not pending there. */
  void (*leave)(tide_transport *self, tide_wait *wait);
  /* It has an end of its own to tell: closing calls `end` whatever has come before. While there is
   * no room for that end it is untaken, and a read is TIDE_PENDING until there is. */
  bool tells;
  /* Ends the writing side: the other end finds the end behind what was written. With `both`,
   * nothing will be read either but to be dropped. TIDE_OK or an error. */
  int (*end)(tide_transport *self, bool both);
  /* What closing does. */
  tide_farewell (*farewell)(const tide_transport *self);
  /* How many of the bytes that it has accepted the other end has not taken, as far as it knows. */
  size_t (*untaken)(const tide_transport *self);
  /* The stream is closed: whoever waits gets TIDE_ECLOSED. The transport may be read, written and
   * waited for afterwards, until it is closed itself: what is unsent is sent on. */
  void (*withdraw)(tide_transport *self);
  /* The last call: lets go of everything, also of its memory if it owns that. `reset`: something
   * was not sent, and the other end must not take what it got for the whole, if that can be. */
  void (*close)(tide_transport *self, bool reset);
  /* The descriptor that its bytes go through in the end, or NULL. NULL: there is none. */
  const struct tide_descriptor *(*descriptor)(const tide_transport *self);
} tide_transport_ops;

struct tide_transport {
  const tide_transport_ops *ops; /* what it does */
};

/* For transports that keep such a wait in a place of their own: takes it out of there, if there is
 * one, and ends it. The stream that is told so may close the transport at once. */
TIDE_API void tide_transport_wake(tide_wait **place, int outcome);

/* The transport that streams have in themselves. */
typedef struct tide_descriptor {
  tide_transport transport; /* first */
  tide_fd fd;               /* owned, with its descriptor */
  uint8_t channel;          /* tide__channel: how to write to it */
  bool drained;             /* the last read took all there was: wait before the next */
} tide_descriptor;

TIDE_END_DECLS

#endif
