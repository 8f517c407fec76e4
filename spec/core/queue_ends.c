/* queue_ends.c: closing a queue, joining it, killing who waits in it. */
#include "queue.h"

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

int main(void) {
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
  return check_summary();
}
