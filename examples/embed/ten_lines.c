/* tide in ten lines of a host's: open a state, run a script that waits. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <tide_lua.h>

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "tide", luaopen_tide, 1);
  const char *script =
      argc > 1 ? argv[1]
               : "tide.run(function()\n"
                 "  local hello = tide.spawn(function() tide.sleep(0.02) return 'hello' end)\n"
                 "  print(hello:await(), 'after', #tide.all_tasks(), 'task')\n"
                 "end)";
  int status = luaL_dostring(L, script);
  if (status != LUA_OK) fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return status;
}
