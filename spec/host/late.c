/* late.c: loading the pieces of the Lua part with memory that runs short. */
#include "host.h"

/* What is looked up first, after which the rest works. */
static const char *const names[] = {
    "gather",   "catch",       "retry",      "tree",          "iter",
    "Iter.map", "Iter.buffer", "net.Server", "testing.sweep",
};

static const char works[] =
    "local tide = require 'tide'\n"
    "tide.run(function()\n"
    "  assert(tide.gather{function() return 1 end}[1] == 1)\n"
    "  assert(tide.shield(function() return 2 end) == 2)\n"
    "  assert(tide.iter{1, 2}:map(function(x) return x * 2 end):buffer(1):count() == 2)\n"
    "  assert(tide.map({1, 2}, function(x) return x * 2 end)[2] == 4)\n"
    "  assert(tide.retry(function() return 5 end) == 5)\n"
    "  local n = 0\n"
    "  do local _ <close> = tide.defer(function() n = n + 1 end) end\n"
    "  assert(n == 1)\n"
    "  tide.catch(function() tide.TaskGroup(function(g) g:spawn(error, 'x') end) end,\n"
    "    {error = function(e) n = #e:leaves() + 1 end})\n"
    "  assert(n == 2 and tostring(tide.tree()):find 'task')\n"
    "  assert(tide.TaskGroup(function(g) return g:start(function(s) s(7) end) end) == 7)\n"
    "  assert(tide.testing.sweep(function() tide.sleep(0) end) > 0)\n"
    "  local server <close> = tide.net.serve(print, '127.0.0.1', 0)\n"
    "end)\n";

static int open_all(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "tide", luaopen_tide, 1);
  return 0;
}

/* Looks the name up with the allocation of that number failing. False: there are not so many. */
static bool look_up(host *h, const char *name, unsigned number) {
  lua_State *L = h->L;
  char chunk[100];
  snprintf(chunk, sizeof chunk, "return type(tide.%s) == 'nil'", name);
  CHECK_EQ(luaL_loadstring(L, chunk), LUA_OK);
  unsigned fails = h->luas.allocations + number;
  h->luas.fail_at = fails;
  int status = lua_pcall(L, 0, 1, 0);
  h->luas.fail_at = 0;
  if (status == LUA_OK) CHECK(!lua_toboolean(L, -1));
  lua_settop(L, 0);
  return h->luas.allocations >= fails;
}

static bool load_short_of(const char *name, unsigned number) {
  host h;
  memset(&h, 0, sizeof h);
  lua_State *L = h.L = lua_newstate(host_alloc, &h);
  CHECK(L != NULL);
  lua_pushcfunction(L, open_all);
  CHECK_EQ(lua_pcall(L, 0, 0, 0), LUA_OK);
  bool reached = look_up(&h, name, number);
  bool fine = luaL_dostring(L, works) == LUA_OK;
  if (!fine) fprintf(stderr, "%s, %u: %s\n", name, number, lua_tostring(L, -1));
  CHECK(fine);
  lua_close(L);
  CHECK_EQ(h.luas.in_use, 0);
  return reached;
}

static void it_loads_each_piece_whole_after_any_shortage_of_memory(void) {
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    for (unsigned number = 1; load_short_of(names[i], number);)
      number += 1 + number * (check_quick() ? 5 : 1);
}

int main(void) {
  RUN(it_loads_each_piece_whole_after_any_shortage_of_memory);
  return check_summary();
}
