/* datagram.h: datagrams over UDP and unix sockets: each arrives whole, twice, or not at all. */
#ifndef TIDE_DATAGRAM_H
#define TIDE_DATAGRAM_H

#include "address.h"
#include "fd.h"

TIDE_BEGIN_DECLS

/* (waits): see sched/wait.h. */

enum {
  TIDE_DATAGRAM_MOST = 65535, /* bytes; less over IPv4: 65,507 */
};

typedef struct tide_datagram_options {
  bool reuseport; /* several sockets share the port: of UDP, the system gives each its part */
  bool broadcast; /* may send to broadcast addresses */
  bool ipv6only;  /* one bound to :: takes IPv6 alone */
  int ttl;        /* how many routers what it sends may pass, 1 to 255; 0: as the system has it */
} tide_datagram_options;

typedef struct tide_datagram {
  tide_fd fd;          /* owned, with its descriptor */
  tide_task *receiver; /* inside tide_datagram_receive and to call it again, or NULL */
  tide_task *sender;   /* the same of tide_datagram_send */
  uint64_t file[2];    /* unix: the socket's file, to be removed: device, inode; 0: none */
  int family;          /* AF_INET, AF_INET6, AF_UNIX */
} tide_datagram;

/* Opens a socket bound to that address; port 0: the system chooses. A unix path where a socket was
 * left behind is taken over. `options` NULL: all zero. TIDE_OK, or TIDE_OS(...): it is closed. */
TIDE_API int tide_datagram_open(tide_datagram *self, tide_loop *loop, const tide_address *address,
                                const tide_datagram_options *options);

/* From now on it sends to that address, and receives from it alone. Not waiting; TIDE_OK,
 * TIDE_ECLOSED, TIDE_OS(...). */
TIDE_API int tide_datagram_connect(tide_datagram *self, const tide_address *address);

/* (waits) Receives one into `buffer`: `*size` bytes at most, and so many of it then; what is longer
 * is cut off. `from` NULL, or who has sent it; unix senders without a name have an empty one.
 * Called again after TIDE_PENDING, as a stream's functions are. TIDE_ECLOSED, TIDE_EBUSY,
 * TIDE_ENOMEM, TIDE_OS(...): connected, ECONNREFUSED for an answer that an earlier one got; it goes
 * on. */
TIDE_API int tide_datagram_receive(tide_datagram *self, tide_task *task, void *buffer, size_t *size,
                                   tide_address *from);

/* (waits) Until the system takes it; mostly at once. `to` NULL: to whom it is connected. Called
 * again after TIDE_PENDING. The same errors; TIDE_OS(EMSGSIZE): it is too long. One task at a time
 * waits. */
TIDE_API int tide_datagram_send(tide_datagram *self, tide_task *task, const void *bytes,
                                size_t size, const tide_address *to);

/* Receives what is sent to that group from now on, or no more. `interface`: its number, or 0: as
 * the system chooses. TIDE_OK, TIDE_ECLOSED, TIDE_OS(...). */
TIDE_API int tide_datagram_join(tide_datagram *self, const tide_address *group, unsigned interface);
TIDE_API int tide_datagram_leave(tide_datagram *self, const tide_address *group,
                                 unsigned interface);

/* Where it is, with the port that the system chose. TIDE_OK, TIDE_ECLOSED, TIDE_OS(...). */
TIDE_API int tide_datagram_address(const tide_datagram *self, tide_address *address);

/* Closes the socket, and removes the file of a unix one; tasks that wait get TIDE_ECLOSED. Then
 * `self` may be freed: those will not touch it. Harmless when repeated. */
TIDE_API void tide_datagram_close(tide_datagram *self);

TIDE_END_DECLS

#endif
