/* run.c: what a script runs by tide.run, beside the tasks of its host. */
#include "counter.h"

/* A task of C's, and how it was told to end. */

static void sleeper(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 60000));
  say(self, self->outcome == TIDE_ECANCELLED ? "cancelled" : "slept");
  END;
}

static void a_scripts_run_neither_ends_nor_awaits_the_hosts_tasks(void) {
  host h;
  open_with_counter(&h);
  spawn(&h.w, "host", sleeper);
  host_do(&h, "tide.run(function() spawn(sleep, 3600) sleep(1) say('over') end)\n"
              "say(#tide.all_tasks())");
  CHECK_LUA_LOG(&h, "over, 0");
  CHECK_LOG(&h.w, "");
  settle(&h.w);
  CHECK_LOG(&h.w, "host slept");
  host_close(&h);
}

static void what_was_spawned_outside_of_a_run_goes_on_after_it(void) {
  host h;
  open_with_counter(&h);
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
  open_with_counter(&h);
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
  open_with_counter(&h);
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
  open_with_counter(&h);
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
  open_with_counter(&h);
  host_do(&h, "say(tostring(tide.running()))\n"
              "tide.run(function() say(tostring(tide.running())) end)\n"
              "spawn(function() say(tostring(tide.running())) end)");
  CHECK_LUA_LOG(&h, "false, true");
  settle(&h.w); /* the host's own turns */
  CHECK_LUA_LOG(&h, "true");
  host_close(&h);
}

int main(void) {
  RUN(a_scripts_run_neither_ends_nor_awaits_the_hosts_tasks);
  RUN(what_was_spawned_outside_of_a_run_goes_on_after_it);
  RUN(what_a_task_of_the_hosts_spawns_belongs_to_no_run);
  RUN(run_forever_ends_what_was_spawned_outside_and_not_the_hosts_tasks);
  RUN(a_deadlocked_run_kills_none_but_its_own);
  RUN(running_tells_whether_a_loop_runs);
  return check_summary();
}
