/* fd.c: descriptor interest as waits. */
#include "fd.h"

#include "private.h"
#include "sys.h"

static void arm(tide_fd *self, int events) {
  if (events == self->armed) return;
  self->armed = (uint8_t)events;
  tide__watcher_set(&self->watcher, self->loop, events);
}

static tide_wait *take(tide_fd *self, tide_wait **place) {
  tide_wait *wait = *place;
  *place = NULL;
  if (wait != NULL) tide_loop_release(self->loop);
  return wait;
}

/* `self` is not touched once a wait has ended: what hears of it may free the descriptor. */
static void ready(tide_watcher *watcher, int events) {
  tide_fd *self = tide_container(watcher, tide_fd, watcher);
  tide_wait *reader = events & TIDE_READABLE ? take(self, &self->reader) : NULL;
  tide_wait *writer = events & TIDE_WRITABLE ? take(self, &self->writer) : NULL;
  if (events & TIDE_READABLE) self->missed = reader == NULL;
  self->unwatched = (events & TIDE_UNWATCHED) != 0;
  int unwanted = (self->missed ? TIDE_READABLE : 0) | (events & TIDE_WRITABLE);
  arm(self, self->unwatched ? 0 : self->armed & ~unwanted);
  if (reader != NULL) tide__wait_end(reader, TIDE_OK);
  if (writer != NULL) tide__wait_end(writer, TIDE_OK);
}

void tide__fd_leave(tide_wait *wait) {
  tide_fd *self = wait->source;
  if (self->reader == wait) take(self, &self->reader);
  if (self->writer == wait) take(self, &self->writer);
}

static const tide_wait_ops read_ops = {.name = "read", .abandon = tide__fd_leave};
static const tide_wait_ops write_ops = {.name = "write", .abandon = tide__fd_leave};

void tide_fd_init(tide_fd *self, tide_loop *loop, int fd) {
  *self = (tide_fd){.loop = loop, .fd = fd};
  tide_watcher_init(&self->watcher, fd, ready);
}

static int why_unwatched(const tide_fd *self) {
  int open = tide__sys_is_open(self->fd);
  return open < 0 ? TIDE_OS(-open) : TIDE_ENOMEM;
}

int tide__fd_wait(tide_fd *self, tide_wait *wait, int events) {
  tide_wait **place = events == TIDE_READABLE ? &self->reader : &self->writer;
  if (self->fd < 0) return TIDE_ECLOSED;
  if (*place != NULL) return TIDE_EBUSY;
  if (self->unwatched) return why_unwatched(self);
  *place = wait;
  tide_loop_hold(self->loop);
  arm(self, self->armed | events);
  return TIDE_OK;
}

int tide__fd_park(tide_fd *self, tide_task *task, int events) {
  int error = tide__fd_wait(self, &task->wait, events);
  return error == TIDE_OK ? tide__task_park(task) : error;
}

int tide_fd_wait(tide_fd *self, tide_task *task, int events) {
  const tide_wait_ops *ops = events == TIDE_READABLE ? &read_ops : &write_ops;
  if (!tide__wait_enter(task, ops, self)) return TIDE_PENDING;
  int result = tide__fd_park(self, task, events);
  return result == TIDE_PENDING ? result : tide__wait_over(task, result);
}

/* Through tide__task_interrupt, so that the source may be gone when the task learns of it. */
static void end_closed(tide_wait *wait) {
  if (wait == NULL) return;
  if (wait->task != NULL) {
    tide__task_interrupt(wait->task, TIDE_ECLOSED);
    return;
  }
  tide__fd_leave(wait);
  wait->ops->ended(wait, TIDE_ECLOSED);
}

void tide_fd_term(tide_fd *self) {
  arm(self, 0);
  self->fd = -1;
  end_closed(self->reader);
  end_closed(self->writer);
}
