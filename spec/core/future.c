/* future.c: waiting for an end, and cancellation that is handed on. */
#include <pthread.h>

#include "script.h"

static tide_future future;

static void waiter(actor *self) {
  tide_future *awaited = self->data != NULL ? self->data : &future;
  BEGIN;
  WAIT(tide_future_wait(awaited, &self->task, false));
  say(self, "%d", self->outcome);
  END;
}

static void shielded_waiter(actor *self) {
  tide_future *awaited = self->data != NULL ? self->data : &future;
  BEGIN;
  WAIT(tide_future_wait(awaited, &self->task, true));
  say(self, "%d", self->outcome);
  END;
}

static void open_world(world *w) {
  world_open(w);
  tide_future_init(&future);
}

static actor *spawn_waiter(world *w, const char *name, actor *awaited) {
  actor *self = spawn(w, name, waiter);
  if (awaited != NULL) self->data = &awaited->task.future;
  return self;
}

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

/* Handing cancellation on. */

static void a_cancelled_waiter_cancels_what_it_awaits_and_sees_its_end(void) {
  world w;
  open_world(&w);
  actor *a = spawn_waiter(&w, "a", NULL);
  settle(&w);
  tide_task_cancel(&a->task);
  CHECK_EQ(future.state, TIDE_FUTURE_CANCELLED);
  settle(&w);
  CHECK_LOG(&w, "a 0");
  world_close(&w);
}

static void a_shielded_wait_leaves_it_alone(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", shielded_waiter);
  settle(&w);
  tide_task_cancel(&a->task);
  CHECK_EQ(future.state, TIDE_FUTURE_PENDING);
  settle(&w);
  CHECK_LOG(&w, "a -1");
  CHECK(tide_list_empty(&future.waiters));
  world_close(&w);
}

static void tidy(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 100));
  tide_scope_init(&self->scope, TIDE_SCOPE_SHIELD);
  tide_scope_enter(&self->scope, &self->task);
  WAIT(sleep_ms(self, 5));
  tide_scope_exit(&self->scope);
  say(self, "tidied %d", self->outcome);
  self->outcome = TIDE_ECANCELLED;
  END;
}

static void the_waiter_waits_on_while_what_it_awaits_tidies_up(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", tidy);
  actor *b = spawn_waiter(&w, "b", a);
  turn(&w);
  tide_time began = tide_loop_now(w.loop);
  tide_task_cancel(&b->task);
  settle(&w);
  CHECK_LOG(&w, "a tidied 0, b 0");
  CHECK_EQ(tide_loop_now(w.loop) - began, 5000000);
  CHECK_EQ(a->task.future.state, TIDE_FUTURE_CANCELLED);
  world_close(&w);
}

static void swallower(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 100));
  self->outcome = TIDE_OK;
  END;
}

static void what_is_awaited_may_swallow_the_cancellation(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", swallower);
  actor *b = spawn_waiter(&w, "b", a);
  turn(&w);
  tide_task_cancel(&b->task);
  settle(&w);
  CHECK_EQ(a->task.future.state, TIDE_FUTURE_DONE);
  CHECK_LOG(&w, "b 0");
  world_close(&w);
}

static void cancelling_twice_is_handed_on_once(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", tidy);
  actor *b = spawn_waiter(&w, "b", a);
  turn(&w);
  tide_task_cancel(&b->task);
  tide_task_cancel(&b->task);
  CHECK_EQ(a->task.own.requests, 1);
  settle(&w);
  world_close(&w);
}

static void two_cancelled_waiters_for_one_future_both_see_its_end(void) {
  world w;
  open_world(&w);
  spawn_waiter(&w, "a", NULL);
  spawn_waiter(&w, "b", NULL);
  spawn(&w, "c", shielded_waiter);
  turn(&w);
  tide_scope_cancel(&tide_loop_background(w.loop)->scope, w.loop);
  settle(&w);
  CHECK_LOG(&w, "c -1, a 0, b 0");
  world_close(&w);
}

static void several_waiters_cancelled_at_once_each_cancel_what_they_await(void) {
  world w;
  tide_future others[3];
  open_world(&w);
  for (int i = 0; i < 3; i++) {
    tide_future_init(&others[i]);
    spawn(&w, "a", waiter)->data = &others[i];
  }
  turn(&w);
  tide_scope_cancel(&tide_loop_background(w.loop)->scope, w.loop);
  for (int i = 0; i < 3; i++) CHECK_EQ(others[i].state, TIDE_FUTURE_CANCELLED);
  settle(&w);
  world_close(&w);
}

static void waiter_and_awaited_may_be_in_the_same_cancelled_scope(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", tidy);
  actor *b = spawn_waiter(&w, "b", a);
  spawn_waiter(&w, "c", b);
  turn(&w);
  tide_scope_cancel(&tide_loop_background(w.loop)->scope, w.loop);
  settle(&w);
  CHECK_LOG(&w, "a tidied 0, b 0, c 0");
  world_close(&w);
}

static void a_task_cancelled_before_it_began_hands_nothing_on(void) {
  world w;
  open_world(&w);
  actor *a = spawn_waiter(&w, "a", NULL);
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK_EQ(future.state, TIDE_FUTURE_PENDING);
  CHECK_LOG(&w, "");
  world_close(&w);
}

/* Long chains, cancelled on a stack that recursion would overflow. */

enum { LINKS = 100000 };

typedef struct chain_link {
  tide_task task;
  tide_future *awaited;
} chain_link;

static int links_ended;

static void *cancel_on_small_stack(void *task) {
  tide_task_cancel(task);
  return NULL;
}

static void cancel_frugally(tide_task *task) {
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 128 * 1024);
  CHECK_EQ(pthread_create(&thread, &attributes, cancel_on_small_stack, task), 0);
  pthread_join(thread, NULL);
  pthread_attr_destroy(&attributes);
}

static void link_step(tide_task *task, int outcome) {
  chain_link *self = tide_container(task, chain_link, task);
  bool waits = self->awaited != NULL;
  if (waits) outcome = tide_future_wait(self->awaited, task, false);
  self->awaited = NULL;
  if (waits && outcome == TIDE_PENDING) return;
  links_ended++;
  tide_task_finish(task, TIDE_FUTURE_CANCELLED);
}

static const tide_task_ops link_ops = {.step = link_step};

static void cancellation_goes_down_a_long_chain_of_awaits(void) {
  chain_link *chain = calloc(LINKS, sizeof *chain);
  world w;
  CHECK(chain != NULL);
  open_world(&w);
  links_ended = 0;
  for (int i = 0; i < LINKS; i++) {
    tide_task_init(&chain[i].task, w.loop, &link_ops);
    chain[i].awaited = i == 0 ? &future : &chain[i - 1].task.future;
    CHECK_EQ(tide_task_spawn(&chain[i].task, tide_loop_background(w.loop)), TIDE_OK);
  }
  turn(&w);
  CHECK_EQ(links_ended, 0);
  cancel_frugally(&chain[LINKS - 1].task);
  CHECK_EQ(future.state, TIDE_FUTURE_CANCELLED);
  CHECK(tide_task_cancelled(&chain[0].task));
  settle(&w);
  CHECK_EQ(links_ended, LINKS);
  world_close(&w);
  free(chain);
}

/* Circles and interruption. */

static void a_circle_of_awaits_is_a_deadlock_that_interruption_resolves(void) {
  world w;
  open_world(&w);
  actor *a = spawn_waiter(&w, "a", NULL);
  actor *b = spawn_waiter(&w, "b", a);
  a->data = &b->task.future;
  turn(&w);
  CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_EDEADLOCK);
  tide_task_cancel(&a->task); /* handed on in the circle, and not for ever */
  CHECK(tide_task_cancelled(&b->task));
  CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_EDEADLOCK);
  tide_loop_interrupt(w.loop, &a->task, TIDE_EDEADLOCK);
  settle(&w);
  CHECK_LOG(&w, "a -8, b 0");
  world_close(&w);
}

static void interrupted_with_an_error_the_waiter_leaves_the_future_alone(void) {
  world w;
  open_world(&w);
  actor *a = spawn_waiter(&w, "a", NULL);
  turn(&w);
  tide_loop_interrupt(w.loop, &a->task, TIDE_EDEADLOCK);
  settle(&w);
  CHECK_LOG(&w, "a -8");
  CHECK_EQ(future.state, TIDE_FUTURE_PENDING);
  CHECK(tide_list_empty(&future.waiters));
  world_close(&w);
}

static void interrupted_as_cancelled_it_hands_that_on(void) {
  world w;
  open_world(&w);
  actor *a = spawn_waiter(&w, "a", NULL);
  turn(&w);
  tide_loop_interrupt(w.loop, &a->task, TIDE_ECANCELLED);
  CHECK_EQ(future.state, TIDE_FUTURE_CANCELLED);
  settle(&w);
  CHECK_LOG(&w, "a 0");
  world_close(&w);
}

static void interrupting_a_task_that_does_not_wait_does_nothing(void) {
  world w;
  open_world(&w);
  tide_future_end(&future, TIDE_FUTURE_DONE);
  actor *a = spawn_waiter(&w, "a", NULL);
  tide_loop_interrupt(w.loop, &a->task, TIDE_EDEADLOCK);
  settle(&w);
  tide_loop_interrupt(w.loop, &a->task, TIDE_EDEADLOCK);
  settle(&w);
  CHECK_LOG(&w, "a 0");
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
  RUN(a_cancelled_waiter_cancels_what_it_awaits_and_sees_its_end);
  RUN(a_shielded_wait_leaves_it_alone);
  RUN(the_waiter_waits_on_while_what_it_awaits_tidies_up);
  RUN(what_is_awaited_may_swallow_the_cancellation);
  RUN(cancelling_twice_is_handed_on_once);
  RUN(two_cancelled_waiters_for_one_future_both_see_its_end);
  RUN(several_waiters_cancelled_at_once_each_cancel_what_they_await);
  RUN(waiter_and_awaited_may_be_in_the_same_cancelled_scope);
  RUN(a_task_cancelled_before_it_began_hands_nothing_on);
  RUN(cancellation_goes_down_a_long_chain_of_awaits);
  RUN(a_circle_of_awaits_is_a_deadlock_that_interruption_resolves);
  RUN(interrupted_with_an_error_the_waiter_leaves_the_future_alone);
  RUN(interrupted_as_cancelled_it_hands_that_on);
  RUN(interrupting_a_task_that_does_not_wait_does_nothing);
  RUN(struck_at_any_wait_it_leaves_no_waiter);
  RUN(a_task_tells_what_it_awaits_and_for_how_long);
  return check_summary();
}
