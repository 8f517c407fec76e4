/* stats.c: tide.stats: what the runtime holds at the moment, and what it has done. */
#include "bindings.h"

/* How many live tasks and handles there are. */
static void count_live(lua_State *L, const tl_runtime *rt, lua_Integer *tasks,
                       lua_Integer *handles) {
  *tasks = *handles = 0;
  tl_table_push(L, rt, TL_LIVE);
  for (int slot = 1; slot <= rt->slot_capacity; slot++) {
    lua_rawgeti(L, -1, slot);
    if (tl_test(L, rt, -1, TL_TASK) != NULL) ++*tasks;
    if (tl_test(L, rt, -1, TL_HANDLE) != NULL) ++*handles;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* tide.stats() -> {tasks=, handles=, ready=, timers=, watching=, pool=, turns=, resumes=,
 * longest_slice=}. O(slots for tasks). */
static int stats(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  lua_Integer tasks, handles;
  tide_loop_stats now = tide_loop_get_stats(tl_loop(L, rt));
  count_live(L, rt, &tasks, &handles);
  lua_createtable(L, 0, 9);
  tl_set_integer(L, "tasks", tasks);
  tl_set_integer(L, "handles", handles);
  tl_set_integer(L, "ready", now.ready);
  tl_set_integer(L, "timers", now.timers);
  tl_set_integer(L, "watching", now.watching);
  tl_set_integer(L, "pool", rt->pool_count + (rt->spare != NULL ? 1 : 0));
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
