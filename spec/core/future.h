/* future.h: tasks that wait for a future, for the specs of those. */
#ifndef TIDE_SPEC_FUTURE_H
#define TIDE_SPEC_FUTURE_H

#include "script.h"

static tide_future future;

static inline void waiter(actor *self) {
  tide_future *awaited = self->data != NULL ? self->data : &future;
  BEGIN;
  WAIT(tide_future_wait(awaited, &self->task, false));
  say(self, "%d", self->outcome);
  END;
}

static inline void shielded_waiter(actor *self) {
  tide_future *awaited = self->data != NULL ? self->data : &future;
  BEGIN;
  WAIT(tide_future_wait(awaited, &self->task, true));
  say(self, "%d", self->outcome);
  END;
}

static inline void open_world(world *w) {
  world_open(w);
  tide_future_init(&future);
}

static inline actor *spawn_waiter(world *w, const char *name, actor *awaited) {
  actor *self = spawn(w, name, waiter);
  if (awaited != NULL) self->data = &awaited->task.future;
  return self;
}

static inline void sleeper(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 100));
  END;
}

static tide_join *join;

static inline void joiner(actor *self) {
  uint32_t index;
  BEGIN;
  WAIT(tide_join_wait(join, &self->task));
  say(self, "%d", self->outcome);
  CHECK(tide_join_take(join, &index));
  END;
}

static inline void tidy(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 100));
  tide_scope_init(&self->scope, TIDE_SCOPE_SHIELD);
  tide_scope_enter(&self->scope, &self->task);
  WAIT(sleep_ms(self, 5));
  tide_scope_exit(&self->scope);
  say(self, "tidied %d", self->outcome);
  self->outcome = TIDE_ECANCELLED;
  END;
}

#endif
