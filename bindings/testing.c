/* testing.c: what lua/tide/testing.lua needs of the loop. */
#include <dirent.h>

#include "class.h"
#include "parts.h"
#include "run.h"
#include "runtime.h"
#include "slots.h"
#include "task.h"
#include "value.h"

/* conditions() -> virtual, seed, threshold: how time passes and who runs first, at present */
static int conditions(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  const tide_loop *loop = tl_loop(L, rt);
  lua_pushboolean(L, tide_loop_clock_is_virtual(loop));
  lua_pushinteger(L, (lua_Integer)tide_loop_seed(loop));
  lua_pushnumber(L, tide_time_to_seconds(tide_loop_autojump_threshold(loop)));
  return 3;
}

/* set_conditions(virtual, seed, threshold) */
static int set_conditions(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  tide_loop *loop = tl_loop(L, rt);
  tide_loop_set_seed(loop, (uint64_t)luaL_checkinteger(L, 2));
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

/* tide.testing: until the Lua part makes it the module */
void tl_testing_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"conditions", conditions},
                                       {"set_conditions", set_conditions},
                                       {"turns", turns},
                                       {"live", live},
                                       {"deadlock", deadlock},
                                       {"descriptors", descriptors},
                                       {"collect", collect},
                                       {"pause", pause_},
                                       {NULL, NULL}};
  lua_newtable(L);
  tl_functions(L, rt, functions);
  lua_setfield(L, -2, "testing");
}
