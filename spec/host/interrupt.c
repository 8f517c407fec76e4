/* interrupt.c: code that does not wait is interrupted from a signal handler of the host's. */
#include <signal.h>
#include <sys/time.h>

#include "host.h"

static tide_lua_interrupter *target;
static volatile unsigned asked; /* how often */

static void on_alarm(int number) {
  (void)number;
  asked++;
  tide_lua_interrupt(target, "too slow");
}

/* Every so many microseconds of the process's own time; 0: no more. */
static void set_alarm(unsigned microseconds) {
  struct itimerval often = {{0, microseconds}, {0, microseconds}};
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  sigaction(SIGPROF, &action, NULL);
  setitimer(ITIMER_PROF, &often, NULL);
}

static int interrupt_now(lua_State *L) {
  (void)L;
  tide_lua_interrupt(target, "asked for");
  return 0;
}

static void open_busy(host *h) {
  host_open_for_lua(h);
  target = tide_lua_get_interrupter(h->L);
  asked = 0;
  lua_register(h->L, "interrupt", interrupt_now);
  host_do(h, "function busy() while true do end end\n"
             "function told(f) local ok, err = tide.raw.pcall(f) say(kind(err), err.reason) end");
}

static void a_busy_task_is_cancelled_and_others_go_on(void) {
  host h;
  open_busy(&h);
  host_do(&h,
          "spawn(function()\n"
          "  local _ <close> = closer(function(_, err) say('closed', kind(err), err.reason) end)\n"
          "  pcall(busy) say('went on')\n"
          "end)\n"
          "spawn(function() sleep(1) say('other') end)");
  set_alarm(10000);
  settle(&h.w);
  set_alarm(0);
  CHECK_LUA_LOG(&h, "closed cancelled too slow, other");
  host_close(&h);
}

static void where_nothing_of_this_state_runs_nothing_happens(void) {
  host h;
  open_busy(&h);
  tide_lua_interrupt(target, "idle");
  host_do(&h, "for i = 1, 100 do end");
  spawn(&h.w, "c", actor_end);
  tide_lua_interrupt(target, "idle");
  settle(&h.w);
  host_do(&h, "spawn(function() for i = 1, 100 do end say('ran') end)");
  tide_lua_interrupt(target, "idle");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "ran");
  host_close(&h);
}

static void called_from_lua_it_interrupts_who_calls(void) {
  host h;
  open_busy(&h);
  host_do(&h,
          "spawn(function() interrupt() say('went on') end)\n"
          "spawn(function() told(function() interrupt() busy() end) sleep(1) say('went on') end)\n"
          "spawn(function() coroutine.wrap(function() interrupt() busy() end)() end)\n"
          "tide.call_soon(function() told(function() interrupt() busy() end) end)");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "cancelled asked for, cancelled asked for");
  host_close(&h);
}

static void what_was_asked_of_one_step_is_not_done_to_the_next(void) {
  host h;
  open_busy(&h);
  /* the hook is left in the coroutine that both tasks run in, and in the generator's */
  host_do(&h,
          "spawn(interrupt)\n"
          "spawn(function() for i = 1, 10 do end say('second') end)\n"
          "local step = coroutine.wrap(function() interrupt() coroutine.yield() say('third') end)\n"
          "spawn(function() pcall(step) end)");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "second");
  host_close(&h);
}

static void who_is_interrupted_again_in_one_step_has_no_hold(void) {
  host h;
  open_busy(&h);
  host_do(&h, "spawn(function()\n"
              "  local _ <close> = closer(function() say('cleanup') end)\n"
              "  tide.raw.pcall(function() interrupt() busy() end)\n"
              "  say('held')\n"
              "  while true do tide.raw.pcall(function() interrupt() busy() end) end\n"
              "end)\n"
              "spawn(function() sleep(1) say('other') end)");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "held, other");
  host_close(&h);
}

static int hooks; /* calls of the host's own hook */

static void hosts_hook(lua_State *L, lua_Debug *ar) {
  (void)L, (void)ar;
  hooks++;
}

static void a_hook_of_the_hosts_stays(void) {
  host h;
  open_busy(&h);
  hooks = 0;
  lua_sethook(h.L, hosts_hook, LUA_MASKCOUNT, 1000);
  host_do(&h, "tide.call_soon(function() told(function() interrupt() busy() end) end)");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "cancelled asked for");
  CHECK(lua_gethook(h.L) == hosts_hook);
  hooks = 0;
  host_do(&h, "for i = 1, 1e5 do end");
  CHECK(hooks > 10);
  lua_sethook(h.L, NULL, 0, 0);
  host_close(&h);
}

static void it_stays_where_cleanup_without_an_end_was_ended(void) {
  host h;
  open_busy(&h);
  lua_sethook(h.L, hosts_hook, LUA_MASKCOUNT, 1000);
  host_do(&h, "tide.on_failure(say)\n"
              "local function endless() while true do pcall(sleep, 1) end end\n"
              "local function body() local _ <close> = closer(endless) sleep(1) end\n"
              "local task = spawn(body)\n"
              "spawn(function() sleep(0) task:kill() say('killed') end)");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "the cleanup of a killed task "
                    "a <close> that goes on waiting where it cannot was ended, killed");
  hooks = 0;
  host_do(&h, "for i = 1, 3 do spawn(function() sleep(0) for i = 1, 1e5 do end end) end");
  settle(&h.w);
  CHECK(hooks >= 300);
  lua_sethook(h.L, NULL, 0, 0);
  host_close(&h);
}

/* Coroutines come and go, and are collected, while hooks are left in them. Cleanup may be
 * interrupted as well, so what is counted is the ends. */
static void at_any_moment(void) {
  host h;
  open_busy(&h);
  host_do(&h, "local function work()\n"
              "  for i = 1, 300 do\n"
              "    local step = coroutine.wrap(function(...)\n"
              "      local _ <close> = closer(function() return #tostring(i) end)\n"
              "      coroutine.yield(pcall(string.rep, 'x', i), ...)\n"
              "      for _ in tide.generator(function(yield) yield(i) end):each() do end\n"
              "    end)\n"
              "    step() pcall(step) if i % 50 == 0 then sleep(0) end\n"
              "  end\n"
              "end\n"
              "tasks = {}\n"
              "for i = 1, 200 do tasks[i] = spawn(work) end");
  set_alarm(50);
  settle(&h.w);
  set_alarm(0);
  host_do(&h, "local ended = 0\n"
              "for _, task in ipairs(tasks) do ended = ended + (task:done() and 1 or 0) end\n"
              "say(ended)");
  CHECK_LUA_LOG(&h, "200");
  CHECK(asked > 10);
  host_close(&h);
}

int main(void) {
  RUN(a_busy_task_is_cancelled_and_others_go_on);
  RUN(where_nothing_of_this_state_runs_nothing_happens);
  RUN(called_from_lua_it_interrupts_who_calls);
  RUN(what_was_asked_of_one_step_is_not_done_to_the_next);
  RUN(who_is_interrupted_again_in_one_step_has_no_hold);
  RUN(a_hook_of_the_hosts_stays);
  RUN(it_stays_where_cleanup_without_an_end_was_ended);
  RUN(at_any_moment);
  return check_summary();
}
