/* text.c: errors as texts. */
#include "text.h"

#include <lauxlib.h>

/* In protected mode: an error's __tostring may fail. */
static int to_text(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

const char *tl_text_of(lua_State *L) {
  lua_pushcfunction(L, to_text);
  lua_insert(L, -2);
  return lua_pcall(L, 1, 1, 0) == LUA_OK ? lua_tostring(L, -1) : "an error whose __tostring failed";
}
