/* coroutine.c: coroutine.* that pass a task's waits outward, through any depth.
 *
 * A coroutine that waits (as part of a task) has tl_marker's address on top of its stack. resume
 * and wrap see it, suspend their own coroutine in the same manner, and resume inward when the
 * scheduler has resumed them. */
#include "coroutine.h"
#include "class.h"
#include "close.h"
#include "culprit.h"
#include "error.h"
#include "generator.h"
#include "greenlet.h"
#include "interrupt.h"
#include "local.h"
#include "nesting.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"
#include "traceback.h"
#include "wait.h"

static lua_State *check_coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co != NULL, 1, "coroutine");
  return co;
}

typedef enum { SUSPENDED, RUNNING, NORMAL, DEAD } status_of;

static status_of status(lua_State *L, lua_State *co) {
  lua_Debug ar;
  if (L == co) return RUNNING;
  if (tl_coroutine_waits(co)) return NORMAL;
  switch (lua_status(co)) {
  case LUA_YIELD:
    return SUSPENDED;
  case LUA_OK:
    if (lua_getstack(co, 0, &ar)) return NORMAL;
    return lua_gettop(co) == 0 ? DEAD : SUSPENDED;
  default:
    return DEAD;
  }
}

static const char *const status_names[] = {"suspended", "running", "normal", "dead"};

static int fail(lua_State *L, const char *message) {
  lua_pushstring(L, message);
  return -1;
}

/* Moves the arguments over and resumes. */
static int start(lua_State *L, tl_runtime *rt, lua_State *co, int arguments, lua_KContext scope,
                 bool *waiting) {
  *waiting = false;
  if (tl_coroutine_waits(co)) return fail(L, "cannot resume a coroutine that waits in a task");
  if (!lua_checkstack(co, arguments)) return fail(L, "too many arguments to resume");
  if (status(L, co) != SUSPENDED) {
    lua_pushfstring(L, "cannot resume %s coroutine",
                    status(L, co) == DEAD ? "dead" : "non-suspended");
    return -1;
  }
  tl_coroutine_prepare(L, rt, co);
  lua_xmove(L, co, arguments);
  return tl_coroutine_resume(L, rt, co, arguments, scope, waiting);
}

/* The scheduler resumed L: resumes inward, where the outcome is waited for. */
int tl_coroutine_go_on(lua_State *L, tl_runtime *rt, lua_State *co, lua_KContext scope,
                       bool *waiting) {
  if (!rt->step.waking) tl_not_woken(L, rt);
  lua_pop(L, 1); /* this coroutine's marker; that of co is its continuation's */
  return tl_coroutine_resume(L, rt, co, 0, scope, waiting);
}

/* Closes a coroutine that failed, and raises its error with the caller's position. */
static int raise_failed(lua_State *L, lua_State *co) {
  int state = lua_status(co);
  if (state != LUA_OK && state != LUA_YIELD) {
    tl_traceback_capture(L, co);
    lua_pushvalue(co, -1); /* its own error; that on L may be what leaving its scopes made of it */
    lua_xmove(co, L, 1);
    state = tl_coroutine_reset(L, tl_rt(L), co, "the cleanup of a coroutine that failed");
    lua_xmove(co, L, 1);
    lua_settop(L, lua_rawequal(L, -1, -2) ? -3 : -1);
  }
  if (state != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int resume_results(lua_State *L, int results) {
  if (TL_UNLIKELY(results < 0) && tl_unwinds(L, tl_rt(L), -1))
    return raise_failed(L, lua_tothread(L, 1));
  lua_pushboolean(L, results >= 0);
  if (results < 0) results = 1;
  lua_insert(L, -(results + 1));
  return results + 1;
}

static int resume_again(lua_State *L, int code, lua_KContext scope);

static lua_State *resumed(lua_State *L) { return lua_tothread(L, 1); }

static const tl_resumer resume_ops = {resume_again, resumed, resume_results};

static int resume_again(lua_State *L, int code, lua_KContext scope) {
  bool waiting;
  tl_runtime *rt = tl_rt(L);
  (void)code;
  int results = tl_coroutine_go_on(L, rt, resumed(L), scope, &waiting);
  return tl_coroutine_back(L, rt, &resume_ops, scope, results, waiting);
}

/* coroutine.resume(co, ...) -> true, values... | false, error */
static int co_resume(lua_State *L) {
  bool waiting;
  tl_runtime *rt = tl_rt(L);
  lua_State *co = check_coroutine(L);
  lua_KContext scope = tl_coroutine_scope(rt);
  int results = start(L, rt, co, lua_gettop(L) - 1, scope, &waiting);
  return tl_coroutine_back(L, rt, &resume_ops, scope, results, waiting);
}

static int wrap_again(lua_State *L, int code, lua_KContext scope);

static lua_State *of_wrap(lua_State *L) { return lua_tothread(L, lua_upvalueindex(2)); }

static int wrap_results(lua_State *L, int results) {
  return results < 0 ? raise_failed(L, of_wrap(L)) : results;
}

static const tl_resumer wrap_ops = {wrap_again, of_wrap, wrap_results};

static int wrap_again(lua_State *L, int code, lua_KContext scope) {
  bool waiting;
  tl_runtime *rt = tl_rt(L);
  (void)code;
  int results = tl_coroutine_go_on(L, rt, of_wrap(L), scope, &waiting);
  return tl_coroutine_back(L, rt, &wrap_ops, scope, results, waiting);
}

static int wrapped(lua_State *L) {
  bool waiting;
  tl_runtime *rt = tl_rt(L);
  lua_KContext scope = tl_coroutine_scope(rt);
  int results = start(L, rt, of_wrap(L), lua_gettop(L), scope, &waiting);
  return tl_coroutine_back(L, rt, &wrap_ops, scope, results, waiting);
}

static int co_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static int co_wrap(lua_State *L) {
  co_create(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, -2);
  lua_pushcclosure(L, wrapped, 2);
  return 1;
}

/* As Lua does, but with the name of what is in the way. */
TL_COLD static void refuse_yield(lua_State *L, const tl_runtime *rt) {
  if (lua_pushthread(L)) luaL_error(L, "attempt to yield from outside a coroutine");
  tl_culprit_push(L, rt);
  const char *inside = lua_tostring(L, -1);
  luaL_error(L, "attempt to yield across a C-call boundary%s%s", inside != NULL ? ", inside " : "",
             inside != NULL ? inside : "");
}

void tl_coroutine_refuse_yield(lua_State *L, const tl_runtime *rt) {
  if (!lua_isyieldable(L)) refuse_yield(L, rt);
  tl_raise_message(L, rt, TIDE_EINVALID_STATE,
                   "a scope, timeout or TaskGroup that was opened in this coroutine is open: who "
                   "resumed it would run inside; leave it before you yield");
}

/* What yield returns is what resume was given; unless the coroutine is being closed. */
static int yielded(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  if (TL_UNLIKELY(tl_is_closing(((const tl_runtime *)ctx)->nesting))) return tl_close_rest(L);
  return lua_gettop(L);
}

/* Whether that is a greenlet's own coroutine. */
static bool is_greenlets(const tl_runtime *rt, const lua_State *co) {
  const tl_nesting *nesting = rt->nesting;
  if (nesting == NULL || nesting->co != co) return false;
  return nesting->greenlet != (nesting->outer != NULL ? nesting->outer->greenlet : NULL);
}

/* coroutine.yield(...): not out of a task itself, or a greenlet: nobody would get the values. */
static int co_yield (lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  if (TL_UNLIKELY(is_greenlets(rt, L)))
    return luaL_error(L, "attempt to yield from a greenlet: 'coroutine.yield' belongs inside a "
                         "coroutine; greenlets switch to each other");
  if (TL_UNLIKELY(rt->current != NULL && rt->current->co == L))
    return luaL_error(L, "attempt to yield from a task: 'coroutine.yield' belongs inside a "
                         "coroutine; to let other tasks run, call tide.sleep(0)");
  tl_coroutine_check_yield(L, rt);
  return lua_yieldk(L, lua_gettop(L), (lua_KContext)rt, yielded);
}

static int co_status(lua_State *L) {
  lua_pushstring(L, status_names[status(L, check_coroutine(L))]);
  return 1;
}

/* Whoever has a task's coroutine may keep things by it: it will not be another task's. */
static int co_running(lua_State *L) {
  tl_task *task = tl_rt(L)->current;
  if (task != NULL && task->co == L) task->seen = true;
  lua_pushboolean(L, lua_pushthread(L));
  return 2;
}

static int co_isyieldable(lua_State *L) {
  lua_State *co = lua_isnone(L, 1) ? L : check_coroutine(L);
  const tl_runtime *rt = tl_rt(L);
  bool is_task = rt->current != NULL && rt->current->co == co;
  lua_pushboolean(L, !is_task && !is_greenlets(rt, co) && lua_isyieldable(co));
  return 1;
}

static int co_close(lua_State *L) {
  lua_State *co = check_coroutine(L);
  status_of now = status(L, co);
  if (now != DEAD && now != SUSPENDED)
    return luaL_error(L, "cannot close a %s coroutine%s", status_names[now],
                      tl_coroutine_waits(co) ? " (it waits in a task)" : "");
  if (tl_coroutine_reset(L, tl_rt(L), co, "the cleanup of a closed coroutine") == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return tl_unwinds(L, tl_rt(L), -1) ? lua_error(L) : 2;
}

/* The coroutine that the function on top, of the frame, has resumed; or NULL. */
static lua_State *resumed_by(lua_State *co, lua_Debug *ar) {
  lua_CFunction function = lua_tocfunction(co, -1);
  lua_State *inner = tl_generator_inside(co, -1);
  if (inner == NULL) inner = tl_greenlet_inside(co, ar, function);
  if (inner != NULL) return inner;
  if (function == wrapped)
    lua_getupvalue(co, -1, 2);
  else if (function != co_resume || lua_getlocal(co, ar, 1) == NULL)
    return NULL;
  inner = lua_tothread(co, -1);
  lua_pop(co, 1);
  return inner;
}

lua_State *tl_coroutine_at(lua_State *co, int level) {
  lua_Debug ar;
  if (!lua_getstack(co, level, &ar) || !lua_checkstack(co, 4)) return NULL;
  lua_getinfo(co, "f", &ar);
  lua_State *inner = resumed_by(co, &ar);
  lua_pop(co, 1);
  return inner;
}

lua_State *tl_coroutine_inside(lua_State *co) {
  lua_State *inner = tl_coroutine_at(co, 0);
  return inner != NULL && tl_coroutine_waits(inner) ? inner : NULL;
}

bool tl_coroutine_holds(lua_CFunction function) { return function == co_resume; }

void tl_coroutine_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"create", co_create}, {"wrap", co_wrap},
                                       {"resume", co_resume}, {"yield", co_yield },
                                       {"status", co_status}, {"running", co_running},
                                       {"close", co_close},   {"isyieldable", co_isyieldable},
                                       {NULL, NULL}};
  if (rt->options.keep & TIDE_LUA_KEEP_COROUTINE)
    lua_newtable(L);
  else
    lua_getglobal(L, "coroutine");
  tl_functions(L, rt, functions);
  lua_setfield(L, -2, "coroutine");
}
