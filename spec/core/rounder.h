/* rounder.h: tasks that go round: they sleep, or let others run. */
#ifndef ROUNDER_H
#define ROUNDER_H

#include "check.h"
#include "tide.h"

typedef struct rounder {
  tide_task task;
  tide_steps steps;
  tide_time span;
  tide_time work; /* in each step, by the real clock */
  tide_event *event;
  tide_fd *fd;
  int rounds; /* made */
  int most;   /* to be made */
  uint64_t seen;
} rounder;

static void be_busy(tide_time span) {
  for (tide_time end = tide_clock_monotonic() + span; tide_clock_monotonic() < end;) continue;
}

static void sleeper_step(tide_task *task, int outcome) {
  rounder *self = tide_container(task, rounder, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  while (self->rounds < self->most) {
    TIDE_TRY(tide_task_sleep_until(task, tide_loop_after(task->loop, self->span)));
    self->rounds++;
  }
  TIDE_END;
}

static void yielder_step(tide_task *task, int outcome) {
  rounder *self = tide_container(task, rounder, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  while (self->rounds < self->most) {
    be_busy(self->work);
    self->rounds++;
    TIDE_TRY(tide_task_yield(task));
  }
  TIDE_END;
}

static const tide_task_ops sleepers = {.name = "sleeper", .step = sleeper_step};
static const tide_task_ops yielders = {.name = "yielder", .step = yielder_step};

static void rounder_start(rounder *self, tide_loop *loop, const tide_task_ops *ops) {
  tide_task_init(&self->task, loop, ops);
  CHECK_EQ(tide_task_spawn(&self->task, tide_loop_background(loop)), TIDE_OK);
}

#endif
