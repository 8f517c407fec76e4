/* listener.c: binding, listening, accepting. */
#include "listener.h"

#include <errno.h>
#include <netinet/tcp.h>

#include "../sched/case.h"
#include "recall.h"
#include "sys.h"

enum { DEFAULT_BACKLOG = 4096 };

static const tide_time PAUSE = 100000000; /* nanoseconds until descriptors are asked for again */

/* Opening. */

static const char *path_of(const tide_address *address) {
  return tide_address_is_unix(address) ? address->as.local.sun_path : "";
}

/* Whether the path names a socket that nobody listens on. */
static bool left_behind(const tide_address *address) {
  uint64_t file[2] = {0, 0};
  if (tide__sys_socket_file(path_of(address), file) < 0) return false;
  int fd = tide__sys_socket(AF_UNIX);
  if (fd < 0) return false;
  int error = tide__sys_connect(fd, address);
  tide__sys_close(fd);
  return error == -ECONNREFUSED;
}

static int bind_to(int fd, const tide_address *address) {
  int error = tide__sys_bind(fd, address);
  if (error != -EADDRINUSE || path_of(address)[0] == '\0' || !left_behind(address)) return error;
  tide__sys_unlink(path_of(address));
  return tide__sys_bind(fd, address);
}

/* Options that accepted connections inherit are set here once. */
static int set_options(int fd, const tide_address *address, const tide_listen_options *options) {
  if (tide_address_is_unix(address)) return 0;
  int error = tide__sys_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (error == 0 && options->reuseport)
    error = tide__sys_set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (error == 0 && !options->nagle) error = tide__sys_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return error;
}

static int prepare(int fd, const tide_address *address, const tide_listen_options *options) {
  int error = set_options(fd, address, options);
  if (error == 0) error = bind_to(fd, address);
  if (error == 0)
    error = tide__sys_listen(fd, options->backlog > 0 ? options->backlog : DEFAULT_BACKLOG);
  return error;
}

int tide_listener_open(tide_listener *listener, tide_loop *loop, const tide_address *address,
                       const tide_listen_options *options) {
  static const tide_listen_options defaults = {0};
  *listener = (tide_listener){.fd.fd = -1, .drained = true};
  int fd = tide__sys_socket(address->as.any.sa_family);
  int error = fd < 0 ? fd : prepare(fd, address, options != NULL ? options : &defaults);
  if (error < 0) {
    if (fd >= 0) tide__sys_close(fd);
    return TIDE_OS(-error);
  }
  if (path_of(address)[0] != '\0') tide__sys_socket_file(path_of(address), listener->file);
  tide_fd_init(&listener->fd, loop, fd);
  return TIDE_OK;
}

/* Accepting. */

static tide_listener *listener_of(const tide_wait *wait) {
  return tide_container(wait->source, tide_listener, fd);
}

static void leave(tide_wait *wait) {
  tide_listener *listener = listener_of(wait);
  if (listener->paused == wait)
    tide__wait_stop(wait);
  else
    tide__fd_leave(wait);
  listener->drained = listener->paused == NULL;
  listener->paused = NULL;
  listener->acceptor = NULL;
}

static void forget(tide_wait *wait, int outcome) {
  if (outcome != TIDE_OK) return;
  listener_of(wait)->acceptor = NULL;
  listener_of(wait)->paused = NULL;
}

static const tide_wait_ops accept_ops = {
    .name = "Listener.accept", .abandon = leave, .reject = forget};

/* Connections that failed before they were accepted are no failure of the listener's. */
static bool concerns_one_connection(int error) {
  switch (-error) {
  case ECONNABORTED:
  case EPROTO:
  case EPERM:
  case ENETDOWN:
  case ENETUNREACH:
  case EHOSTDOWN:
  case EHOSTUNREACH:
  case ENONET:
  case ENOPROTOOPT:
  case EOPNOTSUPP:
  case ETIMEDOUT:
    return true;
  default:
    return false;
  }
}

static bool concerns_resources(int error) {
  return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

/* Closed behind the connection that was accepted, where nobody will see it. */
static void drop(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) tide__sys_close((int)wait->value.integer);
}

static int park(tide_listener *listener, tide_task *task) {
  listener->drained = false; /* once the wait has ended well */
  return tide__fd_park(&listener->fd, task, TIDE_READABLE);
}

static int take_a_rest(tide_listener *listener, tide_task *task) {
  tide_loop *loop = listener->fd.loop;
  int result = tide__wait_park_until(task, tide_loop_after(loop, PAUSE));
  if (result == TIDE_PENDING) listener->paused = &task->wait;
  return result;
}

/* TIDE_OK; TIDE_PENDING: there is nobody; TIDE_OS(...), also of resources. */
static int take(tide_listener *listener, int *fd) {
  if (listener->drained && !listener->fd.missed) return TIDE_PENDING;
  *fd = tide__sys_accept(listener->fd.fd);
  listener->drained = listener->fd.missed = false;
  if (*fd >= 0) return TIDE_OK;
  return *fd == -EAGAIN || concerns_one_connection(*fd) ? TIDE_PENDING : TIDE_OS(-*fd);
}

static int try_accept(tide_listener *listener, tide_task *task, int *fd) {
  int result = take(listener, fd);
  if (result == TIDE_PENDING) return park(listener, task);
  if (result != TIDE_OK && concerns_resources(*fd)) return take_a_rest(listener, task);
  return result;
}

int tide_listener_accept(tide_listener *listener, tide_task *task, int *fd) {
  if (listener->paused == &task->wait) listener->paused = NULL;
  int result = tide__recall_enter(&listener->fd, &listener->acceptor, task, &accept_ops);
  if (result != TIDE_OK) return result;
  return tide__recall_leave(&listener->acceptor, task, try_accept(listener, task, fd));
}

/* As a case of select: parked, it only says that another attempt may succeed. wait.value: what was
 * accepted, or, while it is parked, the error of the last attempt. */

static void leave_case(tide_wait *wait) {
  tide_listener *listener = listener_of(wait);
  if (concerns_resources((int)wait->value.integer)) {
    tide__wait_stop(wait);
    return;
  }
  tide__fd_leave(wait);
  listener->drained = true;
}

static int attempt(tide_case *self) {
  int fd = -EAGAIN;
  tide_listener *listener = listener_of(&self->wait);
  if (listener->fd.fd < 0) return TIDE_ECLOSED;
  if (listener->acceptor != NULL) return TIDE_EBUSY;
  int result = take(listener, &fd);
  self->wait.value.integer = fd;
  return result != TIDE_OK && concerns_resources(fd) ? TIDE_PENDING : result;
}

static int park_case(tide_case *self) {
  tide_listener *listener = listener_of(&self->wait);
  if (concerns_resources((int)self->wait.value.integer))
    return tide__wait_start(&self->wait, tide_loop_after(listener->fd.loop, PAUSE));
  listener->drained = false;
  return tide__fd_wait(&listener->fd, &self->wait, TIDE_READABLE);
}

static const tide_wait_ops case_wait = {
    .name = "Listener.accept", .abandon = leave_case, .reject = drop};
static const tide_case_ops case_ops = {
    .wait = &case_wait, .attempt = attempt, .park = park_case, .again = true};

void tide_case_accept(tide_case *self, tide_listener *listener) {
  *self = (tide_case){.ops = &case_ops, .wait.source = &listener->fd};
}

void tide_listener_close(tide_listener *listener) {
  int fd = listener->fd.fd;
  if (fd < 0) return;
  if (listener->paused != NULL) tide__task_interrupt(listener->paused->task, TIDE_ECLOSED);
  tide_address address;
  uint64_t file[2] = {0, 0};
  if (listener->file[1] != 0 && tide__sys_local_address(fd, &address) == 0 &&
      tide__sys_socket_file(path_of(&address), file) == 0 && file[0] == listener->file[0] &&
      file[1] == listener->file[1])
    tide__sys_unlink(path_of(&address));
  tide_fd_term(&listener->fd);
  tide__sys_close(fd);
}

int tide_listener_address(const tide_listener *listener, tide_address *address) {
  if (listener->fd.fd < 0) return TIDE_ECLOSED;
  int error = tide__sys_local_address(listener->fd.fd, address);
  return error < 0 ? TIDE_OS(-error) : TIDE_OK;
}
