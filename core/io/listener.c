/* listener.c: binding, listening, accepting. */
#include "listener.h"

#include <errno.h>
#include <netinet/tcp.h>

#include "../sched/case.h"
#include "bound.h"
#include "recall.h"

enum { DEFAULT_BACKLOG = 4096 };

static const tide_time PAUSE = 100000000; /* nanoseconds until descriptors are asked for again */

/* Opening. */

/* Options that accepted connections inherit are set here once. */
static int set_options(const tide_loop *loop, int fd, const tide_address *address,
                       const tide_listen_options *options) {
  if (tide_address_is_unix(address)) return 0;
  int error = tide__sys_set_option(loop, fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (error == 0 && options->reuseport)
    error = tide__sys_set_option(loop, fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (error == 0 && !options->nagle)
    error = tide__sys_set_option(loop, fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return error;
}

static int prepare(const tide_loop *loop, int fd, const tide_address *address,
                   const tide_listen_options *options, uint64_t file[2]) {
  int error = set_options(loop, fd, address, options);
  if (error == 0) error = tide__bound_bind(loop, fd, address, SOCK_STREAM, file);
  if (error == 0)
    error = tide__sys_listen(loop, fd, options->backlog > 0 ? options->backlog : DEFAULT_BACKLOG);
  return error;
}

int tide_listener_open(tide_listener *listener, tide_loop *loop, const tide_address *address,
                       const tide_listen_options *options) {
  static const tide_listen_options defaults = {0};
  *listener = (tide_listener){.fd.fd = -1, .drained = true};
  int fd = tide__sys_socket(loop, address->as.any.sa_family, SOCK_STREAM);
  int error =
      fd < 0 ? fd
             : prepare(loop, fd, address, options != NULL ? options : &defaults, listener->file);
  if (error < 0) {
    if (fd >= 0) tide__sys_close(fd);
    return TIDE_OS(-error);
  }
  tide_fd_init(&listener->fd, loop, fd);
  return TIDE_OK;
}

/* Accepting. */

static tide_listener *listener_of(const tide_wait *wait) {
  return tide_container(wait->source, tide_listener, fd);
}

static void accept_leave(tide_wait *wait) {
  tide_listener *listener = listener_of(wait);
  listener->drained = !tide_listener_paused(listener);
  listener->acceptor = NULL;
  tide__fd_leave(wait);
}

static void accept_forget(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) listener_of(wait)->acceptor = NULL;
}

static const tide_wait_ops accept_ops = {
    .name = "Listener.accept", .abandon = accept_leave, .reject = accept_forget};

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

/* TIDE_OK; TIDE_PENDING: there is nobody; TIDE_OS(...), also of resources. */
static int accept_take(tide_listener *listener, int *fd) {
  *fd = -EAGAIN;
  if (listener->drained && !listener->fd.missed) return TIDE_PENDING;
  *fd = tide__sys_accept(listener->fd.loop, listener->fd.fd);
  listener->drained = listener->fd.missed = false;
  if (*fd >= 0) return TIDE_OK;
  return *fd == -EAGAIN || concerns_one_connection(*fd) ? TIDE_PENDING : TIDE_OS(-*fd);
}

/* Where `accept_take` gave nothing: watches for the next connection or, where there was none to be
 * had for want of descriptors, takes a rest. */
static int watch(tide_listener *listener, tide_wait *wait, int result) {
  if (result != TIDE_PENDING) return tide__fd_rest(&listener->fd, wait, TIDE_READABLE, PAUSE);
  listener->drained = false; /* once the wait has ended well */
  return tide__fd_wait(&listener->fd, wait, TIDE_READABLE);
}

static bool is_to_watch(int result, int fd) {
  return result == TIDE_PENDING || (result != TIDE_OK && concerns_resources(fd));
}

static int try_accept(tide_listener *listener, tide_task *task, int *fd) {
  int result = accept_take(listener, fd);
  if (!is_to_watch(result, *fd)) return result;
  int error = watch(listener, &task->wait, result);
  return error == TIDE_OK ? tide__task_park(task) : error;
}

int tide_listener_accept(tide_listener *listener, tide_task *task, int *fd) {
  int result = tide__recall_enter(&listener->fd, listener->fd.fd < 0, &listener->acceptor, task,
                                  &accept_ops);
  if (result != TIDE_OK) return result;
  if (listener->chooser != NULL) return TIDE_EBUSY;
  return tide__recall_leave(&listener->acceptor, task, try_accept(listener, task, fd));
}

int tide_listener_accept_stream(tide_listener *listener, tide_task *task, tide_stream *stream) {
  int fd;
  int result = tide_listener_accept(listener, task, &fd);
  if (result == TIDE_OK) tide_stream_init(stream, listener->fd.loop, fd);
  return result;
}

/* As a case of select. What is parked in the descriptor is a wait of the listener's own, which
 * accepts, and then ends the case's. wait.value: what was accepted, or, until then, what the
 * attempt gave. */

static void leave_case(tide_wait *wait) {
  tide_listener *listener = listener_of(wait);
  listener->chooser = NULL;
  accept_leave(&listener->watch);
}

/* Closed behind the connection that was accepted, where nobody will see it. */
static void drop(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) tide__sys_close((int)wait->value.integer);
}

static int accept_attempt(tide_case *self) {
  int fd = -EAGAIN;
  tide_listener *listener = listener_of(&self->wait);
  if (listener->fd.fd < 0) return TIDE_ECLOSED;
  if (listener->acceptor != NULL || listener->chooser != NULL) return TIDE_EBUSY;
  int result = accept_take(listener, &fd);
  self->wait.value.integer = is_to_watch(result, fd) ? result : fd;
  return is_to_watch(result, fd) ? TIDE_PENDING : result;
}

static void accept_for_case(tide_wait *watching, int outcome) {
  int fd = -EAGAIN;
  tide_listener *listener = tide_container(watching, tide_listener, watch);
  tide_wait *chooser = listener->chooser;
  if (outcome != TIDE_OK) {
    tide__wait_break(chooser, outcome);
    return;
  }
  int result = accept_take(listener, &fd);
  if (is_to_watch(result, fd)) {
    result = watch(listener, watching, result);
    if (result == TIDE_OK) return;
  }
  listener->chooser = NULL;
  chooser->value.integer = fd;
  tide__wait_end(chooser, result);
}

static const tide_wait_ops watch_ops = {
    .name = "Listener.accept", .abandon = accept_leave, .ended = accept_for_case};

static int accept_park(tide_case *self) {
  tide_listener *listener = listener_of(&self->wait);
  if (listener->chooser != NULL) return TIDE_EBUSY; /* another case of the same select */
  listener->watch = (tide_wait){.ops = &watch_ops, .source = &listener->fd};
  int error = watch(listener, &listener->watch, (int)self->wait.value.integer);
  if (error == TIDE_OK) listener->chooser = &self->wait;
  return error;
}

static const tide_wait_ops case_wait = {
    .name = "Listener.accept", .abandon = leave_case, .reject = drop};
static const tide_case_ops case_ops = {
    .wait = &case_wait, .attempt = accept_attempt, .park = accept_park};

void tide_case_accept(tide_case *self, tide_listener *listener) {
  *self = (tide_case){.ops = &case_ops, .wait.source = &listener->fd};
}

void tide_listener_close(tide_listener *listener) {
  const tide_loop *loop = listener->fd.loop;
  int fd = listener->fd.fd;
  if (fd < 0) return;
  tide__bound_remove(loop, fd, listener->file);
  tide_fd_term(&listener->fd);
  tide__recall_close(&listener->acceptor);
  tide__sys_close(fd);
}

int tide_listener_address(const tide_listener *listener, tide_address *address) {
  if (listener->fd.fd < 0) return TIDE_ECLOSED;
  int error = tide__sys_local_address(listener->fd.loop, listener->fd.fd, address);
  return error < 0 ? TIDE_OS(-error) : TIDE_OK;
}
