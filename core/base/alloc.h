/* alloc.h: all memory of a loop goes through one hook. */
#ifndef TIDE_ALLOC_H
#define TIDE_ALLOC_H

#include "config.h"

TIDE_BEGIN_DECLS

/* Like lua_Alloc: resizes `block` (NULL: none yet) of `old_size` bytes to `new_size` (0: frees it
 * and returns NULL). Returns NULL where memory is short; the old block then stays. Called on the
 * loop's thread only. */
typedef void *(*tide_realloc_fn)(void *context, void *block, size_t old_size, size_t new_size);

typedef struct tide_allocator {
  tide_realloc_fn resize; /* the hook */
  void *context;          /* its first argument; owned by the host */
} tide_allocator;

/* The C library's allocator. */
TIDE_API tide_allocator tide_allocator_default(void);

static inline void *tide_alloc(const tide_allocator *a, size_t size) {
  return a->resize(a->context, NULL, 0, size);
}

static inline void *tide_resize(const tide_allocator *a, void *block, size_t old_size,
                                size_t new_size) {
  return a->resize(a->context, block, old_size, new_size);
}

static inline void tide_free(const tide_allocator *a, void *block, size_t size) {
  if (block != NULL) a->resize(a->context, block, size, 0);
}

TIDE_END_DECLS

#endif
