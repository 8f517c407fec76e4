/* callback.c: what tide.callback and tide.await_callback, in lua/tide/callback.lua, are made of. */
#include "class.h"
#include "error.h"
#include "owned.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"

/* While it is there the loop waits for somebody outside. */
typedef struct tl_hold {
  tide_loop *loop; /* NULL: it was let go of */
} tl_hold;

static void let_go(tl_runtime *rt, void *object) {
  tl_hold *self = object;
  (void)rt;
  if (self->loop != NULL) tide_loop_release(self->loop);
  self->loop = NULL;
}

/* tide.hold() -> a to-be-closed value */
static int hold(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_hold *self = tl_owned_new(L, rt, TL_HOLD, sizeof *self, 0);
  self->loop = rt->loop;
  tide_loop_hold(self->loop);
  return 1;
}

static int hold_close(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  let_go(rt, tl_check(L, rt, 1, TL_HOLD));
  return 0;
}

/* tide.spawn_beside(task, fn, ...): in the group of that task; nothing where it has ended, or is
 * to.
 */
static int spawn_beside(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  if (rt->loop == NULL) return 0;
  const tl_task *task = tl_check(L, rt, 1, TL_TASK);
  if (tide_future_ended(&task->task.future) || tide_scope_cancelled(&task->task.own)) return 0;
  tide_group *group = tide_container(task->task.own.parent, tide_group, scope);
  tl_task_spawn(L, rt, group, 0, 2);
  return 0;
}

void tl_callback_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {
      {"hold", hold}, {"spawn_beside", spawn_beside}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", hold_close}, {NULL, NULL}};
  tl_class_new(L, rt, TL_HOLD, "hold", NULL, metamethods);
  tl_owned_class(L, rt, TL_HOLD, let_go);
  tl_functions(L, rt, functions);
}
