/* interrupt.c: interrupting code that does not wait, from a signal handler. The handler can only
 * leave a hook in the coroutine that runs; the hook raises the error. */
#include "interrupt.h"
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
  if (rt->loop == NULL || !tide_loop_turning(rt->loop)) return NULL;
  if (rt->nesting != NULL) return rt->nesting->co;
  return rt->current != NULL ? rt->current->co : rt->L;
}

/* Takes the hook away. Who has inherited it gets the host's own. */
static void give_back(lua_State *L, tl_runtime *rt) {
  tl_interrupt *self = &rt->interrupt;
  self->closed = true;
  if (self->armed == L) {
    self->armed = NULL;
    lua_sethook(L, self->hook, self->mask, self->count);
  } else {
    tl_hook_reset(rt, L);
  }
  self->closed = false;
}

static void interrupt(lua_State *L, lua_Debug *ar);

/* What it was resumed in is not to hold the error either. */
static void arm_resumers(const tl_runtime *rt) {
  for (const tl_nesting *nesting = rt->nesting; nesting != NULL; nesting = nesting->outer)
    lua_sethook(nesting->resumer, interrupt, LUA_MASKCOUNT, 1);
}

/* The hook. Where code goes on in a step that was interrupted already it stays in its place, until
 * the task has ended: all that runs is interrupted then, its cleanup too. */
static void interrupt(lua_State *L, lua_Debug *ar) {
  (void)ar;
  tl_runtime *rt = tl_runtime_find(L);
  tl_interrupt *self = &rt->interrupt;
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

tide_lua_interrupter *tide_lua_get_interrupter(lua_State *L) { return tl_runtime_find(L); }

bool tide_lua_main_has_ended(const tide_lua_interrupter *rt) {
  return rt->run.root != NULL && tide_future_ended(&rt->run.root->task.future);
}

void tide_lua_interrupt(tide_lua_interrupter *rt, const char *reason) {
  tl_interrupt *self = &rt->interrupt;
  lua_State *co = running(rt);
  if (co == NULL || self->closed) return;
  self->step = tide_loop_steps(rt->loop);
  self->reason = reason;
  if (lua_gethook(co) != interrupt) {
    self->hook = lua_gethook(co);
    self->mask = lua_gethookmask(co);
    self->count = lua_gethookcount(co);
    self->armed = co;
  }
  lua_sethook(co, interrupt, LUA_MASKCOUNT, 1);
}
