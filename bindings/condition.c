/* condition.c: Condition. Its lock is its user value. */
#include "class.h"
#include "error.h"
#include "lock.h"
#include "make.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"
#include "value.h"
#include "wait.h"

static tide_condition *check_condition(lua_State *L) {
  return tl_check(L, tl_rt(L), 1, TL_CONDITION);
}

static int raise_not_held(lua_State *L) {
  return tl_raise_message(L, tl_rt(L), TIDE_EINVALID_STATE,
                          "the task does not hold the condition's lock, or more than once");
}

static int waited(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  tl_outcome(L, tl_rt(L));
  return 0;
}

/* condition:wait() (waits) */
static int condition_wait(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  tide_condition *condition = check_condition(L);
  int result = tide_condition_wait(condition, &task->task);
  if (result == TIDE_EINVALID_STATE) return raise_not_held(L);
  return tl_finish(L, rt, result, 0, waited);
}

/* condition:wait_for(predicate) (waits) -> what the predicate returned. Its stack: condition,
 * predicate[, what that returned]. */

static int call_predicate(lua_State *L);

static int notified(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  tl_resumed(L, tl_rt(L), status);
  return call_predicate(L);
}

static int predicate_called(lua_State *L, int status, lua_KContext ctx) {
  tl_runtime *rt = tl_rt(L);
  (void)status;
  (void)ctx;
  if (lua_toboolean(L, 3)) return 1;
  lua_settop(L, 2);
  tl_task *task = tl_waiter(L, rt);
  int result = tide_condition_wait(lua_touserdata(L, 1), &task->task);
  if (result == TIDE_EINVALID_STATE) return raise_not_held(L);
  return tl_finish(L, rt, result, 0, notified);
}

static int call_predicate(lua_State *L) {
  lua_pushvalue(L, 2);
  lua_callk(L, 0, 1, 0, predicate_called);
  return predicate_called(L, LUA_OK, 0);
}

static int condition_wait_for(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  if (tl_is_due_or_cancelled(L, rt)) return tl_turn(L, rt);
  check_condition(L);
  tl_check_callable(L, 2);
  lua_settop(L, 2);
  return call_predicate(L);
}

static int notify(lua_State *L, size_t count) {
  const tl_runtime *rt = tl_rt(L);
  const tide_task *task = rt->current != NULL ? &rt->current->task : NULL;
  if (tide_condition_notify(check_condition(L), task, count) != TIDE_OK) return raise_not_held(L);
  return 0;
}

/* condition:notify(n=1) */
static int condition_notify(lua_State *L) {
  check_condition(L);
  return notify(L, lua_isnoneornil(L, 2) ? 1 : tl_check_count(L, 2, 0));
}

static int condition_notify_all(lua_State *L) { return notify(L, SIZE_MAX); }

static int condition_lock(lua_State *L) {
  check_condition(L);
  lua_getiuservalue(L, 1, 1);
  return 1;
}

/* condition:statistics() -> {tasks_waiting=, lock={...}} */
static int condition_statistics(lua_State *L) {
  const tide_condition *condition = check_condition(L);
  lua_createtable(L, 0, 2);
  tl_set_waiters(L, "tasks_waiting", &condition->waiters);
  tl_lock_statistics_push(L, tl_rt(L), condition->lock);
  lua_setfield(L, -2, "lock");
  return 1;
}

static int condition_tostring(lua_State *L) {
  lua_pushfstring(L, "Condition(%s)", check_condition(L)->lock->owner != 0 ? "locked" : "unlocked");
  return 1;
}

/* tide.Condition([lock]) */
tide_condition *tl_condition_push(lua_State *L, tl_runtime *rt, int lock) {
  lock = lua_absindex(L, lock);
  tide_condition *condition = tl_object_new(L, rt, TL_CONDITION, sizeof *condition, 1);
  tide_condition_init(condition, lua_touserdata(L, lock));
  lua_pushvalue(L, lock);
  lua_setiuservalue(L, -2, 1);
  return condition;
}

static int new_condition(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    tl_lock_push(L, rt);
    lua_replace(L, 1);
  }
  tl_check(L, rt, 1, TL_LOCK);
  tl_condition_push(L, rt, 1);
  return 1;
}

void tl_condition_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {{"wait", condition_wait},
                                     {"wait_for", condition_wait_for},
                                     {"notify", condition_notify},
                                     {"notify_all", condition_notify_all},
                                     {"lock", condition_lock},
                                     {"statistics", condition_statistics},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", condition_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_CONDITION, "Condition", methods, metamethods);
  tl_constructor(L, rt, "Condition", TL_CONDITION, new_condition);
}
