/* body.c: what the coroutine of a task runs. Its stack: message handler, [group,] function,
 * arguments. What needs memory at the end happens in here, where an error has somewhere to go. */
#include "body.h"
#include "error.h"
#include "future.h"
#include "greenlet.h"
#include "group.h"
#include "protect.h"
#include "report.h"
#include "runtime.h"
#include "scope.h"
#include "task.h"
#include "traceback.h"
#include "value.h"

static int pack_results(lua_State *L, int first) {
  tl_pack(L, first);
  tl_runtime_find(L)->step.how = TL_PACKED;
  return 1;
}

int tl_body_keep_failure(lua_State *L, lua_State *co) {
  tl_runtime *rt = tl_runtime_find(L);
  tl_memory_caught(L, rt);
  tl_scope_misused(L, rt, lua_gettop(L), &rt->current->task.own);
  if (tl_error_was_asked(L, rt, -1, &rt->current->task.own)) {
    lua_getfield(L, -1, "reason");
    rt->step.how = TL_STOPPED;
    return 1;
  }
  lua_createtable(L, TL_RECORD_NUMBER, 0);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, TL_RECORD_ERROR);
  tl_traceback_take_from(L, rt, co, -2);
  lua_rawseti(L, -2, TL_RECORD_TRACEBACK);
  lua_pushinteger(L, tl_failure_number(L, rt, -2));
  lua_rawseti(L, -2, TL_RECORD_NUMBER);
  rt->step.how = TL_FAILED;
  return 1;
}

static int body_ended(lua_State *L, int status, lua_KContext before) {
  int count = lua_gettop(L) - (int)before;
  if (TL_UNLIKELY(count > 1)) status = tl_returned(L, status, (int)before);
  if (status != LUA_OK && status != LUA_YIELD) return tl_body_keep_failure(L, L);
  return count <= 1 ? count : pack_results(L, (int)before + 1);
}

int tl_body(lua_State *L) {
  return body_ended(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 1, body_ended), 1);
}

/* on_error has been called, or has failed; the failure's record is at that index. */
static int told_on_error(lua_State *L, int status, lua_KContext record) {
  tl_runtime *rt = tl_runtime_find(L);
  bool failed = status != LUA_OK && status != LUA_YIELD;
  if (failed && !tl_error_was_asked(L, rt, -1, &rt->current->task.own)) {
    tl_traceback_take(L, rt, -1);
    tl_group_add_failure(L, rt, 2);
  }
  lua_settop(L, (int)record);
  rt->step.how = TL_FAILED;
  return 1;
}

/* Gives the failure to on_error, which may wait. On the stack: record, error, traceback, on_error.
 */
static int tell_on_error(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  int record = lua_gettop(L) - 3;
  rt->step.how = 0;
  lua_pushvalue(L, record + 1);
  tl_task_push(L, rt->current);
  lua_pushvalue(L, record + 2);
  return told_on_error(L, lua_pcallk(L, 3, 0, 1, record, told_on_error), record);
}

/* A group's child: a failure goes to the group, which is at 2. */
static int child_ended(lua_State *L, int status, lua_KContext before) {
  bool single = lua_gettop(L) <= (int)before + 1; /* more results may have become an error */
  int count = body_ended(L, status, before);
  if (single && (status == LUA_OK || status == LUA_YIELD)) return count;
  const tl_runtime *rt = tl_runtime_find(L);
  if (rt->step.how != TL_FAILED) return count;
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  if (tl_group_on_error_push(L, rt, 2)) return tell_on_error(L);
  tl_group_add_failure(L, rt, 2);
  return count;
}

int tl_child_body(lua_State *L) {
  return child_ended(L, lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 1, 2, child_ended), 2);
}

/* Behind the body. */

void tl_body_behind_failed(lua_State *L, int status, const char *what) {
  tl_runtime *rt = tl_runtime_find(L);
  int error = lua_gettop(L);
  if (status == LUA_OK || status == LUA_YIELD) return;
  if (tl_error_was_asked(L, rt, error, &rt->current->task.own)) return;
  lua_pushstring(L, what);
  lua_pushnil(L);
  tl_report(L, rt, error + 1, error, error + 2);
}

static int loops_closed(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  tl_body_behind_failed(L, status, "closing what a loop left open");
  return tl_runtime_find(L)->current->greenlets ? tl_greenlets_close(L) : 0;
}

int tl_body_close_behind(lua_State *L) {
  const tl_runtime *rt = tl_runtime_find(L);
  tl_hook_push(L, rt, "loops");
  if (lua_isnil(L, -1)) { /* there is no iterator yet */
    lua_pop(L, 1);
    return loops_closed(L, LUA_OK, 0);
  }
  tl_task_push(L, rt->current);
  return loops_closed(L, lua_pcallk(L, 1, 0, 0, 0, loops_closed), 0);
}

bool tl_is_child_body(lua_CFunction function) { return function == tl_child_body; }

bool tl_task_group_push(lua_State *L, const tl_task *child) {
  lua_Debug ar;
  int level = 0;
  if (!(child->task.future.user & TL_CHILD)) return false;
  if (child->co == NULL) {
    tl_task_push(L, child);
    lua_getiuservalue(L, -1, 1);
    lua_remove(L, -2);
    return true;
  }
  while (lua_getstack(child->co, level + 1, &ar)) level++; /* its body, which has it at 2 */
  if (!lua_checkstack(child->co, 1) || !lua_getstack(child->co, level, &ar)) return false;
  lua_getlocal(child->co, &ar, 2);
  lua_xmove(child->co, L, 1);
  return true;
}
