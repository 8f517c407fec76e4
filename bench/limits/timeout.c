/* Limit of an uncontended timeout: what a deadline around a protected call takes that may wait: a
 * userdata with an ev_timer, armed, a lua_pcallk with a message handler, disarmed. timeout [calls]
 */
#define _GNU_SOURCE
#include "measure.h"
#include <ev.h>

static const char BODY[] = "local timeout, calls = ...\n"
                           "local function f(x) return x end\n"
                           "local sum = 0\n"
                           "for i = 1, calls do sum = sum + timeout(1, f, i) end\n"
                           "return sum";

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents) {
  (void)timer;
  (void)revents;
  ev_break(loop, EVBREAK_ALL);
}

static int handle(lua_State *L) { return lua_gettop(L); }

static int ended(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  ev_timer_stop(lua_touserdata(L, lua_upvalueindex(1)), lua_touserdata(L, 1));
  return status == LUA_OK || status == LUA_YIELD ? lua_gettop(L) - 2 : lua_error(L);
}

/* timeout(seconds, f, ...) -> results... */
static int timeout(lua_State *L) {
  ev_timer *timer = lua_newuserdatauv(L, sizeof *timer, 0);
  ev_timer_init(timer, on_timer, luaL_checknumber(L, 1), 0.);
  ev_timer_start(lua_touserdata(L, lua_upvalueindex(1)), timer);
  lua_replace(L, 1);
  lua_pushcfunction(L, handle);
  lua_insert(L, 2);
  return ended(L, lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 2, 0, ended), 0);
}

int main(int argc, char **argv) {
  long calls = argument(argc, argv, 1, 2000000);
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  lua_State *L = new_state();
  if (loop == NULL) fail("no memory for the loop");
  lua_pushlightuserdata(L, loop);
  lua_pushcclosure(L, timeout, 1);
  lua_pushinteger(L, calls);
  double began = cpu_ns();
  run_source(L, BODY, 2);
  double spent = cpu_ns() - began;
  if (lua_tointeger(L, -1) != (lua_Integer)calls * (calls + 1) / 2) fail("the sum is wrong");
  printf("ns %.1f\n", spent / (double)calls);
  lua_close(L);
  ev_loop_destroy(loop);
  return 0;
}
