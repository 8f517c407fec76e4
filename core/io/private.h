/* private.h: what the files of core/io share and nobody else sees. */
#ifndef TIDE_IO_PRIVATE_H
#define TIDE_IO_PRIVATE_H

#include <errno.h>

#include "../sched/private.h"
#include "address.h"
#include "transport.h"

/* TIDE_TINY_BUFFERS: test builds in which everything is cut at awkward places. */
#ifdef TIDE_TINY_BUFFERS
enum {
  TIDE__SCRATCH = 16,
  TIDE__READ_ROOM = 4,
  TIDE__READ_MOST = 32,
  TIDE__LOW_MARK = 8,
  TIDE__HIGH_MARK = 16,
};
#else
enum {
  TIDE__SCRATCH = 64 * 1024,    /* bytes of the buffer that all reads of a loop share */
  TIDE__READ_ROOM = 4 * 1024,   /* a read is never for less, whatever its caller wants of it */
  TIDE__READ_MOST = 256 * 1024, /* nor for more, so that others have their turn */
  TIDE__LOW_MARK = 16 * 1024,   /* unsent bytes at which a writer goes on */
  TIDE__HIGH_MARK = 64 * 1024,  /* unsent bytes above which it waits */
};
#endif

typedef struct tide_stream tide_stream;
typedef struct tide_connect tide_connect;

/* connect.c: how it stands: TIDE_OK, TIDE_OS(...), or TIDE_PENDING: until its descriptor is
 * writable; with the result EAGAIN, for a while. `waited` says that this is over. */
int tide__connect_look(tide_connect *connect);

/* address.c: reads a numeric address, as tide_address_parse does. False: it is none. */
bool tide__address_read(tide_address *address, const char *host, uint16_t port);

/* What the streams of one loop share. */
typedef struct tide__shared {
  tide__attachment attachment; /* in the loop's list */
  tide_list sending;           /* outboxes of open streams */
  tide_list lingering;         /* outboxes of closed ones */
  tide_list borrowed;          /* tide_borrowed_fd; first those whose watching has changed */
  tide_defer before_poll;      /* looks whether these are open still */
  size_t lingering_count;      /* how many of those have something that must arrive */
  char *scratch;               /* TIDE__SCRATCH bytes where reads go first, or NULL */
  const tide_stream *lender;   /* what it told of those may still be looked at, or NULL */
  tide_idle unused;            /* gives them back */
  tide_loop *loop;             /* whose this is */
} tide__shared;

/* The loop's record: made when first asked for, NULL where memory is short; or NULL where nobody
 * has asked. */
tide__shared *tide__shared_of(tide_loop *loop);
tide__shared *tide__shared_find(const tide_loop *loop);

/* Room for a read by `lender`, whose content is nobody's for long; NULL where memory is short. */
char *tide__scratch_of(tide_loop *loop, const tide_stream *lender);

/* No slice of it is in use any more: of that stream's, or, for NULL, of any. */
void tide__scratch_back(const tide_loop *loop, const tide_stream *lender);

/* linger.c: lets go of all descriptors that linger. */
void tide__linger_drop_all(tide__shared *shared);

/* stream_write.c: who writes, or waits for a turn, gets TIDE_ECLOSED. */
void tide__stream_end_turns(tide_stream *stream);

/* Reads and writes through a transport (`total` bytes in those parts). One that breaks its promise,
 * having moved nothing, or more than it was to, has failed with EPROTO. */
static inline int tide__transport_read(tide_transport *self, void *buffer, size_t size,
                                       size_t *got) {
  size_t count = 0;
  int result = self->ops->read(self, buffer, size, &count);
  if (result != TIDE_OK) return result;
  if (count - 1 >= size) return TIDE_OS(EPROTO);
  *got = count;
  return TIDE_OK;
}

static inline int tide__transport_write_once(tide_transport *self, const struct iovec *parts,
                                             size_t count, size_t total, size_t *sent) {
  size_t taken = 0;
  int result = self->ops->write(self, parts, count, &taken);
  if (result != TIDE_OK) return result;
  if (taken > total || (taken == 0 && total > 0)) return TIDE_OS(EPROTO);
  *sent = taken;
  return TIDE_OK;
}

/* The same for the rest, behind the first `*sent` bytes: until it takes no more. */
int tide__transport_write_on(tide_transport *self, const struct iovec *parts, size_t total,
                             size_t *sent);

static inline int tide__transport_write(tide_transport *self, const struct iovec *parts,
                                        size_t count, size_t total, size_t *sent) {
  int result = tide__transport_write_once(self, parts, count, total, sent);
  if (result != TIDE_OK || *sent == total || self->ops->short_is_pending) return result;
  return tide__transport_write_on(self, parts, total, sent);
}

/* The descriptor underneath, or NULL. */
static inline const tide_descriptor *tide__transport_descriptor(const tide_transport *self) {
  return self->ops->descriptor != NULL ? self->ops->descriptor(self) : NULL;
}

/* fd.c: descriptor waits under names of their own, with or without a task. */

/* Makes `wait` the descriptor's reader or writer until it ends. Its `ops` must be set, with an
 * `abandon` that calls tide__fd_leave, where `source` is the tide_fd, or tide__fd_take_out.
 * TIDE_OK: it is pending. Errors: as tide_fd_wait. */
int tide__fd_wait(tide_fd *self, tide_wait *wait, int events);

/* The same for the running task, which has entered the wait. TIDE_PENDING or an error. */
int tide__fd_park(tide_fd *self, tide_task *task, int events);

/* The same as tide__fd_wait, but until `span` has passed, whatever comes to the descriptor: where
 * the system has refused something and will not say when to ask again. */
int tide__fd_rest(tide_fd *self, tide_wait *wait, int events, tide_time span);
int tide__fd_rest_park(tide_fd *self, tide_task *task, int events, tide_time span);

/* The same as tide__fd_wait, for what nobody waits for: no task is woken by it, and there may be a
 * deadlock meanwhile. */
int tide__fd_overhear(tide_fd *self, tide_wait *wait, int events);

/* It is no descriptor any more: stops watching it; waits, and those to come, end with
 * TIDE_OS(EBADF). */
void tide__fd_lose(tide_fd *self);

/* borrowed.c: what is watched has changed, of one with `borrowed`. */
void tide__borrowed_changed(tide_fd *fd);

/* borrowed.c: looks at those whose watching has changed; the defer is in tide__shared. */
void tide__borrowed_check(tide_defer *defer);

/* Takes a wait out of its descriptor, which is its source, or the one that is given. Harmless on
 * one that is not in it. */
void tide__fd_leave(tide_wait *wait);
void tide__fd_take_out(tide_fd *self, tide_wait *wait);

#endif
