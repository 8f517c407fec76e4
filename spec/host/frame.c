/* frame.c: scripts that wait for the host's frames, as in a game. */
#include "host.h"

static const tide_time FRAME = 16000000;

static void frame_over(host *h, int count) {
  for (int i = 0; i < count; i++) {
    tide_loop_frame(h->w.loop, FRAME);
    CHECK_EQ(tide_loop_tick(h->w.loop, FRAME, NULL), TIDE_OK);
  }
}

static void it_goes_on_once_a_frame_and_is_told_how_long_it_took(void) {
  host h;
  host_open_for_lua(&h);
  host_do(&h, "spawn(function()\n"
              "  for i = 1, 3 do say(i, tide.frame()) end\n"
              "end)");
  CHECK_EQ(tide_loop_tick(h.w.loop, FRAME, NULL), TIDE_OK);
  CHECK_LUA_LOG(&h, "");
  frame_over(&h, 1);
  CHECK_LUA_LOG(&h, "1 0.016");
  frame_over(&h, 5);
  CHECK_LUA_LOG(&h, "2 0.016, 3 0.016");
  host_close(&h);
}

static void it_is_cancelled_killed_and_timed_out_as_any_wait(void) {
  host h;
  host_open_for_lua(&h);
  host_do(
      &h,
      "spawn(function() say(tostring(tide.move_on_after(1, tide.frame))) end)\n"
      "local a = spawn(function() local ok, err = tide.raw.pcall(tide.frame) say(kind(err)) end)\n"
      "local b = spawn(function() local _ <close> = closer(function() say('killed') end) "
      "tide.frame() end)\n"
      "spawn(function() sleep(2) a:cancel() b:kill() end)\n"
      "say(kind(select(2, pcall(tide.frame))))");
  CHECK_EQ(tide_loop_run(h.w.loop, NULL), TIDE_OK);
  CHECK_LUA_LOG(&h, "no_task, false, killed, cancelled");
  frame_over(&h, 1);
  host_close(&h);
}

static void it_is_a_deadlock_where_no_host_says_that_frames_will_come(void) {
  host h;
  host_open_for_lua(&h);
  host_do(&h, "local ok, err = pcall(tide.run, function() tide.frame() end) say(kind(err))");
  CHECK_LUA_LOG(&h, "deadlock");
  host_close(&h);
}

static void the_state_may_be_closed_while_scripts_wait_for_a_frame(void) {
  host h;
  host_open_for_lua(&h);
  host_do(&h, "for i = 1, 10 do spawn(function() while true do tide.frame() end end) end");
  frame_over(&h, 3);
  host_close(&h);
}

/* ---- the host's own clock */

/* Twenty characters that sleep, meet in a queue and wait for frames; each says its number when it
 * has gone on. */
static const char game[] = "local meeting = tide.Queue(2)\n"
                           "for i = 1, 20 do\n"
                           "  spawn(function()\n"
                           "    for round = 1, 5 do\n"
                           "      if i % 3 == 0 then sleep(0.016 * (i % 4)) else tide.frame() end\n"
                           "      if i % 2 == 0 then meeting:put(i) else meeting:get() end\n"
                           "      say(i)\n"
                           "    end\n"
                           "  end)\n"
                           "end\n";

/* Plays it with that seed, at a length of frames that is not even. The text is the caller's. */
static char *play(uint64_t seed) {
  host h;
  host_open_for_lua(&h);
  tide_loop_set_manual_clock(h.w.loop);
  tide_loop_set_seed(h.w.loop, seed);
  host_do(&h, game);
  for (int i = 0; i < 60; i++) {
    tide_time span = FRAME + (tide_time)(i % 7) * 1000000;
    CHECK_EQ(tide_loop_advance(h.w.loop, span), TIDE_OK);
    tide_loop_frame(h.w.loop, span);
    CHECK_EQ(tide_loop_tick(h.w.loop, TIDE_NEVER, NULL), TIDE_OK);
  }
  host_do(&h, "assert(#log == 100) text = table.concat(log, ' ')");
  lua_getglobal(h.L, "text");
  char *text = strdup(lua_tostring(h.L, -1));
  lua_settop(h.L, 0);
  host_close(&h);
  return text;
}

static void a_game_is_replayed_to_the_step_with_the_same_seed_and_advances(void) {
  char *first = play(7), *again = play(7), *other = play(8), *unseeded = play(0);
  CHECK_TEXT(again, first);
  CHECK(strcmp(other, first) != 0);
  CHECK(strcmp(unseeded, first) != 0);
  free(first);
  free(again);
  free(other);
  free(unseeded);
}

int main(void) {
  RUN(it_goes_on_once_a_frame_and_is_told_how_long_it_took);
  RUN(it_is_cancelled_killed_and_timed_out_as_any_wait);
  RUN(it_is_a_deadlock_where_no_host_says_that_frames_will_come);
  RUN(the_state_may_be_closed_while_scripts_wait_for_a_frame);
  RUN(a_game_is_replayed_to_the_step_with_the_same_seed_and_advances);
  return check_summary();
}
