/* semaphore.c: Semaphore and BoundedSemaphore. */
#include "semaphore.h"

#include "class.h"
#include "error.h"
#include "make.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"
#include "value.h"
#include "wait.h"

static tide_semaphore *check_semaphore(lua_State *L) {
  return tl_check(L, tl_rt(L), 1, TL_SEMAPHORE);
}

/* What acquire gives: so many permits, given back once. */
typedef struct tl_permits {
  tide_semaphore *semaphore; /* which the user value keeps alive; NULL: given back */
  size_t count;
} tl_permits;

void tl_permits_new(lua_State *L, tl_runtime *rt) {
  tl_object_new(L, rt, TL_PERMITS, sizeof(tl_permits), 1);
}

void tl_permits_acquired(lua_State *L, int index, int semaphore, size_t count) {
  tl_permits *permits = lua_touserdata(L, index);
  permits->semaphore = lua_touserdata(L, semaphore);
  permits->count = count;
  lua_pushvalue(L, semaphore);
  lua_setiuservalue(L, index, 1);
}

static int acquired(lua_State *L, int status, lua_KContext count) {
  (void)status;
  tl_outcome(L, tl_rt(L));
  tl_permits_acquired(L, 2, 1, (size_t)count);
  lua_settop(L, 2);
  return 1;
}

static size_t check_permits(lua_State *L) {
  return lua_isnoneornil(L, 2) ? 1 : tl_check_count(L, 2, 1);
}

/* semaphore:acquire([k]) -> guard (waits) */
static int semaphore_acquire(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  tide_semaphore *semaphore = check_semaphore(L);
  size_t count = check_permits(L);
  lua_settop(L, 1);
  tl_permits_new(L, rt);
  int result = tide_semaphore_acquire(semaphore, &task->task, count);
  if (TL_UNLIKELY(result == TIDE_ELIMIT))
    return tl_raise_message(L, rt, result, "the semaphore never has so many permits");
  return tl_finish(L, rt, result, (lua_KContext)count, acquired);
}

/* semaphore:try_acquire([k]) -> whether there were so many */
static int semaphore_try_acquire(lua_State *L) {
  tide_semaphore *semaphore = check_semaphore(L);
  size_t count = check_permits(L);
  if (semaphore->closed) return tl_raise(L, tl_rt(L), TIDE_ECLOSED);
  lua_pushboolean(L, tide_semaphore_try(semaphore, count));
  return 1;
}

static int give_back(lua_State *L, tide_semaphore *semaphore, size_t count) {
  if (tide_semaphore_release(semaphore, count) != TIDE_OK)
    return tl_raise_message(L, tl_rt(L), TIDE_ELIMIT, "released more often than acquired");
  return 0;
}

/* semaphore:release([k]) */
static int semaphore_release(lua_State *L) {
  tide_semaphore *semaphore = check_semaphore(L);
  return give_back(L, semaphore, check_permits(L));
}

/* semaphore:close(): who waits, and who comes, raises `closed` */
static int semaphore_close(lua_State *L) {
  tide_semaphore_close(check_semaphore(L));
  return 0;
}

/* Takes the semaphore out of the guard at 1. */
static tide_semaphore *take_semaphore(lua_State *L, size_t *count) {
  tl_permits *permits = tl_check(L, tl_rt(L), 1, TL_PERMITS);
  tide_semaphore *semaphore = permits->semaphore;
  *count = permits->count;
  permits->semaphore = NULL;
  return semaphore;
}

/* guard:release(): harmless when repeated */
static int permits_release(lua_State *L) {
  size_t count;
  tide_semaphore *semaphore = take_semaphore(L, &count);
  return semaphore != NULL ? give_back(L, semaphore, count) : 0;
}

/* guard:close(), __close: the same, and where they came back by hand */
static int permits_close(lua_State *L) {
  size_t count;
  tide_semaphore *semaphore = take_semaphore(L, &count);
  if (semaphore != NULL) tide_semaphore_release(semaphore, count);
  return 0;
}

static int permits_tostring(lua_State *L) {
  const tl_permits *permits = tl_check(L, tl_rt(L), 1, TL_PERMITS);
  if (permits->semaphore == NULL)
    lua_pushliteral(L, "Semaphore guard(released)");
  else
    lua_pushfstring(L, "Semaphore guard(%I)", (lua_Integer)permits->count);
  return 1;
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

/* semaphore:statistics() -> {value=, bound=, tasks_waiting=, closed=} */
static int semaphore_statistics(lua_State *L) {
  const tide_semaphore *semaphore = check_semaphore(L);
  lua_createtable(L, 0, 4);
  tl_set_boolean(L, "closed", semaphore->closed);
  tl_set_integer(L, "value", (lua_Integer)semaphore->permits);
  if (is_bounded(semaphore)) tl_set_integer(L, "bound", (lua_Integer)semaphore->bound);
  tl_set_waiters(L, "tasks_waiting", &semaphore->waiters);
  return 1;
}

static int semaphore_tostring(lua_State *L) {
  const tide_semaphore *semaphore = check_semaphore(L);
  lua_pushfstring(L, "%sSemaphore(%I free%s)", is_bounded(semaphore) ? "Bounded" : "",
                  (lua_Integer)semaphore->permits, semaphore->closed ? ", closed" : "");
  return 1;
}

tide_semaphore *tl_semaphore_push(lua_State *L, tl_runtime *rt, size_t permits, size_t bound) {
  tide_semaphore *semaphore = tl_object_new(L, rt, TL_SEMAPHORE, sizeof *semaphore, 0);
  tide_semaphore_init(semaphore, permits, bound);
  return semaphore;
}

static int make(lua_State *L, bool bounded) {
  size_t permits = lua_isnoneornil(L, 1) ? 1 : tl_check_size(L, 1, 0);
  tl_semaphore_push(L, tl_rt(L), permits, bounded ? permits : (size_t)LUA_MAXINTEGER);
  return 1;
}

static int new_semaphore(lua_State *L) { return make(L, false); }

static int new_bounded_semaphore(lua_State *L) { return make(L, true); }

void tl_semaphore_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {
      {"acquire", semaphore_acquire},       {"try_acquire", semaphore_try_acquire},
      {"release", semaphore_release},       {"close", semaphore_close},
      {"locked", semaphore_locked},         {"value", semaphore_value},
      {"statistics", semaphore_statistics}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", semaphore_tostring}, {NULL, NULL}};
  static const luaL_Reg guard_methods[] = {
      {"release", permits_release}, {"close", permits_close}, {NULL, NULL}};
  static const luaL_Reg guard_metamethods[] = {
      {"__close", permits_close}, {"__tostring", permits_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_SEMAPHORE, "Semaphore", methods, metamethods);
  tl_class_new(L, rt, TL_PERMITS, "Semaphore guard", guard_methods, guard_metamethods);
  tl_constructor(L, rt, "Semaphore", TL_SEMAPHORE, new_semaphore);
  tl_constructor(L, rt, "BoundedSemaphore", TL_SEMAPHORE, new_bounded_semaphore);
}
