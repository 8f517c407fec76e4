/* lock.c: Lock. */
#include "lock.h"
#include "class.h"
#include "error.h"
#include "make.h"
#include "parts.h"
#include "runtime.h"
#include "self.h"
#include "task.h"
#include "value.h"
#include "wait.h"

static tide_lock *check_lock(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_LOCK); }

static const tide_task *current(const tl_runtime *rt) {
  return rt->current != NULL ? &rt->current->task : NULL;
}

static int acquired(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  tl_outcome(L, tl_rt(L));
  lua_settop(L, 1);
  return 1;
}

/* lock:acquire() -> lock (waits) */
static int lock_acquire(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  tide_lock *lock = tl_self(L, rt, TL_LOCK);
  int result = tide_lock_acquire(lock, &task->task);
  if (result == TIDE_EINVALID_STATE)
    return tl_raise_message(L, rt, result, "the task holds the lock already");
  return tl_finish(L, rt, result, 0, acquired);
}

static int lock_try_acquire(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tide_lock *lock = check_lock(L);
  if (rt->current == NULL) tl_waiter(L, rt);
  lua_pushboolean(L, tide_lock_try(lock, &rt->current->task));
  return 1;
}

static int lock_release(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  if (tide_lock_release(tl_self(L, rt, TL_LOCK), current(rt)) != TIDE_OK)
    return tl_raise_message(L, rt, TIDE_EINVALID_STATE, "the task does not hold the lock");
  return 0;
}

/* lock:__close(): releases, where the task still holds it */
static int lock_close(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  tide_lock_release(tl_self(L, rt, TL_LOCK), current(rt));
  return 0;
}

static int lock_locked(lua_State *L) {
  lua_pushboolean(L, check_lock(L)->owner != 0);
  return 1;
}

/* Errors and a kill close the lock. So does leaving, but results may have filled the stack, and
 * then no metamethod can be called. A re-entrant lock is released by that only, or it would be
 * twice. */
static int with_ended(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  tide_lock *lock = lua_touserdata(L, 1);
  if (!lock->reentrant) tide_lock_release(lock, current(tl_rt(L)));
  return lua_gettop(L) - 1;
}

static int with_acquired(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  tl_resumed(L, tl_rt(L), status);
  lua_toclose(L, 1);
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, with_ended);
  return with_ended(L, LUA_OK, 0);
}

/* lock:with(fn, ...) -> results... (waits) */
static int lock_with(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  tide_lock *lock = check_lock(L);
  tl_check_callable(L, 2);
  int result = tide_lock_acquire(lock, &task->task);
  if (result == TIDE_EINVALID_STATE)
    return tl_raise_message(L, rt, result, "the task holds the lock already");
  return tl_finish(L, rt, result, 0, with_acquired);
}

void tl_lock_statistics_push(lua_State *L, tl_runtime *rt, const tide_lock *lock) {
  lua_createtable(L, 0, 4);
  tl_set_boolean(L, "locked", lock->owner != 0);
  if (lock->reentrant) tl_set_integer(L, "depth", lock->owner != 0 ? lock->depth : 0);
  tl_set_waiters(L, "tasks_waiting", &lock->waiters);
  tl_task_find(L, rt, lock->owner);
  lua_setfield(L, -2, "owner");
}

/* lock:statistics() -> {locked=, owner=, tasks_waiting=} */
static int lock_statistics(lua_State *L) {
  tl_lock_statistics_push(L, tl_rt(L), check_lock(L));
  return 1;
}

static int lock_tostring(lua_State *L) {
  const tide_lock *lock = check_lock(L);
  lua_pushfstring(L, "%s(%s)", lock->reentrant ? "RLock" : "Lock",
                  lock->owner != 0 ? "locked" : "unlocked");
  return 1;
}

tide_lock *tl_lock_push(lua_State *L, tl_runtime *rt) {
  tide_lock *lock = tl_object_new(L, rt, TL_LOCK, sizeof *lock, 0);
  tide_lock_init(lock);
  return lock;
}

static int new_lock(lua_State *L) {
  tl_lock_push(L, tl_rt(L));
  return 1;
}

static int new_rlock(lua_State *L) {
  tide_rlock_init(tl_lock_push(L, tl_rt(L)));
  return 1;
}

void tl_lock_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {{"acquire", lock_acquire},
                                     {"try_acquire", lock_try_acquire},
                                     {"release", lock_release},
                                     {"locked", lock_locked},
                                     {"with", lock_with},
                                     {"statistics", lock_statistics},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", lock_close}, {"__tostring", lock_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_LOCK, "Lock", methods, metamethods);
  tl_constructor(L, rt, "Lock", TL_LOCK, new_lock);
  tl_constructor(L, rt, "RLock", TL_LOCK, new_rlock);
}
