/* future.c: waiting for an end. */
#include "future.h"

static void its_end_wakes_all_in_the_order_they_came(void) {
  world w;
  open_world(&w);
  spawn_waiter(&w, "a", NULL);
  spawn_waiter(&w, "b", NULL);
  spawn_waiter(&w, "c", NULL);
  settle(&w);
  CHECK(!future.observed); /* they may all leave before */
  CHECK_LOG(&w, "");
  CHECK_EQ(tide_future_end(&future, TIDE_FUTURE_DONE), TIDE_OK);
  settle(&w);
  CHECK(future.observed);
  CHECK_LOG(&w, "a 0, b 0, c 0");
  world_close(&w);
}

static void it_ends_once(void) {
  world w;
  open_world(&w);
  CHECK(!tide_future_ended(&future));
  CHECK_EQ(tide_future_end(&future, TIDE_FUTURE_FAILED), TIDE_OK);
  CHECK(tide_future_ended(&future));
  CHECK_EQ(tide_future_end(&future, TIDE_FUTURE_DONE), TIDE_EINVALID_STATE);
  CHECK(!tide_future_cancel(&future));
  CHECK_EQ(future.state, TIDE_FUTURE_FAILED);
  tide_future_init(&future);
  CHECK(tide_future_cancel(&future));
  CHECK_EQ(future.state, TIDE_FUTURE_CANCELLED);
  world_close(&w);
}

static void one_that_has_ended_is_not_waited_for(void) {
  world w;
  open_world(&w);
  tide_future_end(&future, TIDE_FUTURE_CANCELLED);
  actor *a = spawn_waiter(&w, "a", NULL);
  settle(&w);
  CHECK_LOG(&w, "a 0");
  CHECK_EQ(a->suspensions, 0);
  world_close(&w);
}

static void a_task_is_a_future(void) {
  world w;
  open_world(&w);
  actor *a = spawn_waiter(&w, "a", NULL);
  actor *b = spawn_waiter(&w, "b", a);
  spawn_waiter(&w, "c", b);
  settle(&w);
  tide_future_end(&future, TIDE_FUTURE_DONE);
  settle(&w);
  CHECK_LOG(&w, "a 0, b 0, c 0");
  world_close(&w);
}

static void a_task_cannot_wait_for_itself(void) {
  world w;
  open_world(&w);
  actor *a = spawn_waiter(&w, "a", NULL);
  a->data = &a->task.future;
  settle(&w);
  CHECK_LOG(&w, "a -11");
  CHECK_EQ(a->outcome, TIDE_EINVALID_STATE);
  world_close(&w);
}

/* Everything at once. */

static void patient(actor *self) {
  BEGIN;
  WAIT(tide_future_wait(self->data, &self->task, false));
  WAIT(tide_future_wait(&future, &self->task, true));
  END;
}

static void resolver(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 200));
  tide_future_end(&future, TIDE_FUTURE_DONE);
  END;
}

static void stage(world *w) {
  tide_future_init(&future);
  actor *a = spawn(w, "a", tidy);
  actor *b = spawn_waiter(w, "b", a);
  w->victim = spawn(w, "victim", patient);
  w->victim->data = &b->task.future;
  spawn_waiter(w, "c", a);
  spawn(w, "resolver", resolver);
}

static void verify(world *w) {
  CHECK(tide_list_empty(&future.waiters));
  for (unsigned i = 0; i < w->count; i++) CHECK(tide_list_empty(&w->actors[i].task.future.waiters));
  CHECK_EQ(future.state, TIDE_FUTURE_DONE);
}

static void struck_at_any_wait_it_leaves_no_waiter(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
}

static tide_future awaited;

static void awaiter(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 50));
  TRY(tide_future_wait(&awaited, &self->task, self->i != 0));
  END;
}

static void onlooker(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 3000));
  for (int i = 0; i < 2; i++) {
    const tide_task *task = &self->world->actors[i].task;
    CHECK(tide_task_awaits(task) == &awaited);
    CHECK(tide_task_waited(task) >= 2948 * 1000000ull &&
          tide_task_waited(task) <= 2952 * 1000000ull);
  }
  tide_future_end(&awaited, TIDE_FUTURE_DONE);
  CHECK(tide_task_awaits(&self->world->actors[0].task) == NULL);
  CHECK(tide_task_waited(&self->world->actors[0].task) == 0);
  END;
}

static void a_task_tells_what_it_awaits_and_for_how_long(void) {
  world w;
  world_open(&w);
  tide_future_init(&awaited);
  actor *a = spawn(&w, "a", awaiter);
  spawn(&w, "b", awaiter)->i = 1;
  spawn(&w, "onlooker", onlooker);
  CHECK(tide_task_awaits(&a->task) == NULL && tide_task_waited(&a->task) == 0);
  turn(&w);
  CHECK_TEXT(tide_task_waits_for(&a->task), "sleep");
  CHECK(tide_task_awaits(&a->task) == NULL);
  settle(&w);
  check_all_ended(&w);
  world_close(&w);
}

int main(void) {
  RUN(its_end_wakes_all_in_the_order_they_came);
  RUN(it_ends_once);
  RUN(one_that_has_ended_is_not_waited_for);
  RUN(a_task_is_a_future);
  RUN(a_task_cannot_wait_for_itself);
  RUN(struck_at_any_wait_it_leaves_no_waiter);
  RUN(a_task_tells_what_it_awaits_and_for_how_long);
  return check_summary();
}
