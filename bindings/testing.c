/* testing.c: what lua/tide/testing.lua needs of the loop. */
#include <dirent.h>
#include <string.h>

#include "class.h"
#include "parts.h"
#include "run.h"
#include "runtime.h"
#include "slots.h"
#include "task.h"
#include "value.h"

/* Who runs first is each state's own matter, where several share a loop. */
static uint64_t seed_of(const tl_runtime *rt) {
  return rt->shared ? tide_lane_seed(&rt->lane) : tide_loop_seed(rt->loop);
}

static void set_seed(tl_runtime *rt, uint64_t seed) {
  if (rt->shared)
    tide_lane_set_seed(&rt->lane, seed);
  else
    tide_loop_set_seed(rt->loop, seed);
}

/* conditions() -> virtual, seed, threshold: how time passes and who runs first, at present */
static int conditions(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  const tide_loop *loop = tl_loop(L, rt);
  lua_pushboolean(L, tide_loop_clock_is_virtual(loop));
  lua_pushinteger(L, (lua_Integer)seed_of(rt));
  lua_pushnumber(L, tide_time_to_seconds(tide_loop_autojump_threshold(loop)));
  return 3;
}

/* set_conditions(virtual, seed, threshold) */
static int set_conditions(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tide_loop *loop = tl_loop(L, rt);
  set_seed(rt, (uint64_t)luaL_checkinteger(L, 2));
  tide_loop_set_autojump_threshold(loop, tl_check_time(L, 3));
  if (!rt->run.running) tide_loop_update_now(loop);
  if (lua_toboolean(L, 1))
    tide_loop_set_virtual_clock(loop);
  else
    tide_loop_set_real_clock(loop);
  return 0;
}

/* turns() -> how many turns there were */
static int turns(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)tide_loop_turns(tl_loop(L, tl_rt(L))));
  return 1;
}

/* Whether the value at `index` is a task, or a callback of a run: done callbacks outlive it. */
static bool belongs_to_a_run(lua_State *L, const tl_runtime *rt, int index) {
  const tide_task *task = tl_test(L, rt, index, TL_TASK);
  if (task != NULL) return task->state != TIDE_TASK_ENDED;
  task = tl_test(L, rt, index, TL_HANDLE); /* begins with its task, too */
  return task != NULL && task->own.parent != &rt->run.watchers.scope &&
         task->own.parent != &rt->run.onlookers.scope;
}

/* live() -> a set of the tasks and callbacks that have not ended: its keys */
static int live(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  lua_settop(L, 0);
  lua_newtable(L);
  for (int slot = 0; tl_live_push(L, rt, &slot); lua_settop(L, 1)) {
    if (!belongs_to_a_run(L, rt, 2)) continue;
    lua_pushboolean(L, 1);
    lua_rawset(L, 1);
  }
  return 1;
}

/* descriptors() -> how many the process has open; 0 where the system does not tell */
static int descriptors(lua_State *L) {
  DIR *folder = opendir("/proc/self/fd");
  lua_Integer count = 0;
  if (folder != NULL) {
    while (readdir(folder) != NULL) count++;
    closedir(folder);
  }
  lua_pushinteger(L, count);
  return 1;
}

/* pause() -> seconds to the next deadline, or nil where there is none */
static int pause_(lua_State *L) {
  const tide_loop *loop = tl_loop(L, tl_rt(L));
  tide_time when = tide_loop_deadline(loop), now = tide_loop_now(loop);
  if (when == TIDE_NEVER)
    lua_pushnil(L);
  else
    lua_pushnumber(L, when > now ? tide_time_to_seconds(when - now) : 0);
  return 1;
}

/* collect(): all garbage, with what only its finalizers have let go */
static int collect(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
  return 0;
}

/* deadlock(task): ends the task's wait with the error that the root of a deadlocked run gets */
static int deadlock(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_check(L, rt, 1, TL_TASK);
  tl_deadlock(L, rt, task);
  return 0;
}

/* Faults. */

static tide_faults *check_faults(lua_State *L, int index) {
  tide_faults *faults = lua_touserdata(L, index);
  luaL_argcheck(L, faults != NULL && lua_rawlen(L, index) == sizeof *faults, index, "no faults");
  return faults;
}

/* The errno of that name, "EPIPE"; 0: there is none. */
static int find_errno(const char *name) {
  enum { MOST = 200 };
  for (int error = 1; error < MOST; error++) {
    const char *code = tide_error_code(TIDE_OS(error));
    if (code != NULL && strcmp(code, name) == 0) return error;
  }
  return 0;
}

/* is_errno(name) -> boolean */
static int is_errno(lua_State *L) {
  lua_pushboolean(L, find_errno(luaL_checkstring(L, 1)) != 0);
  return 1;
}

/* calls() -> a list of names of system calls */
static int calls(lua_State *L) {
  lua_createtable(L, TIDE_CALLS, 0);
  for (int call = 0; call < TIDE_CALLS; call++) {
    lua_pushstring(L, tide_call_name((tide_call)call));
    lua_rawseti(L, -2, call + 1);
  }
  return 1;
}

/* faults(call | nil, at, code | nil) -> that call of this name, or "allocation", is going to fail,
 * or to move one byte only; nil: all calls move one byte only */
static int faults(lua_State *L) {
  const char *name = luaL_optstring(L, 1, NULL), *code = luaL_optstring(L, 3, NULL);
  tide_faults *made = lua_newuserdatauv(L, sizeof *made, 0);
  *made = (tide_faults){.one_byte = name == NULL};
  if (name == NULL) return 1;
  while (made->call < TIDE_CALL_ALLOCATION && strcmp(tide_call_name(made->call), name) != 0)
    made->call++;
  made->at = (unsigned)luaL_checkinteger(L, 2);
  made->error = code != NULL ? find_errno(code) : 0;
  return 1;
}

/* set_faults(faults | nil): these, and no others, are in effect; the caller keeps them meanwhile */
static int set_faults(lua_State *L) {
  tide_loop_set_faults(tl_loop(L, tl_rt(L)), lua_isnil(L, 1) ? NULL : check_faults(L, 1));
  return 0;
}

/* struck(faults) -> whether there were as many calls */
static int struck(lua_State *L) {
  const tide_faults *self = check_faults(L, 1);
  lua_pushboolean(L, self->made >= self->at);
  return 1;
}

/* What tide.testing, which is in Lua, is made of. */
void tl_testing_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {
      {"conditions", conditions}, {"set_conditions", set_conditions},
      {"turns", turns},           {"live", live},
      {"deadlock", deadlock},     {"descriptors", descriptors},
      {"collect", collect},       {"pause", pause_},
      {"calls", calls},           {"is_errno", is_errno},
      {"faults", faults},         {"set_faults", set_faults},
      {"struck", struck},         {NULL, NULL}};
  lua_newtable(L);
  tl_functions(L, rt, functions);
  lua_setfield(L, -2, "testing_parts");
  lua_newtable(L);
  lua_setfield(L, -2, "testing");
}
