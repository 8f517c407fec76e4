/* finish.c: the errors that tasks, futures and groups end with. */
#include "script.h"

static tide_group group;

/* Fails with `i`, after that many milliseconds of sleep as its slot says. */
static void failing(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, self->slot));
  TIDE_LEAVE(self->i);
  END;
}

static actor *spawn_failing(world *w, tide_group *in, int error, unsigned ms) {
  actor *self = spawn_in(w, in, "failing", failing);
  self->i = error;
  self->slot = ms;
  return self;
}

static void awaiting(actor *self) {
  BEGIN;
  TRY(tide_future_wait(self->data, &self->task, false));
  say(self, "%d", tide_future_error(self->data));
  END;
}

static void who_awaits_a_task_reads_its_error(void) {
  static const int errors[] = {TIDE_OK, TIDE_ECANCELLED, TIDE_ELIMIT, TIDE_OS(2)};
  static const tide_future_state states[] = {TIDE_FUTURE_DONE, TIDE_FUTURE_CANCELLED,
                                             TIDE_FUTURE_FAILED, TIDE_FUTURE_FAILED};
  world w;
  for (int i = 0; i < 4; i++) {
    world_open(&w);
    actor *failed = spawn_failing(&w, tide_loop_background(w.loop), errors[i], 10);
    spawn(&w, "waiter", awaiting)->data = &failed->task.future;
    CHECK_EQ(tide_future_error(&failed->task.future), TIDE_PENDING);
    turn(&w);
    CHECK_EQ(tide_future_error(&failed->task.future), TIDE_PENDING);
    settle(&w);
    char log[32];
    snprintf(log, sizeof log, "waiter %d", errors[i]);
    CHECK_LOG(&w, log);
    CHECK_EQ(failed->task.future.state, states[i]);
    world_close(&w);
  }
}

static void step_of_states(tide_task *task, int outcome) {
  (void)outcome;
  tide_task_finish(task, task->user);
}

static void one_that_ends_by_a_state_has_the_error_that_stands_for_it(void) {
  static const tide_task_ops ops = {.step = step_of_states};
  static const int errors[] = {TIDE_OK, TIDE_EFAILED, TIDE_ECANCELLED};
  world w;
  tide_task tasks[3];
  world_open(&w);
  for (int i = 0; i < 3; i++) {
    tide_task_init(&tasks[i], w.loop, &ops);
    tasks[i].user = (uint8_t)(TIDE_FUTURE_DONE + i);
    CHECK_EQ(tide_task_spawn(&tasks[i], tide_loop_background(w.loop)), TIDE_OK);
  }
  settle(&w);
  for (int i = 0; i < 3; i++) CHECK_EQ(tide_future_error(&tasks[i].future), errors[i]);
  world_close(&w);
}

static void one_cancelled_before_its_first_step_ends_as_cancelled(void) {
  world w;
  world_open(&w);
  actor *never = spawn_failing(&w, tide_loop_background(w.loop), TIDE_OK, 10);
  tide_task_cancel(&never->task);
  settle(&w);
  CHECK_EQ(tide_future_error(&never->task.future), TIDE_ECANCELLED);
  world_close(&w);
}

static void a_future_of_ones_own_ends_with_an_error_once(void) {
  tide_future future;
  tide_future_init(&future);
  CHECK_EQ(tide_future_error(&future), TIDE_PENDING);
  CHECK_EQ(tide_future_end_with(&future, TIDE_ELIMIT), TIDE_OK);
  CHECK_EQ(future.state, TIDE_FUTURE_FAILED);
  CHECK_EQ(tide_future_error(&future), TIDE_ELIMIT);
  CHECK_EQ(tide_future_end_with(&future, TIDE_OK), TIDE_EINVALID_STATE);
  CHECK_EQ(tide_future_end(&future, TIDE_FUTURE_DONE), TIDE_EINVALID_STATE);
  CHECK_EQ(tide_future_error(&future), TIDE_ELIMIT);
  tide_future_init(&future);
  CHECK_EQ(tide_future_end_with(&future, TIDE_OK), TIDE_OK);
  CHECK_EQ(future.state, TIDE_FUTURE_DONE);
  tide_future_init(&future);
  tide_future_cancel(&future);
  CHECK_EQ(tide_future_error(&future), TIDE_ECANCELLED);
}

/* Groups. */

static void parent(actor *self) {
  BEGIN;
  tide_group_enter(&group, &self->task);
  spawn_failing(self->world, &group, TIDE_OK, 10);
  spawn_failing(self->world, &group, TIDE_ECANCELLED, 20);
  if (self->i != 0) {
    spawn_failing(self->world, &group, TIDE_OS(5), 40);
    spawn_failing(self->world, &group, TIDE_ELIMIT, 30);
  }
  CALL(tide_group_wait(&group, &self->task));
  tide_group_exit(&group);
  say(self, "%d %u", tide_group_error(&group), group.failed);
  END;
}

static void who_waits_for_a_group_reads_the_error_of_the_first_to_fail(void) {
  for (int supervised = 0; supervised < 2; supervised++) {
    world w;
    world_open(&w);
    tide_group_init(&group, w.loop, 0, supervised);
    spawn(&w, "parent", parent)->i = 1;
    CHECK_EQ(tide_group_error(&group), TIDE_OK);
    settle(&w);
    CHECK_LOG(&w, supervised ? "parent -12 1" : "parent -12 2");
    world_close(&w);
  }
}

static void a_number_that_is_no_error_counts_as_misuse(void) {
  world w;
  tide_future future;
  world_open(&w);
  actor *a = spawn_failing(&w, tide_loop_background(w.loop), TIDE_PENDING, 1);
  settle(&w);
  CHECK_EQ(tide_future_error(&a->task.future), TIDE_EMISUSE);
  tide_future_init(&future);
  CHECK_EQ(tide_future_end_with(&future, 7), TIDE_OK);
  CHECK_EQ(tide_future_error(&future), TIDE_EMISUSE);
  world_close(&w);
}

static void that_is_none_where_none_has_failed(void) {
  world w;
  world_open(&w);
  tide_group_init(&group, w.loop, 0, true);
  spawn(&w, "parent", parent);
  settle(&w);
  CHECK_LOG(&w, "parent 0 0");
  world_close(&w);
}

int main(void) {
  RUN(who_awaits_a_task_reads_its_error);
  RUN(one_that_ends_by_a_state_has_the_error_that_stands_for_it);
  RUN(one_cancelled_before_its_first_step_ends_as_cancelled);
  RUN(a_future_of_ones_own_ends_with_an_error_once);
  RUN(who_waits_for_a_group_reads_the_error_of_the_first_to_fail);
  RUN(a_number_that_is_no_error_counts_as_misuse);
  RUN(that_is_none_where_none_has_failed);
  return check_summary();
}
