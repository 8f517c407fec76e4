/* callback.c: a library of the host's calls functions that scripts gave it. */
#include "states.h"

static int reference = LUA_NOREF; /* to what the library calls */

/* give(function): to the library */
static int l_give(lua_State *L) {
  lua_settop(L, 1);
  reference = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* The library calls back, outside of tasks and, where nobody turns it, of the loop. */
static void call_back(lua_State *L, int number) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
  lua_pushinteger(L, number);
  CHECK_EQ(lua_pcall(L, 1, LUA_MULTRET, 0), LUA_OK);
  CHECK_EQ(lua_gettop(L), 0);
}

static void the_library_calls_it_outside_of_everything(void) {
  host h;
  host_open_for_lua(&h);
  lua_register(h.L, "give", l_give);
  host_do(&h, "call, handle = tide.callback(function(x) sleep(0) say('got', x) end)\n"
              "give(call)");
  CHECK_EQ(tide_loop_held(h.w.loop), false);
  call_back(h.L, 1);
  turn(&h.w);
  CHECK(tide_loop_held(h.w.loop));
  call_back(h.L, 2);
  for (int i = 0; i < 20; i++) turn(&h.w);
  CHECK_LUA_LOG(&h, "got 1, got 2");
  host_do(&h, "handle:close()");
  call_back(h.L, 3);
  settle(&h.w);
  CHECK(!tide_loop_held(h.w.loop));
  CHECK_LUA_LOG(&h, "");
  host_close(&h);
}

static void await_callback_is_called_by_the_library(void) {
  host h;
  host_open_for_lua(&h);
  lua_register(h.L, "give", l_give);
  host_do(&h,
          "spawn(function() say('done', tide.await_callback(give)) end)\n"
          "cancelled = spawn(function() tide.await_callback(function(done) late = done end) end)");
  turn(&h.w);
  call_back(h.L, 7);
  call_back(h.L, 8);
  host_do(&h, "cancelled:cancel() late(1)");
  settle(&h.w);
  host_do(&h, "late(2)");
  CHECK_LUA_LOG(&h, "done 7");
  CHECK(!tide_loop_held(h.w.loop));
  host_close(&h);
}

static int checks; /* that have held */

static int l_check(lua_State *L) {
  checks += lua_toboolean(L, 1);
  return 0;
}

/* On a loop that goes on nothing holds it any more. */
static void the_state_is_closed_while_callbacks_are_open(void) {
  for (int turns = 0; turns < 3; turns++) {
    world w;
    world_open(&w);
    lua_State *L = state_new(w.loop);
    CHECK_EQ(luaL_dostring(
                 L, "call, handle = tide.callback(print)\n"
                    "tide.spawn(tide.await_callback, function() end)\n"
                    "late = setmetatable({}, { __gc = function() call(1) handle:close() end })"),
             LUA_OK);
    for (int i = 0; i < turns; i++) turn(&w);
    lua_close(L);
    CHECK(!tide_loop_held(w.loop));
    world_close(&w);
  }
}

/* A finalizer that is older than tide is called when the state's loop has gone: the functions that
 * the library was given do nothing then. */
static void what_calls_back_at_the_very_end_does_no_harm(void) {
  world w;
  world_open(&w);
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  CHECK_EQ(luaL_dostring(
               L,
               "oldest = setmetatable({}, { __gc = function()\n"
               "  check(pcall(late, 1)) check(pcall(call, 1)) check(pcall(handle.close, handle))\n"
               "end })"),
           LUA_OK);
  lua_register(L, "check", l_check);
  lua_pushcfunction(L, open_in_loop);
  lua_pushlightuserdata(L, w.loop);
  CHECK_EQ(lua_pcall(L, 1, 0, 0), LUA_OK);
  CHECK_EQ(luaL_dostring(L, "tide.spawn(tide.await_callback, function(done) late = done end)\n"
                            "call, handle = tide.callback(print)"),
           LUA_OK);
  turn(&w);
  checks = 0;
  lua_close(L);
  CHECK_EQ(checks, 3);
  world_close(&w);
}

static void one_that_cannot_be_made_holds_nothing(void) {
  bool made = false;
  for (unsigned number = 1; !made; number++) {
    host h;
    host_open_for_lua(&h);
    host_do(&h, "tide.on_failure(function() end) make = tide.callback");
    turn(&h.w);
    h.luas.fail_at = h.luas.allocations + number;
    made = luaL_dostring(h.L, "call, handle = make(type)") == LUA_OK;
    h.luas.fail_at = 0;
    lua_settop(h.L, 0);
    turn(&h.w);
    host_do(&h, "if handle then handle:close() end");
    host_collect_garbage(&h);
    for (int i = 0; i < 3; i++) turn(&h.w);
    CHECK(!tide_loop_held(h.w.loop));
    host_do(&h, "assert(#tide.all_tasks() == 0)");
    made = made && number > 5;
    host_close(&h);
  }
}

int main(void) {
  RUN(the_library_calls_it_outside_of_everything);
  RUN(await_callback_is_called_by_the_library);
  RUN(the_state_is_closed_while_callbacks_are_open);
  RUN(what_calls_back_at_the_very_end_does_no_harm);
  RUN(one_that_cannot_be_made_holds_nothing);
  return check_summary();
}
