/* module.c: require "tide": the C part, then the Lua part that is compiled in. */
#include <string.h>

#include "class.h"
#include "embedded.h"
#include "parts.h"
#include "runtime.h"
#include "tide_lua.h"

#ifndef TIDE_VERSION
#define TIDE_VERSION "unknown"
#endif

enum { RAW = 1, COROUTINE, LOADED, PRELOAD }; /* on the stack of luaopen_tide */

/* Tells what is missing before anything is done. */
static void check_libraries(lua_State *L) {
  static const char *const needed[][2] = {{"pcall", "base"},          {"require", "package"},
                                          {"coroutine", "coroutine"}, {"table", "table"},
                                          {"string", "string"},       {"math", "math"}};
  for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
    if (lua_getglobal(L, needed[i][0]) == LUA_TNIL)
      luaL_error(L, "tide needs Lua's library '%s', which is not in this state", needed[i][1]);
    lua_pop(L, 1);
  }
}

/* Pushes tide.raw: what the drop-in versions replace. */
static void push_originals(lua_State *L) {
  lua_createtable(L, 0, 3);
  lua_getglobal(L, "pcall");
  lua_setfield(L, -2, "pcall");
  lua_getglobal(L, "xpcall");
  lua_setfield(L, -2, "xpcall");
  lua_newtable(L);
  lua_getglobal(L, "coroutine");
  luaL_checktype(L, -1, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, -2) != 0;) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
  lua_setfield(L, -2, "coroutine");
}

/* The Lua part has globals of its own: a script may use the names of Lua's functions for others,
 * and replace functions in Lua's libraries. */

/* Copies the global library of that name into the environment on top. */
static void copy_library(lua_State *L, const char *name) {
  lua_newtable(L);
  lua_getglobal(L, name);
  if (lua_istable(L, -1)) {
    for (lua_pushnil(L); lua_next(L, -2) != 0;) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -5);
    }
  }
  lua_pop(L, 1);
  lua_setfield(L, -2, name);
}

static int require_part(lua_State *L);

/* Pushes the environment: .luacheckrc has the same names. */
static void push_environment(lua_State *L) {
  static const char *const functions[] = {
      "error",  "getmetatable", "ipairs", "next",         "pairs",    "pcall",
      "rawget", "rawequal",     "select", "setmetatable", "tostring", "type",
  };
  lua_newtable(L);
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    lua_getglobal(L, functions[i]);
    lua_setfield(L, -2, functions[i]);
  }
  copy_library(L, "math");
  copy_library(L, "string");
  copy_library(L, "table");
  lua_pushcfunction(L, require_part);
  lua_setfield(L, -2, "require");
}

/* Runs the embedded chunk as a module of its name. [-0, +1, e] */
static int load_embedded(lua_State *L) {
  const struct tl_embedded *part = lua_touserdata(L, lua_upvalueindex(1));
  lua_pushfstring(L, "=%s", part->name);
  if (luaL_loadbufferx(L, part->source, part->size, lua_tostring(L, -1), "t") != LUA_OK)
    return lua_error(L);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setupvalue(L, -2, 1);
  lua_pushstring(L, part->name);
  lua_call(L, 1, 1);
  return 1;
}

static void preload_embedded(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  push_environment(L);
  for (const struct tl_embedded *part = tl_embedded; part->name != NULL; part++) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)part);
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, load_embedded, 2);
    lua_setfield(L, -3, part->name);
  }
  lua_pop(L, 2);
}

/* The Lua part's require, of tide and its parts. */
static int require_part(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_settop(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, 1);
  if (lua_gettable(L, 2) != LUA_TNIL) return 1;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushvalue(L, 1);
  lua_gettable(L, -2);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  if (lua_isnil(L, -1)) lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -2);
  lua_settable(L, 2);
  return 1;
}

/* The Lua part adds its names to the module on top. */
static void open_lua_part(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "tide"); /* so that the parts can require it */
  lua_pop(L, 1);
  lua_pushcfunction(L, require_part);
  lua_pushliteral(L, "tide.init");
  lua_call(L, 1, 0);
}

static void open_c_part(lua_State *L, tl_runtime *rt) {
  static void (*const parts[])(lua_State *, tl_runtime *) = {
      tl_class_open,     tl_report_open,   tl_options_open, tl_error_open,     tl_protect_open,
      tl_coroutine_open, tl_wait_open,     tl_task_open,    tl_owner_open,     tl_serve_open,
      tl_future_open,    tl_handle_open,   tl_run_open,     tl_exit_open,      tl_scope_open,
      tl_group_open,     tl_lock_open,     tl_rwlock_open,  tl_semaphore_open, tl_event_open,
      tl_condition_open, tl_barrier_open,  tl_queue_open,   tl_join_open,      tl_select_open,
      tl_stats_open,     tl_tree_open,     tl_debug_open,   tl_testing_open,   tl_net_open,
      tl_generator_open, tl_greenlet_open, tl_use_open,     tl_local_open,     tl_iter_open,
      tl_lua_iter_open,
  };
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) parts[i](L, rt);
}

/* tide.set_hook(name, fn): what the Lua part gives to the C part */
static int set_hook(lua_State *L) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  tl_hook_set(L, tl_rt(L), luaL_checkstring(L, 1));
  return 0;
}

/* In protected mode, with RAW on the stack. Returns the module. */
static int open_all(lua_State *L) {
  static const luaL_Reg functions[] = {{"set_hook", set_hook}, {NULL, NULL}};
  tl_runtime *rt = tl_runtime_open(L);
  lua_newtable(L);
  lua_pushvalue(L, RAW);
  lua_setfield(L, -2, "raw");
  lua_pushliteral(L, TIDE_VERSION);
  lua_setfield(L, -2, "version");
  tl_functions(L, rt, functions);
  open_c_part(L, rt);
  preload_embedded(L);
  open_lua_part(L);
  rt->opened = true;
  return 1;
}

/* Undoing, after an error: nothing here needs memory. */

/* Sets all fields that the table at `from` has to what they are there. */
static void restore(lua_State *L, int from, int to) {
  for (lua_pushnil(L); lua_next(L, from) != 0;) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, to);
  }
}

static bool is_part(const char *name) {
  const struct tl_embedded *part = tl_embedded;
  while (part->name != NULL && strcmp(name, part->name) != 0) part++;
  return part->name != NULL || strcmp(name, "tide") == 0;
}

static void remove_parts(lua_State *L, int table) {
  for (lua_pushnil(L); lua_next(L, table) != 0;) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING || !is_part(lua_tostring(L, -1))) continue;
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, table);
  }
}

static void undo(lua_State *L) {
  int top = lua_gettop(L);
  tl_runtime *rt = tl_runtime_find(L);
  if (rt != NULL) tl_runtime_end(L, rt);
  remove_parts(L, LOADED);
  remove_parts(L, PRELOAD);
  lua_pushglobaltable(L);
  lua_getfield(L, RAW, "coroutine");
  restore(L, top + 2, COROUTINE);
  lua_pushvalue(L, COROUTINE);
  lua_setfield(L, RAW, "coroutine");
  restore(L, RAW, top + 1);
  lua_settop(L, top);
}

int luaopen_tide(lua_State *L) {
  luaL_checkversion(L);
  const tl_runtime *rt = tl_runtime_find(L);
  if (rt != NULL && rt->opened) return luaL_error(L, "tide is loaded already in this Lua state");
  lua_settop(L, 0);
  check_libraries(L);
  push_originals(L);
  lua_getglobal(L, "coroutine");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open_all);
  lua_pushvalue(L, RAW);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) return 1;
  undo(L);
  return lua_error(L);
}

/* require "tide.net" where tide is not loaded yet: all of it is, and the part is in package.loaded
 * then. Lua looks for the parts of a module in the module's own library, by these names. */
static int open_part(lua_State *L, const char *name) {
  luaL_requiref(L, "tide", luaopen_tide, 0);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, name);
  return 1;
}

#define PART(part)                                \
  TIDE_API int luaopen_tide_##part(lua_State *L); \
  int luaopen_tide_##part(lua_State *L) { return open_part(L, "tide." #part); }

PART(check)
PART(concurrent)
PART(defer)
PART(ends)
PART(errors)
PART(group)
PART(init)
PART(iter)
PART(iter_ends)
PART(iter_lazy)
PART(iter_sources)
PART(iter_tasks)
PART(map)
PART(net)
PART(retry)
PART(testing)
PART(testing_faults)
PART(testing_left)
PART(testing_sweep)
PART(tree)
PART(turns)
PART(window)
