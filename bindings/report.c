/* report.c: failures that nobody is told of are reported, never lost.
 *
 * A failure has been told (TL_TOLD) when somebody got it: by await, result, error, a done callback,
 * or C. What a child of a TaskGroup fails with is its group's (failures.c). Of the others, those
 * that nobody waits for are reported at the end of the turn in which the task has failed. Those
 * that somebody waited for are `unseen` until that one comes to take them: it may be killed, or
 * look at another one. Unseen ones are reported when they are collected, or when the run ends. */
#include <string.h>

#include "class.h"
#include "debug.h"
#include "failures.h"
#include "future.h"
#include "interrupt.h"
#include "join.h"
#include "parts.h"
#include "report.h"
#include "runtime.h"
#include "slots.h"
#include "task.h"
#include "text.h"

/* Tells the function on top, which is popped, of the failure; or says why that failed. */
static bool tell(lua_State *L, const tl_runtime *rt, int what, int error, int traceback) {
  lua_pushvalue(L, what);
  lua_pushvalue(L, error);
  lua_pushvalue(L, traceback);
  if (lua_pcall(L, 3, 0, 0) == LUA_OK || tl_unwinds(L, rt, -1)) return true; /* or it has left */
  tl_complain(rt, "the failure report failed: %s", tl_text_of(L));
  return false;
}

const tide_log *tl_log_of(const tl_runtime *rt) {
  return rt->loop != NULL ? tide_loop_log(rt->loop) : &rt->log;
}

/* In protected mode: what, error, traceback. */
static int call_host(lua_State *L) {
  const tide_lua_options *options = &tl_runtime_find(L)->options;
  lua_insert(L, 2);
  options->on_failure(L, lua_tostring(L, 1), lua_tostring(L, 2), options->context);
  return 0;
}

static void write_to_log(lua_State *L, tide_log_kind kind, int what, int error, int traceback) {
  lua_pushcfunction(L, tl_report_to_log);
  lua_pushvalue(L, what);
  lua_pushvalue(L, error);
  lua_pushvalue(L, traceback);
  lua_pushinteger(L, kind);
  if (lua_pcall(L, 4, 0, 0) != LUA_OK)
    tl_complain(tl_runtime_find(L), "the failure report failed: %s", tl_text_of(L));
}

/* A script's function is told besides the host's, and not instead of the host's log. A failure that
 * these fail to report goes to the log: none is lost. */
void tl_report(lua_State *L, tl_runtime *rt, int what_index, int error_index, int traceback_index) {
  int top = lua_gettop(L);
  lua_pushcfunction(L, call_host);
  bool host =
      rt->options.on_failure != NULL && tell(L, rt, what_index, error_index, traceback_index);
  lua_settop(L, top);
  tl_hook_push(L, rt, "report");
  bool script = lua_isfunction(L, -1) && tell(L, rt, what_index, error_index, traceback_index);
  if (!host)
    write_to_log(L, script ? TIDE_LOG_HANDLED : TIDE_LOG_FAILURE, what_index, error_index,
                 traceback_index);
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

static void push_what(lua_State *L, const tide_future *future) {
  if (future->is_task) {
    tl_task_name_push(L, lua_touserdata(L, 1), 1);
    lua_pushfstring(L, "task '%s'", lua_tostring(L, -1));
    lua_remove(L, -2);
  } else {
    lua_pushliteral(L, "a Future");
  }
}

/* Reports what the Task or Future at 1, alone on the stack, has failed with. */
static void report_failure(lua_State *L, tl_runtime *rt, tide_future *future) {
  tl_told(future);
  push_what(L, future);
  tl_failure_push(L, future, 1);
  tl_failure_trace_push(L, future, 1);
  if (future->is_task) add_site(L, rt);
  tl_report(L, rt, 2, 3, 4);
}

/* Unseen ones: the record of the failure, which nobody has but the Task or Future, has a witness: a
 * userdata with a finalizer, and nobody else has that. It knows the id of the task that failed, or
 * that has failed the Future; 0: that was done outside of the loop. Lua looks for an object that
 * gets a finalizer among all that are newer: so it is the witness's, which is new then, and not the
 * record's. */

enum { OWNER = 1 }; /* user value of the witness: whose it is, once all is in place */

static void push_witness(lua_State *L, const tl_runtime *rt) {
  tl_hook_push(L, rt, "unseen");
  lua_newuserdatauv(L, sizeof(uint64_t), 1);
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
}

static uint64_t id_of_culprit(const tl_runtime *rt, const tide_future *future) {
  if (future->is_task) return ((const tl_task *)(const void *)future)->task.id;
  const tide_task *task = rt->loop != NULL ? tide_loop_current(rt->loop) : NULL;
  return task != NULL ? task->id : 0;
}

void tl_record_push(lua_State *L, const tl_runtime *rt, int error) {
  error = lua_absindex(L, error);
  lua_createtable(L, TL_RECORD_WITNESS, 0);
  lua_pushvalue(L, error);
  lua_rawseti(L, -2, TL_RECORD_ERROR);
  lua_pushinteger(L, tl_failure_number(L, rt, error));
  lua_rawseti(L, -2, TL_RECORD_NUMBER);
  push_witness(L, rt);
  lua_rawseti(L, -2, TL_RECORD_WITNESS);
}

/* Pushes the record of the Task or Future at 1. */
static void push_record(lua_State *L, const tl_runtime *rt, tide_future *future) {
  if (tl_kept_push(L, future, 1)) return;
  tl_record_push(L, rt, -1);
  lua_remove(L, -2);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 1);
  future->user &= (uint8_t)~TL_BARE;
}

static int witness_gc(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  lua_getiuservalue(L, 1, OWNER);
  lua_replace(L, 1);
  lua_settop(L, 1);
  tide_future *future = lua_touserdata(L, 1);
  if (future != NULL && !(future->user & TL_TOLD)) report_failure(L, rt, future);
  return 0;
}

/* Collects nothing where the record was made by tl_record_push. Where memory is short on the way,
 * the witness has no owner and says nothing. */
void tl_report_when_collected(lua_State *L, const tl_runtime *rt, tide_future *future) {
  int top = lua_gettop(L), record = top + 1, witness = top + 2;
  push_record(L, rt, future);
  if (lua_rawgeti(L, record, TL_RECORD_WITNESS) == LUA_TNIL) {
    lua_pop(L, 1);
    push_witness(L, rt);
    lua_pushvalue(L, witness);
    lua_rawseti(L, record, TL_RECORD_WITNESS);
  }
  *(uint64_t *)lua_touserdata(L, witness) = id_of_culprit(rt, future);
  tl_table_push(L, rt, TL_UNSEEN);
  lua_pushvalue(L, witness);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, witness, OWNER);
  lua_settop(L, top);
}

/* In protected mode: reports the failed task at 1, if nobody waits for it, or has it already. */
static int report_task(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  tide_future *future = lua_touserdata(L, 1);
  lua_settop(L, 1);
  if (future->user & TL_TOLD) return 0;
  if (future->observed)
    tl_report_when_collected(L, rt, future);
  else
    report_failure(L, rt, future);
  return 0;
}

/* The failed tasks of a turn are chained, by slots, until its end. */

void tl_failed(tl_runtime *rt, tl_task *task) {
  tl_reports *reports = &rt->reports;
  if (reports->first == 0)
    reports->first = task->slot;
  else
    reports->last->next_failed = task->slot;
  reports->last = task;
  tide_defer_start(&reports->at_end, rt->loop);
}

/* Those are in a list, in the hook "later": what, error, what, error ... */

void tl_report_later(lua_State *L, tl_runtime *rt) {
  int error = lua_gettop(L);
  tl_hook_push(L, rt, "later");
  if (lua_isnil(L, -1)) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    tl_hook_set(L, rt, "later");
    lua_replace(L, error + 1);
  }
  lua_Integer count = (lua_Integer)lua_rawlen(L, error + 1);
  for (int i = 0; i < 2; i++) {
    lua_pushvalue(L, error - 1 + i);
    lua_rawseti(L, error + 1, count + 1 + i);
  }
  lua_settop(L, error - 2);
  tide_defer_start(&rt->reports.at_end, rt->loop);
}

static void report_later(lua_State *L, tl_runtime *rt) {
  int list = lua_gettop(L) + 1;
  tl_hook_push(L, rt, "later");
  if (lua_isnil(L, list)) return;
  lua_pushnil(L);
  tl_hook_set(L, rt, "later");
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  for (lua_Integer i = 1; i < count; i += 2) {
    lua_rawgeti(L, list, i);
    lua_rawgeti(L, list, i + 1);
    lua_pushnil(L);
    tl_report(L, rt, list + 1, list + 2, list + 3);
    lua_settop(L, list);
  }
}

void tl_report_left(tl_runtime *rt) {
  rt->reports.left = true;
  tide_defer_start(&rt->reports.at_end, rt->loop);
}

void tl_report_left_alone(lua_State *L, tl_runtime *rt, int index) {
  tl_task *task = lua_touserdata(L, index);
  task->task.future.observed = false;
  if (task->slot != 0) return; /* it failed in this turn */
  task->slot = tl_slot_find(L, rt);
  lua_pushvalue(L, index);
  tl_slot_take(L, rt);
  tl_failed(rt, task);
}

/* In protected mode: what was left in other ways than by an error. */
static int report_left(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  report_later(L, rt);
  if (rt->reports.left) {
    rt->reports.left = false;
    tl_failures_report_left(L, rt);
  }
  rt->reports.loops_wait = false;
  rt->reports.loops_wait = tl_join_loops(L, rt);
  return 0;
}

/* Calls it in protected mode with the value on top, which is popped. False: it says that it failed.
 */
static bool call(lua_State *L, lua_CFunction function) {
  lua_pushcfunction(L, function);
  lua_insert(L, -2);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return true;
  tl_complain(tl_runtime_find(L), "a task failed, and reporting it failed too");
  lua_pop(L, 1);
  return false;
}

static void report_all(tide_defer *defer) {
  tl_runtime *rt = tide_container(defer, tl_runtime, reports.at_end);
  lua_State *L = rt->L;
  tide_lane *before = tide_lane_visit(tl_lane(rt));
  bool opened = tl_memory_open(rt);
  lua_pushnil(L);
  call(L, report_left);
  while (rt->reports.first != 0) {
    int slot = rt->reports.first;
    tl_slot_push(L, rt, slot);
    tl_task *task = lua_touserdata(L, -1);
    rt->reports.first = task->next_failed;
    task->next_failed = 0;
    if (!call(L, report_task)) tl_told(&task->task.future);
    task->slot = 0;
    tl_slot_free(rt, slot);
  }
  tl_memory_close(rt, opened);
  tide_lane_leave(tl_lane(rt), before);
}

/* The end of a run. */

/* Whether that of the Task or Future on top, whose witness is at `index`, nobody was told, and what
 * failed it began with the run whose first task has the id `since`. */
static bool is_since(lua_State *L, int index, uint64_t since) {
  const tide_future *future = lua_touserdata(L, -1);
  if (future == NULL || (future->user & TL_TOLD)) return false;
  return *(const uint64_t *)lua_touserdata(L, index) >= since;
}

/* In protected mode: reports what is unseen of a run; its first task's id, or 0, is at 1. Reports
 * may make more of them. */
static int report_unseen(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  uint64_t since = (uint64_t)lua_tointeger(L, 1);
  int count = 0;
  lua_settop(L, 0);
  lua_newtable(L);
  tl_table_push(L, rt, TL_UNSEEN);
  for (lua_pushnil(L); lua_next(L, 2) != 0; lua_settop(L, 3)) {
    lua_getiuservalue(L, 3, OWNER);
    if (is_since(L, 3, since)) lua_rawseti(L, 1, ++count);
  }
  for (int i = 1; i <= count; i++) {
    lua_settop(L, 1);
    lua_rawgeti(L, 1, i);
    lua_pushcfunction(L, report_task);
    lua_insert(L, -2);
    tide_future *future = lua_touserdata(L, -1);
    future->observed = false;
    lua_call(L, 1, 0);
  }
  return 0;
}

static bool is_any_unseen(lua_State *L, const tl_runtime *rt) {
  int top = lua_gettop(L);
  tl_table_push(L, rt, TL_UNSEEN);
  lua_pushnil(L);
  bool any = lua_next(L, top + 1) != 0;
  lua_settop(L, top);
  return any;
}

static int flush_flood(lua_State *L) {
  tl_flood_flush(L, tl_runtime_find(L));
  return 0;
}

/* Where there is no memory to look for them, the counts of a flood are told later. */
static void tell_flood(lua_State *L) {
  lua_pushcfunction(L, flush_flood);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static void flood_is_due(tide_idle *flood) {
  tell_flood(tide_container(flood, tl_runtime, reports.flood)->L);
}

void tl_report_unseen(lua_State *L, tl_runtime *rt, uint64_t since) {
  if (is_any_unseen(L, rt)) {
    lua_pushinteger(L, (lua_Integer)since);
    call(L, report_unseen);
  }
  tell_flood(L);
}

void tl_reports_init(tl_reports *reports) {
  *reports = (tl_reports){.first = 0};
  tide_defer_init(&reports->at_end, report_all);
  tide_idle_init(&reports->flood, flood_is_due);
}

void tl_reports_end(tl_reports *reports) {
  tide_defer_cancel(&reports->at_end);
  tide_idle_cancel(&reports->flood);
}

/* For the Lua part. */

/* unseen(id): at the end of the run whose first task has that id */
static int report_unseen_since(lua_State *L) {
  luaL_checkinteger(L, 1);
  return report_unseen(L);
}

/* task(task): what it failed with, if nobody was told */
static int report_this(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tide_future *future = tl_check_future(L, rt, 1);
  lua_settop(L, 1);
  if (future->state == TIDE_FUTURE_FAILED && !(future->user & TL_TOLD))
    report_failure(L, rt, future);
  return 0;
}

/* report(what, error, traceback) */
static int report(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  lua_settop(L, 3);
  tl_report(L, tl_rt(L), 1, 2, 3);
  return 0;
}

void tl_report_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg parts[] = {
      {"unseen", report_unseen_since}, {"task", report_this}, {"report", report}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", witness_gc}, {NULL, NULL}};
  lua_newtable(L);
  tl_functions(L, rt, metamethods);
  tl_hook_set(L, rt, "unseen");
  lua_newtable(L);
  tl_functions(L, rt, parts);
  lua_setfield(L, -2, "failure_parts");
}
