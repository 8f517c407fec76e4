/* Two loops in two threads, a task in each, a post to and fro, each of which resumes a task that
 * waits for a future. post [trips] */
#define _GNU_SOURCE
#include <pthread.h>
#include <tide.h>

#include "../limits/measure.h"

typedef struct side {
  tide_task task;
  tide_steps steps;
  tide_loop *loop;
  tide_future turn; /* it has come */
  tide_post post;   /* says so */
  struct side *other;
  long left;  /* turns still to come */
  bool first; /* it begins */
} side;

static void came(tide_post *post) {
  side *self = tide_container(post, side, post);
  tide_future_end(&self->turn, TIDE_FUTURE_DONE);
}

static void step(tide_task *task, int outcome) {
  side *self = tide_container(task, side, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  if (self->first) tide_loop_post(self->other->loop, &self->other->post);
  while (self->left-- > 0) {
    TIDE_TRY(tide_future_wait(&self->turn, task, false));
    tide_future_init(&self->turn);
    if (!self->first || self->left > 0) tide_loop_post(self->other->loop, &self->other->post);
  }
  TIDE_END;
}

static const tide_task_ops ops = {.step = step};

static void open_side(side *self, side *other, bool first, long trips) {
  *self = (side){.other = other, .left = trips, .first = first, .loop = tide_loop_new(NULL)};
  if (self->loop == NULL) fail("no loop");
  tide_post_init(&self->post, came);
  tide_future_init(&self->turn);
  tide_loop_hold(self->loop);
  tide_task_init(&self->task, self->loop, &ops);
  tide_task_spawn(&self->task, tide_loop_background(self->loop));
}

static void *run(void *argument) {
  side *self = argument;
  if (tide_loop_run(self->loop, &self->task.future) != TIDE_OK) fail("the run failed");
  return NULL;
}

int main(int argc, char **argv) {
  long trips = argument(argc, argv, 1, 100000);
  side here, there;
  pthread_t thread;
  open_side(&here, &there, true, trips);
  open_side(&there, &here, false, trips);
  if (pthread_create(&thread, NULL, run, &there) != 0) fail("no thread");
  double began = wall_ns();
  run(&here);
  printf("ns %.1f\n", (wall_ns() - began) / (double)trips / 2);
  pthread_join(thread, NULL);
  tide_loop_free(here.loop);
  tide_loop_free(there.loop);
  return 0;
}
