/* sys.c: every system call of core/io. */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

static inline bool fails(const tide_loop *loop, tide_call call) {
  return __builtin_expect(loop->faults != NULL, 0) && tide_faults_strike(loop->faults, call);
}

/* How many of `size` bytes the call may move. */
static inline size_t cut(const tide_loop *loop, size_t size) {
  return __builtin_expect(loop->faults != NULL, 0) ? tide_faults_cut(loop->faults, size) : size;
}

/* Of `*count` parts those that it may move: one byte of the first that has any, put into `one`. */
static const struct iovec *cut_parts(const tide_loop *loop, const struct iovec *parts,
                                     size_t *count, struct iovec *one) {
  if (cut(loop, 2) == 2) return parts;
  for (; *count > 1 && parts->iov_len == 0; --*count) parts++;
  *one = (struct iovec){.iov_base = parts->iov_base, .iov_len = cut(loop, parts->iov_len)};
  *count = 1;
  return one;
}

/* The negated errno, which is what it was before the call. */
static int take_errno(int before) {
  int error = errno;
  errno = before;
  return -error;
}

/* The value of `call`, repeated while signals interrupt it, or the negated errno; that itself stays
 * as it is. The loop's faults make it fail. */
#define RETRY(type, name, call)                            \
  type result;                                             \
  int before = errno;                                      \
  do result = fails(loop, TIDE_CALL_##name) ? -1 : (call); \
  while (result < 0 && errno == EINTR);                    \
  int error = take_errno(before);                          \
  return result < 0 ? (type)error : result

ssize_t tide__sys_read_again(const tide_loop *loop, int fd, void *buffer, size_t size) {
  RETRY(ssize_t, READ, read(fd, buffer, cut(loop, size)));
}

static ssize_t send_one(const tide_loop *loop, int fd, const struct iovec *part) {
  RETRY(ssize_t, WRITE, send(fd, part->iov_base, cut(loop, part->iov_len), MSG_NOSIGNAL));
}

static ssize_t call_sendmsg(const tide_loop *loop, int fd, const struct iovec *parts,
                            size_t count) {
  struct iovec one;
  parts = cut_parts(loop, parts, &count, &one);
  struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count};
  return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static ssize_t send_parts(const tide_loop *loop, int fd, const struct iovec *parts, size_t count) {
  if (count == 1) return send_one(loop, fd, parts); /* most are; sendmsg costs a little more */
  RETRY(ssize_t, WRITE, call_sendmsg(loop, fd, parts, count));
}

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100
#endif

static ssize_t call_writev(const tide_loop *loop, int fd, const struct iovec *parts, size_t count,
                           int flags) {
  struct iovec one;
  parts = cut_parts(loop, parts, &count, &one);
  return pwritev2(fd, parts, (int)count, -1, flags);
}

static ssize_t write_parts(const tide_loop *loop, int fd, const struct iovec *parts, size_t count,
                           int flags) {
  RETRY(ssize_t, WRITE, call_writev(loop, fd, parts, count, flags));
}

/* The signal is held back, and taken away if it came: unless one was pending before. Then the
 * host holds it back, and it has one more reason. */
static ssize_t write_with_mask(const tide_loop *loop, int fd, const struct iovec *parts,
                               size_t count) {
  sigset_t pipe_signal, before, pending;
  static const struct timespec at_once = {0, 0};
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  bool held_before = sigismember(&before, SIGPIPE);
  bool hosts = held_before && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE);
  ssize_t written = write_parts(loop, fd, parts, count, 0);
  int kept = errno;
  if (written == -EPIPE && !hosts) sigtimedwait(&pipe_signal, NULL, &at_once);
  errno = kept;
  if (!held_before) pthread_sigmask(SIG_SETMASK, &before, NULL);
  return written;
}

ssize_t tide__sys_send(const tide_loop *loop, int fd, const struct iovec *parts, size_t count,
                       uint8_t *channel) {
  ssize_t sent = -ENOTSOCK;
  if (*channel == TIDE__SOCKET_CHANNEL) sent = send_parts(loop, fd, parts, count);
  if (sent != -ENOTSOCK) return sent;
  if (*channel != TIDE__OLD_CHANNEL) {
    *channel = TIDE__PLAIN_CHANNEL;
    sent = write_parts(loop, fd, parts, count, RWF_NOSIGNAL);
    if (sent != -EOPNOTSUPP && sent != -EINVAL) return sent;
    *channel = TIDE__OLD_CHANNEL;
  }
  return write_with_mask(loop, fd, parts, count);
}

ssize_t tide__sys_receive(const tide_loop *loop, int fd, void *buffer, size_t size,
                          struct sockaddr *from, socklen_t *length) {
  RETRY(ssize_t, READ, recvfrom(fd, buffer, size, 0, from, length));
}

ssize_t tide__sys_send_to(const tide_loop *loop, int fd, const void *bytes, size_t size,
                          const tide_address *to) {
  const struct sockaddr *address = to != NULL ? &to->as.any : NULL;
  RETRY(ssize_t, WRITE,
        sendto(fd, bytes, size, MSG_NOSIGNAL, address, to != NULL ? to->length : 0));
}

ssize_t tide__sys_send_datagram(const tide_loop *loop, int fd, const struct iovec *parts,
                                size_t count) {
  struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count};
  RETRY(ssize_t, WRITE, sendmsg(fd, &message, MSG_NOSIGNAL));
}

int tide__sys_socket(const tide_loop *loop, int family, int type) {
  RETRY(int, SOCKET, socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

int tide__sys_socketpair(const tide_loop *loop, int fds[2]) {
  RETRY(int, SOCKETPAIR, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
}

int tide__sys_accept(const tide_loop *loop, int fd) {
  RETRY(int, ACCEPT, accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int tide__sys_bind(const tide_loop *loop, int fd, const tide_address *address) {
  RETRY(int, BIND, bind(fd, &address->as.any, address->length));
}

int tide__sys_listen(const tide_loop *loop, int fd, int backlog) {
  RETRY(int, LISTEN, listen(fd, backlog));
}

int tide__sys_connect(const tide_loop *loop, int fd, const tide_address *address) {
  RETRY(int, CONNECT, connect(fd, &address->as.any, address->length));
}

int tide__sys_set(const tide_loop *loop, int fd, int level, int name, const void *value,
                  size_t size) {
  RETRY(int, SETSOCKOPT, setsockopt(fd, level, name, value, (socklen_t)size));
}

int tide__sys_set_option(const tide_loop *loop, int fd, int level, int name, int value) {
  return tide__sys_set(loop, fd, level, name, &value, sizeof value);
}

int tide__sys_shutdown(const tide_loop *loop, int fd, int how) {
  RETRY(int, SHUTDOWN, shutdown(fd, how));
}

int tide__sys_local_address(const tide_loop *loop, int fd, tide_address *address) {
  address->length = sizeof address->as;
  RETRY(int, GETSOCKNAME, getsockname(fd, &address->as.any, &address->length));
}

int tide__sys_peer_address(const tide_loop *loop, int fd, tide_address *address) {
  address->length = sizeof address->as;
  RETRY(int, GETPEERNAME, getpeername(fd, &address->as.any, &address->length));
}

int tide__sys_is_open(int fd) {
  int before = errno;
  return fcntl(fd, F_GETFD) < 0 ? take_errno(before) : 0;
}

int tide__sys_eventfd(const tide_loop *loop) {
  RETRY(int, EVENTFD, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/* Of a descriptor that is no file, socket or pipe: only to one of epoll's something can be added,
 * and so be missing in it. */
static int check_not_epoll(const tide_loop *loop, int fd) {
  int before = errno, probe = tide__sys_eventfd(loop);
  if (probe < 0) return probe;
  int error = epoll_ctl(fd, EPOLL_CTL_DEL, probe, NULL) < 0 ? take_errno(before) : 0;
  close(probe);
  return error == -ENOENT ? -EINVAL : 0;
}

int tide__sys_is_watchable(const tide_loop *loop, int fd) {
  struct stat status;
  int before = errno;
  if (fstat(fd, &status) < 0) return take_errno(before);
  return (status.st_mode & S_IFMT) == 0 ? check_not_epoll(loop, fd) : 0;
}

int tide__sys_unlink(const tide_loop *loop, const char *path) { RETRY(int, UNLINK, unlink(path)); }

int tide__sys_open(const tide_loop *loop, const char *path, int flags, unsigned mode) {
  RETRY(int, OPEN, open(path, flags, mode));
}

int tide__sys_stat(const tide_loop *loop, const char *path, struct stat *status) {
  RETRY(int, STAT, stat(path, status));
}

int tide__sys_socket_file(const tide_loop *loop, const char *path, uint64_t identity[2]) {
  struct stat status;
  int before = errno;
  if (fails(loop, TIDE_CALL_LSTAT) || lstat(path, &status) < 0) return take_errno(before);
  if (!S_ISSOCK(status.st_mode)) return -ENOTSOCK;
  identity[0] = status.st_dev;
  identity[1] = status.st_ino;
  return 0;
}

int tide__sys_family(int fd) {
  int family, before = errno;
  socklen_t length = sizeof family;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) < 0) return take_errno(before);
  return family;
}

size_t tide__sys_untaken(int fd) {
  int bytes = 0, before = errno;
  if (ioctl(fd, SIOCOUTQ, &bytes) < 0 && ioctl(fd, FIONREAD, &bytes) < 0) bytes = 0;
  errno = before;
  return bytes > 0 ? (size_t)bytes : 0;
}

enum { STACK_SIZE = 1 << 20 };

int tide__sys_thread(const tide_loop *loop, pthread_t *thread, void *(*work)(void *),
                     void *argument) {
  pthread_attr_t attributes;
  sigset_t all, before;
  int kept = errno;
  if (loop != NULL && fails(loop, TIDE_CALL_THREAD)) return take_errno(kept);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* the new one inherits it */
  int error = pthread_create(thread, &attributes, work, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  errno = kept;
  return -error;
}

/* EINTR is not for repeating here: the descriptor is gone, and may be another's by now. */
void tide__sys_close(int fd) {
  int before = errno;
  close(fd);
  errno = before;
}

/* socket(7), SO_LINGER: no patience, so that nothing of what is unsent is sent, nor an end. */
void tide__sys_abort(int fd) {
  const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  int before = errno;
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
  errno = before;
}
