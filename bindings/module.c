/* module.c: require "tide": what it needs, the C part, and undoing all of it. */
#include "class.h"
#include "late.h"
#include "modules.h"
#include "parts.h"
#include "patterns.h"
#include "runtime.h"
#include "tide_lua.h"
#include "value.h"

#ifndef TIDE_VERSION
#define TIDE_VERSION "unknown"
#endif

enum { RAW = 1, COROUTINE, LOADED }; /* on the stack of luaopen_tide */

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
  tl_copy_fields(L, -1, -2);
  lua_pop(L, 1);
  lua_setfield(L, -2, "coroutine");
}

static void open_c_part(lua_State *L, tl_runtime *rt) {
  static void (*const parts[])(lua_State *, tl_runtime *) = {
      tl_class_open,        tl_report_open,    tl_options_open,  tl_error_open,     tl_protect_open,
      tl_coroutine_open,    tl_wait_open,      tl_task_open,     tl_owner_open,     tl_serve_open,
      tl_future_open,       tl_handle_open,    tl_run_open,      tl_exit_open,      tl_scope_open,
      tl_group_open,        tl_lock_open,      tl_rwlock_open,   tl_semaphore_open, tl_event_open,
      tl_condition_open,    tl_barrier_open,   tl_queue_open,    tl_join_open,      tl_select_open,
      tl_stats_open,        tl_fd_open,        tl_tree_open,     tl_debug_open,     tl_testing_open,
      tl_net_open,          tl_generator_open, tl_greenlet_open, tl_use_open,       tl_local_open,
      tl_iter_open,         tl_lua_iter_open,  tl_frame_open,    tl_callback_open,  tl_channel_open,
      tl_shared_queue_open, tl_dns_open,       tl_tls_open,
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

/* What the host asks for. */
typedef struct wishes {
  tide_loop *loop; /* its own, or NULL */
  tide_lua_options options;
} wishes;

/* In protected mode, with RAW and the wishes on the stack. Returns the module. */
static int open_all(lua_State *L) {
  static const luaL_Reg functions[] = {{"set_hook", set_hook}, {NULL, NULL}};
  const wishes *wished = lua_touserdata(L, 2);
  tl_runtime *rt = tl_runtime_open(L, wished->loop, &wished->options);
  lua_newtable(L);
  lua_pushvalue(L, RAW);
  lua_setfield(L, -2, "raw");
  lua_pushliteral(L, TIDE_VERSION);
  lua_setfield(L, -2, "version");
  tl_functions(L, rt, functions);
  open_c_part(L, rt);
  tl_late_open(L, rt);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "tide");
  lua_pop(L, 1);
  if (rt->options.patterns == TIDE_LUA_BOUNDED_PATTERNS) tl_patterns_prepare(L, rt);
  tl_modules_open(L, rt); /* the last that may raise: it cannot be undone */
  if (rt->options.patterns == TIDE_LUA_BOUNDED_PATTERNS) tl_patterns_install(L);
  rt->opened = true;
  return 1;
}

/* Undoing, after an error: nothing here needs memory. */

static void unload(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  lua_pushnil(L);
  lua_rawset(L, LOADED);
}

static void undo(lua_State *L) {
  int top = lua_gettop(L);
  tl_runtime *rt = tl_runtime_find(L);
  if (rt != NULL) tl_runtime_end(L, rt);
  unload(L, "tide");
  for (int i = 0; i < TL_PARTS; i++) unload(L, tl_parts[i]);
  lua_pushglobaltable(L);
  lua_getfield(L, RAW, "coroutine");
  tl_copy_fields(L, top + 2, COROUTINE);
  lua_pushvalue(L, COROUTINE);
  lua_setfield(L, RAW, "coroutine");
  tl_copy_fields(L, RAW, top + 1);
  lua_settop(L, top);
}

/* In a C function's own frame. */
static int open_as(lua_State *L, wishes *wished) {
  luaL_checkversion(L);
  const tl_runtime *rt = tl_runtime_find(L);
  if (rt != NULL && rt->opened) return luaL_error(L, "tide is loaded already in this Lua state");
  lua_settop(L, 0);
  check_libraries(L);
  push_originals(L);
  lua_getglobal(L, "coroutine");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushcfunction(L, open_all);
  lua_pushvalue(L, RAW);
  lua_pushlightuserdata(L, wished);
  if (lua_pcall(L, 2, 1, 0) == LUA_OK) return 1;
  undo(L);
  return lua_error(L);
}

int luaopen_tide(lua_State *L) {
  wishes none = {.loop = NULL};
  return open_as(L, &none);
}

static int open_as_wished(lua_State *L) { return open_as(L, lua_touserdata(L, 1)); }

static void take_options(lua_State *L, tide_lua_options *own, const tide_lua_options *options) {
  const char *wrong = tl_struct_take(own, sizeof *own, options);
  if (wrong == NULL && (own->keep & ~(unsigned)TIDE_LUA_KEEP_ALL) != 0)
    wrong = "'keep' has names that are not known";
  if (wrong == NULL && own->patterns > TIDE_LUA_BOUNDED_PATTERNS)
    wrong = "'patterns' is none that is known";
  if (wrong == NULL && own->pattern_steps != 0 && own->patterns == 0)
    wrong = "'pattern_steps' is for bounded patterns";
  if (wrong != NULL) luaL_error(L, "tide_lua_options: %s", wrong);
}

void tide_lua_open(lua_State *L, tide_loop *loop, const tide_lua_options *options) {
  wishes wished = {.loop = loop};
  luaL_checkstack(L, 3, "tide");
  if (options != NULL) take_options(L, &wished.options, options);
  lua_pushcfunction(L, open_as_wished);
  lua_pushlightuserdata(L, &wished);
  lua_call(L, 1, 1);
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

PART(fd)
PART(net)
PART(testing)
