/* tide as a guest in a program that has a libev loop already: a timer of the program's own beside
 * scripts that sleep, and a script that the program wakes. */
#include <ev.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <tide_lua.h>

static const char script[] = "local tide = require 'tide'\n"
                             "tide.spawn(function()\n"
                             "  for i = 1, 3 do tide.sleep(0.01) print('script: step ' .. i) end\n"
                             "end)\n"
                             "tide.spawn(function()\n"
                             "  print('script: the program says ' .. news:await())\n"
                             "end)\n";

typedef struct program {
  ev_timer timer; /* first */
  lua_State *L;
  tide_future *news; /* of Lua's */
  int ticks;
} program;

static void ticked(struct ev_loop *ev, ev_timer *timer, int events) {
  program *self = (program *)timer;
  (void)events;
  printf("program: tick %d\n", ++self->ticks);
  if (self->ticks < 2) return;
  ev_timer_stop(ev, timer);
  lua_pushliteral(self->L, "that it is done");
  tide_lua_set_result(self->L, self->news, 1);
}

/* In protected mode. */
static int open(lua_State *L) {
  program *self = lua_touserdata(L, 1);
  luaL_openlibs(L);
  tide_lua_open(L, lua_touserdata(L, 2), NULL);
  self->news = tide_lua_push_future(L);
  lua_setglobal(L, "news"); /* which keeps it */
  if (luaL_dostring(L, script) != LUA_OK) lua_error(L);
  return 0;
}

int main(void) {
  struct ev_loop *ev = ev_default_loop(EVFLAG_AUTO);
  tide_loop *loop = tide_loop_new_on(ev, NULL);
  program self = {.L = luaL_newstate()};
  if (loop == NULL || self.L == NULL) return 1;
  lua_pushcfunction(self.L, open);
  lua_pushlightuserdata(self.L, &self);
  lua_pushlightuserdata(self.L, loop);
  if (lua_pcall(self.L, 2, 0, 0) != LUA_OK) {
    fprintf(stderr, "%s\n", luaL_tolstring(self.L, -1, NULL));
    return 1;
  }
  ev_timer_init(&self.timer, ticked, 0.035, 0.01);
  ev_timer_start(ev, &self.timer);
  ev_run(ev, 0); /* until neither the program nor tide has anything to do */
  printf("program: nothing left\n");
  lua_close(self.L);
  tide_loop_free(loop);
  ev_loop_destroy(ev);
  return 0;
}
