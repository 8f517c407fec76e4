/* quota.c: tide_lua_set_limits, and slices that are over.
 *
 * A slice ends as an interruption does (interrupt.c): by a hook in the coroutine that runs and in
 * all that it was resumed in. The loop's watchdog has it set, from the loop's own thread. It stays
 * until the task has unwound: each instruction raises, so neither pcall nor cleanup goes on. */
#include "quota.h"

#include <stdio.h>

#include "end.h"
#include "error.h"
#include "interrupt.h"
#include "memory.h"
#include "report.h"
#include "runtime.h"
#include "slots.h"
#include "task.h"
#include "tide_lua.h"
#include "value.h"

enum { HOOK_INTERVAL = 1000 }; /* instructions between two looks of a hook that stands */

/* What a step may take beyond its slice before it is told that nothing has stopped it. */
static const tide_time STUCK = 100 * 1000000;

bool tl_limits_over(const tl_runtime *rt) {
  if (rt->limits.slice.span == 0 || rt->loop == NULL) return false;
  if (rt->current != NULL && rt->current->over) return true;
  return rt->limits.over != 0 && rt->limits.over == tide_loop_slice(rt->loop) &&
         tide_loop_running_lane(rt->loop) == tl_lane((tl_runtime *)(uintptr_t)rt);
}

/* In the signal handler. */
static void slice_over(tide_slice_limit *slice, tide_time taken) {
  tl_runtime *rt = tide_container(slice, tl_runtime, limits.slice);
  rt->limits.taken = taken;
  rt->limits.over = tide_loop_slice(rt->loop);
  tl_interrupt_arm_all(rt);
}

static int milliseconds(tide_time span) { return (int)(span / 1000000); }

/* It was in functions of C's, where no hook is called. */
static void tell_stuck(const tl_runtime *rt, const char *who) {
  const tl_limits *self = &rt->limits;
  tide_log_write(tl_log_of(rt), TIDE_LOG_LIMIT,
                 "%s was not to be stopped for %d ms after its slice of %d ms: it was in functions "
                 "of C's",
                 who, milliseconds(self->taken - self->slice.span), milliseconds(self->slice.span));
}

static bool is_stuck(const tl_limits *self) {
  return self->taken > self->slice.span && self->taken - self->slice.span >= STUCK;
}

/* In protected mode: names the task, a light userdata, or what else runs, and tells. */
static int tell(lua_State *L) {
  const tl_runtime *rt = tl_runtime_find(L);
  const tl_task *task = lua_touserdata(L, 1);
  if (task != NULL) {
    tl_task_push(L, task);
    tl_task_name_push(L, task, 2);
    lua_pushfstring(L, "task '%s'", lua_tostring(L, -1));
  } else {
    lua_pushliteral(L, "a callback");
  }
  tell_stuck(rt, lua_tostring(L, -1));
  return 0;
}

static void tell_protected(lua_State *L, const tl_runtime *rt, const tl_task *task) {
  lua_pushcfunction(L, tell);
  lua_pushlightuserdata(L, (void *)(uintptr_t)task);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
  lua_pop(L, 1); /* no memory for its name */
  tell_stuck(rt, "a task");
}

void tl_limits_task_ends(const tl_runtime *rt, const tl_task *task) {
  const tl_limits *self = &rt->limits;
  if (task->over || self->over == 0 || self->over != tide_loop_slice(rt->loop)) return;
  if (is_stuck(self) && lua_checkstack(rt->L, LUA_MINSTACK)) tell_protected(rt->L, rt, task);
}

void tl_limits_raise(lua_State *L, tl_runtime *rt) {
  char message[80];
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  tl_task *task = rt->current;
  bool first = task != NULL ? !task->over : rt->limits.told != rt->limits.over;
  if (task != NULL) task->over = true;
  rt->limits.told = rt->limits.over;
  if (first && is_stuck(&rt->limits)) tell_protected(L, rt, task);
  snprintf(message, sizeof message, "it ran for more than %d ms without waiting",
           milliseconds(rt->limits.slice.span));
  tl_error_push(L, rt, TIDE_ELIMIT, message);
  lua_pushnil(L);
  lua_setfield(L, -2, "op");
  lua_error(L);
}

/* Where there is no watchdog. */

void tl_limits_look(lua_State *L, tl_runtime *rt) {
  tl_limits *self = &rt->limits;
  if (!self->standing || rt->loop == NULL || tide_loop_running_lane(rt->loop) != tl_lane(rt))
    return;
  tide_time taken = tide_loop_look_at_slice(rt->loop, &self->seen);
  if (taken < self->slice.span) return;
  slice_over(&self->slice, taken);
  tl_limits_raise(L, rt);
}

static void standing(lua_State *L, lua_Debug *ar) {
  tl_runtime *rt = tl_runtime_find(L);
  (void)ar;
  if (!rt->limits.standing) tl_hook_reset(rt, L);
  tl_limits_look(L, rt);
}

void tl_limits_watch(const tl_runtime *rt, lua_State *co) {
  if (rt->limits.standing && lua_gethook(co) != standing && !tl_is_interrupting(co))
    lua_sethook(co, standing, LUA_MASKCOUNT, HOOK_INTERVAL);
}

/* Coroutines that are made from now on inherit it; those in the midst of something get it when they
 * are resumed, but tasks' own. */
static void stand(lua_State *L, tl_runtime *rt) {
  tl_task *task;
  tl_limits_watch(rt, rt->main);
  tl_limits_watch(rt, rt->L);
  if (rt->pool.spare != NULL) tl_limits_watch(rt, rt->pool.spare);
  tl_table_push(L, rt, TL_POOL);
  for (int i = 1; i <= rt->pool.count; i++, lua_pop(L, 1))
    if (lua_rawgeti(L, -1, i) == LUA_TTHREAD) tl_limits_watch(rt, lua_tothread(L, -1));
  lua_pop(L, 1);
  for (int slot = 0; (task = tl_live_task_push(L, rt, &slot)) != NULL; lua_pop(L, 1))
    if (task->co != NULL) tl_limits_watch(rt, task->co);
}

/* What scripts are kept from: finalizers, in which no hook is called; hooks; and coroutines that
 * tide does not know. */

/* setmetatable(value, metatable): the original one, but for metatables with __gc */
static int set_metatable(lua_State *L) {
  if (lua_type(L, 2) == LUA_TTABLE) {
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, 2) != LUA_TNIL)
      return tl_raise_message(L, tl_runtime_find(L), TIDE_ELIMIT,
                              "a state whose time is limited has no finalizers: no __gc");
    lua_pop(L, 1);
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* Of the table on top, if it is one and has not got it yet. */
static void guard_setmetatable(lua_State *L) {
  if (!lua_istable(L, -1)) return;
  lua_getfield(L, -1, "setmetatable");
  if (lua_isfunction(L, -1) && lua_tocfunction(L, -1) != set_metatable) {
    lua_pushcclosure(L, set_metatable, 1);
    lua_setfield(L, -2, "setmetatable");
  } else {
    lua_pop(L, 1);
  }
}

static void remove_fields(lua_State *L, const char *const *names) {
  if (!lua_istable(L, -1)) return;
  for (; *names != NULL; names++) {
    lua_pushnil(L);
    lua_setfield(L, -2, *names);
  }
}

/* What the table on top, of globals or of loaded modules, has of debug: one may lack it. */
static void guard_debug(lua_State *L) {
  static const char *const hooks[] = {"sethook", NULL};
  lua_getfield(L, -1, "debug");
  guard_setmetatable(L);
  remove_fields(L, hooks);
  lua_pop(L, 1);
}

static void guard(lua_State *L) {
  static const char *const raw[] = {"xpcall", "coroutine", NULL};
  lua_pushglobaltable(L);
  guard_setmetatable(L);
  guard_debug(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  guard_debug(L);
  if (lua_getfield(L, -1, "tide") == LUA_TTABLE) lua_getfield(L, -1, "raw");
  remove_fields(L, raw);
}

/* Setting them. */

/* In protected mode: the limits at 1. */
static int prepare(lua_State *L) {
  const tide_lua_limits *limits = lua_touserdata(L, 1);
  tl_runtime *rt = tl_runtime_find(L);
  if (limits->memory != 0) {
    lua_pushfstring(L, "the state has all the memory that it may have: %I bytes",
                    (LUAI_UACINT)limits->memory);
    tl_error_push(L, rt, TIDE_ELIMIT, lua_tostring(L, -1));
    rt->limits.error = tl_anchor(L, rt->limits.error);
  }
  if (limits->slice != 0 && !rt->limits.guarded) {
    guard(L);
    rt->limits.guarded = true;
  }
  return 0;
}

/* In protected mode, with the limits at 1. */
static int begin_slices(lua_State *L) {
  const tide_lua_limits *limits = lua_touserdata(L, 1);
  tl_runtime *rt = tl_runtime_find(L);
  tl_limits *self = &rt->limits;
  self->slice = (tide_slice_limit){.span = limits->slice, .over = slice_over};
  self->standing = limits->slice != 0 && tide_loop_watchdog(rt->loop) == 0;
  tide_lane_set_slice(tl_lane(rt), limits->slice != 0 ? &self->slice : NULL);
  if (self->standing) stand(L, rt);
  return 0;
}

static int call(lua_State *L, lua_CFunction function, const tide_lua_limits *limits) {
  lua_pushcfunction(L, function);
  lua_pushlightuserdata(L, (void *)(uintptr_t)limits);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return TIDE_OK;
  lua_pop(L, 1);
  return TIDE_ENOMEM;
}

int tide_lua_set_limits(lua_State *L, const tide_lua_limits *hosts) {
  static const unsigned held = TIDE_LUA_KEEP_XPCALL | TIDE_LUA_KEEP_COROUTINE;
  tide_lua_limits own, *limits = &own;
  tl_runtime *rt;
  int error = tl_runtime_ask(L, &rt);
  if (error != TIDE_OK) return error;
  if (tl_struct_take(&own, sizeof own, hosts) != NULL) return TIDE_EMISUSE;
  if (limits->slice != 0 && (rt->options.keep & held)) return TIDE_EINVALID_STATE;
  if (limits->memory != 0 && !tl_memory_prepare(L, rt)) return TIDE_ENOMEM;
  error = call(L, prepare, limits);
  if (error == TIDE_OK) error = call(L, begin_slices, limits);
  if (error != TIDE_OK) return error;
  tide_lane_set_budget(tl_lane(rt), limits->budget);
  tl_memory_limit(rt, limits->memory, rt->limits.error);
  return TIDE_OK;
}
