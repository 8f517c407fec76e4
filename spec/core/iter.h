/* iter.h: iterators of a host's own, and tasks that take from iterators. */
#ifndef TIDE_SPEC_ITER_H
#define TIDE_SPEC_ITER_H

#include <errno.h>

#include "script.h"

static tide_item item;

static inline void report_end(actor *self) {
  if (self->outcome == TIDE_EEOF) {
    say(self, "end");
    self->outcome = TIDE_OK;
  } else if (self->outcome != TIDE_OK) {
    say(self, "%s", tide_error_kind(self->outcome));
  }
}

/* Takes all there is from the iterator, and says it. */
static inline void taker(actor *self) {
  BEGIN;
  for (;;) {
    STEP(tide_iter_next(self->data, &self->task, &item));
    if (self->outcome != TIDE_OK) break;
    say(self, "%d", (int)item.number);
  }
  report_end(self);
  END;
}

static inline actor *take(world *w, const char *name, tide_iter *iter) {
  actor *self = spawn(w, name, taker);
  self->data = iter;
  return self;
}

/* One step. */
static inline void taker_of_one(actor *self) {
  BEGIN;
  STEP(tide_iter_next(self->data, &self->task, &item));
  if (self->outcome == TIDE_OK) say(self, "%d", (int)item.number);
  report_end(self);
  END;
}

static inline actor *take_one(world *w, const char *name, tide_iter *iter) {
  actor *self = spawn(w, name, taker_of_one);
  self->data = iter;
  return self;
}

static inline void closer(actor *self) {
  BEGIN;
  STEP(tide_iter_close(self->data, &self->task));
  if (self->outcome == TIDE_OK) say(self, "closed it");
  report_end(self);
  END;
}

static inline actor *close_it(world *w, const char *name, tide_iter *iter) {
  actor *self = spawn(w, name, closer);
  self->data = iter;
  return self;
}

typedef struct counter {
  tide_iter iter;
  int count;       /* the last number given */
  int last;        /* ends after this one */
  int fails_at;    /* the step to this number fails; 0: none */
  int waits;       /* of the step at hand, those that are over */
  int closings;    /* begun */
  bool let_go;     /* closing is done */
  int close_error; /* what closing comes to */
  bool freed;
} counter;

static inline tide_time soon(const tide_task *task) { return tide_loop_now(task->loop) + 1000000; }

static inline int counter_next(tide_iter *iter, tide_task *task, int outcome, tide_item *out) {
  counter *self = tide_container(iter, counter, iter);
  if (outcome < TIDE_OK) return outcome;
  self->waits = outcome == TIDE_PENDING ? 0 : self->waits + 1;
  if (self->waits < 2) return tide_task_sleep_until(task, soon(task));
  if (self->count + 1 == self->fails_at) return TIDE_OS(ENOSPC);
  if (self->count == self->last) return TIDE_EEOF;
  out->number = (uint64_t)++self->count;
  return TIDE_OK;
}

static inline int counter_close(tide_iter *iter, tide_task *task, int outcome) {
  counter *self = tide_container(iter, counter, iter);
  if (outcome == TIDE_PENDING) {
    self->closings++;
    return tide_task_sleep_until(task, soon(task));
  }
  self->let_go = outcome == TIDE_OK;
  return outcome == TIDE_OK ? self->close_error : outcome;
}

static inline void counter_free(tide_iter *iter) {
  tide_container(iter, counter, iter)->freed = true;
}

static const tide_iter_ops counter_ops = {
    .name = "counter", .next = counter_next, .close = counter_close, .free = counter_free};

static counter numbers;

static inline void open_numbers(world *w, int last) {
  world_open(w);
  numbers = (counter){.last = last};
  tide_iter_init(&numbers.iter, &counter_ops);
}

typedef struct doubler {
  tide_iter iter;
  tide_iter *source;
} doubler;

static inline int doubler_next(tide_iter *iter, tide_task *task, int outcome, tide_item *out) {
  (void)outcome; /* the source's own call knows it */
  int result = tide_iter_next(tide_container(iter, doubler, iter)->source, task, out);
  if (result == TIDE_OK) out->number *= 2;
  return result;
}

static inline int doubler_close(tide_iter *iter, tide_task *task, int outcome) {
  (void)outcome;
  return tide_iter_close(tide_container(iter, doubler, iter)->source, task);
}

static const tide_iter_ops doubler_ops = {
    .name = "doubler", .next = doubler_next, .close = doubler_close};

static doubler doubled;

static inline tide_iter *double_it(tide_iter *source) {
  doubled = (doubler){.source = source};
  tide_iter_init(&doubled.iter, &doubler_ops);
  return &doubled.iter;
}

static inline int endless_next(tide_iter *iter, tide_task *task, int outcome, tide_item *out) {
  (void)iter;
  (void)task;
  (void)outcome;
  out->number = 1;
  return TIDE_OK;
}

static const tide_iter_ops endless_ops = {.name = "endless", .next = endless_next};

static inline void counting_taker(actor *self) {
  BEGIN;
  for (self->i = 0; self->i < 1000; self->i++) {
    STEP(tide_iter_next(self->data, &self->task, &item));
    if (self->outcome != TIDE_OK) break;
  }
  END;
}

static tide_queue queue;
static tide_queue_iter items;

#endif
