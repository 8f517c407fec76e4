/* group.c: tasks that end before the block that started them does. */
#include "script.h"

static tide_group group;
static int children; /* how many the host spawns */
static uint32_t limit;
static void (*child)(actor *self);

/* The body of a group: opens it, spawns children, waits for them, closes it. As bindings do it. */
static void host(actor *self) {
  BEGIN;
  tide_group_init(&group, self->world->loop, limit, true);
  tide_group_enter(&group, &self->task);
  for (int i = 0; i < children; i++) {
    static const char *const names[] = {"1", "2", "3", "4", "5", "6"};
    spawn_in(self->world, &group, names[i], child)->i = i;
  }
  if (self->data != NULL) WAIT(sleep_ms(self, 100));
  if (self->outcome != TIDE_OK) {
    say(self, "body %d", self->outcome);
    tide_group_cancel(&group);
  }
  for (;;) {
    WAIT(tide_group_wait(&group, &self->task));
    if (group.live == 0) break;
  }
  say(self, "closes%s", tide_scope_catches(&group.scope) ? ", catching" : "");
  tide_group_exit(&group);
  CHECK(self->task.scope == &self->task.own);
  END;
}

static void sleeper(actor *self) {
  BEGIN;
  say(self, "starts");
  TRY(sleep_ms(self, 5));
  say(self, "ends");
  END;
}

static actor *open_group(world *w, int n, uint32_t max, void (*body)(actor *self)) {
  world_open(w);
  children = n;
  limit = max;
  child = body;
  return spawn(w, "host", host);
}

static void close_group(world *w) {
  CHECK_EQ(group.live, 0);
  CHECK_EQ(group.held, 0);
  CHECK(tide_list_empty(&group.idle));
  CHECK(tide_list_empty(&group.queued));
  CHECK(tide_list_empty(&group.scope.children));
  CHECK(tide_list_empty(&group.failure.link));
  CHECK(!tide_group_open(&group));
  world_close(w);
}

static void the_block_waits_for_its_children(void) {
  world w;
  open_group(&w, 2, 0, sleeper);
  settle(&w);
  CHECK_LOG(&w, "1 starts, 2 starts, 1 ends, 2 ends, host closes");
  close_group(&w);
}

static void without_children_it_does_not_wait(void) {
  world w;
  actor *h = open_group(&w, 0, 0, sleeper);
  settle(&w);
  CHECK_EQ(h->suspensions, 0);
  close_group(&w);
}

/* Failure. */

static void fragile(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 1 + self->i / 2 * 1000u)); /* two at a time */
  say(self, "breaks");
  self->outcome = TIDE_EINVALID_STATE;
  END;
}

static void a_failure_cancels_the_others_but_not_those_that_fail_in_the_same_turn(void) {
  world w;
  open_group(&w, 4, 0, fragile);
  settle(&w);
  CHECK_LOG(&w, "1 breaks, 2 breaks, host closes, catching");
  CHECK_EQ(w.actors[2].task.future.state, TIDE_FUTURE_FAILED);
  CHECK_EQ(w.actors[3].task.future.state, TIDE_FUTURE_CANCELLED);
  CHECK_EQ(w.actors[4].task.future.state, TIDE_FUTURE_CANCELLED);
  close_group(&w);
}

static void a_failure_cancels_the_body_too(void) {
  world w;
  actor *h = open_group(&w, 1, 0, fragile);
  h->data = &w;
  settle(&w);
  CHECK_LOG(&w, "1 breaks, host body -1, host closes, catching");
  close_group(&w);
}

static void breaks_at_once(actor *self) {
  BEGIN;
  say(self, "breaks");
  self->outcome = TIDE_EINVALID_STATE;
  END;
}

static void a_failure_is_felt_at_the_end_of_its_turn(void) {
  world w;
  open_group(&w, 3, 0, breaks_at_once);
  turn(&w);
  turn(&w);
  CHECK_LOG(&w, "1 breaks, 2 breaks, 3 breaks");
  settle(&w);
  close_group(&w);
}

static void an_unsupervised_group_ignores_failures(void) {
  world w;
  open_group(&w, 3, 0, fragile);
  turn(&w);
  group.supervised = false;
  settle(&w);
  CHECK_LOG(&w, "1 breaks, 2 breaks, 3 breaks, host closes");
  close_group(&w);
}

/* Cancellation. */

static void cancelled_from_outside_it_ends_its_children_first(void) {
  world w;
  actor *h = open_group(&w, 2, 0, sleeper);
  turn(&w);
  turn(&w);
  tide_task_cancel(&h->task);
  settle(&w);
  CHECK_LOG(&w, "1 starts, 2 starts, host closes");
  for (int i = 0; i < 2; i++) CHECK_EQ(w.actors[1 + i].outcome, TIDE_ECANCELLED);
  close_group(&w);
}

static void witness(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 50));
  say(self, "%d", self->outcome);
  END;
}

static void children_are_told_before_their_body(void) {
  world w;
  actor *h = open_group(&w, 2, 0, witness);
  h->data = &w;
  turn(&w);
  turn(&w);
  tide_task_cancel(&h->task);
  settle(&w);
  CHECK_LOG(&w, "1 -1, 2 -1, host body -1, host closes");
  close_group(&w);
}

static void cancelled_itself_it_catches(void) {
  world w;
  open_group(&w, 2, 0, sleeper);
  turn(&w);
  turn(&w);
  tide_group_cancel(&group);
  CHECK(!tide_group_open(&group));
  settle(&w);
  CHECK_LOG(&w, "1 starts, 2 starts, host closes, catching");
  close_group(&w);
}

static void a_cancelled_child_does_not_disturb_the_others(void) {
  world w;
  open_group(&w, 2, 0, sleeper);
  turn(&w);
  turn(&w);
  tide_task_cancel(&w.actors[1].task);
  settle(&w);
  CHECK_LOG(&w, "1 starts, 2 starts, 2 ends, host closes");
  close_group(&w);
}

static void late_spawner(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 5));
  spawn_in(self->world, &group, "late", sleeper);
  END;
}

static void a_child_may_spawn_a_sibling_as_its_last_act(void) {
  world w;
  open_group(&w, 1, 0, late_spawner);
  settle(&w);
  CHECK_LOG(&w, "late starts, late ends, host closes");
  close_group(&w);
}

static void a_spawn_between_the_last_end_and_the_bodys_next_step_is_waited_for(void) {
  world w;
  open_group(&w, 1, 0, sleeper);
  turn(&w);
  while (group.live > 0) CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  spawn_in(&w, &group, "late", sleeper);
  settle(&w);
  CHECK_LOG(&w, "1 starts, 1 ends, late starts, late ends, host closes");
  close_group(&w);
}

static void a_group_that_ended_or_is_cancelled_takes_no_more(void) {
  world w;
  open_group(&w, 1, 0, sleeper);
  turn(&w);
  actor *late = actor_new(&w, "late", sleeper);
  tide_group_cancel(&group);
  CHECK_EQ(tide_task_spawn(&late->task, &group), TIDE_ECLOSED);
  CHECK_EQ(tide_task_spawn_at(&late->task, &group, after_ms(&w, 1)), TIDE_ECLOSED);
  CHECK_EQ(tide_task_spawn_at(&late->task, &group, 0), TIDE_ECLOSED);
  settle(&w);
  CHECK_EQ(tide_task_spawn(&late->task, &group), TIDE_ECLOSED);
  tide_future ended;
  tide_future_init(&ended);
  CHECK_EQ(tide_task_spawn_after(&late->task, &group, &ended), TIDE_ECLOSED);
  CHECK(tide_list_empty(&ended.waiters));
  CHECK_EQ(tide_task_spawn(&late->task, tide_loop_background(w.loop)), TIDE_OK);
  settle(&w);
  close_group(&w);
}

static void a_group_that_ended_well_takes_no_more_either(void) {
  world w;
  tide_future future;
  open_group(&w, 1, 0, sleeper);
  settle(&w);
  actor *late = actor_new(&w, "late", sleeper);
  CHECK_EQ(tide_task_spawn(&late->task, &group), TIDE_ECLOSED);
  CHECK_EQ(tide_task_spawn_at(&late->task, &group, after_ms(&w, 1)), TIDE_ECLOSED);
  tide_future_init(&future);
  CHECK_EQ(tide_task_spawn_after(&late->task, &group, &future), TIDE_ECLOSED);
  CHECK(tide_list_empty(&future.waiters));
  CHECK(!future.observed);
  w.count--;
  close_group(&w);
}

static void background_tasks_may_be_spawned_while_they_are_cancelled_and_do_not_run(void) {
  world w;
  world_open(&w);
  tide_group *background = tide_loop_background(w.loop);
  tide_group_cancel(background);
  spawn(&w, "a", sleeper);
  actor *b = actor_new(&w, "b", sleeper);
  CHECK_EQ(tide_task_spawn_at(&b->task, background, after_ms(&w, 1000)), TIDE_OK);
  turn(&w);
  check_all_ended(&w);
  CHECK_LOG(&w, "");
  tide_scope_uncancel(&background->scope);
  spawn(&w, "c", sleeper);
  settle(&w);
  CHECK_LOG(&w, "c starts, c ends");
  world_close(&w);
}

/* The limit. */

static int running, most;

static void counted(actor *self) {
  BEGIN;
  if (++running > most) most = running;
  say(self, "starts");
  WAIT(sleep_ms(self, 5));
  running--;
  END;
}

static void at_most_max_children_run_and_the_others_start_in_order(void) {
  world w;
  running = most = 0;
  actor *h = open_group(&w, 5, 2, counted);
  settle(&w);
  CHECK_EQ(most, 2);
  CHECK_EQ(h->suspensions, 1); /* the body is not woken for each of them */
  CHECK_LOG(&w, "1 starts, 2 starts, 3 starts, 4 starts, 5 starts, host closes");
  close_group(&w);
}

static void a_child_cancelled_before_it_was_let_in_lets_nobody_else_in(void) {
  world w;
  running = most = 0;
  open_group(&w, 4, 1, counted);
  turn(&w);
  turn(&w);
  CHECK_TEXT(tide_task_waits_for(&w.actors[2].task), "TaskGroup.spawn");
  tide_task_cancel(&w.actors[2].task);
  tide_task_cancel(&w.actors[3].task);
  turn(&w);
  settle(&w);
  CHECK_EQ(most, 1);
  CHECK_LOG(&w, "1 starts, 4 starts, host closes");
  close_group(&w);
}

static void a_child_killed_before_it_was_let_in_lets_nobody_else_in(void) {
  world w;
  running = most = 0;
  open_group(&w, 4, 1, counted);
  turn(&w);
  turn(&w);
  actor_kill(&w.actors[3]);
  actor_kill(&w.actors[2]);
  settle(&w);
  CHECK_EQ(most, 1);
  CHECK_LOG(&w, "1 starts, 4 starts, host closes");
  close_group(&w);
}

static void children_for_a_time_or_a_future_ask_the_limit_when_that_has_come(void) {
  world w;
  tide_future future;
  running = most = 0;
  open_group(&w, 1, 2, counted); /* it takes 5 ms, as all of them do */
  tide_future_init(&future);
  turn(&w);
  actor *a = actor_new(&w, "at", counted), *b = actor_new(&w, "after", counted);
  CHECK_EQ(tide_task_spawn_at(&a->task, &group, after_ms(&w, 2)), TIDE_OK);
  CHECK_EQ(tide_task_spawn_after(&b->task, &group, &future), TIDE_OK);
  CHECK_EQ(group.held, 2); /* they take nobody's place meanwhile */
  spawn_in(&w, &group, "more", counted);
  CHECK_EQ(group.held, 2);
  turn(&w);
  tide_future_end(&future, TIDE_FUTURE_DONE);
  CHECK_EQ(group.held, 2);
  CHECK_TEXT(tide_task_waits_for(&b->task), "TaskGroup.spawn");
  settle(&w);
  CHECK_EQ(most, 2);
  CHECK_EQ(group.held, 0);
  CHECK_LOG(&w, "1 starts, more starts, after starts, at starts, host closes");
  close_group(&w);
}

static void children_that_wait_for_a_time_or_a_future_end_by_cancellation_and_detachment(void) {
  world w;
  tide_future future;
  running = most = 0;
  open_group(&w, 1, 1, counted);
  tide_future_init(&future);
  turn(&w);
  actor *a = actor_new(&w, "at", counted), *b = actor_new(&w, "after", counted);
  actor *c = actor_new(&w, "too", counted), *d = actor_new(&w, "last", counted);
  CHECK_EQ(tide_task_spawn_at(&a->task, &group, after_ms(&w, 2)), TIDE_OK);
  CHECK_EQ(tide_task_spawn_after(&b->task, &group, &future), TIDE_OK);
  CHECK_EQ(tide_task_spawn_at(&c->task, &group, after_ms(&w, 2)), TIDE_OK);
  CHECK_EQ(tide_task_spawn_after(&d->task, &group, &future), TIDE_OK);
  tide_task_cancel(&a->task);
  tide_task_cancel(&b->task);
  CHECK_EQ(group.held, 2);
  actor_kill(c);
  actor_kill(d);
  CHECK_EQ(group.held, 0);
  CHECK_EQ(w.loop->timers.count, 0);
  CHECK(tide_list_empty(&future.waiters));
  settle(&w);
  CHECK_LOG(&w, "1 starts, host closes");
  close_group(&w);
}

static void cancelled_while_children_queue_it_ends_them_too(void) {
  world w;
  running = most = 0;
  open_group(&w, 6, 2, counted);
  turn(&w);
  turn(&w);
  tide_group_cancel(&group);
  settle(&w);
  CHECK_LOG(&w, "1 starts, 2 starts, host closes, catching");
  close_group(&w);
}

static void interrupted_by_a_deadlock_the_body_leaves_its_children_alone(void) {
  world w;
  actor *h = open_group(&w, 1, 0, sleeper);
  turn(&w);
  turn(&w);
  tide_loop_interrupt(w.loop, &h->task, TIDE_ECANCELLED);
  CHECK_EQ(h->task.state, TIDE_TASK_WAITING);
  tide_loop_interrupt(w.loop, &h->task, TIDE_EDEADLOCK);
  CHECK_EQ(h->task.outcome, TIDE_EDEADLOCK);
  settle(&w);
  CHECK_LOG(&w, "1 starts, 1 ends, host closes");
  CHECK_EQ(h->suspensions, 2); /* it had to wait again */
  close_group(&w);
}

/* Groups in groups, and groups whose body is killed. */

static tide_group inner;

static void inner_host(actor *self) {
  BEGIN;
  tide_group_init(&inner, self->world->loop, 0, true);
  tide_group_enter(&inner, &self->task);
  spawn_in(self->world, &inner, "grandchild", sleeper);
  do WAIT(tide_group_wait(&inner, &self->task));
  while (inner.live > 0);
  tide_group_exit(&inner);
  END;
}

static void cancelling_reaches_grandchildren_and_waits_for_them(void) {
  world w;
  open_group(&w, 1, 0, inner_host);
  for (int i = 0; i < 3; i++) turn(&w);
  tide_group_cancel(&group);
  settle(&w);
  CHECK_LOG(&w, "grandchild starts, host closes, catching");
  CHECK_EQ(w.actors[2].task.future.state, TIDE_FUTURE_CANCELLED);
  close_group(&w);
}

static void children_of_a_killed_body_are_cancelled_and_end_in_the_background(void) {
  world w;
  actor *h = open_group(&w, 4, 2, counted);
  running = most = 0;
  turn(&w);
  turn(&w);
  actor_kill(h);
  CHECK_EQ(group.live, 0);
  CHECK_EQ(w.loop->background.live, 4);
  memset(&group, 0xff, sizeof group); /* nobody knows it any more */
  settle(&w);
  CHECK_LOG(&w, "1 starts, 2 starts");
  for (int i = 1; i <= 4; i++) CHECK_EQ(w.actors[i].task.future.state, TIDE_FUTURE_CANCELLED);
  world_close(&w);
}

static void children_of_a_killed_body_in_a_group_of_the_hosts_stay_in_it(void) {
  tide_group hosts;
  world w;
  world_open(&w);
  tide_group_init(&hosts, w.loop, 0, false);
  children = 2;
  limit = 0;
  child = sleeper;
  actor *h = spawn_in(&w, &hosts, "host", host);
  turn(&w);
  turn(&w);
  CHECK_EQ(hosts.live, 1);
  actor_kill(h);
  CHECK_EQ(hosts.live, 2);
  CHECK_EQ(w.loop->background.live, 0);
  settle(&w);
  CHECK_EQ(hosts.live, 0);
  world_close(&w);
}

static void a_failed_child_of_a_body_killed_in_the_same_turn_leaves_nothing_to_do(void) {
  world w;
  actor *h = open_group(&w, 2, 0, breaks_at_once);
  turn(&w);
  actor *k = spawn(&w, "killer", sleeper);
  turn(&w); /* the children fail; their group is told at the end of the turn */
  tide_defer_start(&group.failure, w.loop);
  actor_kill(h);
  CHECK(tide_list_empty(&w.loop->deferred));
  memset(&group, 0xff, sizeof group);
  settle(&w);
  CHECK(actor_ended(k));
  world_close(&w);
}

static void a_group_without_a_body_can_be_left_with_live_children(void) {
  world w;
  world_open(&w);
  tide_group_init(&group, w.loop, 0, false);
  spawn_in(&w, &group, "a", sleeper);
  turn(&w);
  tide_group_exit(&group);
  CHECK_EQ(w.loop->background.live, 1);
  settle(&w);
  CHECK_LOG(&w, "a starts");
  close_group(&w);
}

static void careless(actor *self) {
  BEGIN;
  tide_group_init(&group, self->world->loop, 0, true);
  tide_group_enter(&group, &self->task);
  spawn_in(self->world, &group, "child", sleeper);
  tide_scope_init(&self->scope, 0);
  tide_scope_enter(&self->scope, &self->task);
  TRY(tide_task_yield(&self->task));
  tide_group_exit(&group);
  CHECK(self->task.scope == &self->scope);
  CHECK(self->scope.parent == &self->task.own);
  WAIT(sleep_ms(self, 1));
  say(self, "%d", self->outcome);
  tide_scope_exit(&self->scope);
  END;
}

static void left_out_of_order_it_cancels_its_children_and_not_its_body(void) {
  world w;
  open_group(&w, 0, 0, sleeper);
  w.actors[0].body = careless;
  settle(&w);
  CHECK_LOG(&w, "child starts, host 0");
  close_group(&w);
}

static void onlooker(actor *self) {
  BEGIN;
  WAIT(tide_group_wait(&group, &self->task));
  say(self, "%d", self->outcome);
  END;
}

static void who_else_waits_for_it_is_woken_when_its_body_is_killed(void) {
  world w;
  actor *h = open_group(&w, 1, 0, sleeper);
  turn(&w);
  spawn(&w, "onlooker", onlooker);
  turn(&w);
  actor_kill(h);
  settle(&w);
  CHECK_LOG(&w, "1 starts, onlooker 0");
  close_group(&w);
}

/* Waiting for few children. */

static void staggered(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 5 * (1 + (unsigned)self->i)));
  say(self, "ends");
  END;
}

static void waits_for_few(actor *self) {
  uint32_t few = (uint32_t)self->i;
  BEGIN;
  do TRY(tide_group_wait_few(&group, &self->task, few));
  while (group.live > few);
  say(self, "sees %u", (unsigned)group.live);
  END;
}

static actor *spawn_waiter(world *w, const char *name, int few) {
  actor *self = spawn(w, name, waits_for_few);
  self->i = few;
  return self;
}

static void who_waits_for_few_is_woken_when_few_are_left(void) {
  world w;
  open_group(&w, 3, 0, staggered);
  turn(&w);
  spawn_waiter(&w, "a", 1);
  spawn_waiter(&w, "b", 2);
  spawn_waiter(&w, "c", 0);
  spawn_waiter(&w, "d", 3);
  settle(&w);
  CHECK_LOG(&w, "d sees 3, 1 ends, b sees 2, 2 ends, a sees 1, 3 ends, host closes, c sees 0");
  close_group(&w);
}

static void who_waits_for_few_may_be_cancelled(void) {
  world w;
  open_group(&w, 2, 0, staggered);
  turn(&w);
  actor *a = spawn_waiter(&w, "a", 1);
  turn(&w);
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK_LOG(&w, "1 ends, 2 ends, host closes");
  CHECK_EQ(a->task.future.state, TIDE_FUTURE_CANCELLED);
  close_group(&w);
}

static void a_child_cannot_wait_for_few_of_its_own_group(void) {
  world w;
  open_group(&w, 2, 0, waits_for_few);
  settle(&w);
  CHECK_LOG(&w, "2 sees 1, host closes, catching");
  CHECK(actor_failed_with(&w.actors[1], TIDE_EINVALID_STATE));
  close_group(&w);
}

/* Moving to another group. */

static bool cancelled_before; /* the group, before a child of it is adopted */

static void moves_over(actor *self) {
  BEGIN;
  if (self->i == 0) {
    if (cancelled_before) tide_group_cancel(&group);
    tide_group_adopt(&inner, &self->task);
    CHECK_EQ(inner.live, 1);
  }
  WAIT(sleep_ms(self, 5));
  say(self, "%d", self->outcome);
  END;
}

/* `inner` is around `group`, and outlives it. */
static void two_groups(actor *self) {
  BEGIN;
  tide_group_init(&inner, self->world->loop, 0, false);
  tide_group_enter(&inner, &self->task);
  tide_group_init(&group, self->world->loop, limit, false);
  tide_group_enter(&group, &self->task);
  for (int i = 0; i < 3; i++) spawn_in(self->world, &group, "child", moves_over)->i = i;
  WAIT(sleep_ms(self, 1));
  tide_group_cancel(&group);
  do WAIT(tide_group_wait(&group, &self->task));
  while (group.live > 0);
  tide_group_exit(&group);
  say(self, "leaves %u", (unsigned)inner.live);
  do WAIT(tide_group_wait(&inner, &self->task));
  while (inner.live > 0);
  tide_group_exit(&inner);
  END;
}

static void an_adopted_child_belongs_to_the_other_group(void) {
  world w;
  cancelled_before = false;
  open_group(&w, 0, 0, NULL);
  w.actors[0].body = two_groups;
  settle(&w);
  CHECK_LOG(&w, "child -1, child -1, host leaves 1, child 0");
  close_group(&w);
}

static void an_adopted_child_of_a_cancelled_group_stays_cancelled(void) {
  world w;
  cancelled_before = true;
  open_group(&w, 0, 0, NULL);
  w.actors[0].body = two_groups;
  settle(&w);
  CHECK_EQ(w.actors[1].task.future.state, TIDE_FUTURE_CANCELLED);
  CHECK_EQ(inner.live, 0);
  close_group(&w);
}

static void an_adopted_child_makes_room_for_the_next(void) {
  world w;
  cancelled_before = false;
  open_group(&w, 0, 1, NULL);
  w.actors[0].body = two_groups;
  turn(&w);
  turn(&w);
  CHECK_EQ(group.live, 2);
  CHECK_EQ(group.held, 1);
  settle(&w);
  CHECK_LOG(&w, "child -1, host leaves 1, child 0");
  close_group(&w);
}

/* Everything at once. */

static void mixed(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 1 + (unsigned)self->i));
  TRY(tide_task_yield(&self->task));
  self->outcome = self->data != NULL ? TIDE_EINVALID_STATE : TIDE_OK;
  END;
}

static void body_and_children(actor *self) {
  BEGIN;
  tide_group_init(&group, self->world->loop, 2, true);
  tide_group_enter(&group, &self->task);
  for (int i = 0; i < 4; i++) spawn_in(self->world, &group, "child", mixed)->i = i;
  WAIT(sleep_ms(self, 2));
  if (self->outcome != TIDE_OK) tide_group_cancel(&group);
  do WAIT(tide_group_wait(&group, &self->task));
  while (group.live > 0);
  tide_group_exit(&group);
  WAIT(sleep_ms(self, 1));
  END;
}

static void stage_body(world *w) { w->victim = spawn(w, "victim", body_and_children); }

static void stage_child(world *w) {
  spawn(w, "host", body_and_children);
  turn(w);
  w->victim = &w->actors[2];
}

static void stage_failing_child(world *w) {
  stage_child(w);
  w->actors[1].data = w;
}

static void stage_queued_child(world *w) {
  stage_child(w);
  w->victim = &w->actors[3];
}

static void verify(world *w) {
  (void)w;
  CHECK_EQ(group.live, 0);
  CHECK_EQ(group.held, 0);
  CHECK(tide_list_empty(&group.queued));
  CHECK(tide_list_empty(&group.idle));
  CHECK(!(group.scope.flags & TIDE_SCOPE_ENTERED));
}

static void its_body_may_be_struck_at_any_wait(void) {
  play_all_blows(&(scenario){.stage = stage_body, .verify = verify});
}

static void its_children_may_be_struck_at_any_wait(void) {
  play_all_blows(&(scenario){.stage = stage_child, .verify = verify});
  play_all_blows(&(scenario){.stage = stage_failing_child, .verify = verify});
  play_all_blows(&(scenario){.stage = stage_queued_child, .verify = verify});
}

static void it_survives_any_shortage_of_memory(void) {
  play_all_shortages(&(scenario){.stage = stage_body, .verify = verify});
}

int main(void) {
  RUN(the_block_waits_for_its_children);
  RUN(without_children_it_does_not_wait);
  RUN(a_failure_cancels_the_others_but_not_those_that_fail_in_the_same_turn);
  RUN(a_failure_cancels_the_body_too);
  RUN(a_failure_is_felt_at_the_end_of_its_turn);
  RUN(an_unsupervised_group_ignores_failures);
  RUN(cancelled_from_outside_it_ends_its_children_first);
  RUN(children_are_told_before_their_body);
  RUN(cancelled_itself_it_catches);
  RUN(a_cancelled_child_does_not_disturb_the_others);
  RUN(a_child_may_spawn_a_sibling_as_its_last_act);
  RUN(a_spawn_between_the_last_end_and_the_bodys_next_step_is_waited_for);
  RUN(a_group_that_ended_or_is_cancelled_takes_no_more);
  RUN(a_group_that_ended_well_takes_no_more_either);
  RUN(background_tasks_may_be_spawned_while_they_are_cancelled_and_do_not_run);
  RUN(at_most_max_children_run_and_the_others_start_in_order);
  RUN(a_child_cancelled_before_it_was_let_in_lets_nobody_else_in);
  RUN(a_child_killed_before_it_was_let_in_lets_nobody_else_in);
  RUN(children_for_a_time_or_a_future_ask_the_limit_when_that_has_come);
  RUN(children_that_wait_for_a_time_or_a_future_end_by_cancellation_and_detachment);
  RUN(cancelled_while_children_queue_it_ends_them_too);
  RUN(interrupted_by_a_deadlock_the_body_leaves_its_children_alone);
  RUN(cancelling_reaches_grandchildren_and_waits_for_them);
  RUN(children_of_a_killed_body_are_cancelled_and_end_in_the_background);
  RUN(children_of_a_killed_body_in_a_group_of_the_hosts_stay_in_it);
  RUN(a_failed_child_of_a_body_killed_in_the_same_turn_leaves_nothing_to_do);
  RUN(a_group_without_a_body_can_be_left_with_live_children);
  RUN(left_out_of_order_it_cancels_its_children_and_not_its_body);
  RUN(who_else_waits_for_it_is_woken_when_its_body_is_killed);
  RUN(who_waits_for_few_is_woken_when_few_are_left);
  RUN(who_waits_for_few_may_be_cancelled);
  RUN(a_child_cannot_wait_for_few_of_its_own_group);
  RUN(an_adopted_child_belongs_to_the_other_group);
  RUN(an_adopted_child_of_a_cancelled_group_stays_cancelled);
  RUN(an_adopted_child_makes_room_for_the_next);
  RUN(its_body_may_be_struck_at_any_wait);
  RUN(its_children_may_be_struck_at_any_wait);
  RUN(it_survives_any_shortage_of_memory);
  return check_summary();
}
