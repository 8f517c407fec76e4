/* What limits cost who keeps them. limits alloc|loop|sleep|stop none|memory|slice|hook [count]: a
 * loop that only makes tables; a loop that does nothing else; a task that lets others run; and how
 * long after its slice, of 20 ms, a busy task is stopped. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <tide_lua.h>

#include "../limits/measure.h"

static const struct {
  const char *name, *code;
  long count;
} works[] = {
    {"alloc",
     "local n = ... require 'tide'.run(function() for i = 1, n / 1000 do local t for j = 1, 1000 "
     "do t = { j } end require 'tide'.sleep(0) end end)",
     20000000},
    {"loop",
     "local n = ... local tide = require 'tide' tide.run(function() for i = 1, n / 100000 do local "
     "x = 0 for j = 1, 100000 do x = x + j end tide.sleep(0) end end)",
     400000000},
    {"sleep",
     "local n = ... local sleep = require 'tide'.sleep require 'tide'.run(function() for i = 1, n "
     "do sleep(0) end end)",
     10000000},
    {"stop",
     "local n = ... local tide = require 'tide' tide.run(function() for i = 1, n do local t = "
     "tide.spawn(function() while true do end end) tide.raw.pcall(t.await, t) end end)",
     20},
};

enum { WORKS = sizeof works / sizeof works[0] };

static void set_limits(lua_State *L, const char *which) {
  tide_lua_limits limits = {.size = sizeof limits};
  if (strcmp(which, "none") == 0) return;
  if (strcmp(which, "memory") == 0) limits.memory = (size_t)1 << 30;
  if (strcmp(which, "slice") == 0 || strcmp(which, "hook") == 0) limits.slice = 20000000;
  if (strcmp(which, "slice") == 0) tide_loop_set_watchdog(tide_lua_loop(L), SIGURG);
  if (tide_lua_set_limits(L, &limits) != TIDE_OK) exit(1);
}

int main(int argc, char **argv) {
  const char *work = argc > 1 ? argv[1] : "alloc", *which = argc > 2 ? argv[2] : "none";
  size_t i = 0;
  while (i + 1 < WORKS && strcmp(works[i].name, work) != 0) i++;
  long count = argument(argc, argv, 3, works[i].count);
  lua_State *L = new_state();
  luaL_requiref(L, "tide", luaopen_tide, 0);
  set_limits(L, which);
  lua_pushinteger(L, count);
  double began = cpu_ns();
  run_source(L, works[i].code, 1);
  double each = (cpu_ns() - began) / (double)count;
  printf("ns %.1f\n", strcmp(work, "stop") == 0 ? each - 20e6 : each);
  lua_close(L);
  return 0;
}
