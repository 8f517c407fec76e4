/* post.c: what other threads and signal handlers give a loop to do. */
#include <errno.h>
#include <signal.h>

#include "../../core/sched/port.h"
#include "threads.h"

enum { THREADS = 4, EACH = 2000 };

/* Posts that note when they were run, by whom. */

typedef struct note {
  tide_post post;
  int thread; /* who posts */
  int number; /* of those of that thread */
  tide_loop *loop;
} note;

static pthread_t loops_thread;
static int last_of[THREADS], ran, dropped, strays;

static void run(tide_post *post) {
  const note *self = tide_container(post, note, post);
  if (!pthread_equal(pthread_self(), loops_thread) || last_of[self->thread] != self->number - 1)
    strays++;
  last_of[self->thread] = self->number;
  ran++;
}

static void drop(tide_post *post) {
  (void)post;
  dropped++;
}

static void note_init(note *self, tide_loop *loop, int thread, int number) {
  *self = (note){.thread = thread, .number = number, .loop = loop};
  tide_post_init(&self->post, run);
  self->post.dropped = drop;
}

static void reset(void) {
  loops_thread = pthread_self();
  memset(last_of, 0, sizeof last_of);
  ran = dropped = strays = 0;
}

static void *post_many(void *argument) {
  note *notes = argument;
  for (int i = 0; i < EACH; i++) tide_loop_post(notes[i].loop, &notes[i].post);
  return NULL;
}

static void runs_in_the_loops_thread_in_the_order_of_each_poster(void) {
  static note notes[THREADS][EACH];
  world w;
  crew all = {.count = 0};
  world_open_real(&w);
  reset();
  for (int i = 0; i < THREADS; i++) {
    for (int k = 0; k < EACH; k++) note_init(&notes[i][k], w.loop, i, k + 1);
    start(&all, post_many, notes[i]);
  }
  tide_loop_hold(w.loop);
  while (ran < THREADS * EACH) CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  tide_loop_release(w.loop);
  join_all(&all);
  CHECK_EQ(strays, 0);
  world_close(&w);
}

/* Waking. */

typedef struct waking {
  tide_post post;
  tide_future done;
  tide_loop *loop;
} waking;

static void end_future(tide_post *post) {
  waking *self = tide_container(post, waking, post);
  tide_future_end(&self->done, TIDE_FUTURE_DONE);
  tide_loop_release(self->loop);
}

static void *post_late(void *argument) {
  waking *self = argument;
  pause_us(2000);
  tide_loop_post(self->loop, &self->post);
  return NULL;
}

/* The first one by the alarm, the others by the descriptor. */
static void wakes_a_loop_that_waits_for_nothing_else(void) {
  world w;
  world_open_real(&w);
  for (int i = 0; i < 20; i++) {
    waking late = {.loop = w.loop};
    crew one = {.count = 0};
    tide_post_init(&late.post, end_future);
    tide_future_init(&late.done);
    tide_loop_hold(w.loop);
    start(&one, post_late, &late);
    CHECK_EQ(tide_loop_run(w.loop, &late.done), TIDE_OK);
    join_all(&one);
  }
  world_close(&w);
}

/* A sleep that ends soon sets the alarm, in the same moment as a post has it ring. */

static void *post_now(void *argument) {
  waking *self = argument;
  tide_loop_post(self->loop, &self->post);
  return NULL;
}

static void sleeper(actor *self) {
  BEGIN;
  TRY(tide_task_sleep_until(&self->task, tide_loop_after(self->world->loop, FOR_EVER)));
  END;
}

static void napper(actor *self) {
  BEGIN;
  TRY(tide_task_sleep_until(&self->task, tide_loop_after(self->world->loop, 5000000)));
  END;
}

static void an_alarm_that_is_set_meanwhile_wakes_it_still(void) {
  for (int i = 0; i < 100; i++) {
    world w;
    crew one = {.count = 0};
    world_open_real(&w);
    waking late = {.loop = w.loop};
    tide_post_init(&late.post, end_future);
    tide_future_init(&late.done);
    actor *a = spawn(&w, "a", napper), *b = spawn(&w, "b", sleeper);
    tide_loop_hold(w.loop);
    start(&one, post_now, &late);
    CHECK_EQ(tide_loop_run(w.loop, &late.done), TIDE_OK);
    join_all(&one);
    tide_task_cancel(&a->task);
    tide_task_cancel(&b->task);
    CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
    world_close(&w);
  }
}

/* In virtual time a poll comes before the one that waits: what wakes the first would wake no second
 * one. A thread posts anew as soon as it can. */

enum { TIMES = 10000 };

static void count_up(tide_post *post) {
  waking *self = tide_container(post, waking, post);
  add_one(&ran);
  if (ran < TIMES) return;
  tide_future_end(&self->done, TIDE_FUTURE_DONE);
  tide_loop_release(self->loop);
}

static void *post_again_and_again(void *argument) {
  waking *self = argument;
  for (int i = 0; i < TIMES; i++) {
    while (flag_of(&ran) < i) sched_yield();
    for (volatile int k = 0; k < i % 4000; k++) continue;
    tide_loop_post(self->loop, &self->post);
  }
  return NULL;
}

static void virtual_time_misses_none(void) {
  tide_time began = tide_clock_monotonic();
  world w;
  crew one = {.count = 0};
  world_open(&w);
  reset();
  waking now = {.loop = w.loop};
  tide_post_init(&now.post, count_up);
  tide_future_init(&now.done);
  tide_loop_hold(w.loop);
  start(&one, post_again_and_again, &now);
  CHECK_EQ(tide_loop_run(w.loop, &now.done), TIDE_OK);
  join_all(&one);
  world_close(&w);
  CHECK(tide_clock_monotonic() - began < FOR_EVER / 2); /* libev's own longest poll is as long */
}

static void what_was_posted_is_no_deadlock(void) {
  for (int is_virtual = 0; is_virtual < 2; is_virtual++) {
    world w;
    note one;
    if (is_virtual)
      world_open(&w);
    else
      world_open_real(&w);
    reset();
    note_init(&one, w.loop, 0, 1);
    CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_EDEADLOCK);
    tide_loop_post(w.loop, &one.post);
    CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
    CHECK_EQ(ran, 1);
    CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_EDEADLOCK);
    world_close(&w);
  }
}

/* Signals. */

static note from_signal;

static void handler(int signal) {
  (void)signal;
  errno = EDOM;
  tide_loop_post(from_signal.loop, &from_signal.post);
  from_signal.number += errno == EDOM ? 0 : 100;
}

static void a_signal_handler_may_post_and_errno_stays(void) {
  world w;
  struct sigaction before, now = {.sa_handler = handler};
  world_open_real(&w);
  reset();
  note_init(&from_signal, w.loop, 0, 1);
  CHECK_EQ(sigaction(SIGUSR1, &now, &before), 0);
  for (int i = 1; i <= 100; i++) {
    raise(SIGUSR1);
    raise(SIGUSR1); /* on its way already */
    TURN_UNTIL(w.loop, ran == i);
    from_signal.number++;
  }
  sigaction(SIGUSR1, &before, NULL);
  CHECK_EQ(strays, 0);
  world_close(&w);
}

/* Signals interrupt the loop and a thread that posts too, wherever they are. Each handler posts a
 * record of its own thread's, which may be on its way already, and one that never is. */

enum { STORM = 3000 };

static tide_post known, fresh[STORM];
static int signals, known_runs, fresh_runs; /* the first is atomic */

static void count_known(tide_post *post) {
  (void)post;
  known_runs++;
}

static void count_fresh(tide_post *post) {
  (void)post;
  fresh_runs++;
}

static void storm(int signal) {
  (void)signal;
  int number = __atomic_fetch_add(&signals, 1, __ATOMIC_ACQ_REL);
  if (number >= STORM) return;
  tide_loop_post(from_signal.loop, &fresh[number]);
  tide_loop_post(from_signal.loop, &known);
}

static void *raise_storm(void *loops) {
  for (int i = 0; flag_of(&signals) < STORM; i++) {
    pthread_kill(i % 2 ? pthread_self() : *(pthread_t *)loops, SIGUSR1);
    tide_loop_post(from_signal.loop, &known);
    if (i % 16 == 0) sched_yield();
  }
  return NULL;
}

static void signals_may_come_at_any_moment(void) {
  world w;
  crew two = {.count = 0};
  pthread_t loops = pthread_self();
  struct sigaction before, now = {.sa_handler = storm};
  world_open_real(&w);
  from_signal.loop = w.loop;
  signals = known_runs = fresh_runs = 0;
  tide_post_init(&known, count_known);
  for (int i = 0; i < STORM; i++) tide_post_init(&fresh[i], count_fresh);
  CHECK_EQ(sigaction(SIGUSR1, &now, &before), 0);
  for (int i = 0; i < 2; i++) start(&two, raise_storm, &loops);
  tide_loop_hold(w.loop);
  while (fresh_runs < STORM) CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  tide_loop_release(w.loop);
  join_all(&two);
  sigaction(SIGUSR1, &before, NULL);
  int runs = known_runs;
  turn(&w);
  CHECK(known_runs >= runs && known_runs > 0);
  tide_loop_post(w.loop, &known); /* it is not stuck on its way */
  runs = known_runs;
  turn(&w);
  CHECK_EQ(known_runs, runs + 1);
  CHECK_EQ(fresh_runs, STORM);
  world_close(&w);
}

/* Again. */

static void one_that_is_on_its_way_runs_once_and_then_may_be_posted_anew(void) {
  world w;
  note a, b;
  world_open(&w);
  reset();
  note_init(&a, w.loop, 0, 1);
  note_init(&b, w.loop, 1, 1);
  CHECK_EQ(tide_loop_post(w.loop, &a.post), TIDE_OK);
  CHECK_EQ(tide_loop_post(w.loop, &b.post), TIDE_OK);
  CHECK_EQ(tide_loop_post(w.loop, &a.post), TIDE_OK);
  turn(&w);
  CHECK_EQ(ran, 2);
  a.number++;
  CHECK_EQ(tide_loop_post(w.loop, &a.post), TIDE_OK);
  turn(&w);
  CHECK_EQ(ran, 3);
  CHECK_EQ(strays, 0);
  world_close(&w);
}

static void run_and_post_anew(tide_post *post) {
  note *self = tide_container(post, note, post);
  run(post);
  if (self->number++ < 5) tide_loop_post(self->loop, post);
}

static void what_posts_itself_runs_once_a_poll(void) {
  world w;
  note a;
  world_open(&w);
  reset();
  note_init(&a, w.loop, 0, 1);
  a.post.run = run_and_post_anew;
  tide_loop_post(w.loop, &a.post);
  for (int i = 1; i <= 5; i++) {
    turn(&w);
    CHECK_EQ(ran, i);
  }
  turn(&w);
  CHECK_EQ(ran, 5);
  CHECK_EQ(strays, 0);
  world_close(&w);
}

/* The end. */

static void drop_and_post_another(tide_post *post) {
  note *self = tide_container(post, note, post);
  drop(post);
  if (self->number++ < 5) tide_loop_post(self->loop, post);
}

static void what_is_there_when_the_loop_is_freed_is_dropped(void) {
  world w;
  note a, b, c;
  world_open(&w);
  reset();
  note_init(&a, w.loop, 0, 1);
  note_init(&b, w.loop, 1, 1);
  note_init(&c, w.loop, 2, 1);
  b.post.dropped = drop_and_post_another;
  c.post.dropped = NULL;
  tide_loop_post(w.loop, &a.post);
  tide_loop_post(w.loop, &b.post);
  tide_loop_post(w.loop, &c.post);
  world_close(&w);
  CHECK_EQ(ran, 0);
  CHECK_EQ(dropped, 6);
}

static void a_port_outlives_its_loop(void) {
  world w;
  note a;
  int before = count_fds();
  world_open(&w);
  reset();
  tide_port *port = tide_port_new(w.loop), *same = tide_port_ref(port);
  note_init(&a, w.loop, 0, 1);
  CHECK_EQ(tide_port_post(port, &a.post), TIDE_OK);
  turn(&w);
  CHECK_EQ(ran, 1);
  world_close(&w);
  CHECK_EQ(tide_port_post(same, &a.post), TIDE_ECLOSED);
  CHECK_EQ(tide_port_post(same, &a.post), TIDE_ECLOSED);
  tide_port_unref(same);
  CHECK_EQ(count_fds(), before + 2); /* the alarm, too */
  tide_port_unref(port);
  CHECK_EQ(count_fds(), before);
  CHECK_EQ(ran, 1);
  CHECK_EQ(dropped, 0);
}

typedef struct poster {
  tide_port *port;
  note notes[EACH];
  int refused;
} poster;

static void *post_until_refused(void *argument) {
  poster *self = argument;
  for (int i = 0; i < EACH; i++) {
    if (tide_port_post(self->port, &self->notes[i].post) == TIDE_ECLOSED) self->refused++;
    if (i % 64 == 0) sched_yield();
  }
  tide_port_unref(self->port);
  return NULL;
}

/* Whenever the loop goes, each post has been run, or dropped, or refused. */
static void posts_that_race_with_the_loops_end_are_all_accounted_for(void) {
  static poster posters[THREADS];
  for (int turns = 0; turns < 40; turns++) {
    world w;
    crew all = {.count = 0};
    world_open(&w);
    reset();
    tide_port *port = tide_port_new(w.loop);
    for (int i = 0; i < THREADS; i++) {
      posters[i].port = tide_port_ref(port);
      posters[i].refused = 0;
      for (int k = 0; k < EACH; k++) note_init(&posters[i].notes[k], w.loop, i, k + 1);
      start(&all, post_until_refused, &posters[i]);
    }
    tide_port_unref(port);
    for (int i = 0; i < turns; i++) turn(&w);
    world_close(&w);
    int refused = 0;
    join_all(&all);
    for (int i = 0; i < THREADS; i++) refused += posters[i].refused;
    CHECK_EQ(ran + dropped + refused, THREADS * EACH);
    CHECK_EQ(strays, 0);
  }
}

/* What it costs who does not use it. */

static void a_loop_that_nobody_posts_to_holds_no_descriptor_for_it(void) {
  world w;
  note a;
  reset();
  int before = count_fds();
  world_open(&w);
  int idle = count_fds();
  CHECK_EQ(idle, before + 2); /* libev's, and the alarm's */
  turn(&w);
  CHECK_EQ(count_fds(), idle);
  note_init(&a, w.loop, 0, 1);
  for (int i = 1; i < 4; i++) {
    tide_loop_post(w.loop, &a.post);
    turn(&w);
    a.number++;
    CHECK_EQ(ran, i);
    CHECK_EQ(count_fds(), idle + 1);
  }
  CHECK(!tide_loop_held(w.loop));
  world_close(&w);
  CHECK_EQ(count_fds(), before);
}

static void where_descriptors_are_short_the_alarm_goes_on_to_wake_it(void) {
  world w;
  note a;
  world_open_real(&w);
  reset();
  note_init(&a, w.loop, 0, 1);
  int before = count_fds();
  for (int i = 1; i < 10; i++) {
    tide_faults faults = {.call = TIDE_CALL_EVENTFD, .at = 1, .error = EMFILE};
    tide_loop_set_faults(w.loop, &faults);
    tide_loop_post(w.loop, &a.post);
    CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
    tide_loop_set_faults(w.loop, NULL);
    CHECK_EQ(faults.made, 1);
    CHECK_EQ(ran, i);
    a.number++;
  }
  CHECK_EQ(count_fds(), before);
  world_close(&w);
}

int main(void) {
  RUN(runs_in_the_loops_thread_in_the_order_of_each_poster);
  RUN(wakes_a_loop_that_waits_for_nothing_else);
  RUN(an_alarm_that_is_set_meanwhile_wakes_it_still);
  RUN(virtual_time_misses_none);
  RUN(what_was_posted_is_no_deadlock);
  RUN(a_signal_handler_may_post_and_errno_stays);
  RUN(signals_may_come_at_any_moment);
  RUN(one_that_is_on_its_way_runs_once_and_then_may_be_posted_anew);
  RUN(what_posts_itself_runs_once_a_poll);
  RUN(what_is_there_when_the_loop_is_freed_is_dropped);
  RUN(a_port_outlives_its_loop);
  RUN(posts_that_race_with_the_loops_end_are_all_accounted_for);
  RUN(a_loop_that_nobody_posts_to_holds_no_descriptor_for_it);
  RUN(where_descriptors_are_short_the_alarm_goes_on_to_wake_it);
  return check_summary();
}
