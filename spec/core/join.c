/* join.c: several futures, one after the other as they end. */
#include "script.h"

enum { MEMBERS = 4 };

static tide_future futures[MEMBERS];
static tide_join *join;

static void open_join(world *w, bool forward) {
  world_open(w);
  join = malloc(tide_join_size(MEMBERS));
  CHECK(join != NULL);
  tide_join_init(join, w->loop, MEMBERS, forward);
  for (int i = 0; i < MEMBERS; i++) tide_future_init(&futures[i]);
}

static void close_join(world *w) {
  CHECK(join->waiter == NULL);
  tide_join_term(join);
  for (int i = 0; i < MEMBERS; i++) CHECK(tide_list_empty(&futures[i].waiters));
  free(join);
  world_close(w);
}

static void add_all(void) {
  for (int i = 0; i < MEMBERS; i++) tide_join_add(join, &futures[i]);
}

/* Takes all it can, waits, and so on; says the indices. */
static void collector(actor *self) {
  uint32_t index;
  BEGIN;
  for (;;) {
    while (tide_join_take(join, &index)) say(self, "%u", (unsigned)index);
    WAIT(tide_join_wait(join, &self->task));
    if (self->outcome != TIDE_OK) break;
  }
  say(self, "%d", self->outcome);
  END;
}

static void members_come_in_the_order_they_end(void) {
  world w;
  open_join(&w, false);
  add_all();
  spawn(&w, "c", collector);
  settle(&w);
  tide_future_end(&futures[2], TIDE_FUTURE_DONE);
  tide_future_end(&futures[0], TIDE_FUTURE_FAILED);
  settle(&w);
  CHECK_LOG(&w, "c 2, c 0");
  tide_future_end(&futures[1], TIDE_FUTURE_CANCELLED);
  settle(&w);
  CHECK_LOG(&w, "c 1");
  tide_future_end(&futures[3], TIDE_FUTURE_DONE);
  settle(&w);
  CHECK_LOG(&w, "c 3, c -11"); /* nothing is left to wait for */
  close_join(&w);
}

static void those_that_had_ended_come_in_the_order_they_were_added(void) {
  world w;
  open_join(&w, false);
  tide_future_end(&futures[3], TIDE_FUTURE_DONE);
  tide_future_end(&futures[1], TIDE_FUTURE_DONE);
  add_all();
  CHECK(futures[1].observed && !futures[0].observed);
  spawn(&w, "c", collector);
  settle(&w);
  CHECK_LOG(&w, "c 1, c 3");
  tide_future_end(&futures[2], TIDE_FUTURE_DONE);
  tide_future_end(&futures[0], TIDE_FUTURE_DONE);
  settle(&w);
  CHECK_LOG(&w, "c 2, c 0, c -11");
  close_join(&w);
}

static void one_future_may_be_a_member_twice(void) {
  world w;
  open_join(&w, false);
  tide_join_add(join, &futures[0]);
  tide_join_add(join, &futures[0]);
  spawn(&w, "c", collector);
  settle(&w);
  tide_future_end(&futures[0], TIDE_FUTURE_DONE);
  settle(&w);
  CHECK_LOG(&w, "c 0, c 1, c -11");
  close_join(&w);
}

static void impatient(actor *self) {
  BEGIN;
  TRY(tide_join_wait(join, &self->task));
  TRY(tide_join_wait(join, &self->task));
  say(self, "need not wait for what it has not taken");
  END;
}

static void there_is_no_waiting_before_all_that_ended_is_taken(void) {
  world w;
  open_join(&w, false);
  add_all();
  tide_future_end(&futures[0], TIDE_FUTURE_DONE);
  actor *a = spawn(&w, "a", impatient);
  settle(&w);
  CHECK_LOG(&w, "a need not wait for what it has not taken");
  CHECK_EQ(a->suspensions, 0);
  close_join(&w);
}

static void an_empty_one_has_nothing_to_wait_for(void) {
  world w;
  open_join(&w, false);
  spawn(&w, "c", collector);
  settle(&w);
  CHECK_LOG(&w, "c -11");
  close_join(&w);
}

static void only_one_task_may_wait(void) {
  world w;
  open_join(&w, false);
  add_all();
  spawn(&w, "c", collector);
  spawn(&w, "d", collector);
  settle(&w);
  CHECK_LOG(&w, "d -16");
  for (int i = 0; i < MEMBERS; i++) tide_future_end(&futures[i], TIDE_FUTURE_DONE);
  settle(&w);
  close_join(&w);
}

static void terminated_it_lets_go_of_its_members(void) {
  world w;
  open_join(&w, false);
  add_all();
  tide_future_end(&futures[0], TIDE_FUTURE_DONE);
  tide_join_term(join);
  for (int i = 0; i < MEMBERS; i++) CHECK(tide_list_empty(&futures[i].waiters));
  tide_join_term(join); /* again: harmless */
  close_join(&w);
}

static void one_without_forwarding_leaves_its_members_alone(void) {
  world w;
  open_join(&w, false);
  add_all();
  actor *c = spawn(&w, "c", collector);
  settle(&w);
  tide_task_cancel(&c->task);
  settle(&w);
  CHECK_LOG(&w, "c -1");
  for (int i = 0; i < MEMBERS; i++) CHECK_EQ(futures[i].state, TIDE_FUTURE_PENDING);
  close_join(&w);
}

/* Forwarding. */

static void slow_to_go(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 100));
  tide_scope_init(&self->scope, TIDE_SCOPE_SHIELD);
  tide_scope_enter(&self->scope, &self->task);
  WAIT(sleep_ms(self, 5));
  tide_scope_exit(&self->scope);
  say(self, "gone");
  self->outcome = TIDE_ECANCELLED;
  END;
}

static void a_cancelled_waiter_cancels_the_members_and_waits_for_all(void) {
  world w;
  open_join(&w, true);
  tide_join_add(join, &futures[0]);
  tide_join_add(join, &spawn(&w, "a", slow_to_go)->task.future);
  tide_join_add(join, &futures[1]);
  tide_join_add(join, &spawn(&w, "b", slow_to_go)->task.future);
  actor *c = spawn(&w, "c", collector);
  turn(&w);
  tide_future_end(&futures[0], TIDE_FUTURE_DONE);
  turn(&w);
  CHECK_LOG(&w, "c 0");
  tide_time began = tide_loop_now(w.loop);
  tide_task_cancel(&c->task);
  CHECK_EQ(futures[1].state, TIDE_FUTURE_PENDING); /* it is no task */
  settle(&w);
  CHECK_LOG(&w, "a gone, b gone, c -1");
  CHECK_EQ(tide_loop_now(w.loop) - began, 5000000);
  close_join(&w);
}

static void await_member(actor *self) {
  BEGIN;
  WAIT(tide_future_wait(self->data, &self->task, false));
  say(self, "saw %d", self->outcome);
  END;
}

static void a_cancelled_waiter_lets_go_of_members_for_which_others_wait(void) {
  world w;
  open_join(&w, true);
  actor *a = spawn(&w, "a", slow_to_go), *b = spawn(&w, "b", slow_to_go);
  tide_join_add(join, &a->task.future);
  tide_join_add(join, &b->task.future);
  tide_join_add(join, &b->task.future); /* twice is one waiter */
  spawn(&w, "d", await_member)->data = &a->task.future;
  actor *c = spawn(&w, "c", collector);
  turn(&w);
  tide_task_cancel(&c->task);
  CHECK(!tide_task_cancelled(&a->task));
  CHECK(tide_task_cancelled(&b->task));
  settle(&w);
  CHECK_LOG(&w, "b gone, c -1, a gone, d saw 0");
  close_join(&w);
}

static void failing_to_go(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 100));
  self->outcome = TIDE_EINVALID_STATE;
  END;
}

static void taker(actor *self) {
  uint32_t index;
  BEGIN;
  WAIT(tide_join_wait(join, &self->task));
  say(self, "%d", self->outcome);
  while (tide_join_take(join, &index))
    say(self, "%u state %d", (unsigned)index, (int)join->members[index].future->state);
  END;
}

static void what_its_members_have_come_to_a_cancelled_waiter_can_take(void) {
  world w;
  open_join(&w, true);
  tide_join_add(join, &spawn(&w, "a", slow_to_go)->task.future);
  tide_join_add(join, &spawn(&w, "b", failing_to_go)->task.future);
  actor *c = spawn(&w, "c", taker);
  turn(&w);
  tide_task_cancel(&c->task);
  settle(&w);
  CHECK_LOG(&w, "a gone, c -1, c 1 state 2, c 0 state 3");
  close_join(&w);
}

static void if_all_members_end_at_once_so_does_the_cancelled_waiter(void) {
  world w;
  open_join(&w, true);
  add_all();
  actor *c = spawn(&w, "c", collector);
  settle(&w);
  tide_task_cancel(&c->task);
  CHECK_EQ(c->task.state, TIDE_TASK_READY);
  settle(&w);
  CHECK_LOG(&w, "c -1");
  close_join(&w);
}

static void a_waiter_whose_member_has_just_ended_is_told_of_that(void) {
  world w;
  open_join(&w, true);
  add_all();
  actor *c = spawn(&w, "c", collector);
  settle(&w);
  tide_future_end(&futures[1], TIDE_FUTURE_DONE);
  tide_task_cancel(&c->task);
  CHECK_EQ(futures[0].state, TIDE_FUTURE_PENDING);
  settle(&w);
  CHECK_LOG(&w, "c 1, c -1");
  close_join(&w);
}

static void doomed(actor *self) {
  BEGIN;
  tide_task_cancel(&self->task);
  WAIT(tide_join_wait(join, &self->task));
  say(self, "%d", self->outcome);
  END;
}

static void one_that_begins_to_wait_when_cancelled_cancels_the_members_too(void) {
  world w;
  open_join(&w, true);
  tide_join_add(join, &futures[0]);
  tide_join_add(join, &spawn(&w, "a", slow_to_go)->task.future);
  turn(&w);
  spawn(&w, "c", doomed);
  turn(&w);
  CHECK_EQ(futures[0].state, TIDE_FUTURE_PENDING);
  settle(&w);
  CHECK_LOG(&w, "a gone, c -1");
  close_join(&w);
}

static void where_all_members_have_ended_it_is_told_all_the_same(void) {
  world w;
  open_join(&w, true);
  tide_join_add(join, &futures[0]);
  tide_future_end(&futures[0], TIDE_FUTURE_DONE);
  spawn(&w, "c", doomed);
  settle(&w);
  CHECK_LOG(&w, "c -1");
  close_join(&w);
}

static void if_they_end_at_once_it_is_told_in_the_next_turn(void) {
  world w;
  open_join(&w, true);
  add_all();
  spawn(&w, "c", doomed);
  turn(&w);
  CHECK_LOG(&w, "");
  turn(&w);
  CHECK_LOG(&w, "c -1");
  close_join(&w);
}

static void members_and_waiter_may_be_in_one_cancelled_scope(void) {
  world w;
  open_join(&w, true);
  actor *c = spawn(&w, "c", collector);
  tide_join_add(join, &spawn(&w, "a", slow_to_go)->task.future);
  tide_join_add(join, &spawn(&w, "b", slow_to_go)->task.future);
  CHECK(c != NULL);
  turn(&w);
  tide_scope_cancel(&tide_loop_background(w.loop)->scope, w.loop);
  settle(&w);
  CHECK_LOG(&w, "a gone, b gone, c -1");
  close_join(&w);
}

static void interrupted_by_a_deadlock_it_leaves_its_members_alone(void) {
  world w;
  open_join(&w, true);
  add_all();
  actor *c = spawn(&w, "c", collector);
  settle(&w);
  tide_loop_interrupt(w.loop, &c->task, TIDE_EDEADLOCK);
  settle(&w);
  CHECK_LOG(&w, "c -8");
  CHECK_EQ(futures[0].state, TIDE_FUTURE_PENDING);
  close_join(&w);
}

/* Everything at once: a task that gathers, others that end at various times. */

static void quick(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, (unsigned)self->i));
  END;
}

static void gatherer(actor *self) {
  uint32_t index;
  BEGIN;
  while (self->i < MEMBERS) {
    TRY(tide_join_wait(join, &self->task));
    while (tide_join_take(join, &index)) self->i++;
    if (self->i == 2) TRY(sleep_ms(self, 1));
  }
  END;
}

static void stage(world *w, bool forward) {
  static const int ms[MEMBERS] = {3, 1, 1, 6};
  join = malloc(tide_join_size(MEMBERS));
  tide_join_init(join, w->loop, MEMBERS, forward);
  for (int i = 0; i < MEMBERS; i++) {
    actor *member = spawn(w, "member", i < 3 ? quick : slow_to_go);
    member->i = ms[i];
    tide_join_add(join, &member->task.future);
  }
}

static void stage_gatherer(world *w) {
  stage(w, true);
  w->victim = spawn(w, "victim", gatherer);
}

static void stage_waiter(world *w) {
  stage(w, false);
  w->victim = spawn(w, "victim", gatherer);
}

static void stage_member(world *w) {
  stage(w, true);
  spawn(w, "gatherer", gatherer);
  w->victim = &w->actors[3];
}

static void verify(world *w) {
  CHECK(join->waiter == NULL);
  if (w->victim->body != gatherer) CHECK_EQ(w->actors[MEMBERS].i, MEMBERS);
  tide_join_term(join);
  for (unsigned i = 0; i < w->count; i++) CHECK(tide_list_empty(&w->actors[i].task.future.waiters));
  free(join);
}

static void who_joins_may_be_struck_at_any_wait(void) {
  play_all_blows(&(scenario){.stage = stage_gatherer, .verify = verify});
  play_all_blows(&(scenario){.stage = stage_waiter, .verify = verify});
}

static void a_member_may_be_struck_at_any_wait(void) {
  play_all_blows(&(scenario){.stage = stage_member, .verify = verify});
}

int main(void) {
  RUN(members_come_in_the_order_they_end);
  RUN(those_that_had_ended_come_in_the_order_they_were_added);
  RUN(one_future_may_be_a_member_twice);
  RUN(there_is_no_waiting_before_all_that_ended_is_taken);
  RUN(an_empty_one_has_nothing_to_wait_for);
  RUN(only_one_task_may_wait);
  RUN(terminated_it_lets_go_of_its_members);
  RUN(one_without_forwarding_leaves_its_members_alone);
  RUN(a_cancelled_waiter_cancels_the_members_and_waits_for_all);
  RUN(a_cancelled_waiter_lets_go_of_members_for_which_others_wait);
  RUN(what_its_members_have_come_to_a_cancelled_waiter_can_take);
  RUN(if_all_members_end_at_once_so_does_the_cancelled_waiter);
  RUN(a_waiter_whose_member_has_just_ended_is_told_of_that);
  RUN(one_that_begins_to_wait_when_cancelled_cancels_the_members_too);
  RUN(where_all_members_have_ended_it_is_told_all_the_same);
  RUN(if_they_end_at_once_it_is_told_in_the_next_turn);
  RUN(members_and_waiter_may_be_in_one_cancelled_scope);
  RUN(interrupted_by_a_deadlock_it_leaves_its_members_alone);
  RUN(who_joins_may_be_struck_at_any_wait);
  RUN(a_member_may_be_struck_at_any_wait);
  return check_summary();
}
