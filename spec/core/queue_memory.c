/* queue_memory.c: what a queue needs when many items were in it, and gives back. */
#include "script.h"

enum { SLOTS = 1 << 16, KEPT = 1024 };

static tide_queue queue;
static int values[SLOTS]; /* by slot; 0: cleared */
static int last;          /* value that was put */
static bool told;         /* that memory was given back */

static void open_queue(world *w, tide_queue_order order) {
  world_open(w);
  tide_queue_init(&queue, w->loop, order, 0);
  memset(values, 0, sizeof values);
  last = 0;
}

static void close_queue(world *w) {
  tide_queue_term(&queue);
  world_close(w);
}

/* False: there is no memory. */
static bool put(void) {
  uint32_t slot;
  if (tide_queue_reserve(&queue, &slot) != TIDE_OK) return false;
  CHECK(slot < queue.capacity);
  CHECK_EQ(values[slot], 0);
  values[slot] = ++last;
  CHECK_EQ(tide_queue_try_put(&queue, slot, last), TIDE_OK);
  return true;
}

static uint32_t get(void) {
  uint32_t slot = 0;
  CHECK_EQ(tide_queue_try_get(&queue, &slot), TIDE_OK);
  CHECK(slot < queue.capacity);
  CHECK(values[slot] != 0);
  return slot;
}

static void give(uint32_t slot) {
  values[slot] = 0;
  if (!tide_queue_free(&queue, slot)) return;
  told = true;
  for (uint32_t i = queue.fresh; i < SLOTS; i++) {
    if (values[i] != 0) CHECK_EQ(values[i], 0);
  }
}

static void crowd(unsigned count) {
  for (unsigned i = 0; i < count; i++) CHECK(put());
}

static void drain(size_t count) {
  while (queue.count > count) give(get());
}

static void it_gives_back_what_a_crowd_needed_though_it_is_never_empty(void) {
  for (tide_queue_order order = TIDE_FIFO; order <= TIDE_PRIORITY; order++) {
    world w;
    told = false;
    open_queue(&w, order);
    crowd(50000);
    CHECK(w.memory.in_use > 50000 * sizeof(int));
    drain(5);
    for (int i = 0; i < 20000; i++) {
      CHECK(put());
      give(get());
    }
    CHECK_EQ(queue.count, 5);
    CHECK(told);
    CHECK_EQ(queue.capacity, KEPT);
    CHECK(w.memory.in_use < 128 * 1024);
    drain(0);
    close_queue(&w);
  }
}

static void a_slot_that_stays_taken_keeps_its_place(void) {
  world w;
  open_queue(&w, TIDE_FIFO);
  crowd(50000);
  drain(1);
  uint32_t kept = get();
  int value = values[kept];
  CHECK(kept > KEPT);
  for (int i = 0; i < 100000; i++) {
    CHECK(put());
    give(get());
    CHECK_EQ(values[kept], value);
  }
  CHECK(queue.capacity > kept);
  CHECK(put());
  give(kept);
  for (int i = 0; i < 100000; i++) {
    CHECK(put());
    give(get());
  }
  CHECK_EQ(queue.capacity, KEPT);
  drain(0);
  close_queue(&w);
}

/* Between so few and so many items, again and again. */
static void check_swings(unsigned few, unsigned many) {
  world w;
  open_queue(&w, TIDE_FIFO);
  crowd(few);
  unsigned before = w.memory.allocations;
  for (int i = 0; i < 12; i++) {
    crowd(many - few);
    drain(few);
  }
  CHECK((w.memory.allocations - before) * 100 <= 24 * (many - few));
  drain(0);
  close_queue(&w);
}

static void it_does_not_give_back_what_it_needs_again_at_once(void) {
  for (unsigned many = 1030; many <= 20000; many = many * 5 / 3)
    for (unsigned few = 1; few < many - 200; few = few * 4 + 7) check_swings(few, many);
}

static void it_goes_on_where_there_is_no_memory_to_move_to(void) {
  world w;
  open_queue(&w, TIDE_PRIORITY);
  crowd(10000);
  drain(5);
  unsigned attempts = w.memory.allocations;
  while (queue.capacity > KEPT) {
    if (w.memory.allocations < attempts + 3) w.memory.fail_at = w.memory.allocations + 1;
    CHECK(put());
    give(get());
  }
  CHECK(w.memory.allocations > attempts + 3);
  drain(0);
  close_queue(&w);
}

/* What was taken out and not given back yet. */
static uint32_t held[64];
static int held_count;

static void hold_or_give(uint32_t slot) {
  if (held_count < 64 && rand() % 50 == 0)
    held[held_count++] = slot;
  else
    give(slot);
}

static void let_one_go(void) {
  if (held_count == 0) return;
  int i = rand() % held_count;
  uint32_t slot = held[i];
  held[i] = held[--held_count];
  if (rand() % 2 || !tide_queue_give_back(&queue, slot)) give(slot);
}

static void whatever_comes_and_goes_each_item_stays_what_it_is(void) {
  told = false;
  for (unsigned seed = 1; seed <= (check_quick() ? 3 : 9); seed++) {
    world w;
    open_queue(&w, (tide_queue_order)(seed % 3));
    srand(seed);
    for (int round = 0; round < 12; round++) {
      size_t goal = rand() % 3 == 0 ? (size_t)rand() % 20000 : (size_t)rand() % 30;
      if (rand() % 4 == 0) w.memory.fail_at = w.memory.allocations + 1;
      for (int i = 0; i < 20000; i++) {
        bool more = queue.count < goal ? rand() % 8 > 0 : rand() % 8 == 0;
        if (more)
          put();
        else if (queue.count > 0)
          hold_or_give(get());
        if (rand() % 60 == 0) let_one_go();
      }
    }
    while (held_count > 0) let_one_go();
    size_t taken = 0;
    for (int i = 0; i < SLOTS; i++) taken += values[i] != 0;
    CHECK_EQ(taken, queue.count);
    CHECK_EQ(taken, tide_queue_taken(&queue));
    w.memory.fail_at = 0;
    drain(0);
    CHECK_EQ(queue.capacity > KEPT, false);
    close_queue(&w);
  }
  CHECK(told);
}

static void its_owner_is_told_later_of_what_came_back_by_itself(void) {
  world w;
  open_queue(&w, TIDE_FIFO);
  crowd(5000);
  told = false;
  uint32_t slot;
  tide_queue_close(&queue, true);
  while (tide_queue_drop(&queue, &slot)) values[slot] = 0;
  CHECK_EQ(queue.capacity, KEPT);
  queue.closed = queue.discarding = false; /* as where a task was killed that had been given it */
  CHECK(put());
  give(get());
  CHECK(told);
  close_queue(&w);
}

int main(void) {
  RUN(it_gives_back_what_a_crowd_needed_though_it_is_never_empty);
  RUN(a_slot_that_stays_taken_keeps_its_place);
  RUN(it_does_not_give_back_what_it_needs_again_at_once);
  RUN(it_goes_on_where_there_is_no_memory_to_move_to);
  RUN(whatever_comes_and_goes_each_item_stays_what_it_is);
  RUN(its_owner_is_told_later_of_what_came_back_by_itself);
  return check_summary();
}
