/* slab.h: an allocator for many small blocks whose sizes the caller remembers, as Lua does.
 *
 * Blocks of up to 1 KiB come from pages of 64 KiB, each for one size (a multiple of 8); no block
 * has a header. A page that is empty again serves any size; beyond a few, the memory of empty pages
 * goes back to the system, their addresses stay. Larger blocks are malloc's. One thread at a time.
 */
#ifndef TIDE_SLAB_H
#define TIDE_SLAB_H

#include "alloc.h"

TIDE_BEGIN_DECLS

typedef struct tide_slab tide_slab;

/* NULL where memory is short. */
TIDE_API tide_slab *tide_slab_new(void);

/* Frees the slab and every small block that came from it. */
TIDE_API void tide_slab_free(tide_slab *slab);

/* A tide_realloc_fn, and a lua_Alloc: `slab` is the tide_slab. */
TIDE_API void *tide_slab_resize(void *slab, void *block, size_t old_size, size_t new_size);

/* Bytes of pages that hold blocks or are kept for reuse, for tests and statistics. */
TIDE_API size_t tide_slab_bytes(const tide_slab *slab);

TIDE_END_DECLS

#endif
