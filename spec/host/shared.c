/* shared.c: several states in one loop, which is the host's. */
#include <unistd.h>

#include "states.h"

static const tide_time MS = 1000000;

/* ---- states that share a loop */

static void it_runs_the_tasks_of_both(void) {
  tide_loop *loop = virtual_loop();
  lua_State *a = state_new(loop), *b = state_new(loop);
  for (int i = 0; i < 2; i++)
    run_code(i == 0 ? a : b, "count = 0\n"
                             "tide.spawn(function()\n"
                             "  for i = 1, 5 do tide.sleep(1) count = count + 1 end\n"
                             "  done = tide.time()\n"
                             "end)\n"
                             "began = tide.time()");
  CHECK_EQ(tide_loop_run(loop, NULL), TIDE_OK);
  CHECK_EQ(number(a, "count"), 5);
  CHECK_EQ(number(b, "count"), 5);
  run_code(a, "assert(done - began == 5)");
  lua_close(a);
  lua_close(b);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

static void it_lets_tide_run_of_one_turn_the_loop_for_both(void) {
  tide_loop *loop = virtual_loop();
  lua_State *a = state_new(loop), *b = state_new(loop);
  run_code(
      b, "count = 0 tide.spawn(function() while true do tide.sleep(1) count = count + 1 end end)");
  run_code(a, "assert(tide.run(function() tide.sleep(10.5) return tide.current_task():name() end) "
              "== 'main')");
  CHECK_EQ(number(b, "count"), 10);
  run_code(a, "assert(#tide.all_tasks() == 0)");
  run_code(b, "assert(#tide.all_tasks() == 1)");
  lua_close(b);
  lua_close(a);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

static void it_tells_a_script_that_is_no_task_to_spawn_one(void) {
  tide_loop *loop = virtual_loop();
  lua_State *a = state_new(loop);
  run_code(a, "local ok, err = pcall(tide.sleep, 1)\n"
              "assert(not ok and err.kind == 'no_task')\n"
              "assert(tostring(err):find('use tide.spawn(function)', 1, true), tostring(err))\n"
              "tide.spawn(tide.sleep, 1)");
  CHECK_EQ(tide_loop_run(loop, NULL), TIDE_OK);
  lua_close(a);
  tide_loop_free(loop);
}

static void it_tells_each_state_of_its_own_failures(void) {
  tide_loop *loop = virtual_loop();
  lua_State *a = state_new(loop), *b = state_new(loop);
  run_code(a,
           "told = 0 tide.on_failure(function(_, err) told = told + 1 assert(err == 'mine') end)\n"
           "tide.spawn(error, 'mine')");
  run_code(b, "told = 0 tide.on_failure(function() told = told + 1 end)\n"
              "tide.spawn(function() tide.sleep(1) end)");
  CHECK_EQ(tide_loop_run(loop, NULL), TIDE_OK);
  CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  CHECK_EQ(number(a, "told"), 1);
  CHECK_EQ(number(b, "told"), 0);
  lua_close(a);
  lua_close(b);
  tide_loop_free(loop);
}

static void it_draws_the_order_of_each_by_a_seed_of_its_own(void) {
  tide_loop *loop = tide_loop_new(NULL);
  lua_State *a = state_new(loop), *b = state_new(loop);
  run_code(a, "tide.testing.run(function()\n"
              "  order = {}\n"
              "  for i = 1, 20 do tide.spawn(function() order[#order + 1] = i end) end\n"
              "  tide.sleep(1)\n"
              "  local sorted = true\n"
              "  for i = 1, 20 do sorted = sorted and order[i] == i end\n"
              "  assert(not sorted)\n"
              "end, {seed = 3})");
  run_code(b, "tide.testing.run(function()\n"
              "  order = {}\n"
              "  for i = 1, 20 do tide.spawn(function() order[#order + 1] = i end) end\n"
              "  tide.sleep(1)\n"
              "  for i = 1, 20 do assert(order[i] == i) end\n"
              "end)");
  lua_close(a);
  lua_close(b);
  tide_loop_free(loop);
}

/* ---- a state that is closed while others go on */

/* The busy state is closed after so many turns. False: it had nothing to do any more. */
static void close_after(int turns) {
  tide_loop *loop = virtual_loop();
  lua_State *a = state_new(loop), *b = state_new(loop);
  run_code(a, states_busy);
  run_code(b, neighbour);
  for (int i = 0; i < turns; i++) CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
  lua_close(a);
  lua_Integer before = number(b, "count");
  for (int i = 0; i < 30; i++) CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
  CHECK(number(b, "count") > before);
  lua_close(b);
  tide_loop_send_all(loop); /* of streams of the first */
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

static void it_goes_on_where_one_is_closed_at_any_turn(void) {
  for (int turns = 0; turns < 120; turns = (int)check_next(turns) + (turns < 20 ? 0 : 6)) {
    snprintf(check_state.context, sizeof check_state.context, "turn %d", turns);
    close_after(turns);
  }
}

static void it_goes_on_where_the_collector_was_there_before(void) {
  tide_loop *loop = virtual_loop();
  lua_State *a = state_new(loop), *b = state_new(loop);
  run_code(a, states_busy);
  run_code(b, neighbour);
  for (int i = 0; i < 40; i++) {
    lua_gc(a, LUA_GCCOLLECT);
    CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
  }
  lua_close(a);
  for (int i = 0; i < 30; i++) CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
  lua_close(b);
  tide_loop_send_all(loop);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

/* Another state's function closes it, inside the loop's turn. */
static lua_State *victim;

static int close_victim(lua_State *L) {
  (void)L;
  lua_close(victim);
  victim = NULL;
  return 0;
}

static void it_may_be_closed_by_a_task_of_another(void) {
  tide_loop *loop = virtual_loop();
  lua_State *b = state_new(loop);
  victim = state_new(loop);
  run_code(victim, states_busy);
  run_code(b, neighbour);
  lua_register(b, "close_victim", close_victim);
  run_code(b, "tide.spawn(function() tide.sleep(4.05) close_victim() end)");
  for (int i = 0; i < 300; i++) CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
  CHECK(victim == NULL);
  lua_close(b);
  tide_loop_send_all(loop);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

static void it_opens_and_closes_thousands_in_one_loop(void) {
  tide_loop *loop = virtual_loop();
  for (int i = 0; i < check_many(200); i++) {
    lua_State *L = state_new(loop);
    run_code(L, "tide.spawn(tide.sleep, 100) tide.call_later(5, type, 1)");
    if (i % 3 == 0) CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
    lua_close(L);
  }
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

/* ---- turns by time */

static void it_delays_a_neighbour_by_a_share_of_a_turn(void) {
  tide_loop *loop = tide_loop_new(NULL);
  lua_State *a = state_new(loop), *b = state_new(loop);
  run_code(a, "count = 0\n"
              "local function work() while true do for i = 1, 2000 do count = count + 1 end "
              "tide.sleep(0) end end\n"
              "for i = 1, 10000 do tide.spawn(work) end");
  run_code(
      b, "count = 0 tide.spawn(function() while true do tide.sleep(0) count = count + 1 end end)");
  for (int i = 0; i < 20; i++) CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  /* each of the first's tasks had 10 us or more: no turn has stepped all of them */
  CHECK_EQ(number(b, "count"), 19);
  CHECK(number(a, "count") < 2000 * 1000);
  lua_close(a);
  lua_close(b);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

/* ---- opening that fails */

static int open_again(lua_State *L) {
  tide_lua_open(L, lua_touserdata(L, 1), NULL);
  return 0;
}

static void it_opens_once_for_a_state_and_leaves_the_loop_alone_where_it_cannot(void) {
  tide_loop *loop = virtual_loop();
  lua_State *a = state_new(loop);
  lua_pushcfunction(a, open_again);
  lua_pushlightuserdata(a, loop);
  CHECK(lua_pcall(a, 1, 0, 0) != LUA_OK);
  lua_State *bare = luaL_newstate();
  lua_pushcfunction(bare, open_again);
  lua_pushlightuserdata(bare, loop);
  CHECK(lua_pcall(bare, 1, 0, 0) != LUA_OK); /* without Lua's libraries */
  lua_close(bare);
  host h;
  for (unsigned number_of = 1; number_of < 900; number_of += 1 + number_of / 12) {
    memset(&h, 0, sizeof h);
    lua_State *L = lua_newstate(host_alloc, &h);
    luaL_openlibs(L);
    h.luas.fail_at = h.luas.allocations + number_of;
    lua_pushcfunction(L, open_again);
    lua_pushlightuserdata(L, loop);
    int status = lua_pcall(L, 1, 0, 0);
    h.luas.fail_at = 0;
    if (status != LUA_OK) {
      lua_settop(L, 0);
      lua_pushcfunction(L, open_again);
      lua_pushlightuserdata(L, loop);
      CHECK_EQ(lua_pcall(L, 1, 0, 0), LUA_OK);
    }
    run_code(L, "local tide = require 'tide' tide.spawn(tide.sleep, 1)");
    CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
    lua_close(L);
    CHECK_EQ(h.luas.in_use, 0);
  }
  lua_close(a);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

/* ---- C's tasks, and ticks */

static void it_is_ticked_frame_by_frame(void) {
  tide_loop *loop = tide_loop_new(NULL);
  lua_State *a = state_new(loop), *b = state_new(loop);
  bool more;
  for (int i = 0; i < 2; i++)
    run_code(i == 0 ? a : b, "frames = 0 tide.spawn(function() while true do frames = frames + 1 "
                             "tide.sleep(0) end end)");
  for (int i = 0; i < 10; i++) {
    CHECK_EQ(tide_loop_tick(loop, 50 * MS, &more), TIDE_OK);
    CHECK(more);
  }
  CHECK(number(a, "frames") >= 10 && number(a, "frames") <= 20);
  CHECK_EQ(number(a, "frames"), number(b, "frames"));
  lua_close(b);
  lua_close(a);
  CHECK_EQ(tide_loop_tick(loop, MS, &more), TIDE_OK);
  CHECK(!more);
  tide_loop_free(loop);
}

int main(void) {
  RUN(it_runs_the_tasks_of_both);
  RUN(it_lets_tide_run_of_one_turn_the_loop_for_both);
  RUN(it_tells_a_script_that_is_no_task_to_spawn_one);
  RUN(it_tells_each_state_of_its_own_failures);
  RUN(it_draws_the_order_of_each_by_a_seed_of_its_own);
  RUN(it_goes_on_where_one_is_closed_at_any_turn);
  RUN(it_goes_on_where_the_collector_was_there_before);
  RUN(it_may_be_closed_by_a_task_of_another);
  RUN(it_opens_and_closes_thousands_in_one_loop);
  RUN(it_delays_a_neighbour_by_a_share_of_a_turn);
  RUN(it_opens_once_for_a_state_and_leaves_the_loop_alone_where_it_cannot);
  RUN(it_is_ticked_frame_by_frame);
  return check_summary();
}
