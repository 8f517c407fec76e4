/* join.c: several Tasks and Futures as they end: what gather, wait, race and as_completed are made
 * of (tide.concurrent). */
#include "bindings.h"

static tide_join *check_join(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_JOIN); }

/* Raises where the current task cannot wait for the future at `index`. */
static tide_future *check_member(lua_State *L, const tl_runtime *rt, int index) {
  tide_future *future = tl_check_future(L, rt, index);
  if (rt->current != NULL && future == &rt->current->task.future)
    tl_raise_message(L, rt, TIDE_EINVALID_STATE, "a task cannot wait for itself");
  return future;
}

/* join(list, forward[, force[, room]]) -> join; `forward`: who waits and is cancelled gives the
 * members up; `force`: also those for which others wait; there is room for so many in all, else for
 * those in the list */
static int new_join(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  bool forward = lua_toboolean(L, 2), force = lua_toboolean(L, 3);
  uint32_t count = (uint32_t)lua_rawlen(L, 1);
  uint32_t room = (uint32_t)luaL_optinteger(L, 4, count);
  lua_settop(L, 1);
  for (uint32_t i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    check_member(L, rt, 2);
    lua_settop(L, 1);
  }
  tide_join *join = tl_object_new(L, rt, TL_JOIN, tide_join_size(room), 1);
  lua_createtable(L, (int)count, 0); /* keeps them alive, whatever becomes of the list */
  tide_join_init(join, rt->loop, room, forward);
  join->force = force;
  for (uint32_t i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    lua_rawseti(L, 3, i);
  }
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, 2, 1);
  for (uint32_t i = 1; i <= count; i++) {
    lua_rawgeti(L, 3, i);
    tide_join_add(join, tl_check_future(L, rt, -1));
    lua_pop(L, 1);
  }
  lua_settop(L, 2);
  return 1;
}

/* join:add(future): one more, for which there is room */
static int join_add(lua_State *L) {
  tide_join *join = check_join(L);
  tide_future *future = check_member(L, tl_rt(L), 2);
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, (lua_Integer)join->count + 1);
  tide_join_add(join, future);
  return 0;
}

/* Takes the next member that has failed, of those that a cancelled waiter has given up. */
static bool take_failed(tide_join *join, uint32_t *index) {
  while (join->forward && tide_join_take(join, index))
    if (join->members[*index].future->state == TIDE_FUTURE_FAILED) return true;
  return false;
}

static int next_ended(lua_State *L, int status, lua_KContext ctx) {
  uint32_t index;
  (void)status;
  (void)ctx;
  tl_runtime *rt = tl_rt(L);
  tide_join *join = lua_touserdata(L, 1);
  bool given_up = rt->waking && rt->current->task.outcome == TIDE_ECANCELLED;
  if (given_up && take_failed(join, &index)) { /* a failure is told before a cancellation */
    tl_woken(L, rt);
    lua_pushinteger(L, (lua_Integer)index + 1);
    lua_pushboolean(L, 1);
    return 2;
  }
  tl_outcome(L, rt);
  if (tide_join_take(join, &index))
    lua_pushinteger(L, (lua_Integer)index + 1);
  else
    lua_pushnil(L);
  return 1;
}

/* join:next() -> index of the next member that has ended | nil; or, where a cancelled waiter has
 * given the members up, that of one that failed, true (waits) */
static int join_next(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  tide_join *join = check_join(L);
  int result = tide_join_wait(join, &task->task);
  if (result != TIDE_EINVALID_STATE) return tl_finish(L, rt, result, 0, next_ended);
  lua_pushnil(L);
  return 1;
}

/* join:ready() -> boolean: whether next need not wait */
static int join_ready(lua_State *L) {
  const tide_join *join = check_join(L);
  lua_pushboolean(L, join->taken < join->ended);
  return 1;
}

/* join:close(): lets go of those that have not ended */
static int join_close(lua_State *L) {
  tide_join_term(check_join(L));
  return 0;
}

static int join_gc(lua_State *L) {
  tide_join *join = tl_test(L, tl_rt(L), 1, TL_JOIN);
  if (join != NULL) tide_join_term(join);
  return 0;
}

void tl_join_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"join", new_join}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"add", join_add},
                                     {"ready", join_ready},
                                     {"next", join_next},
                                     {"close", join_close},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", join_close}, {"__gc", join_gc}, {NULL, NULL}};
  tl_class_new(L, rt, TL_JOIN, "join", methods, metamethods);
  tl_functions(L, rt, functions);
}
