/* descriptor.c: sockets, pipes and terminals as transports. */
#include "descriptor.h"

#include <errno.h>
#include <sys/socket.h>

#include "private.h"
#include "sys.h"

static tide_descriptor *descriptor_of(const tide_transport *self) {
  return tide_container(self, tide_descriptor, transport);
}

static bool descriptor_drained(const tide_transport *transport) {
  const tide_descriptor *self = descriptor_of(transport);
  return self->drained && !self->fd.missed;
}

static int descriptor_read(tide_transport *transport, void *buffer, size_t size, size_t *got) {
  tide_descriptor *self = descriptor_of(transport);
  ssize_t result = tide__sys_read(self->fd.loop, self->fd.fd, buffer, size);
  self->drained = result < (ssize_t)size;
  self->fd.missed = false;
  if (result == -EAGAIN) return TIDE_PENDING;
  if (result <= 0) return result == 0 ? TIDE_EEOF : TIDE_OS((int)-result);
  *got = (size_t)result;
  return TIDE_OK;
}

static int descriptor_write(tide_transport *transport, const struct iovec *parts, size_t count,
                            size_t *sent) {
  tide_descriptor *self = descriptor_of(transport);
  ssize_t result = tide__sys_send(self->fd.loop, self->fd.fd, parts, count, &self->channel);
  if (result == -EAGAIN) return TIDE_PENDING;
  if (result < 0) return TIDE_OS((int)-result);
  *sent = (size_t)result;
  return TIDE_OK;
}

static int descriptor_wait(tide_transport *transport, tide_wait *wait, int events) {
  tide_descriptor *self = descriptor_of(transport);
  if (events & TIDE_READABLE) self->drained = false; /* once the wait has ended well */
  if (events & TIDE_UNAWAITED) return tide__fd_overhear(&self->fd, wait, events & ~TIDE_UNAWAITED);
  return tide__fd_wait(&self->fd, wait, events);
}

static bool descriptor_waited(const tide_transport *transport, int events) {
  const tide_descriptor *self = descriptor_of(transport);
  return (events == TIDE_READABLE ? self->fd.reader : self->fd.writer) != NULL;
}

static void descriptor_leave(tide_transport *transport, tide_wait *wait) {
  tide_descriptor *self = descriptor_of(transport);
  if (self->fd.reader == wait) self->drained = true;
  tide__fd_take_out(&self->fd, wait);
}

static int descriptor_end(tide_transport *transport, bool both) {
  const tide_descriptor *self = descriptor_of(transport);
  int error = tide__sys_shutdown(self->fd.loop, self->fd.fd, both ? SHUT_RDWR : SHUT_WR);
  return error < 0 ? TIDE_OS(-error) : TIDE_OK;
}

static tide_farewell descriptor_farewell(const tide_transport *transport) {
  const tide_descriptor *self = descriptor_of(transport);
  if (self->channel != TIDE__SOCKET_CHANNEL) return TIDE_FAREWELL_NONE;
  int family = tide__sys_family(self->fd.fd);
  if (family < 0) return TIDE_FAREWELL_NONE;
  return family == AF_INET || family == AF_INET6 ? TIDE_FAREWELL_LINGER : TIDE_FAREWELL_SHUT;
}

static size_t descriptor_untaken(const tide_transport *transport) {
  return tide__sys_untaken(descriptor_of(transport)->fd.fd);
}

static void descriptor_withdraw(tide_transport *transport) {
  tide_descriptor *self = descriptor_of(transport);
  int fd = self->fd.fd;
  tide_fd_term(&self->fd);
  tide_fd_init(&self->fd, self->fd.loop, fd);
}

static void descriptor_close(tide_transport *transport, bool reset) {
  tide_descriptor *self = descriptor_of(transport);
  int fd = self->fd.fd;
  tide_fd_term(&self->fd);
  if (reset)
    tide__sys_abort(fd);
  else
    tide__sys_close(fd);
}

static const tide_descriptor *itself(const tide_transport *transport) {
  return descriptor_of(transport);
}

static const tide_transport_ops descriptor_ops = {
    .name = "descriptor",
    .read = descriptor_read,
    .drained = descriptor_drained,
    .write = descriptor_write,
    .short_is_pending = true,
    .wait = descriptor_wait,
    .waited = descriptor_waited,
    .leave = descriptor_leave,
    .end = descriptor_end,
    .farewell = descriptor_farewell,
    .untaken = descriptor_untaken,
    .withdraw = descriptor_withdraw,
    .close = descriptor_close,
    .descriptor = itself,
};

void tide__descriptor_init(tide_descriptor *self, tide_loop *loop, int fd) {
  *self = (tide_descriptor){.transport.ops = &descriptor_ops, .drained = true};
  tide_fd_init(&self->fd, loop, fd);
}

tide_transport *tide__transport_move(tide_transport *transport, tide_descriptor *room) {
  if (transport->ops != &descriptor_ops) return transport;
  tide_descriptor *self = descriptor_of(transport);
  tide__descriptor_init(room, self->fd.loop, self->fd.fd);
  room->channel = self->channel;
  tide_fd_term(&self->fd);
  return &room->transport;
}
