/* use.c: steps of iterators that only one task may be in: tide.iter has a Use for each of those.
 *
 * A step has its Use as a to-be-closed value, and enters it. Entering counts as a call that may
 * wait: an endless iterator that never does lets others run. */
#include "class.h"
#include "error.h"
#include "nesting.h"
#include "parts.h"
#include "runtime.h"
#include "wait.h"

typedef enum { FREE, INSIDE, INTERRUPTED, ENDED } state;

typedef struct tl_use {
  tl_runtime *rt;       /* whose */
  const lua_State *who; /* while INSIDE: the coroutine that is */
  state state;          /* INTERRUPTED: the last one inside was cancelled; ENDED: or failed */
  bool refused;         /* who tried to enter has yet to close it */
  bool tells;           /* enter tells of an interruption */
} tl_use;

/* The user value: the Iter, for messages. */
enum { OF = 1 };

static int raise_used(lua_State *L, tl_use *self) {
  self->refused = true;
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_getiuservalue(L, -1, OF);
  bool itself = tl_runs(self->rt->nesting, L, self->who);
  lua_pushfstring(L, "%s is %s", luaL_tolstring(L, -1, NULL),
                  itself ? "running: what its own step calls cannot take its next value"
                         : "used by two tasks at once");
  return tl_raise_in_use(L, self->rt, lua_tostring(L, -1));
}

static int go_in(lua_State *L, tl_use *self, bool fresh) {
  self->state = INSIDE;
  self->who = L;
  lua_pushboolean(L, fresh);
  return 1;
}

/* enter() -> true; false: after an interruption, if that is told; nil: the step is to give the end.
 * Takes a turn first where that is due. Raises where somebody is inside: another task, or who
 * calls. */
static int use_enter(lua_State *L) {
  tl_use *self = lua_touserdata(L, lua_upvalueindex(2));
  if (TL_UNLIKELY(tl_is_step_due(L, self->rt))) return tl_turn(L, self->rt);
  if (TL_UNLIKELY(self->state == INSIDE)) return raise_used(L, self);
  if (TL_UNLIKELY(self->state == ENDED)) return 0;
  return go_in(L, self, self->state == FREE || !self->tells);
}

/* A wait that was cancelled inside did not happen. */
static int use_close(lua_State *L) {
  tl_use *self = lua_touserdata(L, 1);
  bool mine = self->state == INSIDE && self->who == L && !self->refused;
  self->refused = false;
  if (!mine) return 0;
  if (TL_UNLIKELY(!lua_isnil(L, 2)))
    self->state = tl_error_is_cancel(L, self->rt, 2) ? INTERRUPTED : ENDED;
  else
    self->state = FREE;
  return 0;
}

static tl_use *check_use(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_USE); }

/* use:finish(): from now on it gives the end, also if somebody is inside */
static int use_finish(lua_State *L) {
  check_use(L)->state = ENDED;
  return 0;
}

/* use:set_iter(iter): whose it is */
static int use_set_iter(lua_State *L) {
  check_use(L);
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, OF);
  return 0;
}

/* tide.new_use([tells]) -> use, its function enter */
static int new_use(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  bool tells = lua_toboolean(L, 1);
  tl_use *self = tl_object_new(L, rt, TL_USE, sizeof *self, OF);
  *self = (tl_use){.rt = rt, .tells = tells};
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, use_enter, 2);
  return 2;
}

void tl_use_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"new_use", new_use}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"finish", use_finish}, {"set_iter", use_set_iter}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", use_close}, {NULL, NULL}};
  tl_class_new(L, rt, TL_USE, "use", methods, metamethods);
  tl_functions(L, rt, functions);
}
