/* A waitable of one's own: a gauge, whose waiters want it to be at a level at least.
 *
 * The gauge is what is between the two lines, made of <tide.h> alone. Below it three tasks wait:
 * one until it is there, one that is cancelled by a timeout, and one in a select. */
#include <stdio.h>
#include <tide.h>

/* ---------------------------------------------------------------------------------------------- */

typedef struct gauge {
  int64_t level;     /* what it shows */
  tide_list waiters; /* value.integer: the level that each waits for, above this one */
} gauge;

static const tide_wait_ops gauge_ops = {.name = "Gauge.wait", .abandon = tide_source_leave};

static void gauge_init(gauge *self) {
  self->level = 0;
  tide_list_init(&self->waiters);
}

/* (waits) Until the level is so high. */
static int gauge_wait(gauge *self, tide_task *task, int64_t level) {
  if (!tide_source_enter(task, &gauge_ops, self)) return TIDE_PENDING;
  if (self->level >= level) return tide_source_over(task, TIDE_OK);
  task->wait.value.integer = level;
  return tide_source_park(task, &self->waiters);
}

/* Wakes those whose level it is, in the order in which they came. */
static void gauge_set(gauge *self, int64_t level) {
  tide_wait *wait = tide_source_first(&self->waiters), *next;
  tide_list due;
  tide_list_init(&due);
  self->level = level;
  for (; wait != NULL; wait = next) {
    next = tide_source_next(&self->waiters, wait);
    if (wait->value.integer <= level) tide_source_move(wait, &due);
  }
  while ((wait = tide_source_first(&due)) != NULL) tide_source_end(wait, TIDE_OK);
}

/* As a case of select. */

static int gauge_attempt(tide_case *self) {
  const gauge *source = self->wait.source;
  return source->level >= self->wait.value.integer ? TIDE_OK : TIDE_PENDING;
}

static int gauge_park(tide_case *self) {
  gauge *source = self->wait.source;
  tide_list_append(&source->waiters, &self->wait.in.link);
  return TIDE_OK;
}

static void case_gauge(tide_case *self, gauge *source, int64_t level) {
  static const tide_case_ops ops = {
      .wait = &gauge_ops, .attempt = gauge_attempt, .park = gauge_park};
  *self = (tide_case){.ops = &ops};
  self->wait.source = source;
  self->wait.value.integer = level;
}

/* ---------------------------------------------------------------------------------------------- */

typedef struct watcher {
  tide_task task;
  tide_steps steps;
  tide_timeout timeout;
  tide_select select;
  tide_case cases[3];
} watcher;

static gauge water;

static tide_time ms(int64_t count) { return (tide_time)count * 1000000; }

static void patient_step(tide_task *task, int outcome) {
  watcher *self = tide_container(task, watcher, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  TIDE_TRY(gauge_wait(&water, task, 3));
  printf("patient: the water is at %d\n", (int)water.level);
  TIDE_TRY(gauge_wait(&water, task, 2));
  printf("patient: no need to wait for 2\n");
  TIDE_END;
}

static void hasty_step(tide_task *task, int outcome) {
  watcher *self = tide_container(task, watcher, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  TIDE_TRY(tide_timeout_begin(&self->timeout, task, ms(25)));
  TIDE_WAIT(gauge_wait(&water, task, 100));
  self->steps.outcome = tide_timeout_end(&self->timeout, self->steps.outcome);
  printf("hasty: %s\n", tide_error_kind(self->steps.outcome));
  TIDE_LEAVE(TIDE_OK);
  TIDE_END;
}

static void choosy_step(tide_task *task, int outcome) {
  watcher *self = tide_container(task, watcher, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  case_gauge(&self->cases[0], &water, 4);
  case_gauge(&self->cases[1], &water, 5);
  tide_case_at(&self->cases[2], tide_loop_after(task->loop, ms(1000)));
  tide_select_init(&self->select, self->cases, 3);
  TIDE_TRY_CALL(tide_select_wait(&self->select, task));
  printf("choosy: %s\n", self->select.chosen < 2 ? "the water" : "the time");
  TIDE_END;
}

static void rain_step(tide_task *task, int outcome) {
  watcher *self = tide_container(task, watcher, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  while (water.level < 5) {
    TIDE_TRY(tide_task_sleep_until(task, tide_loop_after(task->loop, ms(10))));
    gauge_set(&water, water.level + (water.level < 3 ? 1 : 2)); /* more and more */
  }
  TIDE_END;
}

int main(void) {
  static const tide_task_ops ops[] = {
      {.step = patient_step}, {.step = hasty_step}, {.step = choosy_step}, {.step = rain_step}};
  static watcher watchers[4];
  tide_loop *loop = tide_loop_new(NULL);
  if (loop == NULL) return 1;
  tide_loop_set_virtual_clock(loop); /* so that what it prints does not depend on the machine */
  gauge_init(&water);
  for (int i = 0; i < 4; i++) {
    tide_task_init(&watchers[i].task, loop, &ops[i]);
    tide_task_spawn(&watchers[i].task, tide_loop_background(loop));
  }
  int error = tide_loop_run(loop, NULL);
  bool left = !tide_list_empty(&water.waiters);
  tide_loop_free(loop);
  return error == TIDE_OK && !left ? 0 : 1;
}
