/* wait.c: what is common to all that waits: who may, and what an outcome raises. */
#include <string.h>

#include "bindings.h"

char tl_marker;

/* The name of the C function that keeps the caller from waiting: the innermost one below that is
 * not one of those that can be waited in, i.e. has no continuation. We can only name suspects: the
 * first C function on the way out. */
static const char *culprit(lua_State *L, lua_Debug *ar) {
  for (int level = 1; lua_getstack(L, level, ar); level++) {
    lua_getinfo(L, "Sn", ar);
    if (strcmp(ar->what, "C") == 0 && ar->name != NULL) return ar->name;
    if (ar->namewhat[0] == 'm') return ar->name; /* a metamethod */
  }
  return NULL;
}

static int raise_cannot_wait(lua_State *L, const tl_runtime *rt, const char *name) {
  lua_Debug ar;
  const char *inside = culprit(L, &ar);
  lua_pushfstring(L, "'%s' cannot wait here%s%s%s: Lua cannot suspend inside table.sort, "
                     "string.gsub, load, require or a metamethod such as __tostring; do the "
                     "waiting before the call, or in a task of its own",
                  name, inside ? ", inside '" : "", inside ? inside : "", inside ? "'" : "");
  return tl_raise_message(L, rt, TIDE_ECANNOT_WAIT, lua_tostring(L, -1));
}

tl_task *tl_enter_failed(lua_State *L, const tl_runtime *rt) {
  char name[64];
  tl_function_name(L, name, sizeof name);
  if (rt->current == NULL) {
    lua_pushfstring(L, "'%s' can only be called inside a task: use tide.run(function), or run the "
                       "script with the program tide", name);
    tl_raise_message(L, rt, TIDE_ENO_TASK, lua_tostring(L, -1));
  }
  raise_cannot_wait(L, rt, name);
  return NULL;
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

int tl_raise_cancelled(lua_State *L, tl_runtime *rt) {
  tl_error_push(L, rt, TIDE_ECANCELLED, NULL);
  if (rt->reason_count > 0) {
    tl_table_push(L, rt, TL_REASONS);
    lua_rawgetp(L, -1, cancelling_scope(&rt->current->task));
    lua_setfield(L, -3, "reason");
    lua_pop(L, 1);
  }
  return lua_error(L);
}

int tl_raise_outcome(lua_State *L, tl_runtime *rt, int outcome) {
  char name[64];
  if (outcome == TIDE_ECANCELLED) return tl_raise_cancelled(L, rt);
  if (outcome == TIDE_ECANNOT_WAIT)
    return raise_cannot_wait(L, rt, tl_function_name(L, name, sizeof name));
  return tl_raise(L, rt, outcome);
}
