/* Limit of a sleep: one ev_timer per coroutine, armed at each yield, its callback resumes. timers
 * [tasks] [sleeps] [least]; least: seconds, to which each sleep adds up to 10 ms */
#define _GNU_SOURCE
#include "measure.h"
#include <ev.h>

static const char BODY[] =
    "local wait, least = ...\n"
    "local random = math.random\n"
    "math.randomseed(42)\n"
    "return function(sleeps) for _ = 1, sleeps do wait(least + random() * 0.01) end end";

struct sleeper {
  ev_timer timer; /* pending while the coroutine waits; its data is L, the state resumed from */
  lua_State *co;  /* anchored in the table at L's index 2 */
};

static int wait_seconds(lua_State *L) { return lua_yield(L, 1); }

/* Resumes co with nargs arguments and arms its timer for the delay it yielded, if it did. */
static void step(struct ev_loop *loop, struct sleeper *s, int nargs) {
  int nresults;
  int status = lua_resume(s->co, s->timer.data, nargs, &nresults);
  if (status == LUA_OK) return;
  if (status != LUA_YIELD) fail(lua_tostring(s->co, -1));
  double delay = lua_tonumber(s->co, -1);
  lua_pop(s->co, nresults);
  ev_timer_set(&s->timer, delay, 0.);
  ev_timer_start(loop, &s->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents) {
  (void)revents;
  step(loop, (struct sleeper *)timer, 0);
}

/* Starts the i-th coroutine, of the body at L's index 1, up to its first sleep. */
static void start(struct ev_loop *loop, lua_State *L, struct sleeper *s, long i, long sleeps) {
  s->co = lua_newthread(L);
  lua_rawseti(L, 2, i + 1);
  ev_init(&s->timer, on_timer);
  s->timer.data = L;
  lua_pushvalue(L, 1);
  lua_xmove(L, s->co, 1);
  lua_pushinteger(s->co, sleeps);
  step(loop, s, 1);
}

int main(int argc, char **argv) {
  long tasks = argument(argc, argv, 1, 10000), sleeps = argument(argc, argv, 2, 100);
  long least = argc > 3 ? argument(argc, argv, 3, 0) : 0;
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  struct sleeper *sleepers = calloc((size_t)tasks, sizeof *sleepers);
  lua_State *L = new_state();
  if (loop == NULL || sleepers == NULL) fail("no memory for the coroutines");
  lua_pushcfunction(L, wait_seconds);
  lua_pushinteger(L, least);
  run_source(L, BODY, 2);
  lua_newtable(L);
  double began = cpu_ns();
  for (long i = 0; i < tasks; i++) start(loop, L, &sleepers[i], i, sleeps);
  ev_run(loop, 0);
  printf("ns %.1f\n", (cpu_ns() - began) / (double)(tasks * sleeps));
  lua_close(L);
  free(sleepers);
  ev_loop_destroy(loop);
  return 0;
}
