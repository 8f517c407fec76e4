/* script.h: tasks as little scripts, a world for them to be in, and blows to deal them.
 *
 * A script's body reads from top to bottom although it returns at every wait:
 *
 *     static void holder(actor *self) {
 *       BEGIN;
 *       WAIT(tide_lock_acquire(&lock, &self->task));
 *       say(self, "has it");
 *       tide_lock_release(&lock, &self->task);
 *       END;
 *     }
 *
 * The macros are those of core/sched/steps.h, under short names. */
#ifndef TIDE_SPEC_SCRIPT_H
#define TIDE_SPEC_SCRIPT_H

#include <stdarg.h>
#include <stdlib.h>

#include "../../core/sched/private.h"
#include "../../core/tide.h"
#include "check.h"

typedef struct world world;
typedef struct actor actor;

/* Memory that is counted, whose sizes are checked, and that can run short. */

typedef struct memory {
  size_t in_use;        /* bytes */
  unsigned allocations; /* asked for so far */
  unsigned fail_at;     /* the allocation of this number fails; 0: none */
} memory;

static inline void *memory_resize(void *context, void *block, size_t old_size, size_t new_size) {
  memory *self = context;
  if (new_size > old_size && ++self->allocations == self->fail_at) return NULL;
  size_t *old = block == NULL ? NULL : (size_t *)block - 2;
  if (old != NULL) CHECK_EQ(*old, old_size);
  self->in_use += new_size - old_size;
  size_t *grown = new_size == 0 ? NULL : malloc(new_size + 2 * sizeof *grown);
  if (grown != NULL) {
    *grown = new_size;
    if (old != NULL) memcpy(grown + 2, block, old_size < new_size ? old_size : new_size);
  }
  free(old); /* always moved: whoever kept a pointer into the old block is found out */
  return grown != NULL ? grown + 2 : NULL;
}

/* Actors. */

struct actor {
  tide_task task;             /* first */
  world *world;               /* where it is */
  const char *name;           /* in the log */
  void (*body)(actor *self);  /* the script */
  void (*close)(actor *self); /* what its <close> variables do if it is killed; or NULL */
  union {
    tide_steps script; /* where it is */
    struct {
      int at;      /* the line of the wait it is in; 0: the beginning */
      int outcome; /* of its last wait */
    };
  };
  int i; /* free for the body, like the next ones; 0 in the beginning */
  uint32_t slot;
  void *data;
  tide_scope scope;
  tide_deadline deadline;
  unsigned steps;       /* begun */
  unsigned suspensions; /* steps that ended in a wait */
};

/* The public macros, for bodies that are given `self`. */
#define BEGIN TIDE_BEGIN(&self->task, &self->script, self->outcome)
#define END   TIDE_END

#define WAIT        TIDE_WAIT
#define TRY         TIDE_TRY
#define CALL        TIDE_CALL
#define CALL_OR_END TIDE_TRY_CALL
#define STEP        TIDE_STEP

static inline void actor_end(actor *self) { tide_task_finish_with(&self->task, self->outcome); }

static inline bool actor_ended(const actor *self) { return self->task.state == TIDE_TASK_ENDED; }

static inline bool actor_failed_with(const actor *self, int error) {
  return actor_ended(self) && self->outcome == error;
}

/* Worlds. */

enum { ACTORS = 24 };

/* How the victim is struck at one of its suspensions. */
typedef enum blow {
  CANCEL,
  CANCEL_TWICE,
  CANCEL_UNCANCEL,
  KILL,
  CANCEL_KILL,
  READY_CANCEL, /* these when the wait is over, and before the task is stepped */
  READY_KILL,
  BLOWS
} blow;

struct world {
  tide_loop *loop;
  memory memory;
  actor actors[ACTORS]; /* in the order of spawning */
  unsigned count;       /* of actors */
  char log[4096];       /* what they said */
  actor *victim;        /* who is to be struck, or NULL */
  blow blow;            /* how */
  unsigned when;        /* at which of its suspensions, from 1 */
  bool struck;          /* it happened */
};

static inline void actor_kill(actor *self) {
  tide_task_detach(&self->task);
  if (self->close != NULL) self->close(self);
  self->outcome = TIDE_ECANCELLED;
  actor_end(self);
}

static inline void strike(world *w, actor *victim) {
  w->struck = true;
  if (w->blow == KILL || w->blow == READY_KILL) {
    actor_kill(victim);
    return;
  }
  tide_task_cancel(&victim->task);
  if (w->blow == CANCEL_TWICE) tide_task_cancel(&victim->task);
  if (w->blow == CANCEL_UNCANCEL) tide_task_uncancel(&victim->task);
  if (w->blow == CANCEL_KILL) actor_kill(victim);
}

static inline void strike_if_due(world *w) {
  actor *victim = w->victim;
  if (victim == NULL || w->struck || victim->suspensions != w->when || actor_ended(victim)) return;
  bool ready = victim->task.state == TIDE_TASK_READY;
  if (ready || w->blow < READY_CANCEL) strike(w, victim);
}

static inline void actor_step(tide_task *task, int outcome) {
  actor *self = tide_container(task, actor, task);
  world *w = self->world;
  self->steps++;
  self->outcome = outcome;
  self->body(self);
  if (task->state != TIDE_TASK_ENDED) self->suspensions++;
  strike_if_due(w);
}

static const tide_task_ops actor_ops = {.step = actor_step};

static inline actor *actor_new(world *w, const char *name, void (*body)(actor *self)) {
  CHECK(w->count < ACTORS);
  actor *self = &w->actors[w->count++];
  *self = (actor){.world = w, .name = name, .body = body};
  tide_task_init(&self->task, w->loop, &actor_ops);
  return self;
}

static inline actor *spawn_in(world *w, tide_group *group, const char *name,
                              void (*body)(actor *self)) {
  actor *self = actor_new(w, name, body);
  CHECK_EQ(tide_task_spawn(&self->task, group), TIDE_OK);
  return self;
}

static inline actor *spawn(world *w, const char *name, void (*body)(actor *self)) {
  return spawn_in(w, tide_loop_background(w->loop), name, body);
}

__attribute__((format(printf, 2, 3))) static inline void say(actor *self, const char *format, ...) {
  char *log = self->world->log;
  size_t used = strlen(log), room = sizeof self->world->log - used;
  va_list arguments;
  va_start(arguments, format);
  int n = snprintf(log + used, room, "%s%s ", used > 0 ? ", " : "", self->name);
  if ((size_t)n < room) vsnprintf(log + used + n, room - (size_t)n, format, arguments);
  va_end(arguments);
}

/* What was said since it was last asked: "a has it, b has it". */
#define CHECK_LOG(w, expected)      \
  do {                              \
    CHECK_TEXT((w)->log, expected); \
    (w)->log[0] = '\0';             \
  } while (0)

/* A world with the real clock. */
static inline void world_open_real(world *w) {
  memset(w, 0, sizeof *w);
  tide_allocator allocator = {.resize = memory_resize, .context = &w->memory};
  w->loop = tide_loop_new(&allocator);
  CHECK(w->loop != NULL);
}

static inline void world_open(world *w) {
  world_open_real(w);
  tide_loop_set_virtual_clock(w->loop);
}

static inline void turn(world *w) {
  int error = tide_loop_turn(w->loop, false);
  CHECK_EQ(error, TIDE_OK);
  strike_if_due(w);
}

/* Nanoseconds of real time that nothing takes but what never ends, however slow the machine. */
static const tide_time FOR_EVER = (tide_time)60 * 1000000000;

/* Turns until nothing can happen any more; time jumps. */
static inline void settle(world *w) {
  for (int turns = 0; tide_loop_turn(w->loop, true) != TIDE_EDEADLOCK; turns++) {
    CHECK(turns < 1000000);
    strike_if_due(w);
  }
}

static inline tide_time after_ms(const world *w, unsigned ms) {
  return tide_loop_now(w->loop) + ms * (tide_time)1000000;
}

static inline int sleep_ms(actor *self, unsigned ms) {
  return tide_task_sleep_until(&self->task, after_ms(self->world, ms));
}

/* The actor's scope, with a deadline. */
static inline void enter_scope(actor *self, uint32_t flags, unsigned ms) {
  tide_scope_init(&self->scope, flags);
  tide_scope_enter(&self->scope, &self->task);
  tide_deadline_init(&self->deadline, &self->scope, self->world->loop);
  CHECK_EQ(tide_deadline_set(&self->deadline, after_ms(self->world, ms)), TIDE_OK);
}

static inline void leave_scope(actor *self) {
  tide_deadline_stop(&self->deadline);
  tide_scope_exit(&self->scope);
}

static inline void check_all_ended(const world *w) {
  for (unsigned i = 0; i < w->count; i++) CHECK(actor_ended(&w->actors[i]));
}

/* Nothing is left in the loop. */
static inline void check_idle(const world *w) {
  const tide_loop *loop = w->loop;
  CHECK(!tide__ready(loop));
  CHECK(tide_list_empty(&loop->deferred));
  CHECK(tide_list_empty(&loop->background.scope.children));
  CHECK_EQ(loop->timers.count, 0);
  CHECK_EQ(loop->holds, 0);
  CHECK_EQ(loop->background.live, 0);
  CHECK(loop->forwards == NULL);
  CHECK(loop->current == NULL);
}

/* The end of a world whose actors have all ended: nothing is left over. */
static inline void world_close(world *w) {
  check_all_ended(w);
  check_idle(w);
  tide_loop_free(w->loop);
  CHECK_EQ(w->memory.in_use, 0);
}

/* Series of worlds. */

/* `stage` spawns actors and names the victim; `verify` looks at what is left when all is over. */
typedef struct scenario {
  void (*stage)(world *w);
  void (*verify)(world *w);
} scenario;

static inline bool play_blow(const scenario *play, blow how, unsigned when) {
  static const char *const names[BLOWS] = {"cancel",         "cancel twice", "cancel, uncancel",
                                           "kill",           "cancel, kill", "cancel once ready",
                                           "kill once ready"};
  world w;
  snprintf(check_state.context, sizeof check_state.context, "%s at suspension %u", names[how],
           when);
  world_open(&w);
  w.blow = how;
  w.when = when;
  play->stage(&w);
  CHECK(w.victim != NULL);
  settle(&w);
  play->verify(&w);
  world_close(&w);
  return w.struck;
}

/* Plays it once for every blow at every suspension of the victim. */
static inline void play_all_blows(const scenario *play) {
  for (blow how = 0; how < BLOWS; how++) {
    unsigned when = 1;
    while (play_blow(play, how, when)) when++;
    CHECK(when > 1 || how >= READY_CANCEL);
  }
  check_state.context[0] = '\0';
}

/* Plays it while the first, second ... allocation fails, until none does. */
static inline void play_all_shortages(const scenario *play) {
  unsigned failing = 0;
  world w;
  do {
    snprintf(check_state.context, sizeof check_state.context, "allocation %u fails", ++failing);
    world_open(&w);
    w.memory.fail_at = w.memory.allocations + failing;
    play->stage(&w);
    settle(&w);
    play->verify(&w);
    world_close(&w);
  } while (w.memory.allocations >= w.memory.fail_at);
  CHECK(failing > 1);
  check_state.context[0] = '\0';
}

#endif
