/* handle.c: callbacks: call_soon, call_later, call_at, and done callbacks. A callback is a task of
 * the core whose one step calls a function. */

#include "class.h"
#include "error.h"
#include "future.h"
#include "group.h"
#include "interrupt.h"
#include "lent.h"
#include "parts.h"
#include "report.h"
#include "run.h"
#include "runtime.h"
#include "slots.h"
#include "task.h"
#include "text.h"
#include "tide_lua.h"
#include "traceback.h"
#include "value.h"

typedef struct tl_handle {
  tide_task task;        /* first */
  tl_runtime *rt;        /* whose */
  int slot;              /* in TL_LIVE; 0 once it has ended */
  tide_lua_done_fn done; /* a host's, who is told of the end of the task; or NULL */
  void *context;         /* for it */
} tl_handle;

static void free_slot(tl_runtime *rt, int slot) {
  tl_slot_free(rt, slot);
  rt->slots.handles--;
}

void tl_handle_move(void *handle, int slot) { ((tl_handle *)handle)->slot = slot; }

static void end_handle(tl_handle *handle) {
  int slot = handle->slot;
  handle->slot = 0;
  tide_task_finish(&handle->task, TIDE_FUTURE_DONE);
  free_slot(handle->rt, slot);
}

/* A done callback counts as watching a failure: that of the future it is for, if it is one. */
static void take_notice(lua_State *L) {
  lua_getiuservalue(L, 1, 2);
  tide_future *future = lua_touserdata(L, -1);
  if (future != NULL && future->state == TIDE_FUTURE_FAILED) tl_told(future);
  lua_pop(L, 1);
}

/* Hosts that are told how a task has ended: once, whatever happens. */

static void tell_host(lua_State *L, tl_handle *handle, int error, int count) {
  tide_lua_done_fn done = handle->done;
  handle->done = NULL;
  done(L, error, count, handle->context);
}

/* In protected mode: the same without what the task has left. */
static int tell_host_briefly(lua_State *L) {
  tl_handle *handle = lua_touserdata(L, 1);
  int error = (int)lua_tointeger(L, 2);
  lua_settop(L, 0);
  tell_host(L, handle, error, 0);
  return 0;
}

static void report_host(lua_State *L) {
  tl_complain(tl_runtime_find(L), "a callback of the host's failed: %s", tl_text_of(L));
  lua_pop(L, 1);
}

static void tell_host_protected(lua_State *L, tl_handle *handle, int error) {
  lua_pushcfunction(L, tell_host_briefly);
  lua_pushlightuserdata(L, handle);
  lua_pushinteger(L, error);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) report_host(L);
}

void tl_handle_close(lua_State *L, void *object) {
  tl_handle *handle = object;
  if (handle->done != NULL) tell_host_protected(L, handle, TIDE_ECLOSED);
}

/* What the task at 2 has ended with, on top: how many values, and *error. */
static int push_end(lua_State *L, tl_runtime *rt, tide_future *future, int *error) {
  *error = TIDE_OK;
  if (future->state == TIDE_FUTURE_DONE) return tl_result_push(L, rt, future, 2);
  if (future->state == TIDE_FUTURE_FAILED) {
    tl_failure_push(L, future, 2);
    *error = tl_error_number(L, rt, 3);
  } else {
    tl_error_push(L, rt, *error = TIDE_ECANCELLED, NULL);
    lua_getiuservalue(L, 2, 1);
    lua_setfield(L, 3, "reason");
  }
  lua_settop(L, 3);
  return 1;
}

/* The handle is at 1. */
static int call_host(lua_State *L, tl_handle *handle) {
  int error;
  lua_getiuservalue(L, 1, 2);
  int count = push_end(L, handle->rt, lua_touserdata(L, 2), &error);
  tell_host(L, handle, error, count);
  return 0;
}

/* In protected mode: calls what the handle at 1 keeps: {n=, function, arguments...}. */
static int call(lua_State *L) {
  tl_handle *handle = lua_touserdata(L, 1);
  take_notice(L);
  if (handle->done != NULL) return call_host(L, handle);
  lua_getiuservalue(L, 1, 1);
  lua_getfield(L, -1, "n");
  int count = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  luaL_checkstack(L, count, "too many arguments");
  for (int i = 1; i <= count; i++) lua_rawgeti(L, 2, i);
  lua_call(L, count - 1, 0);
  return 0;
}

/* In protected mode: the same; what it fails with, and its traceback. */
static int call_and_catch(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  lua_pushcfunction(L, tl_message_handler);
  lua_pushcfunction(L, call);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 1, 0, 2) == LUA_OK || tl_unwinds(L, rt, -1)) return 0;
  tl_memory_caught(L, rt);
  tl_traceback_take(L, rt, 3);
  return 2;
}

/* In protected mode: the failure at 1, and its traceback. */
static int report_failure(lua_State *L) {
  lua_pushliteral(L, "a callback");
  tl_report(L, tl_runtime_find(L), 3, 1, 2);
  return 0;
}

/* In a slice of its own: that of the callback may be over. */
static bool report_caught(lua_State *L, tl_runtime *rt) {
  tide_lane *before = tide_lane_visit(tl_lane(rt));
  lua_pushcfunction(L, report_failure);
  lua_insert(L, -3);
  int status = lua_pcall(L, 2, 0, 0);
  tide_lane_leave(tl_lane(rt), before);
  return status == LUA_OK;
}

static void run_callback(tl_handle *handle) {
  tl_runtime *rt = handle->rt;
  lua_State *L = rt->L;
  int top = lua_gettop(L);
  lua_pushcfunction(L, call_and_catch);
  tl_slot_push(L, rt, handle->slot);
  bool caught = lua_pcall(L, 1, LUA_MULTRET, 0) == LUA_OK;
  if (caught && lua_gettop(L) > top) caught = report_caught(L, rt);
  if (!caught) tl_complain(rt, "a callback failed, and reporting it failed too");
  lua_settop(L, top);
}

void tl_handle_step(tide_task *task, int outcome) {
  tl_handle *handle = tide_container(task, tl_handle, task);
  if (outcome == TIDE_OK) run_callback(handle);
  if (handle->done != NULL) /* there was no memory, or it was not to run */
    tell_host_protected(handle->rt->L, handle, outcome == TIDE_OK ? TIDE_ENOMEM : outcome);
  if (handle->slot != 0) end_handle(handle);
}

/* Makes a handle for the function at `index` and all above it, and leaves it on top. */
static tl_handle *new_handle(lua_State *L, tl_runtime *rt, int index) {
  tl_pack(L, index);
  tl_handle *handle = tl_object_new(L, rt, TL_HANDLE, sizeof *handle, 2);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, 1);
  handle->rt = rt;
  tide_task_init(&handle->task, rt->loop, &rt->ops.callback);
  handle->slot = tl_slot_find(L, rt);
  lua_pushvalue(L, -1);
  tl_slot_take(L, rt);
  rt->slots.handles++;
  return handle;
}

static int started(lua_State *L, tl_runtime *rt, tl_handle *handle, int error) {
  if (error == TIDE_OK) return 1;
  free_slot(rt, handle->slot);
  handle->slot = 0;
  return tl_raise(L, rt, error);
}

static int call_at_time(lua_State *L, tide_time when) {
  tl_runtime *rt = tl_rt(L);
  tide_group *home = tl_run_home(&rt->run, tl_loop(L, rt));
  tl_handle *handle = new_handle(L, rt, 2);
  return started(L, rt, handle, tide_task_spawn_at(&handle->task, home, when));
}

/* tide.call_soon(fn, ...) -> handle */
static int call_soon(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_check_callable(L, 1);
  tide_group *home = tl_run_home(&rt->run, tl_loop(L, rt));
  tl_handle *handle = new_handle(L, rt, 1);
  return started(L, rt, handle, tide_task_spawn(&handle->task, home));
}

/* tide.call_later(delay, fn, ...) -> handle */
static int call_later(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tide_time delay = tl_check_time(L, 1);
  tl_check_callable(L, 2);
  return call_at_time(L, tide_loop_after(tl_loop(L, rt), delay));
}

/* tide.call_at(when, fn, ...) -> handle */
static int call_at(lua_State *L) {
  tide_time when = tl_check_time(L, 1);
  tl_check_callable(L, 2);
  return call_at_time(L, when);
}

/* For hosts. */

void tide_lua_spawn(lua_State *L, int nargs, tide_group *group) {
  tl_runtime *rt = tl_lent_runtime(L);
  int function = lua_gettop(L) - nargs, own = 0;
  tl_check_callable(L, function);
  luaL_checkstack(L, nargs + LUA_MINSTACK, NULL);
  if (group == NULL) {
    group = tl_run_home(&rt->run, rt->loop);
  } else if (group->loop != rt->loop) {
    tl_raise_message(L, rt, TIDE_EMISUSE, "the group is of another loop than the state");
  } else if (tl_group_is_ours(group)) {
    tl_lent_check(L, rt, group, TL_GROUP);
    lua_insert(L, function);
    tl_group_for_spawn(L, rt, function);
    own = function;
  }
  bool child = own != 0 && group->supervised;
  tl_task *task = tl_task_spawn(L, rt, group, child ? own : 0, own != 0 ? own + 1 : function);
  if (rt->run.stopped) tide_task_cancel(&task->task); /* hosts' groups are not */
  lua_replace(L, function);
  lua_settop(L, function);
}

/* In protected mode: a handle for the host that is to be told of the Task at 1. */
static int watch(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  const tl_handle *told = lua_touserdata(L, 2);
  lua_settop(L, 1);
  tl_handle *handle = new_handle(L, rt, 2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 2);
  handle->task.own.flags |= TIDE_SCOPE_SHIELD; /* it waits for the end also where all is stopped */
  tide_group *watchers = tl_run_watchers(&rt->run, rt->loop);
  int error = tide_task_spawn_after(&handle->task, watchers, lua_touserdata(L, 1));
  started(L, rt, handle, error);
  handle->done = told->done;
  handle->context = told->context;
  return 0;
}

/* A task that nobody would tell of is not to begin. */
void tide_lua_spawn_cb(lua_State *L, int nargs, tide_lua_done_fn done, void *context) {
  tl_handle told = {.done = done, .context = context};
  tide_lua_spawn(L, nargs, NULL);
  if (done == NULL) {
    lua_pop(L, 1);
    return;
  }
  lua_pushcfunction(L, watch);
  lua_pushvalue(L, -2);
  lua_pushlightuserdata(L, &told);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    tide_task_cancel(lua_touserdata(L, -2));
    lua_error(L);
  }
  lua_pop(L, 1);
}

/* handle:cancel() -> boolean: whether it had not run yet */
static int handle_cancel(lua_State *L) {
  tl_handle *handle = tl_check(L, tl_rt(L), 1, TL_HANDLE);
  tl_loop(L, handle->rt);
  bool pending = handle->slot != 0 && handle->task.state != TIDE_TASK_RUNNING;
  if (pending) {
    tide_task_detach(&handle->task);
    end_handle(handle);
  }
  lua_pushboolean(L, pending);
  return 1;
}

/* future:add_done_callback(fn): fn(future) in the loop, once it has ended */
static int add_done_callback(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tide_future *future = tl_check_future(L, rt, 1);
  tl_check_callable(L, 2);
  tide_group *watchers = tl_run_watchers(&rt->run, tl_loop(L, rt));
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  tl_handle *handle = new_handle(L, rt, 2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 2);
  int error = tide_task_spawn_after(&handle->task, watchers, future);
  started(L, rt, handle, error);
  return 0;
}

/* Whether the handle on top is a done callback of the future at 1 with the function at 2. */
static bool is_callback(lua_State *L, const tl_runtime *rt) {
  if (tl_test(L, rt, -1, TL_HANDLE) == NULL) return false;
  int top = lua_gettop(L);
  lua_getiuservalue(L, top, 2);
  bool same = lua_rawequal(L, -1, 1);
  lua_getiuservalue(L, top, 1);
  lua_rawgeti(L, -1, 1);
  same = same && lua_rawequal(L, -1, 2);
  lua_settop(L, top);
  return same;
}

/* future:remove_done_callback(fn) -> how many were removed. O(tasks). */
static int remove_done_callback(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  int removed = 0;
  tl_check_future(L, rt, 1);
  tl_check_callable(L, 2);
  lua_settop(L, 2);
  for (int slot = 0; tl_live_push(L, rt, &slot); lua_pop(L, 1)) {
    if (!is_callback(L, rt)) continue;
    tl_handle *handle = lua_touserdata(L, -1);
    tide_task_detach(&handle->task);
    end_handle(handle);
    removed++;
  }
  lua_pushinteger(L, removed);
  return 1;
}

static int handle_tostring(lua_State *L) {
  const tl_handle *handle = tl_check(L, tl_rt(L), 1, TL_HANDLE);
  lua_pushfstring(L, "Handle(%s)", handle->slot != 0 ? "pending" : "done");
  return 1;
}

static void add_callbacks(lua_State *L, tl_runtime *rt, tl_class class) {
  static const luaL_Reg methods[] = {{"add_done_callback", add_done_callback},
                                     {"remove_done_callback", remove_done_callback},
                                     {NULL, NULL}};
  tl_class_push(L, rt, class);
  lua_getfield(L, -1, "__index");
  tl_functions(L, rt, methods);
  lua_pop(L, 2);
}

void tl_handle_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {
      {"call_soon", call_soon}, {"call_later", call_later}, {"call_at", call_at}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"cancel", handle_cancel}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", handle_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_HANDLE, "Handle", methods, metamethods);
  tl_constructor(L, rt, "Handle", TL_HANDLE, NULL);
  add_callbacks(L, rt, TL_TASK);
  add_callbacks(L, rt, TL_FUTURE);
  tl_functions(L, rt, functions);
}
