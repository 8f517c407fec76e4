/* event.c: a flag that tasks wait for. */
#include "script.h"

static tide_event event;

static void waiter(actor *self) {
  BEGIN;
  TRY(tide_event_wait(&event, &self->task));
  say(self, "saw it");
  END;
}

static void open_world(world *w) {
  world_open(w);
  tide_event_init(&event);
}

static void setting_it_wakes_all_in_order(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", waiter);
  spawn(&w, "b", waiter);
  settle(&w);
  CHECK_LOG(&w, "");
  tide_event_set(&event);
  tide_event_set(&event);
  settle(&w);
  CHECK_LOG(&w, "a saw it, b saw it");
  world_close(&w);
}

static void while_it_is_set_nobody_waits(void) {
  world w;
  open_world(&w);
  tide_event_set(&event);
  actor *a = spawn(&w, "a", waiter);
  settle(&w);
  CHECK_EQ(a->suspensions, 0);
  CHECK(event.is_set);
  world_close(&w);
}

static void cleared_it_is_waited_for_again(void) {
  world w;
  open_world(&w);
  tide_event_set(&event);
  tide_event_clear(&event);
  actor *a = spawn(&w, "a", waiter);
  settle(&w);
  CHECK_EQ(a->task.state, TIDE_TASK_WAITING);
  tide_event_set(&event);
  settle(&w);
  world_close(&w);
}

static void who_was_woken_has_seen_it_though_it_was_cleared_since(void) {
  world w;
  open_world(&w);
  spawn(&w, "a", waiter);
  settle(&w);
  tide_event_set(&event);
  tide_event_clear(&event);
  settle(&w);
  CHECK_LOG(&w, "a saw it");
  world_close(&w);
}

static void repeated_waiter(actor *self) {
  BEGIN;
  for (; self->i < 4; self->i++) TRY(tide_event_wait(&event, &self->task));
  say(self, "saw it");
  END;
}

static void blinker(actor *self) {
  BEGIN;
  for (; self->i < 6; self->i++) {
    TRY(sleep_ms(self, 1));
    tide_event_set(&event);
    tide_event_clear(&event);
  }
  END;
}

static void stage(world *w) {
  tide_event_init(&event);
  w->victim = spawn(w, "victim", repeated_waiter);
  spawn(w, "witness", repeated_waiter);
  spawn(w, "blinker", blinker);
}

static void verify(world *w) {
  CHECK(strstr(w->log, "witness saw it") != NULL);
  CHECK(tide_list_empty(&event.waiters));
}

static void a_waiter_may_be_struck_at_any_wait(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
}

int main(void) {
  RUN(setting_it_wakes_all_in_order);
  RUN(while_it_is_set_nobody_waits);
  RUN(cleared_it_is_waited_for_again);
  RUN(who_was_woken_has_seen_it_though_it_was_cleared_since);
  RUN(a_waiter_may_be_struck_at_any_wait);
  return check_summary();
}
