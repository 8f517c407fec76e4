/* A C function of a host's that waits for a job, which does nothing, in a pool of 2 threads, called
 * by so many Lua tasks again and again. job [tasks] [jobs] */
#define _GNU_SOURCE
#include <tide_lua.h>

#include "../limits/measure.h"

static const char SPIN[] =
    "local call, tasks, left = ...\n"
    "local tide = require 'tide'\n"
    "tide.run(tide.TaskGroup, function(group)\n"
    "  for i = 1, tasks do\n"
    "    group:spawn(function() while left > 0 do left = left - 1 call(i) end end)\n"
    "  end\n"
    "end)";

typedef struct request {
  tide_job job;
  lua_Integer value;
} request;

static void work(tide_job *job) { (void)job; }

static int push(lua_State *L, tide_completion *completion) {
  lua_pushinteger(L, ((request *)(void *)completion)->value);
  return 1;
}

static int call(lua_State *L) {
  static const tide_lua_ops ops = {.name = "request", .push = push};
  lua_Integer value = luaL_checkinteger(L, 1);
  request *self = tide_lua_begin_job(L, sizeof *self, work, &ops);
  self->value = value;
  return tide_lua_wait_job(L, &self->job, NULL);
}

int main(int argc, char **argv) {
  long tasks = argument(argc, argv, 1, 1), jobs = argument(argc, argv, 2, 100000);
  lua_State *L = new_state();
  luaL_requiref(L, "tide", luaopen_tide, 0);
  tide_pool_set_size(tide_loop_pool(tide_lua_loop(L)), 2);
  lua_pushcfunction(L, call);
  lua_pushinteger(L, tasks);
  lua_pushinteger(L, jobs);
  double began = wall_ns();
  run_source(L, SPIN, 3);
  printf("ns %.1f\n", (wall_ns() - began) / (double)jobs);
  lua_close(L);
  return 0;
}
