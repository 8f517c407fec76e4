/* pool_cancel.c: jobs whose task is cancelled or killed, at every point. */
#include "errand.h"

/* Cancelled. */

static void in_the_queue_it_never_runs(void) {
  const tide_job_ops *all[] = {&plain, &both};
  for (int i = 0; i < 2; i++) {
    world w;
    errand first, one;
    int gate = 0;
    world_open(&w);
    pool = tide_pool_new(1);
    errand_init(&first, w.loop, &plain, &gate);
    errand_init(&one, w.loop, all[i], NULL);
    spawn_runner(&w, "first", &first);
    actor *a = spawn_runner(&w, "a", &one);
    turn(&w);
    await_flag(&first.begun);
    tide_task_cancel(&a->task);
    CHECK(!tide_job_is_out(&one.job));
    CHECK_EQ(one.abandoned, i);
    CHECK_EQ(one.stops, 0);
    turn(&w);
    CHECK_LOG(&w, "a -1");
    raise_flag(&gate);
    run_all(&w);
    CHECK_LOG(&w, "first 0");
    CHECK(!flag_of(&one.begun));
    world_close(&w);
    tide_pool_free(pool);
  }
}

/* A world with one task, whose job is being done. */
static actor *open_at_work(world *w, errand *one, const tide_job_ops *ops, int *gate) {
  world_open(w);
  pool = tide_loop_pool(w->loop);
  errand_init(one, w->loop, ops, gate);
  actor *a = spawn_runner(w, "a", one);
  turn(w);
  await_flag(&one->begun);
  return a;
}

static void while_it_runs_its_end_is_waited_for(void) {
  world w;
  errand one;
  int gate = 0;
  tide_task_cancel(&open_at_work(&w, &one, &plain, &gate)->task);
  turn(&w);
  CHECK_LOG(&w, "");
  raise_flag(&gate);
  run_all(&w);
  CHECK_LOG(&w, "a 0");
  world_close(&w);
}

static void while_it_runs_it_is_interrupted(void) {
  world w;
  errand one;
  tide_task_cancel(&open_at_work(&w, &one, &stoppable, &(int){0})->task);
  CHECK_EQ(one.stops, 1);
  run_all(&w);
  CHECK_LOG(&w, "a 0");
  world_close(&w);
}

static void while_it_runs_it_may_be_let_go(void) {
  world w;
  errand one;
  int gate = 0;
  tide_task_cancel(&open_at_work(&w, &one, &loose, &gate)->task);
  run_all(&w); /* it does not hold the loop any more */
  CHECK_LOG(&w, "a -1");
  CHECK_EQ(one.abandoned, 0);
  raise_flag(&gate);
  TURN_UNTIL(w.loop, one.abandoned == 1);
  CHECK(pthread_equal(one.by, pthread_self()));
  world_close(&w);
  CHECK_EQ(one.abandoned, 1);
}

static void late_waiter(actor *self) {
  errand *mine = self->data;
  BEGIN;
  tide_task_cancel(&self->task);
  WAIT(tide_job_wait(&mine->job, &self->task));
  say(self, "%d", self->outcome);
  END;
}

static void in_a_cancelled_scope_it_is_as_if_it_were_then(void) {
  const tide_job_ops *all[] = {&stoppable, &both};
  for (int i = 0; i < 2; i++) {
    world w;
    errand one;
    world_open(&w);
    pool = tide_loop_pool(w.loop);
    errand_init(&one, w.loop, all[i], &(int){0});
    CHECK_EQ(tide_job_submit(&one.job, pool), TIDE_OK);
    await_flag(&one.begun);
    actor *a = spawn(&w, "a", late_waiter);
    a->data = &one;
    turn(&w);
    CHECK_EQ(one.stops, 1);
    TURN_UNTIL(w.loop, !tide_job_is_out(&one.job) && actor_ended(a));
    CHECK_LOG(&w, i == 0 ? "a 0" : "a -1");
    CHECK_EQ(one.abandoned, i);
    world_close(&w);
  }
}

static void whose_task_is_killed_it_is_let_go_or_ends_by_itself(void) {
  const tide_job_ops *all[] = {&plain, &both};
  for (int i = 0; i < 4; i++) {
    world w;
    errand one;
    int gate = 0, can_go = i % 2, done = i / 2;
    actor *a = open_at_work(&w, &one, all[can_go], &gate);
    if (done) { /* it is told, and does not see it */
      raise_flag(&gate);
      TURN_UNTIL(w.loop, a->task.state == TIDE_TASK_READY);
    }
    actor_kill(a);
    CHECK_EQ(tide_job_is_out(&one.job), !done);
    raise_flag(&gate);
    TURN_UNTIL(w.loop, !tide_job_is_out(&one.job));
    CHECK_EQ(one.abandoned, can_go);
    world_close(&w);
  }
}

/* Every blow, while the job is in the queue, at work, or on its way back. */

typedef enum moment { IN_THE_QUEUE, AT_WORK, ON_ITS_WAY, MOMENTS } moment;

static moment the_moment;
static const tide_job_ops *the_ops;
static errand ahead, prey; /* the thread has the former first */
static int gates[2];       /* theirs */
static tide_event event;

static void play_to_the_moment(void) {
  if (the_moment == IN_THE_QUEUE) return;
  raise_flag(&gates[0]);
  await_flag(&prey.begun);
  if (the_moment == AT_WORK) return;
  raise_flag(&gates[1]);
  while (!tide__completion_has_come(&prey.job.completion)) pause_us(20);
}

static void victim(actor *self) {
  BEGIN;
  TRY(tide_job_submit(&prey.job, pool));
  play_to_the_moment();
  TRY(tide_job_wait(&prey.job, &self->task));
  END;
}

static void victim_by_select(actor *self) {
  static tide_case cases[2];
  static tide_select select;
  BEGIN;
  TRY(tide_job_submit(&prey.job, pool));
  play_to_the_moment();
  tide_case_event(&cases[0], &event);
  tide_case_job(&cases[1], &prey.job);
  tide_select_init(&select, cases, 2);
  CALL(tide_select_wait(&select, &self->task));
  if (self->outcome != TIDE_OK) tide_job_drop(&prey.job);
  END;
}

static void drop_prey(actor *self) {
  (void)self;
  tide_job_drop(&prey.job);
}

static void opener(actor *self) {
  BEGIN;
  for (; self->i < 10; self->i++) WAIT(tide_task_yield(&self->task));
  raise_flag(&gates[0]);
  raise_flag(&gates[1]);
  END;
}

static void errands_init(tide_loop *loop) {
  gates[0] = gates[1] = 0;
  pool = tide_pool_new(1);
  errand_init(&ahead, loop, &plain, &gates[0]);
  errand_init(&prey, loop, the_ops, &gates[1]);
}

static void stage_with(world *w, void (*body)(actor *self), void (*close)(actor *self)) {
  errands_init(w->loop);
  tide_event_init(&event);
  spawn_runner(w, "before", &ahead);
  w->victim = spawn(w, "victim", body);
  w->victim->close = close;
  spawn(w, "opener", opener);
}

static void stage(world *w) { stage_with(w, victim, NULL); }
static void stage_select(world *w) { stage_with(w, victim_by_select, drop_prey); }

static void verify(world *w) {
  bool can_go = the_ops->abandoned != NULL, lost = w->victim->outcome == TIDE_ECANCELLED;
  TURN_UNTIL(w->loop, !tide_job_is_out(&prey.job));
  CHECK_EQ(prey.abandoned, can_go && lost);
  CHECK(lost || prey.done);
  CHECK_EQ(prey.begun, prey.done);
  if (the_moment != IN_THE_QUEUE) CHECK(prey.done);
  tide_pool_free(pool);
}

static void struck_at_any_point_it_has_one_owner(void) {
  const tide_job_ops *all[] = {&plain, &stoppable, &loose, &both};
  for (int i = 0; i < 4; i++)
    for (the_moment = IN_THE_QUEUE; the_moment < MOMENTS; the_moment++) {
      the_ops = all[i];
      play_all_blows(&(scenario){.stage = stage, .verify = verify});
      play_all_blows(&(scenario){.stage = stage_select, .verify = verify});
    }
}

static void dropped_at_any_point_it_has_one_owner(void) {
  const tide_job_ops *all[] = {&plain, &stoppable, &loose, &both};
  for (int i = 0; i < 4; i++)
    for (the_moment = IN_THE_QUEUE; the_moment < MOMENTS; the_moment++) {
      world w;
      world_open(&w);
      the_ops = all[i];
      errands_init(w.loop);
      CHECK_EQ(tide_job_submit(&ahead.job, pool), TIDE_OK);
      CHECK_EQ(tide_job_submit(&prey.job, pool), TIDE_OK);
      play_to_the_moment();
      tide_job_drop(&prey.job);
      raise_flag(&gates[0]);
      raise_flag(&gates[1]);
      TURN_UNTIL(w.loop, !tide_job_is_out(&prey.job) && !tide_job_is_out(&ahead.job));
      CHECK_EQ(prey.begun, the_moment != IN_THE_QUEUE);
      CHECK_EQ(prey.abandoned, the_ops->abandoned != NULL);
      tide_pool_free(pool);
      world_close(&w);
    }
}

/* At whatever moment. */

static void struck_at_any_moment_it_is_accounted_for(void) {
  const tide_job_ops *all[] = {&plain, &stoppable, &loose, &both};
  static errand errands[ACTORS];
  for (int round = 0; round < 60; round++) {
    world w;
    world_open(&w);
    pool = tide_pool_new(2);
    for (int i = 0; i < 12; i++) {
      errand_init(&errands[i], w.loop, all[i % 4], NULL);
      spawn_runner(&w, "a", &errands[i]);
    }
    turn(&w);
    for (int i = 0; i < 12; i++) {
      for (volatile int k = 0; k < round * 17; k++) continue;
      if (i % 3 == 1 && !actor_ended(&w.actors[i])) tide_task_cancel(&w.actors[i].task);
      if (i % 3 == 2 && !actor_ended(&w.actors[i])) actor_kill(&w.actors[i]);
      if (round % 2) turn(&w);
    }
    run_all(&w);
    for (int i = 0; i < 12; i++) {
      TURN_UNTIL(w.loop, !tide_job_is_out(&errands[i].job));
      bool lost = i % 4 >= 2 && w.actors[i].outcome == TIDE_ECANCELLED;
      CHECK_EQ(errands[i].abandoned, lost);
      if (i % 3 == 0) CHECK(errands[i].done);
    }
    world_close(&w);
    tide_pool_free(pool);
  }
}

/* Select. */

static void selector(actor *self) {
  static tide_case cases[2];
  static tide_select select;
  errand *mine = self->data;
  BEGIN;
  TRY(tide_job_submit(&mine->job, pool));
  tide_case_event(&cases[0], &event);
  tide_case_job(&cases[1], &mine->job);
  tide_select_init(&select, cases, 2);
  CALL(tide_select_wait(&select, &self->task));
  say(self, "%d %u", self->outcome, select.chosen);
  END;
}

static void select_waits_for_one_and_lets_it_go_on(void) {
  for (int i = 0; i < 2; i++) {
    world w;
    errand one;
    int gate = 0;
    world_open(&w);
    pool = tide_loop_pool(w.loop);
    tide_event_init(&event);
    errand_init(&one, w.loop, &stoppable, &gate);
    spawn(&w, "a", selector)->data = &one;
    turn(&w);
    if (i == 0) {
      tide_event_set(&event);
      turn(&w);
      CHECK(tide_job_is_out(&one.job));
    }
    raise_flag(&gate);
    TURN_UNTIL(w.loop, !tide_job_is_out(&one.job));
    run_all(&w);
    CHECK_LOG(&w, i == 0 ? "a 0 0" : "a 0 1");
    CHECK_EQ(one.stops, 0);
    world_close(&w);
  }
}

int main(void) {
  RUN(in_the_queue_it_never_runs);
  RUN(while_it_runs_its_end_is_waited_for);
  RUN(while_it_runs_it_is_interrupted);
  RUN(while_it_runs_it_may_be_let_go);
  RUN(in_a_cancelled_scope_it_is_as_if_it_were_then);
  RUN(whose_task_is_killed_it_is_let_go_or_ends_by_itself);
  RUN(struck_at_any_point_it_has_one_owner);
  RUN(dropped_at_any_point_it_has_one_owner);
  RUN(struck_at_any_moment_it_is_accounted_for);
  RUN(select_waits_for_one_and_lets_it_go_on);
  return check_summary();
}
