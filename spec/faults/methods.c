/* methods.c: any function, method and metamethod called on any object with any arguments:
 * spec/fuzz/methods.lua, each seed in a state of its own, which is closed with whatever then waits.
 *
 *     methods FIRST COUNT [SECONDS]     so many seeds from the first on; or as many as the time
 * allows
 *
 * Passing: nothing crashes, hangs or leaks. */
#include <signal.h>
#include <time.h>

#include "sweep.h"

enum { CALLS = 300, PER_CHILD = 50, SECONDS_PER_SEED = 20 };

/* What hangs says where, if it is Lua code of a task, and ends. */

static lua_State *running;

static void tell(lua_State *L, lua_Debug *ar) {
  (void)ar;
  luaL_traceback(L, L, "hangs here:", 0);
  puts(lua_tostring(L, -1));
  fflush(stdout);
  signal(SIGALRM, SIG_DFL);
  raise(SIGALRM);
}

static void hangs(int signal_number) {
  const tl_runtime *rt = tl_runtime_find(running);
  (void)signal_number;
  signal(SIGALRM, SIG_DFL);
  alarm(1);
  if (rt == NULL || rt->current == NULL) return;
  for (const tl_nesting *n = rt->nesting; n != NULL; n = n->outer)
    lua_sethook(n->co, tell, LUA_MASKCOUNT, 1);
  if (rt->current->co != NULL) lua_sethook(rt->current->co, tell, LUA_MASKCOUNT, 1);
}

/* In protected mode: runs the script with the seed. */
static int run_script(lua_State *L) {
  lua_Integer seed = luaL_checkinteger(L, 1);
  open_counted(L);
  open_module(L);
  tide_loop_set_virtual_clock(tide_lua_loop(L));
  lua_getfield(L, -1, "run");
  if (luaL_loadfile(L, "spec/fuzz/methods.lua") != LUA_OK) return lua_error(L);
  lua_pushinteger(L, seed);
  lua_pushinteger(L, CALLS);
  lua_call(L, 2, 1);
  lua_call(L, 1, 0);
  return 0;
}

static void run_seed(unsigned seed) {
  lua_State *L = running = lua_newstate(resize, NULL);
  signal(SIGALRM, hangs);
  alarm(SECONDS_PER_SEED);
  lua_pushcfunction(L, run_script);
  lua_pushinteger(L, seed);
  if (lua_pcall(L, 1, 0, 0) == LUA_ERRSYNTAX) exit(2); /* errors are what some calls are for */
  lua_close(L);
  check_memory();
}

static void run_series(const void *self, unsigned point, unsigned stride) {
  const unsigned *end = self;
  for (; point < *end; point += stride) {
    point_begin(point);
    run_seed(point);
    point_end();
  }
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  unsigned first = (unsigned)atoi(argv[1]), count = (unsigned)atoi(argv[2]);
  time_t until = argc > 3 ? time(NULL) + atoi(argv[3]) : 0;
  sweep_open();
  for (unsigned seed = first; until != 0 ? time(NULL) < until : seed < first + count;) {
    unsigned end = seed + PER_CHILD;
    if (until == 0 && end > first + count) end = first + count;
    sweep_from("methods", run_series, &end, seed, 1);
    seed = end;
  }
  printf("methods: %u seeds, %u failed\n", now->points, now->failed);
  return now->failed == 0 ? 0 : 1;
}
