/* wait.c: what is common to all that waits: who may, and what an outcome raises. */
#include <string.h>

#include "bindings.h"

char tl_marker;

/* Of the module, a name and its table on top, which are popped: replaces the function at `function`
 * by "module.name" where the module has it; whether it does. */
static bool name_in_module(lua_State *L, int function) {
  int module = lua_gettop(L);
  bool found = false;
  if (lua_type(L, module - 1) == LUA_TSTRING && lua_istable(L, module)) {
    for (lua_pushnil(L); !found && lua_next(L, module) != 0; lua_pop(L, 1)) {
      found = lua_rawequal(L, function, -1) && lua_type(L, -2) == LUA_TSTRING;
      if (!found) continue;
      lua_pushfstring(L, "%s.%s", lua_tostring(L, module - 1), lua_tostring(L, -2));
      lua_replace(L, function);
    }
  }
  lua_settop(L, module - 2);
  return found;
}

/* Replaces the function on top by "module.name", as the loaded modules have it, Lua's own before
 * others, which may have taken it from there; or by nil. */
static void push_known_name(lua_State *L) {
  static const char *const lua[] = {"_G", "table", "string", "utf8", "io", "package"};
  int function = lua_gettop(L);
  bool found = false;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (size_t i = 0; !found && i < sizeof lua / sizeof lua[0]; i++) {
    lua_pushstring(L, lua[i]);
    lua_getfield(L, function + 1, lua[i]);
    found = name_in_module(L, function);
  }
  for (lua_pushnil(L); !found && lua_next(L, function + 1) != 0;) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    found = name_in_module(L, function);
  }
  lua_settop(L, function);
  if (found) return;
  lua_pushnil(L);
  lua_replace(L, function);
}

/* Whether the function on top is tide's: those can be waited in. */
static bool is_ours(lua_State *L, const tl_runtime *rt) {
  int top = lua_gettop(L);
  bool ours = lua_getupvalue(L, -1, 1) != NULL && lua_touserdata(L, -1) == rt;
  lua_settop(L, top);
  return ours;
}

/* Lua's own can be suspended in the middle, and have no name: globals are tide's. */
bool tl_is_original(lua_State *L) {
  static const char *const originals[] = {"pcall", "xpcall"};
  int function = lua_gettop(L);
  bool is = false;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "tide") == LUA_TTABLE && lua_getfield(L, -1, "raw") == LUA_TTABLE) {
    for (size_t i = 0; !is && i < sizeof originals / sizeof originals[0]; i++) {
      lua_getfield(L, function + 3, originals[i]);
      is = lua_rawequal(L, function, -1);
      lua_pop(L, 1);
    }
  }
  lua_settop(L, function);
  return is;
}

/* Replaces the function of C's on top by what to call it, or by nil where it is not in the way. Who
 * is called by C only, such as a task's body, has no name. */
static void name_culprit(lua_State *L, const lua_Debug *ar) {
  bool transparent = tl_is_original(L);
  push_known_name(L);
  const char *name = lua_tostring(L, -1);
  if (name != NULL && strncmp(name, "_G.", 3) == 0) {
    lua_pushstring(L, name + 3);
    lua_replace(L, -2);
    name = lua_tostring(L, -1);
    transparent = strcmp(name, "dofile") == 0 || strcmp(name, "pairs") == 0;
    if (strcmp(name, "error") == 0 || strcmp(name, "assert") == 0)
      lua_pushliteral(L, "a message handler of xpcall");
  } else if (name == NULL && strcmp(ar->namewhat, "for iterator") == 0) {
    lua_pushliteral(L, "an iterator of C's, such as that of ipairs");
  } else if (name == NULL && ar->name != NULL) {
    lua_pushfstring(L, "'%s', a function of C's", ar->name);
  } else {
    lua_pushvalue(L, -1);
  }
  lua_remove(L, -2);
  if (!transparent) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

/* Pushes the name of the first function of `co`, from `level` on outward, that cannot be suspended
 * in the middle; or nothing. */
static bool push_culprit_of(lua_State *L, const tl_runtime *rt, lua_State *co, int level) {
  lua_Debug ar;
  for (; lua_getstack(co, level, &ar); level++) {
    if (!lua_checkstack(co, 2)) return false;
    lua_getinfo(co, "Snf", &ar);
    if (co != L) lua_xmove(co, L, 1);
    bool handles = tl_protect_handles(lua_tocfunction(L, -1));
    bool finalizer = strcmp(ar.namewhat, "metamethod") == 0 && strstr(ar.name, "gc") != NULL;
    bool hook = strcmp(ar.namewhat, "hook") == 0;
    if (handles || finalizer || hook) {
      lua_pop(L, 1);
      lua_pushstring(L, handles     ? "a message handler of xpcall"
                        : finalizer ? "a finalizer (__gc)"
                                    : "a debug hook");
      return true;
    }
    if (ar.what[0] != 'C' || is_ours(L, rt)) {
      lua_pop(L, 1);
      continue;
    }
    name_culprit(L, &ar);
    if (!lua_isnil(L, -1)) return true;
    lua_pop(L, 1);
  }
  return false;
}

/* The innermost that cannot be suspended: only what it consists of can be to blame. */
void tl_culprit_push(lua_State *L, const tl_runtime *rt) {
  lua_State *co = L;
  int level = 1;
  for (const tl_nesting *nesting = rt->nesting;; nesting = nesting->outer) {
    if (!lua_isyieldable(co) && push_culprit_of(L, rt, co, level)) return;
    if (nesting == NULL || nesting->closing != NULL) break;
    co = nesting->resumer;
    level = 0;
  }
  lua_pushnil(L);
}

/* What is being closed, further out or here; or NULL. */
static const char *closing(const tl_runtime *rt) {
  const tl_nesting *nesting = rt->nesting;
  while (nesting != NULL && nesting->closing == NULL) nesting = nesting->outer;
  return nesting != NULL ? nesting->closing : NULL;
}

static int raise_cannot_wait(lua_State *L, const tl_runtime *rt, const char *name) {
  tl_culprit_push(L, rt);
  const char *inside = lua_tostring(L, -1), *cleanup = closing(rt);
  if (cleanup != NULL) tl_close_refused(L);
  if (inside != NULL)
    lua_pushfstring(
        L,
        "%s cannot wait here, inside %s: Lua cannot suspend there; do the waiting before "
        "the call, or in a task of its own",
        name, inside);
  else
    lua_pushfstring(L, "%s cannot wait here: this is %s; do the waiting in a task of its own", name,
                    cleanup != NULL ? cleanup : "a call that the host made");
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
  if (tl_is_closing(rt) && rt->nesting->co == L) tl_close_rest(L);
  raise_foreign_resume(L, rt, "a coroutine that waits in a task was resumed by");
}

tl_task *tl_waiter_failed(lua_State *L, const tl_runtime *rt) {
  char buffer[64];
  const char *name = tl_function_name(L, buffer, sizeof buffer);
  name = name != NULL ? lua_pushfstring(L, "'%s'", name) : "this function";
  if (rt->current == NULL) {
    if (rt->loop != NULL && tide_loop_turning(rt->loop))
      lua_pushfstring(
          L,
          "%s cannot wait here: the loop calls this between tasks, as it does callbacks "
          "(call_soon, call_later, add_done_callback) and failure reports; for what "
          "waits start a task in here: tide.spawn(function)",
          name);
    else
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

/* Turns. */

/* In a cancelled scope, turns that calls take which do not raise there: after so many, each after
 * TL_CALLS_PER_TURN calls, one raises, so that an endless loop of such calls ends. */
enum { HELD_MAX = UINT8_MAX };

static lua_KContext running_function(lua_State *L) {
  lua_Debug ar;
  lua_getstack(L, 0, &ar);
  lua_getinfo(L, "f", &ar);
  lua_CFunction function = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return (lua_KContext)function;
}

static int turned(lua_State *L, int status, lua_KContext function) {
  tl_runtime *rt = tl_rt(L);
  tl_resumed(L, rt, status);
  rt->current->held = 0;
  return ((lua_CFunction)function)(L);
}

int tl_turn_to(lua_State *L, tl_runtime *rt, lua_CFunction function) {
  tide_task_yield(&rt->current->task);
  return tl_wait(L, (lua_KContext)function, turned);
}

int tl_turn(lua_State *L, tl_runtime *rt) {
  return tl_turn_to(L, rt, (lua_CFunction)running_function(L));
}

static int turned_held(lua_State *L, int status, lua_KContext function) {
  tl_runtime *rt = tl_rt(L);
  (void)status;
  lua_pop(L, 1);
  tl_woken(L, rt);
  tl_task *task = rt->current;
  task->held = task->task.outcome == TIDE_OK ? 0 : task->held + 1;
  if (task->held == HELD_MAX) return tl_raise_outcome(L, rt, task->task.outcome);
  return ((lua_CFunction)function)(L);
}

int tl_turn_held(lua_State *L, tl_runtime *rt) {
  tide_task_yield(&rt->current->task);
  return tl_wait(L, running_function(L), turned_held);
}

/* For the Lua part's functions. */

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

/* tide.begins(): first thing in a function that waits: raises where it cannot, and in a cancelled
 * scope */
static int begins(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (task != NULL && !tide_task_cancelled(&task->task)) return 0;
  return tl_turn_to(L, rt, nothing);
}

/* tide.counts(): first thing in a function that waits only if one does that it calls */
static int counts(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  return TL_UNLIKELY(tl_is_due(L, rt)) ? tl_turn_held(L, rt) : 0;
}

void tl_wait_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"begins", begins}, {"counts", counts}, {NULL, NULL}};
  tl_functions(L, rt, functions);
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
