/* datagram.c: sockets of datagrams. */
#include "datagram.h"

#include <errno.h>
#include <netinet/in.h>

#include "bound.h"
#include "recall.h"

static const tide_time PAUSE = 10000000; /* nanoseconds until a full unix socket is tried again */

static int set_options(const tide_loop *loop, int fd, int family,
                       const tide_datagram_options *options) {
  bool six = family == AF_INET6;
  int error = 0;
  if (family == AF_UNIX) return 0;
  if (options->reuseport) error = tide__sys_set_option(loop, fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (error == 0 && options->broadcast)
    error = tide__sys_set_option(loop, fd, SOL_SOCKET, SO_BROADCAST, 1);
  if (error == 0 && six)
    error = tide__sys_set_option(loop, fd, IPPROTO_IPV6, IPV6_V6ONLY, options->ipv6only);
  if (error == 0 && options->ttl > 0)
    error = tide__sys_set_option(loop, fd, six ? IPPROTO_IPV6 : IPPROTO_IP,
                                 six ? IPV6_UNICAST_HOPS : IP_TTL, options->ttl);
  if (error == 0 && options->ttl > 0)
    error = tide__sys_set_option(loop, fd, six ? IPPROTO_IPV6 : IPPROTO_IP,
                                 six ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL, options->ttl);
  return error;
}

int tide_datagram_open(tide_datagram *self, tide_loop *loop, const tide_address *address,
                       const tide_datagram_options *options) {
  static const tide_datagram_options defaults = {0};
  int family = address->as.any.sa_family;
  *self = (tide_datagram){.fd.fd = -1, .family = family};
  int fd = tide__sys_socket(loop, family, SOCK_DGRAM);
  int error = fd < 0 ? fd : set_options(loop, fd, family, options != NULL ? options : &defaults);
  if (error == 0) error = tide__bound_bind(loop, fd, address, SOCK_DGRAM, self->file);
  if (error < 0) {
    if (fd >= 0) tide__sys_close(fd);
    return TIDE_OS(-error);
  }
  tide_fd_init(&self->fd, loop, fd);
  return TIDE_OK;
}

/* Of what is done at once. */
static int answer(int error) { return error < 0 ? TIDE_OS(-error) : TIDE_OK; }

int tide_datagram_connect(tide_datagram *self, const tide_address *address) {
  if (self->fd.fd < 0) return TIDE_ECLOSED;
  return answer(tide__sys_connect(self->fd.loop, self->fd.fd, address));
}

int tide_datagram_address(const tide_datagram *self, tide_address *address) {
  if (self->fd.fd < 0) return TIDE_ECLOSED;
  return answer(tide__sys_local_address(self->fd.loop, self->fd.fd, address));
}

/* Groups. */

static int set_group(tide_datagram *self, const tide_address *group, unsigned interface,
                     int option) {
  struct group_req request = {.gr_interface = interface};
  int level = group->as.any.sa_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
  if (self->fd.fd < 0) return TIDE_ECLOSED;
  memcpy(&request.gr_group, &group->as, group->length);
  return answer(tide__sys_set(self->fd.loop, self->fd.fd, level, option, &request, sizeof request));
}

int tide_datagram_join(tide_datagram *self, const tide_address *group, unsigned interface) {
  return set_group(self, group, interface, MCAST_JOIN_GROUP);
}

int tide_datagram_leave(tide_datagram *self, const tide_address *group, unsigned interface) {
  return set_group(self, group, interface, MCAST_LEAVE_GROUP);
}

/* Receiving. */

static tide_datagram *datagram_of(const tide_wait *wait) {
  return tide_container(wait->source, tide_datagram, fd);
}

static void receive_leave(tide_wait *wait) {
  datagram_of(wait)->receiver = NULL;
  tide__fd_leave(wait);
}

static void receive_forget(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) datagram_of(wait)->receiver = NULL;
}

static const tide_wait_ops receive_ops = {
    .name = "Datagram.recv", .abandon = receive_leave, .reject = receive_forget};

static ssize_t receive(tide_datagram *self, void *buffer, size_t size, tide_address *from) {
  tide_address sender = {.length = sizeof sender.as};
  ssize_t got =
      tide__sys_receive(self->fd.loop, self->fd.fd, buffer, size, &sender.as.any, &sender.length);
  if (got < 0 || from == NULL) return got;
  if (sender.length == 0) sender.as.any.sa_family = (sa_family_t)self->family;
  *from = sender;
  return got;
}

int tide_datagram_receive(tide_datagram *self, tide_task *task, void *buffer, size_t *size,
                          tide_address *from) {
  int result = tide__recall_enter(&self->fd, self->fd.fd < 0, &self->receiver, task, &receive_ops);
  if (result != TIDE_OK) return result;
  ssize_t got = receive(self, buffer, *size, from);
  if (got >= 0) {
    *size = (size_t)got;
    tide__wait_charge(task, (size_t)got);
    return TIDE_OK;
  }
  result = got == -EAGAIN ? tide__fd_park(&self->fd, task, TIDE_READABLE) : TIDE_OS((int)-got);
  return tide__recall_leave(&self->receiver, task, result);
}

/* Sending. */

static void send_leave(tide_wait *wait) {
  datagram_of(wait)->sender = NULL;
  tide__fd_leave(wait);
}

static void send_forget(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) datagram_of(wait)->sender = NULL;
}

static const tide_wait_ops send_ops = {
    .name = "Datagram.send", .abandon = send_leave, .reject = send_forget};

int tide_datagram_send(tide_datagram *self, tide_task *task, const void *bytes, size_t size,
                       const tide_address *to) {
  int result = tide__recall_enter(&self->fd, self->fd.fd < 0, &self->sender, task, &send_ops);
  if (result != TIDE_OK) return result;
  ssize_t sent = tide__sys_send_to(self->fd.loop, self->fd.fd, bytes, size, to);
  if (sent >= 0) return TIDE_OK;
  if (sent != -EAGAIN) return TIDE_OS((int)-sent);
  /* which unix socket is full the system does not say */
  result = self->family == AF_UNIX && to != NULL
               ? tide__fd_rest_park(&self->fd, task, TIDE_WRITABLE, PAUSE)
               : tide__fd_park(&self->fd, task, TIDE_WRITABLE);
  return tide__recall_leave(&self->sender, task, result);
}

void tide_datagram_close(tide_datagram *self) {
  int fd = self->fd.fd;
  if (fd < 0) return;
  tide__bound_remove(self->fd.loop, fd, self->file);
  tide_fd_term(&self->fd);
  tide__recall_close(&self->receiver);
  tide__recall_close(&self->sender);
  tide__sys_close(fd);
}
