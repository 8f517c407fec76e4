/* loop_work.c: what a loop does besides steps: deferred work, what waits until nobody needs it; and
 * owners that step many tasks in one go. */
#include "loop.h"

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
static int batch_order[1000], batch_steps, batch_limit, calls, seen_ahead;
static chore batch_chore;    /* started by the tenth step */
static int chore_seen_after; /* how many steps had been begun when it was done */

static void note_chore(tide_defer *defer) {
  (void)defer;
  chore_seen_after = batch_steps;
}

static void batch_step(tide_task *task, int outcome) {
  tide_loop *loop = task->loop;
  const tide_task *ahead = NULL;
  calls++;
  CHECK_EQ(task->outcome, outcome);
  do {
    CHECK(tide_loop_current(loop) == task);
    CHECK(ahead == NULL || ahead == task);
    ahead = tide_task_fetch_ahead(loop);
    seen_ahead += ahead != NULL;
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
  batch_steps = calls = chore_seen_after = seen_ahead = 0;
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
  CHECK_EQ(seen_ahead, 10); /* from all but the last of each turn */
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

int main(void) {
  RUN(deferred_work_is_done_once_when_the_turn_ends);
  RUN(deferred_work_may_start_more_and_be_called_off);
  RUN(what_nobody_touches_for_a_second_is_given_back);
  RUN(who_leaves_the_loop_alone_gives_it_back_at_once);
  RUN(giving_back_keeps_nobody);
  RUN(one_call_may_step_the_whole_turn_in_order);
  RUN(in_a_run_one_call_may_go_over_turns);
  RUN(in_a_run_one_call_does_not_go_beyond_its_end);
  RUN(a_seed_shuffles_turns_that_follow_without_a_return_too);
  return check_summary();
}
