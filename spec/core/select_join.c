/* select_join.c: the next of several futures to end, as a case of select. */
#include "script.h"

enum { MEMBERS = 3 };

static tide_future futures[MEMBERS];
static tide_join *join;
static tide_case cases[2];
static tide_select choice;

static void open_join(world *w, bool forward) {
  join = malloc(tide_join_size(MEMBERS));
  tide_join_init(join, w->loop, MEMBERS, forward);
  for (int i = 0; i < MEMBERS; i++) {
    tide_future_init(&futures[i]);
    tide_join_add(join, &futures[i]);
  }
}

static void close_join(void) {
  CHECK(join->waiter == NULL);
  tide_join_term(join);
  free(join);
}

/* Takes what ends within 100 ms each, `i` times. */
static void chooser(actor *self) {
  uint32_t index;
  BEGIN;
  while (self->i-- > 0) {
    tide_case_join(&cases[0], join);
    tide_case_at(&cases[1], after_ms(self->world, 100));
    tide_select_init(&choice, cases, 2);
    CALL(tide_select_wait(&choice, &self->task));
    if (self->script.outcome != TIDE_OK) {
      say(self, "%d", self->script.outcome);
      TIDE_LEAVE(TIDE_OK);
    }
    if (choice.chosen == 1)
      say(self, "late");
    else if (tide_join_take(join, &index))
      say(self, "%u", index);
  }
  END;
}

static actor *spawn_chooser(world *w, int times) {
  actor *self = spawn(w, "a", chooser);
  self->i = times;
  return self;
}

static void it_happens_as_members_end(void) {
  world w;
  world_open(&w);
  open_join(&w, false);
  tide_future_end(&futures[2], TIDE_FUTURE_DONE);
  spawn_chooser(&w, 4);
  turn(&w);
  CHECK_LOG(&w, "a 2");
  tide_future_end(&futures[0], TIDE_FUTURE_FAILED);
  turn(&w);
  CHECK_LOG(&w, "a 0");
  settle(&w);
  CHECK_LOG(&w, "a late, a late");
  close_join();
  world_close(&w);
}

static void where_nothing_is_left_it_fails(void) {
  world w;
  world_open(&w);
  open_join(&w, true);
  for (int i = 0; i < MEMBERS; i++) tide_future_end(&futures[i], TIDE_FUTURE_DONE);
  spawn_chooser(&w, 4);
  settle(&w);
  CHECK_LOG(&w, "a 0, a 1, a 2, a -11");
  close_join();
  world_close(&w);
}

static void one_task_waits_at_a_time(void) {
  world w;
  world_open(&w);
  open_join(&w, false);
  spawn_chooser(&w, 1);
  turn(&w);
  tide_case again;
  tide_select other;
  tide_case_join(&again, join);
  tide_select_init(&other, &again, 1);
  actor *b = spawn(&w, "b", chooser);
  CHECK_EQ(tide_select_try(&other, &b->task), TIDE_EBUSY);
  b->i = 0;
  settle(&w);
  CHECK_LOG(&w, "a late");
  close_join();
  world_close(&w);
}

static void ender(actor *self) {
  BEGIN;
  for (; self->i < MEMBERS; self->i++) {
    TRY(sleep_ms(self, 30));
    tide_future_end(&futures[self->i], TIDE_FUTURE_DONE);
  }
  END;
}

static void stage(world *w) {
  open_join(w, true);
  w->victim = spawn_chooser(w, 3);
  spawn(w, "ender", ender);
}

static void verify(world *w) {
  (void)w;
  for (int i = 0; i < MEMBERS; i++) CHECK_EQ(futures[i].state, TIDE_FUTURE_DONE);
  close_join();
}

static void struck_at_any_wait_it_leaves_the_join(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
}

int main(void) {
  RUN(it_happens_as_members_end);
  RUN(where_nothing_is_left_it_fails);
  RUN(one_task_waits_at_a_time);
  RUN(struck_at_any_wait_it_leaves_the_join);
  return check_summary();
}
