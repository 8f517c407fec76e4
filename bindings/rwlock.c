/* rwlock.c: RWLock, and the guards that its read() and write() give. */
#include "rwlock.h"
#include "class.h"
#include "error.h"
#include "make.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"
#include "value.h"
#include "wait.h"

typedef struct tl_rwguard {
  tide_rwlock *lock; /* the user value */
  bool write;        /* what it is for */
  bool held;         /* it holds the lock */
} tl_rwguard;

static tide_rwlock *check_rwlock(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_RWLOCK); }

/* Pushes a guard of the lock at 1, which is alone on the stack. */
static void push_guard(lua_State *L, tl_runtime *rt, bool write) {
  lua_settop(L, 1);
  tl_rwguard *guard = tl_object_new(L, rt, TL_RWGUARD, sizeof *guard, 1);
  *guard = (tl_rwguard){.lock = lua_touserdata(L, 1), .write = write};
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, 1);
}

static int acquired(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  tl_outcome(L, tl_rt(L));
  ((tl_rwguard *)lua_touserdata(L, 2))->held = true;
  lua_settop(L, 2);
  return 1;
}

static int acquire(lua_State *L, bool write) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  tide_rwlock *lock = check_rwlock(L);
  push_guard(L, rt, write);
  return tl_finish(L, rt, tide_rwlock_acquire(lock, &task->task, write), 0, acquired);
}

/* rwlock:read() -> guard (waits) */
static int rwlock_read(lua_State *L) { return acquire(L, false); }

/* rwlock:write() -> guard (waits) */
static int rwlock_write(lua_State *L) { return acquire(L, true); }

/* As cases of select: guards that hold nothing yet. */

static int push_case(lua_State *L, bool write) {
  check_rwlock(L);
  push_guard(L, tl_rt(L), write);
  return 1;
}

/* rwlock:reading() -> case, rwlock:writing() -> case */
static int rwlock_reading(lua_State *L) { return push_case(L, false); }
static int rwlock_writing(lua_State *L) { return push_case(L, true); }

void tl_rwguard_case(lua_State *L, tide_case *out, int index) {
  const tl_rwguard *guard = lua_touserdata(L, index);
  tide_case_rwlock(out, guard->lock, guard->write);
}

void tl_rwguard_acquired(lua_State *L, const tl_runtime *rt, int index) {
  tl_rwguard *guard = lua_touserdata(L, index);
  if (guard->held) { /* by another select meanwhile, or before: it can give back only one */
    tide_rwlock_release(guard->lock, guard->write);
    tl_raise_message(L, rt, TIDE_EINVALID_STATE,
                     "the guard, which is the case, holds the lock already");
  }
  guard->held = true;
}

/* guard:release(), guard:close(), __close: harmless when released */
static int guard_release(lua_State *L) {
  tl_rwguard *guard = tl_check(L, tl_rt(L), 1, TL_RWGUARD);
  if (guard->held) tide_rwlock_release(guard->lock, guard->write);
  guard->held = false;
  return 0;
}

static int guard_tostring(lua_State *L) {
  const tl_rwguard *guard = tl_check(L, tl_rt(L), 1, TL_RWGUARD);
  lua_pushfstring(L, "RWLock guard(%s)",
                  !guard->held ? "released" : (guard->write ? "writing" : "reading"));
  return 1;
}

/* rwlock:statistics() -> {readers=, writing=, readers_waiting=, writers_waiting=} */
static int rwlock_statistics(lua_State *L) {
  const tide_rwlock *lock = check_rwlock(L);
  size_t writers = tide_rwlock_writers_waiting(lock);
  lua_createtable(L, 0, 4);
  tl_set_integer(L, "readers", (lua_Integer)lock->readers);
  tl_set_boolean(L, "writing", lock->writing);
  tl_set_integer(L, "readers_waiting", (lua_Integer)(tide_list_length(&lock->waiters) - writers));
  tl_set_integer(L, "writers_waiting", (lua_Integer)writers);
  return 1;
}

static int rwlock_tostring(lua_State *L) {
  const tide_rwlock *lock = check_rwlock(L);
  if (lock->writing)
    lua_pushliteral(L, "RWLock(writing)");
  else
    lua_pushfstring(L, "RWLock(%d reading)", (int)lock->readers);
  return 1;
}

tide_rwlock *tl_rwlock_push(lua_State *L, tl_runtime *rt) {
  tide_rwlock *lock = tl_object_new(L, rt, TL_RWLOCK, sizeof *lock, 0);
  tide_rwlock_init(lock);
  return lock;
}

static int new_rwlock(lua_State *L) {
  tl_rwlock_push(L, tl_rt(L));
  return 1;
}

void tl_rwlock_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {
      {"read", rwlock_read},       {"write", rwlock_write},           {"reading", rwlock_reading},
      {"writing", rwlock_writing}, {"statistics", rwlock_statistics}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", rwlock_tostring}, {NULL, NULL}};
  static const luaL_Reg guard_methods[] = {
      {"release", guard_release}, {"close", guard_release}, {NULL, NULL}};
  static const luaL_Reg guard_metamethods[] = {
      {"__close", guard_release}, {"__tostring", guard_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_RWLOCK, "RWLock", methods, metamethods);
  tl_class_new(L, rt, TL_RWGUARD, "RWLock guard", guard_methods, guard_metamethods);
  tl_constructor(L, rt, "RWLock", TL_RWLOCK, new_rwlock);
}
