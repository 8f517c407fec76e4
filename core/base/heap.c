/* heap.c: the 4-ary heap that serves timers and priority queues. */
#include "heap.h"

#include "error.h"

enum { ARITY = 4, FIRST_CAPACITY = 16 };

static bool precedes(const tide_heap_entry *a, const tide_heap_entry *b) {
  if (a->key != b->key) return a->key < b->key;
  return (int32_t)(a->node->order - b->node->order) < 0;
}

static void place(tide_heap *heap, uint32_t at, tide_heap_entry entry) {
  heap->entries[at] = entry;
  entry.node->index = at + 1;
}

static void sift_up(tide_heap *heap, uint32_t at, tide_heap_entry entry) {
  while (at > 0) {
    uint32_t parent = (at - 1) / ARITY;
    if (!precedes(&entry, &heap->entries[parent])) break;
    place(heap, at, heap->entries[parent]);
    at = parent;
  }
  place(heap, at, entry);
}

static uint32_t least_child(const tide_heap *heap, uint32_t first) {
  uint32_t end = first + ARITY < heap->count ? first + ARITY : heap->count;
  uint32_t least = first;
  for (uint32_t child = first + 1; child < end; child++)
    if (precedes(&heap->entries[child], &heap->entries[least])) least = child;
  return least;
}

static void sift_down(tide_heap *heap, uint32_t at, tide_heap_entry entry) {
  for (;;) {
    uint32_t first = at * ARITY + 1;
    if (first >= heap->count) break;
    uint32_t child = least_child(heap, first);
    if (!precedes(&heap->entries[child], &entry)) break;
    place(heap, at, heap->entries[child]);
    at = child;
  }
  place(heap, at, entry);
}

int tide_heap_reserve(tide_heap *heap, const tide_allocator *a, uint32_t more) {
  uint64_t least = (uint64_t)heap->count + more;
  if (least <= heap->capacity) return TIDE_OK;
  uint64_t capacity = heap->capacity == 0 ? FIRST_CAPACITY : heap->capacity * (uint64_t)3 / 2;
  if (capacity < least) capacity = least;
  if (capacity > UINT32_MAX) return TIDE_ENOMEM;
  size_t size = sizeof(tide_heap_entry);
  void *entries = tide_resize(a, heap->entries, heap->capacity * size, capacity * size);
  if (entries == NULL) return TIDE_ENOMEM;
  heap->entries = entries;
  heap->capacity = (uint32_t)capacity;
  return TIDE_OK;
}

void tide_heap_trim(tide_heap *heap, const tide_allocator *a, uint32_t capacity) {
  size_t size = sizeof(tide_heap_entry);
  if (heap->capacity <= capacity) return;
  void *entries = tide_resize(a, heap->entries, heap->capacity * size, capacity * size);
  if (entries == NULL) return;
  heap->entries = entries;
  heap->capacity = capacity;
}

void tide_heap_insert(tide_heap *heap, tide_heap_node *node, uint64_t key) {
  sift_up(heap, heap->count++, (tide_heap_entry){.key = key, .node = node});
}

void tide_heap_remove(tide_heap *heap, tide_heap_node *node) {
  uint32_t at = node->index - 1;
  tide_heap_entry last = heap->entries[--heap->count];
  node->index = 0;
  if (last.node == node) return;
  if (at > 0 && precedes(&last, &heap->entries[(at - 1) / ARITY]))
    sift_up(heap, at, last);
  else
    sift_down(heap, at, last);
}

void tide_heap_term(tide_heap *heap, const tide_allocator *a) {
  tide_free(a, heap->entries, heap->capacity * sizeof(tide_heap_entry));
  *heap = (tide_heap){0};
}
