/* report.c: failures that nobody awaits are told, never lost. */
#include <stdio.h>
#include <string.h>

#include "bindings.h"

static const char break_hint[] =
    "\nhint: Lua before 5.4.5 miscompiles `break` out of a loop with a closing value whose body "
    "captures one of its locals in a closure; pass the local as an argument, or use goto";

/* Whether that may be how such a loop ends: the closing value is gone. Where a function of C's is
 * the one to look for it, Lua does not say what it is. */
static bool may_be_break(const char *error) {
  return strstr(error, "metamethod 'close'") != NULL ||
         strcmp(error, "attempt to call a nil value") == 0;
}

/* In protected mode: an error's __tostring may fail. */
static int to_text(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

const char *tl_text_of(lua_State *L) {
  lua_pushcfunction(L, to_text);
  lua_insert(L, -2);
  return lua_pcall(L, 1, 1, 0) == LUA_OK ? lua_tostring(L, -1)
                                         : "with an error whose __tostring failed";
}

/* The default: stderr. Arguments: what, error, traceback. */
static int to_stderr(lua_State *L) {
  lua_pushvalue(L, 2);
  const char *error = tl_text_of(L);
  const char *hint = may_be_break(error) ? break_hint : "";
  fprintf(stderr, "tide: %s failed: %s%s\n", lua_tostring(L, 1), error, hint);
  if (lua_isstring(L, 3)) fprintf(stderr, "%s\n", lua_tostring(L, 3));
  return 0;
}

/* Tells the function on top, which is popped, of the failure; or says why that failed. */
static bool tell(lua_State *L, int what, int error, int traceback) {
  lua_pushvalue(L, what);
  lua_pushvalue(L, error);
  lua_pushvalue(L, traceback);
  if (lua_pcall(L, 3, 0, 0) == LUA_OK) return true;
  fprintf(stderr, "tide: the failure report failed: %s\n", tl_text_of(L));
  return false;
}

/* A failure that the program's own function fails to report is told to stderr: none is lost. */
void tl_report(lua_State *L, tl_runtime *rt, int what_index, int error_index, int traceback_index) {
  int top = lua_gettop(L);
  tl_hook_push(L, rt, "report");
  if (!lua_isfunction(L, -1) || !tell(L, what_index, error_index, traceback_index)) {
    lua_pushcfunction(L, to_stderr);
    tell(L, what_index, error_index, traceback_index);
  }
  lua_settop(L, top);
}

/* Adds to the traceback on top where the task at 1 was spawned, if that is known. */
static void add_site(lua_State *L, const tl_runtime *rt) {
  tl_debug_site_push(L, rt, 1);
  if (lua_isstring(L, -1)) {
    bool has_trace = lua_isstring(L, -2);
    lua_pushfstring(L, "%s%sspawned at %s", has_trace ? lua_tostring(L, -2) : "",
                    has_trace ? "\n" : "", lua_tostring(L, -1));
    lua_replace(L, -3);
  }
  lua_pop(L, 1);
}

/* In protected mode: reports the failed task at 1, unless somebody came to see it. */
static int report_task(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  const tl_task *task = lua_touserdata(L, 1);
  if (task->task.future.observed) return 0;
  lua_settop(L, 1);
  lua_getfield(L, 1, "name");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  lua_pushfstring(L, "task '%s'", lua_tostring(L, -1));
  lua_replace(L, 2);
  tl_failure_push(L, &task->task.future, 1);
  tl_failure_trace_push(L, &task->task.future, 1);
  add_site(L, rt);
  tl_report(L, rt, 2, 3, 4);
  return 0;
}

void tl_report_failed(tide_defer *defer) {
  tl_runtime *rt = tide_container(defer, tl_runtime, reporter);
  lua_State *L = rt->L;
  while (rt->failed != 0) {
    int slot = rt->failed;
    lua_pushcfunction(L, report_task);
    tl_slot_push(L, rt, slot);
    tl_task *task = lua_touserdata(L, -1);
    rt->failed = task->next_failed;
    task->next_failed = 0;
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
      fprintf(stderr, "tide: a task failed, and reporting it failed too\n");
      lua_pop(L, 1);
    }
    task->slot = 0;
    tl_slot_free(rt, slot);
  }
}
