/* modules.c: what require may load in a state: the host's list.
 *
 * require finds what to load by functions in a table that its own `package` has. With a list each
 * of them looks at it first; and scripts get another `package`, which has neither those functions
 * nor loadlib, and whose paths nobody heeds: else an allowed name could be made to load something
 * else. What is in package.loaded the host has put there, and is nobody's to refuse. */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "modules.h"
#include "runtime.h"
#include "value.h"

/* Whether `name` is `pattern`, or one of those that begin with what is before its ".*". */
static bool matches(const char *pattern, const char *name) {
  size_t length = strlen(pattern);
  if (length > 2 && strcmp(pattern + length - 2, ".*") == 0)
    return strncmp(pattern, name, length - 1) == 0 && name[length - 1] != '\0';
  return strcmp(pattern, name) == 0;
}

bool tl_modules_part(const tl_runtime *rt, const char *part) {
  static const char prefix[] = "tide.";
  const char *const *module = rt->options.modules;
  if (module == NULL) return true;
  for (; *module != NULL; module++) {
    bool ours = strncmp(*module, prefix, sizeof prefix - 1) == 0;
    if (ours && matches(*module + sizeof prefix - 1, part)) return true;
    if (strcmp(*module, "tide.*") == 0) return true;
  }
  return false;
}

enum { ORIGINAL = 1, LIST, IS_FIRST }; /* upvalues of a searcher */

/* searcher(name, ...): the original one, for names in the list */
static int search(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lua_Integer count = (lua_Integer)lua_rawlen(L, lua_upvalueindex(LIST));
  bool found = false;
  for (lua_Integer i = 1; i <= count && !found; i++) {
    lua_rawgeti(L, lua_upvalueindex(LIST), i);
    found = matches(lua_tostring(L, -1), name);
    lua_pop(L, 1);
  }
  if (!found) {
    if (!lua_toboolean(L, lua_upvalueindex(IS_FIRST))) return 0;
    lua_pushliteral(L, "it is none of the modules that this state may load");
    return 1;
  }
  lua_pushvalue(L, lua_upvalueindex(ORIGINAL));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static void push_list(lua_State *L, const char *const *modules) {
  lua_newtable(L);
  for (lua_Integer i = 0; modules[i] != NULL; i++) {
    lua_pushstring(L, modules[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

/* Pushes searchers that look at the list on top first, for those of `package`. One is enough to say
 * why nothing is found. */
static void push_searchers(lua_State *L, int package) {
  int list = lua_gettop(L), count = 0;
  lua_newtable(L);
  if (lua_getfield(L, package, "searchers") != LUA_TTABLE) luaL_error(L, "no package.searchers");
  while (lua_rawgeti(L, list + 2, ++count) != LUA_TNIL) {
    lua_pushvalue(L, list);
    lua_pushboolean(L, count == 1);
    lua_pushcclosure(L, search, 3);
    lua_rawseti(L, list + 1, count);
  }
  lua_settop(L, list + 1);
}

/* Pushes what scripts get for `package`. */
static void push_public(lua_State *L, int package) {
  lua_newtable(L);
  int public = lua_gettop(L);
  tl_copy_fields(L, package, public);
  static const char *const hidden[] = {"searchers", "loadlib"};
  for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
    lua_pushnil(L);
    lua_setfield(L, public, hidden[i]);
  }
}

/* Sets a field that is there: needs no memory then. */
static void replace(lua_State *L, int table, int key, int value) {
  lua_pushvalue(L, key);
  lua_pushvalue(L, value);
  lua_rawset(L, table);
}

void tl_modules_open(lua_State *L, tl_runtime *rt) {
  const char *const *modules = rt->options.modules;
  rt->options.modules = NULL; /* it is the host's, and may go */
  if (modules == NULL) return;
  int top = lua_gettop(L), package = top + 2, searchers = top + 4, public = top + 5;
  luaL_checkstack(L, LUA_MINSTACK, "tide");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, top + 1, LUA_LOADLIBNAME) != LUA_TTABLE)
    luaL_error(L, "package.loaded.package is no table");
  push_list(L, modules);
  push_searchers(L, package);
  push_public(L, package);
  lua_pushliteral(L, "searchers");
  lua_pushliteral(L, LUA_LOADLIBNAME);
  lua_pushglobaltable(L);
  lua_getfield(L, top + 8, LUA_LOADLIBNAME);
  bool global = lua_rawequal(L, -1, package);
  replace(L, package, top + 6, searchers); /* from here on nothing raises */
  replace(L, top + 1, top + 7, public);
  if (global) replace(L, top + 8, top + 7, public);
  lua_settop(L, top);
}
