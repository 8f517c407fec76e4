/* loops.c: whether the loop of a generic `for` is still being run. as_completed has no closing
 * value, which Lua before 5.4.5 miscompiles `break` with; so it looks for itself on the stacks
 * where it was called. */
#include <string.h>

#include "join.h"

bool tl_loop_calls(lua_State *L) {
  lua_Debug ar;
  return lua_getstack(L, 0, &ar) && lua_getinfo(L, "n", &ar) != 0 &&
         strcmp(ar.namewhat, "for iterator") == 0;
}

/* Whether a variable of that name, with the value of the iterator, says that a loop runs. Of
 * functions without names in their code that cannot be told: they have no lines either. */
static bool is_loops(const char *name, const lua_Debug *ar) {
  return strcmp(name, "(for state)") == 0 || ar->currentline < 0;
}

bool tl_loop_runs(lua_State *L, lua_State *co, int function) {
  lua_Debug ar;
  const char *name;
  int status = lua_status(co);
  if ((status != LUA_OK && status != LUA_YIELD) || !lua_checkstack(co, 1)) return false;
  for (int level = 0; lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "Sl", &ar);
    for (int n = 1; ar.what[0] != 'C' && (name = lua_getlocal(co, &ar, n)) != NULL; n++) {
      if (co != L) lua_xmove(co, L, 1);
      bool same = lua_rawequal(L, -1, function);
      lua_pop(L, 1);
      if (same && is_loops(name, &ar)) return true;
    }
  }
  return false;
}
