/* scope.h: tasks with scopes. */
#ifndef TIDE_SPEC_SCOPE_H
#define TIDE_SPEC_SCOPE_H

#include "script.h"

/* What the flags of a few scopes say: C cancelled, c called, e expired, - nothing. */
static const char *flags(const tide_scope *scope) {
  static char text[4][8];
  static int next;
  char *t = text[next = (next + 1) % 4];
  int n = 0;
  if (scope->flags & TIDE_SCOPE_CANCELLED) t[n++] = 'C';
  if (scope->flags & TIDE_SCOPE_CALLED) t[n++] = 'c';
  if (scope->flags & TIDE_SCOPE_EXPIRED) t[n++] = 'e';
  if (n == 0) t[n++] = '-';
  t[n] = '\0';
  return t;
}

static tide_scope scopes[3];
static int depth;

static inline void nested(actor *self) {
  BEGIN;
  for (self->i = 0; self->i < depth; self->i++) tide_scope_enter(&scopes[self->i], &self->task);
  WAIT(sleep_ms(self, 10));
  say(self, "slept %d", self->outcome);
  while (self->i-- > 0) {
    if (tide_scope_catches(&scopes[self->i])) say(self, "caught by %d", self->i);
    CHECK_EQ(tide_scope_exit(&scopes[self->i]), TIDE_OK);
    WAIT(tide_task_yield(&self->task));
    say(self, "outside %d: %d", self->i, self->outcome);
  }
  END;
}

static inline actor *open_scopes(world *w, int n) {
  world_open(w);
  for (int i = 0; i < 3; i++) tide_scope_init(&scopes[i], 0);
  depth = n;
  return spawn(w, "t", nested);
}

#endif
