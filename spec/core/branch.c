/* branch.c: stacks of scopes beside each other in one task. */
#include "script.h"

static tide_branch a, b;
static tide_scope around, inside;

static world *open(world *w) {
  world_open(w);
  tide_branch_init(&a);
  tide_branch_init(&b);
  tide_scope_init(&around, 0);
  tide_scope_init(&inside, 0);
  return w;
}

/* A scope that is open in a branch is around the task while it is in there, and not elsewhere. */

static void in_turns(actor *self) {
  BEGIN;
  tide_branch_enter(&a, &self->task);
  tide_scope_enter(&inside, &self->task);
  tide_branch_leave(&a);
  tide_scope_cancel(&inside, self->task.loop);
  WAIT(tide_task_yield(&self->task));
  say(self, "outside %d", self->outcome);
  tide_branch_enter(&b, &self->task);
  WAIT(tide_task_yield(&self->task));
  say(self, "b %d", self->outcome);
  tide_branch_leave(&b);
  tide_branch_enter(&a, &self->task);
  WAIT(tide_task_yield(&self->task));
  say(self, "a %d", self->outcome);
  CHECK(self->task.scope == &inside);
  CHECK(tide_scope_catches(&inside));
  CHECK_EQ(tide_scope_exit(&inside), TIDE_OK);
  WAIT(tide_task_yield(&self->task));
  say(self, "a %d", self->outcome);
  tide_branch_end(&a);
  tide_branch_end(&b);
  CHECK(self->task.scope == &self->task.own);
  END;
}

static void what_is_open_in_a_branch_is_around_the_task_only_there(void) {
  world w;
  open(&w);
  spawn(&w, "t", in_turns);
  settle(&w);
  CHECK_LOG(&w, "t outside 0, t b 0, t a -1, t a 0");
  world_close(&w);
}

/* Where it is entered from is around it. */

static void entered_from(actor *self) {
  BEGIN;
  tide_branch_enter(&a, &self->task);
  tide_scope_enter(&inside, &self->task);
  tide_branch_leave(&a);
  tide_scope_enter(&around, &self->task);
  tide_branch_enter(&a, &self->task);
  WAIT(sleep_ms(self, 10));
  say(self, "slept %d", self->outcome);
  CHECK(!tide_scope_catches(&inside));
  tide_branch_leave(&a);
  CHECK(!tide_scope_cancelled(&inside));
  CHECK(tide_scope_catches(&around));
  CHECK_EQ(tide_scope_exit(&around), TIDE_OK);
  tide_branch_enter(&a, &self->task);
  WAIT(tide_task_yield(&self->task));
  say(self, "again %d", self->outcome);
  tide_branch_end(&a);
  CHECK(self->task.scope == &self->task.own);
  END;
}

static void a_branch_is_inside_of_what_it_is_entered_from(void) {
  world w;
  open(&w);
  spawn(&w, "t", entered_from);
  turn(&w);
  tide_scope_cancel(&around, w.loop);
  settle(&w);
  CHECK_LOG(&w, "t slept -1, t again 0");
  world_close(&w);
}

/* The scope that it was entered from goes while the task is in there. */

static void loses_what_is_around(actor *self) {
  BEGIN;
  tide_scope_enter(&around, &self->task);
  tide_branch_enter(&a, &self->task);
  CHECK_EQ(tide_scope_exit(&around), TIDE_EINVALID_STATE);
  CHECK(a.scope.parent == &self->task.own);
  tide_branch_leave(&a);
  CHECK(self->task.scope == &self->task.own);
  tide_branch_end(&a);
  END;
}

static void what_is_around_a_branch_may_go_while_the_task_is_in_it(void) {
  world w;
  open(&w);
  spawn(&w, "t", loses_what_is_around);
  settle(&w);
  world_close(&w);
}

/* Scopes in a branch are left while the task is elsewhere. */

static void loses_what_is_inside(actor *self) {
  BEGIN;
  tide_branch_enter(&a, &self->task);
  tide_scope_enter(&around, &self->task);
  tide_scope_enter(&inside, &self->task);
  tide_branch_leave(&a);
  CHECK_EQ(tide_scope_exit(&inside), TIDE_EINVALID_STATE);
  CHECK(a.innermost == &around);
  tide_branch_enter(&a, &self->task);
  CHECK(self->task.scope == &around);
  tide_scope_enter(&inside, &self->task);
  tide_branch_leave(&a);
  CHECK_EQ(tide_scope_exit(&around), TIDE_EINVALID_STATE);
  CHECK(a.innermost == &inside);
  tide_branch_end(&a);
  CHECK(inside.task == NULL);
  END;
}

static void what_is_open_in_a_branch_may_go_while_the_task_is_elsewhere(void) {
  world w;
  open(&w);
  spawn(&w, "t", loses_what_is_inside);
  settle(&w);
  world_close(&w);
}

/* The whole task. */

static void waits_outside(actor *self) {
  BEGIN;
  tide_branch_enter(&a, &self->task);
  tide_scope_init(&inside, TIDE_SCOPE_SHIELD);
  tide_scope_enter(&inside, &self->task);
  tide_branch_leave(&a);
  WAIT(sleep_ms(self, 10));
  say(self, "slept %d", self->outcome);
  tide_branch_enter(&a, &self->task);
  WAIT(tide_task_yield(&self->task));
  say(self, "shielded %d", self->outcome);
  tide_branch_end(&a);
  END;
}

static void branches_are_cancelled_with_their_task(void) {
  world w;
  open(&w);
  actor *t = spawn(&w, "t", waits_outside);
  turn(&w);
  tide_task_cancel(&t->task);
  CHECK(tide_scope_cancelled(&a.scope));
  CHECK(!tide_scope_cancelled(&inside));
  settle(&w);
  CHECK_LOG(&w, "t slept -1, t shielded 0");
  world_close(&w);
}

static void cancelling_through_reaches_all_branches(void) {
  world w;
  open(&w);
  actor *t = spawn(&w, "t", waits_outside);
  turn(&w);
  tide_task_cancel_through(&t->task);
  settle(&w);
  CHECK_LOG(&w, "t slept -1, t shielded -1");
  world_close(&w);
}

int main(void) {
  RUN(what_is_open_in_a_branch_is_around_the_task_only_there);
  RUN(a_branch_is_inside_of_what_it_is_entered_from);
  RUN(what_is_around_a_branch_may_go_while_the_task_is_in_it);
  RUN(what_is_open_in_a_branch_may_go_while_the_task_is_elsewhere);
  RUN(branches_are_cancelled_with_their_task);
  RUN(cancelling_through_reaches_all_branches);
  return check_summary();
}
