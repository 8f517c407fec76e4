/* Limit of a parked task's memory: a coroutine in a C yield, called from a Lua closure of its own.
 * parked [tasks] */
#define _GNU_SOURCE
#include "measure.h"

static const char MAKER[] = "local park = ... return function() return function() park() end end";

static int park(lua_State *L) { return lua_yield(L, 0); }

/* Parks coroutine i in a closure of its own, made by the maker at stack index 1, and anchors it in
 * the table at index 2. */
static void park_one(lua_State *L, lua_Integer i) {
  int nresults;
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_call(L, 0, 1);
  lua_xmove(L, co, 1);
  if (lua_resume(co, L, 0, &nresults) != LUA_YIELD) fail("the coroutine did not park");
  lua_rawseti(L, 2, i);
}

static double settled_bytes(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
  return resident_bytes();
}

int main(int argc, char **argv) {
  long tasks = argument(argc, argv, 1, 100000);
  lua_State *L = new_state();
  lua_pushcfunction(L, park);
  run_source(L, MAKER, 1);
  lua_newtable(L);
  double before = settled_bytes(L);
  for (lua_Integer i = 1; i <= tasks; i++) park_one(L, i);
  printf("bytes %.0f\n", (settled_bytes(L) - before) / (double)tasks);
  lua_close(L);
  return 0;
}
