/* run.c: what a script runs by tide.run, beside the tasks of its host. */
#include "host.h"

/* A task of C's, and how it was told to end. */

static void sleeper(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 60000));
  say(self, self->outcome == TIDE_ECANCELLED ? "cancelled" : "slept");
  END;
}

static void a_scripts_run_neither_ends_nor_awaits_the_hosts_tasks(void) {
  host h;
  host_open_for_lua(&h);
  spawn(&h.w, "host", sleeper);
  host_do(&h, "tide.run(function() spawn(sleep, 3600) sleep(1) say('over') end)\n"
              "say(#tide.all_tasks())");
  CHECK_LUA_LOG(&h, "over, 0");
  CHECK_LOG(&h.w, "");
  settle(&h.w);
  CHECK_LOG(&h.w, "host slept");
  host_close(&h);
}

/* Streams of the host's, of which one end always has unsent bytes, and the other takes some. */

static tide_stream ours, theirs;
static char much[300000];

static void talker(actor *self) {
  BEGIN;
  for (;; self->i++) {
    CALL_OR_END(tide_stream_write(&ours, &self->task,
                                  &(struct iovec){.iov_base = much, .iov_len = sizeof much}, 1));
    WAIT(sleep_ms(self, 1));
  }
  END;
}

static void listener(actor *self) {
  BEGIN;
  for (;; self->i++) {
    tide_slice got;
    CALL_OR_END(tide_stream_read(&theirs, &self->task, 1000, &got));
    WAIT(sleep_ms(self, 1));
  }
  END;
}

static void open_talk(host *h) {
  host_open_for_lua(h);
  CHECK_EQ(tide_stream_pair(&ours, &theirs, h->w.loop), TIDE_OK);
  spawn(&h->w, "talker", talker);
  spawn(&h->w, "listener", listener);
  for (int i = 0; i < 10; i++) turn(&h->w);
  CHECK(tide_stream_unsent(&ours) > 0);
}

static void close_talk(host *h) {
  CHECK(tide_stream_unsent(&ours) > 0);
  tide_stream_close(&theirs);
  tide_stream_close(&ours);
  settle(&h->w);
  host_close(h);
}

static void a_run_does_not_wait_for_what_the_hosts_streams_have_to_send(void) {
  host h;
  open_talk(&h);
  tide_time began = tide_loop_now(h.w.loop);
  host_do(&h, "tide.run(sleep, 0.01)");
  CHECK_EQ((tide_loop_now(h.w.loop) - began) / 1000000u, 10);
  host_do(&h, "tide.call_later(0.01, tide.stop) tide.run_forever()");
  CHECK_EQ((tide_loop_now(h.w.loop) - began) / 1000000u, 20);
  close_talk(&h);
}

static void a_run_waits_for_what_its_own_have_to_send(void) {
  for (int closed = 0; closed < 2; closed++) {
    host h;
    open_talk(&h);
    host_do(&h, closed ? "closed = true" : "closed = false");
    host_do(&h, "local one, other = tide.net.pair()\n"
                "local all = 0\n"
                "spawn(function()\n"
                "  for data in other:chunks(10000) do all = all + #data sleep(0.001) end\n"
                "end)\n"
                "tide.run(function()\n"
                "  tide.TaskGroup(function(group)\n"
                "    group:spawn(function() one:write(('x'):rep(1000000)) end)\n"
                "  end)\n"
                "  if closed then one:close() end\n"
                "end)\n"
                "say(tostring(all > 700000))\n"
                "one:close()");
    CHECK_LUA_LOG(&h, "true");
    close_talk(&h);
  }
}

/* While a run ends, in each second turn a future ends that it has given a callback, which spawns.
 * The last byte is sent in any turn. */
static void what_a_callback_spawns_while_bytes_are_sent_ends_with_the_run(void) {
  for (int round = check_many(8); round > 0; round--) {
    host h;
    host_open_for_lua(&h);
    host_do(&h, "local one, other = tide.net.pair()\n"
                "local futures, sent, leaked, over = {}, 0, 0, false\n"
                "spawn(function()\n"
                "  while sent == 0 do sleep(0) end\n"
                "  while #futures > 0 do\n"
                "    table.remove(futures):set_result()\n"
                "    sleep(0) sleep(0)\n"
                "  end\n"
                "end)\n"
                "spawn(function()\n"
                "  for data in other:chunks(5000) do sent = sent + #data sleep(0) end\n"
                "end)\n"
                "tide.run(function()\n"
                "  for i = 1, 20000 do\n"
                "    futures[i] = tide.Future()\n"
                "    futures[i]:add_done_callback(function()\n"
                "      local in_time = not over\n"
                "      spawn(function() if in_time then leaked = leaked + 1 end end)\n"
                "    end)\n"
                "  end\n"
                "  one:write(('x'):rep(1000000))\n"
                "  sleep(0)\n"
                "end)\n"
                "say(tostring(sent > 700000))\n"
                "over = true\n"
                "tide.run(sleep, 5)\n"
                "say(leaked)\n"
                "one:close()");
    CHECK_LUA_LOG(&h, "true, 0");
    settle(&h.w);
    host_close(&h);
  }
}

static void what_a_callback_made_outside_spawns_belongs_to_no_run(void) {
  host h;
  host_open_for_lua(&h);
  host_do(&h, "local function again()\n"
              "  if not over then spawn(sleep, 1):add_done_callback(again) end\n"
              "end\n"
              "again()\n"
              "tide.run(sleep, 3.5)\n"
              "say(#tide.all_tasks())\n"
              "over = true");
  CHECK_LUA_LOG(&h, "1");
  settle(&h.w);
  host_close(&h);
}

static void what_was_spawned_outside_of_a_run_goes_on_after_it(void) {
  host h;
  host_open_for_lua(&h);
  host_do(&h,
          "spawn(function()\n"
          "  spawn(function() sleep(3) say('outer child') end)\n"
          "  tide.call_later(2, say, 'outer callback')\n"
          "  sleep(4) say('outer')\n"
          "end)\n"
          "tide.run(function()\n"
          "  spawn(function() local _ <close> = closer(function() say('ended') end) sleep(9) end)\n"
          "  sleep(1)\n"
          "end)\n"
          "say('run over', #tide.all_tasks())");
  CHECK_LUA_LOG(&h, "ended, run over 2");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "outer callback, outer child, outer");
  host_close(&h);
}

static void what_a_task_of_the_hosts_spawns_belongs_to_no_run(void) {
  host h;
  host_open_for_lua(&h);
  host_do(&h, "function begin() spawn(function() sleep(5) say('begun') end) end");
  host_do(&h, "spawn(function() sleep(1) begin() end)\n"
              "tide.run(sleep, 2) say(#tide.all_tasks())");
  CHECK_LUA_LOG(&h, "1");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "begun");
  host_close(&h);
}

static void run_forever_ends_what_was_spawned_outside_and_not_the_hosts_tasks(void) {
  host h;
  host_open_for_lua(&h);
  spawn(&h.w, "host", sleeper);
  host_do(&h, "local task = spawn(sleep, 3600)\n"
              "tide.call_later(1, tide.stop)\n"
              "tide.run_forever()\n"
              "say(task:status())");
  CHECK_LUA_LOG(&h, "cancelled");
  CHECK_LOG(&h.w, "");
  settle(&h.w);
  CHECK_LOG(&h.w, "host slept");
  host_close(&h);
}

static void a_deadlocked_run_kills_none_but_its_own(void) {
  host h;
  host_open_for_lua(&h);
  host_do(&h, "local event = tide.Event()\n"
              "outer = spawn(function() event:wait() say('woken') end)\n"
              "local ok, err = pcall(tide.run, function()\n"
              "  spawn(function() tide.shield(function() tide.Event():wait() end) end)\n"
              "  tide.TaskGroup(function(g) g:spawn(function() tide.Event():wait() end) end)\n"
              "end)\n"
              "say(kind(err), outer:status(), #tide.all_tasks())\n"
              "event:set()");
  CHECK_LUA_LOG(&h, "deadlock waiting 1");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "woken");
  host_close(&h);
}

static void running_tells_whether_a_loop_runs(void) {
  host h;
  host_open_for_lua(&h);
  host_do(&h, "say(tostring(tide.running()))\n"
              "tide.run(function() say(tostring(tide.running())) end)\n"
              "spawn(function() say(tostring(tide.running())) end)");
  CHECK_LUA_LOG(&h, "false, true");
  settle(&h.w); /* the host's own turns */
  CHECK_LUA_LOG(&h, "true");
  host_close(&h);
}

/* Leaving. */

static int left_with, lefts; /* the status that the host was told last, and how often */

static void note_exit(lua_State *L, int status, void *context) {
  host *h = context;
  CHECK(lua_gettop(L) >= 0);
  CHECK(h->w.loop != NULL);
  left_with = status;
  lefts++;
}

static void open_with_exit(host *h) {
  host_open_with(
      h, &(tide_lua_options){.size = sizeof(tide_lua_options), .on_exit = note_exit, .context = h});
  host_begin_lua(h);
  lefts = 0;
}

static void a_run_that_is_left_raises_and_the_host_is_told(void) {
  host h;
  open_with_exit(&h);
  spawn(&h.w, "host", sleeper);
  host_do(
      &h,
      "spawn(function() sleep(5) say('outside') end)\n"
      "for _, how in ipairs { pcall, tide.raw.pcall } do\n"
      "  local ok, err = how(tide.run, function()\n"
      "    spawn(function() local _ <close> = closer(function() say('ended') end) sleep(9) end)\n"
      "    spawn(function() tide.exit(7) end)\n"
      "    sleep(9)\n"
      "  end)\n"
      "  say(kind(err), err.reason, err.status)\n"
      "end");
  CHECK_LUA_LOG(&h, "ended, cancelled exit 7, ended, cancelled exit 7");
  CHECK_EQ(lefts, 2);
  CHECK_EQ(left_with, 7);
  settle(&h.w); /* neither the host's task nor the script's others were ended */
  CHECK_LUA_LOG(&h, "outside");
  CHECK_LOG(&h.w, "host slept");
  host_close(&h);
}

static void run_forever_is_left_likewise(void) {
  host h;
  open_with_exit(&h);
  host_do(&h,
          "spawn(function() sleep(1) tide.exit(false) end)\n"
          "spawn(function() local _ <close> = closer(function() say('ended') end) sleep(9) end)\n"
          "local ok, err = pcall(tide.run_forever)\n"
          "say(kind(err), err.reason, err.status)");
  CHECK_LUA_LOG(&h, "ended, cancelled exit 1");
  CHECK_EQ(left_with, 1);
  host_close(&h);
}

static void in_a_loop_of_the_hosts_all_of_the_state_ends_and_nothing_else(void) {
  host h;
  open_with_exit(&h);
  spawn(&h.w, "host", sleeper);
  host_do(&h, "spawn(function() local _ <close> = closer(function() tide.shield(sleep, 1) "
              "say('ended') end) sleep(9) end)\n"
              "spawn(function() tide.exit(3) say('went on') end)");
  turn(&h.w);
  CHECK_EQ(lefts, 0); /* there is one that takes its time */
  settle(&h.w);
  CHECK_LUA_LOG(&h, "ended");
  CHECK_EQ(lefts, 1);
  CHECK_EQ(left_with, 3);
  CHECK_LOG(&h.w, "host slept");
  host_do(&h, "spawn(function() sleep(1) say('again') tide.exit() end)"); /* it may go on */
  settle(&h.w);
  CHECK_LUA_LOG(&h, "again");
  CHECK_EQ(left_with, 0);
  host_close(&h);
}

static void outside_of_the_loop_exit_returns(void) {
  host h;
  open_with_exit(&h);
  host_do(&h, "spawn(sleep, 9) tide.exit(4) tide.exit(5) say(#tide.all_tasks())");
  CHECK_EQ(lefts, 0);
  settle(&h.w);
  CHECK_LUA_LOG(&h, "1");
  CHECK_EQ(lefts, 1);
  CHECK_EQ(left_with, 4);
  host_close(&h);
}

static void a_run_while_all_outside_is_being_left_has_its_own_end(void) {
  host h;
  open_with_exit(&h);
  host_do(&h, "spawn(function() local _ <close> = closer(function() tide.shield(sleep, 5) "
              "say('ended') end) sleep(9) end)\n"
              "spawn(function() tide.exit(3) end)");
  turn(&h.w);
  host_do(&h, "say(tide.run(function() sleep(1) return 'over' end))");
  CHECK_LUA_LOG(&h, "over");
  CHECK_EQ(lefts, 0);
  host_do(&h, "local ok, err = pcall(tide.run, function() tide.exit(7) sleep(1) end)\n"
              "say(kind(err), err.reason, err.status)");
  CHECK_LUA_LOG(&h, "cancelled exit 7");
  CHECK_EQ(lefts, 1);
  CHECK_EQ(left_with, 7);
  settle(&h.w);
  CHECK_LUA_LOG(&h, "ended");
  CHECK_EQ(lefts, 2);
  CHECK_EQ(left_with, 3);
  host_close(&h);
}

static void a_run_forever_while_all_is_being_left_is_left_likewise(void) {
  host h;
  open_with_exit(&h);
  host_do(&h, "spawn(function() local _ <close> = closer(function() tide.shield(sleep, 5) "
              "say('ended') end) sleep(9) end)");
  turn(&h.w);
  host_do(&h, "tide.exit(3)\n"
              "tide.call_later(1, tide.exit, 7)\n" /* the first decides */
              "local ok, err = pcall(tide.run_forever)\n"
              "say(tostring(ok))");
  CHECK_LUA_LOG(&h, "ended, true");
  CHECK_EQ(lefts, 1);
  CHECK_EQ(left_with, 3);
  host_close(&h);
}

/* Tasks of the host's that have no end of their own: one spawns in each turn, one kills that. */

static host *here;

static void call_each_turn(actor *self, const char *code) {
  BEGIN;
  for (; self->outcome == TIDE_OK; self->i++) {
    host_do(here, code);
    WAIT(tide_task_yield(&self->task));
  }
  END;
}

static void spawner(actor *self) { call_each_turn(self, "spawned = spawn(sleep, 1) tide.stop()"); }

static void killer(actor *self) { call_each_turn(self, "if spawned then spawned:kill() end"); }

/* In which order they and what waits for the end are stepped, a seed decides. */
static void leaving_anew_after_run_forever_ends_all_once_more(void) {
  for (uint64_t seed = 1; seed <= 60; seed++) {
    host h;
    open_with_exit(&h);
    here = &h;
    tide_loop_set_seed(h.w.loop, seed);
    actor *one = spawn(&h.w, "spawner", spawner), *other = spawn(&h.w, "killer", killer);
    host_do(&h, "local function last() for _ = 1, 9 do sleep(0) end end\n"
                "spawn(function() local _ <close> = closer(function() tide.shield(last) end) "
                "sleep(9) end)");
    turn(&h.w);
    host_do(&h, "tide.exit(3) pcall(tide.run_forever)");
    CHECK_EQ(lefts, 1);
    host_do(&h, "spawn(sleep, 9) tide.exit(4)");
    tide_task_cancel(&one->task);
    tide_task_cancel(&other->task);
    settle(&h.w);
    CHECK_EQ(lefts, 2);
    CHECK_EQ(left_with, 4);
    host_do(&h, "say(#tide.all_tasks())");
    CHECK_LUA_LOG(&h, "0");
    host_close(&h);
  }
}

static void a_root_that_fails_while_it_is_left_is_heard(void) {
  host h;
  open_with_exit(&h);
  host_do(&h, "local ok, err = pcall(tide.run, function()\n"
              "  local _ <close> = closer(function() error('cleanup', 0) end)\n"
              "  tide.exit(7)\n"
              "end)\n"
              "say(err)");
  CHECK_LUA_LOG(&h, "cleanup");
  CHECK_EQ(left_with, 7);
  host_close(&h);
}

static int unwind(lua_State *L) {
  tide_lua_unwind_main(L);
  return 0;
}

static void unwinding_main_runs_its_close_variables_wherever_it_is(void) {
  static const char *const bodies[] = {"sleep(9)",
                                       "coroutine.wrap(function() local _ <close> = "
                                       "closer(function() say('inner') end) sleep(9) end)()"};
  for (int i = 0; i < 2; i++) {
    host h;
    host_open_for_lua(&h);
    lua_register(h.L, "unwind", unwind);
    lua_pushstring(h.L, bodies[i]);
    lua_setglobal(h.L, "body");
    host_do(&h, "local ok, err = pcall(tide.run, function()\n"
                "  local _ <close> = closer(function() say('main') end)\n"
                "  tide.call_soon(unwind)\n"
                "  load(body)()\n"
                "end)\n"
                "say(kind(err))");
    CHECK_LUA_LOG(&h, i == 0 ? "main, cancelled" : "inner, main, cancelled");
    host_close(&h);
  }
}

static int late; /* calls of what must not be called any more */

static int call_late(lua_State *L) {
  (void)L;
  late++;
  return 0;
}

/* What streams have is sent on by turns of the loop, in which nothing of the state's runs. */
static void closing_a_state_that_has_unsent_bytes_calls_nothing_back(void) {
  host h;
  host_open_for_lua(&h);
  late = 0;
  lua_register(h.L, "late", call_late);
  host_do(&h, "a, b = tide.net.pair()\n"
              "future = tide.Future() future:add_done_callback(late)\n"
              "spawn(function() a:write(('x'):rep(1e6)) end)");
  tide_loop_turn(h.w.loop, false);
  host_do(&h, "tide.call_soon(late) tide.call_later(0.1, late) future:set_result(1)\n"
              "for _ = 1, 100 do spawn(error, 'x') end");
  host_close_state(&h);
  CHECK_EQ(late, 0);
  CHECK_EQ(h.w.memory.in_use, 0);
}

int main(void) {
  RUN(a_run_does_not_wait_for_what_the_hosts_streams_have_to_send);
  RUN(a_run_waits_for_what_its_own_have_to_send);
  RUN(what_a_callback_spawns_while_bytes_are_sent_ends_with_the_run);
  RUN(what_a_callback_made_outside_spawns_belongs_to_no_run);
  RUN(a_scripts_run_neither_ends_nor_awaits_the_hosts_tasks);
  RUN(what_was_spawned_outside_of_a_run_goes_on_after_it);
  RUN(what_a_task_of_the_hosts_spawns_belongs_to_no_run);
  RUN(run_forever_ends_what_was_spawned_outside_and_not_the_hosts_tasks);
  RUN(a_deadlocked_run_kills_none_but_its_own);
  RUN(running_tells_whether_a_loop_runs);
  RUN(a_run_that_is_left_raises_and_the_host_is_told);
  RUN(run_forever_is_left_likewise);
  RUN(in_a_loop_of_the_hosts_all_of_the_state_ends_and_nothing_else);
  RUN(outside_of_the_loop_exit_returns);
  RUN(a_run_while_all_outside_is_being_left_has_its_own_end);
  RUN(a_run_forever_while_all_is_being_left_is_left_likewise);
  RUN(leaving_anew_after_run_forever_ends_all_once_more);
  RUN(a_root_that_fails_while_it_is_left_is_heard);
  RUN(closing_a_state_that_has_unsent_bytes_calls_nothing_back);
  RUN(unwinding_main_runs_its_close_variables_wherever_it_is);
  return check_summary();
}
