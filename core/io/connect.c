/* connect.c: connecting without blocking. */
#include "connect.h"

#include <errno.h>
#include <netinet/tcp.h>

#include "private.h"
#include "recall.h"
#include "sys.h"

static const tide_time PAUSE = 10000000; /* nanoseconds until a full backlog is tried again */

static int prepare(const tide_loop *loop, int fd, const tide_address *address,
                   const tide_connect_options *options) {
  int error = 0;
  if (!tide_address_is_unix(address) && !options->nagle)
    error = tide__sys_set_option(loop, fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (error == 0 && options->local != NULL) error = tide__sys_bind(loop, fd, options->local);
  return error;
}

int tide_connect_start(tide_connect *self, tide_loop *loop, const tide_address *address,
                       const tide_connect_options *options) {
  static const tide_connect_options defaults = {0};
  *self = (tide_connect){.fd.fd = -1, .address = *address};
  int fd = tide__sys_socket(loop, address->as.any.sa_family, SOCK_STREAM);
  int error = fd < 0 ? fd : prepare(loop, fd, address, options != NULL ? options : &defaults);
  if (error < 0) {
    if (fd >= 0) tide__sys_close(fd);
    return TIDE_OS(-error);
  }
  tide_fd_init(&self->fd, loop, fd);
  self->result = tide__sys_connect(loop, fd, address);
  return TIDE_OK;
}

static tide_connect *connect_of(const tide_wait *wait) {
  return tide_container(wait->source, tide_connect, fd);
}

static void connect_leave(tide_wait *wait) {
  tide__fd_leave(wait);
  connect_of(wait)->waiter = NULL;
}

static void connect_forget(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) connect_of(wait)->waiter = NULL;
}

static const tide_wait_ops connect_ops = {
    .name = "connect", .abandon = connect_leave, .reject = connect_forget};

static bool under_way(int result) {
  return result == -EINPROGRESS || result == -EALREADY || result == -EAGAIN;
}

/* EAGAIN, of unix sockets: the system will not say when to try again. */
static int connect_park(tide_connect *self, tide_task *task) {
  self->waited = true;
  if (self->result == -EAGAIN) return tide__fd_rest_park(&self->fd, task, TIDE_WRITABLE, PAUSE);
  return tide__fd_park(&self->fd, task, TIDE_WRITABLE);
}

int tide__connect_look(tide_connect *self) {
  if (self->waited && under_way(self->result))
    self->result = tide__sys_connect(self->fd.loop, self->fd.fd, &self->address);
  if (self->result == 0 || self->result == -EISCONN) return TIDE_OK;
  return under_way(self->result) ? TIDE_PENDING : TIDE_OS(-self->result);
}

int tide_connect_wait(tide_connect *self, tide_task *task) {
  int result = tide__recall_enter(&self->fd, self->fd.fd < 0, &self->waiter, task, &connect_ops);
  if (result != TIDE_OK) return result;
  result = tide__connect_look(self);
  if (result == TIDE_OK) return TIDE_OK;
  if (result == TIDE_PENDING) result = connect_park(self, task);
  return tide__recall_leave(&self->waiter, task, result);
}

int tide_connect_take(tide_connect *self) {
  int fd = self->fd.fd;
  tide_fd_term(&self->fd);
  tide__recall_close(&self->waiter);
  return fd;
}

void tide_connect_term(tide_connect *self) {
  int fd = tide_connect_take(self);
  if (fd >= 0) tide__sys_close(fd);
}
