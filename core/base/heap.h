/* heap.h: a 4-ary min-heap of intrusive nodes, stable among equal keys. */
#ifndef TIDE_HEAP_H
#define TIDE_HEAP_H

#include "alloc.h"
#include "config.h"

TIDE_BEGIN_DECLS

typedef struct tide_heap_node {
  uint32_t index; /* the node's place in the heap plus 1; 0: it is in none */
  uint32_t order; /* from tide_heap_number: equal keys leave in this order */
} tide_heap_node;

typedef struct tide_heap_entry {
  uint64_t key; /* kept beside the pointer: comparing touches the array alone */
  tide_heap_node *node;
} tide_heap_entry;

typedef struct tide_heap {
  tide_heap_entry *entries; /* entries[0] is the least */
  uint32_t count;           /* how many are in use */
  uint32_t capacity;        /* how many fit */
  uint32_t order;           /* the next node's order */
} tide_heap;

static inline bool tide_heap_holds(const tide_heap_node *node) { return node->index != 0; }

/* Makes room for `more` insertions. TIDE_OK or TIDE_ENOMEM. */
TIDE_API int tide_heap_reserve(tide_heap *heap, const tide_allocator *a, uint32_t more);

/* Gives back room for more than `capacity` nodes, of which there are no more. Harmless where that
 * fails. */
TIDE_API void tide_heap_trim(tide_heap *heap, const tide_allocator *a, uint32_t capacity);

/* Gives the node its place among equal keys: behind all that were given one before. */
static inline void tide_heap_number(tide_heap *heap, tide_heap_node *node) {
  node->order = heap->order++;
}

/* Inserts a numbered node. O(log n). Room must have been reserved. */
TIDE_API void tide_heap_insert(tide_heap *heap, tide_heap_node *node, uint64_t key);

/* O(log n). The node must be in the heap. */
TIDE_API void tide_heap_remove(tide_heap *heap, tide_heap_node *node);

/* Frees the array; the nodes are their owners'. */
TIDE_API void tide_heap_term(tide_heap *heap, const tide_allocator *a);

TIDE_END_DECLS

#endif
