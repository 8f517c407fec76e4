/* group.c: tasks that end before the block that started them does. */
#include "group.h"

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

/* Groups in groups, and groups whose body is killed. */

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
  RUN(cancelling_reaches_grandchildren_and_waits_for_them);
  RUN(children_of_a_killed_body_are_cancelled_and_end_in_the_background);
  RUN(children_of_a_killed_body_in_a_group_of_the_hosts_stay_in_it);
  RUN(a_failed_child_of_a_body_killed_in_the_same_turn_leaves_nothing_to_do);
  RUN(a_group_without_a_body_can_be_left_with_live_children);
  RUN(left_out_of_order_it_cancels_its_children_and_not_its_body);
  RUN(who_else_waits_for_it_is_woken_when_its_body_is_killed);
  RUN(its_body_may_be_struck_at_any_wait);
  RUN(its_children_may_be_struck_at_any_wait);
  RUN(it_survives_any_shortage_of_memory);
  return check_summary();
}
