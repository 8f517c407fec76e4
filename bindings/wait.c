/* wait.c: what is common to all that waits: who may, and what an outcome raises. */
#include <string.h>

#include "class.h"
#include "close.h"
#include "culprit.h"
#include "error.h"
#include "name.h"
#include "nesting.h"
#include "parts.h"
#include "reason.h"
#include "runtime.h"
#include "task.h"
#include "wait.h"

char tl_marker;

int tl_raise_cannot_wait(lua_State *L, const tl_runtime *rt, const char *name) {
  tl_culprit_push(L, rt);
  const char *inside = lua_tostring(L, -1), *cleanup = NULL;
  const tl_nesting *closing = tl_innermost_closing(rt->nesting);
  if (closing != NULL) {
    cleanup = closing->closing;
    tl_close_refused(L);
  }
  if (inside != NULL)
    lua_pushfstring(
        L,
        "%s cannot wait here, inside %s: Lua cannot suspend there; do the waiting before "
        "the call, or in a task of its own",
        name, inside);
  else
    lua_pushfstring(L, "%s cannot wait here: this is %s; do the waiting in a task of its own", name,
                    cleanup != NULL ? cleanup : "a call that the host made");
  return tl_raise_message(L, rt, TIDE_ECANNOT_WAIT, lua_tostring(L, -1));
}

int tl_raise_foreign_resume(lua_State *L, const tl_runtime *rt, const char *what) {
  lua_pushfstring(L,
                  "%s a resume that is not tide's: inside a task, use coroutine.resume and "
                  "coroutine.wrap as they are once tide is loaded",
                  what);
  return tl_raise_message(L, rt, TIDE_ECANNOT_WAIT, lua_tostring(L, -1));
}

void tl_not_woken(lua_State *L, const tl_runtime *rt) {
  if (tl_is_closing(rt->nesting) && rt->nesting->co == L) tl_close_rest(L);
  tl_raise_foreign_resume(L, rt, "a coroutine that waits in a task was resumed by");
}

tl_task *tl_waiter_failed(lua_State *L, const tl_runtime *rt) {
  char buffer[64];
  const char *name = tl_function_name(L, buffer, sizeof buffer);
  name = name != NULL ? lua_pushfstring(L, "'%s'", name) : "this function";
  if (rt->current == NULL) {
    if (rt->loop != NULL && tide_loop_turning(rt->loop))
      lua_pushfstring(
          L,
          "%s cannot wait here: the loop calls this between tasks, as it does callbacks "
          "(call_soon, call_later, add_done_callback) and failure reports; for what "
          "waits start a task in here: tide.spawn(function)",
          name);
    else
      lua_pushfstring(L, "%s can only be called inside a task: use %s", name,
                      rt->shared ? "tide.spawn(function), which is run as the host turns its loop"
                                 : "tide.run(function), or run the script with the program tide");
    tl_raise_message(L, rt, TIDE_ENO_TASK, lua_tostring(L, -1));
    return NULL;
  }
  if (rt->current->task.state != TIDE_TASK_RUNNING) {
    tide_task_detach(&rt->current->task);
    tl_raise_foreign_resume(L, rt, "an earlier wait went to");
  }
  tl_raise_cannot_wait(L, rt, name);
  return NULL;
}

int tl_raise_outcome(lua_State *L, tl_runtime *rt, int outcome) {
  if (outcome == TIDE_ECANCELLED) return tl_raise_cancelled(L, rt);
  return tl_raise(L, rt, outcome);
}

/* Turns. */

/* In a cancelled scope, turns that calls take which do not raise there, shielded ones too: after so
 * many without a wait, each after TL_CALLS_PER_TURN calls, one raises, so that an endless loop of
 * such calls ends; of calls that take long, after fewer. Cleanup may make many. */
enum {
  HELD_MAX = UINT8_MAX,
  HELD_LONG = 16,   /* where they have taken HELD_SPAN */
  HELD_SPAN = 2000, /* in the units of tide_future.parked */
  SCOPES_MAX = 64,  /* stacks of scopes may be deep: no further is looked */
};

/* Seen through shields. */
static bool is_anything_cancelled(const tide_task *task) {
  const tide_scope *scope = task->scope;
  for (int i = 0; i < SCOPES_MAX && scope != &task->own && !tide_scope_cancelled(scope); i++)
    scope = scope->parent;
  return tide_scope_cancelled(scope);
}

/* The current task has taken a turn, and goes on. True: it has taken enough of them in cancelled
 * scopes. Then its next call is to take one as well, until it is one that may raise. */
static bool count_held(tl_runtime *rt) {
  tl_task *task = rt->current;
  uint32_t now = (uint32_t)(tide_loop_now(rt->loop) >> TIDE_PARKED_SHIFT);
  bool waited = now - task->task.future.parked < now - task->held_since; /* modulo 2^32 */
  if (task->held == 0 || waited) task->held_since = now;
  if (waited) task->held = 0;
  if (!is_anything_cancelled(&task->task)) {
    task->held = 0;
    return false;
  }
  if (task->held < HELD_MAX) task->held++;
  bool enough =
      task->held == HELD_MAX || (task->held >= HELD_LONG && now - task->held_since >= HELD_SPAN);
  if (enough) rt->step.calls = TL_CALLS_PER_TURN - 2; /* the function itself is called anew */
  return enough;
}

static lua_KContext running_function(lua_State *L) {
  lua_Debug ar;
  lua_getstack(L, 0, &ar);
  lua_getinfo(L, "f", &ar);
  lua_CFunction function = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return (lua_KContext)function;
}

static int turned(lua_State *L, int status, lua_KContext function) {
  tl_runtime *rt = tl_rt(L);
  tl_resumed(L, rt, status);
  count_held(rt);
  return ((lua_CFunction)function)(L);
}

int tl_turn_to(lua_State *L, tl_runtime *rt, lua_CFunction function) {
  tide_task_yield(&rt->current->task);
  return tl_wait(L, (lua_KContext)function, turned);
}

int tl_turn(lua_State *L, tl_runtime *rt) {
  return tl_turn_to(L, rt, (lua_CFunction)running_function(L));
}

static int turned_held(lua_State *L, int status, lua_KContext function) {
  tl_runtime *rt = tl_rt(L);
  (void)status;
  lua_pop(L, 1);
  int outcome = tl_take_outcome(L, rt);
  if (!count_held(rt) || outcome == TIDE_OK) return ((lua_CFunction)function)(L);
  rt->current->held = 0; /* cleanup may make as many again */
  rt->step.calls =
      1; /* and where this error is lost in a loop, the next comes to another call of it */
  return tl_raise_outcome(L, rt, outcome);
}

int tl_turn_held(lua_State *L, tl_runtime *rt) {
  tide_task_yield(&rt->current->task);
  return tl_wait(L, running_function(L), turned_held);
}

/* For the Lua part's functions. */

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

/* tide.begins(): first thing in a function that waits: raises where it cannot, and in a cancelled
 * scope */
static int begins(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (task != NULL && !tide_task_cancelled(&task->task)) return 0;
  return tl_turn_to(L, rt, nothing);
}

/* tide.counts(): first thing in a function that waits only if one does that it calls */
static int counts(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  return TL_UNLIKELY(tl_is_due(L, rt)) ? tl_turn_held(L, rt) : 0;
}

void tl_wait_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"begins", begins}, {"counts", counts}, {NULL, NULL}};
  tl_functions(L, rt, functions);
}

static int call_again(lua_State *L, int status, lua_KContext ctx) {
  const tl_recall *recall = (const tl_recall *)ctx;
  tl_runtime *rt = tl_rt(L);
  if (status == LUA_YIELD) lua_pop(L, 1);
  int outcome = tl_take_outcome(L, rt);
  if (TL_UNLIKELY(outcome != TIDE_OK)) {
    if (recall->abandoned != NULL) recall->abandoned(L);
    return tl_raise_outcome(L, rt, outcome);
  }
  void *self = lua_touserdata(L, 1);
  rt->classes.last[recall->class] = self; /* its next method is likely to be called now */
  return tl_call(L, rt, recall, self);
}

int tl_call(lua_State *L, tl_runtime *rt, const tl_recall *recall, void *self) {
  int results = recall->attempt(L, rt, self);
  return results == TL_AGAIN ? tl_wait(L, (lua_KContext)recall, call_again) : results;
}
