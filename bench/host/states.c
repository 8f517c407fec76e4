/* States that are opened in one loop, run a task, and are closed, one after the other. states
 * [count]: resident memory after so many. states bytes|time tide|bare: what one takes, of Lua's
 * memory, or from opening to its close; with tide, or with the standard libraries alone. */
#define _GNU_SOURCE
#include <string.h>
#include <tide_lua.h>

#include "../limits/measure.h"

static const char USE[] = "local tide = require 'tide'\n"
                          "tide.spawn(function() tide.timeout(1, tide.sleep, 0) end)\n"
                          "return tide.Queue(1)\n";

static void use(tide_loop *loop) {
  lua_State *L = new_state();
  tide_lua_open(L, loop, NULL);
  run_source(L, USE, 0);
  for (int i = 0; i < 3; i++)
    if (tide_loop_turn(loop, false) != TIDE_OK) fail("the turn failed");
  lua_close(L);
}

static double bytes_of(tide_loop *loop, bool bare) {
  lua_State *L = new_state();
  if (!bare) tide_lua_open(L, loop, NULL);
  lua_gc(L, LUA_GCCOLLECT);
  double bytes = lua_gc(L, LUA_GCCOUNT) * 1024.0 + lua_gc(L, LUA_GCCOUNTB);
  lua_close(L);
  return bytes;
}

static double time_of(tide_loop *loop, bool bare) {
  enum { TIMES = 2000 };
  double began = cpu_ns();
  for (int i = 0; i < TIMES; i++) bytes_of(loop, bare);
  return (cpu_ns() - began) / TIMES;
}

int main(int argc, char **argv) {
  const char *what = argc > 2 ? argv[1] : "";
  if (strcmp(what, "bytes") == 0 || strcmp(what, "time") == 0) {
    tide_loop *own = tide_loop_new(NULL);
    if (own == NULL) fail("no memory");
    bool bare = strcmp(argv[2], "bare") == 0;
    if (strcmp(what, "bytes") == 0)
      printf("bytes %.0f\n", bytes_of(own, bare) - (bare ? 0 : bytes_of(own, true)));
    else
      printf("ns %.1f\n", time_of(own, bare));
    tide_loop_free(own);
    return 0;
  }
  long count = argument(argc, argv, 1, 10000);
  tide_loop *loop = tide_loop_new(NULL);
  if (loop == NULL) fail("no memory");
  for (long i = 0; i < count; i++) use(loop);
  printf("bytes %.0f\n", resident_bytes());
  tide_loop_free(loop);
  return 0;
}
