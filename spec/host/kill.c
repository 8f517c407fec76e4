/* kill.c: tasks are killed while Lua's memory is short. */
#include "host.h"

static host *here;
static unsigned failing;

/* From now on the allocation of that number fails; or none does. */

static int arm(lua_State *L) {
  (void)L;
  here->luas.fail_at = here->luas.allocations + failing;
  return 0;
}

static int disarm(lua_State *L) {
  (void)L;
  here->luas.fail_at = 0;
  return 0;
}

/* Raises what the killed task's cleanup has failed with nowhere: it is reported. */
static void a_kill_is_done_whole_or_not_at_all(void) {
  for (failing = 1; failing <= 30; failing++) {
    host h;
    host_open_for_lua(&h);
    here = &h;
    lua_register(h.L, "arm", arm);
    lua_register(h.L, "disarm", disarm);
    host_do(&h, "tide.on_failure(function() end)\n"
                "local function fail() error('cleanup', 0) end\n"
                "tide.run(function()\n"
                "  local me, closer = tide.current_task(), closer(fail)\n"
                "  local task = spawn(function() local _ <close> = closer sleep(9) end)\n"
                "  sleep(1)\n"
                "  local kill, call = task.kill, tide.raw.pcall\n"
                "  arm() local killed = call(kill, task) disarm()\n"
                "  if killed ~= task:done() then say('half') end\n"
                "  if tide.current_task() ~= me then say('lost') end\n"
                "end)");
    CHECK_LUA_LOG(&h, "");
    host_close(&h);
  }
}

int main(void) {
  RUN(a_kill_is_done_whole_or_not_at_all);
  return check_summary();
}
