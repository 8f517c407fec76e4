/* heap.c: what the heap of timers and priority queues promises. */
#include "../../core/base/heap.h"

#include <stdlib.h>

#include "../../core/base/error.h"
#include "check.h"

enum { MANY = 2000 };

typedef struct node {
  tide_heap_node in;
  uint64_t key;
  uint32_t turn; /* when it was numbered */
} node;

static node nodes[MANY];
static tide_heap heap;
static tide_allocator memory;

static void fresh(void) {
  memset(nodes, 0, sizeof nodes);
  heap = (tide_heap){0};
  memory = tide_allocator_default();
}

static void insert(node *self, uint64_t key, uint32_t turn) {
  CHECK_EQ(tide_heap_reserve(&heap, &memory, 1), TIDE_OK);
  self->key = key;
  self->turn = turn;
  tide_heap_number(&heap, &self->in);
  tide_heap_insert(&heap, &self->in, key);
}

static node *take(void) {
  node *first = tide_container(heap.entries[0].node, node, in);
  tide_heap_remove(&heap, &first->in);
  return first;
}

/* Takes all out: keys must rise, and equal ones come in the order they were numbered. */
static void check_drains_in_order(void) {
  const node *last = NULL;
  while (heap.count > 0) {
    const node *next = take();
    CHECK(!tide_heap_holds(&next->in));
    CHECK(last == NULL || last->key < next->key ||
          (last->key == next->key && last->turn < next->turn));
    last = next;
  }
  tide_heap_term(&heap, &memory);
}

static void check_indices(void) {
  for (uint32_t i = 0; i < heap.count; i++) CHECK_EQ(heap.entries[i].node->index, i + 1);
}

static void the_least_key_leaves_first(void) {
  fresh();
  srand(1);
  for (uint32_t i = 0; i < MANY; i++) insert(&nodes[i], (uint64_t)rand(), i);
  check_indices();
  check_drains_in_order();
}

static void equal_keys_leave_in_the_order_they_came(void) {
  fresh();
  for (uint32_t i = 0; i < MANY; i++) insert(&nodes[i], i % 3, i);
  check_drains_in_order();
}

static void any_node_can_be_removed(void) {
  fresh();
  srand(2);
  for (uint32_t i = 0; i < MANY; i++) insert(&nodes[i], (uint64_t)rand() % 100, i);
  for (int i = 0; i < MANY; i++)
    if (rand() % 2 == 0) tide_heap_remove(&heap, &nodes[i].in);
  check_indices();
  check_drains_in_order();
}

static void inserting_and_removing_may_alternate(void) {
  fresh();
  srand(3);
  for (uint32_t i = 0; i < 50000; i++) {
    node *n = &nodes[rand() % MANY];
    if (tide_heap_holds(&n->in))
      tide_heap_remove(&heap, &n->in);
    else
      insert(n, (uint64_t)rand() % 10, i);
  }
  check_indices();
  check_drains_in_order();
}

static void a_node_put_back_keeps_its_place_among_equals(void) {
  fresh();
  for (uint32_t i = 0; i < 3; i++) insert(&nodes[i], 7, i);
  node *first = take();
  tide_heap_insert(&heap, &first->in, first->key);
  CHECK(take() == &nodes[0]);
  check_drains_in_order();
}

static void the_count_of_insertions_may_wrap(void) {
  fresh();
  heap.order = UINT32_MAX - 5;
  for (uint32_t i = 0; i < 20; i++) insert(&nodes[i], 1, i);
  check_drains_in_order();
}

static void all_keys_of_64_bits_work(void) {
  fresh();
  const uint64_t keys[] = {UINT64_MAX, 0, 1, UINT64_MAX - 1, (uint64_t)1 << 63};
  for (uint32_t i = 0; i < 5; i++) insert(&nodes[i], keys[i], i);
  CHECK_EQ(heap.entries[0].key, 0);
  check_drains_in_order();
}

static void *no_memory(void *context, void *block, size_t old_size, size_t new_size) {
  (void)context, (void)block, (void)old_size, (void)new_size;
  return NULL;
}

static void a_failed_reserve_changes_nothing(void) {
  fresh();
  const tide_allocator none = {.resize = no_memory};
  CHECK_EQ(tide_heap_reserve(&heap, &none, 1), TIDE_ENOMEM);
  for (uint32_t i = 0; i < 16; i++) insert(&nodes[i], 16 - i, i);
  uint32_t left = heap.capacity - heap.count;
  CHECK_EQ(tide_heap_reserve(&heap, &none, left), TIDE_OK);
  CHECK_EQ(tide_heap_reserve(&heap, &none, left + 1), TIDE_ENOMEM);
  CHECK_EQ(heap.count, 16);
  check_drains_in_order();
}

static void room_for_many_can_be_reserved_at_once(void) {
  fresh();
  const tide_allocator none = {.resize = no_memory};
  CHECK_EQ(tide_heap_reserve(&heap, &memory, 1000), TIDE_OK);
  CHECK(heap.capacity >= 1000);
  CHECK_EQ(tide_heap_reserve(&heap, &none, 1000), TIDE_OK);
  insert(&nodes[0], 1, 0);
  CHECK_EQ(tide_heap_reserve(&heap, &none, UINT32_MAX), TIDE_ENOMEM);
  CHECK_EQ(tide_heap_reserve(&heap, &none, heap.capacity), TIDE_ENOMEM);
  check_drains_in_order();
}

int main(void) {
  RUN(the_least_key_leaves_first);
  RUN(equal_keys_leave_in_the_order_they_came);
  RUN(any_node_can_be_removed);
  RUN(inserting_and_removing_may_alternate);
  RUN(a_node_put_back_keeps_its_place_among_equals);
  RUN(the_count_of_insertions_may_wrap);
  RUN(all_keys_of_64_bits_work);
  RUN(a_failed_reserve_changes_nothing);
  RUN(room_for_many_can_be_reserved_at_once);
  return check_summary();
}
