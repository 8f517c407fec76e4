/* connect.h: one attempt to connect to one address. */
#ifndef TIDE_CONNECT_H
#define TIDE_CONNECT_H

#include "address.h"
#include "fd.h"

TIDE_BEGIN_DECLS

/* (waits): see sched/wait.h. */

typedef struct tide_connect_options {
  const tide_address *local; /* where to connect from; NULL: as the system chooses */
  bool nagle;                /* keep small writes back until the last was acknowledged */
} tide_connect_options;

typedef struct tide_connect {
  tide_fd fd;           /* owned, with its descriptor, until that is taken */
  tide_address address; /* where to */
  int result;           /* what the last connect() gave: 0, or a negated errno */
  tide_task *waiter;    /* inside tide_connect_wait and to call it again, or NULL */
  bool waited;          /* connect() is to be asked again */
} tide_connect;

/* Begins to connect. `options` NULL: all zero, and so with TCP_NODELAY. TIDE_OK, also where the
 * peer has refused already: tide_connect_wait tells. TIDE_OS(...): there is nothing to end. */
TIDE_API int tide_connect_start(tide_connect *self, tide_loop *loop, const tide_address *address,
                                const tide_connect_options *options);

/* (waits) Until connected. Called again after TIDE_PENDING, as a stream's functions are. A unix
 * socket whose listener's backlog is full is tried again a hundred times a second. TIDE_ECLOSED,
 * TIDE_EBUSY, TIDE_ENOMEM, TIDE_OS(...): for example ECONNREFUSED. */
TIDE_API int tide_connect_wait(tide_connect *self, tide_task *task);

/* Hands over the connected descriptor, to a stream for example; or -1 where there is none. */
TIDE_API int tide_connect_take(tide_connect *self);

/* Closes what was not taken; the waiting task gets TIDE_ECLOSED. Then, and after tide_connect_take,
 * `self` may be freed: that task will not touch it. Harmless when repeated. */
TIDE_API void tide_connect_term(tide_connect *self);

TIDE_END_DECLS

#endif
