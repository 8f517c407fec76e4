/* forward.c: handing cancellation on to what is awaited; interrupting a wait. */
#include <pthread.h>

#include "future.h"

/* Handing cancellation on. */

static void a_cancelled_waiter_cancels_the_task_it_awaits_and_sees_its_end(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", sleeper);
  actor *b = spawn_waiter(&w, "b", a);
  turn(&w);
  tide_task_cancel(&b->task);
  CHECK(tide_task_cancelled(&a->task));
  settle(&w);
  CHECK_LOG(&w, "b 0");
  CHECK_EQ(a->task.future.state, TIDE_FUTURE_CANCELLED);
  world_close(&w);
}

static void a_future_that_is_no_task_stays_as_it_is(void) {
  world w;
  open_world(&w);
  actor *a = spawn_waiter(&w, "a", NULL), *b = spawn_waiter(&w, "b", NULL);
  settle(&w);
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK_LOG(&w, "a -1");
  tide_task_cancel(&b->task);
  settle(&w);
  CHECK_LOG(&w, "b -1");
  CHECK_EQ(future.state, TIDE_FUTURE_PENDING);
  CHECK(tide_list_empty(&future.waiters));
  world_close(&w);
}

/* Others for whom the task goes on, though one of its waiters gives up. */

static tide_case cases[1];
static tide_select choice;

static void selector(actor *self) {
  BEGIN;
  tide_case_future(&cases[0], self->data);
  tide_select_init(&choice, cases, 1);
  WAIT(tide_select_wait(&choice, &self->task));
  say(self, "%d", self->outcome);
  END;
}

static void callback(actor *self) {
  BEGIN;
  say(self, "called");
  END;
}

static void add_other(world *w, int kind, actor *a) {
  if (kind == 0) spawn_waiter(w, "other", a);
  if (kind == 1) spawn(w, "other", shielded_waiter)->data = &a->task.future;
  if (kind == 2) spawn(w, "other", selector)->data = &a->task.future;
  if (kind == 3) spawn(w, "other", joiner);
  if (kind != 4) return;
  actor *self = spawn(w, "other", callback); /* taken out again, to be spawned anew */
  tide_task_detach(&self->task);
  tide_task_finish(&self->task, TIDE_FUTURE_DONE);
  tide_task_init(&self->task, w->loop, self->task.ops);
  tide_task_spawn_after(&self->task, tide_loop_background(w->loop), &a->task.future);
}

static void only_the_last_waiter_hands_on(void) {
  for (int kind = 0; kind < 5; kind++) {
    for (int forward = 0; forward < 2; forward++) {
      world w;
      open_world(&w);
      actor *a = spawn(&w, "a", sleeper);
      join = tide_alloc(&w.loop->allocator, tide_join_size(1));
      tide_join_init(join, w.loop, 1, forward);
      if (kind == 3) tide_join_add(join, &a->task.future);
      actor *b = spawn_waiter(&w, "b", a);
      add_other(&w, kind, a);
      turn(&w);
      tide_task_cancel(&b->task);
      CHECK(!tide_task_cancelled(&a->task));
      turn(&w);
      CHECK_LOG(&w, "b -1");
      settle(&w);
      CHECK_EQ(a->task.future.state, TIDE_FUTURE_DONE);
      CHECK_LOG(&w, kind == 4 ? "other called" : "other 0");
      tide_join_term(join);
      tide_free(&w.loop->allocator, join, tide_join_size(1));
      world_close(&w);
    }
  }
}

static void of_waiters_that_give_up_one_after_the_other_the_last_one_does(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", sleeper), *waiters[3];
  for (int i = 0; i < 3; i++) waiters[i] = spawn_waiter(&w, "b", a);
  turn(&w);
  for (int i = 0; i < 3; i++) {
    CHECK(!tide_task_cancelled(&a->task));
    tide_task_cancel(&waiters[i]->task);
  }
  CHECK_EQ(a->task.own.requests, 1);
  settle(&w);
  CHECK_LOG(&w, "b -1, b -1, b 0");
  world_close(&w);
}

static void refuser(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 100));
  tide_task_uncancel(&self->task);
  TRY(sleep_ms(self, 100));
  say(self, "went on");
  END;
}

static void who_has_given_up_does_not_count_as_waiting(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", refuser);
  actor *b = spawn_waiter(&w, "b", a);
  turn(&w);
  tide_task_cancel(&b->task);
  turn(&w);
  actor *c = spawn_waiter(&w, "c", a);
  turn(&w);
  CHECK(!tide_task_cancelled(&a->task));
  tide_task_cancel(&c->task);
  CHECK(tide_task_cancelled(&a->task));
  settle(&w);
  CHECK_LOG(&w, "b 0, c 0");
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

static void several_waiters_cancelled_at_once_each_cancel_what_they_await(void) {
  world w;
  tide_group group;
  actor *others[3];
  open_world(&w);
  tide_group_init(&group, w.loop, 0, false);
  tide__scope_attach(&group.scope, &tide_loop_background(w.loop)->scope);
  for (int i = 0; i < 3; i++) {
    others[i] = spawn(&w, "a", sleeper);
    spawn_in(&w, &group, "b", waiter)->data = &others[i]->task.future;
  }
  turn(&w);
  tide_group_cancel(&group);
  for (int i = 0; i < 3; i++) CHECK_EQ(others[i]->task.own.requests, 1);
  settle(&w);
  CHECK_LOG(&w, "b 0, b 0, b 0");
  tide_list_remove(&group.scope.link);
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

/* A chain in which the task that was spawned first, or last, is awaited by nobody. */
static chain_link *spawn_chain(world *w, bool downward) {
  chain_link *chain = calloc(LINKS, sizeof *chain);
  CHECK(chain != NULL);
  links_ended = 0;
  for (int i = 0; i < LINKS; i++) tide_task_init(&chain[i].task, w->loop, &link_ops);
  for (int i = 0; i < LINKS; i++) {
    int next = downward ? i + 1 : i - 1;
    bool last = next < 0 || next == LINKS;
    chain[i].awaited = last ? &future : &chain[next].task.future;
    CHECK_EQ(tide_task_spawn(&chain[i].task, tide_loop_background(w->loop)), TIDE_OK);
  }
  turn(w);
  CHECK_EQ(links_ended, 0);
  return chain;
}

static void cancellation_goes_down_a_long_chain_of_awaits(void) {
  world w;
  open_world(&w);
  chain_link *chain = spawn_chain(&w, false);
  cancel_frugally(&chain[LINKS - 1].task);
  CHECK(tide_task_cancelled(&chain[0].task));
  settle(&w);
  CHECK_EQ(links_ended, LINKS);
  world_close(&w);
  free(chain);
}

static void a_long_chain_may_be_cancelled_all_at_once_and_ends_from_its_end(void) {
  for (int downward = 0; downward < 2; downward++) {
    world w;
    open_world(&w);
    chain_link *chain = spawn_chain(&w, downward);
    tide_scope_cancel(&tide_loop_background(w.loop)->scope, w.loop);
    for (int i = 1; i < 5; i++) {
      turn(&w);
      CHECK_EQ(links_ended, i);
    }
    settle(&w);
    CHECK_EQ(links_ended, LINKS);
    world_close(&w);
    free(chain);
  }
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
  actor *a = spawn(&w, "a", sleeper), *b = spawn_waiter(&w, "b", a);
  turn(&w);
  tide_loop_interrupt(w.loop, &b->task, TIDE_ECANCELLED);
  CHECK(tide_task_cancelled(&a->task));
  settle(&w);
  CHECK_LOG(&w, "b 0");
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

int main(void) {
  RUN(a_cancelled_waiter_cancels_the_task_it_awaits_and_sees_its_end);
  RUN(a_future_that_is_no_task_stays_as_it_is);
  RUN(only_the_last_waiter_hands_on);
  RUN(of_waiters_that_give_up_one_after_the_other_the_last_one_does);
  RUN(who_has_given_up_does_not_count_as_waiting);
  RUN(a_shielded_wait_leaves_it_alone);
  RUN(the_waiter_waits_on_while_what_it_awaits_tidies_up);
  RUN(what_is_awaited_may_swallow_the_cancellation);
  RUN(cancelling_twice_is_handed_on_once);
  RUN(several_waiters_cancelled_at_once_each_cancel_what_they_await);
  RUN(waiter_and_awaited_may_be_in_the_same_cancelled_scope);
  RUN(a_task_cancelled_before_it_began_hands_nothing_on);
  RUN(cancellation_goes_down_a_long_chain_of_awaits);
  RUN(a_long_chain_may_be_cancelled_all_at_once_and_ends_from_its_end);
  RUN(interrupted_with_an_error_the_waiter_leaves_the_future_alone);
  RUN(interrupted_as_cancelled_it_hands_that_on);
  RUN(interrupting_a_task_that_does_not_wait_does_nothing);
  return check_summary();
}
