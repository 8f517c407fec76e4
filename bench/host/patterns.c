/* What bounded patterns cost on ordinary text. patterns find|match|gmatch|gsub own|bounded [count]:
 * the words, numbers and fields of a line of a log; per call, and for gmatch and gsub per match. */
#define _GNU_SOURCE
#include <string.h>
#include <tide_lua.h>

#include "../limits/measure.h"

#define LINE                                                                               \
  "local line = '2024-05-17 12:33:07.219 [worker-3] GET /api/v1/users/42?full=1 200 17ms " \
  "agent=\"curl/7.88\"'\n"

static const struct {
  const char *name, *code;
  long count;
} works[] = {
    {"find",
     "local find = string.find for i = 1, ... / 4 do find(line, '%d+ms') find(line, "
     "'agent=\"[^\"]*\"') "
     "find(line, '%[(%a+)%-(%d+)%]') find(line, 'POST', 1, true) end",
     4000000},
    {"match",
     "local match = string.match for i = 1, ... / 4 do match(line, '^(%d+)-(%d+)-(%d+)') "
     "match(line, "
     "'%s(%u+)%s+(%S+)%s+(%d+)') match(line, '(%w+)=\"(.-)\"$') match(line, '^%s*(.-)%s*$') end",
     2000000},
    {"gmatch",
     "local n = 0 while n < ... do for word in line:gmatch('[%w_]+') do n = n + 1 end end",
     4000000},
    {"gsub",
     "local n, f = 0, string.upper while n < ... do local _, a = line:gsub('%d+', '<%0>') local _, "
     "b = "
     "line:gsub('%a+', f) n = n + a + b end",
     4000000},
};

enum { WORKS = sizeof works / sizeof works[0] };

static int open_module(lua_State *L) {
  tide_lua_open(L, NULL, lua_touserdata(L, 1));
  return 0;
}

int main(int argc, char **argv) {
  const char *work = argc > 1 ? argv[1] : "find", *which = argc > 2 ? argv[2] : "own";
  char code[1000];
  size_t i = 0;
  while (i + 1 < WORKS && strcmp(works[i].name, work) != 0) i++;
  long count = argument(argc, argv, 3, works[i].count);
  tide_lua_options options = {.size = sizeof options};
  if (strcmp(which, "bounded") == 0) options.patterns = TIDE_LUA_BOUNDED_PATTERNS;
  lua_State *L = new_state();
  lua_pushcfunction(L, open_module);
  lua_pushlightuserdata(L, &options);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) exit(1);
  snprintf(code, sizeof code, "%s%s", LINE, works[i].code);
  lua_pushinteger(L, count);
  double began = cpu_ns();
  run_source(L, code, 1);
  printf("ns %.1f\n", (cpu_ns() - began) / (double)count);
  lua_close(L);
  return 0;
}
