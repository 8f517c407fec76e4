/* call.c: tasks of C's that call functions of Lua's which may wait: in a task of Lua's, which they
 * await. */
#include "call.h"
#include "class.h"
#include "error.h"
#include "future.h"
#include "lent.h"
#include "report.h"
#include "runtime.h"
#include "tide_lua.h"

enum { CLOSED = LUA_NOREF - 1 }; /* instead of a reference: the state has been closed */

typedef struct beginning {
  tide_lua_call *call;
  const tide_task *task; /* who is to await it */
  int nargs;
} beginning;

/* In protected mode: function, arguments, beginning. The Task is kept before it can begin. */
static int begin(lua_State *L) {
  const beginning *self = lua_touserdata(L, -1);
  tl_runtime *rt = tl_lent_runtime(L);
  if (self->task->loop != rt->loop)
    return tl_raise_message(L, rt, TIDE_EMISUSE, "the task is of another loop than the state");
  lua_pop(L, 1);
  lua_pushboolean(L, 1);
  int reference = self->call->reference = luaL_ref(L, LUA_REGISTRYINDEX);
  tide_lua_spawn(L, self->nargs, NULL);
  self->call->task = lua_touserdata(L, -1);
  lua_rawseti(L, LUA_REGISTRYINDEX, reference);
  tide_list_append(&rt->calls, &self->call->link);
  return 0;
}

static int number_of_error(lua_State *L) {
  const tl_runtime *rt = tl_runtime_find(L);
  int number = rt != NULL ? tl_error_number(L, rt, -1) : TIDE_EFAILED;
  lua_pop(L, 1);
  return number;
}

int tide_lua_call_async(lua_State *L, int nargs, tide_lua_call *call, tide_task *task) {
  beginning self = {.call = call, .task = task, .nargs = nargs};
  *call = (tide_lua_call){.reference = LUA_NOREF};
  if (!lua_checkstack(L, 2)) {
    lua_pop(L, nargs + 1);
    return TIDE_ENOMEM;
  }
  lua_pushcfunction(L, begin);
  lua_insert(L, -nargs - 2);
  lua_pushlightuserdata(L, &self);
  if (lua_pcall(L, nargs + 2, 0, 0) != LUA_OK) {
    luaL_unref(L, LUA_REGISTRYINDEX, call->reference);
    *call = (tide_lua_call){.reference = LUA_NOREF};
    return number_of_error(L);
  }
  return tide_future_wait(&call->task->future, task, false);
}

/* In protected mode: the results of the Task at 1, or its error. */
static int push_result(lua_State *L) {
  tl_runtime *rt = tl_lent_runtime(L);
  if (lua_isnil(L, 1))
    return tl_raise_message(L, rt, TIDE_EINVALID_STATE, "the call was ended or dropped before");
  return tl_result_push(L, rt, lua_touserdata(L, 1), 1);
}

int tide_lua_call_end(lua_State *L, tide_lua_call *call, int *count) {
  *count = 0;
  if (call->task == NULL && call->reference == CLOSED) return TIDE_ECLOSED;
  int before = lua_gettop(L), error = TIDE_OK;
  if (!lua_checkstack(L, LUA_MINSTACK)) {
    tide_lua_call_drop(L, call);
    return TIDE_ENOMEM;
  }
  lua_pushcfunction(L, push_result);
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->reference);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) {
    lua_pushvalue(L, -1);
    error = number_of_error(L);
  }
  *count = lua_gettop(L) - before;
  tide_lua_call_drop(L, call);
  return error;
}

void tide_lua_call_drop(lua_State *L, tide_lua_call *call) {
  if (call->task == NULL) return;
  tide_task_cancel(call->task);
  tide_list_remove(&call->link);
  if (lua_checkstack(L, 2)) /* else it is kept as long as the state */
    luaL_unref(L, LUA_REGISTRYINDEX, call->reference);
  *call = (tide_lua_call){.reference = LUA_NOREF};
}

void tl_calls_end(tide_list *calls) {
  while (!tide_list_empty(calls)) {
    tide_lua_call *call = tide_container(calls->next, tide_lua_call, link);
    tide_list_remove(&call->link);
    tide_waits_break(&call->task->future.waiters, TIDE_ECLOSED);
    *call = (tide_lua_call){.reference = CLOSED};
  }
}
