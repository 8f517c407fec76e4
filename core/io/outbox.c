/* outbox.c: sending on in the background. */
#include "outbox.h"

#include <errno.h>

#include "sys.h"

static void writable(tide_wait *wait, int outcome);

static const tide_wait_ops flush_ops = {
    .name = "flush", .abandon = tide__fd_leave, .ended = writable};

tide__outbox *tide__outbox_new(tide_fd *fd, bool plain,
                               void (*progress)(tide__outbox *self, int error)) {
  tide__outbox *self = tide_alloc(&fd->loop->allocator, sizeof *self);
  if (self == NULL) return NULL;
  *self = (tide__outbox){.fd = fd, .plain = plain, .progress = progress};
  self->wait.ops = &flush_ops;
  return self;
}

void tide__outbox_free(tide__outbox *self, tide_loop *loop) {
  tide_buffer_term(&self->bytes, &loop->allocator);
  tide_free(&loop->allocator, self, sizeof *self);
}

int tide__outbox_add(tide__outbox *self, const struct iovec *parts, size_t count, size_t skip) {
  size_t total = 0;
  for (size_t i = 0; i < count; i++) total += parts[i].iov_len;
  int error = tide_buffer_reserve(&self->bytes, &self->fd->loop->allocator, total - skip);
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
  self->wait.source = self->fd;
  return tide__fd_wait(self->fd, &self->wait, TIDE_WRITABLE);
}

void tide__outbox_stop(tide__outbox *self) { tide__fd_leave(&self->wait); }

static void writable(tide_wait *wait, int outcome) {
  tide__outbox *self = tide_container(wait, tide__outbox, wait);
  struct iovec all = {tide_buffer_bytes(&self->bytes), tide_buffer_size(&self->bytes)};
  ssize_t sent = outcome == TIDE_OK ? tide__sys_send(self->fd->fd, &all, 1, &self->plain) : 0;
  if (sent > 0) tide_buffer_consume(&self->bytes, (size_t)sent);
  if (sent < 0 && sent != -EAGAIN) outcome = TIDE_OS((int)-sent);
  if (outcome == TIDE_OK && tide_buffer_size(&self->bytes) > 0) outcome = tide__outbox_start(self);
  self->progress(self, outcome);
}
