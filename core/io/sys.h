/* sys.h: every system call of core/io, so that a loop's faults can make each of them fail. Internal
 * to core.
 *
 * All return what the call does, or a negated errno; EINTR is seen to here. */
#ifndef TIDE_SYS_H
#define TIDE_SYS_H

#include <errno.h>
#include <pthread.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../sched/private.h"
#include "address.h"

/* In a loop that has faults, or once more after a signal. */
ssize_t tide__sys_read_again(const tide_loop *loop, int fd, void *buffer, size_t size);

/* Inline: it is what servers do most. */
static inline ssize_t tide__sys_read(const tide_loop *loop, int fd, void *buffer, size_t size) {
  if (__builtin_expect(loop->faults == NULL, 1)) {
    ssize_t got = read(fd, buffer, size);
    if (got >= 0) return got;
    if (errno != EINTR) return -errno;
  }
  return tide__sys_read_again(loop, fd, buffer, size);
}

/* How bytes go into a descriptor without a SIGPIPE: found out by the first writes. */
typedef enum tide__channel {
  TIDE__SOCKET_CHANNEL, /* or nothing is known yet */
  TIDE__PLAIN_CHANNEL,  /* no socket; the system is told with each write */
  TIDE__OLD_CHANNEL,    /* the same where the system knows no such thing (Linux before 6.18) */
} tide__channel;

/* Writes, and notes the channel. Never raises SIGPIPE, nor takes away one that was pending. At most
 * IOV_MAX parts. */
ssize_t tide__sys_send(const tide_loop *loop, int fd, const struct iovec *parts, size_t count,
                       uint8_t *channel);

/* One datagram, of which what does not fit is cut off; and all of one. */
ssize_t tide__sys_receive(const tide_loop *loop, int fd, void *buffer, size_t size,
                          struct sockaddr *from, socklen_t *length);
/* `to` NULL: to whom it is connected. */
ssize_t tide__sys_send_to(const tide_loop *loop, int fd, const void *bytes, size_t size,
                          const tide_address *to);
ssize_t tide__sys_send_datagram(const tide_loop *loop, int fd, const struct iovec *parts,
                                size_t count);

/* Of non-blocking, close-on-exec descriptors. */
int tide__sys_socket(const tide_loop *loop, int family, int type);
int tide__sys_socketpair(const tide_loop *loop, int fds[2]);
int tide__sys_accept(const tide_loop *loop, int fd);

int tide__sys_bind(const tide_loop *loop, int fd, const tide_address *address);
int tide__sys_listen(const tide_loop *loop, int fd, int backlog);
int tide__sys_connect(const tide_loop *loop, int fd, const tide_address *address);
int tide__sys_set(const tide_loop *loop, int fd, int level, int name, const void *value,
                  size_t size);
int tide__sys_set_option(const tide_loop *loop, int fd, int level, int name, int value);
int tide__sys_shutdown(const tide_loop *loop, int fd, int how);
int tide__sys_local_address(const tide_loop *loop, int fd, tide_address *address);
int tide__sys_peer_address(const tide_loop *loop, int fd, tide_address *address);
int tide__sys_is_open(int fd); /* 0 or -EBADF */

/* 0; -EBADF; -EINVAL for one of epoll's; or why that cannot be told. */
int tide__sys_is_watchable(const tide_loop *loop, int fd);

int tide__sys_open(const tide_loop *loop, const char *path, int flags, unsigned mode);

struct stat;
int tide__sys_stat(const tide_loop *loop, const char *path, struct stat *status);

int tide__sys_unlink(const tide_loop *loop, const char *path);

/* Which file a path names: device and inode. -ENOTSOCK where it is no socket. */
int tide__sys_socket_file(const tide_loop *loop, const char *path, uint64_t identity[2]);

/* The address family of a socket, or -ENOTSOCK. */
int tide__sys_family(int fd);

/* Bytes that were written and that the other end has not taken, as far as the system tells: those
 * not acknowledged over TCP, those not read (or a little more) from a unix socket or a pipe. */
size_t tide__sys_untaken(int fd);

/* A thread with a stack of 1 MiB, and all signals held back. `loop` may be NULL. */
int tide__sys_thread(const tide_loop *loop, pthread_t *thread, void *(*work)(void *),
                     void *argument);

/* A descriptor that is readable once 8 bytes were written to it. */
int tide__sys_eventfd(const tide_loop *loop);

void tide__sys_close(int fd);

/* The same, so that the peer of a TCP connection finds an error in place of an orderly end (RST).
 */
void tide__sys_abort(int fd);

#endif
