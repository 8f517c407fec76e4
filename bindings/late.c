/* late.c: the Lua part of tide: which piece has what, the pieces' globals, loading them. */
#include <lauxlib.h>
#include <string.h>

#include "embedded.h"
#include "late.h"
#include "modules.h"
#include "parts.h"
#include "runtime.h"
#include "value.h"

/* What the Lua part adds: to the module and to modules in it, to classes, and hooks for the C part.
 */
#define HOOK ""
static const struct late {
  const char *owner, *name, *piece;
} late[] = {
    {"tide", "as_completed", "tide.concurrent"},
    {"tide", "await_callback", "tide.callback"},
    {"tide", "callback", "tide.callback"},
    {"tide", "catch", "tide.errors"},
    {"tide", "defer", "tide.defer"},
    {"tide", "first_success", "tide.concurrent"},
    {"tide", "gather", "tide.concurrent"},
    {"tide", "generator", "tide.iter_sources"},
    {"tide", "interval", "tide.iter_sources"},
    {"tide", "iter", "tide.iter_sources"},
    {"tide", "Iter", "tide.iter"},
    {"tide", "map", "tide.map"},
    {"tide", "race", "tide.concurrent"},
    {"tide", "retry", "tide.retry"},
    {"tide", "shield", "tide.shield"},
    {"tide", "tree", "tide.tree"},
    {"tide", "wait", "tide.concurrent"},
    {"tide", "wait_for", "tide.concurrent"},
    {"net", "Server", "tide.net"},
    {"testing", "assert_does_not_wait", "tide.testing"},
    {"testing", "assert_waits", "tide.testing"},
    {"testing", "faults", "tide.testing_faults"},
    {"testing", "one_byte", "tide.testing_faults"},
    {"testing", "run", "tide.testing"},
    {"testing", "sweep", "tide.testing_sweep"},
    {"testing", "wrap", "tide.testing"},
    {"tide.error", "leaves", "tide.errors"},
    {"tide.error", "split", "tide.errors"},
    {"tide.error", "subgroup", "tide.errors"},
    {"TaskGroup", "start", "tide.group"},
    {"Stream", "starttls", "tide.tls"},
    {"Iter", "all", "tide.iter_ends"},
    {"Iter", "any", "tide.iter_ends"},
    {"Iter", "buffer", "tide.iter_tasks"},
    {"Iter", "chunk", "tide.iter_lazy"},
    {"Iter", "collect", "tide.iter_ends"},
    {"Iter", "count", "tide.iter_ends"},
    {"Iter", "debounce", "tide.iter_tasks"},
    {"Iter", "distinct", "tide.iter_lazy"},
    {"Iter", "enumerate", "tide.iter_lazy"},
    {"Iter", "filter", "tide.iter_lazy"},
    {"Iter", "first", "tide.iter_ends"},
    {"Iter", "flatten", "tide.iter_lazy"},
    {"Iter", "foreach", "tide.iter_ends"},
    {"Iter", "last", "tide.iter_ends"},
    {"Iter", "map", "tide.iter_lazy"},
    {"Iter", "map_concurrent", "tide.iter_tasks"},
    {"Iter", "merge", "tide.iter_tasks"},
    {"Iter", "reduce", "tide.iter_ends"},
    {"Iter", "scan", "tide.iter_lazy"},
    {"Iter", "skip", "tide.iter_lazy"},
    {"Iter", "take", "tide.iter_lazy"},
    {"Iter", "take_while", "tide.iter_lazy"},
    {"Iter", "throttle", "tide.iter_lazy"},
    {"Iter", "timeout", "tide.iter_lazy"},
    {"Iter", "zip", "tide.iter_lazy"},
    {HOOK, "deadlock", "tide.tree"},
    {HOOK, "group_message", "tide.errors"},
    {HOOK, "iter", "tide.iter_sources"},
    {HOOK, "serve", "tide.net"},
    {HOOK, "tls_accepted", "tide.tls"},
    {HOOK, "tls_connected", "tide.tls"},
    {HOOK, "tls_options", "tide.tls"},
};

enum { LATE = sizeof late / sizeof late[0] };

/* What the owner has under that name, or NULL. */
static const struct late *find_entry(const char *owner, const char *name) {
  for (size_t i = 0; i < LATE; i++)
    if (strcmp(late[i].name, name) == 0 && strcmp(late[i].owner, owner) == 0) return &late[i];
  return NULL;
}

/* What the C part has for the pieces alone. */
static bool is_private(const char *name) {
  static const char *const names[] = {
      "begins",         "completions",    "counts",
      "error_methods",  "failure_parts",  "generator_parts",
      "group_methods",  "hold",           "spawn_beside",
      "interval_parts", "is_callable",    "is_of",
      "iter_parts",     "join",           "mark_loops",
      "metafield",      "new_class",      "new_use",
      "raise_traced",   "read_options",   "set_hook",
      "shield_call",    "shielded_await", "spawn_connection",
      "spawn_owning",   "stream_methods", "testing_parts",
      "tls_begin",      "tls_context",    "tls_handshake",
      "tls_hello",      "tls_switch",     "file_stamp",
      "stream_host",    "traced",         "tree_nodes",
      "type_name",
  };
  size_t i = 0;
  while (i < sizeof names / sizeof names[0] && strcmp(names[i], name) != 0) i++;
  return i < sizeof names / sizeof names[0];
}

/* ---- the pieces' globals: a script may use the names of Lua's functions for others, and replace
 * functions in Lua's libraries */

/* Copies the global library of that name into the environment on top. */
static void copy_library(lua_State *L, const char *name) {
  lua_newtable(L);
  lua_getglobal(L, name);
  if (lua_istable(L, -1)) tl_copy_fields(L, -1, -2);
  lua_pop(L, 1);
  lua_setfield(L, -2, name);
}

static int require(lua_State *L);

/* Pushes the environment: .luacheckrc has the same names. */
static void push_environment(lua_State *L, tl_runtime *rt) {
  static const char *const functions[] = {
      "error",  "getmetatable", "ipairs", "next",         "pairs",    "pcall",
      "rawget", "rawequal",     "select", "setmetatable", "tostring", "type",
  };
  static const luaL_Reg own[] = {{"require", require}, {NULL, NULL}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    lua_getglobal(L, functions[i]);
    lua_setfield(L, -2, functions[i]);
  }
  copy_library(L, "math");
  copy_library(L, "string");
  copy_library(L, "table");
  tl_functions(L, rt, own);
}

/* ---- loading: TL_PIECES has what each piece has returned, and the environment */

enum { ENVIRONMENT = 1 };

static const struct tl_embedded *find_piece(const char *name) {
  const struct tl_embedded *piece = tl_embedded;
  while (piece->name != NULL && strcmp(piece->name, name) != 0) piece++;
  return piece->name != NULL ? piece : NULL;
}

/* Compiles the piece and leaves it on top. */
static void compile(lua_State *L, const char *name) {
  const struct tl_embedded *piece = find_piece(name);
  if (piece == NULL) {
    luaL_error(L, "tide has no piece '%s'", name);
    return;
  }
  lua_pushfstring(L, "=%s", name);
  if (luaL_loadbufferx(L, piece->source, piece->size, lua_tostring(L, -1), "t") != LUA_OK)
    lua_error(L);
  lua_remove(L, -2);
}

/* Pushes what the piece has returned, or true; runs it where it was not. */
static void push_piece(lua_State *L, const tl_runtime *rt, const char *name) {
  luaL_checkstack(L, 5, "tide");
  tl_table_push(L, rt, TL_PIECES);
  if (lua_getfield(L, -1, name) == LUA_TNIL) {
    lua_pop(L, 1);
    compile(L, name);
    lua_rawgeti(L, -2, ENVIRONMENT);
    lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, name);
  }
  lua_remove(L, -2);
}

/* The pieces' require: of each other, of "tide" */
static int require(lua_State *L) {
  push_piece(L, tl_rt(L), luaL_checkstring(L, 1));
  return 1;
}

bool tl_late_hook(lua_State *L, const tl_runtime *rt, const char *name) {
  const struct late *entry = find_entry(HOOK, name);
  if (entry == NULL) return false;
  push_piece(L, rt, entry->piece);
  lua_pop(L, 1);
  return true;
}

/* ---- names that come when they are asked for */

enum { OWNER = 2, SOURCE }; /* upvalues: a name of `late`, and the table to which its pieces add */

/* Sets what that entry stands for in the table at 1. */
static void bring(lua_State *L, const struct late *entry) {
  push_piece(L, tl_rt(L), entry->piece);
  lua_pushstring(L, entry->name);
  lua_pushvalue(L, -1);
  lua_rawget(L, lua_upvalueindex(SOURCE));
  lua_rawset(L, 1);
  lua_pop(L, 1);
}

/* table:__index(name) */
static int find_name(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  const struct late *entry =
      find_entry(lua_tostring(L, lua_upvalueindex(OWNER)), lua_tostring(L, 2));
  if (entry == NULL) return 0;
  bring(L, entry);
  lua_settop(L, 2);
  lua_rawget(L, 1);
  return 1;
}

/* table:__pairs(): all of them are there then, but for those that a script has set */
static int iterate(lua_State *L) {
  const char *owner = lua_tostring(L, lua_upvalueindex(OWNER));
  luaL_checkany(L, 1);
  for (size_t i = 0; i < LATE; i++) {
    if (strcmp(late[i].owner, owner) != 0) continue;
    lua_pushstring(L, late[i].name);
    bool there = lua_rawget(L, 1) != LUA_TNIL;
    lua_pop(L, 1);
    if (!there) bring(L, &late[i]);
  }
  tl_table_push(L, tl_rt(L), TL_PIECES);
  lua_rawgeti(L, -1, ENVIRONMENT);
  lua_getfield(L, -1, "next");
  lua_pushvalue(L, 1);
  return 2;
}

/* Gives the metatable on top what finds the owner's names; pieces add them to the table at
 * `source`. */
static void find_late(lua_State *L, tl_runtime *rt, const char *owner, int source) {
  static const luaL_Reg finders[] = {{"__index", find_name}, {"__pairs", iterate}, {NULL, NULL}};
  lua_pushlightuserdata(L, rt);
  lua_pushstring(L, owner);
  lua_pushvalue(L, source);
  luaL_setfuncs(L, finders, 3);
}

static bool has_late(const char *owner) {
  size_t i = 0;
  while (i < LATE && strcmp(late[i].owner, owner) != 0) i++;
  return i < LATE;
}

void tl_late_methods(lua_State *L, tl_runtime *rt, const char *class, int methods) {
  if (!has_late(class)) return;
  methods = lua_absindex(L, methods);
  lua_createtable(L, 0, 2);
  find_late(L, rt, class, methods);
  lua_setmetatable(L, -2);
}

/* ---- the module */

const char *const tl_parts[TL_PARTS] = {"tide.dns", "tide.fd", "tide.net", "tide.testing"};

/* What the module has a part under. */
static const char *key_of(const char *part) { return strchr(part, '.') + 1; }

/* Whether scripts get what the module has under that name: of its parts, those that require may
 * load. */
static bool is_allowed(const tl_runtime *rt, const char *key) {
  for (int i = 0; i < TL_PARTS; i++)
    if (strcmp(key, key_of(tl_parts[i])) == 0) return tl_modules_part(rt, key);
  return true;
}

/* Pushes what scripts get for the pieces' table on top, which has that name: a copy, where a script
 * may set what it likes. */
static void push_public(lua_State *L, tl_runtime *rt, const char *name) {
  int from = lua_gettop(L);
  luaL_checkstack(L, 8, "tide");
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, from) != 0; lua_pop(L, 1)) {
    const char *key = lua_tostring(L, -2);
    if (is_private(key) || !is_allowed(rt, key)) continue;
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    if (lua_getmetatable(L, -1)) { /* a class */
      lua_pop(L, 1);
    } else if (lua_istable(L, -1)) {
      push_public(L, rt, key);
      lua_remove(L, -2);
    }
    lua_rawset(L, from + 1);
  }
  if (!has_late(name)) return;
  lua_createtable(L, 0, 3);
  find_late(L, rt, name, from);
  lua_pushliteral(L, "module");
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, -1);
  lua_setmetatable(L, from); /* pieces use names of each other's */
  lua_setmetatable(L, -2);
}

/* require "tide.net" gives the module's table of that name. */
static void set_loaded(lua_State *L, const tl_runtime *rt, const char *part) {
  if (!is_allowed(rt, key_of(part))) return;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushstring(L, part);
  lua_getfield(L, -3, key_of(part));
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void tl_late_open(lua_State *L, tl_runtime *rt) {
  tl_table_push(L, rt, TL_PIECES);
  push_environment(L, rt);
  lua_getfield(L, -3, "pcall"); /* the global one may be Lua's */
  lua_setfield(L, -2, "pcall");
  lua_rawseti(L, -2, ENVIRONMENT);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "tide");
  lua_pop(L, 1);
  push_public(L, rt, "tide");
  lua_remove(L, -2);
  for (int i = 0; i < TL_PARTS; i++) set_loaded(L, rt, tl_parts[i]);
}
