/* exit.c: leaving with a status: tide.exit, and what the end of a process owes the script. */
#include <stdlib.h>
#include <string.h>

#include "class.h"
#include "close.h"
#include "interrupt.h"
#include "parts.h"
#include "run.h"
#include "runtime.h"
#include "task.h"
#include "tide_lua.h"

static int check_status(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return EXIT_SUCCESS;
  if (lua_isboolean(L, index)) return lua_toboolean(L, index) ? EXIT_SUCCESS : EXIT_FAILURE;
  lua_Integer status = luaL_checkinteger(L, index);
  luaL_argcheck(L, status >= 0 && status <= 255, index, "must be a boolean or from 0 to 255");
  return (int)status;
}

/* Whether a finalizer runs. An error out of it would end nothing and become a warning, and the task
 * that it has interrupted has nothing to do with it. */
static bool in_finalizer(lua_State *L) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "n", &ar);
    if (strcmp(ar.namewhat, "metamethod") == 0 && strcmp(ar.name, "__gc") == 0) return true;
  }
  return false;
}

/* tide.exit([status]): does not return but in a finalizer, or outside of the loop */
static int exit_(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  int status = check_status(L, 1);
  tide_loop *loop = tl_loop(L, rt);
  tl_run_leave(L, rt, status);
  return tide_loop_turning(loop) && !in_finalizer(L) ? tl_unwind(L, rt, "exit") : 0;
}

/* The outermost coroutine, of those that run, of a task that is being killed; or NULL. */
static const tl_nesting *find_killed(const tl_runtime *rt) {
  const tl_nesting *found = NULL;
  for (const tl_nesting *nesting = rt->nesting; nesting != NULL; nesting = nesting->outer)
    if (nesting->closing != NULL && strcmp(nesting->closing, TL_KILLED) == 0) found = nesting;
  return found;
}

/* The coroutines that run, from the innermost outward, have open what is to be closed; who calls is
 * one of them, and will not go on. They are the root's, and within those of tasks that it kills. */
static void unwind_running(tl_runtime *rt, tl_task *root) {
  static const char what[] = "a <close> variable at the end of the script";
  const tl_nesting *killed = find_killed(rt);
  rt->L = rt->main;
  for (tl_nesting *nesting = rt->nesting; nesting != NULL; rt->nesting = nesting = nesting->outer) {
    if (killed == NULL) rt->current = root;
    tl_close_coroutine(rt->L, rt, nesting->co, what);
    if (nesting == killed) killed = NULL;
  }
  rt->current = root;
  tl_close_coroutine(rt->L, rt, root->co, what);
}

void tide_lua_unwind_main(lua_State *L) {
  tl_runtime *rt;
  tl_task *root = tl_runtime_ask(L, &rt) == TIDE_OK ? rt->run.root : NULL;
  if (root == NULL || root->task.state == TIDE_TASK_ENDED) return;
  if (root->task.state == TIDE_TASK_RUNNING)
    unwind_running(rt, root);
  else
    tl_task_kill(rt->L, root);
}

void tl_exit_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"exit", exit_}, {NULL, NULL}};
  tl_functions(L, rt, functions);
}
