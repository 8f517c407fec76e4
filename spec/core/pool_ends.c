/* pool_ends.c: the end of a loop, and of a pool, whose jobs are not done. */
#include "errand.h"

/* The end of the loop. */

static void the_loops_end_waits_for_what_cannot_be_let_go(void) {
  for (int own = 0; own < 2; own++) {
    world w;
    errand one, behind;
    crew late = {.count = 0};
    int gate = 0;
    world_open(&w);
    pool = own ? tide_loop_pool(w.loop) : tide_pool_new(1);
    tide_pool_set_size(pool, 1);
    errand_init(&one, w.loop, &plain, &gate);
    errand_init(&behind, w.loop, &plain, NULL);
    CHECK_EQ(tide_job_submit(&one.job, pool), TIDE_OK);
    CHECK_EQ(tide_job_submit(&behind.job, pool), TIDE_OK);
    await_flag(&one.begun);
    start(&late, open_gate_late, &gate);
    tide_loop_free(w.loop);
    CHECK(flag_of(&one.done));
    CHECK(!flag_of(&behind.begun));
    CHECK_EQ(w.memory.in_use, 0);
    join_all(&late);
    if (!own) tide_pool_free(pool);
  }
}

/* Tasks whose jobs are in them. */

static int freed;

typedef struct owner {
  tide_task task;
  tide_steps steps;
  errand mine;
} owner;

static void own_job(tide_task *task, int outcome) {
  owner *self = tide_container(task, owner, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  TIDE_TRY(tide_job_submit(&self->mine.job, pool));
  TIDE_TRY(tide_job_wait(&self->mine.job, task));
  TIDE_END;
}

static void free_owner(tide_task *task) {
  free(tide_container(task, owner, task));
  freed++;
}

static void the_loops_end_waits_before_a_task_is_dropped(void) {
  static const tide_task_ops ops = {.step = own_job, .drop = free_owner};
  const tide_job_ops *all[] = {&plain, &stoppable};
  world w;
  crew late = {.count = 0};
  int gate = 0;
  world_open(&w);
  pool = tide_loop_pool(w.loop);
  tide_pool_set_size(pool, 5);
  freed = 0;
  for (int i = 0; i < 8; i++) { /* three are in the queue */
    owner *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    errand_init(&self->mine, w.loop, all[i % 2], &gate);
    tide_task_init(&self->task, w.loop, &ops);
    CHECK_EQ(tide_task_spawn(&self->task, tide_loop_background(w.loop)), TIDE_OK);
  }
  turn(&w);
  start(&late, open_gate_late, &gate);
  tide_loop_free(w.loop);
  CHECK_EQ(freed, 8);
  join_all(&late);
}

static void the_loops_end_interrupts(void) {
  world w;
  errand one;
  world_open(&w);
  pool = tide_loop_pool(w.loop);
  errand_init(&one, w.loop, &stoppable, &(int){0});
  CHECK_EQ(tide_job_submit(&one.job, pool), TIDE_OK);
  await_flag(&one.begun);
  tide_loop_free(w.loop);
  CHECK(one.stops > 0);
}

static void the_loops_end_lets_go_what_can_be(void) {
  for (int own = 0; own < 2; own++) {
    world w;
    errand one, behind;
    int gate = 0, threads = count_threads();
    world_open(&w);
    pool = own ? tide_loop_pool(w.loop) : tide_pool_new(1);
    tide_pool_set_size(pool, 1);
    errand_init(&one, w.loop, &loose, &gate);
    errand_init(&behind, w.loop, &loose, &gate);
    CHECK_EQ(tide_job_submit(&one.job, pool), TIDE_OK);
    CHECK_EQ(tide_job_submit(&behind.job, pool), TIDE_OK);
    await_flag(&one.begun);
    tide_loop_free(w.loop);
    if (!own) tide_pool_free(pool);
    CHECK_EQ(one.abandoned, 0);
    CHECK_EQ(behind.abandoned, 1);
    CHECK(!flag_of(&behind.begun));
    raise_flag(&gate);
    while (flag_of(&one.abandoned) == 0) pause_us(50);
    CHECK(!pthread_equal(one.by, pthread_self()));
    for (int i = 0; count_threads() > threads; i++) {
      CHECK(i < 100000);
      pause_us(100);
    }
  }
}

/* One that nobody waits for comes back while the loop waits for another: for a task's, which is
 * about to be dropped, or for one without a task. */
static void the_loops_end_forgets_none_that_came_back_meanwhile(void) {
  for (int has_task = 0; has_task < 2; has_task++)
    for (int order = 0; order < 2; order++) {
      world w;
      errand kept, let_go;
      crew late = {.count = 0};
      int gate = 0;
      world_open(&w);
      pool = tide_pool_new(2);
      errand_init(&kept, w.loop, &plain, &gate);
      errand_init(&let_go, w.loop, &loose, NULL);
      if (order) CHECK_EQ(tide_job_submit(&let_go.job, pool), TIDE_OK);
      if (has_task)
        spawn_runner(&w, "a", &kept);
      else
        CHECK_EQ(tide_job_submit(&kept.job, pool), TIDE_OK);
      if (has_task) turn(&w);
      if (!order) CHECK_EQ(tide_job_submit(&let_go.job, pool), TIDE_OK);
      await_flag(&kept.begun);
      if (!order)
        while (!tide__completion_has_come(&let_go.job.completion)) pause_us(20);
      bool is_out = tide_job_is_out(&let_go.job);
      start(&late, open_gate_late, &gate);
      tide_loop_free(w.loop);
      join_all(&late);
      tide_pool_free(pool);
      CHECK_EQ(let_go.abandoned, is_out);
      CHECK_EQ(w.memory.in_use, 0);
    }
}

static void a_loop_may_end_at_any_moment(void) {
  const tide_job_ops *all[] = {&plain, &stoppable, &loose, &both};
  static errand errands[40];
  tide_pool *shared = tide_pool_new(2);
  for (int round = 0; round < 40; round++) {
    world w;
    world_open(&w);
    for (int i = 0; i < 40; i++) {
      errand_init(&errands[i], w.loop, all[i % 4], NULL);
      CHECK_EQ(tide_job_submit(&errands[i].job, i % 8 < 4 ? shared : tide_loop_pool(w.loop)),
               TIDE_OK);
    }
    for (volatile int k = 0; k < round * 100; k++) continue;
    if (round % 3 == 0) turn(&w);
    tide_loop_free(w.loop);
    CHECK_EQ(w.memory.in_use, 0);
    for (int i = 0; i < 40; i++) {
      if (all[i % 4]->abandoned == NULL) continue;
      bool came = tide_completion_ended(&errands[i].job.completion);
      if (came && flag_of(&errands[i].abandoned) == 0) tide_job_drop(&errands[i].job);
      while (flag_of(&errands[i].abandoned) == 0) pause_us(20);
    }
  }
  tide_pool_free(shared);
  for (int i = 0; i < 40; i++) CHECK_EQ(errands[i].abandoned, all[i % 4]->abandoned != NULL);
}

/* The end of a pool. */

static void a_pool_that_is_freed_takes_no_more(void) {
  world w;
  errand one;
  world_open(&w);
  pool = tide_pool_new(1);
  errand_init(&one, w.loop, &plain, NULL);
  tide_job_submit(&one.job, pool);
  tide_pool_free(pool); /* does it first */
  CHECK(flag_of(&one.done));
  TURN_UNTIL(w.loop, !tide_job_is_out(&one.job));
  world_close(&w);
  tide_pool_free(NULL);
}

static void a_pool_may_go_before_its_loops_hear_of_the_last_jobs(void) {
  const tide_job_ops *all[] = {&stoppable, &both};
  for (int i = 0; i < 2; i++) {
    world w;
    errand one;
    world_open(&w);
    pool = tide_pool_new(1);
    errand_init(&one, w.loop, all[i], NULL);
    CHECK_EQ(tide_job_submit(&one.job, pool), TIDE_OK);
    tide_pool_free(pool);
    tide_loop_free(w.loop);
    CHECK(one.done);
    CHECK_EQ(one.stops, 0);
    CHECK_EQ(one.abandoned, i);
  }
}

static void *free_pool(void *is_freed) {
  tide_pool_free(pool);
  raise_flag(is_freed);
  return NULL;
}

static void jobs_may_be_cancelled_while_another_thread_frees_their_pool(void) {
  const tide_job_ops *all[] = {&plain, &stoppable, &loose, &both};
  static errand errands[8];
  for (int round = 0; round < 200; round++) {
    world w;
    crew one = {.count = 0};
    int is_freed = 0;
    world_open(&w);
    pool = tide_pool_new(2);
    for (int i = 0; i < 8; i++) {
      errand_init(&errands[i], w.loop, all[i % 4], NULL);
      spawn_runner(&w, "a", &errands[i]);
    }
    turn(&w);
    start(&one, free_pool, &is_freed);
    for (volatile int k = 0; k < round * 50; k++) continue;
    for (int i = 0; i < 8; i++) {
      if (i % 2 == 0 && !actor_ended(&w.actors[i])) tide_task_cancel(&w.actors[i].task);
      if (i % 4 == 3 && !actor_ended(&w.actors[i])) actor_kill(&w.actors[i]);
    }
    run_all(&w);
    for (int i = 0; i < 8; i++) {
      TURN_UNTIL(w.loop, !tide_job_is_out(&errands[i].job));
      CHECK_EQ(errands[i].abandoned, i % 4 >= 2 && w.actors[i].outcome == TIDE_ECANCELLED);
    }
    join_all(&one);
    world_close(&w);
  }
}

static void a_pool_does_not_wait_for_what_is_let_go_meanwhile(void) {
  world w;
  crew one = {.count = 0};
  errand running;
  int gate = 0, is_freed = 0;
  world_open(&w);
  pool = tide_pool_new(1);
  errand_init(&running, w.loop, &loose, &gate);
  actor *a = spawn_runner(&w, "a", &running);
  turn(&w);
  await_flag(&running.begun);
  start(&one, free_pool, &is_freed);
  pause_us(2000);
  CHECK(!flag_of(&is_freed));
  tide_task_cancel(&a->task);
  join_all(&one);
  CHECK(flag_of(&is_freed) && !flag_of(&running.done));
  raise_flag(&gate);
  TURN_UNTIL(w.loop, running.abandoned == 1);
  settle(&w);
  world_close(&w);
}

static void what_is_behind_a_job_that_was_let_go_is_done_before_its_pool_goes(void) {
  world w;
  crew late = {.count = 0};
  errand first, second;
  int gate = 0;
  world_open(&w);
  pool = tide_pool_new(1);
  errand_init(&first, w.loop, &loose, &gate);
  errand_init(&second, w.loop, &plain, NULL);
  actor *a = spawn_runner(&w, "a", &first);
  spawn_runner(&w, "b", &second);
  turn(&w);
  await_flag(&first.begun);
  tide_task_cancel(&a->task);
  start(&late, open_gate_late, &gate);
  tide_pool_free(pool);
  CHECK(flag_of(&second.done));
  join_all(&late);
  run_all(&w);
  CHECK_EQ(first.abandoned, 1);
  world_close(&w);
}

/* Of two loops with jobs in one pool one ends. */
static void the_jobs_of_other_loops_go_on(void) {
  const tide_job_ops *all[] = {&plain, &stoppable, &loose, &both};
  static errand here[8], there[8];
  for (int round = 0; round < 20; round++) {
    world w, other;
    crew late = {.count = 0};
    int gate = 0, open = 1;
    pool = tide_pool_new(2);
    world_open(&w);
    world_open(&other);
    for (int i = 0; i < 8; i++) {
      errand_init(&here[i], w.loop, all[(i + round) % 4], i % 2 ? &gate : &open);
      errand_init(&there[i], other.loop, all[i % 4], &gate);
      CHECK_EQ(tide_job_submit(&here[i].job, pool), TIDE_OK);
      spawn_runner(&other, "b", &there[i]);
      if (i == round % 8) turn(&other);
    }
    turn(&other);
    start(&late, open_gate_late, &gate);
    tide_loop_free(w.loop);
    CHECK_EQ(w.memory.in_use, 0);
    run_all(&other);
    for (int i = 0; i < 8; i++) {
      CHECK(there[i].done && there[i].stops == 0 && there[i].abandoned == 0);
      CHECK(actor_failed_with(&other.actors[i], TIDE_OK));
    }
    join_all(&late);
    tide_pool_free(pool);
    for (int i = 0; i < 8; i++) {
      bool can_go = all[(i + round) % 4]->abandoned != NULL;
      while (can_go && flag_of(&here[i].abandoned) == 0) pause_us(20);
      CHECK_EQ(flag_of(&here[i].abandoned), can_go);
    }
    world_close(&other);
  }
}

static errand too_late;
static int refusal;

static void submit_again(tide_post *post) {
  (void)post;
  refusal = tide_job_submit(&too_late.job, pool);
}

static void a_loop_that_ends_takes_no_more(void) {
  world w;
  tide_post post;
  world_open(&w);
  pool = tide_pool_new(1);
  errand_init(&too_late, w.loop, &plain, NULL);
  tide_post_init(&post, NULL);
  post.dropped = submit_again;
  refusal = TIDE_OK;
  CHECK_EQ(tide_loop_post(w.loop, &post), TIDE_OK);
  tide_loop_free(w.loop);
  CHECK_EQ(refusal, TIDE_ECLOSED);
  CHECK_EQ(w.memory.in_use, 0);
  tide_pool_free(pool);
}

int main(void) {
  RUN(a_pool_that_is_freed_takes_no_more);
  RUN(a_pool_may_go_before_its_loops_hear_of_the_last_jobs);
  RUN(the_loops_end_waits_for_what_cannot_be_let_go);
  RUN(the_loops_end_waits_before_a_task_is_dropped);
  RUN(the_loops_end_interrupts);
  RUN(the_loops_end_lets_go_what_can_be);
  RUN(the_loops_end_forgets_none_that_came_back_meanwhile);
  RUN(a_loop_may_end_at_any_moment);
  RUN(jobs_may_be_cancelled_while_another_thread_frees_their_pool);
  RUN(a_pool_does_not_wait_for_what_is_let_go_meanwhile);
  RUN(what_is_behind_a_job_that_was_let_go_is_done_before_its_pool_goes);
  RUN(the_jobs_of_other_loops_go_on);
  RUN(a_loop_that_ends_takes_no_more);
  return check_summary();
}
