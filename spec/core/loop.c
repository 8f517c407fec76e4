/* loop.c: turns, polls, clocks, deferred work; the end of a run; the end of a loop. */
#include <sys/resource.h>
#include <unistd.h>

#include "script.h"

static tide_future future;

/* Runs. */

static void sleeper(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, self->i != 0 ? (unsigned)self->i : 1000));
  say(self, "slept");
  END;
}

static void resolver(actor *self) {
  BEGIN;
  TRY(tide_task_yield(&self->task));
  tide_future_end(&future, TIDE_FUTURE_DONE);
  END;
}

static void open_world(world *w) {
  world_open(w);
  tide_future_init(&future);
}

static void cancel_all(world *w) {
  tide_scope *all = &tide_loop_background(w->loop)->scope;
  tide_scope_cancel(all, w->loop);
  settle(w);
  tide_scope_uncancel(all);
}

static void a_run_ends_with_its_future_and_waits_for_nothing_else(void) {
  world w;
  open_world(&w);
  tide_time began = tide_loop_now(w.loop);
  spawn(&w, "other", sleeper);
  spawn(&w, "main", resolver);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_OK);
  CHECK_EQ(tide_loop_now(w.loop), began);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_OK); /* it has ended: at once */
  cancel_all(&w);
  world_close(&w);
}

static void a_run_whose_last_task_ends_its_future_is_no_deadlock(void) {
  world w;
  open_world(&w);
  actor *a = spawn(&w, "main", resolver);
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
  CHECK(actor_ended(a));
  world_close(&w);
}

static void turner(actor *self) {
  BEGIN;
  say(self, "%d %d %d", tide_loop_turning(self->world->loop),
      tide_loop_turn(self->world->loop, false), tide_loop_run(self->world->loop, NULL));
  END;
}

static void a_turn_inside_a_turn_is_refused(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", turner);
  CHECK_EQ(tide_loop_turn(w.loop, false), TIDE_OK);
  CHECK(!tide_loop_turning(w.loop));
  char expected[32];
  snprintf(expected, sizeof expected, "a 1 %d %d", TIDE_EALREADY_RUNNING, TIDE_EALREADY_RUNNING);
  CHECK_LOG(&w, expected);
  world_close(&w);
}

static void a_stop_is_for_this_run_or_the_next(void) {
  world w;
  open_world(&w);
  tide_loop_stop(w.loop);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_OK);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_EDEADLOCK);
  world_close(&w);
}

static void a_run_whose_future_nothing_can_end_is_a_deadlock(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", sleeper);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_EDEADLOCK);
  CHECK_LOG(&w, "a slept"); /* while there were deadlines it was none */
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_EDEADLOCK); /* also where no task is left */
  world_close(&w);
}

static void waiter(actor *self) {
  BEGIN;
  TRY(tide_future_wait(&future, &self->task, false));
  END;
}

static void a_run_without_a_future_ends_well_where_no_task_is_left(void) {
  world w;
  open_world(&w);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  spawn(&w, "a", sleeper);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  CHECK_LOG(&w, "a slept");
  actor *b = spawn(&w, "b", waiter);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_EDEADLOCK);
  actor_kill(b);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  world_close(&w);
}

static void stopper(actor *self) {
  BEGIN;
  tide_loop_stop(self->world->loop);
  say(self, "stops");
  TRY(tide_task_yield(&self->task));
  say(self, "goes on");
  END;
}

static void stop_ends_the_run_after_the_turn_and_it_can_go_on(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", stopper);
  spawn(&w, "b", sleeper);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  CHECK_LOG(&w, "a stops");
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  CHECK_LOG(&w, "a goes on, b slept");
  world_close(&w);
}

/* Turns. */

static void counter(actor *self) {
  BEGIN;
  for (;;) {
    self->i++;
    TRY(tide_task_yield(&self->task));
  }
  END;
}

static void one_turn_steps_every_ready_task_once(void) {
  world w;
  open_world(&w);
  for (int i = 0; i < 3; i++) spawn(&w, "a", counter);
  for (int n = 1; n < 100; n++) {
    turn(&w);
    for (int i = 0; i < 3; i++) CHECK_EQ(w.actors[i].i, n);
  }
  cancel_all(&w);
  world_close(&w);
}

static void burner(actor *self) {
  BEGIN;
  TRY(tide_task_yield(&self->task));
  tide_time until = tide_clock_monotonic() + 3000000;
  while (tide_clock_monotonic() < until) continue;
  CHECK(tide_loop_get_stats(self->world->loop).longest_slice >= 3000000);
  TRY(tide_task_yield(&self->task));
  END;
}

static void stats_tell_of_steps_and_of_the_longest(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", burner);
  CHECK_EQ((int)tide_loop_get_stats(w.loop).steps, 0);
  settle(&w);
  CHECK_EQ((int)tide_loop_get_stats(w.loop).steps, 3);
  tide_time longest = tide_loop_get_stats(w.loop).longest_slice;
  CHECK(longest >= 3000000);
  tide_time until = tide_clock_monotonic() + 2 * longest;
  while (tide_clock_monotonic() < until) continue; /* the host is busy: that is no slice */
  settle(&w);
  CHECK(tide_loop_get_stats(w.loop).longest_slice == longest);
  world_close(&w);
}

static void stats_tell_what_the_loop_holds(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", counter);
  spawn(&w, "b", sleeper);
  tide_loop_stats stats = tide_loop_get_stats(w.loop);
  CHECK(stats.turns == 0 && stats.ready == 2 && stats.timers == 0 && stats.watching == 0);
  turn(&w);
  stats = tide_loop_get_stats(w.loop);
  CHECK(stats.turns == 1 && stats.ready == 1 && stats.timers == 1 && stats.watching == 0);
  cancel_all(&w);
  world_close(&w);
}

static void the_next_deadline_is_known(void) {
  world w;
  open_world(&w);
  CHECK(tide_loop_deadline(w.loop) == TIDE_NEVER);
  spawn(&w, "a", sleeper);
  CHECK_EQ(tide_loop_deadline(w.loop), tide_loop_now(w.loop));
  turn(&w);
  CHECK_EQ(tide_loop_deadline(w.loop), after_ms(&w, 1000));
  settle(&w);
  CHECK(tide_loop_deadline(w.loop) == TIDE_NEVER);
  world_close(&w);
}

static void a_turn_that_must_not_block_lets_no_virtual_time_pass(void) {
  world w;
  open_world(&w);
  tide_time began = tide_loop_now(w.loop);
  spawn(&w, "a", sleeper);
  for (int i = 0; i < 10; i++) turn(&w);
  CHECK_EQ(tide_loop_now(w.loop), began);
  tide_loop_update_now(w.loop); /* has no say in virtual time */
  CHECK_EQ(tide_loop_now(w.loop), began);
  CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  CHECK_EQ(tide_loop_now(w.loop) - began, 1000000000);
  settle(&w);
  world_close(&w);
}

static void virtual_time_stands_still_while_a_task_is_ready(void) {
  world w;
  open_world(&w);
  tide_time began = tide_loop_now(w.loop);
  spawn(&w, "a", sleeper);
  actor *busy = spawn(&w, "b", counter);
  for (int i = 0; i < 1000; i++) CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  CHECK_EQ(tide_loop_now(w.loop), began);
  tide_task_cancel(&busy->task);
  settle(&w);
  world_close(&w);
}

static void virtual_time_may_be_left_and_never_goes_back(void) {
  world w;
  open_world(&w);
  CHECK(tide_loop_clock_is_virtual(w.loop));
  tide_time began = tide_loop_now(w.loop), real = tide_clock_monotonic();
  spawn(&w, "a", sleeper); /* for a second */
  settle(&w);
  CHECK_EQ(tide_loop_now(w.loop) - began, 1000000000);
  spawn(&w, "b", sleeper)->i = 20;
  turn(&w);
  tide_loop_set_real_clock(w.loop);
  CHECK(!tide_loop_clock_is_virtual(w.loop));
  tide_loop_set_real_clock(w.loop); /* harmless */
  CHECK_EQ(tide_loop_deadline(w.loop), after_ms(&w, 20));
  settle(&w);
  CHECK(tide_loop_now(w.loop) - began >= 1020000000);
  CHECK(tide_clock_monotonic() - real >= 20000000);
  tide_time left = tide_loop_now(w.loop);
  tide_loop_update_now(w.loop);
  CHECK(tide_loop_now(w.loop) >= left);
  tide_loop_set_virtual_clock(w.loop);
  spawn(&w, "c", sleeper)->i = 3600000;
  settle(&w);
  CHECK(tide_loop_now(w.loop) - left >= (tide_time)3600000 * 1000000);
  CHECK(tide_clock_monotonic() - real < FOR_EVER);
  CHECK_LOG(&w, "a slept, b slept, c slept");
  world_close(&w);
}

/* Seeds. */

static void four_in_the_order_of(world *w, uint64_t seed) {
  static const char *const names[] = {"a", "b", "c", "d"};
  open_world(w);
  tide_loop_set_seed(w->loop, seed);
  for (int i = 0; i < 4; i++) spawn(w, names[i], sleeper)->i = 10;
  settle(w);
}

static void without_a_seed_tasks_run_in_the_order_in_which_they_became_ready(void) {
  world w;
  four_in_the_order_of(&w, 0);
  CHECK_EQ(tide_loop_seed(w.loop), 0);
  CHECK_LOG(&w, "a slept, b slept, c slept, d slept");
  world_close(&w);
}

static void a_seed_decides_the_order_of_every_turn(void) {
  enum { SEEDS = 40 };
  static char logs[SEEDS][sizeof((world *)0)->log];
  int different = 0;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    world w, again;
    four_in_the_order_of(&w, seed);
    four_in_the_order_of(&again, seed);
    CHECK_TEXT(w.log, again.log);
    CHECK_EQ(tide_loop_seed(w.loop), tide_loop_seed(again.loop));
    memcpy(logs[seed - 1], w.log, sizeof w.log);
    if (strcmp(w.log, logs[0]) != 0) different++;
    world_close(&w);
    world_close(&again);
  }
  CHECK(different > SEEDS / 2);
}

static void a_seed_may_be_taken_up_where_it_was_left(void) {
  world w, v;
  four_in_the_order_of(&w, 5);
  four_in_the_order_of(&v, 9);
  tide_loop_set_seed(v.loop, tide_loop_seed(w.loop));
  CHECK_EQ(tide_loop_seed(v.loop), tide_loop_seed(w.loop));
  for (int i = 0; i < 4; i++) {
    spawn(&w, "e", sleeper)->i = 10 + i;
    spawn(&v, "e", sleeper)->i = 10 + i;
  }
  settle(&w);
  settle(&v);
  CHECK_EQ(tide_loop_seed(v.loop), tide_loop_seed(w.loop));
  world_close(&w);
  world_close(&v);
}

/* Deferred work. */

typedef struct chore {
  tide_defer defer;
  world *world;
  const char *name;
  struct chore *next;
} chore;

static void do_chore(tide_defer *defer) {
  chore *self = tide_container(defer, chore, defer);
  actor speaker = {.world = self->world, .name = self->name};
  CHECK(tide_loop_current(self->world->loop) == NULL);
  say(&speaker, "done");
  if (self->next != NULL) tide_defer_start(&self->next->defer, self->world->loop);
}

static void chore_init(chore *self, world *w, const char *name) {
  *self = (chore){.world = w, .name = name};
  tide_defer_init(&self->defer, do_chore);
}

static void talker(actor *self) {
  chore *first = self->data;
  BEGIN;
  tide_defer_start(&first->defer, self->world->loop);
  tide_defer_start(&first->defer, self->world->loop); /* is started already */
  say(self, "starts it");
  END;
}

static void deferred_work_is_done_once_when_the_turn_ends(void) {
  world w;
  chore sweep;
  open_world(&w);
  chore_init(&sweep, &w, "sweep");
  spawn(&w, "a", talker)->data = &sweep;
  spawn(&w, "b", talker)->data = &sweep;
  turn(&w);
  CHECK_LOG(&w, "a starts it, b starts it, sweep done");
  turn(&w);
  CHECK_LOG(&w, "");
  world_close(&w);
}

static void deferred_work_may_start_more_and_be_called_off(void) {
  world w;
  chore sweep, mop, wash, dry;
  open_world(&w);
  chore_init(&sweep, &w, "sweep");
  chore_init(&mop, &w, "mop");
  chore_init(&wash, &w, "wash");
  chore_init(&dry, &w, "dry");
  sweep.next = &wash;
  tide_defer_start(&sweep.defer, w.loop);
  tide_defer_start(&mop.defer, w.loop);
  tide_defer_start(&dry.defer, w.loop);
  CHECK_EQ(tide_loop_deadline(w.loop), tide_loop_now(w.loop));
  tide_defer_cancel(&dry.defer);
  tide_defer_cancel(&dry.defer);
  turn(&w);
  CHECK_LOG(&w, "sweep done, mop done, wash done");
  world_close(&w);
}

/* What is done when it was not touched for a second. */

typedef struct spare {
  tide_idle idle;
  world *w;
  const char *name;
  bool again; /* touches it anew */
} spare;

static void give_back(tide_idle *idle) {
  spare *self = tide_container(idle, spare, idle);
  actor a = {.world = self->w, .name = self->name};
  say(&a, "given back");
  if (self->again) tide_idle_touch(idle, self->w->loop);
  self->again = false;
}

static void spare_touch(spare *self, world *w, const char *name) {
  *self = (spare){.w = w, .name = name};
  tide_idle_init(&self->idle, give_back);
  tide_idle_touch(&self->idle, w->loop);
}

static void sleep_through(world *w, int ms) {
  spawn(w, "sleeper", sleeper)->i = ms;
  settle(w);
  w->log[strlen(w->log) - strlen("sleeper slept")] = '\0';
}

static void what_nobody_touches_for_a_second_is_given_back(void) {
  world w;
  spare x, y, z;
  open_world(&w);
  spare_touch(&x, &w, "x");
  spare_touch(&y, &w, "y");
  spare_touch(&z, &w, "z");
  sleep_through(&w, 600);
  CHECK_LOG(&w, "");
  tide_idle_touch(&x.idle, w.loop);
  tide_idle_cancel(&z.idle);
  tide_idle_cancel(&z.idle);
  CHECK(tide_idle_begun(&x.idle) && !tide_idle_begun(&z.idle));
  sleep_through(&w, 500);
  CHECK_LOG(&w, "y given back, ");
  x.again = true;
  sleep_through(&w, 500);
  CHECK_LOG(&w, "x given back, ");
  sleep_through(&w, 999);
  CHECK_LOG(&w, "");
  sleep_through(&w, 1);
  CHECK_LOG(&w, "x given back, ");
  CHECK(!tide_idle_begun(&x.idle));
  world_close(&w);
}

static void who_leaves_the_loop_alone_gives_it_back_at_once(void) {
  world w;
  spare x, y;
  open_world(&w);
  spare_touch(&x, &w, "x");
  spare_touch(&y, &w, "y");
  x.again = true;
  tide_loop_rest(w.loop);
  CHECK_LOG(&w, "x given back, y given back");
  tide_loop_rest(w.loop);
  tide_loop_rest(w.loop);
  CHECK_LOG(&w, "x given back");
  spare_touch(&x, &w, "x");
  world_close(&w); /* and who frees it does not */
}

/* It ends the poll that waits for something else, once, and is no reason to wait. */
static void giving_back_keeps_nobody(void) {
  world w;
  spare x;
  world_open_real(&w);
  spare_touch(&x, &w, "x");
  CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_EDEADLOCK);
  CHECK_EQ(tide_loop_deadline(w.loop), TIDE_NEVER);
  actor *a = spawn(&w, "a", sleeper);
  a->i = 1500;
  int turns = 0;
  for (; !actor_ended(a); turns++) tide_loop_turn(w.loop, true);
  CHECK_LOG(&w, "x given back, a slept");
  CHECK(turns <= 6);
  world_close(&w);
}

/* Owners that step many tasks in one go. */

static const tide_task_ops batch_ops;
static tide_task batched[6];
static int batch_order[1000], batch_steps, batch_limit, calls;
static chore batch_chore;    /* started by the tenth step */
static int chore_seen_after; /* how many steps had been begun when it was done */

static void note_chore(tide_defer *defer) {
  (void)defer;
  chore_seen_after = batch_steps;
}

static void batch_step(tide_task *task, int outcome) {
  tide_loop *loop = task->loop;
  calls++;
  CHECK_EQ(task->outcome, outcome);
  do {
    CHECK(tide_loop_current(loop) == task);
    batch_order[batch_steps++] = (int)(task - batched);
    if (batch_steps == 10) tide_defer_start(&batch_chore.defer, loop);
    if (batch_steps > batch_limit || task->outcome != TIDE_OK)
      tide_task_finish(task, TIDE_FUTURE_DONE);
    else
      CHECK_EQ(tide_task_yield(task), TIDE_PENDING);
  } while ((task = tide_task_next(loop, &batch_ops)) != NULL);
}

static const tide_task_ops batch_ops = {.step = batch_step};

static void spawn_batched(world *w, int from, int to) {
  for (int i = from; i < to; i++) {
    tide_task_init(&batched[i], w->loop, &batch_ops);
    CHECK_EQ(tide_task_spawn(&batched[i], tide_loop_background(w->loop)), TIDE_OK);
  }
}

static void open_batch(world *w, int limit) {
  open_world(w);
  batch_steps = calls = chore_seen_after = 0;
  batch_limit = limit;
  tide_defer_init(&batch_chore.defer, note_chore);
}

static void one_call_may_step_the_whole_turn_in_order(void) {
  world w;
  open_batch(&w, 18);
  spawn_batched(&w, 0, 3);
  spawn(&w, "other", resolver);
  spawn_batched(&w, 3, 6);
  turn(&w);
  CHECK_EQ(calls, 2); /* before and behind the other */
  turn(&w);
  CHECK_EQ(w.loop->turns, 2);
  CHECK_EQ(batch_steps, 12);
  CHECK_EQ(chore_seen_after, 12);
  settle(&w);
  for (int i = 0; i < batch_steps; i++) CHECK_EQ(batch_order[i], i % 6);
  CHECK_EQ(batch_steps, 24);
  world_close(&w);
}

static void in_a_run_one_call_may_go_over_turns(void) {
  world w;
  open_batch(&w, 600);
  spawn_batched(&w, 0, 6);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  for (int i = 0; i < batch_steps; i++) CHECK_EQ(batch_order[i], i % 6);
  CHECK_EQ(batch_steps, 606);
  CHECK_EQ(w.loop->turns, 101);
  CHECK(calls < 50);              /* but for polls, one would do */
  CHECK_EQ(chore_seen_after, 12); /* at the end of its turn, nevertheless */
  world_close(&w);
}

static void in_a_run_one_call_does_not_go_beyond_its_end(void) {
  world w;
  open_batch(&w, 18);
  spawn_batched(&w, 0, 6);
  spawn(&w, "main", resolver);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_OK);
  CHECK_EQ(w.loop->turns, 2);
  CHECK_EQ(batch_steps, 12);
  turn(&w); /* outside a run, a call is for one turn at most */
  CHECK_EQ(batch_steps, 18);
  settle(&w);
  world_close(&w);
}

static bool in_order(const int *steps) {
  for (int i = 0; i < 6; i++)
    if (steps[i] != i) return false;
  return true;
}

static void a_seed_shuffles_turns_that_follow_without_a_return_too(void) {
  int ordered = 0;
  world w;
  open_batch(&w, 594);
  tide_loop_set_seed(w.loop, 1);
  spawn_batched(&w, 0, 6);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  for (int at = 0; at < 594; at += 6) {
    int seen_in_turn = 0;
    for (int i = 0; i < 6; i++) seen_in_turn |= 1 << batch_order[at + i];
    CHECK_EQ(seen_in_turn, 63); /* every task once */
    ordered += in_order(batch_order + at);
  }
  CHECK(ordered < 5);
  CHECK(calls < 50);
  world_close(&w);
}

/* The real clock. */

static void waste(tide_time ns) {
  tide_time until = tide_clock_monotonic() + ns;
  while (tide_clock_monotonic() < until) continue;
}

static tide_time seen[2];

static void clock_watcher(actor *self) {
  BEGIN;
  seen[0] = tide_loop_now(self->world->loop);
  waste(300000);
  seen[1] = tide_loop_now(self->world->loop);
  CHECK_EQ(seen[0], seen[1]);
  tide_loop_update_now(self->world->loop);
  CHECK(tide_loop_now(self->world->loop) >= seen[0] + 300000);
  END;
}

static void the_clock_stands_still_during_a_turn_unless_it_is_read_afresh(void) {
  world w;
  world_open_real(&w);
  spawn(&w, "a", clock_watcher);
  turn(&w);
  world_close(&w);
}

static const tide_time MS = 1000000;

static void latecomer(actor *self) {
  BEGIN;
  waste(3 * MS);
  tide_time called = tide_clock_monotonic();
  tide_time then = tide_loop_after(self->world->loop, 5 * MS);
  CHECK(then + MS >= called + 5 * MS);
  tide_time again = tide_loop_after(self->world->loop, 5 * MS);
  CHECK(again == then || again > then + MS); /* the same unless it was long ago */
  CHECK_EQ(tide_loop_after(self->world->loop, TIDE_NEVER), TIDE_NEVER);
  END;
}

static void a_relative_time_counts_from_the_call_however_long_the_turn_has_lasted(void) {
  world w;
  world_open_real(&w);
  spawn(&w, "a", latecomer);
  turn(&w);
  waste(3 * MS); /* between turns as well */
  tide_time called = tide_clock_monotonic();
  CHECK(tide_loop_after(w.loop, 0) + MS >= called);
  world_close(&w);
}

static void virtual_time_stands_still_for_relative_times_too(void) {
  world w;
  world_open(&w);
  tide_time now = tide_loop_now(w.loop);
  waste(2 * MS);
  CHECK_EQ(tide_loop_after(w.loop, 5), now + 5);
  CHECK_EQ(tide_loop_now(w.loop), now);
  CHECK_EQ(tide_loop_after(w.loop, TIDE_NEVER - 1), TIDE_NEVER);
  world_close(&w);
}

static tide_time base;

static void riser(actor *self) {
  BEGIN;
  TRY(tide_task_sleep_until(&self->task, base + self->i * MS));
  say(self, "rises");
  END;
}

static void of_two(actor *self) {
  BEGIN;
  tide_deadline_init(&self->deadline, &self->scope, self->world->loop);
  tide_scope_init(&self->scope, 0);
  tide_scope_enter(&self->scope, &self->task);
  CHECK_EQ(tide_deadline_set(&self->deadline, base + self->i * MS), TIDE_OK);
  CHECK(tide_scope_cancelled(&self->scope));
  say(self, "is late");
  tide_scope_exit(&self->scope);
  TRY(tide_task_sleep_until(&self->task, base + 4 * MS));
  say(self, "rises");
  END;
}

static void a_host_that_was_frozen_sees_its_deadlines_in_order(void) {
  world w;
  world_open_real(&w);
  base = tide_loop_after(w.loop, 1000 * MS);
  for (unsigned i = 1; i <= 3; i++) {
    actor *a = spawn(&w, (const char *[]){"", "one", "three", "five"}[i], riser);
    a->i = i * 2 - 1;
  }
  turn(&w);
  actor *b = spawn(&w, "four", of_two);
  b->i = 2;
  w.loop->ahead += 5000 * MS; /* the process was stopped for so long */
  tide_loop_after(w.loop, 0);
  for (int i = 0; i < 3; i++) turn(&w); /* four is the first to run, when all others are due */
  CHECK_LOG(&w, "four is late, one rises, three rises, four rises, five rises");
  world_close(&w);
}

static void a_turn_that_must_not_block_does_not(void) {
  world w;
  world_open_real(&w);
  actor *a = spawn(&w, "a", sleeper);
  a->i = 3600000;
  tide_time began = tide_clock_monotonic();
  for (int i = 0; i < 10; i++) turn(&w);
  CHECK(tide_clock_monotonic() - began < FOR_EVER); /* not the hour that it sleeps */
  tide_task_cancel(&a->task);
  turn(&w);
  world_close(&w);
}

static unsigned polls; /* seen as changes of the clock */

static void poll_counter(actor *self) {
  BEGIN;
  for (; self->i < 20000; self->i++) {
    if (seen[0] != tide_loop_now(self->world->loop)) polls++;
    seen[0] = tide_loop_now(self->world->loop);
    TRY(tide_task_yield(&self->task));
  }
  END;
}

static void polls_are_rare_while_steps_are_quick(void) {
  for (int in_run = 0; in_run < 2; in_run++) {
    world w;
    world_open_real(&w);
    polls = 0;
    actor *a = spawn(&w, "a", poll_counter);
    tide_time began = tide_clock_monotonic();
    while (!actor_ended(a))
      CHECK_EQ(in_run ? tide_loop_run(w.loop, &a->task.future) : tide_loop_turn(w.loop, false), 0);
    CHECK(polls <= (tide_clock_monotonic() - began) / 200000 + 2);
    world_close(&w);
  }
}

static void slow(actor *self) {
  BEGIN;
  for (; self->i < 20; self->i++) {
    waste(250000);
    TRY(tide_task_yield(&self->task));
  }
  END;
}

static void every_turn_polls_once_steps_are_slow(void) {
  world w;
  world_open_real(&w);
  spawn(&w, "a", slow);
  polls = 0;
  tide_time last = tide_loop_now(w.loop);
  while (w.actors[0].i < 20) {
    turn(&w);
    polls += tide_loop_now(w.loop) != last;
    last = tide_loop_now(w.loop);
  }
  CHECK(polls >= 18);
  settle(&w);
  world_close(&w);
}

static void a_loop_with_nothing_to_do_but_wait_does_not_spin(void) {
  world w;
  world_open_real(&w);
  actor *a = spawn(&w, "a", sleeper);
  tide_loop_update_now(w.loop);
  a->i = 30;
  tide_time began = tide_loop_now(w.loop);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  tide_time took = tide_clock_monotonic() - began;
  CHECK(took >= 30000000 && took < FOR_EVER);
  CHECK(w.loop->turns < 10);
  world_close(&w);
}

static void short_sleeper(actor *self) {
  BEGIN;
  self->data = (void *)(uintptr_t)after_ms(self->world, 2);
  TRY(sleep_ms(self, 2));
  CHECK(tide_clock_monotonic() >= (tide_time)(uintptr_t)self->data);
  END;
}

static tide_time shortest;

static void napper(actor *self) {
  BEGIN;
  for (; self->i < 300; self->i++) {
    base = tide_clock_monotonic();
    TRY(tide_task_sleep_until(&self->task, tide_loop_after(self->world->loop, MS / 10)));
    tide_time took = tide_clock_monotonic() - base;
    if (took < shortest) shortest = took;
  }
  END;
}

/* On a busy machine many take longer. */
static void short_sleeps_are_not_rounded_up_to_milliseconds(void) {
  world w;
  world_open_real(&w);
  shortest = FOR_EVER;
  actor *a = spawn(&w, "a", napper);
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
  CHECK(shortest < MS);
  world_close(&w);
}

static void a_loop_without_a_descriptor_for_its_alarm_runs_all_the_same(void) {
  world w;
  struct rlimit usual, few;
  int next = dup(fileno(stderr));
  close(next);
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
  few = usual;
  few.rlim_cur = (rlim_t)next + 1; /* for libev's epoll */
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  world_open_real(&w);
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
  actor *a = spawn(&w, "a", short_sleeper);
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
  world_close(&w);
}

static void busy_tasks_do_not_starve_sleepers(void) {
  world w;
  world_open_real(&w);
  actor *busy = spawn(&w, "busy", counter);
  actor *a = spawn(&w, "a", short_sleeper);
  tide_time began = tide_clock_monotonic();
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
  CHECK(tide_clock_monotonic() - began < FOR_EVER);
  tide_task_cancel(&busy->task);
  settle(&w);
  world_close(&w);
}

/* Sleep without end. */

static void endless_sleeper(actor *self) {
  BEGIN;
  TRY(tide_task_sleep_until(&self->task, TIDE_NEVER));
  say(self, "slept");
  END;
}

static tide_task *sleeping;

static void cancel_came(tide_watcher *watcher, int events) {
  (void)events;
  tide_loop_hold(sleeping->loop);
  tide_watcher_set(watcher, sleeping->loop, 0);
  tide_task_cancel(sleeping);
}

static void an_endless_sleep_is_worth_a_run_where_somebody_outside_may_cancel_it(void) {
  world w;
  int ends[2];
  tide_watcher watcher;
  world_open_real(&w);
  tide_future_init(&future);
  CHECK_EQ(pipe(ends), 0);
  actor *a = spawn(&w, "a", endless_sleeper);
  sleeping = &a->task;
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_EDEADLOCK);
  tide_watcher_init(&watcher, ends[0], cancel_came);
  tide_watcher_set(&watcher, w.loop, TIDE_READABLE);
  tide_loop_release(w.loop); /* it only cancels */
  tide_loop_set_cancellable(w.loop, true);
  CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_EDEADLOCK);
  tide_loop_set_virtual_clock(w.loop);
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_EDEADLOCK);
  tide_loop_set_real_clock(w.loop);
  CHECK_EQ(write(ends[1], "!", 1), 1);
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
  CHECK_EQ(a->task.future.state, TIDE_FUTURE_CANCELLED);
  spawn(&w, "b", waiter);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_EDEADLOCK);
  close(ends[0]);
  close(ends[1]);
  cancel_all(&w);
  world_close(&w);
}

/* What is outside. */

typedef struct outside {
  tide_watcher watcher;
  tide_loop *loop;
  int ends[2]; /* of a pipe: what is watched, what is written to */
} outside;

static void outside_came(tide_watcher *watcher, int events) {
  outside *self = tide_container(watcher, outside, watcher);
  CHECK_EQ(events, TIDE_READABLE);
  tide_watcher_set(watcher, self->loop, 0);
  tide_future_end(&future, TIDE_FUTURE_DONE);
}

static void open_outside(outside *self, tide_loop *loop) {
  self->loop = loop;
  CHECK_EQ(pipe(self->ends), 0);
  tide_watcher_init(&self->watcher, self->ends[0], outside_came);
}

static void close_outside(outside *self) {
  close(self->ends[0]);
  close(self->ends[1]);
}

static void a_watcher_that_is_set_can_wake_a_task(void) {
  for (int is_virtual = 0; is_virtual < 2; is_virtual++) {
    world w;
    outside o;
    (is_virtual ? world_open : world_open_real)(&w);
    tide_future_init(&future);
    open_outside(&o, w.loop);
    actor *a = spawn(&w, "a", waiter);
    CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_EDEADLOCK);
    for (int i = 0; i < 3; i++)
      tide_watcher_set(&o.watcher, w.loop, TIDE_READABLE); /* counts once */
    CHECK(tide_loop_held(w.loop));
    CHECK_EQ(tide_loop_get_stats(w.loop).watching, 1);
    CHECK_EQ(write(o.ends[1], "!", 1), 1);
    CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
    CHECK(!tide_loop_held(w.loop));
    CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
    close_outside(&o);
    world_close(&w);
  }
}

static void a_loop_that_is_held_waits_for_what_it_does_not_know(void) {
  world w;
  outside o;
  world_open_real(&w);
  tide_future_init(&future);
  open_outside(&o, w.loop);
  tide_watcher_set(&o.watcher, w.loop, TIDE_READABLE);
  tide_loop_release(w.loop); /* the watcher is no reason to wait */
  actor *a = spawn(&w, "a", waiter);
  CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_EDEADLOCK);
  tide_loop_hold(w.loop);
  tide_loop_hold(w.loop);
  tide_loop_release(w.loop);
  CHECK_EQ(write(o.ends[1], "!", 1), 1);
  tide_loop_hold(w.loop); /* for the watcher, which unsets itself */
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
  CHECK(tide_loop_held(w.loop));
  tide_loop_release(w.loop);
  CHECK_EQ(tide_loop_run(w.loop, NULL), TIDE_OK);
  close_outside(&o);
  world_close(&w);
}

static void virtual_time_of_a_held_loop_jumps_after_the_threshold(void) {
  world w;
  world_open(&w);
  tide_loop_set_autojump_threshold(w.loop, 20 * MS);
  for (int held = 0; held < 2; held++) {
    tide_time began = tide_loop_now(w.loop), real = tide_clock_monotonic();
    if (held) tide_loop_hold(w.loop);
    actor *a = spawn(&w, "a", sleeper);
    CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
    CHECK(tide_loop_now(w.loop) > began);
    CHECK(!held || tide_clock_monotonic() - real >= 20 * MS);
  }
  tide_loop_release(w.loop);
  world_close(&w);
}

/* The end of what is run for. */

typedef struct transient {
  tide_task task; /* first */
  world *world;
} transient;

static void step_and_free(tide_task *task, int outcome) {
  transient *self = (transient *)task;
  (void)outcome;
  tide_task_finish(task, TIDE_FUTURE_FAILED);
  memset(self, 0xff, sizeof *self);
  free(self);
}

static transient *transient_new(world *w) {
  static const tide_task_ops ops = {.step = step_and_free};
  transient *self = malloc(sizeof *self);
  self->world = w;
  tide_task_init(&self->task, w->loop, &ops);
  return self;
}

static void a_task_that_a_run_is_for_may_free_itself_in_its_last_step(void) {
  for (int cancelled = 0; cancelled < 2; cancelled++) {
    world w;
    world_open(&w);
    spawn(&w, "busy", counter);
    transient *self = transient_new(&w);
    CHECK_EQ(tide_task_spawn(&self->task, tide_loop_background(w.loop)), TIDE_OK);
    if (cancelled) tide_task_cancel(&self->task);
    CHECK_EQ(tide_loop_run(w.loop, &self->task.future), TIDE_OK);
    CHECK_EQ(w.loop->turns, 1);
    cancel_all(&w);
    world_close(&w);
  }
}

static tide_future *transient_future;

static void freer(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 1));
  tide_future_end(transient_future, TIDE_FUTURE_DONE);
  memset(transient_future, 0xff, sizeof *transient_future);
  free(transient_future);
  END;
}

static void a_future_that_a_run_is_for_may_be_freed_by_whoever_ends_it(void) {
  world w;
  world_open(&w);
  transient_future = malloc(sizeof *transient_future);
  tide_future_init(transient_future);
  spawn(&w, "a", freer);
  CHECK_EQ(tide_loop_run(w.loop, transient_future), TIDE_OK);
  tide_future_init(&future);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_EDEADLOCK); /* and then lets go of it */
  CHECK(tide_list_empty(&future.waiters));
  tide_loop_stop(w.loop);
  CHECK_EQ(tide_loop_run(w.loop, &future), TIDE_OK);
  CHECK(tide_list_empty(&future.waiters));
  world_close(&w);
}

/* Loops. */

static void loops_share_nothing(void) {
  world v, w;
  open_world(&v);
  world_open(&w);
  spawn(&v, "v", sleeper);
  spawn(&w, "w", resolver);
  settle(&w);
  CHECK(tide_future_ended(&future));
  CHECK_LOG(&v, "");
  settle(&v);
  CHECK_LOG(&v, "v slept");
  world_close(&v);
  world_close(&w);
}

static void without_memory_there_is_none(void) {
  memory m = {.fail_at = 1};
  tide_allocator allocator = {.resize = memory_resize, .context = &m};
  CHECK(tide_loop_new(&allocator) == NULL);
  CHECK_EQ(m.in_use, 0);
  tide_loop_free(NULL);
}

static void not_watched(tide_watcher *watcher, int events) {
  (void)watcher;
  (void)events;
}

static void it_can_be_freed_with_tasks_and_timers_and_watchers(void) {
  world w;
  tide_watcher watcher;
  tide_deadline deadline;
  tide_defer defer;
  int fd = fileno(stderr);
  open_world(&w);
  spawn(&w, "ready", counter);
  spawn(&w, "waiting", sleeper);
  turn(&w);
  spawn(&w, "new", sleeper);
  tide_deadline_init(&deadline, &w.actors[1].scope, w.loop);
  CHECK_EQ(tide_deadline_set(&deadline, after_ms(&w, 5)), TIDE_OK);
  tide_watcher_init(&watcher, fd, not_watched);
  tide_watcher_set(&watcher, w.loop, TIDE_WRITABLE);
  tide_defer_init(&defer, NULL);
  tide_defer_start(&defer, w.loop);
  tide_loop_free(w.loop);
  CHECK_EQ(w.memory.in_use, 0);
}

int main(void) {
  RUN(a_run_ends_with_its_future_and_waits_for_nothing_else);
  RUN(a_run_whose_last_task_ends_its_future_is_no_deadlock);
  RUN(a_turn_inside_a_turn_is_refused);
  RUN(a_stop_is_for_this_run_or_the_next);
  RUN(a_run_whose_future_nothing_can_end_is_a_deadlock);
  RUN(a_run_without_a_future_ends_well_where_no_task_is_left);
  RUN(stop_ends_the_run_after_the_turn_and_it_can_go_on);
  RUN(one_turn_steps_every_ready_task_once);
  RUN(stats_tell_what_the_loop_holds);
  RUN(stats_tell_of_steps_and_of_the_longest);
  RUN(the_next_deadline_is_known);
  RUN(a_turn_that_must_not_block_lets_no_virtual_time_pass);
  RUN(virtual_time_stands_still_while_a_task_is_ready);
  RUN(virtual_time_may_be_left_and_never_goes_back);
  RUN(without_a_seed_tasks_run_in_the_order_in_which_they_became_ready);
  RUN(a_seed_decides_the_order_of_every_turn);
  RUN(a_seed_may_be_taken_up_where_it_was_left);
  RUN(deferred_work_is_done_once_when_the_turn_ends);
  RUN(deferred_work_may_start_more_and_be_called_off);
  RUN(what_nobody_touches_for_a_second_is_given_back);
  RUN(who_leaves_the_loop_alone_gives_it_back_at_once);
  RUN(giving_back_keeps_nobody);
  RUN(one_call_may_step_the_whole_turn_in_order);
  RUN(in_a_run_one_call_may_go_over_turns);
  RUN(in_a_run_one_call_does_not_go_beyond_its_end);
  RUN(a_seed_shuffles_turns_that_follow_without_a_return_too);
  RUN(the_clock_stands_still_during_a_turn_unless_it_is_read_afresh);
  RUN(a_relative_time_counts_from_the_call_however_long_the_turn_has_lasted);
  RUN(virtual_time_stands_still_for_relative_times_too);
  RUN(a_host_that_was_frozen_sees_its_deadlines_in_order);
  RUN(a_turn_that_must_not_block_does_not);
  RUN(polls_are_rare_while_steps_are_quick);
  RUN(every_turn_polls_once_steps_are_slow);
  RUN(a_loop_with_nothing_to_do_but_wait_does_not_spin);
  RUN(short_sleeps_are_not_rounded_up_to_milliseconds);
  RUN(a_loop_without_a_descriptor_for_its_alarm_runs_all_the_same);
  RUN(busy_tasks_do_not_starve_sleepers);
  RUN(an_endless_sleep_is_worth_a_run_where_somebody_outside_may_cancel_it);
  RUN(a_watcher_that_is_set_can_wake_a_task);
  RUN(a_loop_that_is_held_waits_for_what_it_does_not_know);
  RUN(virtual_time_of_a_held_loop_jumps_after_the_threshold);
  RUN(a_task_that_a_run_is_for_may_free_itself_in_its_last_step);
  RUN(a_future_that_a_run_is_for_may_be_freed_by_whoever_ends_it);
  RUN(loops_share_nothing);
  RUN(without_memory_there_is_none);
  RUN(it_can_be_freed_with_tasks_and_timers_and_watchers);
  return check_summary();
}
