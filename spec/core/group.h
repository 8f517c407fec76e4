/* group.h: tasks that open a group. */
#ifndef TIDE_SPEC_GROUP_H
#define TIDE_SPEC_GROUP_H

#include "script.h"

static tide_group group;
static int children; /* how many the host spawns */
static uint32_t limit;
static void (*child)(actor *self);

/* The body of a group: opens it, spawns children, waits for them, closes it. As bindings do it. */
static inline void host(actor *self) {
  BEGIN;
  tide_group_init(&group, self->world->loop, limit, true);
  tide_group_enter(&group, &self->task);
  for (int i = 0; i < children; i++) {
    static const char *const names[] = {"1", "2", "3", "4", "5", "6"};
    spawn_in(self->world, &group, names[i], child)->i = i;
  }
  if (self->data != NULL) WAIT(sleep_ms(self, 100));
  if (self->outcome != TIDE_OK) {
    say(self, "body %d", self->outcome);
    tide_group_cancel(&group);
  }
  for (;;) {
    WAIT(tide_group_wait(&group, &self->task));
    if (group.live == 0) break;
  }
  say(self, "closes%s", tide_scope_catches(&group.scope) ? ", catching" : "");
  tide_group_exit(&group);
  CHECK(self->task.scope == &self->task.own);
  END;
}

static inline void sleeper(actor *self) {
  BEGIN;
  say(self, "starts");
  TRY(sleep_ms(self, 5));
  say(self, "ends");
  END;
}

static inline actor *open_group(world *w, int n, uint32_t max, void (*body)(actor *self)) {
  world_open(w);
  children = n;
  limit = max;
  child = body;
  return spawn(w, "host", host);
}

static inline void close_group(world *w) {
  CHECK_EQ(group.live, 0);
  CHECK_EQ(group.held, 0);
  CHECK(tide_list_empty(&group.idle));
  CHECK(tide_list_empty(&group.queued));
  CHECK(tide_list_empty(&group.scope.children));
  CHECK(tide_list_empty(&group.failure.link));
  CHECK(!tide_group_open(&group));
  world_close(w);
}

static tide_group inner;

static int running, most;

static inline void counted(actor *self) {
  BEGIN;
  if (++running > most) most = running;
  say(self, "starts");
  WAIT(sleep_ms(self, 5));
  running--;
  END;
}

#endif
