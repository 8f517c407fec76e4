/* group_count.c: groups that count: a limit of children, waiting until few are left, moving a
 * group. */
#include "group.h"

/* The limit. */

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

int main(void) {
  RUN(at_most_max_children_run_and_the_others_start_in_order);
  RUN(a_child_cancelled_before_it_was_let_in_lets_nobody_else_in);
  RUN(a_child_killed_before_it_was_let_in_lets_nobody_else_in);
  RUN(children_for_a_time_or_a_future_ask_the_limit_when_that_has_come);
  RUN(children_that_wait_for_a_time_or_a_future_end_by_cancellation_and_detachment);
  RUN(cancelled_while_children_queue_it_ends_them_too);
  RUN(interrupted_by_a_deadlock_the_body_leaves_its_children_alone);
  RUN(who_waits_for_few_is_woken_when_few_are_left);
  RUN(who_waits_for_few_may_be_cancelled);
  RUN(a_child_cannot_wait_for_few_of_its_own_group);
  RUN(an_adopted_child_belongs_to_the_other_group);
  RUN(an_adopted_child_of_a_cancelled_group_stays_cancelled);
  RUN(an_adopted_child_makes_room_for_the_next);
  return check_summary();
}
