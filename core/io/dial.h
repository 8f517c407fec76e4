/* dial.h: connecting to a host by its name: to each of its addresses, until one answers.
 *
 * Attempts begin one after the other, each where the one before has failed or not answered for a
 * while (RFC 8305), first to the address that comes first in the order of dns.h, then to one of the
 * other family. The first that is connected wins; the others are given up. */
#ifndef TIDE_DIAL_H
#define TIDE_DIAL_H

#include "connect.h"
#include "dns.h"

TIDE_BEGIN_DECLS

/* (waits): see sched/wait.h. */

typedef struct tide_dial_options {
  const tide_address *local; /* where to connect from; addresses of another family are left out
                                then. NULL: as the system chooses */
  uint16_t local_port;       /* the same; 0: as the system chooses */
  int family;                /* AF_INET, AF_INET6: addresses of that alone; 0: of both */
  tide_time delay;           /* until the next attempt begins beside one; 0: 250 ms */
  bool nagle;                /* keep small writes back until the last was acknowledged */
} tide_dial_options;

/* One attempt. */
typedef struct tide_dial_attempt {
  tide_connect connect; /* first; its `address` is where to */
  tide_wait wait;       /* for its descriptor */
  struct tide_dial *dial;
  int result; /* TIDE_PENDING: under way; TIDE_OK; or why it has failed */
} tide_dial_attempt;

typedef struct tide_dial {
  tide_loop *loop;
  tide_wait lookup;            /* for the addresses */
  tide_list waiters;           /* the task that waits, if any */
  tide_timer timer;            /* when the next attempt begins */
  tide_dial_options options;   /* `local` is `from` */
  tide_address from;           /* where to connect from */
  uint16_t port;               /* where to */
  tide_dial_attempt *attempts; /* to each of the addresses, in the order in which they are made */
  size_t count;                /* of addresses */
  size_t begun;                /* attempts that have begun */
  size_t running;              /* of those, how many have not ended */
  size_t room;                 /* for attempts */
  tide_dns_code code;          /* where the result is TIDE_EDNS: why */
  int result;                  /* TIDE_PENDING: it is under way */
  int fd;                      /* connected, until it is taken; or -1 */
  bool looking;                /* `lookup` is under way */
} tide_dial;

/* Begins: `host` is a name, a numeric address, or "unix:/path", for which there is no port. Any
 * failure tide_dial_wait tells. `options` NULL: all zero. */
TIDE_API void tide_dial_start(tide_dial *self, tide_loop *loop, const char *host, uint16_t port,
                              const tide_dial_options *options);

/* (waits) Until it is connected. TIDE_EDNS: the name has no address, `code` says why; TIDE_OS(...):
 * the last attempt's error, `attempts` has all; TIDE_ECLOSED, TIDE_EBUSY, TIDE_ENOMEM. Cancelled,
 * it goes on, and may be waited for again. */
TIDE_API int tide_dial_wait(tide_dial *self, tide_task *task);

/* Hands over the connected descriptor, to a stream for example; or -1 where there is none. */
TIDE_API int tide_dial_take(tide_dial *self);

/* Gives up what is under way, and closes what was not taken; the waiting task gets TIDE_ECLOSED.
 * Then `self` may be freed: that task will not touch it. Harmless when repeated. */
TIDE_API void tide_dial_term(tide_dial *self);

TIDE_END_DECLS

#endif
