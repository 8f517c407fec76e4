/* coroutine.h: what resumes coroutines as coroutine.wrap does. */
#ifndef TL_COROUTINE_H
#define TL_COROUTINE_H

#include <lua.h>
#include <stdatomic.h>

#include "local.h"
#include "nesting.h"
#include "runtime.h"
#include "tide.h"
#include "wait.h"

/* A coroutine that waits as part of a task, or of a switch. */
static inline bool tl_coroutine_waits(lua_State *co) {
  return lua_status(co) == LUA_YIELD && lua_gettop(co) > 0 &&
         lua_touserdata(co, -1) == (void *)&tl_marker;
}

/* The task's innermost scope: what a coroutine is resumed in for the first time, or after a yield.
 */
static inline lua_KContext tl_coroutine_scope(const tl_runtime *rt) {
  return (lua_KContext)(rt->current != NULL ? rt->current->task.scope : NULL);
}

/* Before each resume; it may raise. */
static inline void tl_coroutine_prepare(lua_State *L, tl_runtime *rt, lua_State *co) {
  if (TL_UNLIKELY(rt->has_locals) && lua_status(co) == LUA_OK) tl_locals_begin(L, rt, co);
  if (TL_UNLIKELY(rt->limits.standing)) tl_limits_watch(rt, co);
}

/* The resumes are compiled into those that resume: a yield leaves by longjmp, after which every
 * return is mispredicted, so the fewer there are the better. */

/* The resume alone, in a greenlet of its own where that is not NULL: Lua's status, and results or
 * the error on top of the coroutine. *waiting: it is part of the task's wait, or of a switch. */
TL_INLINE int tl_coroutine_enter(lua_State *L, tl_runtime *rt, lua_State *co, int arguments,
                                 lua_KContext scope, tl_greenlet *greenlet, int *results,
                                 bool *waiting) {
  tl_nesting *outer = rt->nesting;
  bool yieldable = lua_isyieldable(L) != 0;
  bool inside = greenlet == NULL && outer != NULL; /* of the same greenlet as what is around */
  tl_nesting nesting = {
      .outer = outer,
      .resumer = L,
      .co = co,
      .depth = outer != NULL ? outer->depth : 0,
      .scope = (const tide_scope *)scope,
      .stuck = !yieldable || (outer != NULL && outer->stuck),
      .greenlet = inside ? outer->greenlet : greenlet,
      .pinned = greenlet == NULL && (!yieldable || (inside && outer->pinned)),
  };
  atomic_signal_fence(memory_order_release); /* a signal handler may look at it: interrupt.c */
  rt->nesting = &nesting;
  int answer = lua_resume(co, L, arguments, results);
  rt->nesting = outer;
  *waiting = answer == LUA_YIELD && tl_coroutine_waits(co);
  return answer;
}

/* Resumes with what is on the coroutine's stack; the results come to L's top: their number, or -1
 * and an error; with *waiting none, and the caller waits with the scope for context. */
TL_INLINE int tl_coroutine_resume(lua_State *L, tl_runtime *rt, lua_State *co, int arguments,
                                  lua_KContext scope, bool *waiting) {
  int results;
  int answer = tl_coroutine_enter(L, rt, co, arguments, scope, NULL, &results, waiting);
  if (*waiting) return 0;
  if (TL_UNLIKELY(answer != LUA_OK && answer != LUA_YIELD)) {
    lua_xmove(co, L, 1);
    return -1;
  }
  if (TL_UNLIKELY(!lua_checkstack(L, results + 1))) {
    lua_pop(co, results);
    lua_pushliteral(L, "too many results to resume");
    return -1;
  }
  lua_xmove(co, L, results);
  return results;
}

/* The same when the scheduler has resumed the caller. */
int tl_coroutine_go_on(lua_State *L, tl_runtime *rt, lua_State *co, lua_KContext scope,
                       bool *waiting);
/* A yield that is not possible: says why. */
TL_COLD void tl_coroutine_refuse_yield(lua_State *L, const tl_runtime *rt);

/* Before each yield: raises where a C function is in between, or a scope is open. */
static inline void tl_coroutine_check_yield(lua_State *L, const tl_runtime *rt) {
  bool open =
      rt->current != NULL && rt->nesting != NULL && rt->current->task.scope != rt->nesting->scope;
  if (TL_UNLIKELY(open || !lua_isyieldable(L))) tl_coroutine_refuse_yield(L, rt);
}

/* Of a function that resumes: its continuation, whose context is the scope; which coroutine; and
 * what it makes of the end or of a yield, with so many results, or -1 and an error, on top. */
typedef struct tl_resumer {
  lua_KFunction again;
  lua_State *(*of)(lua_State *L);
  int (*done)(lua_State *L, int results);
} tl_resumer;

/* leave.c: leaves all scopes inside `outer`, then is done. */
int tl_leave(lua_State *L, const tl_resumer *resumer, const tide_scope *outer, int results);

/* After tl_coroutine_resume or go_on: waits, or leaves scopes that were left open, or is done. */
TL_INLINE int tl_coroutine_back(lua_State *L, const tl_runtime *rt, const tl_resumer *resumer,
                                lua_KContext scope, int results, bool waiting) {
  if (waiting) return tl_wait(L, scope, resumer->again);
  if (TL_UNLIKELY(rt->current != NULL && rt->current->task.scope != (tide_scope *)scope) &&
      lua_status(resumer->of(L)) != LUA_YIELD)
    return tl_leave(L, resumer, (const tide_scope *)scope, results);
  return resumer->done(L, results);
}

/* The coroutine that a suspended one has resumed, and that waits for it; or NULL. */
lua_State *tl_coroutine_inside(lua_State *co);
/* Which the function at that level resumed, or NULL. */
lua_State *tl_coroutine_at(lua_State *co, int level);
bool tl_coroutine_holds(lua_CFunction function); /* is it coroutine.resume? */

#endif
