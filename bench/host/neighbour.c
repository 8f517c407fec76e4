/* Two states in one loop: one has so many tasks that are ready in every turn, the other one task,
 * which goes on in the next turn, again and again. neighbour [tasks] [turns]: how long that takes
 * it, the median. */
#define _GNU_SOURCE
#include <tide_lua.h>

#include "../limits/measure.h"

static const char CROWD[] =
    "local tide = require 'tide'\n"
    "for _ = 1, ... do tide.spawn(function() while true do tide.sleep(0) end end) end\n"
    "return true\n";

static const char NEIGHBOUR[] =
    "local tide = require 'tide'\n"
    "tide.spawn(function() while true do tide.sleep(0) note() end end)\n"
    "return true\n";

static double *taken, last;
static long turns, seen;

static int note(lua_State *L) {
  (void)L;
  double now = wall_ns();
  if (last > 0 && seen < turns) taken[seen++] = now - last;
  last = now;
  return 0;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static lua_State *open_in(tide_loop *loop, const char *source, long tasks) {
  lua_State *L = new_state();
  tide_lua_open(L, loop, NULL);
  lua_register(L, "note", note);
  lua_pushinteger(L, tasks);
  run_source(L, source, 1);
  return L;
}

int main(int argc, char **argv) {
  long tasks = argument(argc, argv, 1, 10000);
  turns = argument(argc, argv, 2, 5000);
  taken = malloc((size_t)turns * sizeof *taken);
  tide_loop *loop = tide_loop_new(NULL);
  if (taken == NULL || loop == NULL) fail("no memory");
  lua_State *crowd = open_in(loop, CROWD, tasks), *neighbour = open_in(loop, NEIGHBOUR, 1);
  while (seen < turns)
    if (tide_loop_turn(loop, false) != TIDE_OK) fail("the turn failed");
  qsort(taken, (size_t)turns, sizeof *taken, compare);
  printf("ns %.0f\n", taken[turns / 2]);
  lua_close(neighbour);
  lua_close(crowd);
  tide_loop_free(loop);
  free(taken);
  return 0;
}
