/* slab.c: the allocator for many small blocks whose sizes the caller remembers. */
#include "../../core/base/slab.h"

#include <stdlib.h>

#include "check.h"

enum { MANY = 3000 };

typedef struct piece {
  unsigned char *memory;
  size_t size;
  unsigned char mark; /* what it is filled with */
} piece;

static piece pieces[MANY];
static tide_slab *slab;

static void open_slab(void) {
  memset(pieces, 0, sizeof pieces);
  slab = tide_slab_new();
  CHECK(slab != NULL);
}

static void check_marks(const piece *p, size_t size) {
  for (size_t i = 0; i < size; i++) CHECK_EQ(p->memory[i], p->mark);
}

static void resize(piece *p, size_t size) {
  size_t kept = p->size < size ? p->size : size;
  p->memory = tide_slab_resize(slab, p->memory, p->size, size);
  CHECK((p->memory != NULL) == (size > 0));
  CHECK_EQ((uintptr_t)p->memory % 8, 0);
  if (size > 0) check_marks(p, kept);
  if (p->size == 0) p->mark = (unsigned char)rand();
  if (size > 0) memset(p->memory, p->mark, size);
  p->size = size;
}

static size_t some_size(void) {
  switch (rand() % 8) {
  case 0:
    return 0;
  case 1:
    return (size_t)rand() % 5000;
  default:
    return (size_t)rand() % 200;
  }
}

static void blocks_keep_what_is_in_them(void) {
  open_slab();
  srand(6);
  for (int i = 0; i < 200000; i++) resize(&pieces[rand() % MANY], some_size());
  for (int i = 0; i < MANY; i++) {
    if (pieces[i].size > 0) check_marks(&pieces[i], pieces[i].size);
    resize(&pieces[i], 0);
  }
  tide_slab_free(slab);
}

static void blocks_do_not_overlap_at_the_limits_of_sizes(void) {
  static const size_t sizes[] = {1, 7, 8, 9, 16, 1015, 1016, 1017, 1023, 1024, 1025, 4096};
  open_slab();
  for (int i = 0; i < MANY; i++) resize(&pieces[i], sizes[i % 12]);
  for (int i = 0; i < MANY; i++) check_marks(&pieces[i], pieces[i].size);
  for (int i = 0; i < MANY; i++) resize(&pieces[i], sizes[(i + 5) % 12]);
  for (int i = 0; i < MANY; i++) check_marks(&pieces[i], pieces[i].size);
  for (int i = 0; i < MANY; i++) resize(&pieces[i], 0);
  tide_slab_free(slab);
}

static void what_was_given_back_is_used_again(void) {
  open_slab();
  for (int i = 0; i < MANY; i++) resize(&pieces[i], 40);
  size_t once = tide_slab_bytes(slab);
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < MANY; i++) resize(&pieces[i], 0);
    for (int i = 0; i < MANY; i++) resize(&pieces[i], 40);
    CHECK_EQ(tide_slab_bytes(slab), once);
  }
  tide_slab_free(slab); /* with all that came from it */
}

static void an_empty_page_serves_another_size(void) {
  open_slab();
  size_t once = 0;
  for (size_t size = 8; size <= 1024; size *= 2) {
    for (int i = 0; i < 60; i++) resize(&pieces[i], size);
    if (once == 0) once = tide_slab_bytes(slab);
    CHECK_EQ(tide_slab_bytes(slab), once);
    for (int i = 0; i < 60; i++) resize(&pieces[i], 0);
  }
  tide_slab_free(slab);
}

static void memory_of_many_empty_pages_goes_back(void) {
  open_slab();
  for (int i = 0; i < MANY; i++) resize(&pieces[i], 1000);
  size_t most = tide_slab_bytes(slab);
  CHECK(most >= MANY * (size_t)1000);
  for (int i = 0; i < MANY; i++) resize(&pieces[i], 0);
  CHECK(tide_slab_bytes(slab) <= 16 * 65536);
  for (int i = 0; i < MANY; i++) resize(&pieces[i], 1000);
  CHECK_EQ(tide_slab_bytes(slab), most);
  tide_slab_free(slab);
}

static void large_blocks_are_not_its_own(void) {
  open_slab();
  resize(&pieces[0], 100000);
  CHECK_EQ(tide_slab_bytes(slab), 0);
  resize(&pieces[0], 200000);
  resize(&pieces[0], 10);
  resize(&pieces[0], 1025);
  resize(&pieces[0], 0);
  tide_slab_free(slab);
}

static void nothing_is_nothing(void) {
  open_slab();
  CHECK(tide_slab_resize(slab, NULL, 0, 0) == NULL);
  CHECK(tide_slab_resize(slab, NULL, 5, 0) == NULL); /* Lua passes a type where there is no block */
  void *block = tide_slab_resize(slab, NULL, 5, 24);
  CHECK(tide_slab_resize(slab, block, 24, 0) == NULL);
  tide_slab_free(slab);
  tide_slab_free(NULL);
}

int main(void) {
  RUN(blocks_keep_what_is_in_them);
  RUN(blocks_do_not_overlap_at_the_limits_of_sizes);
  RUN(what_was_given_back_is_used_again);
  RUN(an_empty_page_serves_another_size);
  RUN(memory_of_many_empty_pages_goes_back);
  RUN(large_blocks_are_not_its_own);
  RUN(nothing_is_nothing);
  return check_summary();
}
