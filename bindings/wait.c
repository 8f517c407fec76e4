/* wait.c: what is common to all that waits: who may, and what an outcome raises. */
#include <string.h>

#include "bindings.h"

char tl_marker;

/* Pushes "module.name" for the function on top, which is popped, as the loaded modules have it; or
 * nil. */
static void push_known_name(lua_State *L) {
  int function = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); lua_next(L, function + 1) != 0; lua_settop(L, function + 2)) {
    if (lua_type(L, function + 2) != LUA_TSTRING || !lua_istable(L, function + 3)) continue;
    for (lua_pushnil(L); lua_next(L, function + 3) != 0; lua_pop(L, 1)) {
      if (!lua_rawequal(L, function, -1) || lua_type(L, -2) != LUA_TSTRING) continue;
      lua_pushfstring(L, "%s.%s", lua_tostring(L, function + 2), lua_tostring(L, -2));
      lua_replace(L, function);
      lua_settop(L, function);
      return;
    }
  }
  lua_pushnil(L);
  lua_replace(L, function);
  lua_settop(L, function);
}

/* Whether the function on top is tide's: those can be waited in. */
static bool is_ours(lua_State *L, const tl_runtime *rt) {
  int top = lua_gettop(L);
  bool ours = lua_getupvalue(L, -1, 1) != NULL && lua_touserdata(L, -1) == rt;
  lua_settop(L, top);
  return ours;
}

/* Pushes the name of the first function of `co`, from `level` on outward, that is C's and not ours,
 * or a metamethod; or nothing. What has no name may be Lua's own pcall, which does not mind. */
static bool push_culprit_of(lua_State *L, const tl_runtime *rt, lua_State *co, int level) {
  lua_Debug ar;
  for (; lua_getstack(co, level, &ar); level++) {
    if (!lua_checkstack(co, 2)) return false;
    lua_getinfo(co, "Snf", &ar);
    if (co != L) lua_xmove(co, L, 1);
    if (ar.what[0] != 'C') {
      lua_pop(L, 1);
      if (strcmp(ar.namewhat, "metamethod") != 0) continue;
      lua_pushfstring(L, "a metamethod (%s)", ar.name);
      return true;
    }
    if (is_ours(L, rt)) {
      lua_pop(L, 1);
      continue;
    }
    push_known_name(L);
    if (!lua_isnil(L, -1)) return true;
    lua_pop(L, 1);
  }
  return false;
}

void tl_culprit_push(lua_State *L, const tl_runtime *rt) {
  if (push_culprit_of(L, rt, L, 1)) return;
  for (const tl_nesting *nesting = rt->nesting; nesting != NULL; nesting = nesting->outer)
    if (push_culprit_of(L, rt, nesting->resumer, 0)) return;
  lua_pushnil(L);
}

static int raise_cannot_wait(lua_State *L, const tl_runtime *rt, const char *name) {
  tl_culprit_push(L, rt);
  const char *inside = lua_tostring(L, -1);
  if (inside != NULL)
    lua_pushfstring(L,
                    "%s cannot wait here, inside %s: Lua cannot suspend inside table.sort, "
                    "string.gsub, load, require or a metamethod such as __tostring; do the waiting "
                    "before the call, or in a task of its own",
                    name, inside);
  else
    lua_pushfstring(L,
                    "%s cannot wait here: this is the cleanup of a task that is killed or of a "
                    "coroutine that is closed, or a call that the host made; do the waiting in a "
                    "task of its own",
                    name);
  return tl_raise_message(L, rt, TIDE_ECANNOT_WAIT, lua_tostring(L, -1));
}

static int raise_foreign_resume(lua_State *L, const tl_runtime *rt, const char *what) {
  lua_pushfstring(L,
                  "%s a resume that is not tide's: inside a task, use coroutine.resume and "
                  "coroutine.wrap as they are once tide is loaded",
                  what);
  return tl_raise_message(L, rt, TIDE_ECANNOT_WAIT, lua_tostring(L, -1));
}

void tl_not_woken(lua_State *L, const tl_runtime *rt) {
  raise_foreign_resume(L, rt, "a coroutine that waits in a task was resumed by");
}

tl_task *tl_enter_failed(lua_State *L, const tl_runtime *rt) {
  char buffer[64];
  const char *name = tl_function_name(L, buffer, sizeof buffer);
  name = name != NULL ? lua_pushfstring(L, "'%s'", name) : "this function";
  if (rt->current == NULL) {
    lua_pushfstring(L,
                    "%s can only be called inside a task: use tide.run(function), or run the "
                    "script with the program tide",
                    name);
    tl_raise_message(L, rt, TIDE_ENO_TASK, lua_tostring(L, -1));
    return NULL;
  }
  if (rt->current->task.state != TIDE_TASK_RUNNING) {
    tide_task_detach(&rt->current->task);
    raise_foreign_resume(L, rt, "an earlier wait went to");
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
  if (TL_UNLIKELY(rt->debugging)) tl_debug_cancelled(L, rt);
  tl_cancelled_push(L, rt);
  return lua_error(L);
}

int tl_raise_outcome(lua_State *L, tl_runtime *rt, int outcome) {
  if (outcome == TIDE_ECANCELLED) return tl_raise_cancelled(L, rt);
  return tl_raise(L, rt, outcome);
}

static int call_again(lua_State *L, int status, lua_KContext ctx) {
  const tl_recall *recall = (const tl_recall *)ctx;
  tl_runtime *rt = tl_rt(L);
  if (rt->waking && rt->current->task.outcome != TIDE_OK && recall->abandoned != NULL)
    recall->abandoned(L);
  tl_resumed(L, rt, status);
  void *self = lua_touserdata(L, 1);
  rt->last[recall->class] = self; /* its next method is likely to be called now */
  return tl_call(L, rt, recall, self);
}

int tl_call(lua_State *L, tl_runtime *rt, const tl_recall *recall, void *self) {
  int results = recall->attempt(L, rt, self);
  return results == TL_AGAIN ? tl_wait(L, (lua_KContext)recall, call_again) : results;
}
