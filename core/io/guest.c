/* guest.c: a thread that polls the loop's descriptor, and wakes the host. */
#include "guest.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "../sched/private.h"
#include "sys.h"

/* The loop's, and with it; the thread uses what is behind `lock`, and what never changes. */
typedef struct sentry {
  tide__attachment attachment;
  tide_defer at_rest; /* a tick has ended: it is never in a list */
  tide_loop *loop;
  tide_wake_fn wake;
  void *context;
  int fd;   /* the loop's own */
  int bell; /* ends the thread's poll when it is to end */
  pthread_t thread;
  pthread_mutex_t lock; /* of the next three */
  pthread_cond_t changed;
  bool armed;  /* the host is to be woken when the loop's descriptor is readable */
  bool ending; /* nobody is to be woken any more */
} sentry;

/* Waits until the loop's descriptor is readable, or the bell rings. */
static bool poll_both(const sentry *self) {
  struct pollfd fds[] = {{.fd = self->fd, .events = POLLIN}, {.fd = self->bell, .events = POLLIN}};
  return poll(fds, 2, -1) > 0 && fds[1].revents == 0;
}

/* Between two wakes it waits to be told that a tick has found nothing more to do. */
static void *watch(void *argument) {
  sentry *self = argument;
  pthread_mutex_lock(&self->lock);
  while (!self->ending) {
    if (!self->armed) {
      pthread_cond_wait(&self->changed, &self->lock);
      continue;
    }
    pthread_mutex_unlock(&self->lock);
    bool came = poll_both(self);
    pthread_mutex_lock(&self->lock);
    if (!came || !self->armed || self->ending) continue;
    self->armed = false;
    pthread_mutex_unlock(&self->lock);
    self->wake(self->context);
    pthread_mutex_lock(&self->lock);
  }
  pthread_mutex_unlock(&self->lock);
  return NULL;
}

static void set_armed(sentry *self, bool armed) {
  pthread_mutex_lock(&self->lock);
  self->armed = armed;
  if (armed) pthread_cond_signal(&self->changed);
  pthread_mutex_unlock(&self->lock);
}

static void rested(tide_defer *at_rest) {
  sentry *self = tide_container(at_rest, sentry, at_rest);
  bool ready = tide__ready(self->loop);
  set_armed(self, !ready);
  if (ready) self->wake(self->context);
}

static void free_sentry(sentry *self) {
  pthread_cond_destroy(&self->changed);
  pthread_mutex_destroy(&self->lock);
  if (self->bell >= 0) tide__sys_close(self->bell);
  tide_free(&self->loop->allocator, self, sizeof *self);
}

static void sentry_term(tide__attachment *attachment, tide_loop *loop) {
  sentry *self = tide_container(attachment, sentry, attachment);
  const uint64_t once = 1;
  loop->at_rest = NULL;
  pthread_mutex_lock(&self->lock);
  self->ending = true;
  pthread_cond_signal(&self->changed);
  pthread_mutex_unlock(&self->lock);
  while (write(self->bell, &once, sizeof once) < 0) continue; /* EINTR */
  pthread_join(self->thread, NULL);
  free_sentry(self);
}

static int start(sentry *self) {
  self->fd = tide_loop_fd(self->loop);
  if (self->fd < 0) return self->fd;
  self->bell = tide__sys_eventfd(self->loop);
  if (self->bell < 0) return TIDE_OS(-self->bell);
  int error = tide__sys_thread(self->loop, &self->thread, watch, self);
  return error != 0 ? TIDE_OS(-error) : TIDE_OK;
}

int tide_loop_guest_start(tide_loop *loop, tide_wake_fn wake, void *context) {
  if (tide__attachment_find(loop, sentry_term) != NULL) return TIDE_EALREADY_RUNNING;
  sentry *self = tide_alloc(&loop->allocator, sizeof *self);
  if (self == NULL) return TIDE_ENOMEM;
  *self = (sentry){.attachment = {.term = sentry_term},
                   .loop = loop,
                   .wake = wake,
                   .context = context,
                   .bell = -1,
                   .armed = true};
  tide_defer_init(&self->at_rest, rested);
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->changed, NULL);
  int error = start(self);
  if (error != TIDE_OK) {
    free_sentry(self);
    return error;
  }
  tide_list_append(&loop->attachments, &self->attachment.link);
  loop->at_rest = &self->at_rest;
  return TIDE_OK;
}

void tide_loop_guest_stop(tide_loop *loop) {
  tide__attachment *found = tide__attachment_find(loop, sentry_term);
  if (found == NULL) return;
  tide_list_remove(&found->link);
  found->term(found, loop);
}
