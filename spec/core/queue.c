/* queue.c: items from putters to getters, in three orders. The spec is the queue's owner: it keeps
 * a number in each slot. */
#include "script.h"

enum { SLOTS = 8192 };

static tide_queue queue;
static int values[SLOTS]; /* by slot; 0: cleared */

static void open_queue(world *w, tide_queue_order order, size_t max) {
  world_open(w);
  tide_queue_init(&queue, w->loop, order, max);
  memset(values, 0, sizeof values);
}

/* Every slot but those of items in the queue has been given back, and cleared. */
static void check_slots(void) {
  size_t kept = 0;
  for (int i = 0; i < SLOTS; i++) kept += values[i] != 0;
  CHECK_EQ(kept, queue.count);
  CHECK_EQ(queue.fresh - queue.free_count, queue.count);
  CHECK(tide_list_empty(&queue.getters));
  CHECK(tide_list_empty(&queue.putters));
  CHECK(tide_list_empty(&queue.joiners));
}

static void close_queue(world *w) {
  check_slots();
  tide_queue_term(&queue);
  world_close(w);
}

static int reserve(int value) {
  uint32_t slot;
  CHECK_EQ(tide_queue_reserve(&queue, &slot), TIDE_OK);
  CHECK_EQ(values[slot], 0);
  values[slot] = value;
  return (int)slot;
}

static int try_put_with(int value, double priority) {
  int slot = reserve(value);
  int error = tide_queue_try_put(&queue, (uint32_t)slot, priority);
  if (error != TIDE_OK) values[slot] = 0;
  return error;
}

static int try_put(int value) { return try_put_with(value, value); }

static bool gave_back; /* memory, with the last item that was taken out */

static int take_out(uint32_t slot) {
  int value = values[slot];
  CHECK(value != 0);
  values[slot] = 0;
  gave_back = tide_queue_free(&queue, slot);
  return value;
}

static int try_get(void) {
  uint32_t slot;
  int error = tide_queue_try_get(&queue, &slot);
  return error == TIDE_OK ? take_out(slot) : error;
}

/* In a script: puts `value`; self->outcome says how it went. The owner's duties on failure. */
#define PUT(value)                                  \
  do {                                              \
    self->slot = (uint32_t)reserve(value);          \
    self->data = NULL;                              \
    WAIT(put_wait(self));                           \
    if (self->outcome != TIDE_OK) put_failed(self); \
    self->data = NULL;                              \
  } while (0)

static int put_wait(actor *self) {
  int result = tide_queue_put(&queue, &self->task, self->slot, values[self->slot]);
  if (result == TIDE_PENDING) self->data = self; /* the slot is the queue's */
  return result;
}

static void put_failed(actor *self) {
  values[self->slot] = 0;
  if (self->data != NULL) tide_queue_free(&queue, self->slot);
}

#define GET(value)                                                                           \
  do {                                                                                       \
    WAIT(tide_queue_get(&queue, &self->task));                                               \
    value = self->outcome == TIDE_OK ? take_out((uint32_t)self->task.wait.value.number) : 0; \
  } while (0)

static void getter(actor *self) {
  int value;
  BEGIN;
  GET(value);
  say(self, "%d", value != 0 ? value : self->outcome);
  END;
}

/* Puts its i, then says so. */
static void putter(actor *self) {
  BEGIN;
  PUT(self->i);
  say(self, self->outcome == TIDE_OK ? "put" : "%d", self->outcome);
  END;
}

static actor *spawn_putter(world *w, const char *name, int value) {
  actor *self = spawn(w, name, putter);
  self->i = value;
  return self;
}

/* Order. */

static void check_order(tide_queue_order order, const int *in, const int *out, int n) {
  world w;
  open_queue(&w, order, 0);
  for (int i = 0; i < n; i++) CHECK_EQ(try_put(in[i]), TIDE_OK);
  CHECK_EQ(queue.count, n);
  for (int i = 0; i < n; i++) CHECK_EQ(try_get(), out[i]);
  CHECK_EQ(try_get(), TIDE_EQUEUE_EMPTY);
  close_queue(&w);
}

static void first_in_first_out(void) {
  check_order(TIDE_FIFO, (int[]){3, 1, 2}, (int[]){3, 1, 2}, 3);
}

static void last_in_first_out(void) {
  check_order(TIDE_LIFO, (int[]){3, 1, 2}, (int[]){2, 1, 3}, 3);
}

static void lowest_priority_first(void) {
  check_order(TIDE_PRIORITY, (int[]){3, -1, 2, -7, 5}, (int[]){-7, -1, 2, 3, 5}, 5);
}

static void equal_priorities_keep_the_order_they_came_in(void) {
  world w;
  open_queue(&w, TIDE_PRIORITY, 0);
  const double priorities[] = {1, 0.0, -0.0, 1, -0.0, 0.0};
  for (int i = 0; i < 6; i++) CHECK_EQ(try_put_with(i + 1, priorities[i]), TIDE_OK);
  const int out[] = {2, 3, 5, 6, 1, 4};
  for (int i = 0; i < 6; i++) CHECK_EQ(try_get(), out[i]);
  close_queue(&w);
}

static void any_number_is_a_priority(void) {
  world w;
  open_queue(&w, TIDE_PRIORITY, 0);
  const double priorities[] = {__builtin_inf(), -__builtin_inf(), 1e300, 5e-324, -5e-324, -1e300};
  for (int i = 0; i < 6; i++) CHECK_EQ(try_put_with(i + 1, priorities[i]), TIDE_OK);
  const int out[] = {2, 6, 5, 4, 3, 1};
  for (int i = 0; i < 6; i++) CHECK_EQ(try_get(), out[i]);
  close_queue(&w);
}

/* A model: an array searched for what must come next. */

static int model[SLOTS], modelled;

static int model_take(tide_queue_order order) {
  int at = order == TIDE_LIFO ? modelled - 1 : 0;
  for (int i = 0; order == TIDE_PRIORITY && i < modelled; i++)
    if (model[i] % 16 < model[at] % 16) at = i;
  int value = model[at];
  memmove(&model[at], &model[at + 1], (size_t)(--modelled - at) * sizeof *model);
  return value;
}

static void check_against_model(tide_queue_order order) {
  world w;
  open_queue(&w, order, 0);
  modelled = 0;
  srand(5);
  for (int i = 1; i < 60000; i++) {
    bool filling = i / 3000 % 2 == 0;
    if (rand() % 8 < (filling ? 5 : 3) && modelled < SLOTS - 1) {
      model[modelled++] = i;
      CHECK_EQ(try_put_with(i, i % 16), TIDE_OK);
    } else {
      CHECK_EQ(try_get(), modelled > 0 ? model_take(order) : TIDE_EQUEUE_EMPTY);
    }
  }
  CHECK(queue.capacity >= 256); /* it did grow */
  while (modelled > 0) CHECK_EQ(try_get(), model_take(order));
  close_queue(&w);
}

static void it_keeps_its_order_while_it_grows(void) {
  check_against_model(TIDE_FIFO);
  check_against_model(TIDE_LIFO);
  check_against_model(TIDE_PRIORITY);
}

static void a_short_queue_needs_few_slots_however_many_items_pass(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 0);
  for (int i = 1; i < 1000; i++) {
    CHECK_EQ(try_put(i), TIDE_OK);
    CHECK_EQ(try_get(), i);
  }
  CHECK(queue.fresh <= 1);
  close_queue(&w);
}

static void check_given_back(tide_queue_order order, bool short_of_memory) {
  world w;
  open_queue(&w, order, 0);
  for (int round = 0; round < 3; round++) {
    for (int i = 1; i <= 5000; i++) CHECK_EQ(try_put(i), TIDE_OK);
    CHECK_EQ(queue.capacity, 8192);
    CHECK_EQ(tide_queue_taken(&queue), 5000);
    for (int i = 1; i < 5000; i++) {
      try_get();
      CHECK(!gave_back);
    }
    if (short_of_memory) w.memory.fail_at = w.memory.allocations + 1 + (unsigned)round % 2;
    try_get();
    w.memory.fail_at = 0;
    CHECK_EQ(queue.count, 0);
    CHECK_EQ(tide_queue_taken(&queue), 0);
    CHECK(short_of_memory || gave_back);
    CHECK_EQ(queue.capacity, gave_back ? 1024 : 8192);
  }
  close_queue(&w);
}

static void it_gives_back_what_a_crowd_needed(void) {
  for (tide_queue_order order = TIDE_FIFO; order <= TIDE_PRIORITY; order++) {
    check_given_back(order, false);
    check_given_back(order, true);
  }
}

/* Waiting. */

static void a_getter_waits_and_is_handed_the_next_item(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 0);
  spawn(&w, "a", getter);
  spawn(&w, "b", getter);
  settle(&w);
  CHECK_EQ(try_put(7), TIDE_OK);
  CHECK_EQ(queue.count, 0);
  CHECK_EQ(try_get(), TIDE_EQUEUE_EMPTY); /* it is a's */
  CHECK_EQ(try_put(8), TIDE_OK);
  CHECK_EQ(try_put(9), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "a 7, b 8");
  CHECK_EQ(try_get(), 9);
  close_queue(&w);
}

static void a_putter_waits_for_room_in_order_of_arrival(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 2);
  for (int i = 1; i <= 4; i++) spawn_putter(&w, "p", i);
  settle(&w);
  CHECK_LOG(&w, "p put, p put");
  CHECK(tide_queue_full(&queue));
  CHECK_EQ(try_put(9), TIDE_EQUEUE_FULL);
  CHECK_EQ(try_get(), 1);
  CHECK_EQ(try_put(9), TIDE_EQUEUE_FULL); /* the room is the third's */
  for (int i = 2; i <= 4; i++) CHECK_EQ(try_get(), i);
  settle(&w);
  CHECK_LOG(&w, "p put, p put");
  close_queue(&w);
}

static void a_stack_and_a_priority_queue_admit_putters_in_order_too(void) {
  for (tide_queue_order order = TIDE_LIFO; order <= TIDE_PRIORITY; order++) {
    world w;
    open_queue(&w, order, 1);
    for (int i = 1; i <= 3; i++) spawn_putter(&w, "p", 4 - i);
    settle(&w);
    CHECK_EQ(try_get(), 3);
    CHECK_EQ(try_get(), 2);
    CHECK_EQ(try_get(), 1);
    settle(&w);
    close_queue(&w);
  }
}

static void a_cancelled_getter_takes_nothing(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 0);
  actor *a = spawn(&w, "a", getter);
  spawn(&w, "b", getter);
  settle(&w);
  tide_task_cancel(&a->task);
  CHECK_EQ(try_put(7), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "a -1, b 7");
  close_queue(&w);
}

static void a_getter_cancelled_when_it_was_handed_an_item_gets_it(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 0);
  actor *a = spawn(&w, "a", getter);
  settle(&w);
  CHECK_EQ(try_put(7), TIDE_OK);
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK_LOG(&w, "a 7");
  close_queue(&w);
}

static void a_cancelled_putter_puts_nothing(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 1);
  spawn_putter(&w, "a", 1);
  actor *b = spawn_putter(&w, "b", 2);
  spawn_putter(&w, "c", 3);
  settle(&w);
  tide_task_cancel(&b->task);
  settle(&w);
  CHECK_LOG(&w, "a put, b -1");
  CHECK_EQ(try_get(), 1);
  CHECK_EQ(try_get(), 3);
  settle(&w);
  close_queue(&w);
}

static void the_slot_of_a_cancelled_put_is_not_used_again_before_its_owner_cleared_it(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 1);
  spawn_putter(&w, "a", 1);
  actor *b = spawn_putter(&w, "b", 2);
  settle(&w);
  tide_task_cancel(&b->task);
  CHECK_EQ(try_get(), 1);
  CHECK_EQ(try_put(3), TIDE_OK); /* CHECKs that its slot is clear */
  settle(&w);
  CHECK_EQ(try_get(), 3); /* and b did not clear it */
  close_queue(&w);
}

static void selfish(actor *self) {
  BEGIN;
  tide_task_cancel(&self->task);
  PUT(5);
  say(self, "%d", self->outcome);
  END;
}

static void a_put_in_a_cancelled_scope_takes_a_slot_until_it_is_told(void) {
  world w;
  open_queue(&w, TIDE_PRIORITY, 0);
  spawn(&w, "a", selfish);
  turn(&w);
  CHECK_EQ(queue.count, 0);
  CHECK_EQ(try_put(3), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "a -1");
  CHECK_EQ(try_get(), 3);
  close_queue(&w);
}

/* Closing. */

static void a_closed_queue_is_drained_and_then_fails(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 2);
  for (int i = 1; i <= 3; i++) spawn_putter(&w, "p", i);
  settle(&w);
  tide_queue_close(&queue, false);
  settle(&w);
  CHECK_LOG(&w, "p put, p put, p -4");
  CHECK_EQ(try_put(9), TIDE_ECLOSED);
  spawn_putter(&w, "q", 9);
  spawn(&w, "g", getter);
  spawn(&w, "g", getter);
  spawn(&w, "g", getter);
  settle(&w);
  CHECK_LOG(&w, "q -4, g 1, g 2, g -4");
  CHECK_EQ(try_get(), TIDE_ECLOSED);
  close_queue(&w);
}

static void closing_an_empty_queue_fails_its_getters(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 0);
  spawn(&w, "a", getter);
  spawn(&w, "b", getter);
  settle(&w);
  tide_queue_close(&queue, false);
  tide_queue_close(&queue, true); /* again: harmless */
  settle(&w);
  CHECK_LOG(&w, "a -4, b -4");
  close_queue(&w);
}

static void joiner(actor *self) {
  BEGIN;
  WAIT(tide_queue_join(&queue, &self->task));
  say(self, "joined %d", self->outcome);
  END;
}

static void closing_at_once_drops_the_items_and_releases_who_joins(void) {
  for (tide_queue_order order = TIDE_FIFO; order <= TIDE_PRIORITY; order++) {
    world w;
    open_queue(&w, order, 2);
    for (int i = 1; i <= 3; i++) spawn_putter(&w, "p", i);
    spawn(&w, "j", joiner);
    settle(&w);
    tide_queue_close(&queue, true);
    for (uint32_t slot; tide_queue_drop(&queue, &slot);) continue;
    memset(values, 0, sizeof values);
    CHECK_EQ(queue.unfinished, 0);
    settle(&w);
    CHECK_LOG(&w, "p put, p put, p -4, j joined 0");
    CHECK_EQ(try_get(), TIDE_ECLOSED);
    close_queue(&w);
  }
}

static void what_is_done_early_is_not_counted_again_when_items_are_dropped(void) {
  world w;
  uint32_t slot;
  open_queue(&w, TIDE_FIFO, 0);
  CHECK_EQ(try_put(1), TIDE_OK);
  CHECK_EQ(tide_queue_task_done(&queue), TIDE_OK);
  tide_queue_close(&queue, true);
  CHECK(tide_queue_drop(&queue, &slot));
  memset(values, 0, sizeof values);
  CHECK_EQ(queue.unfinished, 0);
  spawn(&w, "j", joiner);
  settle(&w);
  CHECK_LOG(&w, "j joined 0");
  close_queue(&w);
}

/* Joining. */

static void join_waits_until_every_item_is_done(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 0);
  spawn(&w, "early", joiner); /* nothing is to be done yet */
  CHECK_EQ(try_put(1), TIDE_OK);
  CHECK_EQ(try_put(2), TIDE_OK);
  w.actors[0].body = joiner;
  settle(&w);
  CHECK_EQ(try_get(), 1);
  CHECK_EQ(try_get(), 2);
  CHECK_EQ(tide_queue_task_done(&queue), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "");
  CHECK_EQ(tide_queue_task_done(&queue), TIDE_OK);
  CHECK_EQ(tide_queue_task_done(&queue), TIDE_EINVALID_STATE);
  settle(&w);
  CHECK_LOG(&w, "early joined 0");
  spawn(&w, "late", joiner);
  settle(&w);
  CHECK_LOG(&w, "late joined 0");
  close_queue(&w);
}

static void an_item_counts_as_put_when_it_is_in(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 1);
  spawn_putter(&w, "a", 1);
  actor *b = spawn_putter(&w, "b", 2);
  settle(&w);
  CHECK_EQ(queue.unfinished, 1);
  tide_task_cancel(&b->task);
  settle(&w);
  CHECK_EQ(queue.unfinished, 1);
  CHECK_EQ(try_get(), 1);
  close_queue(&w);
}

static void cancelled_joiner(actor *self) {
  BEGIN;
  tide_task_cancel(&self->task);
  WAIT(tide_queue_join(&queue, &self->task)); /* would not have to wait */
  say(self, "%d", self->outcome);
  WAIT(tide_queue_get(&queue, &self->task));
  say(self, "%d", self->outcome);
  END;
}

static void in_a_cancelled_scope_nothing_can_be_got_or_joined(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 0);
  spawn(&w, "a", cancelled_joiner);
  turn(&w);
  CHECK_EQ(try_put(1), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "a -1, a -1");
  CHECK_EQ(try_get(), 1);
  close_queue(&w);
}

static void terminated_it_is_as_new(void) {
  world w;
  open_queue(&w, TIDE_PRIORITY, 0);
  for (int i = 1; i < 20; i++) CHECK_EQ(try_put(i), TIDE_OK);
  tide_queue_close(&queue, false);
  tide_queue_term(&queue);
  memset(values, 0, sizeof values);
  for (int i = 1; i < 20; i++) CHECK_EQ(try_put(20 - i), TIDE_OK);
  for (int i = 1; i < 20; i++) CHECK_EQ(try_get(), i);
  close_queue(&w);
}

/* Killing. */

static void an_item_handed_to_a_killed_getter_goes_back_to_its_place(void) {
  for (tide_queue_order order = TIDE_FIFO; order <= TIDE_PRIORITY; order++) {
    world w;
    open_queue(&w, order, 0);
    actor *a = spawn(&w, "a", getter);
    settle(&w);
    CHECK_EQ(try_put_with(1, 5), TIDE_OK);
    actor_kill(a);
    CHECK_EQ(try_put_with(2, 5), TIDE_OK);
    CHECK_EQ(try_get(), order == TIDE_LIFO ? 2 : 1);
    CHECK_EQ(try_get(), order == TIDE_LIFO ? 1 : 2);
    close_queue(&w);
  }
}

static void put_back_among_equal_priorities_it_is_before_those_that_came_later(void) {
  world w;
  open_queue(&w, TIDE_PRIORITY, 0);
  actor *a = spawn(&w, "a", getter);
  settle(&w);
  CHECK_EQ(try_put_with(1, 5), TIDE_OK);
  CHECK_EQ(try_put_with(2, 5), TIDE_OK);
  CHECK_EQ(try_put_with(3, 4), TIDE_OK);
  actor_kill(a);
  CHECK_EQ(try_get(), 3);
  CHECK_EQ(try_get(), 1);
  CHECK_EQ(try_get(), 2);
  close_queue(&w);
}

static void put_back_in_a_line_it_is_at_the_head(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 2);
  uint32_t first, second; /* given back in another order, so that slots and places differ */
  CHECK_EQ(try_put(8), TIDE_OK);
  CHECK_EQ(try_put(9), TIDE_OK);
  CHECK_EQ(tide_queue_try_get(&queue, &first), TIDE_OK);
  CHECK_EQ(tide_queue_try_get(&queue, &second), TIDE_OK);
  CHECK_EQ(take_out(second), 9);
  CHECK_EQ(take_out(first), 8);
  actor *a = spawn(&w, "a", getter);
  settle(&w);
  for (int i = 1; i <= 3; i++) CHECK_EQ(try_put(i), TIDE_OK);
  actor_kill(a);
  CHECK_EQ(queue.count, 3); /* one more than fit, rather than lost */
  CHECK_EQ(try_put(9), TIDE_EQUEUE_FULL);
  spawn_putter(&w, "p", 4);
  settle(&w);
  for (int i = 1; i <= 4; i++) CHECK_EQ(try_get(), i);
  settle(&w);
  close_queue(&w);
}

static void put_back_it_goes_to_the_next_getter(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 0);
  actor *a = spawn(&w, "a", getter), *b = spawn(&w, "b", getter);
  spawn(&w, "c", getter);
  settle(&w);
  CHECK_EQ(try_put(6), TIDE_OK);
  CHECK_EQ(try_put(7), TIDE_OK);
  actor_kill(b);
  settle(&w);
  CHECK_LOG(&w, "a 6, c 7");
  CHECK(actor_ended(a));
  close_queue(&w);
}

static void a_getter_that_was_told_of_the_end_puts_nothing_back(void) {
  for (tide_queue_order order = TIDE_FIFO; order <= TIDE_PRIORITY; order++) {
    world w;
    open_queue(&w, order, 0);
    actor *a = spawn(&w, "a", getter);
    settle(&w);
    tide_queue_close(&queue, false);
    actor_kill(a);
    CHECK_EQ(queue.count, 0);
    close_queue(&w);
  }
}

/* What may happen to a queue in which a getter waits, in one turn, in any order. */

enum { TO_PUT, TO_CLOSE_AT_ONCE, TO_CLOSE, TO_JOIN, TO_KILL, EVENTS };

static void close_now(bool immediate) {
  uint32_t slot;
  tide_queue_close(&queue, immediate);
  while (immediate && tide_queue_drop(&queue, &slot)) values[slot] = 0;
}

/* The getter may have been handed an item, which goes back into the queue or is dropped. */
static void kill_getter(actor *self) {
  if (actor_ended(self)) return;
  bool handed = self->task.state == TIDE_TASK_READY && self->task.outcome == TIDE_OK;
  if (handed && queue.discarding) values[self->task.wait.value.number] = 0;
  actor_kill(self);
}

static void event(actor *self) {
  BEGIN;
  if (self->i == TO_PUT && !queue.closed) CHECK_EQ(try_put(7), TIDE_OK);
  if (self->i == TO_CLOSE_AT_ONCE || self->i == TO_CLOSE) close_now(self->i == TO_CLOSE_AT_ONCE);
  if (self->i == TO_KILL) kill_getter(&self->world->actors[0]);
  if (self->i == TO_JOIN) TRY(tide_queue_join(&queue, &self->task));
  END;
}

static void nobody_joins_for_ever_in_whatever_order_things_happen(void) {
  for (int number = 0; number < EVENTS * EVENTS * EVENTS * EVENTS; number++) {
    world w;
    open_queue(&w, TIDE_FIFO, 0);
    spawn(&w, "g", getter);
    turn(&w);
    for (int i = 0, rest = number; i < 4; i++, rest /= EVENTS)
      spawn(&w, "e", event)->i = rest % EVENTS;
    settle(&w);
    CHECK(queue.unfinished > 0 || tide_list_empty(&queue.joiners));
    while (queue.unfinished > queue.count) tide_queue_task_done(&queue); /* what was got */
    close_now(true);
    settle(&w);
    close_queue(&w);
  }
}

static void the_queue_takes_back_the_slot_of_a_killed_putter(void) {
  world w;
  open_queue(&w, TIDE_FIFO, 1);
  spawn_putter(&w, "a", 1);
  actor *b = spawn_putter(&w, "b", 2), *c = spawn_putter(&w, "c", 3);
  settle(&w);
  actor_kill(b);
  tide_task_cancel(&c->task);
  actor_kill(c);
  values[b->slot] = values[c->slot] = 0;
  CHECK_EQ(try_get(), 1);
  close_queue(&w);
}

/* Shortage of memory, in all orders: what got in comes out, in order. */

static tide_queue_order staged_order;

static void hoarder(actor *self) {
  uint32_t slot;
  BEGIN;
  for (self->i = 1; self->i <= 40; self->i++) {
    if (tide_queue_reserve(&queue, &slot) != TIDE_OK) continue;
    values[slot] = self->i;
    CHECK_EQ(tide_queue_try_put(&queue, slot, 1), TIDE_OK);
  }
  END;
}

static void stage_hoarder(world *w) {
  memset(values, 0, sizeof values);
  tide_queue_init(&queue, w->loop, staged_order, 0);
  spawn(w, "hoarder", hoarder);
}

static void verify_hoard(world *w) {
  int last = staged_order == TIDE_LIFO ? 100 : 0;
  (void)w;
  CHECK(queue.count >= 39);
  while (queue.count > 0) {
    int value = try_get();
    CHECK(staged_order == TIDE_LIFO ? value < last : value > last);
    last = value;
  }
  check_slots();
  tide_queue_term(&queue);
}

static void it_survives_any_shortage_of_memory(void) {
  for (staged_order = TIDE_FIFO; staged_order <= TIDE_PRIORITY; staged_order++)
    play_all_shortages(&(scenario){.stage = stage_hoarder, .verify = verify_hoard});
}

/* Everything at once: producers and consumers over a short queue. */

static int produced, consumed;

static void producer(actor *self) {
  BEGIN;
  for (; self->i < 12; self->i++) {
    PUT(self->i + 1);
    if (self->outcome != TIDE_OK) break;
    produced++;
    if (self->i % 5 == 4) TRY(sleep_ms(self, 1));
  }
  END;
}

static void consumer(actor *self) {
  int value;
  BEGIN;
  for (; self->i < 12; self->i++) {
    GET(value);
    if (value == 0) break;
    consumed++;
    tide_queue_task_done(&queue);
    if (self->i % 4 == 3) TRY(sleep_ms(self, 1));
  }
  END;
}

static void closer(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 50));
  tide_queue_close(&queue, false);
  END;
}

static void clear_slot(actor *self) {
  /* In a parked put the queue has taken the slot back. One that was done is in, or was got. */
  if (self->data != NULL && self->task.outcome != TIDE_OK) values[self->slot] = 0;
}

static void stage_both(world *w, int victim) {
  memset(values, 0, sizeof values);
  produced = consumed = 0;
  tide_queue_init(&queue, w->loop, staged_order, 3);
  spawn(w, "producer", producer);
  spawn(w, "consumer", consumer);
  spawn(w, "producer", producer);
  spawn(w, "consumer", consumer);
  spawn(w, "closer", closer);
  w->victim = &w->actors[victim];
}

static void stage_producer(world *w) {
  stage_both(w, 2);
  w->victim->close = clear_slot;
}

static void stage_consumer(world *w) { stage_both(w, 1); }

static void verify_both(world *w) {
  int left = (int)queue.count;
  bool done_unseen = w->struck && w->victim->body == producer; /* its last put may have been */
  CHECK(produced == consumed + left || (done_unseen && produced + 1 == consumed + left));
  CHECK_EQ(queue.unfinished, left);
  while (queue.count > 0) try_get();
  check_slots();
  tide_queue_term(&queue);
}

static void a_producer_may_be_struck_at_any_wait(void) {
  for (staged_order = TIDE_FIFO; staged_order <= TIDE_PRIORITY; staged_order++)
    play_all_blows(&(scenario){.stage = stage_producer, .verify = verify_both});
}

static void a_consumer_may_be_struck_at_any_wait(void) {
  for (staged_order = TIDE_FIFO; staged_order <= TIDE_PRIORITY; staged_order++)
    play_all_blows(&(scenario){.stage = stage_consumer, .verify = verify_both});
}

int main(void) {
  RUN(first_in_first_out);
  RUN(last_in_first_out);
  RUN(lowest_priority_first);
  RUN(equal_priorities_keep_the_order_they_came_in);
  RUN(any_number_is_a_priority);
  RUN(it_keeps_its_order_while_it_grows);
  RUN(a_short_queue_needs_few_slots_however_many_items_pass);
  RUN(it_gives_back_what_a_crowd_needed);
  RUN(a_getter_waits_and_is_handed_the_next_item);
  RUN(a_putter_waits_for_room_in_order_of_arrival);
  RUN(a_stack_and_a_priority_queue_admit_putters_in_order_too);
  RUN(a_cancelled_getter_takes_nothing);
  RUN(a_getter_cancelled_when_it_was_handed_an_item_gets_it);
  RUN(a_cancelled_putter_puts_nothing);
  RUN(the_slot_of_a_cancelled_put_is_not_used_again_before_its_owner_cleared_it);
  RUN(a_put_in_a_cancelled_scope_takes_a_slot_until_it_is_told);
  RUN(a_closed_queue_is_drained_and_then_fails);
  RUN(closing_an_empty_queue_fails_its_getters);
  RUN(closing_at_once_drops_the_items_and_releases_who_joins);
  RUN(what_is_done_early_is_not_counted_again_when_items_are_dropped);
  RUN(join_waits_until_every_item_is_done);
  RUN(an_item_counts_as_put_when_it_is_in);
  RUN(in_a_cancelled_scope_nothing_can_be_got_or_joined);
  RUN(terminated_it_is_as_new);
  RUN(an_item_handed_to_a_killed_getter_goes_back_to_its_place);
  RUN(put_back_among_equal_priorities_it_is_before_those_that_came_later);
  RUN(put_back_in_a_line_it_is_at_the_head);
  RUN(put_back_it_goes_to_the_next_getter);
  RUN(a_getter_that_was_told_of_the_end_puts_nothing_back);
  RUN(nobody_joins_for_ever_in_whatever_order_things_happen);
  RUN(the_queue_takes_back_the_slot_of_a_killed_putter);
  RUN(it_survives_any_shortage_of_memory);
  RUN(a_producer_may_be_struck_at_any_wait);
  RUN(a_consumer_may_be_struck_at_any_wait);
  return check_summary();
}
