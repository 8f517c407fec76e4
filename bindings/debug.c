/* debug.c: debug mode: what is slow, where tasks were spawned, who swallows cancellation.
 *
 * Long slices are found twice: by a hook that counts instructions, which sees where the time goes,
 * and at the end of the step, which sees the time spent in C functions too. */
#include <stdio.h>

#include "class.h"
#include "debug.h"
#include "end.h"
#include "interrupt.h"
#include "options.h"
#include "parts.h"
#include "place.h"
#include "report.h"
#include "runtime.h"
#include "slots.h"
#include "task.h"
#include "text.h"

enum {
  HOOK_INTERVAL = 10000, /* instructions between looks at the clock: some 50 us */
  PATIENCE = 3,          /* cancellations that are raised before somebody is said to swallow them */
};

static const tide_time SLOW = 50 * 1000000; /* by default */

/* The default. Arguments: message, traceback or nil. */
static int to_log(lua_State *L) {
  const char *message = luaL_tolstring(L, 1, NULL), *traceback = lua_tostring(L, 2);
  tide_log_write(tl_log_of(tl_runtime_find(L)), TIDE_LOG_DEBUG, "%s%s%s", message,
                 traceback != NULL ? "\n" : "", traceback != NULL ? traceback : "");
  return 0;
}

/* Tells of the message and the traceback on top, and pops them. */
static void tell(lua_State *L, const tl_runtime *rt) {
  tl_hook_push(L, rt, "debug");
  if (!lua_isfunction(L, -1)) {
    lua_pop(L, 1);
    lua_pushcfunction(L, to_log);
  }
  lua_insert(L, -3);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return;
  if (!tl_unwinds(L, rt, -1)) /* else it has left */
    tl_complain(rt, "the function given to tide.debug failed: %s", tl_text_of(L));
  lua_pop(L, 1);
}

/* Slow slices. */

static void push_slow(lua_State *L, const tl_runtime *rt, const tl_task *task, int index) {
  char span[32];
  snprintf(span, sizeof span, "%.0f",
           (double)(tide_clock_monotonic() - rt->debug.began) /
               1e6); /* lua_pushfstring rounds not */
  tl_task_name_push(L, task, index);
  lua_pushfstring(L, "task '%s' has run for %s ms without waiting", lua_tostring(L, -1), span);
  lua_remove(L, -2);
}

static bool is_slow(const tl_runtime *rt) {
  return !rt->debug.told && tide_clock_monotonic() - rt->debug.began > rt->debug.slow;
}

static void hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  tl_runtime *rt = tl_runtime_find(L);
  if (!rt->debug.on) {
    tl_hook_reset(rt, L);
  } else if (rt->current != NULL && is_slow(rt)) {
    int top = lua_gettop(L);
    rt->debug.told = true;
    tl_task_push(L, rt->current);
    push_slow(L, rt, rt->current, top + 1);
    tl_trace_running_push(L, rt, 0);
    tell(L, rt);
    lua_settop(L, top);
  }
}

void tl_debug_watch(lua_State *co) {
  if (lua_gethook(co) == NULL) lua_sethook(co, hook, LUA_MASKCOUNT, HOOK_INTERVAL);
}

void tl_debug_slice_begins(tl_runtime *rt) {
  rt->debug.began = tide_clock_monotonic();
  rt->debug.told = false;
}

/* In protected mode: tells of the task at 1, whose step has ended. */
static int tell_slow(lua_State *L) {
  const tl_runtime *rt = tl_runtime_find(L);
  const tl_task *task = lua_touserdata(L, 1);
  push_slow(L, rt, task, 1);
  lua_pushstring(L, task->co != NULL ? "; where it waits now:" : ", and has ended");
  lua_concat(L, 2);
  tl_trace_push(L, task);
  tell(L, rt);
  return 0;
}

void tl_debug_slice_ended(lua_State *L, const tl_runtime *rt, int index) {
  if (!rt->debug.on || !is_slow(rt)) return;
  lua_pushcfunction(L, tell_slow);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1); /* no memory to tell */
}

/* Where tasks were spawned. */

void tl_debug_spawned(lua_State *L, const tl_runtime *rt, int index) {
  index = lua_absindex(L, index);
  tl_table_push(L, rt, TL_SITES);
  lua_pushvalue(L, index);
  tl_place_here_push(L, rt);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  tl_task_watch(lua_touserdata(L, index), true);
}

void tl_debug_site_push(lua_State *L, const tl_runtime *rt, int index) {
  index = lua_absindex(L, index);
  tl_table_push(L, rt, TL_SITES);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

/* Tasks that swallow cancellation. */

void tl_debug_cancelled(lua_State *L, const tl_runtime *rt) {
  tl_task *task = rt->current;
  if (task->swallowed > PATIENCE || ++task->swallowed != PATIENCE) return;
  int top = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  tl_task_push(L, task);
  tl_task_name_push(L, task, top + 1);
  lua_pushfstring(L,
                  "task '%s' was cancelled, caught that %d times, and waits again: who catches "
                  "'cancelled' must raise it once more, and cleanup that waits needs tide.shield",
                  lua_tostring(L, -1), PATIENCE - 1);
  tl_trace_running_push(L, rt, 1);
  tell(L, rt);
  lua_settop(L, top);
}

void tl_debug_scope_left(const tl_runtime *rt) {
  if (rt->current != NULL && !tide_task_cancelled(&rt->current->task)) rt->current->swallowed = 0;
}

/* The switch. */

static void set_debugging(lua_State *L, tl_runtime *rt, bool on) {
  rt->debug.on = on;
  tl_debug_slice_begins(rt);
  if (on && rt->pool.spare != NULL) tl_debug_watch(rt->pool.spare);
  tl_task *task;
  for (int slot = 0; (task = tl_live_task_push(L, rt, &slot)) != NULL; lua_pop(L, 1))
    tl_task_watch(task, on);
}

/* The options at 1. */
static void set_options(lua_State *L, tl_runtime *rt) {
  int slow = tl_options(L, 1, "slow:span report:function");
  rt->debug.slow = lua_isnil(L, slow) ? SLOW : tide_time_from_seconds(lua_tonumber(L, slow));
  tl_hook_set(L, rt, "debug");
}

/* tide.debug([on | {slow=0.05, report=fn}]) -> boolean: whether it was on */
static int debug(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  bool was = rt->debug.on;
  tl_loop(L, rt);
  lua_settop(L, 1);
  if (lua_istable(L, 1)) {
    set_options(L, rt);
    set_debugging(L, rt, true);
  } else if (!lua_isnil(L, 1)) {
    if (!lua_isboolean(L, 1)) luaL_typeerror(L, 1, "boolean or table");
    set_debugging(L, rt, lua_toboolean(L, 1));
  }
  lua_pushboolean(L, was);
  return 1;
}

void tl_debug_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"debug", debug}, {NULL, NULL}};
  rt->debug.slow = SLOW;
  tl_functions(L, rt, functions);
}
