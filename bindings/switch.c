/* switch.c: how greenlets switch to each other, by way of the hub: greenlet.h. */
#include "class.h"
#include "close.h"
#include "coroutine.h"
#include "error.h"
#include "generator.h"
#include "greenlet.h"
#include "protect.h"
#include "scope.h"
#include "traceback.h"
#include "wait.h"

/* The body of a greenlet's coroutine. Its stack: greenlet, message handler, function, arguments. */

static int body_done(lua_State *L, int results) { return results < 0 ? lua_error(L) : results; }

static lua_State *itself(lua_State *L) { return L; }

static const tl_resumer body_ops = {NULL, itself, body_done};

/* Scopes that it has left open are left. What closes a greenlet is not an error of its own. */
static int body_left(lua_State *L, int status, lua_KContext ctx) {
  tl_runtime *rt = tl_rt(L);
  const tl_greenlet *self = lua_touserdata(L, 1);
  const tide_scope *scope = &self->track->branch.scope;
  (void)ctx;
  bool failed = tl_returned(L, status, 2) != LUA_OK;
  if (failed && tl_generator_exits(L, -1)) {
    lua_settop(L, 2);
    failed = false;
  }
  if (failed) tl_scope_misused(L, rt, lua_gettop(L), scope);
  int results = failed ? -1 : lua_gettop(L) - 2;
  if (TL_UNLIKELY(rt->current != NULL && rt->current->task.scope != scope))
    return tl_leave(L, &body_ops, scope, results);
  return body_done(L, results);
}

/* Protected, so that what the function has open may wait while an error leaves it. */
static int body(lua_State *L) {
  lua_pushcfunction(L, tl_message_handler);
  lua_insert(L, 2);
  return body_left(L, lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 2, 0, body_left), 0);
}

void tl_greenlet_fill(lua_State *L, int self, int function) {
  tl_greenlet *greenlet = lua_touserdata(L, self);
  lua_pushlightuserdata(L, greenlet->rt);
  lua_pushcclosure(L, body, 1);
  lua_pushvalue(L, self);
  lua_pushvalue(L, function);
  lua_xmove(L, greenlet->co, 3);
}

/* The one that runs; NULL: the main one. */
static tl_greenlet *present(const tl_runtime *rt) {
  return rt->nesting != NULL ? rt->nesting->greenlet : NULL;
}

/* In the cleanup of a killed task what runs is another's. */
static void push_present(lua_State *L, tl_runtime *rt) {
  const tl_greenlet *here = present(rt);
  if (here == NULL || here->main->task != rt->current) {
    tl_greenlet_main_push(L, rt);
    return;
  }
  tl_table_push(L, rt, TL_GREENLETS);
  lua_rawgetp(L, -1, here->track);
  lua_remove(L, -2);
}

int tl_greenlet_current(lua_State *L) {
  push_present(L, tl_rt(L));
  return 1;
}

/* Replaces the greenlet at `index`, where it has ended, by its parent, that one's parent ..., the
 * first that has not; that is the answer. An error ends one that has not begun. */
static tl_greenlet *find_living(lua_State *L, int index, bool fails) {
  for (;;) {
    tl_greenlet *self = lua_touserdata(L, index);
    if (self->co == NULL) return self;
    if (self->stage == TL_NEW && fails) self->stage = TL_DEAD;
    if (self->stage == TL_SUSPENDED && lua_status(self->co) != LUA_YIELD)
      tl_greenlet_end(L, self); /* an original coroutine.close */
    if (self->stage != TL_DEAD) return self;
    lua_getiuservalue(L, index, TL_GREENLET_PARENT);
    lua_replace(L, index);
  }
}

/* Arriving. */

/* Raises the error at 1; the traceback at 2 is that of the greenlet that has ended by it, or nil.
 */
static int raise(lua_State *L, tl_runtime *rt) {
  if (!lua_isstring(L, 2)) {
    lua_settop(L, 1);
    return lua_error(L);
  }
  lua_pushliteral(L, "\nin a greenlet, behind which comes\n");
  luaL_traceback(L, L, NULL, 0);
  lua_concat(L, 3);
  return tl_raise_traced(L, rt);
}

/* What was given is above the first value. */
static int arrive(lua_State *L, tl_greenlet *self) {
  if (!self->fails) return lua_gettop(L) - 1;
  self->fails = false;
  lua_remove(L, 1);
  return raise(L, self->rt);
}

/* Somebody has switched to the greenlet that is suspended here. */
static int arrived(lua_State *L, int status, lua_KContext ctx) {
  tl_runtime *rt = tl_rt(L);
  (void)status;
  (void)ctx;
  tl_woken(L, rt);
  return arrive(L, rt->nesting->greenlet);
}

/* The hub. The greenlet that runs is at 1. */

/* It has asked for another one, which comes in its place and gets what it is given. */
static void change(lua_State *L, tl_runtime *rt, tl_greenlet *self) {
  lua_State *from = rt->switching; /* its stack: whom to, values, marker */
  rt->switching = NULL;
  self->stage = TL_SUSPENDED;
  self->at = from;
  if (rt->current != NULL) tide_branch_leave(&self->track->branch);
  const tl_greenlet *next = lua_touserdata(from, 1);
  lua_pop(from, 1);
  lua_xmove(from, next->at, lua_gettop(from) - 1);
  lua_xmove(from, L, 1);
  lua_replace(L, 1);
  lua_pushlightuserdata(from, &tl_marker);
}

/* It could not go on, or has yielded to nobody: ends it with an error. */
TL_COLD static void break_off(lua_State *L, tl_greenlet *self, int status, int results) {
  lua_State *co = self->co;
  if (status == LUA_YIELD) {
    lua_pop(co, results);
    lua_rawgeti(co, LUA_REGISTRYINDEX, self->rt->messages.foreign_yield);
  }
  lua_xmove(co, L, 1);
  tl_greenlet_drop(L, self, TL_GREENLET_ENDED);
  lua_xmove(L, co, 1);
}

/* Gives the error on top of the coroutine to the one at 2, with its traceback. */
static void give_error(lua_State *L, tl_runtime *rt, lua_State *co, tl_greenlet *next) {
  lua_xmove(co, L, 1);
  tl_traceback_take_from(L, rt, co, -1);
  lua_xmove(L, next->at, 2);
  next->fails = true;
}

static void give_results(lua_State *L, const tl_runtime *rt, lua_State *co, tl_greenlet *next,
                         int results) {
  if (TL_UNLIKELY(!lua_checkstack(next->at, results + 1))) {
    lua_settop(co, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->messages.too_many);
    lua_pushnil(L);
    lua_xmove(L, next->at, 2);
    next->fails = true;
    return;
  }
  lua_xmove(co, next->at, results);
}

/* It has ended: who is behind it comes in its place, and gets its results or its error. */
static void end(lua_State *L, tl_runtime *rt, tl_greenlet *self, int status, int results) {
  lua_State *co = self->co;
  if (TL_UNLIKELY(lua_status(co) == LUA_YIELD)) {
    break_off(L, self, status, results);
    status = LUA_ERRRUN;
  } else {
    tl_greenlet_end(L, self);
  }
  if (lua_getiuservalue(L, 1, TL_GREENLET_CLOSER) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_getiuservalue(L, 1, TL_GREENLET_PARENT);
  }
  lua_pushnil(L);
  lua_setiuservalue(L, 1, TL_GREENLET_CLOSER);
  tl_greenlet *next = find_living(L, 2, status != LUA_OK);
  if (next->stage == TL_NEW) tl_greenlet_begin(L, 2);
  if (status != LUA_OK)
    give_error(L, rt, co, next);
  else
    give_results(L, rt, co, next, results);
  lua_remove(L, 1);
}

static int resume(lua_State *L, tl_greenlet *self, int arguments, int *results, bool *waiting) {
  lua_KContext scope = (lua_KContext)&self->track->branch.scope;
  return tl_coroutine_enter(L, tl_rt(L), self->co, arguments, scope, self, results, waiting);
}

/* Goes on with the greenlet. Answers as tl_coroutine_enter. */
static int enter(lua_State *L, tl_runtime *rt, tl_greenlet *self, int *results, bool *waiting) {
  int arguments = 0;
  if (self->stage == TL_NEW)
    arguments = lua_gettop(self->co) - 1; /* all but the body */
  else
    rt->step.waking = true;
  self->stage = TL_INSIDE;
  if (rt->current != NULL) tide_branch_enter(&self->track->branch, &rt->current->task);
  return resume(L, self, arguments, results, waiting);
}

static int hub_again(lua_State *L, int status, lua_KContext ctx);

/* What came of going on with the one at 1; and so on, until the main one's turn comes. */
static int run(lua_State *L, int status, int results, bool waiting) {
  tl_runtime *rt = tl_rt(L);
  for (;;) {
    tl_greenlet *self = lua_touserdata(L, 1);
    rt->step.waking = false;
    if (!waiting)
      end(L, rt, self, status, results);
    else if (rt->switching == NULL)
      return tl_wait(L, 0, hub_again);
    else
      change(L, rt, self);
    self = lua_touserdata(L, 1);
    if (self->co == NULL) return arrive(L, self);
    status = enter(L, rt, self, &results, &waiting);
  }
}

/* The task's wait, which is that of the one at 1, is over. */
static int hub_again(lua_State *L, int status, lua_KContext ctx) {
  tl_runtime *rt = tl_rt(L);
  int results;
  bool waiting;
  (void)status;
  (void)ctx;
  if (!rt->step.waking) tl_not_woken(L, rt);
  lua_pop(L, 1); /* the marker */
  tl_greenlet *self = lua_touserdata(L, 1);
  int answer = resume(L, self, 0, &results, &waiting);
  return run(L, answer, results, waiting);
}

static int expel(lua_State *L);

lua_State *tl_greenlet_inside(lua_State *co, lua_Debug *ar, lua_CFunction function) {
  if (function != tl_greenlet_switch && function != tl_greenlet_throw && function != expel)
    return NULL;
  if (lua_getlocal(co, ar, 1) == NULL) return NULL;
  const tl_greenlet *self = tl_test(co, tl_runtime_find(co), -1, TL_GREENLET);
  lua_pop(co, 1);
  return self != NULL && self->stage == TL_INSIDE ? self->co : NULL;
}

/* Switching. */

/* Whether the task may switch to the greenlet, at all; raises. */
static void check_task(lua_State *L, const tl_runtime *rt, const tl_greenlet *self) {
  if (self->main->over)
    tl_raise_message(L, rt, TIDE_EMISUSE, "the task that the greenlet belonged to has ended");
  if (self->main->task != rt->current)
    tl_raise_message(L, rt, TIDE_EMISUSE,
                     "a greenlet belongs to the task that made it: another cannot switch to it");
  if (tl_innermost_closing(rt->nesting) != NULL) tl_raise_cannot_wait(L, rt, "a greenlet");
}

/* Whether the one that runs can be suspended here; raises. */
static void check_suspendable(lua_State *L, const tl_runtime *rt) {
  if (rt->nesting->co != L) tl_raise_foreign_resume(L, rt, "a greenlet cannot be suspended inside");
  if (rt->nesting->pinned || !lua_isyieldable(L)) tl_raise_cannot_wait(L, rt, "a greenlet");
}

/* What can fail of a switch to the one at 1 with so many values. With `closes` the present one is
 * who gets what that ends with. */
static void prepare(lua_State *L, tl_runtime *rt, const tl_greenlet *target, int count,
                    bool closes) {
  if (!lua_checkstack(target->at, count + 1)) luaL_error(L, "too many values to switch");
  if (target->stage == TL_NEW) {
    tl_coroutine_prepare(L, rt, target->co);
    tl_greenlet_begin(L, 1);
  }
  if (!closes) return;
  push_present(L, rt);
  lua_setiuservalue(L, 1, TL_GREENLET_CLOSER);
}

/* The greenlet at 1, which has not ended, gets the values above it, and goes on. */
static int go(lua_State *L, tl_runtime *rt, tl_greenlet *target, bool fails, bool closes) {
  int count = lua_gettop(L) - 1, results;
  bool waiting;
  prepare(L, rt, target, count, closes);
  target->fails = fails;
  if (present(rt) != NULL) {
    rt->switching = L;
    return tl_wait(L, 0, arrived);
  }
  target->main->at = L;
  lua_xmove(L, target->at, count);
  int status = enter(L, rt, target, &results, &waiting);
  return run(L, status, results, waiting);
}

/* To the greenlet at 1, or who is behind it, with the values above: with `fails` an error, and its
 * traceback or nil. */
static int leave_for(lua_State *L, tl_runtime *rt, bool fails, bool closes) {
  const tl_greenlet *here = present(rt);
  tl_greenlet *target = find_living(L, 1, fails);
  if (here == NULL ? target->co == NULL : target == here) {
    if (!fails) return lua_gettop(L) - 1;
    lua_settop(L, 2);
    return lua_error(L);
  }
  if (target->stage == TL_INSIDE && target->co != NULL)
    tl_raise_foreign_resume(L, rt, "the greenlet waits inside");
  if (here != NULL) check_suspendable(L, rt);
  return go(L, rt, target, fails, closes);
}

/* greenlet:switch(...) -> what it is switched back with */
int tl_greenlet_switch(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  if (tl_is_due(L, rt)) return tl_turn_held(L, rt);
  check_task(L, rt, tl_check(L, rt, 1, TL_GREENLET));
  return leave_for(L, rt, false, false);
}

/* greenlet:throw(error) -> the same */
int tl_greenlet_throw(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  if (tl_is_due(L, rt)) return tl_turn_held(L, rt);
  check_task(L, rt, tl_check(L, rt, 1, TL_GREENLET));
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  lua_pushnil(L);
  return leave_for(L, rt, true, false);
}

/* Closing. */

/* Suspended until the greenlet at 1 has ended. */
static int expel(lua_State *L) {
  tl_generator_exit_push(L);
  lua_pushnil(L);
  return leave_for(L, tl_rt(L), true, true);
}

static int closed(lua_State *L, int status, lua_KContext ctx) {
  tl_greenlet *self = lua_touserdata(L, 1);
  (void)status;
  (void)ctx;
  if (TL_UNLIKELY(self->stage != TL_DEAD)) {
    lua_pushnil(L);
    lua_setiuservalue(L, 1, TL_GREENLET_CLOSER);
    tl_greenlet_drop(L, self, TL_GREENLET_ENDED);
    return tl_raise_message(L, self->rt, TIDE_EINVALID_STATE,
                            "the greenlet went on after it was closed, and switched back");
  }
  return 0;
}

/* greenlet:close(), and at the end of its block: what it has open is closed, and may wait */
int tl_greenlet_close(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  if (tl_is_due(L, rt)) return tl_turn_held(L, rt);
  tl_greenlet *self = tl_check(L, rt, 1, TL_GREENLET);
  lua_settop(L, 1);
  if (self->stage == TL_NEW) self->stage = TL_DEAD;
  if (self->stage == TL_DEAD) return 0;
  check_task(L, rt, self);
  if (self->stage == TL_INSIDE)
    return tl_raise_message(L, rt, TIDE_EINVALID_STATE,
                            "a greenlet that runs cannot be closed: its function is to return");
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, expel, 1);
  lua_pushvalue(L, 1);
  lua_callk(L, 1, 0, 0, closed);
  return closed(L, LUA_OK, 0);
}
