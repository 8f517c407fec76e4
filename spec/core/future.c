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

static void sleeper(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 100));
  END;
}

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

static tide_join *join;

static void joiner(actor *self) {
  uint32_t index;
  BEGIN;
  WAIT(tide_join_wait(join, &self->task));
  say(self, "%d", self->outcome);
  CHECK(tide_join_take(join, &index));
  END;
}

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

/* Circles and interruption. */

static void a_circle_of_awaits_is_a_deadlock_that_interruption_resolves(void) {
  world w;
  open_world(&w);
  actor *a = spawn_waiter(&w, "a", NULL);
  actor *b = spawn_waiter(&w, "b", a);
  a->data = &b->task.future;
  turn(&w);
  CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_EDEADLOCK);
  tide_loop_interrupt(w.loop, &a->task, TIDE_EDEADLOCK);
  settle(&w);
  CHECK_LOG(&w, "a -8, b 0");
  world_close(&w);
}

/* Makes a circle of `count` tasks, each of which awaits the one before it, the first the last. */
static void spawn_circle(world *w, actor **circle, int count) {
  for (int i = 0; i < count; i++) circle[i] = spawn_waiter(w, "t", i > 0 ? circle[i - 1] : NULL);
  circle[0]->data = &circle[count - 1]->task.future;
}

static void a_circle_of_awaits_ends_whoever_in_it_is_cancelled(void) {
  for (int count = 2; count <= 20; count += 9) { /* more than what needs no memory, too */
    for (int which = 0; which <= count; which++) {
      world w;
      actor *circle[20];
      open_world(&w);
      spawn_circle(&w, circle, count);
      turn(&w);
      if (which < count)
        tide_task_cancel(&circle[which]->task);
      else
        tide_scope_cancel(&tide_loop_background(w.loop)->scope, w.loop);
      settle(&w);
      for (int i = 0; i < count; i++) CHECK(actor_ended(circle[i]));
      world_close(&w);
    }
  }
}

static void a_circle_ends_too_where_there_is_no_memory_to_find_it(void) {
  world w;
  actor *circle[20];
  open_world(&w);
  spawn_circle(&w, circle, 20);
  turn(&w);
  w.memory.fail_at = w.memory.allocations + 1;
  tide_task_cancel(&circle[7]->task);
  CHECK(w.memory.allocations >= w.memory.fail_at);
  settle(&w);
  for (int i = 0; i < 20; i++) CHECK(actor_ended(circle[i]));
  world_close(&w);
}

static void those_who_wait_for_a_circle_see_its_end(void) {
  world w;
  actor *circle[3];
  open_world(&w);
  spawn_circle(&w, circle, 3);
  actor *outside = spawn(&w, "o", shielded_waiter);
  outside->data = &circle[1]->task.future;
  turn(&w);
  tide_task_cancel(&circle[2]->task);
  settle(&w);
  CHECK(actor_ended(outside));
  CHECK_EQ(outside->outcome, TIDE_OK);
  world_close(&w);
}

/* A task with a group, whose end it waits for at once or when it is told to end. */

static tide_group group;

static void owner(actor *self) {
  BEGIN;
  tide_group_init(&group, self->world->loop, 0, true);
  tide_group_enter(&group, &self->task);
  spawn_in(self->world, &group, "child", waiter)->data = &self->task.future;
  if (self->i > 0) WAIT(sleep_ms(self, (unsigned)self->i));
  STEP(tide_group_wait(&group, &self->task));
  tide_group_exit(&group);
  say(self, "left");
  self->outcome = TIDE_ECANCELLED;
  END;
}

static void a_child_that_awaits_its_groups_task_ends_with_it(void) {
  for (int late = 0; late < 2; late++) {
    for (int child = 0; child < 2; child++) {
      world w;
      open_world(&w);
      actor *a = spawn(&w, "a", owner);
      a->i = late * 100;
      turn(&w);
      turn(&w);
      tide_task_cancel(child ? &w.actors[1].task : &a->task);
      settle(&w);
      CHECK_LOG(&w, "child -1, a left");
      world_close(&w);
    }
  }
}

static void through_a_join_a_circle_ends_as_well(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "a", joiner), *b = spawn_waiter(&w, "b", a);
  join = tide_alloc(&w.loop->allocator, tide_join_size(2));
  tide_join_init(join, w.loop, 2, true);
  tide_join_add(join, &spawn(&w, "c", sleeper)->task.future);
  tide_join_add(join, &b->task.future);
  turn(&w);
  tide_task_cancel(&b->task);
  settle(&w);
  CHECK(actor_ended(a) && actor_ended(b));
  tide_join_term(join);
  tide_free(&w.loop->allocator, join, tide_join_size(2));
  world_close(&w);
}

/* Cleanup: cancels the other, and awaits it in a shield, by a join that is held. */
static tide_join *held[2];

static void cleaner(actor *self) {
  BEGIN;
  if (self->i > 0) WAIT(sleep_ms(self, (unsigned)self->i));
  tide_scope_init(&self->scope, TIDE_SCOPE_SHIELD);
  tide_scope_enter(&self->scope, &self->task);
  tide_join_init(held[self->slot], self->world->loop, 1, false);
  tide_join_hold(held[self->slot]);
  tide_join_add(held[self->slot], self->data);
  tide_future_cancel(self->data);
  WAIT(tide_join_wait(held[self->slot], &self->task));
  say(self, "%d", self->outcome);
  tide_join_term(held[self->slot]);
  tide_scope_exit(&self->scope);
  END;
}

static void open_cleaners(world *w) {
  open_world(w);
  for (int i = 0; i < 2; i++) CHECK((held[i] = malloc(tide_join_size(1))) != NULL);
}

static void close_cleaners(world *w) {
  for (int i = 0; i < 2; i++) free(held[i]);
  world_close(w);
}

static void cleanup_awaits_what_it_has_cancelled(void) {
  world w;
  open_cleaners(&w);
  actor *a = spawn(&w, "a", sleeper), *b = spawn(&w, "b", cleaner);
  b->data = &a->task.future;
  turn(&w);
  tide_task_cancel(&b->task);
  settle(&w);
  CHECK(actor_ended(a));
  CHECK_LOG(&w, "b 0");
  close_cleaners(&w);
}

static void in_a_circle_with_cleanup_the_one_who_gave_up_is_told(void) {
  world w;
  open_cleaners(&w);
  actor *a = spawn_waiter(&w, "a", NULL), *b = spawn(&w, "b", cleaner);
  a->data = &b->task.future;
  b->data = &a->task.future;
  settle(&w);
  CHECK_LOG(&w, "a -1, b 0");
  close_cleaners(&w);
}

static void where_all_in_a_circle_clean_up_one_goes_on_without_the_other(void) {
  world w;
  open_cleaners(&w);
  actor *a = spawn(&w, "a", cleaner), *b = spawn(&w, "b", cleaner);
  b->slot = 1;
  a->i = 1;
  b->i = 100;
  a->data = &b->task.future;
  b->data = &a->task.future;
  settle(&w);
  CHECK_LOG(&w, "a 0, b 0");
  close_cleaners(&w);
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
  RUN(a_circle_of_awaits_is_a_deadlock_that_interruption_resolves);
  RUN(a_circle_of_awaits_ends_whoever_in_it_is_cancelled);
  RUN(a_circle_ends_too_where_there_is_no_memory_to_find_it);
  RUN(those_who_wait_for_a_circle_see_its_end);
  RUN(a_child_that_awaits_its_groups_task_ends_with_it);
  RUN(through_a_join_a_circle_ends_as_well);
  RUN(cleanup_awaits_what_it_has_cancelled);
  RUN(in_a_circle_with_cleanup_the_one_who_gave_up_is_told);
  RUN(where_all_in_a_circle_clean_up_one_goes_on_without_the_other);
  RUN(interrupted_with_an_error_the_waiter_leaves_the_future_alone);
  RUN(interrupted_as_cancelled_it_hands_that_on);
  RUN(interrupting_a_task_that_does_not_wait_does_nothing);
  RUN(struck_at_any_wait_it_leaves_no_waiter);
  RUN(a_task_tells_what_it_awaits_and_for_how_long);
  return check_summary();
}
