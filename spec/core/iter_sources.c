/* iter_sources.c: iterators that the core has, over intervals and queues, and iterators over
 * iterators. */
#include "iter.h"

static tide_queue_iter other_items;

/* Iterators over iterators. */

static void one_may_be_made_of_another(void) {
  world w;
  open_numbers(&w, 3);
  tide_iter *iter = double_it(&numbers.iter);
  take(&w, "a", iter);
  turn(&w);
  actor *b = take_one(&w, "b", &numbers.iter);
  turn(&w);
  CHECK(actor_failed_with(b, TIDE_EBUSY));
  settle(&w);
  close_it(&w, "c", iter);
  settle(&w);
  CHECK_LOG(&w, "b invalid_state, a 2, a 4, a 6, a end, c closed it");
  CHECK(numbers.let_go);
  world_close(&w);
}

static void one_made_of_another_that_never_waits_lets_others_run(void) {
  world w;
  tide_iter endless;
  world_open(&w);
  tide_iter_init(&endless, &endless_ops);
  actor *a = spawn(&w, "a", counting_taker);
  a->data = double_it(&endless);
  turn(&w);
  CHECK(a->i > 50 && a->i < 300);
  settle(&w);
  CHECK_EQ(a->i, 1000);
  world_close(&w);
}

/* Intervals. */

static tide_interval ticks;

static void late_taker(actor *self) {
  BEGIN;
  for (self->i = 1; self->i <= 5; self->i++) {
    STEP(tide_iter_next(&ticks.iter, &self->task, &item));
    say(self, "%d at %d", (int)item.number,
        (int)((tide_loop_now(self->task.loop) - ticks.began) / 1000000));
    if (self->i == 2) WAIT(sleep_ms(self, 500));
    if (self->i == 3) WAIT(sleep_ms(self, 5000));
  }
  END;
}

static void an_interval_ticks_without_drift_and_leaves_out_what_was_missed(void) {
  world w;
  world_open(&w);
  tide_interval_init(&ticks, w.loop, (tide_time)2000000000);
  spawn(&w, "a", late_taker);
  settle(&w);
  CHECK_LOG(&w, "a 1 at 2000, a 2 at 4000, a 3 at 6000, a 6 at 12000, a 7 at 14000");
  world_close(&w);
}

static void an_interval_closed_while_one_waits_gives_that_tick_and_then_the_end(void) {
  world w;
  world_open(&w);
  tide_interval_init(&ticks, w.loop, 1000000);
  take(&w, "a", &ticks.iter);
  turn(&w);
  close_it(&w, "b", &ticks.iter);
  settle(&w);
  CHECK_LOG(&w, "b closed it, a 1, a end");
  world_close(&w);
}

static void the_end_of_time_is_no_tick(void) {
  world w;
  world_open(&w);
  tide_interval_init(&ticks, w.loop, TIDE_NEVER);
  actor *a = take(&w, "a", &ticks.iter);
  settle(&w);
  CHECK(!actor_ended(a));
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK_LOG(&w, "a cancelled");
  world_close(&w);
}

/* Queues. */

static void open_queue(world *w, size_t max) {
  world_open(w);
  tide_queue_init(&queue, w->loop, TIDE_FIFO, max);
  tide_queue_iter_init(&items, &queue);
  tide_queue_iter_init(&other_items, &queue);
}

static void put(int count) {
  uint32_t slot;
  while (count-- > 0) {
    CHECK_EQ(tide_queue_reserve(&queue, &slot), TIDE_OK);
    CHECK_EQ(tide_queue_try_put(&queue, slot, 0), TIDE_OK);
  }
}

static void a_queue_gives_its_items_until_it_is_closed_and_drained(void) {
  world w;
  open_queue(&w, 0);
  put(2);
  take(&w, "a", &items.iter);
  turn(&w);
  put(1);
  turn(&w);
  CHECK_LOG(&w, "a 0, a 1, a 2");
  tide_queue_close(&queue, false);
  settle(&w);
  CHECK_LOG(&w, "a end");
  tide_queue_term(&queue);
  world_close(&w);
}

static void a_queue_is_not_closed_with_its_iterator_and_may_have_several(void) {
  world w;
  open_queue(&w, 0);
  take_one(&w, "a", &items.iter);
  take_one(&w, "b", &other_items.iter);
  turn(&w);
  put(3);
  close_it(&w, "c", &items.iter);
  settle(&w);
  take_one(&w, "d", &items.iter);
  take_one(&w, "d", &other_items.iter);
  settle(&w);
  CHECK_LOG(&w, "a 0, b 1, c closed it, d end, d 2");
  CHECK(!queue.closed);
  tide_queue_term(&queue);
  world_close(&w);
}

int main(void) {
  RUN(one_may_be_made_of_another);
  RUN(one_made_of_another_that_never_waits_lets_others_run);
  RUN(an_interval_ticks_without_drift_and_leaves_out_what_was_missed);
  RUN(an_interval_closed_while_one_waits_gives_that_tick_and_then_the_end);
  RUN(the_end_of_time_is_no_tick);
  RUN(a_queue_gives_its_items_until_it_is_closed_and_drained);
  RUN(a_queue_is_not_closed_with_its_iterator_and_may_have_several);
  return check_summary();
}
