/* Tasks that each submit a job that does nothing and wait for it, again and again, in a pool of 2
 * threads. job [tasks] [jobs] */
#include <tide.h>

#include "../limits/measure.h"

typedef struct client {
  tide_task task;
  tide_steps steps;
  tide_job job;
} client;

static tide_pool *pool;
static long left;

static void work(tide_job *job) { (void)job; }

static void step(tide_task *task, int outcome) {
  client *self = tide_container(task, client, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  tide_job_init(&self->job, task->loop, work, NULL);
  while (left-- > 0) {
    TIDE_TRY(tide_job_submit(&self->job, pool));
    TIDE_TRY(tide_job_wait(&self->job, task));
  }
  TIDE_END;
}

static const tide_task_ops ops = {.step = step};

int main(int argc, char **argv) {
  long tasks = argument(argc, argv, 1, 1), jobs = argument(argc, argv, 2, 100000);
  client *clients = calloc((size_t)tasks, sizeof *clients);
  tide_loop *loop = tide_loop_new(NULL);
  if (clients == NULL || loop == NULL) fail("no memory");
  pool = tide_loop_pool(loop);
  if (pool == NULL) fail("no pool");
  tide_pool_set_size(pool, 2);
  left = jobs;
  for (long i = 0; i < tasks; i++) {
    tide_task_init(&clients[i].task, loop, &ops);
    tide_task_spawn(&clients[i].task, tide_loop_background(loop));
  }
  double began = wall_ns();
  if (tide_loop_run(loop, NULL) != TIDE_OK) fail("the run failed");
  printf("ns %.1f\n", (wall_ns() - began) / (double)jobs);
  tide_loop_free(loop);
  free(clients);
  return 0;
}
