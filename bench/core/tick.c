/* How far a tick runs over its budget of 500 us while 1,000 tasks are ready, each of whose steps
 * takes some 20 us. tick step|bare|tide [permille] [ticks]: how long a step takes; by how much a
 * loop is late that looks at the clock before each step; by how much tide_loop_tick is. At most, in
 * so many of 1,000. */
#define _GNU_SOURCE
#include <string.h>
#include <tide.h>

#include "../limits/measure.h"

enum { TASKS = 1000, BUDGET = 500000, ROUNDS = 6000 };

typedef struct worker {
  tide_task task;
  tide_steps steps;
} worker;

static worker workers[TASKS];
static volatile unsigned sink;

static void work(void) {
  for (unsigned i = 0; i < ROUNDS; i++) sink = sink * 5 + i;
}

static void step(tide_task *task, int outcome) {
  worker *self = tide_container(task, worker, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (;;) {
    work();
    TIDE_WAIT(tide_task_yield(task));
  }
  TIDE_END;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double step_takes(tide_loop *loop) {
  double began = wall_ns();
  (void)loop;
  work();
  return wall_ns() - began;
}

static double bare_over(tide_loop *loop) {
  double began = wall_ns(), now = began;
  (void)loop;
  for (; now - began < BUDGET; now = wall_ns()) work();
  return now - began - BUDGET;
}

static double tide_over(tide_loop *loop) {
  double began = wall_ns();
  if (tide_loop_tick(loop, BUDGET, NULL) != TIDE_OK) fail("the tick failed");
  return wall_ns() - began - BUDGET;
}

int main(int argc, char **argv) {
  static const tide_task_ops ops = {.name = "worker", .step = step};
  const char *which = argc > 1 ? argv[1] : "tide";
  long permille = argument(argc, argv, 2, 999), ticks = argument(argc, argv, 3, 4000);
  tide_loop *loop = tide_loop_new(NULL);
  double *taken = malloc((size_t)ticks * sizeof *taken);
  if (loop == NULL || taken == NULL) fail("no memory");
  for (int i = 0; i < TASKS; i++) {
    tide_task_init(&workers[i].task, loop, &ops);
    tide_task_spawn(&workers[i].task, tide_loop_background(loop));
  }
  double (*measure)(tide_loop *) = strcmp(which, "step") == 0   ? step_takes
                                   : strcmp(which, "bare") == 0 ? bare_over
                                                                : tide_over;
  for (long i = 0; i < ticks; i++) taken[i] = measure(loop);
  qsort(taken, (size_t)ticks, sizeof *taken, compare);
  printf("ns %.0f\n", taken[(ticks - 1) * permille / 1000]);
  free(taken);
  tide_loop_free(loop);
  return 0;
}
