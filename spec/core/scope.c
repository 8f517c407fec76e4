/* scope.c: the tree of cancel scopes and their deadlines. */
#include "scope.h"

/* A task that waits inside scopes[0] > scopes[1] > scopes[2], which the test has prepared, and on
 * its way out says how it went and which of them would catch. */

static void a_cancelled_scope_fails_waits_inside_and_not_outside(void) {
  world w;
  open_scopes(&w, 2);
  turn(&w);
  tide_scope_cancel(&scopes[1], w.loop);
  settle(&w);
  CHECK_LOG(&w, "t slept -1, t caught by 1, t outside 1: 0, t outside 0: 0");
  world_close(&w);
}

static void an_outer_scope_cancels_all_inside_and_catches(void) {
  world w;
  open_scopes(&w, 3);
  turn(&w);
  tide_scope_cancel(&scopes[1], w.loop);
  tide_scope_cancel(&scopes[0], w.loop);
  CHECK_TEXT(flags(&scopes[2]), "C");
  settle(&w);
  CHECK_LOG(&w, "t slept -1, t outside 2: -1, t outside 1: -1, t caught by 0, t outside 0: 0");
  world_close(&w);
}

static void the_task_cancels_all_of_its_scopes(void) {
  world w;
  actor *t = open_scopes(&w, 2);
  turn(&w);
  tide_task_cancel(&t->task);
  settle(&w);
  CHECK_LOG(&w, "t slept -1, t outside 1: -1, t outside 0: -1");
  CHECK_EQ(t->task.future.state, TIDE_FUTURE_CANCELLED);
  world_close(&w);
}

static void a_shield_keeps_cancellation_out(void) {
  world w;
  open_scopes(&w, 2);
  tide_scope_init(&scopes[1], TIDE_SCOPE_SHIELD);
  turn(&w);
  tide_scope_cancel(&scopes[0], w.loop);
  CHECK_TEXT(flags(&scopes[0]), "Cc");
  CHECK_TEXT(flags(&scopes[1]), "-");
  settle(&w);
  CHECK_LOG(&w, "t slept 0, t outside 1: -1, t caught by 0, t outside 0: 0");
  world_close(&w);
}

static void cancelled_through_the_task_has_no_shield_and_nothing_catches(void) {
  world w;
  actor *t = open_scopes(&w, 3);
  tide_scope_init(&scopes[1], TIDE_SCOPE_SHIELD);
  turn(&w);
  CHECK(tide_task_cancel_through(&t->task));
  CHECK_EQ(t->task.own.requests, 1);
  settle(&w);
  CHECK_LOG(&w, "t slept -1, t outside 2: -1, t outside 1: -1, t outside 0: -1");
  CHECK_EQ(t->task.future.state, TIDE_FUTURE_CANCELLED);
  CHECK(!tide_task_cancel_through(&t->task));
  world_close(&w);
}

static void a_shield_opened_in_a_cancelled_scope_works_too(void) {
  world w;
  actor *t = open_scopes(&w, 2);
  tide_scope_init(&scopes[1], TIDE_SCOPE_SHIELD);
  tide_scope_cancel(&scopes[0], w.loop);
  settle(&w);
  CHECK_LOG(&w, "t slept 0, t outside 1: -1, t caught by 0, t outside 0: 0");
  CHECK_EQ(t->outcome, TIDE_OK);
  world_close(&w);
}

static void a_shield_can_be_cancelled_itself(void) {
  world w;
  open_scopes(&w, 1);
  tide_scope_init(&scopes[0], TIDE_SCOPE_SHIELD);
  turn(&w);
  tide_scope_cancel(&scopes[0], w.loop);
  settle(&w);
  CHECK_LOG(&w, "t slept -1, t caught by 0, t outside 0: 0");
  world_close(&w);
}

static void a_scope_inside_a_shield_is_shielded(void) {
  world w;
  open_scopes(&w, 3);
  tide_scope_init(&scopes[1], TIDE_SCOPE_SHIELD);
  turn(&w);
  tide_scope_cancel(&scopes[0], w.loop);
  CHECK_TEXT(flags(&scopes[2]), "-");
  tide_scope_cancel(&scopes[1], w.loop);
  CHECK_TEXT(flags(&scopes[2]), "C");
  settle(&w);
  world_close(&w);
}

static void a_scope_cancelled_before_it_is_entered_is_cancelled(void) {
  world w;
  open_scopes(&w, 1);
  tide_scope_cancel(&scopes[0], w.loop);
  settle(&w);
  CHECK_LOG(&w, "t slept -1, t caught by 0, t outside 0: 0");
  world_close(&w);
}

static void uncancel_counts_and_leaves_what_others_called(void) {
  world w;
  open_scopes(&w, 3);
  turn(&w);
  tide_scope_cancel(&scopes[1], w.loop);
  tide_scope_cancel(&scopes[1], w.loop);
  CHECK(tide_scope_uncancel(&scopes[1]));
  CHECK_TEXT(flags(&scopes[1]), "Cc");
  CHECK(tide_scope_uncancel(&scopes[1]));
  CHECK_TEXT(flags(&scopes[1]), "-");
  CHECK_TEXT(flags(&scopes[2]), "-");
  CHECK(!tide_scope_uncancel(&scopes[1]));
  tide_scope_cancel(&scopes[1], w.loop);
  tide_scope_cancel(&scopes[0], w.loop);
  tide_scope_uncancel(&scopes[1]);
  CHECK_TEXT(flags(&scopes[1]), "C");
  tide_scope_cancel(&scopes[2], w.loop);
  tide_scope_uncancel(&scopes[0]);
  CHECK_TEXT(flags(&scopes[0]), "-");
  CHECK_TEXT(flags(&scopes[1]), "-");
  CHECK_TEXT(flags(&scopes[2]), "Cc");
  settle(&w);
  CHECK_LOG(&w, "t slept -1, t caught by 2, t outside 2: 0, t outside 1: 0, t outside 0: 0");
  world_close(&w);
}

static void a_wait_in_a_scope_that_is_live_again_works(void) {
  world w;
  open_scopes(&w, 1);
  turn(&w);
  tide_scope_cancel(&scopes[0], w.loop);
  tide_scope_uncancel(&scopes[0]);
  settle(&w);
  CHECK_LOG(&w, "t slept -1, t outside 0: 0"); /* that wait was over */
  world_close(&w);
}

/* Leaving in other ways. */

static void crossing(actor *self) {
  BEGIN;
  for (int i = 0; i < 3; i++) tide_scope_enter(&scopes[i], &self->task);
  CHECK_EQ(tide_scope_exit(&scopes[1]), TIDE_EINVALID_STATE);
  CHECK(self->task.scope == &scopes[2]);
  CHECK(scopes[2].parent == &scopes[0]);
  CHECK_EQ(tide_scope_exit(&scopes[1]), TIDE_OK);   /* it is out: harmless */
  tide_scope_cancel(&scopes[1], self->world->loop); /* too */
  WAIT(tide_task_yield(&self->task));
  say(self, "%d", self->outcome);
  tide_scope_cancel(&scopes[0], self->world->loop);
  WAIT(tide_task_yield(&self->task));
  say(self, "%d", self->outcome);
  CHECK_EQ(tide_scope_exit(&scopes[2]), TIDE_OK);
  CHECK_EQ(tide_scope_exit(&scopes[0]), TIDE_OK);
  CHECK(self->task.scope == &self->task.own);
  WAIT(tide_task_yield(&self->task));
  say(self, "%d", self->outcome);
  END;
}

static void a_scope_left_out_of_order_hands_its_inside_to_its_outside(void) {
  world w;
  open_scopes(&w, 0);
  w.actors[0].body = crossing;
  settle(&w);
  CHECK_LOG(&w, "t 0, t -1, t 0");
  world_close(&w);
}

static void a_cancelled_scope_left_out_of_order_revives_its_inside(void) {
  world w;
  open_scopes(&w, 2);
  turn(&w);
  tide_scope_cancel(&scopes[0], w.loop);
  CHECK_EQ(tide_scope_exit(&scopes[0]), TIDE_EINVALID_STATE);
  CHECK_TEXT(flags(&scopes[1]), "-");
  settle(&w);
  world_close(&w);
}

static void leaver(actor *self) {
  BEGIN;
  for (int i = 0; i < 3; i++) tide_scope_enter(&scopes[i], &self->task);
  END;
}

static void a_task_that_ends_leaves_its_scopes(void) {
  world w;
  actor *t = open_scopes(&w, 0);
  t->body = leaver;
  settle(&w);
  for (int i = 0; i < 3; i++) CHECK(!(scopes[i].flags & TIDE_SCOPE_ENTERED));
  CHECK(!tide_task_cancelled(&t->task));
  world_close(&w);
}

static void sleeping(actor *self) {
  BEGIN;
  tide_scope_enter(&scopes[0], &self->task);
  tide_scope_enter(&scopes[1], &self->task);
  WAIT(sleep_ms(self, 10));
  say(self, "slept %d", self->outcome);
  END;
}

static void a_shield_taken_away_from_a_waiting_task_lets_cancellation_in(void) {
  world w;
  actor *t = open_scopes(&w, 0);
  t->body = sleeping;
  tide_scope_init(&scopes[1], TIDE_SCOPE_SHIELD);
  turn(&w);
  tide_task_cancel(&t->task);
  CHECK_EQ(t->task.state, TIDE_TASK_WAITING);
  CHECK_EQ(tide_scope_exit(&scopes[1]), TIDE_OK);
  CHECK_EQ(t->task.state, TIDE_TASK_READY);
  turn(&w);
  CHECK_LOG(&w, "t slept -1");
  world_close(&w);
}

static void a_shield_around_another_scope_taken_away_lets_it_in_too(void) {
  world w;
  actor *t = open_scopes(&w, 0);
  t->body = sleeping;
  tide_scope_init(&scopes[0], TIDE_SCOPE_SHIELD);
  turn(&w);
  tide_task_cancel(&t->task);
  CHECK_EQ(t->task.state, TIDE_TASK_WAITING);
  CHECK_EQ(tide_scope_exit(&scopes[0]), TIDE_EINVALID_STATE);
  CHECK_EQ(t->task.state, TIDE_TASK_READY);
  settle(&w);
  CHECK_LOG(&w, "t slept -1");
  world_close(&w);
}

static void taking_a_live_scope_away_from_a_waiting_task_does_not_disturb_it(void) {
  world w;
  actor *t = open_scopes(&w, 0);
  t->body = sleeping;
  turn(&w);
  CHECK_EQ(tide_scope_exit(&scopes[1]), TIDE_OK);
  CHECK_EQ(t->task.state, TIDE_TASK_WAITING);
  CHECK(t->task.scope == &scopes[0]);
  settle(&w);
  CHECK_LOG(&w, "t slept 0");
  world_close(&w);
}

static void awaiting_in_a_shield(actor *self) {
  actor *other = self->data;
  BEGIN;
  tide_scope_enter(&scopes[0], &self->task);
  WAIT(tide_future_wait(&other->task.future, &self->task, false));
  say(self, "awaited %d", self->outcome);
  END;
}

static void what_comes_in_when_a_shield_goes_is_handed_on_to_what_is_awaited(void) {
  world w;
  actor *other = open_scopes(&w, 0);
  other->body = sleeping;
  actor *t = spawn(&w, "u", awaiting_in_a_shield);
  t->data = other;
  tide_scope_init(&scopes[0], TIDE_SCOPE_SHIELD);
  tide_scope_init(&scopes[1], 0);
  other->body = nested;
  turn(&w);
  tide_task_cancel(&t->task);
  CHECK_EQ(tide_scope_exit(&scopes[0]), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "t slept -1, u awaited 0");
  CHECK_EQ(other->task.future.state, TIDE_FUTURE_CANCELLED);
  world_close(&w);
}

static void a_scope_outlives_its_task_and_may_be_cancelled_then(void) {
  world w;
  tide_task_ops ops = {.step = actor_step};
  world_open(&w);
  actor *t = malloc(sizeof *t);
  *t = (actor){.world = &w, .name = "t", .body = leaver};
  for (int i = 0; i < 3; i++) tide_scope_init(&scopes[i], 0);
  tide_task_init(&t->task, w.loop, &ops);
  CHECK_EQ(tide_task_spawn(&t->task, tide_loop_background(w.loop)), TIDE_OK);
  settle(&w);
  free(t);
  tide_scope_cancel(&scopes[1], w.loop);
  CHECK_TEXT(flags(&scopes[1]), "Cc");
  tide_scope_uncancel(&scopes[1]);
  CHECK_TEXT(flags(&scopes[1]), "-");
  CHECK_EQ(tide_scope_exit(&scopes[1]), TIDE_OK);
  world_close(&w);
}

/* Deep trees. */

enum { DEEP = 10000 };
static tide_scope deep[DEEP];

static void deep_diver(actor *self) {
  BEGIN;
  for (int i = 0; i < DEEP; i++) {
    tide_scope_init(&deep[i], 0);
    tide_scope_enter(&deep[i], &self->task);
  }
  WAIT(sleep_ms(self, 10));
  say(self, "%d", self->outcome);
  CHECK(tide_scope_catches(&deep[0]));
  CHECK(!tide_scope_catches(&deep[DEEP - 1]));
  END;
}

static void ten_thousand_nested_scopes_are_cancelled_from_the_outermost(void) {
  world w;
  world_open(&w);
  spawn(&w, "t", deep_diver);
  turn(&w);
  tide_scope_cancel(&deep[0], w.loop);
  CHECK(tide_scope_cancelled(&deep[DEEP - 1]));
  settle(&w);
  CHECK_LOG(&w, "t -1");
  world_close(&w);
}

/* Everything at once: scopes, shields and a deadline around waits. */

static void layered(actor *self) {
  BEGIN;
  tide_scope_init(&scopes[0], 0);
  tide_scope_enter(&scopes[0], &self->task);
  tide_deadline_init(&self->deadline, &scopes[0], self->world->loop);
  CHECK_EQ(tide_deadline_set(&self->deadline, after_ms(self->world, 2)), TIDE_OK);
  WAIT(sleep_ms(self, 1));
  tide_scope_init(&scopes[1], TIDE_SCOPE_SHIELD);
  tide_scope_enter(&scopes[1], &self->task);
  WAIT(sleep_ms(self, 2));
  CHECK_EQ(self->outcome, TIDE_OK);
  tide_scope_exit(&scopes[1]);
  WAIT(sleep_ms(self, 1));
  tide_deadline_stop(&self->deadline);
  tide_scope_exit(&scopes[0]);
  WAIT(sleep_ms(self, 1));
  END;
}

static void layered_close(actor *self) { tide_deadline_stop(&self->deadline); }

/* Looking at the tree. */

static tide_group family;
static actor *child;

static void sleeper(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 5));
  END;
}

static void parent(actor *self) {
  BEGIN;
  tide_scope_init(&self->scope, TIDE_SCOPE_SHIELD);
  tide_scope_enter(&self->scope, &self->task);
  tide_group_init(&family, self->world->loop, 0, true);
  tide_group_enter(&family, &self->task);
  child = spawn_in(self->world, &family, "child", sleeper);
  TRY(sleep_ms(self, 10));
  tide_group_exit(&family);
  tide_scope_exit(&self->scope);
  END;
}

static void the_tree_can_be_walked_from_any_scope_parents_first(void) {
  world w;
  world_open(&w);
  actor *first = spawn(&w, "first", parent), *second = spawn(&w, "second", sleeper);
  turn(&w);
  const tide_scope *top = &tide_loop_background(w.loop)->scope;
  const tide_scope *expected[] = {&first->task.own, &first->scope,     &family.scope,
                                  &child->task.own, &second->task.own, NULL};
  const tide_scope *at = top;
  for (int i = 0; i < 6; i++) {
    at = tide_scope_next(top, at);
    CHECK(at == expected[i]);
  }
  CHECK(tide_scope_next(&first->task.own, &child->task.own) == NULL);
  CHECK(tide_scope_next(&child->task.own, &child->task.own) == NULL);
  CHECK(tide_scope_next(&first->scope, &first->scope) == &family.scope);
  settle(&w);
  CHECK(tide_scope_next(top, top) == NULL);
  world_close(&w);
}

static void stage(world *w) {
  w->victim = spawn(w, "victim", layered);
  w->victim->close = layered_close;
  tide_deadline_init(&w->victim->deadline, &scopes[0], w->loop);
}

static void verify(world *w) {
  CHECK(w->victim->task.scope == &w->victim->task.own);
  CHECK(tide_list_empty(&w->victim->task.own.children));
  for (int i = 0; i < 2; i++) CHECK(!(scopes[i].flags & TIDE_SCOPE_ENTERED));
}

static void struck_at_any_wait_it_leaves_no_scope_and_no_timer(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
}

int main(void) {
  RUN(a_cancelled_scope_fails_waits_inside_and_not_outside);
  RUN(an_outer_scope_cancels_all_inside_and_catches);
  RUN(the_task_cancels_all_of_its_scopes);
  RUN(a_shield_keeps_cancellation_out);
  RUN(cancelled_through_the_task_has_no_shield_and_nothing_catches);
  RUN(a_shield_opened_in_a_cancelled_scope_works_too);
  RUN(a_shield_can_be_cancelled_itself);
  RUN(a_scope_inside_a_shield_is_shielded);
  RUN(a_scope_cancelled_before_it_is_entered_is_cancelled);
  RUN(uncancel_counts_and_leaves_what_others_called);
  RUN(a_wait_in_a_scope_that_is_live_again_works);
  RUN(a_scope_left_out_of_order_hands_its_inside_to_its_outside);
  RUN(a_cancelled_scope_left_out_of_order_revives_its_inside);
  RUN(a_task_that_ends_leaves_its_scopes);
  RUN(a_shield_taken_away_from_a_waiting_task_lets_cancellation_in);
  RUN(a_shield_around_another_scope_taken_away_lets_it_in_too);
  RUN(taking_a_live_scope_away_from_a_waiting_task_does_not_disturb_it);
  RUN(what_comes_in_when_a_shield_goes_is_handed_on_to_what_is_awaited);
  RUN(a_scope_outlives_its_task_and_may_be_cancelled_then);
  RUN(ten_thousand_nested_scopes_are_cancelled_from_the_outermost);
  RUN(the_tree_can_be_walked_from_any_scope_parents_first);
  RUN(struck_at_any_wait_it_leaves_no_scope_and_no_timer);
  return check_summary();
}
