/* source.c: a source of waits made of the public functions: a pot from which tasks take coins,
 * which are handed over in the order of asking. */
#include "script.h"

typedef struct pot {
  int coins;
  tide_list waiters;
} pot;

static pot it;

static void pot_give(pot *self, int coins) {
  self->coins += coins;
  while (self->coins > 0 && tide_source_first(&self->waiters) != NULL) {
    self->coins--;
    tide_source_end(tide_source_first(&self->waiters), TIDE_OK);
  }
}

static void take_back(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) pot_give(wait->source, 1);
}

static const tide_wait_ops pot_ops = {
    .name = "Pot.take", .abandon = tide_source_leave, .reject = take_back};

static int pot_take(pot *self, tide_task *task) {
  if (!tide_source_enter(task, &pot_ops, self)) return TIDE_PENDING;
  if (self->coins == 0) return tide_source_park(task, &self->waiters);
  self->coins--;
  return tide_source_over(task, TIDE_OK);
}

static int pot_attempt(tide_case *self) {
  pot *source = self->wait.source;
  if (source->coins == 0) return TIDE_PENDING;
  source->coins--;
  return TIDE_OK;
}

static int pot_park(tide_case *self) {
  pot *source = self->wait.source;
  tide_list_append(&source->waiters, &self->wait.in.link);
  return TIDE_OK;
}

static void case_pot(tide_case *self, pot *source) {
  static const tide_case_ops ops = {.wait = &pot_ops, .attempt = pot_attempt, .park = pot_park};
  *self = (tide_case){.ops = &ops, .wait.source = source};
}

static void open_pot(int coins) {
  it.coins = coins;
  tide_list_init(&it.waiters);
}

/* Takes `i` coins, each given back a little later. */
static void taker(actor *self) {
  BEGIN;
  while (self->i-- > 0) {
    TRY(pot_take(&it, &self->task));
    say(self, "took");
    self->slot = 1;
    WAIT(sleep_ms(self, 10));
    self->slot = 0;
    pot_give(&it, 1);
    if (self->script.outcome != TIDE_OK) break;
  }
  END;
}

static void put_down(actor *self) {
  if (self->slot > 0) pot_give(&it, 1);
}

static actor *spawn_taker(world *w, const char *name, int times) {
  actor *self = spawn(w, name, taker);
  self->i = times;
  self->close = put_down;
  return self;
}

static void it_serves_in_the_order_of_asking(void) {
  world w;
  world_open(&w);
  open_pot(1);
  actor *a = spawn_taker(&w, "a", 1);
  actor *b = spawn_taker(&w, "b", 1);
  spawn_taker(&w, "c", 1);
  turn(&w);
  CHECK_TEXT(tide_task_waits_for(&b->task), "Pot.take");
  CHECK(tide_source_first(&it.waiters) == &b->task.wait);
  CHECK(tide_source_next(&it.waiters, &b->task.wait) == &w.actors[2].task.wait);
  CHECK(tide_source_next(&it.waiters, &w.actors[2].task.wait) == NULL);
  settle(&w);
  CHECK(actor_ended(a));
  CHECK_LOG(&w, "a took, b took, c took");
  world_close(&w);
}

static void greedy(actor *self) {
  BEGIN;
  for (self->i = 0; self->i < 1000; self->i++) TRY(pot_take(&it, &self->task));
  END;
}

static void a_loop_of_calls_lets_others_run(void) {
  world w;
  world_open(&w);
  open_pot(1000);
  actor *a = spawn(&w, "a", greedy);
  turn(&w);
  CHECK(!actor_ended(a));
  CHECK_EQ(a->suspensions, 1);
  settle(&w);
  CHECK_EQ(a->i, 1000);
  world_close(&w);
}

static tide_case cases[2];
static tide_select choice;

static void chooser(actor *self) {
  BEGIN;
  case_pot(&cases[0], &it);
  tide_case_at(&cases[1], after_ms(self->world, 25));
  tide_select_init(&choice, cases, 2);
  CALL_OR_END(tide_select_wait(&choice, &self->task));
  say(self, "%s", choice.chosen == 0 ? "took" : "late");
  if (choice.chosen == 0) pot_give(&it, 1);
  END;
}

static void select_takes_one_or_leaves_it(void) {
  world w;
  world_open(&w);
  open_pot(1);
  spawn_taker(&w, "a", 1);
  spawn(&w, "b", chooser);
  settle(&w);
  CHECK_LOG(&w, "a took, b took");
  spawn_taker(&w, "a", 9);
  spawn_taker(&w, "c", 9);
  spawn_taker(&w, "d", 9);
  spawn(&w, "b", chooser);
  settle(&w);
  CHECK(strstr(w.log, "b late") != NULL);
  CHECK_EQ(it.coins, 1);
  world_close(&w);
}

/* Gives a coin to each whose wait has an even number, by whatever way. */
static void give_to_even(void) {
  tide_list due;
  tide_list_init(&due);
  tide_wait *wait = tide_source_first(&it.waiters), *next;
  for (; wait != NULL; wait = next) {
    next = tide_source_next(&it.waiters, wait);
    if (wait->value.integer % 2 == 0) tide_source_move(wait, &due);
  }
  while ((wait = tide_source_first(&due)) != NULL) tide_source_end(wait, TIDE_OK);
}

static tide_case many[5];

static void chooser_of_many(actor *self) {
  BEGIN;
  for (int i = 0; i < 5; i++) {
    case_pot(&many[i], &it);
    many[i].wait.value.integer = i;
  }
  tide_select_init(&choice, many, 5);
  CALL_OR_END(tide_select_wait(&choice, &self->task));
  say(self, "%d", (int)choice.chosen);
  END;
}

static void numbered(actor *self) {
  BEGIN;
  CHECK(tide_source_enter(&self->task, &pot_ops, &it));
  self->task.wait.value.integer = self->i;
  WAIT(tide_source_park(&self->task, &it.waiters));
  say(self, "%d", self->outcome);
  END;
}

static void several_are_ended_cases_of_one_select_among_them(void) {
  world w;
  world_open(&w);
  open_pot(0);
  spawn(&w, "a", numbered)->i = 2;
  spawn(&w, "b", chooser_of_many);
  actor *odd = spawn(&w, "c", numbered);
  odd->i = 3;
  spawn(&w, "d", numbered)->i = 4;
  turn(&w);
  CHECK_EQ(tide_list_length(&it.waiters), 8);
  give_to_even();
  CHECK_EQ(tide_list_length(&it.waiters), 1);
  turn(&w);
  CHECK_LOG(&w, "a 0, b 0, d 0");
  tide_source_end(tide_source_first(&it.waiters), TIDE_OK);
  settle(&w);
  CHECK_LOG(&w, "c 0");
  world_close(&w);
}

static void stage(world *w) {
  open_pot(1);
  spawn_taker(w, "a", 2);
  w->victim = spawn_taker(w, "victim", 2);
  spawn_taker(w, "b", 2);
}

static void stage_select(world *w) {
  open_pot(1);
  spawn_taker(w, "a", 1);
  w->victim = spawn(w, "victim", chooser);
  spawn_taker(w, "b", 1);
}

static void verify(world *w) {
  (void)w;
  CHECK_EQ(it.coins, 1);
  CHECK(tide_list_empty(&it.waiters));
}

static void struck_at_any_wait_no_coin_is_lost(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
  play_all_blows(&(scenario){.stage = stage_select, .verify = verify});
}

int main(void) {
  RUN(it_serves_in_the_order_of_asking);
  RUN(a_loop_of_calls_lets_others_run);
  RUN(select_takes_one_or_leaves_it);
  RUN(several_are_ended_cases_of_one_select_among_them);
  RUN(struck_at_any_wait_no_coin_is_lost);
  return check_summary();
}
