/* sys.h: every system call of core/io, so that tests can make each of them fail. Internal to core.
 *
 * All return what the call does, or a negated errno; EINTR is seen to here. */
#ifndef TIDE_SYS_H
#define TIDE_SYS_H

#include <sys/types.h>
#include <sys/uio.h>

#include "address.h"

ssize_t tide__sys_read(int fd, void *buffer, size_t size);

/* How bytes go into a descriptor without a SIGPIPE: found out by the first writes. */
typedef enum tide__channel {
  TIDE__SOCKET_CHANNEL, /* or nothing is known yet */
  TIDE__PLAIN_CHANNEL,  /* no socket; the system is told with each write */
  TIDE__OLD_CHANNEL,    /* the same where the system knows no such thing (Linux before 6.18) */
} tide__channel;

/* Writes, and notes the channel. Never raises SIGPIPE, nor takes away one that was pending. At most
 * IOV_MAX parts. */
ssize_t tide__sys_send(int fd, const struct iovec *parts, size_t count, uint8_t *channel);

/* Of non-blocking, close-on-exec descriptors. */
int tide__sys_socket(int family);
int tide__sys_socketpair(int fds[2]);
int tide__sys_accept(int fd);

int tide__sys_bind(int fd, const tide_address *address);
int tide__sys_listen(int fd, int backlog);
int tide__sys_connect(int fd, const tide_address *address);
int tide__sys_set_option(int fd, int level, int name, int value);
int tide__sys_shutdown(int fd, int how);
int tide__sys_local_address(int fd, tide_address *address);
int tide__sys_peer_address(int fd, tide_address *address);
int tide__sys_is_open(int fd); /* 0 or -EBADF */
int tide__sys_unlink(const char *path);

/* Which file a path names: device and inode. -ENOTSOCK where it is no socket. */
int tide__sys_socket_file(const char *path, uint64_t identity[2]);

/* The address family of a socket, or -ENOTSOCK. */
int tide__sys_family(int fd);

/* Bytes that were written and that the other end has not taken, as far as the system tells: those
 * not acknowledged over TCP, those not read (or a little more) from a unix socket or a pipe. */
size_t tide__sys_untaken(int fd);

void tide__sys_close(int fd);

/* The same, so that the peer of a TCP connection finds an error in place of an orderly end (RST).
 */
void tide__sys_abort(int fd);

#endif
