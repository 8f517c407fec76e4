/* loop_clock.c: the clocks of a loop, real and virtual, its polls, and how exact sleeps are. */
#include <sys/resource.h>

#include "loop.h"

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

/* Steps that take long, beside sleepers of a millisecond. */

static void plodder(actor *self) {
  BEGIN;
  for (;;) {
    waste(2 * MS);
    TRY(tide_task_yield(&self->task));
  }
  END;
}

static uint64_t most; /* turns that a sleep took */

static void dozer(actor *self) {
  BEGIN;
  for (self->i = 0; self->i < 10; self->i++) {
    self->data = (void *)(uintptr_t)self->world->loop->turns;
    TRY(tide_task_sleep_until(&self->task, tide_loop_after(self->world->loop, MS)));
    uint64_t took = self->world->loop->turns - (uint64_t)(uintptr_t)self->data;
    if (took > most) most = took;
  }
  END;
}

/* What is quick comes and goes, before the slow one or after it. */
static void crowd(actor *self) {
  BEGIN;
  for (;;) {
    TRY(tide_task_yield(&self->task));
    TRY(tide_task_sleep_until(&self->task, tide_loop_after(self->world->loop, 5 * MS)));
  }
  END;
}

static void doze_beside(unsigned before, unsigned after) {
  world w;
  world_open_real(&w);
  most = 0;
  for (unsigned i = 0; i < before; i++) spawn(&w, "quick", crowd);
  spawn(&w, "slow", plodder);
  actor *a = spawn(&w, "a", dozer);
  for (unsigned i = 0; i < after; i++) spawn(&w, "quick", crowd);
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
  CHECK(most >= 1 && most <= 2);
  cancel_all(&w);
  world_close(&w);
}

static void slow_steps_keep_no_sleeper_waiting_for_more_than_two_turns(void) {
  static const unsigned crowds[][2] = {{0, 0}, {1, 0}, {0, 1}, {2, 2}, {5, 0}, {0, 5}};
  for (size_t i = 0; i < sizeof crowds / sizeof crowds[0]; i++)
    doze_beside(crowds[i][0], crowds[i][1]);
}

static void starter(actor *self) {
  BEGIN;
  TRY(tide_task_sleep_until(&self->task, tide_loop_after(self->world->loop, 10 * MS)));
  spawn(self->world, "slow", plodder);
  self->data = &spawn(self->world, "a", dozer)->task.future;
  TRY(tide_future_wait(self->data, &self->task, false));
  END;
}

static void what_becomes_slow_after_an_idle_poll_is_seen_at_once(void) {
  world w;
  world_open_real(&w);
  most = 0;
  actor *a = spawn(&w, "starter", starter);
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
  CHECK(most >= 1 && most <= 2);
  cancel_all(&w);
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

static void virtual_time_that_went_slower_is_no_reason_to_spin(void) {
  world w;
  world_open_real(&w);
  w.loop->ahead -= 2000000000; /* what a virtual clock has left */
  tide_loop_update_now(w.loop);
  actor *b = spawn(&w, "b", sleeper);
  b->i = 30;
  int turns = 0;
  for (; !actor_ended(b); turns++) tide_loop_turn(w.loop, true);
  CHECK(turns <= 6);
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

static void a_loop_has_both_its_descriptors_or_is_none(void) {
  struct rlimit usual, few;
  int next = dup(fileno(stderr));
  close(next);
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
  few = usual;
  for (unsigned spare = 0; spare < 2; spare++) {
    few.rlim_cur = (rlim_t)next + spare; /* one is for libev's epoll */
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    tide_loop *loop = tide_loop_new(NULL);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
    CHECK(loop == NULL);
  }
  int after = dup(fileno(stderr));
  close(after);
  CHECK_EQ(after, next);
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

static void an_endless_sleep_is_worth_a_run_where_a_signal_may_cancel_it(void) {
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
  CHECK(!tide_loop_signals(w.loop));
  tide_loop_set_signals(w.loop, true);
  CHECK(tide_loop_signals(w.loop));
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

int main(void) {
  RUN(the_clock_stands_still_during_a_turn_unless_it_is_read_afresh);
  RUN(a_relative_time_counts_from_the_call_however_long_the_turn_has_lasted);
  RUN(virtual_time_stands_still_for_relative_times_too);
  RUN(a_host_that_was_frozen_sees_its_deadlines_in_order);
  RUN(a_turn_that_must_not_block_does_not);
  RUN(polls_are_rare_while_steps_are_quick);
  RUN(every_turn_polls_once_steps_are_slow);
  RUN(slow_steps_keep_no_sleeper_waiting_for_more_than_two_turns);
  RUN(what_becomes_slow_after_an_idle_poll_is_seen_at_once);
  RUN(a_loop_with_nothing_to_do_but_wait_does_not_spin);
  RUN(virtual_time_that_went_slower_is_no_reason_to_spin);
  RUN(short_sleeps_are_not_rounded_up_to_milliseconds);
  RUN(a_loop_has_both_its_descriptors_or_is_none);
  RUN(busy_tasks_do_not_starve_sleepers);
  RUN(an_endless_sleep_is_worth_a_run_where_a_signal_may_cancel_it);
  return check_summary();
}
