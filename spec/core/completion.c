/* completion.c: results that come from elsewhere, in time, too early, too late, twice; and who is
 * the last to go. */
#include "threads.h"

/* A registration somewhere, and its completion. */
typedef struct thing {
  tide_completion completion;
  tide_taken_back answer; /* of its `cancel` */
  bool ends;              /* which completes it first */
  int result;             /* with that; TIDE_OK: TIDE_EFAILED */
  int asked;              /* so often */
  int freed;              /* so often */
  int told;               /* what the caller was told */
} thing;

static tide_taken_back cancel(tide_completion *completion) {
  thing *self = tide_container(completion, thing, completion);
  self->asked++;
  if (self->ends)
    self->told = tide_completion_end(completion, self->result != 0 ? self->result : TIDE_EFAILED);
  return self->answer;
}

static void free_thing(tide_completion *completion) {
  tide_container(completion, thing, completion)->freed++;
  memset(completion, 0xee, sizeof *completion); /* it is gone */
}

static const tide_completion_ops ops = {.name = "thing", .cancel = cancel, .free = free_thing};

static thing it;

static void open_thing(world *w, tide_taken_back answer) {
  it = (thing){.answer = answer};
  tide_completion_init(&it.completion, w->loop, &ops);
}

static void waiter(actor *self) {
  BEGIN;
  WAIT(tide_completion_wait(&it.completion, &self->task));
  say(self, "%d", self->outcome);
  if (self->outcome != TIDE_ECANCELLED) tide_completion_drop(&it.completion);
  END;
}

static void the_wait_gives_the_result(void) {
  static const int results[] = {TIDE_OK, TIDE_EFAILED, TIDE_PENDING, 7};
  for (int i = 0; i < 4; i++)
    for (int posted = 0; posted < 2; posted++) {
      world w;
      world_open(&w);
      open_thing(&w, TIDE_TAKEN_BACK);
      actor *a = spawn(&w, "a", waiter);
      turn(&w);
      CHECK_TEXT(tide_task_waits_for(&a->task), "thing");
      CHECK(tide_loop_held(w.loop));
      CHECK_EQ((posted ? tide_completion_post : tide_completion_end)(&it.completion, results[i]),
               TIDE_OK);
      settle(&w);
      CHECK(a->outcome == (results[i] > 0 ? TIDE_EMISUSE : results[i]));
      CHECK_EQ(it.freed, 1);
      CHECK_EQ(it.asked, 0);
      world_close(&w);
    }
}

static void it_may_come_before_the_wait(void) {
  for (int posted = 0; posted < 2; posted++) {
    world w;
    world_open(&w);
    open_thing(&w, TIDE_TAKEN_BACK);
    CHECK(!tide_completion_ended(&it.completion));
    CHECK_EQ((posted ? tide_completion_post : tide_completion_end)(&it.completion, TIDE_EEOF),
             TIDE_OK);
    turn(&w);
    CHECK(tide_completion_ended(&it.completion));
    CHECK_EQ(it.freed, 0);
    actor *a = spawn(&w, "a", waiter);
    settle(&w);
    CHECK_LOG(&w, "a -13");
    CHECK_EQ(a->suspensions, 0);
    CHECK_EQ(it.freed, 1);
    world_close(&w);
  }
}

static void a_second_end_is_told_and_changes_nothing(void) {
  static int (*const complete[])(tide_completion *, int) = {tide_completion_end,
                                                            tide_completion_post};
  for (int i = 0; i < 4; i++) {
    world w;
    world_open(&w);
    open_thing(&w, TIDE_TAKEN_BACK);
    CHECK_EQ(complete[i & 1](&it.completion, TIDE_OK), TIDE_OK);
    CHECK_EQ(complete[i >> 1](&it.completion, TIDE_EFAILED), TIDE_EINVALID_STATE);
    turn(&w);
    CHECK_EQ(complete[i >> 1](&it.completion, TIDE_EFAILED), TIDE_EINVALID_STATE);
    actor *a = spawn(&w, "a", waiter);
    settle(&w);
    CHECK_EQ(a->outcome, TIDE_OK);
    CHECK_EQ(it.freed, 1);
    world_close(&w);
  }
}

static void intruder(actor *self) {
  BEGIN;
  WAIT(tide_completion_wait(&it.completion, &self->task));
  say(self, "%d", self->outcome);
  END;
}

static void one_task_at_a_time_waits(void) {
  world w;
  world_open(&w);
  open_thing(&w, TIDE_TAKEN_BACK);
  spawn(&w, "a", waiter);
  spawn(&w, "b", intruder);
  turn(&w);
  CHECK_LOG(&w, "b -16");
  tide_completion_end(&it.completion, TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "a 0");
  CHECK_EQ(it.freed, 1);
  world_close(&w);
}

/* Cancelled. */

static void taken_back_it_is_gone_at_once(void) {
  world w;
  world_open(&w);
  open_thing(&w, TIDE_TAKEN_BACK);
  actor *a = spawn(&w, "a", waiter);
  turn(&w);
  tide_task_cancel(&a->task);
  CHECK_EQ(it.freed, 1);
  settle(&w);
  CHECK_LOG(&w, "a -1");
  CHECK_EQ(it.asked, 1);
  world_close(&w);
}

static void what_comes_too_late_is_told_and_is_the_last_to_go(void) {
  for (int posted = 0; posted < 2; posted++) {
    world w;
    world_open(&w);
    open_thing(&w, TIDE_TOO_LATE);
    actor *a = spawn(&w, "a", waiter);
    turn(&w);
    tide_task_cancel(&a->task);
    settle(&w);
    CHECK_LOG(&w, "a -1");
    CHECK_EQ(it.freed, 0);
    CHECK(!tide_loop_held(w.loop));
    CHECK_EQ((posted ? tide_completion_post : tide_completion_end)(&it.completion, TIDE_OK),
             TIDE_ECANCELLED);
    turn(&w);
    CHECK_EQ(it.freed, 1);
    CHECK_EQ(it.asked, 1);
    world_close(&w);
  }
}

static void what_is_kept_is_waited_for(void) {
  world w;
  world_open(&w);
  open_thing(&w, TIDE_KEPT);
  actor *a = spawn(&w, "a", waiter);
  turn(&w);
  tide_task_cancel(&a->task);
  turn(&w);
  CHECK_LOG(&w, "");
  CHECK_EQ(tide_completion_end(&it.completion, TIDE_EFAILED), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "a -18");
  CHECK_EQ(it.freed, 1);
  world_close(&w);
}

static void a_result_that_is_on_its_way_is_not_lost(void) {
  world w;
  world_open(&w);
  open_thing(&w, TIDE_TOO_LATE);
  actor *a = spawn(&w, "a", waiter);
  turn(&w);
  CHECK_EQ(tide_completion_post(&it.completion, TIDE_OK), TIDE_OK);
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK_LOG(&w, "a 0");
  CHECK_EQ(it.asked, 0);
  CHECK_EQ(it.freed, 1);
  world_close(&w);
}

static void cancelling_may_complete_it_there_and_then(void) {
  static const struct {
    int result;
    const char *log;
  } cases[] = {{TIDE_EFAILED, "a -18"}, {TIDE_ECANCELLED, "a -1"}};
  for (tide_taken_back answer = TIDE_TAKEN_BACK; answer <= TIDE_KEPT; answer++)
    for (int i = 0; i < 2; i++) {
      world w;
      world_open(&w);
      open_thing(&w, answer);
      it.ends = true;
      it.result = cases[i].result;
      actor *a = spawn(&w, "a", waiter);
      turn(&w);
      tide_task_cancel(&a->task);
      CHECK_EQ(it.told, TIDE_OK);
      settle(&w);
      CHECK_LOG(&w, cases[i].log);
      CHECK_EQ(it.freed, 1);
      CHECK(!tide_loop_held(w.loop));
      world_close(&w);
    }
}

static void in_a_cancelled_scope_it_is_asked_to_be_taken_back(void) {
  for (tide_taken_back answer = TIDE_TAKEN_BACK; answer <= TIDE_KEPT; answer++) {
    world w;
    world_open(&w);
    open_thing(&w, answer);
    actor *a = spawn(&w, "a", waiter);
    tide_task_cancel(&a->task);
    settle(&w); /* it ended before its first step */
    CHECK_EQ(it.asked, 0);
    tide_scope *all = &tide_loop_background(w.loop)->scope;
    actor *b = spawn(&w, "b", waiter);
    b->task.started = true; /* so that its step begins all the same */
    tide_scope_cancel(all, w.loop);
    turn(&w);
    CHECK_EQ(it.asked, 1);
    if (answer == TIDE_TOO_LATE)
      CHECK_EQ(tide_completion_end(&it.completion, TIDE_OK), TIDE_ECANCELLED);
    if (answer == TIDE_KEPT) CHECK_EQ(tide_completion_end(&it.completion, TIDE_OK), TIDE_OK);
    settle(&w);
    CHECK_LOG(&w, answer == TIDE_KEPT ? "b 0" : "b -1");
    CHECK_EQ(it.freed, 1);
    tide_scope_uncancel(all);
    world_close(&w);
  }
}

static void a_caller_may_say_that_it_was_cancelled(void) {
  for (int when = 0; when < 3; when++) { /* before the wait, in it, posted */
    world w;
    world_open(&w);
    open_thing(&w, TIDE_TAKEN_BACK);
    if (when == 0) tide_completion_end(&it.completion, TIDE_ECANCELLED);
    actor *a = spawn(&w, "a", waiter);
    turn(&w);
    if (when == 1) tide_completion_end(&it.completion, TIDE_ECANCELLED);
    if (when == 2) tide_completion_post(&it.completion, TIDE_ECANCELLED);
    settle(&w);
    CHECK(actor_failed_with(a, TIDE_ECANCELLED));
    CHECK_EQ(it.freed, 1);
    world_close(&w);
  }
}

/* Dropped. */

static void dropped_unwaited_for(void) {
  for (tide_taken_back answer = TIDE_TAKEN_BACK; answer <= TIDE_KEPT; answer++) {
    world w;
    world_open(&w);
    open_thing(&w, answer);
    tide_completion_drop(&it.completion);
    CHECK_EQ(it.asked, 1);
    CHECK_EQ(it.freed, answer == TIDE_TAKEN_BACK);
    if (answer != TIDE_TAKEN_BACK)
      CHECK_EQ(tide_completion_end(&it.completion, TIDE_OK), TIDE_ECANCELLED);
    CHECK_EQ(it.freed, 1);
    world_close(&w);
  }
}

static void dropped_with_its_result_on_the_way(void) {
  world w;
  world_open(&w);
  open_thing(&w, TIDE_TAKEN_BACK);
  tide_completion_post(&it.completion, TIDE_OK);
  tide_completion_drop(&it.completion);
  CHECK_EQ(it.freed, 0);
  turn(&w);
  CHECK_EQ(it.freed, 1);
  CHECK_EQ(it.asked, 0);
  world_close(&w);
}

static void an_interrupted_wait_leaves_it_alone(void) {
  world w;
  world_open(&w);
  open_thing(&w, TIDE_TAKEN_BACK);
  actor *a = spawn(&w, "a", waiter);
  turn(&w);
  tide_loop_interrupt(w.loop, &a->task, TIDE_EDEADLOCK);
  CHECK_EQ(it.asked, 0);
  CHECK(!tide_loop_held(w.loop));
  settle(&w); /* who drops it */
  CHECK_EQ(it.asked, 1);
  CHECK_EQ(it.freed, 1);
  world_close(&w);
}

/* Every blow at every point: the caller, a task of the loop, completes it after all. */

static void late_caller(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 200));
  if (it.freed == 0) it.told = tide_completion_end(&it.completion, TIDE_OK);
  END;
}

static tide_taken_back how;

static void stage(world *w) {
  open_thing(w, how);
  w->victim = spawn(w, "victim", waiter);
  spawn(w, "caller", late_caller);
}

static void verify(world *w) {
  (void)w;
  CHECK_EQ(it.freed, 1);
}

static void struck_at_any_point_it_is_freed_once(void) {
  for (how = TIDE_TAKEN_BACK; how <= TIDE_KEPT; how++)
    play_all_blows(&(scenario){.stage = stage, .verify = verify});
}

/* Select. */

static tide_event other;

static void selector(actor *self) {
  static tide_case cases[2];
  static tide_select select;
  BEGIN;
  tide_case_event(&cases[0], &other);
  tide_case_completion(&cases[1], &it.completion);
  tide_select_init(&select, cases, 2);
  CALL(tide_select_wait(&select, &self->task));
  say(self, "%d %u", self->outcome, select.chosen);
  tide_completion_drop(&it.completion);
  END;
}

static void greedy(actor *self) {
  static tide_case cases[2];
  static tide_select select;
  BEGIN;
  for (int i = 0; i < 2; i++) tide_case_completion(&cases[i], &it.completion);
  tide_select_init(&select, cases, 2);
  CALL(tide_select_wait(&select, &self->task));
  say(self, "%d %u", self->outcome, select.chosen);
  tide_completion_drop(&it.completion);
  END;
}

static void select_waits_for_it_and_takes_nothing_back(void) {
  for (int which = 0; which < 4; which++) {
    world w;
    world_open(&w);
    tide_event_init(&other);
    open_thing(&w, TIDE_TOO_LATE);
    actor *a = spawn(&w, "a", selector);
    turn(&w);
    CHECK(tide_loop_held(w.loop));
    if (which == 0) tide_event_set(&other);
    if (which == 1) tide_completion_end(&it.completion, TIDE_OK);
    if (which == 2) tide_completion_end(&it.completion, TIDE_EFAILED);
    if (which == 3) tide_task_cancel(&a->task);
    CHECK_EQ(it.asked, 0);
    CHECK(!tide_loop_held(w.loop));
    settle(&w);
    CHECK_LOG(&w, which == 0 ? "a 0 0" : which == 1 ? "a 0 1" : which == 2 ? "a -18 1" : "a -1 0");
    if (it.freed == 0) CHECK_EQ(tide_completion_end(&it.completion, TIDE_OK), TIDE_ECANCELLED);
    CHECK_EQ(it.freed, 1);
    world_close(&w);
  }
}

static void twice_in_one_select_is_refused(void) {
  world w;
  world_open(&w);
  open_thing(&w, TIDE_TAKEN_BACK);
  spawn(&w, "a", greedy);
  settle(&w); /* nothing holds the loop */
  CHECK_LOG(&w, "a -16 1");
  CHECK_EQ(it.freed, 1);
  world_close(&w);
}

static void a_select_whose_task_is_killed_leaves_it_to_who_cleans_up(void) {
  for (int ready = 0; ready < 2; ready++) {
    world w;
    world_open(&w);
    tide_event_init(&other);
    open_thing(&w, TIDE_TAKEN_BACK);
    actor *a = spawn(&w, "a", selector);
    turn(&w);
    if (ready) tide_completion_end(&it.completion, TIDE_OK);
    actor_kill(a);
    CHECK_EQ(it.freed + it.asked, 0);
    CHECK(!tide_loop_held(w.loop));
    tide_completion_drop(&it.completion);
    CHECK_EQ(it.freed, 1);
    world_close(&w);
  }
}

/* The loop's end. */

static void a_loop_that_goes_first_is_told_of(void) {
  for (int when = 0; when < 3; when++) { /* posted before, after; dropped after */
    world w;
    world_open(&w);
    open_thing(&w, TIDE_TAKEN_BACK);
    if (when == 0) CHECK_EQ(tide_completion_post(&it.completion, TIDE_OK), TIDE_OK);
    world_close(&w);
    if (when == 1) CHECK_EQ(tide_completion_post(&it.completion, TIDE_OK), TIDE_ECLOSED);
    CHECK_EQ(it.freed, 0);
    tide_completion_drop(&it.completion);
    CHECK_EQ(it.freed, 1);
    CHECK_EQ(it.asked, when == 2);
  }
}

/* Races. A thread completes what a task waits for, while the task is cancelled; or while the loop
 * is freed. Each record is freed once: the address sanitizer knows of twice, and of never. */

enum { ROUNDS = 400 };

typedef struct race {
  tide_completion completion;
  tide_taken_back answer; /* TIDE_KEPT, or what is found */
  int moment;             /* how long the caller takes */
} race;

static int races_freed; /* atomic */

static void free_race(tide_completion *completion) {
  free(tide_container(completion, race, completion));
  add_one(&races_freed);
}

static race *shared; /* atomic: the registration, which the caller takes and then completes */
static int no_more;  /* atomic */

static void *caller(void *argument) {
  (void)argument;
  while (!flag_of(&no_more)) {
    race *self = __atomic_exchange_n(&shared, NULL, __ATOMIC_ACQ_REL);
    if (self == NULL) continue;
    for (volatile int i = 0; i < self->moment; i++) continue;
    tide_completion_post(&self->completion, TIDE_OK);
  }
  return NULL;
}

static race *current;

/* What is registered still is taken back from there. */
static tide_taken_back take_from_shared(tide_completion *completion) {
  race *self = tide_container(completion, race, completion);
  race *expected = self;
  if (self->answer == TIDE_KEPT) return TIDE_KEPT;
  return __atomic_compare_exchange_n(&shared, &expected, NULL, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED)
             ? TIDE_TAKEN_BACK
             : TIDE_TOO_LATE;
}

static const tide_completion_ops shared_ops = {.cancel = take_from_shared, .free = free_race};

static void racer(actor *self) {
  BEGIN;
  WAIT(tide_completion_wait(&current->completion, &self->task));
  if (self->outcome != TIDE_ECANCELLED) tide_completion_drop(&current->completion);
  END;
}

static race *race_new(tide_loop *loop, int moment) {
  race *self = malloc(sizeof *self);
  CHECK(self != NULL);
  *self = (race){.moment = moment};
  tide_completion_init(&self->completion, loop, &shared_ops);
  return self;
}

static void wait_a_moment(int moment) {
  for (volatile int i = 0; i < moment; i++) continue;
}

static void cancelled_while_a_thread_completes_it(void) {
  crew one = {.count = 0};
  int cancelled = 0;
  races_freed = no_more = 0;
  start(&one, caller, NULL);
  for (int i = 0; i < ROUNDS; i++) {
    world w;
    world_open_real(&w);
    current = race_new(w.loop, i * 37 % 1000);
    current->answer = i % 3 == 0 ? TIDE_KEPT : TIDE_TAKEN_BACK;
    actor *a = spawn(&w, "a", racer);
    turn(&w);
    __atomic_store_n(&shared, current, __ATOMIC_RELEASE);
    wait_a_moment(i * 91 % 3000);
    if (i % 5 == 4)
      actor_kill(a);
    else
      tide_task_cancel(&a->task);
    if (!actor_ended(a)) CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
    cancelled += a->outcome == TIDE_ECANCELLED;
    if (i % 2) { /* what is late comes while the loop is there, else while it is freed, or after */
      while (__atomic_load_n(&races_freed, __ATOMIC_ACQUIRE) <= i) turn(&w);
    }
    world_close(&w);
    while (__atomic_load_n(&races_freed, __ATOMIC_ACQUIRE) <= i) sched_yield();
  }
  raise_flag(&no_more);
  join_all(&one);
  CHECK_EQ(races_freed, ROUNDS);
  CHECK(cancelled > 0);
}

/* Many at once, from several threads, none of them cancelled. */

enum { MANY = 500 };

static tide_completion many[MANY];

static void *complete_many(void *argument) {
  for (int i = *(int *)argument; i < MANY; i += 2) tide_completion_post(&many[i], TIDE_OK);
  return NULL;
}

static const tide_completion_ops plain = {.name = NULL};

static void collector(actor *self) {
  BEGIN;
  for (self->i = 0; self->i < MANY; self->i++)
    TRY(tide_completion_wait(&many[self->i], &self->task));
  END;
}

static void two_threads_complete_many(void) {
  static int from[] = {0, 1};
  world w;
  crew two = {.count = 0};
  world_open_real(&w);
  for (int i = 0; i < MANY; i++) tide_completion_init(&many[i], w.loop, &plain);
  actor *a = spawn(&w, "a", collector);
  turn(&w);
  CHECK_TEXT(tide_task_waits_for(&a->task), "completion");
  start(&two, complete_many, &from[0]);
  start(&two, complete_many, &from[1]);
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
  join_all(&two);
  for (int i = 0; i < MANY; i++) tide_completion_drop(&many[i]);
  CHECK_EQ(a->outcome, TIDE_OK);
  world_close(&w);
}

int main(void) {
  RUN(the_wait_gives_the_result);
  RUN(it_may_come_before_the_wait);
  RUN(a_second_end_is_told_and_changes_nothing);
  RUN(one_task_at_a_time_waits);
  RUN(taken_back_it_is_gone_at_once);
  RUN(what_comes_too_late_is_told_and_is_the_last_to_go);
  RUN(what_is_kept_is_waited_for);
  RUN(a_result_that_is_on_its_way_is_not_lost);
  RUN(cancelling_may_complete_it_there_and_then);
  RUN(in_a_cancelled_scope_it_is_asked_to_be_taken_back);
  RUN(a_caller_may_say_that_it_was_cancelled);
  RUN(dropped_unwaited_for);
  RUN(dropped_with_its_result_on_the_way);
  RUN(an_interrupted_wait_leaves_it_alone);
  RUN(struck_at_any_point_it_is_freed_once);
  RUN(select_waits_for_it_and_takes_nothing_back);
  RUN(twice_in_one_select_is_refused);
  RUN(a_select_whose_task_is_killed_leaves_it_to_who_cleans_up);
  RUN(a_loop_that_goes_first_is_told_of);
  RUN(cancelled_while_a_thread_completes_it);
  RUN(two_threads_complete_many);
  return check_summary();
}
