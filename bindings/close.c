/* close.c: ending coroutines in the middle of what they do: of tasks that are killed, of generators
 * that are dropped, by coroutine.close.
 *
 * Lua does it by lua_resetthread, which runs the <close> variables. Until 5.4.9 that leaves one
 * thing as it was: the message handler of the innermost protected call, although all calls are
 * gone. What lies in its place on the stack is then called for an error in a `<close>`, and later
 * in whatever uses the coroutine again. So a coroutine is resumed once before, not to go on, but to
 * be suspended again in a protected call without a handler. */
#include "close.h"

#include "body.h"
#include "coroutine.h"
#include "culprit.h"
#include "end.h"
#include "generator.h"
#include "interrupt.h"
#include "nesting.h"
#include "protect.h"
#include "report.h"
#include "runtime.h"
#include "serve.h"
#include "traceback.h"

enum {
  DEPTH = 180,     /* of closings inside each other: Lua 5.4.4 has no limit of its own here */
  PATIENCE = 1000, /* waits that are refused to a cleanup before it is ended */
  TRIES = 8,       /* a resume may fail for want of memory, and be caught by what it was to end */
};

static int rest(lua_State *L) { return lua_yield(L, 0); }

static int rest_again(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return lua_yieldk(L, 0, ctx, rest_again);
}

int tl_close_rest(lua_State *L) {
  lua_pushcfunction(L, rest);
  return rest_again(L, lua_pcallk(L, 0, 0, 0, 0, rest_again), 0);
}

/* Whether it is suspended in a function of tide's, whose continuation comes to tl_close_rest. */
static bool can_rest(const tl_runtime *rt, lua_State *co) {
  lua_Debug ar;
  if (lua_status(co) != LUA_YIELD || !lua_getstack(co, 0, &ar)) return false;
  lua_getinfo(co, "f", &ar);
  int function = lua_gettop(co);
  bool can = lua_getupvalue(co, function, 1) != NULL && lua_touserdata(co, -1) == rt;
  lua_settop(co, function - 1);
  return can;
}

static void drop_handler(lua_State *L, tl_runtime *rt, lua_State *co) {
  bool waking = rt->step.waking;
  int results;
  if (!lua_checkstack(co, LUA_MINSTACK)) return;
  rt->step.waking = false;
  for (int i = 0; i < TRIES && can_rest(rt, co); i++) lua_resume(co, L, 0, &results);
  rt->step.waking = waking;
}

/* A <close> that waits for ever, although each wait is refused, is ended by errors in each of its
 * instructions; the next <close> is called at the bottom of the stack, and runs in peace. */
static void end_cleanup(lua_State *L, lua_Debug *ar) {
  lua_Debug further;
  if (ar->event != LUA_HOOKCALL)
    luaL_error(L, "a <close> that goes on waiting where it cannot was ended");
  if (lua_getstack(L, 1, &further)) return;
  const tl_runtime *rt = tl_runtime_find(L);
  tl_hook_reset(rt, L);
  tl_nesting *closing = tl_innermost_closing(rt->nesting);
  if (closing != NULL) closing->refused = 0;
}

void tl_close_refused(lua_State *L) {
  tl_nesting *closing = tl_innermost_closing(tl_runtime_find(L)->nesting);
  if (++closing->refused < PATIENCE) return;
  lua_sethook(L, end_cleanup, LUA_MASKCALL | LUA_MASKCOUNT, 1);
  lua_sethook(closing->co, end_cleanup, LUA_MASKCALL | LUA_MASKCOUNT, 1);
}

int tl_coroutine_reset(lua_State *L, tl_runtime *rt, lua_State *co, const char *what) {
  tl_nesting *outer = rt->nesting;
  tl_nesting nesting = {
      .outer = outer,
      .resumer = L,
      .co = co,
      .scope = (const tide_scope *)tl_coroutine_scope(rt),
      .closing = what,
      .depth = outer != NULL ? outer->depth + 1 : 1,
      .stuck = true,
  };
  if (nesting.depth > DEPTH && lua_checkstack(co, 1)) {
    lua_rawgeti(co, LUA_REGISTRYINDEX, rt->messages.too_deep);
    return LUA_ERRRUN;
  }
  rt->nesting = &nesting;
  drop_handler(L, rt, co);
  int status = lua_resetthread(co);
  if (lua_gethook(co) == end_cleanup) tl_hook_reset(rt, co);
  rt->nesting = outer;
  return status;
}

/* In protected mode: reports that what the string at 2 says has failed with the error at 1. */
static int report_close(lua_State *L) {
  lua_pushstring(L, lua_touserdata(L, 2));
  lua_pushnil(L);
  tl_report(L, tl_runtime_find(L), 3, 1, 4);
  return 0;
}

void tl_close_coroutine(lua_State *L, tl_runtime *rt, lua_State *co, const char *what) {
  if (tl_coroutine_reset(L, rt, co, what) == LUA_OK) return;
  if (tl_unwinds(co, rt, -1)) {
    lua_pop(co, 1);
    return;
  }
  lua_pushcfunction(L, report_close);
  lua_xmove(co, L, 1);
  lua_pushlightuserdata(L, (void *)(uintptr_t)what);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return;
  tl_complain(rt, "%s failed, and reporting it failed too", what);
  lua_pop(L, 1);
}

void tl_close_nested(lua_State *L, tl_runtime *rt, lua_State *co, const char *what) {
  lua_State *inner = tl_coroutine_inside(co);
  if (inner == NULL) return;
  tl_close_nested(L, rt, inner, what);
  tl_close_coroutine(L, rt, inner, what);
}

/* Errors on their way.
 *
 * A protected call has its message handler right below the function that it calls. While an error
 * leaves that function its <close> variables are called from further up, with the error below. */

/* How many values are on the stack of the function of `ar`, below what it has called. */
static int count_values(lua_State *co, const lua_Debug *ar) {
  int count = 0;
  for (; lua_getlocal(co, ar, count + 1) != NULL; count++) lua_pop(co, 1);
  return count;
}

/* How many values below the function at the level are its own: one with variable arguments is moved
 * up, behind itself and all that it was called with. The function is at `first` of the caller's. */
static int count_moved(lua_State *co, int level, const lua_Debug *caller, int first) {
  lua_Debug ar;
  int extra = 0;
  if (level < 0 || !lua_getstack(co, level, &ar) || !lua_getinfo(co, "Suf", &ar)) return 0;
  bool same = lua_getlocal(co, caller, first) != NULL;
  if (same) {
    same = lua_rawequal(co, -1, -2);
    lua_pop(co, 1);
  }
  lua_pop(co, 1);
  if (!same || !ar.isvararg || ar.what[0] == 'C') return 0;
  for (; lua_getlocal(co, &ar, -(extra + 1)) != NULL; extra++) lua_pop(co, 1);
  return 1 + ar.nparams + extra;
}

/* Pushes onto L the error that is leaving what the function of `ar`, one of tide's, has called in
 * protected mode, if one is. */
static bool push_leaving(lua_State *L, lua_State *co, int level, const lua_Debug *ar,
                         bool is_child) {
  int count = count_values(co, ar), handler = 0;
  bool found = false;
  while (!found && handler < count && handler < 3) {
    lua_getlocal(co, ar, ++handler);
    found = lua_tocfunction(co, -1) == tl_message_handler;
    lua_pop(co, 1);
  }
  int below = handler + (is_child ? 1 : 0);
  if (!found || count == below || count == below + count_moved(co, level - 1, ar, below + 1))
    return false;
  lua_getlocal(co, ar, count);
  lua_xmove(co, L, 1);
  if (!tl_generator_exits(L, -1)) return true;
  lua_pop(L, 1); /* of a generator that is being closed, in one that goes on */
  return false;
}

lua_State *tl_error_leaving_push(lua_State *L, const tl_runtime *rt, lua_State *co) {
  lua_Debug ar;
  int depth = 0;
  if (!lua_checkstack(co, 3)) return NULL;
  while (lua_getstack(co, depth, &ar)) depth++;
  for (int level = depth - 1; level >= 0; level--) {
    lua_getstack(co, level, &ar);
    lua_getinfo(co, "f", &ar);
    lua_CFunction function = lua_tocfunction(co, -1);
    lua_xmove(co, L, 1);
    bool holds = tl_protect_holds(function) || tl_coroutine_holds(function) ||
                 tl_serve_holds(function) || (function != NULL && tl_is_original(L));
    lua_pop(L, 1);
    if (holds) return NULL;
    if (function != NULL && push_leaving(L, co, level, &ar, tl_is_child_body(function))) return co;
  }
  lua_State *inner = tl_coroutine_inside(co);
  return inner != NULL ? tl_error_leaving_push(L, rt, inner) : NULL;
}
