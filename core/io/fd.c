/* fd.c: descriptor interest as waits. */
#include "fd.h"

#include "../sched/private.h"

static void arm(tide_fd *self, int events) {
  if (events == self->armed) return;
  self->armed = events;
  tide_watcher_set(&self->watcher, self->loop, events);
}

static void end_wait(tide_fd *self, tide_wait **place, int outcome) {
  tide_wait *wait = *place;
  if (wait == NULL) return;
  *place = NULL;
  self->loop->watching--;
  tide__wait_end(wait, outcome);
}

static void ready(tide_watcher *watcher, int events) {
  tide_fd *self = tide_container(watcher, tide_fd, watcher);
  int armed = self->armed;
  if ((events & TIDE_READABLE) && self->reader == NULL) armed &= ~TIDE_READABLE;
  if (events & TIDE_READABLE) end_wait(self, &self->reader, TIDE_OK);
  if (events & TIDE_WRITABLE) {
    armed &= ~TIDE_WRITABLE;
    end_wait(self, &self->writer, TIDE_OK);
  }
  arm(self, armed);
}

static void leave(tide_wait *wait) {
  tide_fd *self = wait->source;
  if (self->reader == wait) self->reader = NULL;
  if (self->writer == wait) self->writer = NULL;
  self->loop->watching--;
}

static const tide_wait_ops read_ops = {.name = "read", .abandon = leave};
static const tide_wait_ops write_ops = {.name = "write", .abandon = leave};

void tide_fd_init(tide_fd *self, tide_loop *loop, int fd) {
  *self = (tide_fd){.loop = loop, .fd = fd};
  tide_watcher_init(&self->watcher, fd, ready);
}

int tide_fd_wait(tide_fd *self, tide_task *task, int events) {
  bool reading = events == TIDE_READABLE;
  tide_wait **place = reading ? &self->reader : &self->writer;
  if (self->fd < 0) return TIDE_ECLOSED;
  if (*place != NULL) return TIDE_EBUSY;
  if (!tide__wait_enter(task, reading ? &read_ops : &write_ops, self)) return TIDE_PENDING;
  *place = &task->wait;
  self->loop->watching++;
  task->streak = 0;
  task->state = TIDE_TASK_WAITING;
  arm(self, self->armed | events);
  return TIDE_PENDING;
}

void tide_fd_term(tide_fd *self) {
  arm(self, 0);
  self->fd = -1;
  end_wait(self, &self->reader, TIDE_ECLOSED);
  end_wait(self, &self->writer, TIDE_ECLOSED);
}
