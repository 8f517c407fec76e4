/* interrupt.c: interrupting code that does not wait, from a signal handler. The handler can only
 * leave a hook in the coroutine that runs; the hook raises the error. */
#include "interrupt.h"

#include <string.h>

#include "end.h"
#include "error.h"
#include "nesting.h"
#include "reason.h"
#include "runtime.h"
#include "task.h"
#include "tide_lua.h"

int tl_unwind(lua_State *L, tl_runtime *rt, const char *reason) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  rt->interrupt.unwound = tide_loop_steps(rt->loop);
  if (rt->current != NULL) {
    lua_pushstring(L, reason); /* NULL: nil, which is none */
    tl_reason_set(L, rt, &rt->current->task.own, lua_gettop(L));
    lua_pop(L, 1);
    tide_task_cancel_through(&rt->current->task);
    return tl_raise_cancelled(L, rt);
  }
  tl_error_push(L, rt, TIDE_ECANCELLED, NULL);
  lua_pushstring(L, reason);
  lua_setfield(L, -2, "reason");
  return lua_error(L);
}

bool tl_unwinds(lua_State *L, const tl_runtime *rt, int index) {
  return rt->loop != NULL && rt->interrupt.unwound != 0 &&
         rt->interrupt.unwound == tide_loop_steps(rt->loop) && tl_error_is_cancel(L, rt, index);
}

/* The coroutine that runs at the moment, or NULL. One that was resumed by Lua's own functions is
 * not known. */
static lua_State *running(const tl_runtime *rt) {
  if (rt->loop == NULL) return NULL;
  if (!tide_loop_turning(rt->loop) && tide_loop_running_lane(rt->loop) == NULL) return NULL;
  if (rt->nesting != NULL) return rt->nesting->co;
  return rt->current != NULL ? rt->current->co : rt->L;
}

static tl_hook hook_of(lua_State *L) {
  return (tl_hook){
      .hook = lua_gethook(L), .mask = lua_gethookmask(L), .count = lua_gethookcount(L)};
}

static void interrupt(lua_State *L, lua_Debug *ar);

bool tl_is_interrupting(lua_State *co) { return lua_gethook(co) == interrupt; }

tl_hook tl_hook_of_host(const tl_runtime *rt) {
  return lua_gethook(rt->main) == interrupt ? rt->interrupt.mains : hook_of(rt->main);
}

/* Takes the hook away. Who has inherited it gets the host's own. */
static void give_back(lua_State *L, tl_runtime *rt) {
  tl_interrupt *self = &rt->interrupt;
  tl_hook own = self->own;
  self->closed = true;
  if (self->armed == L) {
    self->armed = NULL;
    lua_sethook(L, own.hook, own.mask, own.count);
  } else {
    tl_hook_reset(rt, L);
  }
  self->closed = false;
}

/* Leaves the hook in a coroutine, of which it keeps what it had: of the main thread, and of one
 * other. */
static void arm(tl_runtime *rt, lua_State *co) {
  tl_interrupt *self = &rt->interrupt;
  if (lua_gethook(co) != interrupt) {
    if (co == rt->main) {
      self->mains = hook_of(co);
    } else if (self->armed == NULL || self->armed == co || lua_gethook(co) != NULL) {
      self->own = hook_of(co);
      self->armed = co;
    }
  }
  lua_sethook(co, interrupt, LUA_MASKCOUNT, 1);
}

/* What it was resumed in is not to hold the error either. */
static void arm_resumers(tl_runtime *rt) {
  for (const tl_nesting *nesting = rt->nesting; nesting != NULL; nesting = nesting->outer)
    arm(rt, nesting->resumer);
}

void tl_interrupt_arm_all(tl_runtime *rt) {
  lua_State *co = running(rt);
  if (co == NULL || rt->interrupt.closed) return;
  arm(rt, co);
  arm_resumers(rt);
}

/* The hook. Where code goes on in a step that was interrupted already it stays in its place, until
 * the task has ended: all that runs is interrupted then, its cleanup too. So it does where a slice
 * is over. */
static void interrupt(lua_State *L, lua_Debug *ar) {
  (void)ar;
  tl_runtime *rt = tl_runtime_find(L);
  tl_interrupt *self = &rt->interrupt;
  if (tl_limits_over(rt)) {
    arm_resumers(rt);
    tl_limits_raise(L, rt);
  }
  const char *reason = self->reason;
  bool due = reason != NULL && running(rt) != NULL && self->step == tide_loop_steps(rt->loop);
  bool again = due && self->unwound == self->step;
  if (again)
    arm_resumers(rt);
  else
    give_back(L, rt);
  if (!due) return;
  if (!again) self->reason = NULL;
  tl_unwind(L, rt, reason);
}

/* Whether a finalizer runs in this coroutine: an error in it is nobody's but the collector's. */
static bool is_finalizing(lua_State *L) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "n", &ar);
    if (strcmp(ar.namewhat, "metamethod") == 0 && strstr(ar.name, "gc") != NULL) return true;
  }
  return false;
}

void tl_interrupt_look(lua_State *L, tl_runtime *rt) {
  if (!tl_is_interrupting(L))
    tl_limits_look(L, rt);
  else if (tl_limits_over(rt) || !is_finalizing(L))
    interrupt(L, NULL);
}

tide_lua_interrupter *tide_lua_get_interrupter(lua_State *L) {
  tl_runtime *rt;
  tl_runtime_ask(L, &rt);
  return rt;
}

bool tide_lua_main_has_ended(const tide_lua_interrupter *rt) {
  return rt->run.root != NULL && tide_future_ended(&rt->run.root->task.future);
}

void tide_lua_interrupt(tide_lua_interrupter *rt, const char *reason) {
  tl_interrupt *self = &rt->interrupt;
  lua_State *co = running(rt);
  if (co == NULL || self->closed) return;
  self->step = tide_loop_steps(rt->loop);
  self->reason = reason;
  arm(rt, co);
}
