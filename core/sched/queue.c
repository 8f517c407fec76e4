/* queue.c: ordering slots, and handing them from putters to getters. */
#include "queue.h"

#include <string.h>

#include "case.h"
#include "private.h"

enum { FIRST_CAPACITY = 8, KEPT = 1024 }; /* so many slots are not given back */

void tide_queue_init(tide_queue *queue, tide_loop *loop, tide_queue_order order, size_t max) {
  *queue = (tide_queue){.loop = loop, .order = order, .max = max};
  tide_list_init(&queue->getters);
  tide_list_init(&queue->putters);
  tide_list_init(&queue->joiners);
}

void tide_queue_init_pointers(tide_queue *queue, tide_loop *loop, tide_queue_order order,
                              size_t max, void (*drop)(void *pointer)) {
  tide_queue_init(queue, loop, order, max);
  queue->of_pointers = true;
  queue->drop = drop;
}

/* Memory: one block, of the ring or the slots, of the free list behind, and of the pointers. */

static size_t place_size(const tide_queue *queue) {
  return sizeof *queue->free +
         (queue->order == TIDE_PRIORITY ? sizeof *queue->slots : sizeof *queue->ring) +
         (queue->of_pointers ? sizeof *queue->pointers : 0);
}

static void drop_pointers(tide_queue *queue);

static void *block(const tide_queue *queue) {
  return queue->order == TIDE_PRIORITY ? (void *)queue->slots : (void *)queue->ring;
}

void tide_queue_term(tide_queue *queue) {
  const tide_allocator *a = &queue->loop->allocator;
  drop_pointers(queue);
  tide_free(a, block(queue), queue->capacity * place_size(queue));
  tide_heap_term(&queue->heap, a);
  bool of_pointers = queue->of_pointers;
  void (*drop)(void *) = queue->drop;
  tide_queue_init(queue, queue->loop, queue->order, queue->max);
  queue->of_pointers = of_pointers;
  queue->drop = drop;
}

/* Makes `ring` the ring: from its beginning on, all that the old one held. */
static uint32_t *move_ring(tide_queue *queue, uint32_t *ring) {
  for (size_t i = 0; i < queue->count; i++)
    ring[i] = queue->ring[(queue->head + i) & (queue->capacity - 1)];
  queue->head = 0;
  return queue->ring = ring;
}

static tide_slot *move_slots(tide_queue *queue, tide_slot *slots) {
  for (uint32_t i = 0; i < queue->fresh; i++) slots[i] = queue->slots[i];
  for (uint32_t i = 0; i < queue->heap.count; i++) {
    tide_slot *old = tide_container(queue->heap.entries[i].node, tide_slot, node);
    queue->heap.entries[i].node = &slots[old - queue->slots].node;
  }
  return queue->slots = slots;
}

/* They are aligned there: capacities are multiples of eight. */
static void **move_pointers(tide_queue *queue, void **pointers) {
  for (uint32_t i = 0; i < queue->fresh; i++) pointers[i] = queue->pointers[i];
  return queue->pointers = pointers;
}

/* The heap has a place for every slot: items put back or admitted later need no memory. */
static bool reserve_heap(tide_queue *queue, uint32_t capacity) {
  const tide_allocator *a = &queue->loop->allocator;
  if (queue->order != TIDE_PRIORITY) return true;
  return tide_heap_reserve(&queue->heap, a, capacity - queue->heap.count) == TIDE_OK;
}

static uint32_t few_of(const tide_queue *queue) {
  if (queue->capacity > KEPT) return queue->capacity / 4;
  return queue->shrunk ? 1 : 0; /* its owner is to be told, when that is possible */
}

/* Gives the queue so many slots, where there is memory. Those that are retired are behind the last
 * one then, and all others in front of it. */
static bool resize(tide_queue *queue, uint32_t capacity) {
  const tide_allocator *a = &queue->loop->allocator;
  if (!reserve_heap(queue, capacity)) return false;
  void *old = block(queue);
  void *moved = tide_alloc(a, capacity * place_size(queue));
  if (moved == NULL) return false;
  size_t size = queue->capacity * place_size(queue);
  const uint32_t *free = queue->free; /* NULL at first */
  uint32_t retired = queue->retired;
  queue->free_count -= retired;
  if (queue->fresh > capacity) queue->fresh = capacity;
  if (queue->order == TIDE_PRIORITY)
    queue->free = (uint32_t *)(void *)(move_slots(queue, moved) + capacity);
  else
    queue->free = move_ring(queue, moved) + capacity;
  for (uint32_t i = 0; i < queue->free_count; i++) queue->free[i] = free[retired + i];
  if (queue->of_pointers) move_pointers(queue, (void **)(void *)(queue->free + capacity));
  tide_free(a, old, size);
  queue->capacity = capacity;
  queue->limit = queue->retired = 0;
  queue->few = few_of(queue);
  queue->patience = queue->few;
  return true;
}

/* Where no slot is free. */
static bool find_more(tide_queue *queue) {
  uint32_t capacity = queue->capacity == 0 ? FIRST_CAPACITY : queue->capacity * 2;
  bool retired = queue->retired > 0;
  queue->limit = queue->retired = 0;
  return retired || (capacity > queue->capacity && resize(queue, capacity));
}

int tide_queue_reserve(tide_queue *queue, uint32_t *slot) {
  bool none = queue->free_count == queue->retired && queue->fresh == queue->capacity;
  if (none && !find_more(queue)) return TIDE_ENOMEM;
  *slot = queue->free_count > queue->retired ? queue->free[queue->free_count - 1] : queue->fresh;
  return TIDE_OK;
}

static void claim(tide_queue *queue, uint32_t slot, double priority) {
  if (queue->free_count > queue->retired)
    queue->free_count--;
  else
    queue->fresh++;
  if (queue->order != TIDE_PRIORITY) return;
  uint64_t bits;
  priority += 0.0; /* makes 0.0 of -0.0, which is its equal */
  memcpy(&bits, &priority, sizeof bits);
  /* IEEE 754: with the sign bit flipped, and negative numbers inverted, doubles sort as integers */
  queue->slots[slot].key = bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
  tide_heap_number(&queue->heap, &queue->slots[slot].node);
}

/* Giving back memory.
 *
 * A slot has its number for as long as it is taken. Where few are, those from `limit` on are
 * retired as they come back: they are at the bottom of `free`, and not handed out. Once all of them
 * are there, what they need is given back. Slots are sorted into retired ones and others after so
 * many have come back that each pays for a few. */

static void retire(tide_queue *queue, uint32_t at) {
  uint32_t slot = queue->free[at];
  queue->free[at] = queue->free[queue->retired];
  queue->free[queue->retired++] = slot;
}

static void begin_retiring(tide_queue *queue) {
  queue->limit = KEPT;
  while (queue->limit < 2 * tide_queue_taken(queue)) queue->limit *= 2;
  queue->retired = 0;
  queue->patience = queue->few;
  for (uint32_t i = 0; i < queue->free_count; i++)
    if (queue->free[i] >= queue->limit) retire(queue, i);
}

/* Whether all slots from `limit` on are retired. The one at the top of `free` has just come back.
 */
static bool all_retired(tide_queue *queue) {
  uint32_t top = queue->free_count - 1;
  if (--queue->patience == 0)
    begin_retiring(queue);
  else if (queue->limit > 0 && queue->free[top] >= queue->limit)
    retire(queue, top);
  return queue->limit > 0 && queue->fresh <= queue->limit + queue->retired;
}

/* Makes the queue smaller. Where there is no memory for what stays it goes on as it is. */
static void shrink(tide_queue *queue, uint32_t capacity) {
  if (resize(queue, capacity)) {
    tide_heap_trim(&queue->heap, &queue->loop->allocator, capacity);
    queue->shrunk = true;
  } else {
    queue->limit = queue->retired = 0;
  }
}

/* Few slots are taken. Where none is they are as new. */
__attribute__((noinline)) static void use_less(tide_queue *queue) {
  if (tide_queue_taken(queue) == 0) {
    queue->free_count = queue->fresh = queue->head = queue->limit = queue->retired = 0;
    if (queue->capacity > KEPT) shrink(queue, KEPT);
  } else if (queue->capacity > KEPT && all_retired(queue)) {
    shrink(queue, queue->limit);
  }
  queue->few = few_of(queue);
}

/* Puts the slot among the free ones. Whether so few are taken that it is worth looking further. */
static bool put_free(tide_queue *queue, uint32_t slot) {
  queue->free[queue->free_count++] = slot;
  if (queue->fresh - queue->free_count > queue->few) return false;
  if (queue->few > 0) return true;
  queue->free_count = queue->fresh = queue->head = 0;
  return false;
}

bool tide_queue_free(tide_queue *queue, uint32_t slot) {
  if (!put_free(queue, slot)) return false;
  use_less(queue);
  bool shrunk = queue->shrunk;
  queue->shrunk = false;
  queue->few = few_of(queue);
  return shrunk;
}

/* The same where its owner cannot be told. */
static void take_back(tide_queue *queue, uint32_t slot) {
  if (put_free(queue, slot)) use_less(queue);
}

/* Order. */

static void insert(tide_queue *queue, uint32_t slot) {
  if (queue->order == TIDE_FIFO)
    queue->ring[(queue->head + queue->count) & (queue->capacity - 1)] = slot;
  else if (queue->order == TIDE_LIFO)
    queue->ring[queue->count] = slot;
  else
    tide_heap_insert(&queue->heap, &queue->slots[slot].node, queue->slots[slot].key);
  queue->count++;
}

static uint32_t queue_take(tide_queue *queue) {
  queue->count--;
  if (queue->order == TIDE_FIFO) {
    uint32_t slot = queue->ring[queue->head];
    queue->head = (queue->head + 1) & (queue->capacity - 1);
    return slot;
  }
  if (queue->order == TIDE_LIFO) return queue->ring[queue->count];
  tide_slot *first = tide_container(queue->heap.entries[0].node, tide_slot, node);
  tide_heap_remove(&queue->heap, &first->node);
  return (uint32_t)(first - queue->slots);
}

/* An item is dropped: nobody will say that it is done, unless somebody has. */
static void discard(tide_queue *queue, uint32_t slot) {
  void *pointer = queue->of_pointers ? queue->pointers[slot] : NULL;
  take_back(queue, slot);
  if (queue->drop != NULL) queue->drop(pointer);
  if (queue->unfinished > 0) tide_queue_task_done(queue);
}

bool tide_queue_give_back(tide_queue *queue, uint32_t slot) {
  if (queue->discarding) return false;
  tide_wait *getter = tide__park_first(&queue->getters);
  if (getter != NULL) {
    getter->value.number = slot;
    tide__park_wake(&queue->getters, TIDE_OK);
  } else if (queue->order == TIDE_FIFO) {
    queue->head = (queue->head - 1) & (queue->capacity - 1);
    queue->ring[queue->head] = slot;
    queue->count++;
  } else {
    insert(queue, slot);
  }
  return true;
}

/* An item that was handed to a task that will never see it goes back to where it came from. */
static void put_back(tide_wait *wait, int outcome) {
  tide_queue *queue = wait->source;
  uint32_t slot = (uint32_t)wait->value.number;
  if (outcome == TIDE_OK && !tide_queue_give_back(queue, slot)) discard(queue, slot);
}

/* A put that came to nothing, and whose task will not give the slot back. */
static void put_reject(tide_wait *wait, int outcome) {
  if (outcome != TIDE_OK) take_back(wait->source, (uint32_t)wait->value.number);
}

static const tide_wait_ops get_ops = {
    .name = "Queue.get", .abandon = tide__wait_unlink, .reject = put_back};
static const tide_wait_ops put_ops = {
    .name = "Queue.put", .abandon = tide__wait_unlink, .reject = put_reject};
static const tide_wait_ops join_ops = {.name = "Queue.join", .abandon = tide__wait_unlink};

/* Whether a put needs to wait. */
static bool blocked(const tide_queue *queue) {
  return tide_queue_full(queue) && tide_list_empty(&queue->getters);
}

/* Puts a slot that was taken: to the longest getter, or into the queue. */
static void deliver(tide_queue *queue, uint32_t slot) {
  tide_wait *getter = tide__park_first(&queue->getters);
  queue->unfinished++;
  if (getter != NULL) {
    getter->value.number = slot;
    tide__park_wake(&queue->getters, TIDE_OK);
  } else {
    insert(queue, slot);
  }
}

int tide_queue_try_put(tide_queue *queue, uint32_t slot, double priority) {
  if (queue->closed) return TIDE_ECLOSED;
  if (blocked(queue)) return TIDE_EQUEUE_FULL;
  claim(queue, slot, priority);
  deliver(queue, slot);
  return TIDE_OK;
}

int tide_queue_put(tide_queue *queue, tide_task *task, uint32_t slot, double priority) {
  int result = TIDE_PENDING;
  bool entered = tide__wait_enter(task, &put_ops, queue);
  if (entered && queue->closed) result = tide__wait_over(task, TIDE_ECLOSED);
  if (result != TIDE_PENDING) return result;
  claim(queue, slot, priority);
  task->wait.value.number = slot;
  if (!entered || queue->closed) return TIDE_PENDING;
  if (blocked(queue)) return tide__wait_park(task, &queue->putters);
  deliver(queue, slot);
  return tide__wait_skip(task);
}

/* A pointer, until now at its putter's, is the queue's. */
static void take_over(const tide_queue *queue, uint32_t slot) {
  void **pointer = queue->pointers[slot];
  queue->pointers[slot] = *pointer;
  *pointer = NULL;
}

/* What the putter, which waited, has put. */
static void admit(tide_queue *queue, const tide_wait *putter) {
  uint32_t slot = (uint32_t)putter->value.number;
  if (queue->of_pointers) take_over(queue, slot);
  queue->unfinished++;
  insert(queue, slot);
  tide__park_wake(&queue->putters, TIDE_OK);
}

int tide_queue_try_get(tide_queue *queue, uint32_t *slot) {
  if (queue->count == 0) return queue->closed ? TIDE_ECLOSED : TIDE_EQUEUE_EMPTY;
  *slot = queue_take(queue);
  tide_wait *putter = tide__park_first(&queue->putters);
  if (putter != NULL && !tide_queue_full(queue)) admit(queue, putter);
  return TIDE_OK;
}

int tide_queue_get(tide_queue *queue, tide_task *task) {
  if (!tide__wait_enter(task, &get_ops, queue)) return TIDE_PENDING;
  uint32_t slot;
  int error = tide_queue_try_get(queue, &slot);
  if (error == TIDE_EQUEUE_EMPTY) return tide__wait_park(task, &queue->getters);
  if (error == TIDE_OK) task->wait.value.number = slot;
  return tide__wait_over(task, error);
}

int tide_queue_task_done(tide_queue *queue) {
  if (queue->unfinished == 0) return TIDE_EINVALID_STATE;
  if (--queue->unfinished == 0) tide__park_wake_all(&queue->joiners, TIDE_OK);
  return TIDE_OK;
}

int tide_queue_join(tide_queue *queue, tide_task *task) {
  if (!tide__wait_enter(task, &join_ops, queue)) return TIDE_PENDING;
  if (queue->unfinished == 0) return tide__wait_skip(task);
  return tide__wait_park(task, &queue->joiners);
}

bool tide_queue_drop(tide_queue *queue, uint32_t *slot) {
  if (queue->count == 0) return false;
  *slot = queue_take(queue);
  discard(queue, *slot);
  return true;
}

/* Pointers. */

static void drop_pointers(tide_queue *queue) {
  uint32_t slot;
  while (queue->of_pointers && tide_queue_drop(queue, &slot)) continue;
}

/* The slot goes as soon as the put has come to nothing: the pointer is at its putter's. */
static void leave_put(tide_wait *wait) {
  tide__wait_unlink(wait);
  take_back(wait->source, (uint32_t)wait->value.number);
}

static const tide_wait_ops put_pointer_ops = {.name = "Queue.put", .abandon = leave_put};

static void free_slots_of_putters(tide_queue *queue) {
  for (tide_list *link = queue->putters.next; link != &queue->putters; link = link->next) {
    const tide_wait *putter = tide_container(link, tide_wait, in.link);
    if (putter->ops == &put_pointer_ops) take_back(queue, (uint32_t)putter->value.number);
  }
}

/* Takes a slot, in which the pointer's place is noted. */
static int claim_for(tide_queue *queue, void **pointer, double priority, uint32_t *slot) {
  int error = tide_queue_reserve(queue, slot);
  if (error != TIDE_OK) return error;
  claim(queue, *slot, priority);
  queue->pointers[*slot] = (void *)pointer;
  return TIDE_OK;
}

int tide_queue_try_put_pointer(tide_queue *queue, void **pointer, double priority) {
  uint32_t slot;
  if (queue->closed) return TIDE_ECLOSED;
  if (blocked(queue)) return TIDE_EQUEUE_FULL;
  int error = claim_for(queue, pointer, priority, &slot);
  if (error != TIDE_OK) return error;
  take_over(queue, slot);
  deliver(queue, slot);
  return TIDE_OK;
}

int tide_queue_put_pointer(tide_queue *queue, tide_task *task, void **pointer, double priority) {
  uint32_t slot = 0;
  if (!tide__wait_enter(task, &put_pointer_ops, queue)) return TIDE_PENDING;
  int result = tide_queue_try_put_pointer(queue, pointer, priority);
  bool full = result == TIDE_EQUEUE_FULL;
  if (full) result = claim_for(queue, pointer, priority, &slot);
  if (!full || result != TIDE_OK) return tide__wait_over(task, result);
  task->wait.value.number = slot;
  return tide__wait_park(task, &queue->putters);
}

void *tide_queue_get_pointer(tide_queue *queue, uint32_t slot) {
  void *pointer = queue->pointers[slot];
  tide_queue_free(queue, slot);
  return pointer;
}

void tide_queue_close(tide_queue *queue, bool immediate) {
  queue->closed = true;
  free_slots_of_putters(queue);
  tide__park_wake_all(&queue->putters, TIDE_ECLOSED);
  if (immediate) {
    queue->discarding = true;
    tide__park_wake_all(&queue->joiners, TIDE_OK);
    drop_pointers(queue);
  }
  tide__park_wake_all(&queue->getters, TIDE_ECLOSED); /* there are some only if it is empty */
}

/* As cases of select. */

static int attempt_get(tide_case *self) {
  uint32_t slot = 0;
  int result = tide_queue_try_get(self->wait.source, &slot);
  self->wait.value.number = slot;
  return result == TIDE_EQUEUE_EMPTY ? TIDE_PENDING : result;
}

static int park_get(tide_case *self) {
  tide_queue *queue = self->wait.source;
  tide_list_append(&queue->getters, &self->wait.in.link);
  return TIDE_OK;
}

static const tide_case_ops get_case = {.wait = &get_ops, .attempt = attempt_get, .park = park_get};

void tide_case_get(tide_case *self, tide_queue *queue) {
  *self = (tide_case){.ops = &get_case, .wait.source = queue};
}

static int attempt_put(tide_case *self) {
  tide_queue *queue = self->wait.source;
  if (queue->closed) return TIDE_ECLOSED;
  if (blocked(queue)) return TIDE_PENDING;
  if (queue->of_pointers) take_over(queue, (uint32_t)self->wait.value.number);
  deliver(queue, (uint32_t)self->wait.value.number);
  return TIDE_OK;
}

static int park_put(tide_case *self) {
  tide_queue *queue = self->wait.source;
  tide_list_append(&queue->putters, &self->wait.in.link);
  return TIDE_OK;
}

static const tide_case_ops put_case = {.wait = &put_ops, .attempt = attempt_put, .park = park_put};

void tide_case_put(tide_case *self, tide_queue *queue, uint32_t slot, double priority) {
  claim(queue, slot, priority);
  *self = (tide_case){.ops = &put_case, .wait.source = queue, .wait.value.number = slot};
}

int tide_case_put_pointer(tide_case *self, tide_queue *queue, void **pointer, double priority) {
  uint32_t slot;
  int error = claim_for(queue, pointer, priority, &slot);
  if (error != TIDE_OK) return error;
  *self = (tide_case){.ops = &put_case, .wait.source = queue, .wait.value.number = slot};
  return TIDE_OK;
}
