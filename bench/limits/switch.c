/* Limit of a task switch: a Lua loop over a C function that yields, resumed from C. switch [tasks]
 * [switches] */
#define _GNU_SOURCE
#include "measure.h"

static const char SPIN[] =
    "local wait = ... return function(rounds) for _ = 1, rounds do wait() end end";

static int wait_once(lua_State *L) { return lua_yield(L, 0); }

/* Leaves a new coroutine on L's stack, its body (at index 1) and the argument not yet started. */
static lua_State *new_spinner(lua_State *L, long rounds) {
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushinteger(co, rounds);
  return co;
}

/* Resumes each coroutine in turn until all have ended: `rounds` yields each and the return. */
static void run_all(lua_State *L, lua_State **spinners, long tasks, long rounds) {
  int nresults;
  for (long round = 0; round <= rounds; round++) {
    int expected = round < rounds ? LUA_YIELD : LUA_OK;
    for (long i = 0; i < tasks; i++)
      if (lua_resume(spinners[i], L, round == 0 ? 1 : 0, &nresults) != expected)
        fail("unexpected end");
  }
}

int main(int argc, char **argv) {
  long tasks = argument(argc, argv, 1, 1), rounds = argument(argc, argv, 2, 5000000) / tasks;
  lua_State *L = new_state(), **spinners = calloc((size_t)tasks, sizeof *spinners);
  if (spinners == NULL || !lua_checkstack(L, (int)tasks + 10)) fail("no memory for the coroutines");
  lua_pushcfunction(L, wait_once);
  run_source(L, SPIN, 1);
  for (long i = 0; i < tasks; i++) spinners[i] = new_spinner(L, rounds);
  double began = cpu_ns();
  run_all(L, spinners, tasks, rounds);
  printf("ns %.1f\n", (cpu_ns() - began) / (double)(tasks * rounds));
  free(spinners);
  lua_close(L);
  return 0;
}
