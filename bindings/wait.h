/* wait.h: functions that wait.
 *
 * One begins with tl_begin, before it touches its arguments, calls one waiting function of the
 * core, and hands its answer to tl_finish; what comes after the wait is in the continuation. One
 * that waits only if a function does that it is given begins with tl_is_due. So each call counts,
 * also one that raises, and no loop of calls keeps other tasks from their turn. */
#ifndef TL_WAIT_H
#define TL_WAIT_H

#include "runtime.h"
#include "task.h"

tl_task *tl_waiter_failed(lua_State *L, const tl_runtime *rt);
void tl_not_woken(lua_State *L, const tl_runtime *rt); /* raises */
/* Why what is called `name` cannot be suspended here. */
int tl_raise_cannot_wait(lua_State *L, const tl_runtime *rt, const char *name);
/* It was to be suspended in, or went on in, a resume that is not tide's: `what` says how. */
int tl_raise_foreign_resume(lua_State *L, const tl_runtime *rt, const char *what);
int tl_raise_outcome(lua_State *L, tl_runtime *rt, int outcome);
extern char tl_marker; /* its address on top of a coroutine says: this one waits */

/* Whether there is a current task, and it may wait here. */
static inline bool tl_can_wait(lua_State *L, const tl_runtime *rt) {
  return rt->current != NULL && rt->current->task.state == TIDE_TASK_RUNNING &&
         lua_isyieldable(L) && (rt->nesting == NULL || !rt->nesting->stuck);
}

/* The current task, which may wait here; or raises. */
static inline tl_task *tl_waiter(lua_State *L, const tl_runtime *rt) {
  return TL_UNLIKELY(!tl_can_wait(L, rt)) ? tl_waiter_failed(L, rt) : rt->current;
}

enum { TL_CALLS_PER_TURN = 256 };

/* The same, first thing in a function that waits. NULL: the task has made so many of these calls in
 * a row that it is to take a turn first: `return tl_turn(L, rt)`. */
static inline tl_task *tl_begin(lua_State *L, tl_runtime *rt) {
  tl_task *task = tl_waiter(L, rt);
  return TL_UNLIKELY(++rt->step.calls >= TL_CALLS_PER_TURN) ? NULL : task;
}

/* The same for functions that need not wait: whether they are to take a turn first. Where nothing
 * can wait they are not. */
static inline bool tl_is_due(lua_State *L, tl_runtime *rt) {
  return tl_can_wait(L, rt) && TL_UNLIKELY(++rt->step.calls >= TL_CALLS_PER_TURN);
}

/* The same for steps of iterators, of which many need not wait: what tells that they could is asked
 * only where they are to. */
static inline bool tl_is_step_due(lua_State *L, tl_runtime *rt) {
  return TL_UNLIKELY(++rt->step.calls >= TL_CALLS_PER_TURN) && tl_can_wait(L, rt);
}

/* The same for functions that are not to begin in a cancelled scope: there tl_turn raises. */
static inline bool tl_is_cancelled(lua_State *L, const tl_runtime *rt) {
  return tl_can_wait(L, rt) && tide_task_cancelled(&rt->current->task);
}

static inline bool tl_is_due_or_cancelled(lua_State *L, tl_runtime *rt) {
  return tl_can_wait(L, rt) && TL_UNLIKELY(++rt->step.calls >= TL_CALLS_PER_TURN ||
                                           tide_task_cancelled(&rt->current->task));
}

/* Gives up the turn, then calls the running function again, its arguments as they are; in a
 * cancelled scope it raises `cancelled` instead. */
int tl_turn(lua_State *L, tl_runtime *rt);
int tl_turn_to(lua_State *L, tl_runtime *rt,
               lua_CFunction function); /* that one, of constructors */

/* The same for functions that are to run in a cancelled scope too: it raises only where a task has
 * done nothing else for very long. */
int tl_turn_held(lua_State *L, tl_runtime *rt);

/* Suspends: `return tl_wait(L, ctx, k)`. */
static inline int tl_wait(lua_State *L, lua_KContext ctx, lua_KFunction k) {
  lua_pushlightuserdata(L, &tl_marker);
  return lua_yieldk(L, 1, ctx, k);
}

/* First thing in a continuation: takes note that it was the scheduler that resumed; else raises. */
static inline void tl_woken(lua_State *L, tl_runtime *rt) {
  if (TL_UNLIKELY(!rt->step.waking)) tl_not_woken(L, rt);
  rt->step.waking = false;
}

/* The same, and how the wait ended: the only way to ask. */
static inline int tl_take_outcome(lua_State *L, tl_runtime *rt) {
  tl_woken(L, rt);
  return rt->current->task.outcome;
}

/* In a continuation: raises if the wait ended with an error. After a wait the marker is still on
 * the stack; this leaves it there, under what the function will push. */
static inline void tl_outcome(lua_State *L, tl_runtime *rt) {
  int outcome = tl_take_outcome(L, rt);
  if (TL_UNLIKELY(outcome != TIDE_OK)) tl_raise_outcome(L, rt, outcome);
}

/* The same, with the stack as it was before the wait: for continuations that count what is on it,
 * or wait again. `status` is what Lua gave to the continuation. */
static inline void tl_resumed(lua_State *L, tl_runtime *rt, int status) {
  if (status == LUA_YIELD) lua_pop(L, 1);
  tl_outcome(L, rt);
}

/* Finishes a waiting function whose continuation is `k`, called at once where nothing is to be
 * waited for: `return tl_finish(L, rt, result, ctx, k)`. */
static inline int tl_finish(lua_State *L, tl_runtime *rt, int result, lua_KContext ctx,
                            lua_KFunction k) {
  if (result == TIDE_PENDING) return tl_wait(L, ctx, k);
  if (TL_UNLIKELY(result != TIDE_OK)) return tl_raise_outcome(L, rt, result);
  rt->current->task.outcome = TIDE_OK;
  rt->step.waking = true;
  return k(L, LUA_OK, ctx);
}

/* For functions of the core that are called again after each wait, until they are done. */
typedef struct tl_recall {
  /* Tries, with the caller's stack as it was: the number of results, or TL_AGAIN where the task is
   * parked. `self` is the userdata at 1. */
  int (*attempt)(lua_State *L, tl_runtime *rt, void *self);
  /* NULL, or called before the error is raised that a wait ended with. */
  void (*abandoned)(lua_State *L);
  tl_class class; /* of `self` */
} tl_recall;

enum { TL_AGAIN = -1 };

int tl_call(lua_State *L, tl_runtime *rt, const tl_recall *recall, void *self);

#endif
