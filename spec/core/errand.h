/* errand.h: jobs that a spec can hold up and look at. */
#ifndef TIDE_SPEC_ERRAND_H
#define TIDE_SPEC_ERRAND_H

#include "threads.h"

/* A job that waits for a gate, and notes what happened to it. */
typedef struct errand {
  tide_job job;
  int *gate;     /* atomic: it may go on; NULL: at once */
  int begun;     /* atomic */
  int done;      /* atomic: the work has ended */
  int stop;      /* atomic: it was interrupted */
  int stops;     /* so often */
  int abandoned; /* atomic: so often */
  pthread_t by;  /* who did that */
} errand;

static inline void run_errand(tide_job *job) {
  errand *self = tide_container(job, errand, job);
  raise_flag(&self->begun);
  while (self->gate != NULL && !flag_of(self->gate) && !flag_of(&self->stop)) pause_us(20);
  raise_flag(&self->done);
}

static inline void stop_errand(tide_job *job) {
  errand *self = tide_container(job, errand, job);
  self->stops++;
  raise_flag(&self->stop);
}

static inline void abandon_errand(tide_job *job) {
  errand *self = tide_container(job, errand, job);
  self->by = pthread_self();
  add_one(&self->abandoned);
}

static const tide_job_ops plain = {.name = "errand"};
static const tide_job_ops stoppable = {.interrupt = stop_errand};
static const tide_job_ops loose = {.abandoned = abandon_errand};
static const tide_job_ops both = {.interrupt = stop_errand, .abandoned = abandon_errand};

static inline void errand_init(errand *self, tide_loop *loop, const tide_job_ops *ops, int *gate) {
  *self = (errand){.gate = gate};
  tide_job_init(&self->job, loop, run_errand, ops);
}

static tide_pool *pool; /* where the scripts' jobs go */

static inline void runner(actor *self) {
  errand *mine = self->data;
  BEGIN;
  TRY(tide_job_submit(&mine->job, pool));
  WAIT(tide_job_wait(&mine->job, &self->task));
  say(self, "%d", self->outcome);
  END;
}

static inline actor *spawn_runner(world *w, const char *name, errand *mine) {
  actor *self = spawn(w, name, runner);
  self->data = mine;
  return self;
}

static inline void run_all(world *w) { CHECK_EQ(tide_loop_run(w->loop, NULL), TIDE_OK); }

static inline void *open_gate_late(void *argument) {
  pause_us(3000);
  raise_flag(argument);
  return NULL;
}

#endif
