/* states.h: several states in one loop, which is the host's, and much for them to do. */
#ifndef TIDE_SPEC_STATES_H
#define TIDE_SPEC_STATES_H

#include "host.h"

static inline int open_in_loop(lua_State *L) {
  luaL_openlibs(L);
  tide_lua_open(L, lua_touserdata(L, 1), lua_touserdata(L, 2));
  lua_setglobal(L, "tide");
  return 0;
}

static inline lua_State *state_new_with(tide_loop *loop, tide_lua_options *options) {
  lua_State *L = luaL_newstate();
  CHECK(L != NULL);
  lua_pushcfunction(L, open_in_loop);
  lua_pushlightuserdata(L, loop);
  lua_pushlightuserdata(L, options);
  CHECK_EQ(lua_pcall(L, 2, 0, 0), LUA_OK);
  CHECK(tide_lua_loop(L) == loop);
  return L;
}

static inline lua_State *state_new(tide_loop *loop) { return state_new_with(loop, NULL); }

static inline void run_code(lua_State *L, const char *code) {
  if (luaL_dostring(L, code) == LUA_OK) return;
  check_text(__FILE__, __LINE__, "an error", luaL_tolstring(L, -1, NULL), "");
}

static inline lua_Integer number(lua_State *L, const char *name) {
  lua_getglobal(L, name);
  lua_Integer value = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return value;
}

static inline tide_loop *virtual_loop(void) {
  tide_loop *loop = tide_loop_new(NULL);
  CHECK(loop != NULL);
  tide_loop_set_virtual_clock(loop);
  return loop;
}

static inline void check_loop_is_empty(tide_loop *loop) {
  tide_loop_stats stats = tide_loop_get_stats(loop);
  CHECK_EQ(stats.ready, 0);
  CHECK_EQ(stats.timers, 0);
  CHECK_EQ(stats.watching, 0);
  CHECK_EQ(loop->live, 0);
  CHECK_EQ(loop->lanes, 0);
  CHECK(tide_list_empty(&loop->deferred));
  CHECK(tide_list_empty(&loop->idle));
  CHECK(tide_list_empty(&loop->background.scope.children));
}

/* Something of all that a state may have in a loop. */
static const char states_busy[] =
    "local net = tide.net\n"
    "tide.on_failure(function() end)\n"
    "local q, ev, lock, f = tide.Queue(1), tide.Event(), tide.Lock(), tide.Future()\n"
    "local gen = tide.generator(function(yield) yield(1) tide.timeout(50, tide.sleep, 60) yield(2) "
    "end)\n"
    "suspended = coroutine.wrap(function()\n"
    "  local _ <close> = tide.timeout(40)\n"
    "  local g <close> = tide.TaskGroup()\n"
    "  g:spawn(tide.sleep, 30)\n"
    "  tide.sleep(35)\n"
    "end)\n"
    "tide.call_later(3, type, 1)\n"
    "f:add_done_callback(type)\n"
    "tide.spawn(function() gen() suspended() tide.sleep(100) end):add_done_callback(type)\n"
    "tide.spawn(function() while true do q:put(1) end end)\n"
    "tide.spawn(function() tide.sleep(5) q:get() tide.sleep(500) end)\n"
    "tide.spawn(function() lock:acquire() tide.timeout(20, ev.wait, ev) end)\n"
    "tide.spawn(function() tide.timeout(70, lock.acquire, lock) end)\n"
    "tide.spawn(function() tide.select(q, ev, tide.after(60)) end)\n"
    "tide.spawn(function() tide.gather { tide.spawn(tide.sleep, 80), f, limit = 1 } end)\n"
    "tide.spawn(function()\n"
    "  tide.TaskGroup(function(g)\n"
    "    g:spawn(function() tide.TaskGroup(function(h) h:spawn(tide.sleep, 90) tide.sleep(1) end) "
    "end)\n"
    "    g:spawn(function() tide.shield(tide.sleep, 95) end)\n"
    "    g:spawn(function() tide.sleep(2) end)\n"
    "  end)\n"
    "end)\n"
    "server = net.serve(function(stream) stream:write(('x'):rep(1000000)) stream:read(9) end, "
    "'127.0.0.1', 0)\n"
    "tide.spawn(function() local s = net.connect(server:address()) tide.sleep(3) s:read(5) "
    "tide.sleep(100) end)\n"
    "tide.spawn(function() gen2 = tide.generator(function(yield) yield(1) tide.timeout(9, "
    "tide.sleep, 60) end) gen2() gen2() end)\n"
    "tide.spawn(function()\n"
    "  local main = tide.greenlet.current()\n"
    "  local other = tide.greenlet(function()\n"
    "    local _ <close> = tide.timeout(33)\n"
    "    local _ <close> = tide.TaskGroup()\n"
    "    main:switch()\n"
    "  end)\n"
    "  other:switch()\n"
    "  tide.sleep(99)\n"
    "end)\n"
    "tide.spawn(function() for _ in tide.interval(1):each() do end end)\n"
    "tide.spawn(function() for _ in tide.iter { 1, 2, 3 }:map_concurrent(2, "
    "function(x) tide.sleep(x) return x end):buffer(1):each() do end end)\n";

static const char *const neighbour =
    "count = 0 tide.spawn(function() while true do tide.sleep(0.1) count = count + 1 end end)";

#endif
