/* interval.c: ticks. */
#include "interval.h"

#include "loop.h"

static tide_time time_of(const tide_interval *self, uint64_t tick) {
  if (tick > TIDE_NEVER / self->period) return TIDE_NEVER;
  return tide_time_add(self->began, tick * self->period);
}

static int interval_next(tide_iter *iter, tide_task *task, int outcome, tide_item *item) {
  tide_interval *self = tide_container(iter, tide_interval, iter);
  if (outcome == TIDE_PENDING) {
    uint64_t passed = (tide_loop_after(task->loop, 0) - self->began) / self->period;
    self->next = (passed > self->tick ? passed : self->tick) + 1;
    outcome = tide_task_sleep_until(task, time_of(self, self->next));
  }
  if (outcome == TIDE_OK) item->number = self->tick = self->next;
  return outcome;
}

void tide_interval_init(tide_interval *interval, tide_loop *loop, tide_time period) {
  static const tide_iter_ops ops = {.name = "interval", .next = interval_next};
  *interval = (tide_interval){.began = tide_loop_after(loop, 0), .period = period};
  tide_iter_init(&interval->iter, &ops);
}
