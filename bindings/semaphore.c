/* semaphore.c: Semaphore and BoundedSemaphore. */
#include "bindings.h"

static tide_semaphore *check_semaphore(lua_State *L) {
  return tl_check(L, tl_rt(L), 1, TL_SEMAPHORE);
}

static int acquired(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  tl_outcome(L, tl_rt(L));
  lua_settop(L, 1);
  return 1;
}

/* semaphore:acquire() -> semaphore (waits) */
static int semaphore_acquire(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  tide_semaphore *semaphore = check_semaphore(L);
  return tl_finish(L, rt, tide_semaphore_acquire(semaphore, &task->task), 0, acquired);
}

static int semaphore_try_acquire(lua_State *L) {
  lua_pushboolean(L, tide_semaphore_try(check_semaphore(L)));
  return 1;
}

static int semaphore_release(lua_State *L) {
  if (tide_semaphore_release(check_semaphore(L)) != TIDE_OK)
    return tl_raise_message(L, tl_rt(L), TIDE_EINVALID_STATE, "released more often than acquired");
  return 0;
}

static int semaphore_locked(lua_State *L) {
  lua_pushboolean(L, check_semaphore(L)->permits == 0);
  return 1;
}

static int semaphore_value(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_semaphore(L)->permits);
  return 1;
}

static bool is_bounded(const tide_semaphore *semaphore) {
  return semaphore->bound < (size_t)LUA_MAXINTEGER;
}

/* semaphore:statistics() -> {value=, bound=, tasks_waiting=} */
static int semaphore_statistics(lua_State *L) {
  const tide_semaphore *semaphore = check_semaphore(L);
  lua_createtable(L, 0, 3);
  tl_set_integer(L, "value", (lua_Integer)semaphore->permits);
  if (is_bounded(semaphore)) tl_set_integer(L, "bound", (lua_Integer)semaphore->bound);
  tl_set_waiters(L, "tasks_waiting", &semaphore->waiters);
  return 1;
}

static int semaphore_tostring(lua_State *L) {
  const tide_semaphore *semaphore = check_semaphore(L);
  lua_pushfstring(L, "%sSemaphore(%I free)", is_bounded(semaphore) ? "Bounded" : "",
                  (lua_Integer)semaphore->permits);
  return 1;
}

static int make(lua_State *L, bool bounded) {
  tl_runtime *rt = tl_rt(L);
  size_t permits = lua_isnoneornil(L, 1) ? 1 : tl_check_count(L, 1, 0);
  tide_semaphore_init(tl_object_new(L, rt, TL_SEMAPHORE, sizeof(tide_semaphore), 0), permits,
                      bounded ? permits : (size_t)LUA_MAXINTEGER);
  return 1;
}

static int new_semaphore(lua_State *L) { return make(L, false); }

static int new_bounded_semaphore(lua_State *L) { return make(L, true); }

void tl_semaphore_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {{"acquire", semaphore_acquire},
                                     {"try_acquire", semaphore_try_acquire},
                                     {"release", semaphore_release},
                                     {"locked", semaphore_locked},
                                     {"value", semaphore_value},
                                     {"statistics", semaphore_statistics},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", semaphore_release}, {"__tostring", semaphore_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_SEMAPHORE, "Semaphore", methods, metamethods);
  tl_constructor(L, rt, "Semaphore", TL_SEMAPHORE, new_semaphore);
  tl_constructor(L, rt, "BoundedSemaphore", TL_SEMAPHORE, new_bounded_semaphore);
}
