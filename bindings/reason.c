/* reason.c: reasons of cancellation: TL_REASONS has those that were given, until their scope ends.
 */
#include "reason.h"
#include "debug.h"
#include "error.h"
#include "runtime.h"
#include "task.h"

/* In protected mode: keeps the reason at 2 for the scope at 1. */
static int keep_reason(lua_State *L) {
  tl_table_push(L, tl_runtime_find(L), TL_REASONS);
  lua_insert(L, 2);
  lua_rawsetp(L, 2, lua_touserdata(L, 1));
  return 0;
}

void tl_reason_set(lua_State *L, tl_runtime *rt, const tide_scope *scope, int index) {
  if (lua_isnoneornil(L, index) || (scope->flags & TIDE_SCOPE_CALLED)) return;
  index = lua_absindex(L, index);
  lua_pushcfunction(L, keep_reason);
  lua_pushlightuserdata(L, (void *)(uintptr_t)scope);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK)
    rt->reason_count++;
  else
    lua_pop(L, 1);
}

void tl_reason_clear(lua_State *L, tl_runtime *rt, const tide_scope *scope) {
  if (rt->reason_count == 0) return;
  tl_table_push(L, rt, TL_REASONS);
  if (lua_rawgetp(L, -1, scope) != LUA_TNIL) {
    lua_pushnil(L);
    lua_rawsetp(L, -3, scope);
    rt->reason_count--;
  }
  lua_pop(L, 2);
}

/* The scope whose cancellation is felt at the task's present point: the outermost one. */
static const tide_scope *cancelling_scope(const tide_task *task) {
  const tide_scope *found = NULL;
  for (const tide_scope *scope = task->scope; scope != NULL; scope = scope->parent) {
    if (!tide_scope_cancelled(scope)) break;
    if (scope->flags & TIDE_SCOPE_CALLED) found = scope;
  }
  return found;
}

void tl_reason_push(lua_State *L, const tl_runtime *rt, const tide_task *task) {
  tl_table_push(L, rt, TL_REASONS);
  lua_rawgetp(L, -1, cancelling_scope(task));
  lua_remove(L, -2);
}

void tl_cancelled_push(lua_State *L, const tl_runtime *rt) {
  tl_error_push(L, rt, TIDE_ECANCELLED, NULL);
  if (rt->reason_count == 0) return;
  tl_reason_push(L, rt, &rt->current->task);
  lua_setfield(L, -2, "reason");
}

int tl_raise_cancelled(lua_State *L, const tl_runtime *rt) {
  if (TL_UNLIKELY(rt->debug.on)) tl_debug_cancelled(L, rt);
  tl_cancelled_push(L, rt);
  return lua_error(L);
}
