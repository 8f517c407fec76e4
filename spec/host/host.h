/* host.h: a host program with Lua: one state, its loop, tasks of C's beside those of Lua's.
 *
 * All memory is counted, Lua's and the core's; at the end nothing is left of either. */
#ifndef TIDE_SPEC_HOST_H
#define TIDE_SPEC_HOST_H

#include <lauxlib.h>
#include <lualib.h>

#include "../../bindings/tide_lua.h"
#include "../core/script.h"

typedef struct host {
  world w;      /* its memory is the core's part; first */
  memory luas;  /* Lua's memory */
  size_t lacks; /* bytes that Lua was just refused, and will ask for once more */
  lua_State *L; /* NULL once it is closed */
} host;

/* Refuses what is to be refused twice: Lua tries again after a collection. */
static inline void *host_alloc(void *context, void *block, size_t old_size, size_t new_size) {
  host *self = context;
  if (block == NULL) old_size = 0; /* from Lua: what it is for */
  bool grows = new_size > old_size, again = grows && self->lacks == new_size;
  if (grows) self->lacks = 0;
  void *grown = again ? NULL : memory_resize(&self->luas, block, old_size, new_size);
  if (grows && grown == NULL && !again) self->lacks = new_size;
  return grown;
}

/* In protected mode: the options are at 2. */
static inline int host_open_module(lua_State *L) {
  const tide_allocator *allocator = lua_touserdata(L, 1);
  luaL_openlibs(L);
  tide_lua_set_allocator(L, allocator);
  tide_lua_open(L, NULL, lua_touserdata(L, 2));
  lua_setglobal(L, "tide");
  lua_newtable(L);
  lua_setglobal(L, "log");
  return 0;
}

static inline void host_open_with(host *self, tide_lua_options *options) {
  memset(self, 0, sizeof *self);
  const tide_allocator allocator = {.resize = memory_resize, .context = &self->w.memory};
  self->L = lua_newstate(host_alloc, self);
  CHECK(self->L != NULL);
  lua_pushcfunction(self->L, host_open_module);
  lua_pushlightuserdata(self->L, (void *)(uintptr_t)&allocator);
  lua_pushlightuserdata(self->L, options);
  CHECK_EQ(lua_pcall(self->L, 2, 0, 0), LUA_OK);
  self->w.loop = tide_lua_loop(self->L);
  tide_loop_set_virtual_clock(self->w.loop);
}

static inline void host_open(host *self) { host_open_with(self, NULL); }

static inline void host_close_state(host *self) {
  lua_close(self->L);
  self->L = NULL;
  CHECK_EQ(self->luas.in_use, 0);
}

/* The end, where all tasks have ended. */
static inline void host_close(host *self) {
  check_all_ended(&self->w);
  if (self->L != NULL) host_close_state(self);
  CHECK_EQ(self->w.memory.in_use, 0);
}

/* Runs Lua code, outside of tasks; an error fails the check with its message. */
static inline void host_do(host *self, const char *code) {
  if (luaL_dostring(self->L, code) == LUA_OK) return;
  check_text(__FILE__, __LINE__, "an error", luaL_tolstring(self->L, -1, NULL), "");
}

/* Functions for what is written in Lua. */
static inline void host_begin_lua(host *self) {
  host_do(self, "function say(...) log[#log + 1] = table.concat({...}, ' ') end\n"
                "function kind(err) return type(err) == 'table' and err.kind or tostring(err) end\n"
                "function run(f) return tide.testing.run(f) end\n"
                "function closer(f) return setmetatable({}, { __close = f }) end\n"
                "spawn, sleep = tide.spawn, tide.sleep");
}

/* The same as host_open, with these. */
static inline void host_open_for_lua(host *self) {
  host_open(self);
  host_begin_lua(self);
}

static inline void host_collect_garbage(host *self) {
  lua_gc(self->L, LUA_GCCOLLECT);
  lua_gc(self->L, LUA_GCCOLLECT);
}

/* What Lua put into the list `log` since it was last asked, with commas between. */
#define CHECK_LUA_LOG(h, expected)                                             \
  do {                                                                         \
    host_do(h, "text = table.concat(log, ', ') log = {}");                     \
    lua_getglobal((h)->L, "text");                                             \
    check_text(__FILE__, __LINE__, "log", lua_tostring((h)->L, -1), expected); \
    lua_pop((h)->L, 1);                                                        \
  } while (0)

#endif
