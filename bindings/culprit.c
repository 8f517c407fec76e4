/* culprit.c: what is in the way where a task cannot be suspended: the function of C's to blame. */
#include <string.h>

#include "culprit.h"
#include "nesting.h"
#include "protect.h"
#include "runtime.h"

/* Of the module, a name and its table on top, which are popped: replaces the function at `function`
 * by "module.name" where the module has it; whether it does. */
static bool name_in_module(lua_State *L, int function) {
  int module = lua_gettop(L);
  bool found = false;
  if (lua_type(L, module - 1) == LUA_TSTRING && lua_istable(L, module)) {
    for (lua_pushnil(L); !found && lua_next(L, module) != 0; lua_pop(L, 1)) {
      found = lua_rawequal(L, function, -1) && lua_type(L, -2) == LUA_TSTRING;
      if (!found) continue;
      lua_pushfstring(L, "%s.%s", lua_tostring(L, module - 1), lua_tostring(L, -2));
      lua_replace(L, function);
    }
  }
  lua_settop(L, module - 2);
  return found;
}

/* Replaces the function on top by "module.name", as the loaded modules have it, Lua's own before
 * others, which may have taken it from there; or by nil. */
static void push_known_name(lua_State *L) {
  static const char *const lua[] = {"_G", "table", "string", "utf8", "io", "package"};
  int function = lua_gettop(L);
  bool found = false;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (size_t i = 0; !found && i < sizeof lua / sizeof lua[0]; i++) {
    lua_pushstring(L, lua[i]);
    lua_getfield(L, function + 1, lua[i]);
    found = name_in_module(L, function);
  }
  for (lua_pushnil(L); !found && lua_next(L, function + 1) != 0;) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    found = name_in_module(L, function);
  }
  lua_settop(L, function);
  if (found) return;
  lua_pushnil(L);
  lua_replace(L, function);
}

/* Whether the function on top is tide's: those can be waited in. */
static bool is_ours(lua_State *L, const tl_runtime *rt) {
  int top = lua_gettop(L);
  bool ours = lua_getupvalue(L, -1, 1) != NULL && lua_touserdata(L, -1) == rt;
  lua_settop(L, top);
  return ours;
}

/* Lua's own can be suspended in the middle, and have no name: globals are tide's. */
bool tl_is_original(lua_State *L) {
  static const char *const originals[] = {"pcall", "xpcall"};
  int function = lua_gettop(L);
  bool is = false;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "tide") == LUA_TTABLE && lua_getfield(L, -1, "raw") == LUA_TTABLE) {
    for (size_t i = 0; !is && i < sizeof originals / sizeof originals[0]; i++) {
      lua_getfield(L, function + 3, originals[i]);
      is = lua_rawequal(L, function, -1);
      lua_pop(L, 1);
    }
  }
  lua_settop(L, function);
  return is;
}

/* Replaces the function of C's on top by what to call it, or by nil where it is not in the way. Who
 * is called by C only, such as a task's body, has no name. */
static void name_culprit(lua_State *L, const lua_Debug *ar) {
  bool transparent = tl_is_original(L);
  push_known_name(L);
  const char *name = lua_tostring(L, -1);
  if (name != NULL && strncmp(name, "_G.", 3) == 0) {
    lua_pushstring(L, name + 3);
    lua_replace(L, -2);
    name = lua_tostring(L, -1);
    transparent = strcmp(name, "dofile") == 0 || strcmp(name, "pairs") == 0;
    if (strcmp(name, "error") == 0 || strcmp(name, "assert") == 0)
      lua_pushliteral(L, "a message handler of xpcall");
    else
      lua_pushvalue(L, -1);
  } else if (name == NULL && strcmp(ar->namewhat, "for iterator") == 0) {
    lua_pushliteral(L, "an iterator of C's, such as that of ipairs");
  } else if (name == NULL && ar->name != NULL) {
    lua_pushfstring(L, "'%s', a function of C's", ar->name);
  } else {
    lua_pushvalue(L, -1);
  }
  lua_remove(L, -2);
  if (!transparent) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

/* Pushes the name of the first function of `co`, from `level` on outward, that cannot be suspended
 * in the middle; or nothing. */
static bool push_culprit_of(lua_State *L, const tl_runtime *rt, lua_State *co, int level) {
  lua_Debug ar;
  for (; lua_getstack(co, level, &ar); level++) {
    if (!lua_checkstack(co, 2)) return false;
    lua_getinfo(co, "Snf", &ar);
    if (co != L) lua_xmove(co, L, 1);
    bool handles = tl_protect_handles(lua_tocfunction(L, -1));
    bool finalizer = strcmp(ar.namewhat, "metamethod") == 0 && strstr(ar.name, "gc") != NULL;
    bool hook = strcmp(ar.namewhat, "hook") == 0;
    if (handles || finalizer || hook) {
      lua_pop(L, 1);
      lua_pushstring(L, handles     ? "a message handler of xpcall"
                        : finalizer ? "a finalizer (__gc)"
                                    : "a debug hook");
      return true;
    }
    if (ar.what[0] != 'C' || is_ours(L, rt)) {
      lua_pop(L, 1);
      continue;
    }
    name_culprit(L, &ar);
    if (!lua_isnil(L, -1)) return true;
    lua_pop(L, 1);
  }
  return false;
}

/* The innermost that cannot be suspended: only what it consists of can be to blame. */
void tl_culprit_push(lua_State *L, const tl_runtime *rt) {
  lua_State *co = L;
  int level = 1;
  for (const tl_nesting *nesting = rt->nesting;; nesting = nesting->outer) {
    if (!lua_isyieldable(co) && push_culprit_of(L, rt, co, level)) return;
    if (nesting == NULL || nesting->closing != NULL) break;
    co = nesting->resumer;
    level = 0;
  }
  lua_pushnil(L);
}
