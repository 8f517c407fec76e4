/* queue_iter.c: a queue's items, step by step. */
#include "queue_iter.h"

static int queue_next(tide_iter *iter, tide_task *task, int outcome, tide_item *item) {
  tide_queue_iter *self = tide_container(iter, tide_queue_iter, iter);
  if (outcome == TIDE_PENDING) outcome = tide_queue_get(self->queue, task);
  if (outcome == TIDE_OK) item->number = task->wait.value.number;
  return outcome == TIDE_ECLOSED ? TIDE_EEOF : outcome;
}

void tide_queue_iter_init(tide_queue_iter *self, tide_queue *queue) {
  static const tide_iter_ops ops = {.name = "Queue", .next = queue_next};
  *self = (tide_queue_iter){.queue = queue};
  tide_iter_init(&self->iter, &ops);
}
