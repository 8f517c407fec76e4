/* shared.c: what the streams of one loop share. */
#include "private.h"

static void free_scratch(tide__shared *shared) {
  if (shared->scratch != NULL) tide_free(&shared->loop->allocator, shared->scratch, TIDE__SCRATCH);
  shared->scratch = NULL;
}

static void watch_scratch(tide__shared *shared) {
  if (shared->scratch != NULL && !tide_idle_begun(&shared->unused))
    tide_idle_touch(&shared->unused, shared->loop);
}

/* Where somebody may still look at it, who gives it back begins a second anew. */
static void free_unused(tide_idle *unused) {
  tide__shared *shared = tide_container(unused, tide__shared, unused);
  if (shared->lender == NULL) free_scratch(shared);
}

static void term(tide__attachment *attachment, tide_loop *loop) {
  tide__shared *shared = tide_container(attachment, tide__shared, attachment);
  tide__linger_drop_all(shared);
  free_scratch(shared);
  tide_idle_cancel(&shared->unused);
  tide_defer_cancel(&shared->before_poll);
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
  *shared = (tide__shared){.attachment.term = term, .loop = loop};
  tide_list_init(&shared->sending);
  tide_list_init(&shared->lingering);
  tide_list_init(&shared->borrowed);
  tide_defer_init(&shared->before_poll, tide__borrowed_check);
  tide_idle_init(&shared->unused, free_unused);
  tide_list_append(&loop->attachments, &shared->attachment.link);
  return shared;
}

char *tide__scratch_of(tide_loop *loop, const tide_stream *lender) {
  tide__shared *shared = tide__shared_of(loop);
  if (shared == NULL) return NULL;
  if (shared->scratch == NULL) shared->scratch = tide_alloc(&loop->allocator, TIDE__SCRATCH);
  shared->lender = lender;
  watch_scratch(shared);
  return shared->scratch;
}

void tide__scratch_back(const tide_loop *loop, const tide_stream *lender) {
  tide__shared *shared = tide__shared_find(loop);
  if (shared == NULL || (lender != NULL && lender != shared->lender)) return;
  shared->lender = NULL;
  watch_scratch(shared);
}
