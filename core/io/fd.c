/* fd.c: descriptor interest as waits. */
#include "fd.h"

#include "../sched/case.h"
#include "private.h"
#include "sys.h"

static void arm(tide_fd *self, int events) {
  if (events == self->armed) return;
  self->armed = (uint8_t)events;
  tide__watcher_set(&self->watcher, self->loop, events);
  if (self->borrowed) tide__borrowed_changed(self);
}

static tide_wait **place_of(tide_fd *self, int events) {
  return events == TIDE_READABLE ? &self->reader : &self->writer;
}

static tide_wait *fd_take(tide_fd *self, int events) {
  tide_wait **place = place_of(self, events), *wait = *place;
  *place = NULL;
  if (wait == NULL) return NULL;
  if (self->resting & events)
    tide_timer_stop(&wait->in.timer, self->loop);
  else
    tide_loop_release(self->loop);
  self->resting &= (uint8_t)~events;
  return wait;
}

/* Whether one task has both places, in a select; or none has: who is told may free both. */
static bool is_shared(const tide_fd *self) {
  return self->reader != NULL && self->writer != NULL && self->reader->task == self->writer->task;
}

/* Who has both places is told of one event; the other comes again. A select is over then. Without a
 * task it is the writer: it is done at some time, as what comes in need never be. */
static int without_second(const tide_fd *self, int events) {
  if (!(events & TIDE_READABLE) || !(events & TIDE_WRITABLE) || !is_shared(self)) return events;
  return events & ~(self->reader->task != NULL ? TIDE_WRITABLE : TIDE_READABLE);
}

/* `self` is not touched once a wait has ended: what hears of it may free the descriptor. */
static void ready(tide_watcher *watcher, int events) {
  tide_fd *self = tide_container(watcher, tide_fd, watcher);
  events = without_second(self, events);
  tide_wait *reader = events & TIDE_READABLE ? fd_take(self, TIDE_READABLE) : NULL;
  tide_wait *writer = events & TIDE_WRITABLE ? fd_take(self, TIDE_WRITABLE) : NULL;
  if (events & TIDE_READABLE) self->missed = reader == NULL;
  self->unwatched = (events & TIDE_UNWATCHED) != 0;
  bool idle = self->missed && self->reader == NULL; /* one may wait for what is told again */
  int unwanted = (idle ? TIDE_READABLE : 0) | (events & TIDE_WRITABLE);
  arm(self, self->unwatched ? 0 : self->armed & ~unwanted);
  if (reader != NULL) tide__wait_end(reader, TIDE_OK);
  if (writer != NULL) tide__wait_end(writer, TIDE_OK);
}

void tide__fd_leave(tide_wait *wait) { tide__fd_take_out(wait->source, wait); }

void tide__fd_take_out(tide_fd *self, tide_wait *wait) {
  if (self->reader == wait) fd_take(self, TIDE_READABLE);
  if (self->writer == wait) fd_take(self, TIDE_WRITABLE);
}

static const tide_wait_ops read_ops = {.name = "read", .abandon = tide__fd_leave};
static const tide_wait_ops write_ops = {.name = "write", .abandon = tide__fd_leave};

void tide_fd_init(tide_fd *self, tide_loop *loop, int fd) {
  *self = (tide_fd){.loop = loop, .fd = fd};
  tide_watcher_init(&self->watcher, fd, ready);
}

static int why_unwatched(const tide_fd *self) {
  if (self->borrowed) return TIDE_OS(EBADF);
  int open = tide__sys_is_open(self->fd);
  return open < 0 ? TIDE_OS(-open) : TIDE_ENOMEM;
}

/* Whether somebody may take the place. */
static int check_place(const tide_fd *self, const tide_wait *taken) {
  if (self->fd < 0) return TIDE_ECLOSED;
  return taken != NULL ? TIDE_EBUSY : TIDE_OK;
}

int tide__fd_wait(tide_fd *self, tide_wait *wait, int events) {
  tide_wait **place = place_of(self, events);
  int error = check_place(self, *place);
  if (error != TIDE_OK) return error;
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

static void rested(tide_timer *timer) {
  tide_wait *wait = tide_container(timer, tide_wait, in.timer);
  tide__fd_leave(wait);
  tide__wait_end(wait, TIDE_OK);
}

int tide__fd_rest(tide_fd *self, tide_wait *wait, int events, tide_time span) {
  tide_wait **place = place_of(self, events);
  int error = check_place(self, *place);
  if (error != TIDE_OK) return error;
  tide_timer_init(&wait->in.timer, rested);
  error = tide_timer_start(&wait->in.timer, self->loop, tide_loop_after(self->loop, span));
  if (error != TIDE_OK) return error;
  *place = wait;
  self->resting |= (uint8_t)events;
  arm(self, self->armed & ~events);
  return TIDE_OK;
}

int tide__fd_overhear(tide_fd *self, tide_wait *wait, int events) {
  int error = tide__fd_wait(self, wait, events);
  if (error != TIDE_OK) return error;
  tide_timer_init(&wait->in.timer, rested);
  self->resting |= (uint8_t)events;
  tide_loop_release(self->loop);
  return TIDE_OK;
}

int tide__fd_rest_park(tide_fd *self, tide_task *task, int events, tide_time span) {
  int error = tide__fd_rest(self, &task->wait, events, span);
  return error == TIDE_OK ? tide__task_park(task) : error;
}

int tide_fd_wait(tide_fd *self, tide_task *task, int events) {
  const tide_wait_ops *ops = events == TIDE_READABLE ? &read_ops : &write_ops;
  if (!tide__wait_enter(task, ops, self)) return TIDE_PENDING;
  int result = tide__fd_park(self, task, events);
  return result == TIDE_PENDING ? result : tide__wait_over(task, result);
}

static void end_closed(tide_wait *wait) {
  if (wait != NULL) tide__wait_break(wait, TIDE_ECLOSED);
}

void tide_fd_term(tide_fd *self) {
  arm(self, 0);
  self->fd = -1;
  end_closed(self->reader);
  end_closed(self->writer);
}

void tide__fd_lose(tide_fd *self) {
  arm(self, 0);
  self->unwatched = true;
  if (self->reader != NULL) tide__wait_break(self->reader, TIDE_OS(EBADF));
  if (self->writer != NULL) tide__wait_break(self->writer, TIDE_OS(EBADF));
}

/* As a case of select. */

static int fd_attempt(tide_case *self) {
  const tide_fd *fd = self->wait.source;
  return fd->fd < 0 ? TIDE_ECLOSED : TIDE_PENDING;
}

static int park_reader(tide_case *self) {
  return tide__fd_wait(self->wait.source, &self->wait, TIDE_READABLE);
}

static int park_writer(tide_case *self) {
  return tide__fd_wait(self->wait.source, &self->wait, TIDE_WRITABLE);
}

static const tide_case_ops read_case = {
    .wait = &read_ops, .attempt = fd_attempt, .park = park_reader};
static const tide_case_ops write_case = {
    .wait = &write_ops, .attempt = fd_attempt, .park = park_writer};

void tide_case_fd(tide_case *self, tide_fd *fd, int events) {
  *self = (tide_case){.ops = events == TIDE_READABLE ? &read_case : &write_case, .wait.source = fd};
}
