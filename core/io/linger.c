/* linger.c: the end of streams that were closed with unsent bytes. */
#include "linger.h"

#include "stream.h"
#include "sys.h"

static const tide_time PATIENCE = 5000000000u; /* nanoseconds */

typedef struct remains {
  tide_list link;       /* among the loop's */
  tide_fd fd;           /* owned, with its descriptor */
  tide_timer deadline;  /* when to give up */
  tide__outbox *outbox; /* owned */
} remains;

/* Who got a part of what was written must not take it for the whole. */
static void end(int fd, const tide__outbox *outbox) {
  if (tide_buffer_size(&outbox->bytes) == 0)
    tide__sys_close(fd);
  else
    tide__sys_abort(fd);
}

static void finish(remains *self) {
  tide_loop *loop = self->fd.loop;
  int fd = self->fd.fd;
  tide_timer_stop(&self->deadline, loop);
  tide__outbox_stop(self->outbox);
  tide_fd_term(&self->fd);
  end(fd, self->outbox);
  tide__outbox_free(self->outbox, loop);
  tide_list_remove(&self->link);
  loop->io->lingering_count--;
  tide_free(&loop->allocator, self, sizeof *self);
}

static void progress(tide__outbox *outbox, int error) {
  if (error != TIDE_OK || tide_buffer_size(&outbox->bytes) == 0)
    finish(tide_container(outbox->fd, remains, fd));
}

static void give_up(tide_timer *timer) { finish(tide_container(timer, remains, deadline)); }

static void drop(tide_loop *loop, int fd, tide__outbox *outbox) {
  end(fd, outbox);
  tide__outbox_free(outbox, loop);
}

void tide__linger(tide_loop *loop, int fd, tide__outbox *outbox) {
  tide__shared *shared = tide__shared_of(loop);
  remains *self = shared != NULL ? tide_alloc(&loop->allocator, sizeof *self) : NULL;
  if (self == NULL) {
    drop(loop, fd, outbox);
    return;
  }
  tide_fd_init(&self->fd, loop, fd);
  self->outbox = outbox;
  outbox->fd = &self->fd;
  outbox->progress = progress;
  tide_list_append(&shared->lingering, &self->link);
  shared->lingering_count++;
  tide_timer_init(&self->deadline, give_up);
  int error = tide_timer_start(&self->deadline, loop, tide_loop_after(loop, PATIENCE));
  if (error == TIDE_OK) error = tide__outbox_start(outbox);
  if (error != TIDE_OK) finish(self);
}

void tide__linger_drop_all(tide_loop *loop) {
  tide_list *all = &loop->io->lingering;
  while (!tide_list_empty(all)) finish(tide_container(all->next, remains, link));
}

size_t tide_loop_lingering(const tide_loop *loop) {
  return loop->io != NULL ? loop->io->lingering_count : 0;
}
