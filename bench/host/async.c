/* A C function of a host's that waits, in one Lua task. async plain|ready|callback [calls]: a plain
 * C function; how much more one costs that is completed at once; one that is completed at the end
 * of the turn, a suspension and a resumption. */
#define _GNU_SOURCE
#include <string.h>
#include <tide_lua.h>

#include "../limits/measure.h"

static const char SPIN[] = "local call, calls = ...\n"
                           "require 'tide'.run(function() for i = 1, calls do call(i) end end)";

typedef struct request {
  tide_completion completion;
  lua_Integer value;
} request;

static tide_loop *loop;
static tide_defer at_end;
static request *begun;

static int push(lua_State *L, tide_completion *completion) {
  lua_pushinteger(L, ((request *)(void *)completion)->value);
  return 1;
}

static const tide_lua_ops ops = {.name = "request", .push = push};

static int plain(lua_State *L) {
  lua_pushinteger(L, luaL_checkinteger(L, 1));
  return 1;
}

static request *begin(lua_State *L) {
  lua_Integer value = luaL_checkinteger(L, 1);
  request *self = tide_lua_begin(L, sizeof *self, &ops);
  self->value = value;
  return self;
}

static int ready(lua_State *L) {
  request *self = begin(L);
  tide_completion_end(&self->completion, TIDE_OK);
  return tide_lua_wait(L, &self->completion);
}

static void complete(tide_defer *defer) {
  (void)defer;
  tide_completion_end(&begun->completion, TIDE_OK);
}

static int by_callback(lua_State *L) {
  begun = begin(L);
  tide_defer_start(&at_end, loop);
  return tide_lua_wait(L, &begun->completion);
}

static double spin(lua_State *L, lua_CFunction function, long calls) {
  lua_pushcfunction(L, function);
  lua_pushinteger(L, calls);
  double began = cpu_ns();
  run_source(L, SPIN, 2);
  lua_pop(L, 1);
  return (cpu_ns() - began) / (double)calls;
}

int main(int argc, char **argv) {
  const char *which = argc > 1 ? argv[1] : "callback";
  long calls = argument(argc, argv, 2, 5000000);
  lua_State *L = new_state();
  luaL_requiref(L, "tide", luaopen_tide, 0);
  loop = tide_lua_loop(L);
  tide_defer_init(&at_end, complete);
  if (strcmp(which, "plain") == 0)
    printf("ns %.1f\n", spin(L, plain, calls));
  else if (strcmp(which, "ready") == 0)
    printf("ns %.1f\n", spin(L, ready, calls) - spin(L, plain, calls));
  else
    printf("ns %.1f\n", spin(L, by_callback, calls));
  lua_close(L);
  return 0;
}
