/* shared.c: what the descriptors of one loop share. */
#include "private.h"

static void term(tide__attachment *attachment, tide_loop *loop) {
  tide__shared *shared = tide_container(attachment, tide__shared, attachment);
  tide__linger_drop_all(loop);
  loop->io = NULL;
  tide_free(&loop->allocator, shared, sizeof *shared);
}

tide__shared *tide__shared_of(tide_loop *loop) {
  if (loop->io != NULL) return loop->io;
  tide__shared *shared = tide_alloc(&loop->allocator, sizeof *shared);
  if (shared == NULL) return NULL;
  shared->attachment.term = term;
  shared->lingering_count = 0;
  tide_list_init(&shared->lingering);
  tide_list_append(&loop->attachments, &shared->attachment.link);
  return loop->io = shared;
}
