/* open.c: opening the module in states that lack something: a library, or memory. */
#include "host.h"

static const luaL_Reg libraries[] = {{"_G", luaopen_base},
                                     {"package", luaopen_package},
                                     {"coroutine", luaopen_coroutine},
                                     {"table", luaopen_table},
                                     {"string", luaopen_string},
                                     {"math", luaopen_math},
                                     {"io", luaopen_io},
                                     {"os", luaopen_os},
                                     {"utf8", luaopen_utf8},
                                     {"debug", luaopen_debug},
                                     {NULL, NULL}};

static void open_libraries(lua_State *L, const char *but) {
  for (const luaL_Reg *library = libraries; library->name != NULL; library++) {
    if (but != NULL && strcmp(library->name, but) == 0) continue;
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
}

static int require_tide(lua_State *L) {
  luaL_requiref(L, "tide", luaopen_tide, 1);
  return 1;
}

/* What a script sees is as it was before the attempt. */
static const char as_before[] =
    "assert(tide == nil, 'a global is left')\n"
    "assert(pcall == before.pcall and xpcall == before.xpcall, 'pcall is not what it was')\n"
    "if coroutine then\n"
    "  for k, v in before.next, coroutine do assert(before.coroutine[k] == v, k) end\n"
    "end\n"
    "for k in before.next, before.loaded do assert(not before.find(k, '^tide'), k) end\n"
    "for k in before.next, before.preload do assert(not before.find(k, '^tide'), k) end\n";

/* In protected mode. */
static int remember(lua_State *L) {
  lua_newtable(L);
  lua_getglobal(L, "pcall");
  lua_setfield(L, -2, "pcall");
  lua_getglobal(L, "xpcall");
  lua_setfield(L, -2, "xpcall");
  lua_newtable(L);
  if (lua_getglobal(L, "coroutine") == LUA_TTABLE) {
    for (lua_pushnil(L); lua_next(L, -2) != 0;) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -5);
    }
  }
  lua_pop(L, 1);
  lua_setfield(L, -2, "coroutine");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_setfield(L, -2, "loaded");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_setfield(L, -2, "preload");
  luaL_requiref(L, "_G", luaopen_base, 0);
  lua_getfield(L, -1, "next");
  lua_setfield(L, -3, "next");
  lua_pop(L, 1);
  luaL_requiref(L, "string", luaopen_string, 0);
  lua_getfield(L, -1, "find");
  lua_setfield(L, -3, "find");
  lua_pop(L, 1);
  lua_setglobal(L, "before");
  return 0;
}

static void check_as_before(lua_State *L) {
  bool fine = luaL_dostring(L, as_before) == LUA_OK;
  if (!fine) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  CHECK(fine);
  CHECK(tide_lua_loop(L) == NULL);
}

static const char works[] =
    "local tide, got = require 'tide', 0\n"
    "tide.run(function()\n"
    "  local q = tide.Queue(1)\n"
    "  tide.spawn(function() for i = 1, 3 do q:put(i) end q:close() end)\n"
    "  for i in tide.iter(q):map(function(x) return x * 2 end):each() do got = got + i end\n"
    "  assert(tide.timeout(1, coroutine.wrap(function() tide.sleep(0) return true end)))\n"
    "end)\n"
    "assert(got == 12)\n";

static void check_works(lua_State *L) {
  bool fine = luaL_dostring(L, works) == LUA_OK;
  if (!fine) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  CHECK(fine);
}

/* Without a library. */

static void check_without(const char *library, bool needed) {
  lua_State *L = luaL_newstate();
  open_libraries(L, library);
  lua_pushcfunction(L, remember);
  CHECK_EQ(lua_pcall(L, 0, 0, 0), LUA_OK);
  lua_settop(L, 0);
  lua_pushcfunction(L, require_tide);
  bool opened = lua_pcall(L, 0, 1, 0) == LUA_OK;
  CHECK_EQ(opened, !needed);
  if (needed) {
    CHECK(strstr(lua_tostring(L, -1), "tide needs Lua's library") != NULL);
    check_as_before(L);
    open_libraries(L, NULL);
    lua_pushcfunction(L, require_tide);
    CHECK_EQ(lua_pcall(L, 0, 1, 0), LUA_OK);
  }
  check_works(L);
  lua_close(L);
}

static void it_says_which_library_it_lacks_and_opens_once_that_is_there(void) {
  check_without("coroutine", true);
  check_without("table", true);
  check_without("math", true);
  check_without("package", true);
}

static void it_needs_no_library_to_reach_outside(void) {
  check_without("io", false);
  check_without("os", false);
  check_without("debug", false);
  check_without("utf8", false);
}

/* With memory that runs short. */

/* The allocation of that number, counted from the attempt on, fails. False: there are not so many.
 */
static bool attempt(lua_State *L, memory *short_of, unsigned number) {
  unsigned fails = short_of->allocations + number;
  short_of->fail_at = fails;
  lua_pushcfunction(L, require_tide);
  bool opened = lua_pcall(L, 0, 1, 0) == LUA_OK;
  short_of->fail_at = 0;
  lua_settop(L, 0);
  if (!opened) check_as_before(L);
  return short_of->allocations >= fails;
}

static bool open_short_of(bool core, unsigned number) {
  host h;
  memset(&h, 0, sizeof h);
  const tide_allocator allocator = {.resize = memory_resize, .context = &h.w.memory};
  lua_State *L = h.L = lua_newstate(host_alloc, &h);
  CHECK(L != NULL);
  luaL_openlibs(L);
  tide_lua_set_allocator(L, &allocator);
  lua_pushcfunction(L, remember);
  CHECK_EQ(lua_pcall(L, 0, 0, 0), LUA_OK);
  bool reached = true;
  for (int i = 0; i < 3 && tide_lua_loop(L) == NULL; i++)
    reached = attempt(L, core ? &h.w.memory : &h.luas, number);
  lua_pushcfunction(L, require_tide);
  if (tide_lua_loop(L) == NULL) CHECK_EQ(lua_pcall(L, 0, 1, 0), LUA_OK);
  check_works(L);
  lua_close(L);
  CHECK_EQ(h.luas.in_use, 0);
  CHECK_EQ(h.w.memory.in_use, 0);
  return reached;
}

static void it_opens_after_any_shortage_of_memory(void) {
  for (int core = 0; core <= 1; core++)
    for (unsigned number = 1; open_short_of(core, number);) number += core ? 1 : 29;
}

int main(void) {
  RUN(it_says_which_library_it_lacks_and_opens_once_that_is_there);
  RUN(it_needs_no_library_to_reach_outside);
  RUN(it_opens_after_any_shortage_of_memory);
  return check_summary();
}
