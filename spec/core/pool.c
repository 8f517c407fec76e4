/* pool.c: jobs that threads do: in time, cancelled at every point, when threads cannot be had; and
 * the end of a loop and of a pool meanwhile. */
#include <errno.h>
#include <signal.h>

#include "threads.h"

/* A job that waits for a gate, and notes what happened to it. */
typedef struct errand {
  tide_job job;
  int *gate;     /* atomic: it may go on; NULL: at once */
  int begun;     /* atomic */
  int done;      /* atomic: the work has ended */
  int stop;      /* atomic: it was interrupted */
  int stops;     /* so often */
  int abandoned; /* atomic: so often */
  pthread_t by;  /* who did that */
} errand;

static void run_errand(tide_job *job) {
  errand *self = tide_container(job, errand, job);
  raise_flag(&self->begun);
  while (self->gate != NULL && !flag_of(self->gate) && !flag_of(&self->stop)) pause_us(20);
  raise_flag(&self->done);
}

static void stop_errand(tide_job *job) {
  errand *self = tide_container(job, errand, job);
  self->stops++;
  raise_flag(&self->stop);
}

static void abandon_errand(tide_job *job) {
  errand *self = tide_container(job, errand, job);
  self->by = pthread_self();
  add_one(&self->abandoned);
}

static const tide_job_ops plain = {.name = "errand"};
static const tide_job_ops stoppable = {.interrupt = stop_errand};
static const tide_job_ops loose = {.abandoned = abandon_errand};
static const tide_job_ops both = {.interrupt = stop_errand, .abandoned = abandon_errand};

static void errand_init(errand *self, tide_loop *loop, const tide_job_ops *ops, int *gate) {
  *self = (errand){.gate = gate};
  tide_job_init(&self->job, loop, run_errand, ops);
}

static tide_pool *pool; /* where the scripts' jobs go */

static void runner(actor *self) {
  errand *mine = self->data;
  BEGIN;
  TRY(tide_job_submit(&mine->job, pool));
  WAIT(tide_job_wait(&mine->job, &self->task));
  say(self, "%d", self->outcome);
  END;
}

static actor *spawn_runner(world *w, const char *name, errand *mine) {
  actor *self = spawn(w, name, runner);
  self->data = mine;
  return self;
}

static void run_all(world *w) { CHECK_EQ(tide_loop_run(w->loop, NULL), TIDE_OK); }

/* How it goes. */

static void *open_gate_late(void *argument) {
  pause_us(3000);
  raise_flag(argument);
  return NULL;
}

static void a_task_waits_until_a_thread_has_done_it(void) {
  world w;
  errand one;
  int gate = 0;
  world_open(&w);
  pool = tide_loop_pool(w.loop);
  errand_init(&one, w.loop, &plain, &gate);
  actor *a = spawn_runner(&w, "a", &one);
  turn(&w);
  CHECK_TEXT(tide_task_waits_for(&a->task), "errand");
  CHECK(tide_job_is_out(&one.job) && tide_loop_held(w.loop));
  await_flag(&one.begun);
  turn(&w);
  CHECK_LOG(&w, "");
  CHECK_EQ(tide_job_submit(&one.job, pool), TIDE_EINVALID_STATE);
  raise_flag(&gate);
  run_all(&w);
  CHECK_LOG(&w, "a 0");
  CHECK(flag_of(&one.done) && !tide_job_is_out(&one.job));
  world_close(&w);
}

static void it_may_be_submitted_again(void) {
  world w;
  errand one;
  world_open(&w);
  pool = tide_loop_pool(w.loop);
  errand_init(&one, w.loop, NULL, NULL);
  for (int i = 0; i < 10; i++) {
    one.done = 0;
    spawn_runner(&w, "a", &one);
    run_all(&w);
    CHECK_LOG(&w, "a 0");
    CHECK(one.done);
  }
  world_close(&w);
}

enum { MANY = 20 };

static void each_loop_hears_of_its_own(void) {
  world here, there;
  static errand errands[2][MANY];
  tide_pool *shared = tide_pool_new(3);
  world_open(&here);
  world_open(&there);
  pool = shared;
  for (int i = 0; i < MANY; i++) {
    errand_init(&errands[0][i], here.loop, &plain, NULL);
    errand_init(&errands[1][i], there.loop, &plain, NULL);
    spawn_runner(&here, "a", &errands[0][i]);
    spawn_runner(&there, "b", &errands[1][i]);
  }
  turn(&here);
  turn(&there);
  run_all(&here);
  CHECK_EQ(here.count, MANY);
  for (int i = 0; i < MANY; i++) CHECK(actor_failed_with(&here.actors[i], TIDE_OK));
  run_all(&there);
  CHECK(tide_pool_threads(shared) <= 3);
  world_close(&here);
  world_close(&there);
  tide_pool_free(shared);
}

/* Two loops in two threads, and one pool. */

typedef struct submitter {
  tide_task task;
  tide_steps steps;
  errand mine;
  int left;
} submitter;

static void submit_again(tide_task *task, int outcome) {
  submitter *self = tide_container(task, submitter, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  while (self->left-- > 0) {
    errand_init(&self->mine, task->loop, &plain, NULL);
    TIDE_TRY(tide_job_submit(&self->mine.job, pool));
    TIDE_TRY(tide_job_wait(&self->mine.job, task));
    if (!self->mine.done) TIDE_LEAVE(TIDE_EFAILED);
  }
  TIDE_END;
}

static void *run_submitters(void *unfinished) {
  static const tide_task_ops ops = {.step = submit_again};
  submitter all[8] = {{.left = 0}};
  tide_loop *loop = tide_loop_new(NULL);
  if (loop == NULL) abort();
  for (int i = 0; i < 8; i++) {
    all[i].left = 200;
    tide_task_init(&all[i].task, loop, &ops);
    tide_task_spawn(&all[i].task, tide_loop_background(loop));
  }
  if (tide_loop_run(loop, NULL) == TIDE_OK)
    for (int i = 0; i < 8; i++)
      if (all[i].task.future.state == TIDE_FUTURE_DONE)
        __atomic_sub_fetch((int *)unfinished, 1, __ATOMIC_RELAXED);
  tide_loop_free(loop);
  return NULL;
}

static void loops_in_two_threads_may_share_one(void) {
  crew two = {.count = 0};
  int unfinished = 16;
  pool = tide_pool_new(3);
  start(&two, run_submitters, &unfinished);
  start(&two, run_submitters, &unfinished);
  join_all(&two);
  CHECK_EQ(unfinished, 0);
  tide_pool_free(pool);
}

static void never(tide_timer *timer) { (void)timer; }

static void virtual_time_stands_still_while_one_is_out(void) {
  world w;
  errand one;
  crew late = {.count = 0};
  int gate = 0;
  world_open(&w);
  pool = tide_loop_pool(w.loop);
  errand_init(&one, w.loop, &plain, &gate);
  tide_time before = tide_loop_now(w.loop);
  tide_timer timer;
  tide_timer_init(&timer, never);
  CHECK_EQ(tide_timer_start(&timer, w.loop, after_ms(&w, 1000)), TIDE_OK);
  actor *a = spawn_runner(&w, "a", &one);
  start(&late, open_gate_late, &gate);
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
  CHECK_EQ(tide_loop_now(w.loop), before);
  join_all(&late);
  tide_timer_stop(&timer, w.loop);
  world_close(&w);
}

/* Threads. */

static void threads_come_when_they_are_needed_and_go_with_the_loop(void) {
  world w;
  errand errands[6];
  int gate = 0, threads = count_threads(), fds = count_fds();
  world_open(&w);
  int mine = count_fds();
  pool = tide_loop_pool(w.loop);
  CHECK_EQ(tide_pool_threads(pool), 0);
  CHECK_EQ(count_threads(), threads);
  CHECK_EQ(count_fds(), mine);
  for (int i = 0; i < 6; i++) {
    errand_init(&errands[i], w.loop, &plain, &gate);
    spawn_runner(&w, "a", &errands[i]);
    turn(&w);
    CHECK_EQ(tide_pool_threads(pool), i < 4 ? i + 1 : 4);
  }
  for (int i = 0; i < 4; i++) await_flag(&errands[i].begun);
  CHECK(!flag_of(&errands[4].begun));
  tide_pool_set_size(pool, 6); /* for those that wait in the queue */
  CHECK_EQ(tide_pool_threads(pool), 6);
  for (int i = 4; i < 6; i++) await_flag(&errands[i].begun);
  errand more;
  errand_init(&more, w.loop, &plain, &gate);
  spawn_runner(&w, "more", &more);
  turn(&w);
  CHECK_EQ(tide_pool_threads(pool), 6);
  raise_flag(&gate);
  run_all(&w);
  tide_pool_set_size(pool, 0); /* one at least */
  for (int i = 0; tide_pool_threads(pool) > 1; i++) {
    CHECK(i < 100000);
    pause_us(100);
  }
  errand_init(&more, w.loop, &plain, NULL);
  spawn_runner(&w, "again", &more);
  run_all(&w);
  CHECK(more.done);
  world_close(&w);
  CHECK_EQ(count_threads(), threads);
  CHECK_EQ(count_fds(), fds);
}

static void idle_threads_are_used_before_new_ones_come(void) {
  world w;
  errand one;
  world_open(&w);
  pool = tide_pool_new(8);
  for (int i = 0; i < 10; i++) {
    errand_init(&one, w.loop, &plain, NULL);
    spawn_runner(&w, "a", &one);
    run_all(&w);
    pause_us(300);
  }
  CHECK(tide_pool_threads(pool) <= 2);
  world_close(&w);
  tide_pool_free(pool);
}

static sigset_t held;

static void look_at_signals(tide_job *job) {
  (void)job;
  pthread_sigmask(SIG_SETMASK, NULL, &held);
}

static void their_signals_are_held_back(void) {
  world w;
  errand one;
  sigset_t before, after;
  world_open(&w);
  pthread_sigmask(SIG_SETMASK, NULL, &before);
  pool = tide_loop_pool(w.loop);
  errand_init(&one, w.loop, &plain, NULL);
  one.job.work = look_at_signals;
  spawn_runner(&w, "a", &one);
  run_all(&w);
  CHECK(sigismember(&held, SIGINT) && sigismember(&held, SIGTERM) && sigismember(&held, SIGPROF));
  pthread_sigmask(SIG_SETMASK, NULL, &after);
  for (int i = 1; i < 32; i++) CHECK_EQ(sigismember(&before, i), sigismember(&after, i));
  world_close(&w);
}

static void where_no_thread_can_be_had_it_is_told(void) {
  world w;
  errand one, two;
  int gate = 0;
  world_open(&w);
  pool = tide_loop_pool(w.loop);
  errand_init(&one, w.loop, &plain, &gate);
  errand_init(&two, w.loop, &plain, &gate);
  tide_faults faults = {.call = TIDE_CALL_THREAD, .at = 1, .error = EAGAIN};
  tide_loop_set_faults(w.loop, &faults);
  actor *a = spawn_runner(&w, "a", &one);
  turn(&w);
  CHECK(actor_failed_with(a, TIDE_OS(EAGAIN)));
  CHECK(!tide_job_is_out(&one.job) && !tide_loop_held(w.loop));
  faults.at = 3; /* the second, this time, which it can do without */
  spawn_runner(&w, "b", &one);
  turn(&w);
  spawn_runner(&w, "c", &two);
  turn(&w);
  CHECK_EQ(faults.made, 3);
  CHECK_EQ(tide_pool_threads(pool), 1);
  tide_loop_set_faults(w.loop, NULL);
  raise_flag(&gate);
  run_all(&w);
  CHECK_LOG(&w, "b 0, c 0");
  world_close(&w);
}

static void where_memory_is_short_it_is_told(void) {
  world w;
  errand one;
  world_open(&w);
  w.memory.fail_at = w.memory.allocations + 1;
  CHECK(tide_loop_pool(w.loop) == NULL);
  pool = tide_pool_new(1);
  errand_init(&one, w.loop, &plain, NULL);
  w.memory.fail_at = w.memory.allocations + 1;
  CHECK_EQ(tide_job_submit(&one.job, pool), TIDE_ENOMEM);
  CHECK_EQ(tide_pool_threads(pool), 0);
  world_close(&w);
  tide_pool_free(pool);
}

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

static void while_it_runs_its_end_is_waited_for(void) {
  world w;
  errand one;
  int gate = 0;
  world_open(&w);
  pool = tide_loop_pool(w.loop);
  errand_init(&one, w.loop, &plain, &gate);
  actor *a = spawn_runner(&w, "a", &one);
  turn(&w);
  await_flag(&one.begun);
  tide_task_cancel(&a->task);
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
  world_open(&w);
  pool = tide_loop_pool(w.loop);
  errand_init(&one, w.loop, &stoppable, &(int){0});
  actor *a = spawn_runner(&w, "a", &one);
  turn(&w);
  await_flag(&one.begun);
  tide_task_cancel(&a->task);
  CHECK_EQ(one.stops, 1);
  run_all(&w);
  CHECK_LOG(&w, "a 0");
  world_close(&w);
}

static void while_it_runs_it_may_be_let_go(void) {
  world w;
  errand one;
  int gate = 0;
  world_open(&w);
  pool = tide_loop_pool(w.loop);
  errand_init(&one, w.loop, &loose, &gate);
  actor *a = spawn_runner(&w, "a", &one);
  turn(&w);
  await_flag(&one.begun);
  tide_task_cancel(&a->task);
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
  for (int done = 0; done < 2; done++)
    for (int i = 0; i < 2; i++) {
      world w;
      errand one;
      int gate = 0;
      world_open(&w);
      pool = tide_loop_pool(w.loop);
      errand_init(&one, w.loop, all[i], &gate);
      actor *a = spawn_runner(&w, "a", &one);
      turn(&w);
      await_flag(&one.begun);
      if (done) { /* it is told, and does not see it */
        raise_flag(&gate);
        TURN_UNTIL(w.loop, a->task.state == TIDE_TASK_READY);
      }
      actor_kill(a);
      CHECK_EQ(tide_job_is_out(&one.job), !done);
      raise_flag(&gate);
      TURN_UNTIL(w.loop, !tide_job_is_out(&one.job));
      CHECK_EQ(one.abandoned, i);
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

/* Select. */

static tide_event event;

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
  RUN(a_task_waits_until_a_thread_has_done_it);
  RUN(it_may_be_submitted_again);
  RUN(each_loop_hears_of_its_own);
  RUN(loops_in_two_threads_may_share_one);
  RUN(virtual_time_stands_still_while_one_is_out);
  RUN(threads_come_when_they_are_needed_and_go_with_the_loop);
  RUN(idle_threads_are_used_before_new_ones_come);
  RUN(their_signals_are_held_back);
  RUN(where_no_thread_can_be_had_it_is_told);
  RUN(where_memory_is_short_it_is_told);
  RUN(a_pool_that_is_freed_takes_no_more);
  RUN(a_pool_may_go_before_its_loops_hear_of_the_last_jobs);
  RUN(in_the_queue_it_never_runs);
  RUN(while_it_runs_its_end_is_waited_for);
  RUN(while_it_runs_it_is_interrupted);
  RUN(while_it_runs_it_may_be_let_go);
  RUN(in_a_cancelled_scope_it_is_as_if_it_were_then);
  RUN(whose_task_is_killed_it_is_let_go_or_ends_by_itself);
  RUN(struck_at_any_moment_it_is_accounted_for);
  RUN(the_loops_end_waits_for_what_cannot_be_let_go);
  RUN(the_loops_end_waits_before_a_task_is_dropped);
  RUN(the_loops_end_interrupts);
  RUN(the_loops_end_lets_go_what_can_be);
  RUN(a_loop_may_end_at_any_moment);
  RUN(select_waits_for_one_and_lets_it_go_on);
  return check_summary();
}
