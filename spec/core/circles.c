/* circles.c: tasks that await each other in a circle and are cancelled, with cleanup
 * and without. */
#include "future.h"

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

static void whatever_waits_for_whatever_all_end_once_they_are_cancelled(void) {
  enum { COUNT = ACTORS }; /* more than what needs no memory */
  for (unsigned seed = 1; seed <= 400; seed++) {
    world w;
    actor *tasks[COUNT];
    open_world(&w);
    srand(seed);
    for (int i = 0; i < COUNT; i++) tasks[i] = spawn_waiter(&w, "t", NULL);
    for (int i = 0; i < COUNT; i++) { /* in circles, and chains that end in them */
      int step = rand() % 6 == 0 ? 1 + rand() % (COUNT - 1) : 1;
      tasks[i]->data = &tasks[(i + step) % COUNT]->task.future;
    }
    turn(&w);
    if (seed % 4 == 0) w.memory.fail_at = w.memory.allocations + 1 + (unsigned)rand() % 4;
    for (int left = COUNT, i = rand() % COUNT; left > 0; left--, i = (i + 7) % COUNT) {
      tide_task_cancel(&tasks[i]->task);
      if (rand() % 3 == 0) turn(&w);
    }
    settle(&w);
    for (int i = 0; i < COUNT; i++) CHECK(actor_ended(tasks[i]));
    world_close(&w);
  }
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

/* Interrupted is its wait alone: the cancellation comes back to it while it is being handed on. */
static void interrupted_as_cancelled_it_hands_that_on_once(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", owner);
  turn(&w);
  turn(&w);
  tide_loop_interrupt(w.loop, &w.actors[1].task, TIDE_ECANCELLED);
  settle(&w);
  CHECK_LOG(&w, "child -1, a left");
  world_close(&w);
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

int main(void) {
  RUN(a_circle_of_awaits_is_a_deadlock_that_interruption_resolves);
  RUN(a_circle_of_awaits_ends_whoever_in_it_is_cancelled);
  RUN(a_circle_ends_too_where_there_is_no_memory_to_find_it);
  RUN(whatever_waits_for_whatever_all_end_once_they_are_cancelled);
  RUN(those_who_wait_for_a_circle_see_its_end);
  RUN(a_child_that_awaits_its_groups_task_ends_with_it);
  RUN(interrupted_as_cancelled_it_hands_that_on_once);
  RUN(through_a_join_a_circle_ends_as_well);
  RUN(cleanup_awaits_what_it_has_cancelled);
  RUN(in_a_circle_with_cleanup_the_one_who_gave_up_is_told);
  RUN(where_all_in_a_circle_clean_up_one_goes_on_without_the_other);
  return check_summary();
}
