/* queue.c: items from putters to getters, in three orders. The spec is the queue's owner: it keeps
 * a number in each slot. */
#include "queue.h"

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
    bool early = false; /* most slots were free, and all others had low numbers */
    for (int i = 1; i < 5000; i++) {
      try_get();
      early = early || gave_back;
    }
    if (short_of_memory) w.memory.fail_at = w.memory.allocations + 1 + (unsigned)round % 2;
    try_get();
    w.memory.fail_at = 0;
    gave_back = gave_back || early;
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
  RUN(it_survives_any_shortage_of_memory);
  RUN(a_producer_may_be_struck_at_any_wait);
  RUN(a_consumer_may_be_struck_at_any_wait);
  return check_summary();
}
