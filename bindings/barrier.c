/* barrier.c: Barrier. */
#include "class.h"
#include "make.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"
#include "value.h"
#include "wait.h"

static tide_barrier *check_barrier(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_BARRIER); }

static int waited(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  tl_runtime *rt = tl_rt(L);
  tl_outcome(L, rt);
  lua_pushinteger(L, (lua_Integer)rt->current->task.wait.value.number);
  return 1;
}

/* barrier:wait() -> place in the order of arrival, from 1 (waits) */
static int barrier_wait(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  tide_barrier *barrier = check_barrier(L);
  return tl_finish(L, rt, tide_barrier_wait(barrier, &task->task), 0, waited);
}

static int barrier_reset(lua_State *L) {
  tide_barrier_reset(check_barrier(L));
  return 0;
}

static int barrier_abort(lua_State *L) {
  tide_barrier_abort(check_barrier(L));
  return 0;
}

static int barrier_broken(lua_State *L) {
  lua_pushboolean(L, check_barrier(L)->broken);
  return 1;
}

static int barrier_parties(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_barrier(L)->parties);
  return 1;
}

static int barrier_waiting(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_barrier(L)->waiting);
  return 1;
}

/* barrier:statistics() -> {parties=, broken=, tasks_waiting=} */
static int barrier_statistics(lua_State *L) {
  const tide_barrier *barrier = check_barrier(L);
  lua_createtable(L, 0, 3);
  tl_set_integer(L, "parties", (lua_Integer)barrier->parties);
  tl_set_boolean(L, "broken", barrier->broken);
  tl_set_integer(L, "tasks_waiting", (lua_Integer)barrier->waiting);
  return 1;
}

static int barrier_tostring(lua_State *L) {
  const tide_barrier *barrier = check_barrier(L);
  lua_pushfstring(L, "Barrier(%d of %d waiting%s)", (int)barrier->waiting, (int)barrier->parties,
                  barrier->broken ? ", broken" : "");
  return 1;
}

tide_barrier *tl_barrier_push(lua_State *L, tl_runtime *rt, size_t parties) {
  tide_barrier *barrier = tl_object_new(L, rt, TL_BARRIER, sizeof *barrier, 0);
  tide_barrier_init(barrier, parties);
  return barrier;
}

/* tide.Barrier(parties) */
static int new_barrier(lua_State *L) {
  tl_barrier_push(L, tl_rt(L), tl_check_size(L, 1, 1));
  return 1;
}

void tl_barrier_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {{"wait", barrier_wait},
                                     {"reset", barrier_reset},
                                     {"abort", barrier_abort},
                                     {"broken", barrier_broken},
                                     {"parties", barrier_parties},
                                     {"waiting", barrier_waiting},
                                     {"statistics", barrier_statistics},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", barrier_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_BARRIER, "Barrier", methods, metamethods);
  tl_constructor(L, rt, "Barrier", TL_BARRIER, new_barrier);
}
