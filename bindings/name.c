/* name.c: how the program calls a function of tide's: by the name at the call, or the one that it
 * has in its module or among the methods of its object. */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "name.h"
#include "place.h"

/* Whether the table on top, which is popped, has the function below it; its name, then. */
static bool find_name(lua_State *L, char *buffer, size_t size) {
  int table = lua_gettop(L);
  bool found = false;
  if (lua_istable(L, table)) {
    for (lua_pushnil(L); !found && lua_next(L, table) != 0; lua_pop(L, 1)) {
      found = lua_rawequal(L, -1, table - 1) && lua_type(L, -2) == LUA_TSTRING;
      if (found) snprintf(buffer, size, "%s", lua_tostring(L, -2));
    }
  }
  lua_settop(L, table - 1);
  return found;
}

/* Whether the function on top, which stays, is in the module of that name; its name there. */
static bool find_in_module(lua_State *L, const char *module, char *buffer, size_t size) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, module);
  lua_remove(L, -2);
  return find_name(L, buffer, size);
}

/* For functions that were called through pcall, say: looks among the methods of the first argument,
 * then in the modules. */
static const char *search_name(lua_State *L, lua_Debug *ar, char *buffer, size_t size) {
  int top = lua_gettop(L);
  if (!lua_checkstack(L, 8)) return NULL;
  lua_getinfo(L, "f", ar);
  bool found = top >= 1 && luaL_getmetafield(L, 1, "__index") != LUA_TNIL;
  if (found) found = find_name(L, buffer, size);
  found = found || find_in_module(L, "tide", buffer, size) ||
          find_in_module(L, "tide.net", buffer, size);
  lua_settop(L, top);
  return found ? buffer : NULL;
}

/* Finds the outermost of the functions that run and that tide's own Lua has called. */
static void find_entry(lua_State *L, lua_Debug *entry) {
  lua_Debug caller;
  for (int level = 1; lua_getstack(L, level, &caller); level++, *entry = caller)
    if (!lua_getinfo(L, "S", &caller) || !tl_place_is_tides(&caller)) break;
}

/* A loop's "for iterator" is its word, not ours. */
static bool is_named(const lua_Debug *ar) {
  return ar->name != NULL && strcmp(ar->namewhat, "for iterator") != 0;
}

const char *tl_function_name(lua_State *L, char *buffer, size_t size) {
  lua_Debug running, entry;
  if (!lua_getstack(L, 0, &running)) return NULL;
  entry = running;
  find_entry(L, &entry);
  if (lua_getinfo(L, "n", &entry) && is_named(&entry)) {
    snprintf(buffer, size, "%s", entry.name);
    return buffer;
  }
  const char *name = search_name(L, &entry, buffer, size);
  return name != NULL ? name : search_name(L, &running, buffer, size);
}
