/* iter.c: iterators: one task at a time, each item once, closing, and the core's own sources. */
#include <string.h>

#include "iter.h"

/* A host's own: counts up to a number, with two waits for each and a third at the end, while it
 * closes. */

/* Another host's: twice what its source gives. */

static void one_of_a_host_gives_its_items_and_then_the_end_for_ever(void) {
  world w;
  open_numbers(&w, 3);
  take(&w, "a", &numbers.iter);
  settle(&w);
  take_one(&w, "b", &numbers.iter);
  settle(&w);
  CHECK_LOG(&w, "a 1, a 2, a 3, a end, b end");
  CHECK_EQ(numbers.closings, 0);
  tide_iter_free(&numbers.iter);
  CHECK(numbers.freed);
  world_close(&w);
}

static void the_text_of_the_end_speaks_of_no_stream(void) {
  CHECK(strstr(tide_error_message(TIDE_EEOF), "stream") == NULL);
  CHECK(strstr(tide_error_message(TIDE_EEOF), "end") != NULL);
}

static void a_second_task_inside_is_told_and_changes_nothing(void) {
  world w;
  open_numbers(&w, 2);
  take(&w, "a", &numbers.iter);
  turn(&w);
  actor *b = take_one(&w, "b", &numbers.iter);
  actor *c = close_it(&w, "c", &numbers.iter);
  turn(&w);
  CHECK(actor_failed_with(b, TIDE_EBUSY));
  CHECK(actor_failed_with(c, TIDE_EBUSY));
  CHECK(tide_iter_user(&numbers.iter) == &w.actors[0].task);
  settle(&w);
  CHECK(tide_iter_user(&numbers.iter) == NULL);
  CHECK_LOG(&w, "b invalid_state, c invalid_state, a 1, a 2, a end");
  world_close(&w);
}

static void an_error_ends_it(void) {
  world w;
  open_numbers(&w, 3);
  numbers.fails_at = 2;
  actor *a = take(&w, "a", &numbers.iter);
  settle(&w);
  CHECK(actor_failed_with(a, TIDE_OS(ENOSPC)));
  take(&w, "b", &numbers.iter);
  settle(&w);
  CHECK_LOG(&w, "a 1, a os, b end");
  world_close(&w);
}

static void a_cancelled_step_did_not_happen(void) {
  world w;
  open_numbers(&w, 2);
  for (int waits = 0; waits < 2; waits++) {
    actor *a = take_one(&w, "a", &numbers.iter);
    turn(&w);
    if (waits == 1) CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK); /* time jumps */
    turn(&w);
    CHECK_EQ(numbers.waits, waits);
    tide_task_cancel(&a->task);
    settle(&w);
    CHECK(actor_failed_with(a, TIDE_ECANCELLED));
  }
  take(&w, "b", &numbers.iter);
  settle(&w);
  CHECK_LOG(&w, "a cancelled, a cancelled, b 1, b 2, b end");
  world_close(&w);
}

static void a_task_that_was_killed_inside_leaves_the_place(void) {
  world w;
  open_numbers(&w, 1);
  actor *a = take(&w, "a", &numbers.iter);
  turn(&w);
  actor_kill(a);
  memset(a, 0xEE, sizeof *a); /* its memory is gone */
  a->task.state = TIDE_TASK_ENDED;
  take(&w, "b", &numbers.iter);
  settle(&w);
  CHECK_LOG(&w, "b 1, b end");
  world_close(&w);
}

static void leaver(actor *self) {
  BEGIN;
  WAIT(tide_iter_next(&numbers.iter, &self->task, &item));
  tide_iter_leave(&numbers.iter, &self->task);
  tide_iter_leave(&numbers.iter, &self->task);
  CHECK(self->task.scope == &self->task.own);
  self->outcome = TIDE_OK;
  END;
}

static void a_task_may_leave_instead_of_calling_again(void) {
  world w;
  open_numbers(&w, 1);
  spawn(&w, "a", leaver);
  settle(&w);
  take(&w, "b", &numbers.iter);
  settle(&w);
  CHECK_LOG(&w, "b 1, b end");
  world_close(&w);
}

static void cancelled_taker(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 60000));
  STEP(tide_iter_next(&numbers.iter, &self->task, &item));
  report_end(self);
  END;
}

static void a_step_of_a_cancelled_task_asks_nobody(void) {
  world w;
  open_numbers(&w, 1);
  actor *a = spawn(&w, "a", cancelled_taker);
  turn(&w);
  numbers.waits = 77;
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK_EQ(numbers.waits, 77);
  CHECK_LOG(&w, "a cancelled");
  world_close(&w);
}

/* Closing. */

static void closed_it_gives_the_end_and_closing_it_again_is_harmless(void) {
  world w;
  open_numbers(&w, 3);
  take_one(&w, "a", &numbers.iter);
  settle(&w);
  close_it(&w, "a", &numbers.iter);
  turn(&w);
  close_it(&w, "b", &numbers.iter); /* while it is being closed */
  actor *c = take_one(&w, "c", &numbers.iter);
  turn(&w);
  CHECK(actor_failed_with(c, TIDE_EBUSY));
  settle(&w);
  close_it(&w, "d", &numbers.iter);
  take_one(&w, "d", &numbers.iter);
  settle(&w);
  CHECK_LOG(&w, "a 1, b closed it, c invalid_state, a closed it, d closed it, d end");
  CHECK_EQ(numbers.closings, 1);
  CHECK(numbers.let_go);
  world_close(&w);
}

static void closed_by_no_task_it_does_not_wait(void) {
  world w;
  open_numbers(&w, 3);
  take(&w, "a", &numbers.iter);
  turn(&w);
  CHECK_EQ(tide_iter_close(&numbers.iter, NULL), TIDE_EBUSY);
  actor_kill(&w.actors[0]);
  CHECK_EQ(tide_iter_close(&numbers.iter, NULL), TIDE_OK);
  CHECK_EQ(tide_iter_close(&numbers.iter, NULL), TIDE_OK);
  take(&w, "b", &numbers.iter);
  settle(&w);
  CHECK_LOG(&w, "b end");
  CHECK_EQ(numbers.closings, 0);
  tide_iter_free(&numbers.iter);
  CHECK(numbers.freed);
  world_close(&w);
}

static void an_error_of_closing_is_told_once(void) {
  world w;
  open_numbers(&w, 3);
  numbers.close_error = TIDE_OS(EIO);
  actor *a = close_it(&w, "a", &numbers.iter);
  settle(&w);
  CHECK(actor_failed_with(a, TIDE_OS(EIO)));
  close_it(&w, "b", &numbers.iter);
  settle(&w);
  CHECK_LOG(&w, "a os, b closed it");
  world_close(&w);
}

static void closing_is_not_cancelled_with_its_task(void) {
  world w;
  open_numbers(&w, 3);
  actor *a = spawn(&w, "a", closer);
  a->data = &numbers.iter;
  turn(&w);
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK(numbers.let_go);
  CHECK(tide_task_cancelled(&a->task) || actor_ended(a));
  CHECK_LOG(&w, "a closed it");
  world_close(&w);
}

static void cancelled_then_closer(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 60000));
  CHECK_EQ(self->outcome, TIDE_ECANCELLED);
  STEP(tide_iter_close(&numbers.iter, &self->task));
  CHECK_EQ(self->outcome, TIDE_OK);
  CHECK(tide_task_cancelled(&self->task));
  WAIT(sleep_ms(self, 1));
  END;
}

static void a_task_that_is_cancelled_already_closes_all_the_same(void) {
  world w;
  open_numbers(&w, 3);
  actor *a = spawn(&w, "a", cancelled_then_closer);
  turn(&w);
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK(numbers.let_go);
  CHECK(actor_failed_with(a, TIDE_ECANCELLED));
  world_close(&w);
}

static void closing_instead_of_calling_again(actor *self) {
  BEGIN;
  WAIT(tide_iter_next(&numbers.iter, &self->task, &item));
  STEP(tide_iter_close(&numbers.iter, &self->task));
  END;
}

static void who_was_cancelled_inside_may_close_at_once(void) {
  world w;
  open_numbers(&w, 3);
  actor *a = spawn(&w, "a", closing_instead_of_calling_again);
  turn(&w);
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK(numbers.let_go);
  CHECK_EQ(a->outcome, TIDE_OK);
  world_close(&w);
}

/* Steps that need no waiting. */

static void steps_that_never_wait_let_others_run_and_are_cancelled(void) {
  world w;
  tide_iter endless;
  world_open(&w);
  tide_iter_init(&endless, &endless_ops);
  actor *a = spawn(&w, "a", counting_taker);
  a->data = &endless;
  turn(&w);
  CHECK(a->i > 200 && a->i < 300);
  turn(&w);
  CHECK(a->i > 400 && a->i < 600);
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK(a->i < 600);
  CHECK(actor_failed_with(a, TIDE_ECANCELLED));
  tide_iter_free(&endless); /* which it leaves alone */
  world_close(&w);
}

/* Blows. */

/* Takes what the victim has left, once that has ended. */
static void heir(actor *self) {
  BEGIN;
  WAIT(tide_future_wait(&self->world->victim->task.future, &self->task, true));
  for (;;) {
    STEP(tide_iter_next(self->data, &self->task, &item));
    if (self->outcome != TIDE_OK) break;
    say(self, "%d", (int)item.number);
    if (self->data == &items.iter) tide_queue_free(&queue, (uint32_t)item.number);
  }
  report_end(self);
  STEP(tide_iter_close(self->data, &self->task));
  END;
}

static void victim_of_items(actor *self) {
  BEGIN;
  for (;;) {
    STEP(tide_iter_next(self->data, &self->task, &item));
    if (self->outcome != TIDE_OK) break;
    say(self, "%d", (int)item.number);
    if (self->data == &items.iter) tide_queue_free(&queue, (uint32_t)item.number);
    self->i++;
  }
  END;
}

static void inherit(world *w, tide_iter *iter) {
  w->victim = spawn(w, "x", victim_of_items);
  w->victim->data = iter;
  actor *b = spawn(w, "x", heir);
  b->data = iter;
}

static void stage_counter(world *w) {
  numbers = (counter){.last = 4};
  tide_iter_init(&numbers.iter, &counter_ops);
  inherit(w, &numbers.iter);
}

static void verify_counter(world *w) {
  CHECK_LOG(w, "x 1, x 2, x 3, x 4, x end");
  CHECK(numbers.let_go);
  CHECK(numbers.iter.place.task == NULL);
}

static void a_taker_may_be_struck_at_any_wait_and_nothing_is_lost(void) {
  play_all_blows(&(scenario){.stage = stage_counter, .verify = verify_counter});
}

static void stage_doubler(world *w) {
  numbers = (counter){.last = 4};
  tide_iter_init(&numbers.iter, &counter_ops);
  inherit(w, double_it(&numbers.iter));
}

static void verify_doubler(world *w) {
  CHECK_LOG(w, "x 2, x 4, x 6, x 8, x end");
  CHECK(numbers.let_go);
  CHECK(numbers.iter.place.task == NULL && doubled.iter.place.task == NULL);
}

static void so_may_one_that_takes_through_another_iterator(void) {
  play_all_blows(&(scenario){.stage = stage_doubler, .verify = verify_doubler});
}

static void slow_putter(actor *self) {
  BEGIN;
  for (self->i = 0; self->i < 4; self->i++) {
    uint32_t slot;
    CHECK_EQ(tide_queue_reserve(&queue, &slot), TIDE_OK);
    WAIT(tide_queue_put(&queue, &self->task, slot, 0));
    WAIT(sleep_ms(self, self->i % 2 ? 2 : 0));
  }
  tide_queue_close(&queue, false);
  END;
}

static void stage_queue(world *w) {
  tide_queue_init(&queue, w->loop, TIDE_FIFO, 1);
  tide_queue_iter_init(&items, &queue);
  spawn(w, "p", slow_putter);
  inherit(w, &items.iter);
}

static void verify_queue(world *w) {
  unsigned count = 0;
  for (const char *c = w->log; (c = strstr(c, "x ")) != NULL; c++) count++;
  CHECK_EQ(count, 5); /* four items, each once, and the end */
  CHECK(tide_list_empty(&queue.getters));
  tide_queue_term(&queue);
}

static void so_may_one_that_takes_from_a_queue(void) {
  play_all_blows(&(scenario){.stage = stage_queue, .verify = verify_queue});
}

static void stage_closing(world *w) {
  numbers = (counter){.last = 4};
  tide_iter_init(&numbers.iter, &counter_ops);
  w->victim = close_it(w, "v", &numbers.iter);
  actor *b = spawn(w, "x", heir);
  b->data = &numbers.iter;
}

static void verify_closing(world *w) {
  CHECK(strstr(w->log, "x end") != NULL);
  CHECK_EQ(numbers.closings, 1);
  bool killed = w->blow == KILL || w->blow == CANCEL_KILL || w->blow == READY_KILL;
  CHECK(numbers.let_go || (w->struck && killed));
  CHECK(numbers.iter.place.task == NULL);
}

static void who_closes_may_be_struck_at_any_wait(void) {
  play_all_blows(&(scenario){.stage = stage_closing, .verify = verify_closing});
}

int main(void) {
  RUN(one_of_a_host_gives_its_items_and_then_the_end_for_ever);
  RUN(the_text_of_the_end_speaks_of_no_stream);
  RUN(a_second_task_inside_is_told_and_changes_nothing);
  RUN(an_error_ends_it);
  RUN(a_cancelled_step_did_not_happen);
  RUN(a_task_that_was_killed_inside_leaves_the_place);
  RUN(a_task_may_leave_instead_of_calling_again);
  RUN(a_step_of_a_cancelled_task_asks_nobody);
  RUN(closed_it_gives_the_end_and_closing_it_again_is_harmless);
  RUN(closed_by_no_task_it_does_not_wait);
  RUN(an_error_of_closing_is_told_once);
  RUN(closing_is_not_cancelled_with_its_task);
  RUN(a_task_that_is_cancelled_already_closes_all_the_same);
  RUN(who_was_cancelled_inside_may_close_at_once);
  RUN(steps_that_never_wait_let_others_run_and_are_cancelled);
  RUN(a_taker_may_be_struck_at_any_wait_and_nothing_is_lost);
  RUN(so_may_one_that_takes_through_another_iterator);
  RUN(so_may_one_that_takes_from_a_queue);
  RUN(who_closes_may_be_struck_at_any_wait);
  return check_summary();
}
