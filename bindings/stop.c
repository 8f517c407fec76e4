/* stop.c: tide_lua_stop and tide_lua_close: a task of C's cancels all that a state runs, waits,
 * kills what is left, and tells the host. */
#include "stop.h"

#include "reason.h"
#include "runtime.h"
#include "slots.h"
#include "task.h"
#include "tide_lua.h"

enum { KILLS_MAX = 16 }; /* times that all is killed: cleanup may spawn */

struct tl_stop {
  tide_task task; /* first; in the loop's own lane, as the state's may go when it is over */
  tide_steps steps;
  tide_group group;    /* it alone: nobody cancels it */
  tide_timeout grace;  /* while tasks may end by themselves */
  tide_time span;      /* how long that is */
  tide_event changed;  /* the last task has ended, or tide.run has returned */
  tl_runtime *rt;      /* whose */
  int kills;           /* made */
  tide_lua_stop_fn fn; /* to be told */
  void *context;       /* with this */
  tide_allocator allocator;
};

static bool is_empty(const tl_runtime *rt) { return tl_slots_used(&rt->slots) == 0; }

void tl_stop_look(tl_stop *stop) { tide_event_set(&stop->changed); }

/* In protected mode. */
static int set_reasons(lua_State *L) {
  tl_runtime *rt = lua_touserdata(L, 1);
  tide_group *groups[TL_RUN_GROUPS];
  tl_run_groups(&rt->run, groups);
  lua_pushliteral(L, "stop");
  for (int i = 0; i < TL_RUN_GROUPS; i++) tl_reason_set(L, rt, &groups[i]->scope, 2);
  return 0;
}

/* What is spawned from now on is cancelled when it begins. */
static void cancel_all(tl_runtime *rt) {
  lua_State *L = rt->L;
  tide_group *groups[TL_RUN_GROUPS];
  bool room = lua_checkstack(L, LUA_MINSTACK);
  if (room) {
    lua_pushcfunction(L, set_reasons);
    lua_pushlightuserdata(L, rt);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1); /* no memory: no reason */
  }
  rt->run.stopped = true;
  tl_run_groups(&rt->run, groups);
  for (int i = 0; i < TL_RUN_GROUPS; i++) tide_group_cancel(groups[i]);
  tl_task *task;
  for (int slot = 0; room && (task = tl_live_task_push(L, rt, &slot)) != NULL; lua_pop(L, 1))
    if (!tide_scope_cancelled(&task->task.own)) tide_task_cancel(&task->task); /* a host's group */
}

/* In protected mode. */
static int kill_all(lua_State *L) {
  tl_task_kill_all(L, lua_touserdata(L, 1), NULL);
  return 0;
}

static void kill_protected(tl_runtime *rt) {
  lua_State *L = rt->L;
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  lua_pushcfunction(L, kill_all);
  lua_pushlightuserdata(L, rt);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1); /* lua_close does the rest */
}

static void free_stop(tl_stop *self) {
  const tide_allocator allocator = self->allocator;
  tide_free(&allocator, self, sizeof *self);
}

/* It ends, and its memory with it. */
static void finish(tl_stop *self) {
  self->rt->stop = NULL;
  tl_slots_watch(&self->rt->slots, false);
  tide_task_finish(&self->task, TIDE_FUTURE_DONE);
  free_stop(self);
}

static void step(tide_task *task, int outcome) {
  tl_stop *self = tide_container(task, tl_stop, task);
  tl_runtime *rt = self->rt;
  tide_lua_stop_fn fn = self->fn;
  void *context = self->context;
  lua_State *L = rt->main;
  TIDE_BEGIN(task, &self->steps, outcome);
  cancel_all(rt);
  if (self->span > 0) {
    TIDE_WAIT(tide_timeout_begin(&self->grace, task, self->span));
  } else { /* a turn; time may stand still */
    TIDE_WAIT(tide_task_yield(task));
  }
  while (!is_empty(rt) && self->span > 0 && self->steps.outcome == TIDE_OK) {
    tide_event_clear(&self->changed);
    TIDE_WAIT(tide_event_wait(&self->changed, task));
  }
  tide_timeout_end(&self->grace, self->steps.outcome);
  while (!is_empty(rt) && self->kills++ < KILLS_MAX) {
    kill_protected(rt);
    TIDE_WAIT(tide_task_yield(task));
  }
  while (rt->run.running) { /* on the stack of who has called it: the host would close that */
    if (rt->run.forever) tide_loop_stop(rt->loop);
    tide_event_clear(&self->changed);
    TIDE_WAIT(tide_event_wait(&self->changed, task));
  }
  TIDE_WAIT(tide_task_yield(task)); /* for reports, at the end of a turn */
  finish(self);
  if (fn != NULL) fn(L, context); /* which may close the state */
  return;
  TIDE_END;
}

/* The loop is freed. */
static void drop(tide_task *task) {
  tl_stop *self = tide_container(task, tl_stop, task);
  self->rt->stop = NULL;
  free_stop(self);
}

void tl_stop_end(tl_runtime *rt) {
  if (rt->stop == NULL) return;
  tide_task_detach(&rt->stop->task);
  tide_timeout_end(&rt->stop->grace, TIDE_OK);
  finish(rt->stop);
}

int tide_lua_stop(lua_State *L, tide_time grace, tide_lua_stop_fn fn, void *context) {
  static const tide_task_ops ops = {.name = "tide_lua_stop", .step = step, .drop = drop};
  tl_runtime *rt;
  int error = tl_runtime_ask(L, &rt);
  if (error != TIDE_OK) return error;
  if (rt->stop != NULL) return TIDE_EALREADY_RUNNING;
  const tide_allocator *allocator = tide_loop_allocator(rt->loop);
  tl_stop *self = tide_alloc(allocator, sizeof *self);
  if (self == NULL) return TIDE_ENOMEM;
  *self = (tl_stop){.rt = rt, .span = grace, .fn = fn, .context = context, .allocator = *allocator};
  tide_event_init(&self->changed);
  tide_group_init(&self->group, rt->loop, 0, false);
  tide_task_init(&self->task, rt->loop, &ops);
  tide_task_spawn(&self->task, &self->group);
  rt->stop = self;
  tl_slots_watch(&rt->slots, true);
  return TIDE_OK;
}

static void note(lua_State *L, void *context) {
  (void)L;
  tide_future_end(context, TIDE_FUTURE_DONE);
}

/* Whether somebody is in the middle of it: a script that has called, a finalizer, tide.run. */
static bool is_in_use(lua_State *L, const tl_runtime *rt) {
  lua_Debug ar;
  lua_State *main = L;
  if (lua_checkstack(L, 1)) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    main = lua_tothread(L, -1);
    lua_pop(L, 1);
  }
  return (rt != NULL && rt->run.running) || lua_getstack(L, 0, &ar) || lua_getstack(main, 0, &ar);
}

int tide_lua_close(lua_State *L, tide_time grace) {
  tl_runtime *rt;
  tide_future stopped;
  tide_future_init(&stopped);
  tl_runtime_ask(L, &rt); /* without: all that lua_close does */
  if (is_in_use(L, rt)) return TIDE_EALREADY_RUNNING;
  if (rt != NULL) {
    tide_loop *loop = rt->loop;
    if (tide_loop_turning(loop)) return TIDE_EALREADY_RUNNING;
    if (tide_loop_is_guest(loop)) return TIDE_EINVALID_STATE;
    if (tide_loop_advance(loop, 0) == TIDE_OK)
      grace = 0; /* a manual clock stands still meanwhile */
    int error = tide_lua_stop(L, grace, note, &stopped);
    if (error == TIDE_EALREADY_RUNNING) return error;
    while (error == TIDE_OK && !tide_future_ended(&stopped))
      if (tide_loop_run(loop, &stopped) == TIDE_EDEADLOCK && !tide_future_ended(&stopped))
        tide_task_cancel(&rt->stop->task); /* nothing will end by itself */
  }
  lua_close(L);
  return TIDE_OK;
}
