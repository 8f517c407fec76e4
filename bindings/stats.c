/* stats.c: tide.stats: what the runtime holds at the moment, and what it has done. */
#include "class.h"
#include "parts.h"
#include "runtime.h"
#include "slots.h"
#include "value.h"

/* tide.stats() -> {tasks=, handles=, ready=, timers=, watching=, pool=, turns=, resumes=,
 * longest_slice=}. O(ready tasks). */
static int stats(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  tide_loop_stats now = tide_loop_get_stats(tl_loop(L, rt));
  lua_createtable(L, 0, 9);
  tl_set_integer(L, "tasks", tl_slots_used(&rt->slots) - rt->slots.handles);
  tl_set_integer(L, "handles", rt->slots.handles);
  tl_set_integer(L, "ready", now.ready);
  tl_set_integer(L, "timers", now.timers);
  tl_set_integer(L, "watching", now.watching);
  tl_set_integer(L, "pool", rt->pool.count + (rt->pool.spare != NULL ? 1 : 0));
  tl_set_integer(L, "turns", (lua_Integer)now.turns);
  tl_set_integer(L, "resumes", (lua_Integer)now.steps);
  lua_pushnumber(L, tide_time_to_seconds(now.longest_slice));
  lua_setfield(L, -2, "longest_slice");
  return 1;
}

void tl_stats_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"stats", stats}, {NULL, NULL}};
  tl_functions(L, rt, functions);
}
