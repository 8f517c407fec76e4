/* frame.c: tide.frame: waiting for the host's next frame. */
#include "parts.h"
#include "runtime.h"
#include "wait.h"

static int framed(lua_State *L, int status, lua_KContext ctx) {
  tl_runtime *rt = (tl_runtime *)ctx;
  (void)status;
  tl_outcome(L, rt);
  lua_pushnumber(L, tide_time_to_seconds(rt->current->task.wait.value.number));
  return 1;
}

/* tide.frame() (waits) -> seconds that the frame took by the host's time */
static int frame(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  return tl_finish(L, rt, tide_task_wait_frame(&task->task), (lua_KContext)rt, framed);
}

void tl_frame_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"frame", frame}, {NULL, NULL}};
  tl_functions(L, rt, functions);
}
