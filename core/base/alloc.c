/* alloc.c: the default allocator. */
#include "alloc.h"

#include <stdlib.h>

static void *libc_resize(void *context, void *block, size_t old_size, size_t new_size) {
  (void)context;
  (void)old_size;
  if (new_size == 0) {
    free(block);
    return NULL;
  }
  return realloc(block, new_size);
}

tide_allocator tide_allocator_default(void) {
  return (tide_allocator){.resize = libc_resize, .context = NULL};
}
