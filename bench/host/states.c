/* States that are opened in one loop, run a task, and are closed, one after the other. states
 * [count]: resident memory after so many. */
#define _GNU_SOURCE
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

int main(int argc, char **argv) {
  long count = argument(argc, argv, 1, 10000);
  tide_loop *loop = tide_loop_new(NULL);
  if (loop == NULL) fail("no memory");
  for (long i = 0; i < count; i++) use(loop);
  printf("bytes %.0f\n", resident_bytes());
  tide_loop_free(loop);
  return 0;
}
