/* outbox.c: sending on in the background. */
#include "outbox.h"

static const tide_time SECOND = 1000000000; /* nanoseconds */

/* Seconds in which something must be taken; and what is left to the other end once it has all. */
enum { PATIENCE = 5, PARTING = 2 };

static void writable(tide_wait *wait, int outcome);
static void outbox_leave(tide_wait *wait);
static void look(tide_timer *timer);

static const tide_wait_ops flush_ops = {
    .name = "flush", .abandon = outbox_leave, .ended = writable};

tide__outbox *tide__outbox_new(tide_loop *loop, tide_stream *stream, const tide__outbox_ops *ops) {
  tide__shared *shared = tide__shared_of(loop);
  tide__outbox *self = shared != NULL ? tide_alloc(&loop->allocator, sizeof *self) : NULL;
  if (self == NULL) return NULL;
  *self = (tide__outbox){.shared = shared, .stream = stream, .ops = ops};
  if (stream != NULL) self->transport = stream->transport;
  self->wait = (tide_wait){.ops = &flush_ops, .source = self};
  tide_timer_init(&self->look, look);
  tide_list_append(&shared->sending, &self->link);
  return self;
}

void tide__outbox_free(tide__outbox *self) {
  tide_loop *loop = self->shared->loop;
  tide_list_remove(&self->link);
  tide_timer_stop(&self->look, loop);
  tide_buffer_term(&self->bytes, &loop->allocator);
  tide_free(&loop->allocator, self, sizeof *self);
}

int tide__outbox_add(tide__outbox *self, const struct iovec *parts, size_t count, size_t skip) {
  size_t total = 0;
  for (size_t i = 0; i < count; i++) total += parts[i].iov_len;
  int error = tide_buffer_reserve(&self->bytes, &self->shared->loop->allocator, total - skip);
  if (error != TIDE_OK) return error;
  for (size_t i = 0; i < count; i++) {
    size_t skipped = skip < parts[i].iov_len ? skip : parts[i].iov_len;
    skip -= skipped;
    const char *from = parts[i].iov_base;
    if (skipped < parts[i].iov_len)
      tide_buffer_append(&self->bytes, from + skipped, parts[i].iov_len - skipped);
  }
  return TIDE_OK;
}

int tide__outbox_start(tide__outbox *self) {
  return self->transport->ops->wait(self->transport, &self->wait, TIDE_WRITABLE);
}

void tide__outbox_stop(tide__outbox *self) {
  self->transport->ops->leave(self->transport, &self->wait);
}

static void outbox_leave(tide_wait *wait) {
  tide__outbox_stop(tide_container(wait, tide__outbox, wait));
}

/* Notes whether the other end has taken something since the last time. */
static void see_what_is_taken(tide__outbox *self, bool sent) {
  size_t untaken = self->transport->ops->untaken(self->transport);
  if (untaken < self->untaken) sent = true;
  self->untaken = untaken;
  if (!sent) return;
  self->taken_at = tide_loop_after(self->shared->loop, 0);
  self->stuck = false;
}

static void writable(tide_wait *wait, int outcome) {
  tide__outbox *self = tide_container(wait, tide__outbox, wait);
  struct iovec all = {tide_buffer_bytes(&self->bytes), tide_buffer_size(&self->bytes)};
  size_t sent = 0;
  if (outcome == TIDE_OK)
    outcome = tide__transport_write(self->transport, &all, 1, all.iov_len, &sent);
  if (outcome == TIDE_PENDING) outcome = TIDE_OK;
  tide_buffer_consume(&self->bytes, sent);
  if (sent > 0 && (self->stuck || tide_timer_armed(&self->look))) see_what_is_taken(self, true);
  if (outcome == TIDE_OK && tide_buffer_size(&self->bytes) > 0) outcome = tide__outbox_start(self);
  self->ops->progress(self, outcome);
}

/* The system tells nobody when something is taken: it is looked at every second. */
static int look_again(tide__outbox *self) {
  bool all_taken = self->untaken == 0 && tide_buffer_size(&self->bytes) == 0;
  tide_loop *loop = self->shared->loop;
  tide_time last = tide_time_add(self->taken_at, (all_taken ? PARTING : PATIENCE) * SECOND);
  tide_time next = tide_loop_after(loop, SECOND);
  self->stuck = last <= loop->now;
  return self->stuck ? TIDE_OK : tide_timer_start(&self->look, loop, next < last ? next : last);
}

static void look(tide_timer *timer) {
  tide__outbox *self = tide_container(timer, tide__outbox, look);
  see_what_is_taken(self, false);
  if (look_again(self) != TIDE_OK) self->stuck = true;
  if (self->stuck) self->ops->stuck(self);
}

int tide__outbox_watch(tide__outbox *self) {
  tide__outbox_unwatch(self);
  self->untaken = self->transport->ops->untaken(self->transport);
  self->taken_at = tide_loop_after(self->shared->loop, 0);
  return look_again(self);
}

bool tide__outbox_is_stuck(tide__outbox *self) {
  if (self->stuck) see_what_is_taken(self, false);
  return self->stuck;
}

void tide__outbox_unwatch(tide__outbox *self) { tide_timer_stop(&self->look, self->shared->loop); }
