/* Limit of spawn + await: a coroutine, new each time or the same one again, runs a function to its
   end. spawn new|reused [count] */
#define _GNU_SOURCE
#include "measure.h"
#include <stdbool.h>
#include <string.h>

static const char BODY[] = "return function(x) return x end";

/* Runs the body (at L's index 1) in co with one argument to its end and checks the result. */
static void run_one(lua_State *L, lua_State *co, lua_Integer x) {
  int nresults;
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushinteger(co, x);
  if (lua_resume(co, L, 1, &nresults) != LUA_OK || lua_tointeger(co, -1) != x) fail("wrong result");
  lua_settop(co, 0);
}

/* co is at L's index 2, anchored there until the next takes its place. */
static void run_all(lua_State *L, long count, bool reuse) {
  lua_State *co = lua_newthread(L);
  for (long i = 0; i < count; i++) {
    if (!reuse) {
      lua_settop(L, 1);
      co = lua_newthread(L);
    }
    run_one(L, co, i);
  }
}

int main(int argc, char **argv) {
  bool reuse = argc > 1 && strcmp(argv[1], "reused") == 0;
  long count = argument(argc, argv, 2, 1000000);
  lua_State *L = new_state();
  run_source(L, BODY, 0);
  double began = cpu_ns();
  run_all(L, count, reuse);
  printf("ns %.1f\n", (cpu_ns() - began) / (double)count);
  lua_close(L);
  return 0;
}
