/* loop.h: tasks for the specs of the loop, and a future to run it for. */
#ifndef TIDE_SPEC_LOOP_H
#define TIDE_SPEC_LOOP_H

#include <unistd.h>

#include "script.h"

static const tide_time MS = 1000000;

static tide_future future;

static inline void sleeper(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, self->i != 0 ? (unsigned)self->i : 1000));
  say(self, "slept");
  END;
}

static inline void resolver(actor *self) {
  BEGIN;
  TRY(tide_task_yield(&self->task));
  tide_future_end(&future, TIDE_FUTURE_DONE);
  END;
}

static inline void waiter(actor *self) {
  BEGIN;
  TRY(tide_future_wait(&future, &self->task, false));
  END;
}

static inline void counter(actor *self) {
  BEGIN;
  for (;;) {
    self->i++;
    TRY(tide_task_yield(&self->task));
  }
  END;
}

static inline void open_world(world *w) {
  world_open(w);
  tide_future_init(&future);
}

static inline void cancel_all(world *w) {
  tide_scope *all = &tide_loop_background(w->loop)->scope;
  tide_scope_cancel(all, w->loop);
  settle(w);
  tide_scope_uncancel(all);
}

#endif
