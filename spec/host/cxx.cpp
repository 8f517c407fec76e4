// A host in C++11: all public headers, a task of its own, a script.
extern "C" {
#include <lauxlib.h>
#include <lualib.h>
}

#include <cstdio>
#include <tide.h>
#include <tide_lua.h>

namespace {

struct Sleeper {
  tide_task task; // first
  tide_steps steps;
  int naps;
};

void step(tide_task *task, int outcome) {
  Sleeper *self = tide_container(task, Sleeper, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (self->naps = 0; self->naps < 3; self->naps++)
    TIDE_TRY(
        tide_task_sleep_until(task, tide_loop_after(task->loop, tide_time_from_seconds(0.001))));
  TIDE_END;
}

const char script[] = "local tide = require 'tide'\n"
                      "tide.spawn(function() tide.sleep(0.001) slept = true end)\n";

bool check(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "tide", luaopen_tide, 0);
  lua_pop(L, 1);
  if (luaL_dostring(L, script) != LUA_OK) return false;
  tide_loop *loop = tide_lua_loop(L);
  tide_task_ops ops = tide_task_ops();
  ops.step = step;
  Sleeper sleeper = Sleeper();
  tide_task_init(&sleeper.task, loop, &ops);
  if (tide_task_spawn(&sleeper.task, tide_loop_background(loop)) != TIDE_OK) return false;
  if (tide_loop_run(loop, &sleeper.task.future) != TIDE_OK || sleeper.naps != 3) return false;
  lua_getglobal(L, "slept");
  return lua_toboolean(L, -1) != 0;
}

} // namespace

int main() {
  lua_State *L = luaL_newstate();
  if (L == nullptr) return 1;
  bool ok = check(L);
  lua_close(L);
  std::puts(ok ? "ok 1 - a host in C++" : "not ok 1 - a host in C++");
  return ok ? 0 : 1;
}
