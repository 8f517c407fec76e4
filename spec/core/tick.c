/* tick.c: ticks with a budget, and lanes that take turns in one loop. */
#include <unistd.h>

#include "check.h"
#include "tide.h"

static const tide_time US = 1000, MS = 1000000, SECOND = 1000000000;

enum { TASKS = 2000 };

/* Works for a while in each step, and yields in between. */
typedef struct worker {
  tide_task task;
  tide_steps steps;
  tide_time work; /* in each step, by the real clock */
  int rounds;     /* to go */
  int *trail;     /* where it is noted who was stepped */
  int *count;     /* how many are noted */
  int number;
} worker;

static void work(tide_time span) {
  for (tide_time end = tide_clock_monotonic() + span; tide_clock_monotonic() < end;) continue;
}

static void worker_step(tide_task *task, int outcome) {
  worker *self = tide_container(task, worker, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (;;) {
    work(self->work);
    if (self->trail != NULL) self->trail[(*self->count)++] = self->number;
    if (--self->rounds == 0) break;
    TIDE_TRY(tide_task_yield(task));
  }
  TIDE_END;
}

static const tide_task_ops worker_ops = {.name = "worker", .step = worker_step};

static void start(worker *self, tide_loop *loop, const tide_task_ops *ops, int rounds) {
  self->rounds = rounds;
  tide_task_init(&self->task, loop, ops);
  CHECK_EQ(tide_task_spawn(&self->task, tide_loop_background(loop)), TIDE_OK);
}

/* ---- ticks */

static void it_steps_what_is_ready_until_nothing_is(void) {
  tide_loop *loop = tide_loop_new(NULL);
  worker workers[3] = {0};
  bool more = true;
  for (int i = 0; i < 3; i++) start(&workers[i], loop, &worker_ops, 1);
  CHECK_EQ(tide_loop_tick(loop, SECOND, &more), TIDE_OK);
  CHECK(!more);
  for (int i = 0; i < 3; i++) CHECK(tide_future_ended(&workers[i].task.future));
  CHECK_EQ(tide_loop_tick(loop, SECOND, NULL), TIDE_OK);
  tide_loop_free(loop);
}

static void it_overruns_its_budget_by_one_step_at_most_and_goes_on_in_order(void) {
  enum { COUNT = 40 };
  tide_loop *loop = tide_loop_new(NULL);
  static worker workers[COUNT];
  int trail[COUNT], count = 0;
  memset(workers, 0, sizeof workers);
  for (int i = 0; i < COUNT; i++) {
    workers[i] = (worker){.work = MS, .trail = trail, .count = &count, .number = i};
    start(&workers[i], loop, &worker_ops, 1);
  }
  int ticks = 0;
  for (bool more = true; more; ticks++) {
    int before = count;
    CHECK_EQ(tide_loop_tick(loop, 3 * MS, &more), TIDE_OK);
    CHECK(count - before <= 3);
    CHECK(count - before >= 1);
  }
  CHECK(ticks >= COUNT / 3);
  CHECK_EQ(count, COUNT);
  for (int i = 0; i < COUNT; i++) CHECK_EQ(trail[i], i);
  tide_loop_free(loop);
}

static void it_leaves_to_the_next_tick_who_only_lets_others_run(void) {
  tide_loop *loop = tide_loop_new(NULL);
  worker workers[2] = {0};
  int trail[100], count = 0;
  bool more = false;
  for (int i = 0; i < 2; i++) {
    workers[i] = (worker){.trail = trail, .count = &count, .number = i};
    start(&workers[i], loop, &worker_ops, 1000000);
  }
  CHECK_EQ(tide_loop_tick(loop, 10 * SECOND, &more), TIDE_OK);
  CHECK(more);
  CHECK(count >= 2 && count <= 4);
  CHECK_EQ(tide_loop_deadline(loop), tide_loop_now(loop));
  int before = count;
  CHECK_EQ(tide_loop_tick(loop, 10 * SECOND, &more), TIDE_OK);
  CHECK(more && count > before && count <= before + 4);
  for (int i = 0; i < 2; i++) tide_task_cancel(&workers[i].task);
  CHECK_EQ(tide_loop_tick(loop, SECOND, &more), TIDE_OK);
  CHECK(!more);
  tide_loop_free(loop);
}

/* Waits for its turn to be woken by the one before. */
typedef struct chain_link {
  tide_task task;
  tide_steps steps;
  tide_event *mine, *next;
  tide_loop *loop;
} chain_link;

static void link_step(tide_task *task, int outcome) {
  chain_link *self = tide_container(task, chain_link, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  TIDE_TRY(tide_event_wait(self->mine, task));
  if (self->next != NULL) tide_event_set(self->next);
  TIDE_END;
}

static const tide_task_ops link_ops = {.name = "link", .step = link_step};

static void it_goes_on_with_what_became_ready(void) {
  enum { COUNT = 50 };
  tide_loop *loop = tide_loop_new(NULL);
  static chain_link links[COUNT];
  static tide_event events[COUNT];
  bool more;
  memset(links, 0, sizeof links);
  for (int i = 0; i < COUNT; i++) tide_event_init(&events[i]);
  for (int i = 0; i < COUNT; i++) {
    links[i].mine = &events[i];
    links[i].next = i + 1 < COUNT ? &events[i + 1] : NULL;
    tide_task_init(&links[i].task, loop, &link_ops);
    CHECK_EQ(tide_task_spawn(&links[i].task, tide_loop_background(loop)), TIDE_OK);
  }
  CHECK_EQ(tide_loop_tick(loop, SECOND, &more), TIDE_OK);
  CHECK(!more);
  CHECK_EQ(tide_loop_deadline(loop), TIDE_NEVER);
  tide_event_set(&events[0]);
  CHECK_EQ(tide_loop_tick(loop, 10 * SECOND, &more), TIDE_OK);
  CHECK(!more);
  CHECK(tide_future_ended(&links[COUNT - 1].task.future));
  tide_loop_free(loop);
}

/* Reads one byte. */
typedef struct reader {
  tide_task task;
  tide_steps steps;
  tide_fd fd;
  bool stepped; /* after its wait */
} reader;

static void reader_step(tide_task *task, int outcome) {
  reader *self = tide_container(task, reader, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  TIDE_TRY(tide_fd_wait(&self->fd, task, TIDE_READABLE));
  self->stepped = true;
  TIDE_END;
}

static const tide_task_ops reader_ops = {.name = "reader", .step = reader_step};

static void it_only_polls_where_the_budget_is_nothing(void) {
  int ends[2];
  reader r = {0};
  bool more;
  tide_loop *loop = tide_loop_new(NULL);
  CHECK_EQ(pipe(ends), 0);
  tide_fd_init(&r.fd, loop, ends[0]);
  tide_task_init(&r.task, loop, &reader_ops);
  CHECK_EQ(tide_task_spawn(&r.task, tide_loop_background(loop)), TIDE_OK);
  CHECK_EQ(tide_loop_tick(loop, SECOND, &more), TIDE_OK);
  CHECK(!more);
  CHECK_EQ(write(ends[1], "x", 1), 1);
  CHECK_EQ(tide_loop_tick(loop, 0, &more), TIDE_OK);
  CHECK(more && !r.stepped);
  CHECK_EQ(tide_loop_tick(loop, 0, &more), TIDE_OK);
  CHECK(more && !r.stepped);
  CHECK_EQ(tide_loop_tick(loop, MS, &more), TIDE_OK);
  CHECK(!more && r.stepped);
  tide_fd_term(&r.fd);
  close(ends[0]);
  close(ends[1]);
  tide_loop_free(loop);
}

/* Ticks, turns and runs in its step. */
static void nosy_step(tide_task *task, int outcome) {
  bool more = true;
  (void)outcome;
  CHECK_EQ(tide_loop_tick(task->loop, MS, &more), TIDE_EALREADY_RUNNING);
  CHECK(more);
  tide_task_finish(task, TIDE_FUTURE_DONE);
}

static const tide_task_ops nosy_ops = {.name = "nosy", .step = nosy_step};

static void it_refuses_to_begin_inside_a_turn(void) {
  tide_loop *loop = tide_loop_new(NULL);
  tide_task task;
  tide_task_init(&task, loop, &nosy_ops);
  CHECK_EQ(tide_task_spawn(&task, tide_loop_background(loop)), TIDE_OK);
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  CHECK(tide_future_ended(&task.future));
  tide_loop_free(loop);
}

static void it_makes_a_step_however_short_the_time_is(void) {
  static const tide_time budgets[] = {1, 100, 1000};
  for (int i = 0; i < 3; i++) {
    tide_loop *loop = tide_loop_new(NULL);
    worker workers[3] = {0};
    tide_lane lane;
    tide_lane_init(&lane, loop);
    tide_loop_set_share(loop, i == 0 ? 0 : 1);
    const tide_task_ops ops = {.name = "in a lane", .step = worker_step, .lane = &lane};
    for (int n = 0; n < 3; n++) start(&workers[n], loop, n == 0 ? &worker_ops : &ops, 2);
    int ticks = 0;
    for (bool more = true; more && ticks < 100; ticks++)
      CHECK_EQ(tide_loop_tick(loop, budgets[i], &more), TIDE_OK);
    CHECK(ticks <= 6);
    for (int n = 0; n < 3; n++) {
      CHECK_EQ(workers[n].rounds, 0);
      memset(&workers[n], 0, sizeof workers[n]);
      start(&workers[n], loop, n == 0 ? &worker_ops : &ops, 2);
    }
    CHECK_EQ(tide_loop_run(loop, NULL), TIDE_OK);
    tide_lane_term(&lane);
    tide_loop_free(loop);
  }
}

/* ---- lanes */

static void it_delays_a_neighbour_by_its_share_and_not_by_all_that_it_has(void) {
  tide_loop *loop = tide_loop_new(NULL);
  static worker crowd[TASKS];
  static int trail[TASKS * 3 + 10];
  worker other;
  int count = 0;
  tide_lane many, few;
  tide_lane_init(&many, loop);
  tide_lane_init(&few, loop);
  const tide_task_ops many_ops = {.name = "many", .step = worker_step, .lane = &many};
  const tide_task_ops few_ops = {.name = "few", .step = worker_step, .lane = &few};
  memset(crowd, 0, sizeof crowd);
  for (int i = 0; i < TASKS; i++) {
    crowd[i] = (worker){.work = 20 * US, .trail = trail, .count = &count, .number = i};
    start(&crowd[i], loop, &many_ops, 1);
  }
  other = (worker){.trail = trail, .count = &count, .number = -1};
  start(&other, loop, &few_ops, 20);
  CHECK_EQ(tide_loop_run(loop, NULL), TIDE_OK);
  CHECK_EQ(count, TASKS + 20);
  int between = 0, next = 0, seen = 0;
  for (int i = 0; i < count; i++) {
    if (trail[i] < 0) {
      between = 0;
      seen++;
    } else {
      CHECK_EQ(trail[i], next++);            /* in order */
      if (seen < 20) CHECK(++between <= 11); /* 200 us, and one step */
    }
  }
  tide_lane_term(&many);
  tide_lane_term(&few);
  tide_loop_free(loop);
}

static void it_cuts_nobody_short_in_virtual_time(void) {
  enum { COUNT = 30 };
  tide_loop *loop = tide_loop_new(NULL);
  static worker crowd[COUNT];
  int trail[COUNT], count = 0;
  tide_lane lane;
  tide_loop_set_virtual_clock(loop);
  tide_lane_init(&lane, loop);
  const tide_task_ops ops = {.name = "many", .step = worker_step, .lane = &lane};
  memset(crowd, 0, sizeof crowd);
  for (int i = 0; i < COUNT; i++) {
    crowd[i] = (worker){.work = 50 * US, .trail = trail, .count = &count, .number = i};
    start(&crowd[i], loop, &ops, 1);
  }
  CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  CHECK_EQ(count, COUNT);
  tide_lane_term(&lane);
  tide_loop_free(loop);
}

static void it_shuffles_each_lane_by_a_seed_of_its_own(void) {
  enum { COUNT = 20 };
  int orders[2][COUNT];
  for (int run = 0; run < 2; run++) {
    tide_loop *loop = tide_loop_new(NULL);
    static worker workers[COUNT * 2];
    int trail[2][COUNT], counts[2] = {0, 0};
    tide_lane seeded, plain;
    tide_lane_init(&seeded, loop);
    tide_lane_init(&plain, loop);
    tide_lane_set_seed(&seeded, 7);
    CHECK_EQ(tide_lane_seed(&seeded), 7);
    const tide_task_ops ops[2] = {{.step = worker_step, .lane = &seeded},
                                  {.step = worker_step, .lane = &plain}};
    memset(workers, 0, sizeof workers);
    for (int i = 0; i < COUNT * 2; i++) {
      int lane = i % 2;
      workers[i] = (worker){.trail = trail[lane], .count = &counts[lane], .number = i / 2};
      start(&workers[i], loop, &ops[lane], 1);
    }
    CHECK_EQ(tide_loop_run(loop, NULL), TIDE_OK);
    bool shuffled = false;
    for (int i = 0; i < COUNT; i++) {
      shuffled = shuffled || trail[0][i] != i;
      CHECK_EQ(trail[1][i], i);
      orders[run][i] = trail[0][i];
    }
    CHECK(shuffled);
    tide_lane_term(&seeded);
    tide_lane_term(&plain);
    tide_loop_free(loop);
  }
  CHECK(memcmp(orders[0], orders[1], sizeof orders[0]) == 0);
}

/* Takes another lane, with all its tasks, away. */
typedef struct closer {
  tide_task task;
  tide_lane *lane;
  worker *workers;
  int count;
} closer;

static void closer_step(tide_task *task, int outcome) {
  closer *self = tide_container(task, closer, task);
  (void)outcome;
  for (int i = 0; i < self->count; i++) {
    tide_task_detach(&self->workers[i].task);
    tide_task_finish(&self->workers[i].task, TIDE_FUTURE_CANCELLED);
  }
  tide_lane_term(self->lane);
  tide_task_finish(task, TIDE_FUTURE_DONE);
}

static void it_bears_that_a_lane_goes_while_another_is_stepped(void) {
  enum { COUNT = 5 };
  const tide_task_ops closer_ops = {.name = "closer", .step = closer_step};
  tide_loop *loop = tide_loop_new(NULL);
  worker workers[COUNT] = {0};
  tide_lane lane;
  tide_lane_init(&lane, loop);
  const tide_task_ops ops = {.step = worker_step, .lane = &lane};
  closer c = {.lane = &lane, .workers = workers, .count = COUNT};
  tide_task_init(&c.task, loop, &closer_ops);
  CHECK_EQ(tide_task_spawn(&c.task, tide_loop_background(loop)), TIDE_OK);
  for (int i = 0; i < COUNT; i++) start(&workers[i], loop, &ops, 1);
  CHECK_EQ(tide_loop_run(loop, NULL), TIDE_OK);
  for (int i = 0; i < COUNT; i++) CHECK_EQ(workers[i].rounds, 1);
  CHECK_EQ(tide_loop_get_stats(loop).ready, 0);
  worker last = {0};
  start(&last, loop, &worker_ops, 3);
  CHECK_EQ(tide_loop_run(loop, NULL), TIDE_OK);
  CHECK_EQ(last.rounds, 0);
  tide_loop_free(loop);
}

static void it_ticks_lanes_within_one_budget(void) {
  enum { COUNT = 12 };
  tide_loop *loop = tide_loop_new(NULL);
  worker workers[COUNT] = {0};
  int trail[COUNT], count = 0, ticks = 0;
  tide_lane lanes[3];
  tide_task_ops ops[3];
  for (int i = 0; i < 3; i++) {
    tide_lane_init(&lanes[i], loop);
    ops[i] = (tide_task_ops){.step = worker_step, .lane = &lanes[i]};
  }
  for (int i = 0; i < COUNT; i++) {
    workers[i] = (worker){.work = MS, .trail = trail, .count = &count, .number = i};
    start(&workers[i], loop, &ops[i % 3], 1);
  }
  for (bool more = true; more; ticks++) {
    int before = count;
    CHECK_EQ(tide_loop_tick(loop, MS / 2, &more), TIDE_OK);
    CHECK_EQ(count - before, 1);
  }
  CHECK_EQ(ticks, COUNT);
  for (int i = 0; i < COUNT; i++) CHECK_EQ(trail[i], i); /* one of each lane in turn */
  for (int i = 0; i < 3; i++) tide_lane_term(&lanes[i]);
  tide_loop_free(loop);
}

int main(void) {
  RUN(it_steps_what_is_ready_until_nothing_is);
  RUN(it_overruns_its_budget_by_one_step_at_most_and_goes_on_in_order);
  RUN(it_leaves_to_the_next_tick_who_only_lets_others_run);
  RUN(it_goes_on_with_what_became_ready);
  RUN(it_only_polls_where_the_budget_is_nothing);
  RUN(it_refuses_to_begin_inside_a_turn);
  RUN(it_makes_a_step_however_short_the_time_is);
  RUN(it_delays_a_neighbour_by_its_share_and_not_by_all_that_it_has);
  RUN(it_cuts_nobody_short_in_virtual_time);
  RUN(it_shuffles_each_lane_by_a_seed_of_its_own);
  RUN(it_bears_that_a_lane_goes_while_another_is_stepped);
  RUN(it_ticks_lanes_within_one_budget);
  return check_summary();
}
