/* select.c: of several things the first happens, and nothing else. */
#include "script.h"

enum { CASES = 6, ITEMS = 4 };

static tide_queue from, to;
static tide_event event;
static tide_lock lock;
static tide_semaphore semaphore;
static tide_future future;
static tide_case cases[ACTORS][CASES];
static tide_select selects[ACTORS];

static void open_sources(world *w) {
  tide_queue_init(&from, w->loop, TIDE_FIFO, 0);
  tide_queue_init(&to, w->loop, TIDE_FIFO, 1);
  tide_event_init(&event);
  tide_lock_init(&lock);
  tide_semaphore_init(&semaphore, 0, SIZE_MAX);
  tide_future_init(&future);
}

static void check_left(void) {
  CHECK(tide_list_empty(&from.getters) && tide_list_empty(&to.putters));
  CHECK(tide_list_empty(&event.waiters) && tide_list_empty(&lock.waiters));
  CHECK(tide_list_empty(&semaphore.waiters) && tide_list_empty(&future.waiters));
}

static void close_sources(world *w) {
  check_left();
  tide_queue_term(&from);
  tide_queue_term(&to);
  world_close(w);
}

static unsigned number_of(const actor *self) { return (unsigned)(self - self->world->actors); }

static int wait_for_one(actor *self) {
  return tide_select_wait(&selects[number_of(self)], &self->task);
}

/* One case of each kind: get, put, event, lock, semaphore, future. */
static void prepare(actor *self) {
  uint32_t slot = 0;
  tide_case *mine = cases[number_of(self)];
  tide_case_get(&mine[0], &from);
  tide_case_event(&mine[1], &event);
  tide_case_lock(&mine[2], &lock);
  tide_case_semaphore(&mine[3], &semaphore);
  tide_case_future(&mine[4], &future);
  CHECK_EQ(tide_queue_reserve(&to, &slot), TIDE_OK);
  tide_case_put(&mine[5], &to, slot, 0);
  tide_select_init(&selects[number_of(self)], mine, CASES);
}

/* What the owner does when its task was told. */
static void settle_up(const actor *self) {
  const tide_select *select = &selects[number_of(self)];
  const tide_case *mine = select->cases;
  bool done = self->outcome == TIDE_OK;
  if (!done || select->chosen != 5) tide_queue_free(&to, (uint32_t)mine[5].wait.value.number);
  if (!done) return;
  if (select->chosen == 0) tide_queue_free(&from, (uint32_t)mine[0].wait.value.number);
  if (select->chosen == 2) tide_lock_release(&lock, &self->task);
}

static void selector(actor *self) {
  BEGIN;
  prepare(self);
  WAIT(wait_for_one(self));
  settle_up(self);
  say(self, "%d: %u", self->outcome, selects[number_of(self)].chosen);
  END;
}

static void put_into(tide_queue *queue) {
  uint32_t slot = 0;
  CHECK_EQ(tide_queue_reserve(queue, &slot), TIDE_OK);
  CHECK_EQ(tide_queue_try_put(queue, slot, 0), TIDE_OK);
}

static void take_from(tide_queue *queue) {
  uint32_t slot = 0;
  CHECK_EQ(tide_queue_try_get(queue, &slot), TIDE_OK);
  tide_queue_free(queue, slot);
}

static void holder(actor *self) {
  BEGIN;
  TRY(tide_lock_acquire(&lock, &self->task));
  TRY(sleep_ms(self, 5));
  tide_lock_release(&lock, &self->task);
  END;
}

/* A world in which each case has to wait, and a task that does. */
static void open_blocked(world *w) {
  world_open(w);
  open_sources(w);
  put_into(&to);
  spawn(w, "h", holder);
  turn(w);
  spawn(w, "s", selector);
  turn(w);
  turn(w);
  CHECK_LOG(w, "");
}

static void what_happens_first_is_chosen(void) {
  static const char *const said[CASES] = {"s 0: 0", "s 0: 1", "s 0: 2",
                                          "s 0: 3", "s 0: 4", "s 0: 5"};
  for (int i = 0; i < CASES; i++) {
    world w;
    open_blocked(&w);
    if (i == 0) put_into(&from);
    if (i == 1) tide_event_set(&event);
    if (i == 3) tide_semaphore_release(&semaphore, 1);
    if (i == 4) tide_future_end(&future, TIDE_FUTURE_DONE);
    if (i == 5) take_from(&to);
    settle(&w);
    CHECK_LOG(&w, said[i]);
    CHECK_EQ(from.count + to.count, 1);
    CHECK_EQ(semaphore.permits + lock.owner, 0);
    close_sources(&w);
  }
}

static void of_those_that_are_ready_the_first_is_chosen_without_waiting(void) {
  world w;
  world_open(&w);
  open_sources(&w);
  put_into(&to);
  tide_semaphore_release(&semaphore, 1);
  tide_event_set(&event);
  actor *s = spawn(&w, "s", selector);
  settle(&w);
  CHECK_LOG(&w, "s 0: 1");
  CHECK_EQ(s->suspensions, 0);
  CHECK_EQ(semaphore.permits, 1);
  close_sources(&w);
}

static void two_that_happen_in_one_turn_take_one_effect(void) {
  world w;
  open_blocked(&w);
  put_into(&from);
  put_into(&from);
  tide_semaphore_release(&semaphore, 1);
  tide_event_set(&event);
  settle(&w);
  CHECK_LOG(&w, "s 0: 0");
  CHECK_EQ(from.count, 1);
  CHECK_EQ(semaphore.permits, 1);
  close_sources(&w);
}

static void several_that_select_are_served_in_order(void) {
  world w;
  open_blocked(&w);
  spawn(&w, "t", selector);
  turn(&w);
  turn(&w);
  put_into(&from);
  tide_semaphore_release(&semaphore, 1);
  settle(&w);
  CHECK_LOG(&w, "s 0: 0, t 0: 3");
  close_sources(&w);
}

static void a_failing_source_fails_it(void) {
  world w;
  open_blocked(&w);
  tide_queue_close(&to, false);
  settle(&w);
  CHECK_LOG(&w, "s -4: 5");
  spawn(&w, "t", selector);
  settle(&w);
  CHECK_LOG(&w, "t 0: 2"); /* it comes before in the order */
  tide_queue_close(&from, false);
  spawn(&w, "u", selector);
  settle(&w);
  CHECK_LOG(&w, "u -4: 0");
  close_sources(&w);
}

static void timed(actor *self) {
  BEGIN;
  tide_case *mine = cases[number_of(self)];
  tide_case_at(&mine[0], after_ms(self->world, 7));
  tide_case_at(&mine[1], after_ms(self->world, 3));
  tide_case_event(&mine[2], &event);
  tide_case_event(&mine[3], &event);
  tide_select_init(&selects[number_of(self)], mine, 4);
  WAIT(wait_for_one(self));
  say(self, "%d: %u", self->outcome, selects[number_of(self)].chosen);
  END;
}

static void a_time_is_a_case(void) {
  world w;
  world_open(&w);
  open_sources(&w);
  tide_time began = tide_loop_now(w.loop);
  spawn(&w, "s", timed);
  settle(&w);
  CHECK_LOG(&w, "s 0: 1");
  CHECK_EQ(tide_loop_now(w.loop) - began, 3000000);
  spawn(&w, "s", timed);
  turn(&w);
  tide_event_set(&event); /* in it twice */
  settle(&w);
  CHECK_LOG(&w, "s 0: 2");
  close_sources(&w);
}

/* Runs it without memory for its timer, which is the case of that number. */
static void check_without_memory(void (*timer)(actor *self), unsigned number) {
  world w;
  world_open(&w);
  open_sources(&w);
  w.memory.fail_at = w.memory.allocations + 1;
  spawn(&w, "s", timer);
  settle(&w);
  char expected[16];
  snprintf(expected, sizeof expected, "s %d: %u", TIDE_ENOMEM, number);
  CHECK_LOG(&w, expected);
  close_sources(&w);
}

static void without_memory_for_a_timer_nothing_is_left(void) { check_without_memory(timed, 0); }

static void timed_second(actor *self) {
  BEGIN;
  tide_case *mine = cases[number_of(self)];
  tide_case_event(&mine[0], &event);
  tide_case_at(&mine[1], after_ms(self->world, 7));
  tide_select_init(&selects[number_of(self)], mine, 2);
  WAIT(wait_for_one(self));
  say(self, "%d: %u", self->outcome, selects[number_of(self)].chosen);
  END;
}

static void the_case_that_has_no_memory_is_the_one_that_fails(void) {
  check_without_memory(timed_second, 1);
}

/* A victim that selects while others make its cases happen. */

static void repeated_selector(actor *self) {
  BEGIN;
  for (; self->i < 4; self->i++) {
    prepare(self);
    WAIT(wait_for_one(self));
    settle_up(self);
    if (self->outcome != TIDE_OK) break;
  }
  END;
}

static void giver(actor *self) {
  BEGIN;
  for (; self->i < ITEMS; self->i++) {
    TRY(sleep_ms(self, 2));
    put_into(&from);
    if (self->i % 2 == 0) tide_semaphore_release(&semaphore, 1);
  }
  END;
}

static void stage(world *w) {
  open_sources(w);
  put_into(&to);
  spawn(w, "holder", holder);
  w->victim = spawn(w, "victim", repeated_selector);
  spawn(w, "witness", repeated_selector);
  spawn(w, "giver", giver);
}

static void verify(world *w) {
  (void)w;
  check_left();
  CHECK_EQ(lock.owner, 0);
  while (from.count > 0) take_from(&from);
  while (to.count > 0) take_from(&to);
  CHECK_EQ(from.free_count, from.fresh);
  CHECK_EQ(to.free_count, to.fresh);
  tide_queue_term(&from);
  tide_queue_term(&to);
}

static void the_task_may_be_struck_at_any_wait(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
}

int main(void) {
  RUN(what_happens_first_is_chosen);
  RUN(of_those_that_are_ready_the_first_is_chosen_without_waiting);
  RUN(two_that_happen_in_one_turn_take_one_effect);
  RUN(several_that_select_are_served_in_order);
  RUN(a_failing_source_fails_it);
  RUN(a_time_is_a_case);
  RUN(without_memory_for_a_timer_nothing_is_left);
  RUN(the_case_that_has_no_memory_is_the_one_that_fails);
  RUN(the_task_may_be_struck_at_any_wait);
  return check_summary();
}
