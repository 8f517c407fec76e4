/* stats.c: tide.stats: what the runtime holds at the moment. */
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

static void set_count(lua_State *L, const char *name, lua_Integer count) {
  lua_pushinteger(L, count);
  lua_setfield(L, -2, name);
}

/* tide.stats() -> {tasks=, handles=, ready=, timers=, watching=, turns=}. O(slots for tasks). */
static int stats(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  lua_Integer tasks, handles;
  tide_loop_stats now = tide_loop_get_stats(tl_loop(L, rt));
  count_live(L, rt, &tasks, &handles);
  lua_createtable(L, 0, 6);
  set_count(L, "tasks", tasks);
  set_count(L, "handles", handles);
  set_count(L, "ready", now.ready);
  set_count(L, "timers", now.timers);
  set_count(L, "watching", now.watching);
  set_count(L, "turns", (lua_Integer)now.turns);
  return 1;
}

void tl_stats_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"stats", stats}, {NULL, NULL}};
  tl_functions(L, rt, functions);
}
