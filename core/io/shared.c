/* shared.c: what the streams of one loop share. */
#include "private.h"

void tide__scratch_free(tide__shared *shared, tide_loop *loop) {
  if (shared->scratch != NULL) tide_free(&loop->allocator, shared->scratch, TIDE__SCRATCH);
  shared->scratch = NULL;
}

static void term(tide__attachment *attachment, tide_loop *loop) {
  tide__shared *shared = tide_container(attachment, tide__shared, attachment);
  tide__linger_drop_all(shared);
  tide__scratch_free(shared, loop);
  tide_free(&loop->allocator, shared, sizeof *shared);
}

tide__shared *tide__shared_find(const tide_loop *loop) {
  tide__attachment *found = tide__attachment_find(loop, term);
  return found != NULL ? tide_container(found, tide__shared, attachment) : NULL;
}

tide__shared *tide__shared_of(tide_loop *loop) {
  tide__shared *shared = tide__shared_find(loop);
  if (shared != NULL) return shared;
  shared = tide_alloc(&loop->allocator, sizeof *shared);
  if (shared == NULL) return NULL;
  *shared = (tide__shared){.attachment.term = term};
  tide_list_init(&shared->sending);
  tide_list_init(&shared->lingering);
  tide_list_append(&loop->attachments, &shared->attachment.link);
  return shared;
}

char *tide__scratch_of(tide_loop *loop) {
  tide__shared *shared = tide__shared_of(loop);
  if (shared == NULL) return NULL;
  if (shared->scratch == NULL) shared->scratch = tide_alloc(&loop->allocator, TIDE__SCRATCH);
  return shared->scratch;
}
