/* task.c: the life of a task: steps, yielding, fairness, cancellation, detachment. */
#include "script.h"

/* Starting. */

static void greeter(actor *self) {
  BEGIN;
  say(self, "ran");
  END;
}

static void spawner(actor *self) {
  BEGIN;
  spawn(self->world, "child", greeter);
  say(self, "spawned");
  END;
}

static void the_first_step_comes_in_the_next_turn(void) {
  world w;
  world_open(&w);
  spawn(&w, "parent", spawner);
  CHECK_LOG(&w, "");
  turn(&w);
  CHECK_LOG(&w, "parent spawned");
  turn(&w);
  CHECK_LOG(&w, "child ran");
  world_close(&w);
}

static void tasks_start_in_the_order_of_spawning(void) {
  world w;
  world_open(&w);
  spawn(&w, "a", greeter);
  spawn(&w, "b", greeter);
  spawn(&w, "c", greeter);
  settle(&w);
  CHECK_LOG(&w, "a ran, b ran, c ran");
  CHECK_EQ(w.actors[0].task.id, 1);
  CHECK_EQ(w.actors[2].task.id, 3);
  world_close(&w);
}

static void asker(actor *self) {
  BEGIN;
  CHECK(tide_loop_current(self->world->loop) == &self->task);
  CHECK_EQ(self->task.state, TIDE_TASK_RUNNING);
  TRY(tide_task_yield(&self->task));
  CHECK(tide_loop_current(self->world->loop) == &self->task);
  END;
}

static void the_current_task_is_the_one_inside_its_step(void) {
  world w;
  world_open(&w);
  actor *a = spawn(&w, "a", asker);
  CHECK(tide_loop_current(w.loop) == NULL);
  CHECK_EQ(a->task.state, TIDE_TASK_READY);
  settle(&w);
  CHECK(tide_loop_current(w.loop) == NULL);
  CHECK_EQ(a->task.state, TIDE_TASK_ENDED);
  CHECK_EQ(a->task.future.state, TIDE_FUTURE_DONE);
  world_close(&w);
}

static void freed_step(tide_task *task, int outcome) {
  (void)outcome;
  tide_task_finish(task, TIDE_FUTURE_DONE);
  free(task);
}

static void a_task_may_be_freed_as_soon_as_it_has_finished(void) {
  static const tide_task_ops ops = {.step = freed_step};
  world w;
  world_open(&w);
  for (int i = 0; i < 3; i++) {
    tide_task *task = malloc(sizeof *task);
    tide_task_init(task, w.loop, &ops);
    CHECK_EQ(tide_task_spawn(task, tide_loop_background(w.loop)), TIDE_OK);
  }
  settle(&w);
  world_close(&w);
}

/* Yielding and fairness. */

static void yielder(actor *self) {
  BEGIN;
  for (; self->i < 3; self->i++) {
    say(self, "%d", self->i);
    TRY(tide_task_yield(&self->task));
  }
  END;
}

static void yielding_lets_every_other_ready_task_run_once(void) {
  world w;
  world_open(&w);
  spawn(&w, "a", yielder);
  spawn(&w, "b", yielder);
  settle(&w);
  CHECK_LOG(&w, "a 0, b 0, a 1, b 1, a 2, b 2");
  world_close(&w);
}

static void late_sleeper(actor *self) {
  BEGIN;
  TRY(tide_task_sleep_until(&self->task, tide_loop_now(self->world->loop)));
  say(self, "woke");
  END;
}

static void a_sleep_until_a_time_that_has_passed_yields(void) {
  world w;
  world_open(&w);
  spawn(&w, "a", late_sleeper);
  spawn(&w, "b", greeter);
  turn(&w);
  CHECK_EQ(w.loop->timers.count, 0);
  settle(&w);
  CHECK_LOG(&w, "b ran, a woke");
  CHECK_EQ(w.actors[0].suspensions, 1);
  world_close(&w);
}

static tide_event always;

static void glutton(actor *self) {
  BEGIN;
  for (; self->i < 1000; self->i++) TRY(tide_event_wait(&always, &self->task));
  END;
}

static void of_256_waits_in_a_row_that_need_no_waiting_one_takes_a_turn(void) {
  world w;
  world_open(&w);
  tide_event_init(&always);
  tide_event_set(&always);
  actor *a = spawn(&w, "a", glutton);
  turn(&w);
  CHECK_EQ(a->i, 255);
  turn(&w);
  CHECK_EQ(a->i, 511);
  settle(&w);
  CHECK_EQ(a->suspensions, 3);
  world_close(&w);
}

static void moderate(actor *self) {
  BEGIN;
  for (; self->i < 1000; self->i++) {
    TRY(tide_event_wait(&always, &self->task));
    if (self->i % 200 == 199) TRY(tide_task_yield(&self->task));
  }
  END;
}

static void a_wait_in_between_begins_the_count_anew(void) {
  world w;
  world_open(&w);
  tide_event_init(&always);
  tide_event_set(&always);
  actor *a = spawn(&w, "a", moderate);
  settle(&w);
  CHECK_EQ(a->suspensions, 5);
  world_close(&w);
}

static void mover(actor *self) {
  BEGIN;
  for (; self->i < 6; self->i++) {
    tide__wait_charge(&self->task, 512 * 1024);
    TRY(tide_event_wait(&always, &self->task));
  }
  END;
}

static void bytes_moved_count_as_waits(void) {
  world w;
  world_open(&w);
  tide_event_init(&always);
  tide_event_set(&always);
  actor *a = spawn(&w, "a", mover);
  settle(&w);
  CHECK_EQ(a->suspensions, 3); /* a turn for every mebibyte */
  world_close(&w);
}

/* Cancelling. */

static void a_task_cancelled_before_its_first_step_does_not_run(void) {
  world w;
  world_open(&w);
  actor *a = spawn(&w, "a", greeter);
  CHECK(tide_task_cancel(&a->task));
  settle(&w);
  CHECK_LOG(&w, "");
  CHECK_EQ(a->task.future.state, TIDE_FUTURE_CANCELLED);
  CHECK(!tide_task_cancel(&a->task));
  world_close(&w);
}

static void a_task_cancelled_before_it_is_spawned_does_not_run(void) {
  world w;
  world_open(&w);
  actor *a = actor_new(&w, "a", greeter);
  tide_task_cancel(&a->task);
  CHECK_EQ(tide_task_spawn(&a->task, tide_loop_background(w.loop)), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "");
  world_close(&w);
}

static void one_whose_cancellation_was_taken_back_in_time_runs(void) {
  world w;
  world_open(&w);
  actor *a = spawn(&w, "a", greeter);
  tide_task_cancel(&a->task);
  tide_task_uncancel(&a->task);
  settle(&w);
  CHECK_LOG(&w, "a ran");
  world_close(&w);
}

static void stubborn(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 1000));
  say(self, "%d at %u", self->outcome, (unsigned)self->world->loop->turns);
  WAIT(sleep_ms(self, 1000));
  say(self, "%d at %u", self->outcome, (unsigned)self->world->loop->turns);
  WAIT(tide_task_yield(&self->task));
  say(self, "%d at %u", self->outcome, (unsigned)self->world->loop->turns);
  WAIT(tide_event_wait(&always, &self->task)); /* would not have to wait */
  say(self, "%d at %u", self->outcome, (unsigned)self->world->loop->turns);
  self->outcome = TIDE_OK;
  END;
}

static void every_wait_of_a_cancelled_task_fails_each_after_one_turn(void) {
  world w;
  world_open(&w);
  tide_event_init(&always);
  tide_event_set(&always);
  actor *a = spawn(&w, "a", stubborn);
  turn(&w);
  tide_task_cancel(&a->task);
  for (int i = 0; i < 4; i++) turn(&w);
  CHECK_LOG(&w, "a -1 at 1, a -1 at 2, a -1 at 3, a -1 at 4");
  CHECK_EQ(a->task.future.state, TIDE_FUTURE_DONE);
  world_close(&w);
}

static void a_wait_that_was_over_delivers_and_the_next_one_fails(void) {
  world w;
  world_open(&w);
  tide_event_init(&always);
  actor *a = actor_new(&w, "a", stubborn);
  CHECK_EQ(tide_task_spawn(&a->task, tide_loop_background(w.loop)), TIDE_OK);
  turn(&w);
  while (a->task.state == TIDE_TASK_WAITING) CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  tide_task_cancel(&a->task);
  turn(&w);
  turn(&w);
  CHECK_LOG(&w, "a 0 at 2, a -1 at 3");
  settle(&w);
  world_close(&w);
}

static void canceller(actor *self) {
  actor *other = self->data;
  BEGIN;
  tide_task_cancel(&other->task);
  END;
}

static void a_task_cancelled_in_the_turn_in_which_its_wait_began_is_told(void) {
  world w;
  world_open(&w);
  actor *a = spawn(&w, "a", stubborn);
  spawn(&w, "b", canceller)->data = a;
  turn(&w);
  turn(&w);
  CHECK_LOG(&w, "a -1 at 1");
  settle(&w);
  world_close(&w);
}

static void suicidal(actor *self) {
  BEGIN;
  tide_task_cancel(&self->task);
  say(self, "goes on");
  TRY(sleep_ms(self, 1));
  say(self, "never");
  END;
}

static void one_that_cancels_itself_goes_on_to_its_next_wait(void) {
  world w;
  world_open(&w);
  spawn(&w, "a", suicidal);
  settle(&w);
  CHECK_LOG(&w, "a goes on");
  world_close(&w);
}

static void penitent(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 10));
  CHECK_EQ(self->outcome, TIDE_ECANCELLED);
  while (self->task.own.requests > 0) {
    say(self, "%u", (unsigned)self->task.own.requests);
    tide_task_uncancel(&self->task);
  }
  tide_task_uncancel(&self->task); /* one too many: harmless */
  TRY(sleep_ms(self, 10));
  say(self, "slept");
  END;
}

static void uncancel_takes_one_request_back_and_at_zero_waits_work(void) {
  world w;
  world_open(&w);
  actor *a = spawn(&w, "a", penitent);
  turn(&w);
  tide_task_cancel(&a->task);
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK_LOG(&w, "a 2, a 1, a slept");
  CHECK_EQ(a->task.future.state, TIDE_FUTURE_DONE);
  world_close(&w);
}

/* Starting later. */

static void a_task_can_start_at_a_time(void) {
  world w;
  world_open(&w);
  tide_group *background = tide_loop_background(w.loop);
  actor *a = actor_new(&w, "a", greeter), *b = actor_new(&w, "b", greeter);
  tide_time when = after_ms(&w, 5);
  CHECK_EQ(tide_task_spawn_at(&a->task, background, when), TIDE_OK);
  CHECK_EQ(tide_task_spawn_at(&b->task, background, tide_loop_now(w.loop)), TIDE_OK);
  CHECK_EQ(w.loop->timers.count, 1);
  turn(&w);
  CHECK_LOG(&w, "b ran");
  settle(&w);
  CHECK_LOG(&w, "a ran");
  CHECK_EQ(tide_loop_now(w.loop), when);
  world_close(&w);
}

static void cancelled_before_its_time_it_ends_at_once_without_running(void) {
  world w;
  world_open(&w);
  actor *a = actor_new(&w, "a", greeter);
  tide_time now = tide_loop_now(w.loop);
  CHECK_EQ(tide_task_spawn_at(&a->task, tide_loop_background(w.loop), after_ms(&w, 5)), TIDE_OK);
  CHECK_TEXT(tide_task_waits_for(&a->task), "sleep");
  tide_task_cancel(&a->task);
  CHECK_EQ(w.loop->timers.count, 0);
  settle(&w);
  CHECK_LOG(&w, "");
  CHECK_EQ(tide_loop_now(w.loop), now);
  world_close(&w);
}

static void without_memory_it_is_not_spawned_and_may_be_tried_again(void) {
  world w;
  world_open(&w);
  tide_group *background = tide_loop_background(w.loop);
  actor *a = actor_new(&w, "a", greeter);
  w.memory.fail_at = w.memory.allocations + 1;
  CHECK_EQ(tide_task_spawn_at(&a->task, background, after_ms(&w, 5)), TIDE_ENOMEM);
  check_idle(&w);
  CHECK_EQ(tide_task_spawn_at(&a->task, background, after_ms(&w, 5)), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "a ran");
  world_close(&w);
}

static void a_task_can_start_after_a_future(void) {
  world w;
  tide_future future;
  world_open(&w);
  tide_group *background = tide_loop_background(w.loop);
  tide_future_init(&future);
  actor *a = actor_new(&w, "a", greeter), *b = actor_new(&w, "b", greeter);
  actor *c = actor_new(&w, "c", greeter);
  CHECK_EQ(tide_task_spawn_after(&a->task, background, &future), TIDE_OK);
  CHECK_EQ(tide_task_spawn_after(&b->task, background, &future), TIDE_OK);
  turn(&w);
  tide_task_cancel(&b->task);
  CHECK_EQ(tide_future_end(&future, TIDE_FUTURE_FAILED), TIDE_OK);
  CHECK(future.observed);
  CHECK_EQ(tide_task_spawn_after(&c->task, background, &future), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "a ran, c ran");
  world_close(&w);
}

/* Detaching. */

static void a_detached_task_is_never_stepped_again(void) {
  world w;
  world_open(&w);
  tide_event_init(&always);
  actor *sleeping = spawn(&w, "sleeping", stubborn);
  turn(&w);
  actor *fresh = spawn(&w, "fresh", greeter);
  tide_task_detach(&sleeping->task);
  tide_task_detach(&fresh->task);
  settle(&w);
  CHECK_LOG(&w, "");
  CHECK_EQ(w.loop->background.live, 2);
  tide_task_finish(&sleeping->task, TIDE_FUTURE_CANCELLED);
  tide_task_finish(&fresh->task, TIDE_FUTURE_CANCELLED);
  world_close(&w);
}

static void killer(actor *self) {
  BEGIN;
  actor_kill(self->data);
  END;
}

static void a_task_may_detach_one_that_is_to_run_in_the_same_turn(void) {
  world w;
  world_open(&w);
  actor *k = spawn(&w, "killer", killer);
  k->data = spawn(&w, "victim", greeter);
  spawn(&w, "other", greeter);
  settle(&w);
  CHECK_LOG(&w, "other ran");
  world_close(&w);
}

static void one_that_was_not_spawned_may_be_detached_all_the_same(void) {
  world w;
  world_open(&w);
  tide_task zeros = {.outcome = TIDE_OK}, unspawned;
  tide_task_init(&unspawned, w.loop, NULL);
  tide_task_detach(&zeros);
  tide_task_detach(&unspawned);
  CHECK_EQ(unspawned.state, TIDE_TASK_NEW);
  world_close(&w);
}

static void what_a_task_waits_for_has_a_name(void) {
  world w;
  world_open(&w);
  tide_event_init(&always);
  actor *a = spawn(&w, "a", glutton);
  CHECK(tide_task_waits_for(&a->task) == NULL);
  turn(&w);
  CHECK_TEXT(tide_task_waits_for(&a->task), "Event.wait");
  tide_task_cancel(&a->task);
  CHECK(tide_task_waits_for(&a->task) == NULL);
  settle(&w);
  CHECK(tide_task_waits_for(&a->task) == NULL);
  world_close(&w);
}

/* Everything at once. */

static void busy(actor *self) {
  BEGIN;
  TRY(tide_task_yield(&self->task));
  TRY(sleep_ms(self, 1));
  TRY(tide_event_wait(&always, &self->task));
  TRY(sleep_ms(self, 1));
  TRY(tide_task_yield(&self->task));
  say(self, "done");
  END;
}

static void setter(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 3));
  tide_event_set(&always);
  END;
}

static void stage(world *w) {
  tide_event_init(&always);
  w->victim = spawn(w, "victim", busy);
  spawn(w, "witness", busy);
  spawn(w, "setter", setter);
}

static void verify(world *w) {
  CHECK(strstr(w->log, "witness done") != NULL);
  CHECK(tide_list_empty(&always.waiters));
}

static void struck_at_any_wait_it_leaves_nothing(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
}

int main(void) {
  RUN(the_first_step_comes_in_the_next_turn);
  RUN(tasks_start_in_the_order_of_spawning);
  RUN(the_current_task_is_the_one_inside_its_step);
  RUN(a_task_may_be_freed_as_soon_as_it_has_finished);
  RUN(yielding_lets_every_other_ready_task_run_once);
  RUN(a_sleep_until_a_time_that_has_passed_yields);
  RUN(of_256_waits_in_a_row_that_need_no_waiting_one_takes_a_turn);
  RUN(a_wait_in_between_begins_the_count_anew);
  RUN(bytes_moved_count_as_waits);
  RUN(a_task_cancelled_before_its_first_step_does_not_run);
  RUN(a_task_cancelled_before_it_is_spawned_does_not_run);
  RUN(one_whose_cancellation_was_taken_back_in_time_runs);
  RUN(every_wait_of_a_cancelled_task_fails_each_after_one_turn);
  RUN(a_wait_that_was_over_delivers_and_the_next_one_fails);
  RUN(a_task_cancelled_in_the_turn_in_which_its_wait_began_is_told);
  RUN(one_that_cancels_itself_goes_on_to_its_next_wait);
  RUN(uncancel_takes_one_request_back_and_at_zero_waits_work);
  RUN(a_task_can_start_at_a_time);
  RUN(cancelled_before_its_time_it_ends_at_once_without_running);
  RUN(without_memory_it_is_not_spawned_and_may_be_tried_again);
  RUN(a_task_can_start_after_a_future);
  RUN(a_detached_task_is_never_stepped_again);
  RUN(a_task_may_detach_one_that_is_to_run_in_the_same_turn);
  RUN(one_that_was_not_spawned_may_be_detached_all_the_same);
  RUN(what_a_task_waits_for_has_a_name);
  RUN(struck_at_any_wait_it_leaves_nothing);
  return check_summary();
}
