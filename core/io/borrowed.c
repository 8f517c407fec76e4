/* borrowed.c: descriptors of others.
 *
 * libev aborts the process where it is to watch what is no descriptor. So right before it is
 * polled, which is when it tells the kernel, those whose watching has changed are looked at. */
#include "borrowed.h"

#include "private.h"
#include "sys.h"

static tide_borrowed_fd *borrowed_of(tide_fd *fd) {
  return tide_container(fd, tide_borrowed_fd, fd);
}

int tide_borrowed_fd_init(tide_borrowed_fd *self, tide_loop *loop, int fd) {
  *self = (tide_borrowed_fd){.changed = false};
  tide_list_init(&self->link);
  tide_fd_init(&self->fd, loop, -1);
  int error = tide__sys_is_watchable(loop, fd);
  if (error < 0) return TIDE_OS(-error);
  tide__shared *shared = tide__shared_of(loop);
  if (shared == NULL) return TIDE_ENOMEM;
  tide_fd_init(&self->fd, loop, fd);
  self->fd.borrowed = true;
  tide_list_append(&shared->borrowed, &self->link);
  return TIDE_OK;
}

static void note(tide__shared *shared, tide_borrowed_fd *self) {
  if (!self->changed) {
    self->changed = true;
    tide_list_remove(&self->link);
    tide_list_prepend(&shared->borrowed, &self->link);
  }
  tide__defer_to_poll(&shared->before_poll, shared->loop);
}

void tide__borrowed_changed(tide_fd *fd) { note(tide__shared_find(fd->loop), borrowed_of(fd)); }

static void for_all_of(tide__shared *shared, int fd,
                       void (*act)(tide__shared *, tide_borrowed_fd *)) {
  for (tide_list *link = shared->borrowed.next, *next; link != &shared->borrowed; link = next) {
    tide_borrowed_fd *self = tide_container(link, tide_borrowed_fd, link);
    next = link->next;
    if (self->fd.fd == fd) act(shared, self);
  }
}

/* libev looks at a descriptor as a whole: what the others watch of it, it tells the kernel anew. */
void tide_borrowed_fd_term(tide_borrowed_fd *self) {
  int fd = self->fd.fd;
  bool armed = self->fd.armed != 0;
  tide_fd_term(&self->fd);
  tide_list_remove(&self->link);
  if (armed) for_all_of(tide__shared_find(self->fd.loop), fd, note);
}

static void lose(tide__shared *shared, tide_borrowed_fd *self) {
  (void)shared;
  tide__fd_lose(&self->fd);
}

void tide__borrowed_check(tide_defer *defer) {
  tide__shared *shared = tide_container(defer, tide__shared, before_poll);
  for (tide_list *link = shared->borrowed.next; link != &shared->borrowed; link = link->next) {
    tide_borrowed_fd *self = tide_container(link, tide_borrowed_fd, link);
    if (!self->changed) break;
    self->changed = false;
    if (tide__sys_is_open(self->fd.fd) == 0) continue;
    for_all_of(shared, self->fd.fd, lose);
    link = &shared->borrowed; /* they have changed */
  }
}
