/* ends.c: sweeps the scenarios while their state is closed: after the first turn of the loop, the
 * second ..., in every way in which one can be closed.
 *
 *     ends STRIDE FILE...     every STRIDEth turn of the scenarios in the files
 *
 * Passing: nothing crashes, hangs or leaks. */
#include <setjmp.h>

#include "sweep.h"

typedef enum way {
  HOST,      /* the host closes it, between two turns */
  CALL,      /* a function that Lua calls does, as os.exit(n, true) */
  TASK,      /* ... in a task, inside its step */
  KILL,      /* ... in the cleanup of the scenario, which is killed */
  FINALIZER, /* ... in a finalizer, during a collection */
  WAYS
} way;

static const char *const way_names[WAYS] = {"by the host", "by a call", "by a task",
                                            "in the cleanup of a kill", "by a finalizer"};

enum { TURNS_MAX = 2000 };

/* Closing from inside: the process would end, and no function on the stack is returned to. */
static jmp_buf outside;
static bool armed;

static int close_from_inside(lua_State *L) {
  if (!armed) return 0;
  lua_close(L);
  longjmp(outside, 1);
}

/* The scenario, within what closes the state if it is killed. Arguments: tide, scenario, seconds,
 * closer. */
static const char spawn[] = "local tide, scenario, seconds, closer = ...\n"
                            "return tide.spawn(function()\n"
                            "  local _ <close> = setmetatable({}, { __close = closer })\n"
                            "  tide.timeout(seconds, scenario)\n"
                            "end)\n";

/* Leaves on the stack: tide, the scenario's task. */
static const tl_task *start(lua_State *L, const char *file, const char *name) {
  lua_pushcfunction(L, open_module);
  lua_call(L, 0, 1);
  tide_loop_set_virtual_clock(tide_lua_loop(L));
  if (luaL_loadstring(L, spawn) != LUA_OK) exit(2);
  lua_pushvalue(L, -2);
  load_scenarios(L, file);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
  lua_pushinteger(L, SECONDS_TO_END);
  lua_pushcfunction(L, close_from_inside);
  lua_call(L, 4, 1);
  return lua_touserdata(L, -1);
}

/* With tide and the task on the stack. */
static void close_by(lua_State *L, way how) {
  armed = true;
  if (how == CALL) {
    lua_pushcfunction(L, close_from_inside);
    lua_call(L, 0, 0);
  } else if (how == TASK) {
    lua_getfield(L, -2, "spawn");
    lua_pushcfunction(L, close_from_inside);
    lua_call(L, 1, 0);
    while (tide_loop_turn(tide_lua_loop(L), true) == TIDE_OK) continue;
  } else if (how == KILL) {
    lua_getfield(L, -1, "kill");
    lua_pushvalue(L, -2);
    lua_call(L, 1, 0);
  } else if (how == FINALIZER) {
    lua_newtable(L);
    lua_newtable(L);
    lua_pushcfunction(L, close_from_inside);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
    lua_gc(L, LUA_GCCOLLECT, 0);
  }
  lua_close(L);
}

/* What is swept. */
typedef struct series {
  const char *file;
  const char *name;
  way how;
} series;

/* False: the scenario came to its end before so many turns. */
static bool run_point(const series *s, unsigned turns) {
  lua_State *L = lua_newstate(resize, NULL);
  open_counted(L);
  armed = false;
  const tl_task *task = start(L, s->file, s->name);
  for (unsigned i = 0; i < turns && !tide_future_ended(&task->task.future); i++)
    if (tide_loop_turn(tide_lua_loop(L), true) != TIDE_OK) break;
  bool ended = tide_future_ended(&task->task.future) || turns > TURNS_MAX;
  if (setjmp(outside) == 0) close_by(L, s->how);
  return !ended;
}

static void run_series(const void *self, unsigned point, unsigned stride) {
  for (bool more = true; more; point += stride) {
    point_begin(point);
    more = run_point(self, point - 1);
    check_memory();
    point_end();
  }
}

static void sweep_file(const char *file, unsigned stride, const char *only) {
  const scenario_list *list = scenarios_of(file);
  for (int i = 0; i < list->count; i++) {
    if (only != NULL && strcmp(list->names[i], only) != 0) continue;
    for (way how = 0; how < WAYS; how++) {
      char where[160];
      const series s = {.file = file, .name = list->names[i], .how = how};
      snprintf(where, sizeof where, "%s %s, closed %s", stem(file), s.name, way_names[how]);
      sweep(where, run_series, &s, stride);
    }
  }
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  unsigned stride = (unsigned)atoi(argv[1]);
  const char *only = getenv("SCENARIO"); /* the one to sweep; NULL: all */
  sweep_open();
  for (int i = 2; i < argc; i++) sweep_file(argv[i], stride, only);
  printf("ends: %u points, %u failed\n", now->points, now->failed);
  return now->failed == 0 ? 0 : 1;
}
