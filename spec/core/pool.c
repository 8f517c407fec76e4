/* pool.c: jobs that threads do: in time, shared by loops, and when threads cannot be had. */
#include <errno.h>
#include <signal.h>

#include "errand.h"

/* How it goes. */

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

static void forgetful(actor *self) {
  errand *mine = self->data;
  BEGIN;
  WAIT(tide_job_wait(&mine->job, &self->task));
  say(self, "%d", self->outcome);
  END;
}

static void one_that_was_not_submitted_is_not_waited_for(void) {
  world w;
  errand one;
  world_open(&w);
  errand_init(&one, w.loop, &plain, NULL);
  spawn(&w, "a", forgetful)->data = &one;
  settle(&w);
  CHECK_LOG(&w, "a -11");
  tide_job_drop(&one.job);
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

static void as_many_idle_threads_wake_up_as_there_are_jobs(void) {
  enum { SIZE = 4 };
  world w;
  errand errands[SIZE];
  world_open(&w);
  pool = tide_pool_new(SIZE);
  for (int round = 0; round < 50; round++) {
    int gate = 0;
    for (int i = 0; i < SIZE; i++) {
      errand_init(&errands[i], w.loop, &plain, &gate);
      CHECK_EQ(tide_job_submit(&errands[i].job, pool), TIDE_OK);
    }
    for (int i = 0; i < SIZE; i++) await_flag(&errands[i].begun); /* all at a time */
    raise_flag(&gate);
    for (int i = 0; i < SIZE; i++) TURN_UNTIL(w.loop, !tide_job_is_out(&errands[i].job));
    if (round % 2) pause_us(300); /* they are idle */
  }
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

static void a_hundred_thousand_leave_nothing_behind(void) {
  enum { CLIENTS = 50, EACH = 2000 };
  static const tide_task_ops ops = {.step = submit_again};
  static submitter all[CLIENTS];
  world w;
  world_open_real(&w);
  pool = tide_loop_pool(w.loop);
  for (int i = 0; i < CLIENTS; i++) {
    all[i] = (submitter){.left = EACH};
    tide_task_init(&all[i].task, w.loop, &ops);
    CHECK_EQ(tide_task_spawn(&all[i].task, tide_loop_background(w.loop)), TIDE_OK);
  }
  turn(&w);
  size_t before = w.memory.in_use;
  run_all(&w);
  for (int i = 0; i < CLIENTS; i++) CHECK_EQ(tide_future_error(&all[i].task.future), TIDE_OK);
  CHECK_EQ(w.memory.in_use, before);
  CHECK(tide_pool_threads(pool) <= 4);
  world_close(&w);
}

int main(void) {
  RUN(a_task_waits_until_a_thread_has_done_it);
  RUN(one_that_was_not_submitted_is_not_waited_for);
  RUN(it_may_be_submitted_again);
  RUN(each_loop_hears_of_its_own);
  RUN(loops_in_two_threads_may_share_one);
  RUN(virtual_time_stands_still_while_one_is_out);
  RUN(threads_come_when_they_are_needed_and_go_with_the_loop);
  RUN(idle_threads_are_used_before_new_ones_come);
  RUN(as_many_idle_threads_wake_up_as_there_are_jobs);
  RUN(their_signals_are_held_back);
  RUN(where_no_thread_can_be_had_it_is_told);
  RUN(where_memory_is_short_it_is_told);
  RUN(a_hundred_thousand_leave_nothing_behind);
  return check_summary();
}
