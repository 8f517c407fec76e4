/* stop.c: ending all that a state runs, and closing it. */
#include "states.h"

static const tide_time SECOND = 1000000000;

typedef struct told {
  int times;
  uint64_t turn; /* of the loop, when it was told */
  bool closes;   /* the state */
} told;

static void on_stopped(lua_State *L, void *context) {
  told *self = context;
  self->times++;
  self->turn = tide_loop_turns(tide_lua_loop(L));
  if (self->closes) lua_close(L);
}

static void turn_until_told(tide_loop *loop, const told *t) {
  for (int i = 0; i < 2000 && t->times == 0; i++) {
    int error = tide_loop_turn(loop, true);
    CHECK(error == TIDE_OK || t->times == 1);
  }
  CHECK_EQ(t->times, 1);
}

static void it_cancels_all_and_waits_for_cleanup(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = state_new(loop);
  told t = {0};
  run_code(L, "ended, reason = 0, nil\n"
              "for i = 1, 10 do\n"
              "  tide.spawn(function()\n"
              "    local ok, err = tide.raw.pcall(tide.sleep, 100)\n"
              "    reason = err.reason\n"
              "    tide.shield(tide.sleep, i)\n"
              "    ended = ended + 1\n"
              "  end)\n"
              "end\n"
              "tide.call_later(5, function() called = true end)");
  CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  uint64_t turn = tide_loop_turns(loop);
  tide_time now = tide_loop_now(loop);
  CHECK_EQ(tide_lua_stop(L, 20 * SECOND, on_stopped, &t), TIDE_OK);
  CHECK_EQ(t.times, 0);
  turn_until_told(loop, &t);
  CHECK(t.turn > turn);
  CHECK_EQ(tide_loop_now(loop) - now, 10 * SECOND);
  CHECK_EQ(number(L, "ended"), 10);
  run_code(L, "assert(reason == 'stop' and not called and #tide.all_tasks() == 0)");
  lua_close(L);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

static void it_kills_what_is_left_when_its_time_is_over(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = state_new(loop);
  told t = {0};
  run_code(
      L, "closed = 0\n"
         "for i = 1, 5 do\n"
         "  tide.spawn(function()\n"
         "    local _ <close> = setmetatable({}, {__close = function() closed = closed + 1 end})\n"
         "    tide.shield(tide.sleep, 1000)\n"
         "  end)\n"
         "end");
  CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  tide_time now = tide_loop_now(loop);
  CHECK_EQ(tide_lua_stop(L, 3 * SECOND, on_stopped, &t), TIDE_OK);
  turn_until_told(loop, &t);
  CHECK_EQ(tide_loop_now(loop) - now, 3 * SECOND);
  CHECK_EQ(number(L, "closed"), 5);
  lua_close(L);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

static void it_ends_who_will_not_and_who_spawns_in_cleanup(void) {
  tide_loop *loop = tide_loop_new(NULL);
  lua_State *L = state_new(loop);
  told t = {0};
  run_code(L, "tide.on_failure(function() end)\n"
              "tide.spawn(function() while true do tide.raw.pcall(tide.sleep, 1) end end)\n"
              "local function again() local _ <close> = setmetatable({}, {__close = function()\n"
              "  tide.spawn(again) end}) tide.sleep(9) end\n"
              "tide.spawn(again)\n"
              "tide.spawn(function() pcall(tide.sleep, 9) while true do tide.shield(tide.sleep, 1) "
              "end end)");
  CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  CHECK_EQ(tide_lua_stop(L, SECOND / 100, on_stopped, &t), TIDE_OK);
  for (int i = 0; i < 2000000 && t.times == 0; i++) {
    int error = tide_loop_turn(loop, true);
    CHECK(error == TIDE_OK || t.times == 1);
  }
  CHECK_EQ(t.times, 1);
  lua_close(L);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

/* Stops its own state. */
static told own;

static int stop_own(lua_State *L) {
  lua_pushinteger(L, tide_lua_stop(L, SECOND, on_stopped, &own));
  return 1;
}

static void a_task_of_the_state_may_stop_it(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = state_new(loop);
  own = (told){0};
  lua_register(L, "stop", stop_own);
  run_code(L,
           "tide.spawn(function() first = stop() second = stop() tide.sleep(1) never = true end)");
  turn_until_told(loop, &own);
  CHECK_EQ(number(L, "first"), TIDE_OK);
  CHECK_EQ(number(L, "second"), TIDE_EALREADY_RUNNING);
  run_code(L, "assert(not never)");
  lua_close(L);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

/* A script that has called tide.run is on the host's stack: nobody may close the state under it. */
static void it_is_told_once_tide_run_has_returned(void) {
  static const char *const runs[] = {
      "pcall(tide.run, function() stop() tide.sleep(1) never = true end)",
      "pcall(tide.run, function() tide.spawn(function()\n"
      "  local _ <close> = setmetatable({}, {__close = function() tide.shield(tide.sleep, 0.5) "
      "end})\n"
      "  tide.sleep(9) end) stop() pcall(tide.sleep, 1) tide.raw.pcall(tide.shield, tide.sleep, "
      "99) end)",
      "tide.spawn(function() tide.sleep(0) stop() tide.sleep(1) never = true end) "
      "tide.run_forever()",
      "tide.spawn(function() tide.sleep(0) stop() end) pcall(tide.run, function() tide.sleep(99) "
      "end)",
  };
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
    tide_loop *loop = virtual_loop();
    lua_State *L = state_new(loop);
    own = (told){.closes = true};
    lua_register(L, "stop", stop_own);
    run_code(L, runs[i]);
    CHECK_EQ(own.times, 0);
    run_code(
        L, "assert(not never and not pcall(tide.run, function() never = true end) and not never)");
    turn_until_told(loop, &own); /* and closes it */
    check_loop_is_empty(loop);
    tide_loop_free(loop);
  }
}

static void what_is_told_may_close_it_while_another_state_goes_on(void) {
  for (int turns = 0; turns < 60; turns = (int)check_next(turns) + 2) {
    tide_loop *loop = virtual_loop();
    lua_State *a = state_new(loop), *b = state_new(loop);
    told t = {.closes = true};
    run_code(a, states_busy);
    run_code(b, neighbour);
    for (int i = 0; i < turns; i++) CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
    CHECK_EQ(tide_lua_stop(a, 5 * SECOND, on_stopped, &t), TIDE_OK);
    turn_until_told(loop, &t);
    lua_Integer before = number(b, "count");
    for (int i = 0; i < 30; i++) CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
    CHECK(number(b, "count") > before);
    lua_close(b);
    tide_loop_send_all(loop);
    check_loop_is_empty(loop);
    tide_loop_free(loop);
  }
}

static char ends[200]; /* of tasks that the host has started: second, error, count, value */

static void told_end(lua_State *L, int error, int count, void *context) {
  size_t used = strlen(ends);
  tide_time passed = tide_loop_now(tide_lua_loop(L)) - *(tide_time *)context;
  snprintf(ends + used, sizeof ends - used, "%d: %d %d %s; ", (int)(passed / SECOND), error, count,
           count > 0 ? luaL_tolstring(L, -count, NULL) : "");
}

static void who_started_a_task_is_told_how_it_has_ended(void) {
  static const char *const codes[] = {
      "tide.sleep(100)",
      "tide.raw.pcall(tide.sleep, 100) tide.shield(tide.sleep, 2) return 'cleaned'",
      "tide.shield(tide.sleep, 100)",
  };
  tide_loop *loop = virtual_loop();
  lua_State *L = state_new(loop);
  told t = {0};
  tide_time begun = tide_loop_now(loop);
  ends[0] = '\0';
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    CHECK_EQ(luaL_loadstring(L, codes[i]), LUA_OK);
    tide_lua_spawn_cb(L, 0, told_end, &begun);
  }
  CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  CHECK_EQ(tide_lua_stop(L, 5 * SECOND, on_stopped, &t), TIDE_OK);
  luaL_loadstring(L, "return 1");
  tide_lua_spawn_cb(L, 0, told_end, &begun); /* which is cancelled before it begins */
  turn_until_told(loop, &t);
  CHECK_TEXT(ends, "0: -1 1 cancelled: cancelled (stop); 0: -1 1 cancelled: cancelled (stop); "
                   "2: 0 1 cleaned; 5: -1 1 cancelled: cancelled (stop); ");
  CHECK_EQ(lua_gettop(L), 0);
  lua_close(L);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

static void what_is_spawned_in_a_group_of_the_host_s_is_cancelled_too(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = state_new(loop);
  tide_group group;
  told t = {0};
  tide_group_init(&group, loop, 0, false);
  CHECK_EQ(tide_lua_stop(L, TIDE_NEVER, on_stopped, &t), TIDE_OK);
  for (int i = 0; i < 3; i++) { /* while it is being stopped, and after that */
    luaL_loadstring(L, "tide.sleep(1000) never = true");
    tide_lua_spawn(L, 0, &group);
    lua_settop(L, 0);
    tide_loop_turn(loop, false);
  }
  turn_until_told(loop, &t);
  CHECK_EQ(group.live, 0);
  run_code(L, "assert(not never)");
  lua_close(L);
  tide_group_exit(&group);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

static void it_may_be_closed_while_it_is_being_stopped(void) {
  for (int turns = 0; turns < 40; turns = (int)check_next(turns)) {
    tide_loop *loop = virtual_loop();
    lua_State *L = state_new(loop);
    told t = {0};
    run_code(L, states_busy);
    for (int i = 0; i < 20; i++) CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
    CHECK_EQ(tide_lua_stop(L, SECOND, on_stopped, &t), TIDE_OK);
    for (int i = 0; i < turns && t.times == 0; i++) tide_loop_turn(loop, true);
    int before = t.times;
    lua_close(L);
    CHECK_EQ(t.times, before);
    tide_loop_send_all(loop);
    check_loop_is_empty(loop);
    tide_loop_free(loop);
  }
}

static void closing_waits_and_leaves_nothing(void) {
  for (int turns = 0; turns < 60; turns += 7) {
    tide_loop *loop = virtual_loop();
    lua_State *L = state_new(loop);
    run_code(L, states_busy);
    for (int i = 0; i < turns; i++) CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
    CHECK_EQ(tide_lua_close(L, (tide_time)turns * SECOND), TIDE_OK);
    tide_loop_send_all(loop);
    check_loop_is_empty(loop);
    tide_loop_free(loop);
  }
}

static void closing_does_not_wait_for_what_never_ends(void) {
  tide_loop *loop = tide_loop_new(NULL);
  lua_State *L = state_new(loop);
  tide_loop_set_manual_clock(loop);
  run_code(L, "tide.spawn(function() tide.shield(tide.sleep, 1000) end)");
  CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  CHECK_EQ(tide_lua_close(L, TIDE_NEVER), TIDE_OK);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

/* A host holds its loop, for frames to come. */
static void closing_does_not_wait_for_what_holds_the_loop(void) {
  tide_loop *loop = tide_loop_new(NULL);
  lua_State *L = state_new(loop);
  tide_loop_hold(loop);
  run_code(L, "tide.spawn(function() tide.shield(tide.sleep, 0.01) end)");
  CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  CHECK_EQ(tide_lua_close(L, 2 * SECOND), TIDE_OK);
  tide_loop_release(loop);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

/* The same, and moves the clock itself. */
static void closing_does_not_wait_for_a_clock_that_the_host_moves(void) {
  tide_loop *loop = tide_loop_new(NULL);
  lua_State *L = state_new(loop);
  tide_loop_set_manual_clock(loop);
  tide_loop_hold(loop);
  run_code(L, "tide.spawn(function() tide.shield(tide.sleep, 1) end) tide.spawn(tide.frame)");
  CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  CHECK_EQ(tide_lua_close(L, 2 * SECOND), TIDE_OK);
  tide_loop_release(loop);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

static void a_state_with_a_loop_of_its_own_closes_too(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "tide", luaopen_tide, 1);
  run_code(L, states_busy);
  CHECK_EQ(tide_loop_turn(tide_lua_loop(L), false), TIDE_OK);
  CHECK_EQ(tide_lua_close(L, SECOND / 50), TIDE_OK);
  L = luaL_newstate(); /* without tide */
  CHECK_EQ(tide_lua_stop(L, 0, NULL, NULL), TIDE_ECLOSED);
  CHECK_EQ(tide_lua_close(L, SECOND), TIDE_OK);
}

/* Closes its own state, in a turn. */
static int close_own(lua_State *L) {
  lua_pushinteger(L, tide_lua_close(L, SECOND));
  return 1;
}

static void it_is_not_closed_inside_a_turn(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = state_new(loop);
  lua_register(L, "close", close_own);
  run_code(L, "tide.spawn(function() result = close() tide.sleep(1) went_on = 1 end)");
  CHECK_EQ(tide_loop_run(loop, NULL), TIDE_OK);
  CHECK_EQ(number(L, "result"), TIDE_EALREADY_RUNNING);
  CHECK_EQ(number(L, "went_on"), 1);
  CHECK_EQ(tide_lua_close(L, SECOND), TIDE_OK);
  tide_loop_free(loop);
}

static void what_is_spawned_later_is_cancelled_at_once(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = state_new(loop);
  told t = {0};
  CHECK_EQ(tide_lua_stop(L, SECOND, on_stopped, &t), TIDE_OK);
  turn_until_told(loop, &t);
  run_code(L, "task = tide.spawn(function() never = true end)");
  for (int i = 0; i < 3; i++) CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  run_code(L, "assert(task:cancelled() and not never)");
  t.times = 0;
  CHECK_EQ(tide_lua_stop(L, SECOND, on_stopped, &t), TIDE_OK); /* once more: it has nothing to do */
  turn_until_told(loop, &t);
  lua_close(L);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

static void the_loop_may_be_freed_when_a_state_was_closed_in_the_middle_of_it(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = state_new(loop);
  run_code(L, states_busy);
  CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
  CHECK_EQ(tide_lua_stop(L, SECOND, NULL, NULL), TIDE_OK);
  CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
  lua_close(L);
  tide_loop_free(loop);
}

/* All places on the stack that there are in use, and memory for no more. */

static void let_next_fail(host *h) { h->luas.fail_at = h->luas.allocations + 1; }

static void fill_stack(host *h) {
  for (let_next_fail(h); lua_checkstack(h->L, 1); let_next_fail(h)) lua_pushboolean(h->L, 1);
  let_next_fail(h);
}

static void a_full_stack_does_no_harm(void) {
  host h;
  told t = {0};
  host_open_for_lua(&h);
  lua_State *L = h.L;
  host_do(&h, "tide.spawn(tide.sleep, 5)");
  fill_stack(&h);
  int top = lua_gettop(L);
  tide_lua_limits limits = {.size = sizeof limits, .budget = SECOND};
  CHECK(tide_lua_loop(L) == NULL);
  let_next_fail(&h);
  CHECK(tide_lua_get_interrupter(L) == NULL);
  let_next_fail(&h);
  CHECK_EQ(tide_lua_set_limits(L, &limits), TIDE_ENOMEM);
  let_next_fail(&h);
  CHECK_EQ(tide_lua_stop(L, SECOND, on_stopped, &t), TIDE_ENOMEM);
  CHECK_EQ(lua_gettop(L), top);
  CHECK_EQ(tide_lua_stop(L, SECOND, on_stopped, &t), TIDE_OK); /* there is memory again */
  CHECK_EQ(lua_gettop(L), top);
  CHECK(lua_toboolean(L, -1));
  turn_until_told(h.w.loop, &t);
  host_close(&h);
}

static void a_state_with_a_full_stack_closes(void) {
  host h;
  host_open_for_lua(&h);
  host_do(&h, "tide.spawn(tide.sleep, 5)");
  fill_stack(&h);
  CHECK_EQ(tide_lua_close(h.L, SECOND), TIDE_OK);
  CHECK_EQ(h.luas.in_use, 0);
  CHECK_EQ(h.w.memory.in_use, 0);
}

int main(void) {
  RUN(it_cancels_all_and_waits_for_cleanup);
  RUN(it_kills_what_is_left_when_its_time_is_over);
  RUN(it_ends_who_will_not_and_who_spawns_in_cleanup);
  RUN(a_task_of_the_state_may_stop_it);
  RUN(it_is_told_once_tide_run_has_returned);
  RUN(what_is_told_may_close_it_while_another_state_goes_on);
  RUN(who_started_a_task_is_told_how_it_has_ended);
  RUN(what_is_spawned_in_a_group_of_the_host_s_is_cancelled_too);
  RUN(it_may_be_closed_while_it_is_being_stopped);
  RUN(closing_waits_and_leaves_nothing);
  RUN(closing_does_not_wait_for_what_never_ends);
  RUN(closing_does_not_wait_for_what_holds_the_loop);
  RUN(closing_does_not_wait_for_a_clock_that_the_host_moves);
  RUN(a_state_with_a_loop_of_its_own_closes_too);
  RUN(it_is_not_closed_inside_a_turn);
  RUN(what_is_spawned_later_is_cancelled_at_once);
  RUN(the_loop_may_be_freed_when_a_state_was_closed_in_the_middle_of_it);
  RUN(a_full_stack_does_no_harm);
  RUN(a_state_with_a_full_stack_closes);
  return check_summary();
}
