/* join.c: several Tasks and Futures as they end: what gather, wait, race and as_completed are made
 * of (tide.concurrent). */
#include "join.h"
#include "class.h"
#include "error.h"
#include "future.h"
#include "parts.h"
#include "report.h"
#include "runtime.h"
#include "task.h"
#include "wait.h"

/* User values. */
enum {
  LIST = 1, /* the members */
  KEPT,     /* whether somebody has them: else what they failed with is told when it is closed */
  STEP,     /* of an as_completed that a generic for calls: its iterator function, */
  CALLER,   /* and the coroutine with the loop */
  USER_VALUES = CALLER,
};

static tide_join *check_join(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_JOIN); }

/* Raises where the current task cannot wait for the future at `index`. */
static tide_future *check_member(lua_State *L, const tl_runtime *rt, int index) {
  tide_future *future = tl_check_future(L, rt, index);
  if (rt->current != NULL && future == &rt->current->task.future)
    tl_raise_message(L, rt, TIDE_EINVALID_STATE, "a task cannot wait for itself");
  return future;
}

/* join(list, forward[, force[, room[, kept]]]) -> join; `forward`: who waits and is cancelled gives
 * the members up; `force`: also those for which others wait; there is room for so many in all, else
 * for those in the list; `kept`: whoever made it hands the members on, and their failures with them
 */
static int new_join(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  bool forward = lua_toboolean(L, 2), force = lua_toboolean(L, 3), kept = lua_toboolean(L, 5);
  uint32_t count = (uint32_t)lua_rawlen(L, 1);
  uint32_t room = (uint32_t)luaL_optinteger(L, 4, count);
  lua_settop(L, 1);
  for (uint32_t i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    check_member(L, rt, 2);
    lua_settop(L, 1);
  }
  tide_join *join = tl_object_new(L, rt, TL_JOIN, tide_join_size(room), USER_VALUES);
  lua_pushboolean(L, kept);
  lua_setiuservalue(L, 2, KEPT);
  lua_createtable(L, (int)count, 0); /* keeps them alive, whatever becomes of the list */
  tide_join_init(join, rt->loop, room, forward);
  join->force = force;
  for (uint32_t i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    lua_rawseti(L, 3, i);
  }
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, 2, LIST);
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

/* join:hold(): from now on who waits in it has cancelled the members, and is in a shield */
static int join_hold(lua_State *L) {
  tide_join_hold(check_join(L));
  return 0;
}

/* Takes the next member that has failed, of those that a cancelled waiter has given up. */
static bool take_failed(tide_join *join, uint32_t *index) {
  while (join->forward && tide_join_take(join, index))
    if (join->members[*index].future->state == TIDE_FUTURE_FAILED) return true;
  return false;
}

/* Waits for the next member that ends; nil where there is none. */
static int await_next(lua_State *L, tl_task *task, tide_join *join, lua_KFunction ended) {
  int result = tide_join_wait(join, &task->task);
  if (result != TIDE_EINVALID_STATE) return tl_finish(L, task->rt, result, 0, ended);
  lua_pushnil(L);
  return 1;
}

static int next_ended(lua_State *L, int status, lua_KContext ctx) {
  uint32_t index;
  (void)status;
  (void)ctx;
  tl_runtime *rt = tl_rt(L);
  tide_join *join = lua_touserdata(L, 1);
  int outcome = tl_take_outcome(L, rt);
  if (outcome == TIDE_ECANCELLED &&
      take_failed(join, &index)) { /* a failure is told before a cancellation */
    lua_pushinteger(L, (lua_Integer)index + 1);
    lua_pushboolean(L, 1);
    return 2;
  }
  if (TL_UNLIKELY(outcome != TIDE_OK)) return tl_raise_outcome(L, rt, outcome);
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
  return await_next(L, task, check_join(L), next_ended);
}

/* join:ready() -> boolean: whether next need not wait */
static int join_ready(lua_State *L) {
  const tide_join *join = check_join(L);
  lua_pushboolean(L, join->taken < join->ended);
  return 1;
}

/* join:failed(index) -> whether that member has; this is not looking at its failure */
static int join_failed(lua_State *L) {
  const tide_join *join = check_join(L);
  lua_Integer index = luaL_checkinteger(L, 2);
  luaL_argcheck(L, index >= 1 && index <= join->count, 2, "not a member");
  lua_pushboolean(L, join->members[index - 1].future->state == TIDE_FUTURE_FAILED);
  return 1;
}

/* What members failed with that nobody took is nobody's. */
static void leave_failures(lua_State *L, tl_runtime *rt, int join) {
  int list = lua_gettop(L) + 1;
  lua_getiuservalue(L, join, LIST);
  lua_Integer count = lua_istable(L, list) ? (lua_Integer)lua_rawlen(L, list) : 0;
  for (lua_Integer i = 1; i <= count; i++, lua_settop(L, list)) {
    lua_rawgeti(L, list, i);
    const tl_task *task = tl_test(L, rt, list + 1, TL_TASK);
    lua_settop(L, list + 1);
    if (task == NULL || task->task.future.state != TIDE_FUTURE_FAILED) continue;
    if (!(task->task.future.user & TL_TOLD)) tl_report_left_alone(L, rt, list + 1);
  }
  lua_settop(L, list - 1);
}

/* Lets go of the members of the join at that index. */
static void join_let_go(lua_State *L, tl_runtime *rt, int join) {
  tide_join_term(lua_touserdata(L, join));
  lua_getiuservalue(L, join, KEPT);
  bool kept = lua_toboolean(L, -1);
  lua_pushboolean(L, true);
  lua_setiuservalue(L, join, KEPT);
  lua_pop(L, 1);
  if (!kept && rt->loop != NULL) leave_failures(L, rt, join);
}

/* join:close(): lets go of those that have not ended */
static int join_close(lua_State *L) {
  check_join(L);
  join_let_go(L, tl_rt(L), 1);
  return 0;
}

/* as_completed: its iterator is a function, with the join as its second upvalue. */

/* A loop calls: note which. */
static void note_loop(lua_State *L, tl_runtime *rt, int join) {
  lua_Debug ar;
  lua_pushthread(L);
  lua_setiuservalue(L, join, CALLER);
  lua_getstack(L, 0, &ar);
  lua_getinfo(L, "f", &ar);
  lua_setiuservalue(L, join, STEP);
  tl_table_push(L, rt, TL_LOOPS);
  lua_pushvalue(L, join);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static int next_completed(lua_State *L, int status, lua_KContext ctx) {
  uint32_t index;
  (void)status;
  (void)ctx;
  tl_outcome(L, tl_rt(L));
  if (tide_join_take(lua_touserdata(L, 1), &index)) {
    lua_getiuservalue(L, 1, LIST);
    lua_rawgeti(L, -1, (lua_Integer)index + 1);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* -> the next Task or Future that has ended | nil (waits) */
static int completed(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(2));
  if (lua_getiuservalue(L, 1, STEP) == LUA_TNIL && tl_loop_calls(L)) {
    note_loop(L, rt, 1);
    task->completes = true;
  }
  lua_settop(L, 1);
  return await_next(L, task, lua_touserdata(L, 1), next_completed);
}

/* completions(list) -> that function, the join, which is to be closed where the loop is left */
static int completions(lua_State *L) {
  lua_settop(L, 1);
  new_join(L);
  lua_pushlightuserdata(L, tl_rt(L));
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, completed, 2);
  lua_insert(L, -2);
  return 2;
}

/* Whether a member has failed that nobody has looked at. */
static bool has_unseen(const tide_join *join) {
  for (uint32_t i = join->taken; i < join->ended; i++) {
    const tide_future *future = join->members[join->order[i]].future;
    if (future->state == TIDE_FUTURE_FAILED && !(future->user & TL_TOLD)) return true;
  }
  return false;
}

static bool is_looping(lua_State *L, int join) {
  int top = lua_gettop(L);
  lua_getiuservalue(L, join, STEP);
  lua_getiuservalue(L, join, CALLER);
  bool runs = tl_loop_runs(L, lua_tothread(L, -1), top + 1);
  lua_settop(L, top);
  return runs;
}

/* Closing one adds to no table that is being traversed. */
bool tl_join_loops(lua_State *L, tl_runtime *rt) {
  bool wait = false;
  int top = lua_gettop(L);
  tl_table_push(L, rt, TL_LOOPS);
  for (lua_pushnil(L); lua_next(L, top + 1) != 0; lua_settop(L, top + 2)) {
    tide_join *join = lua_touserdata(L, top + 2);
    if (is_looping(L, top + 2)) {
      wait = wait || has_unseen(join);
      continue;
    }
    lua_pushvalue(L, top + 2);
    lua_pushnil(L);
    lua_rawset(L, top + 1);
    join_let_go(L, rt, top + 2);
  }
  lua_settop(L, top);
  return wait;
}

static int join_gc(lua_State *L) {
  if (tl_test(L, tl_rt(L), 1, TL_JOIN) != NULL) join_let_go(L, tl_rt(L), 1);
  return 0;
}

void tl_join_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {
      {"join", new_join}, {"completions", completions}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"add", join_add},       {"hold", join_hold},   {"ready", join_ready}, {"next", join_next},
      {"failed", join_failed}, {"close", join_close}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", join_close}, {"__gc", join_gc}, {NULL, NULL}};
  tl_class_new(L, rt, TL_JOIN, "join", methods, metamethods);
  tl_functions(L, rt, functions);
}
