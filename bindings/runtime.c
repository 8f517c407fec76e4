/* runtime.c: what tide keeps per Lua state. */
#include <string.h>

#include "call.h"
#include "class.h"
#include "error.h"
#include "late.h"
#include "lent.h"
#include "owned.h"
#include "pool.h"
#include "report.h"
#include "run.h"
#include "runtime.h"
#include "slots.h"
#include "stop.h"
#include "tide_lua.h"
#include "value.h"

static const char runtime_key = 0, allocator_key = 0; /* their addresses are registry keys */

void tide_lua_set_allocator(lua_State *L, const tide_allocator *allocator) {
  tide_allocator *kept = lua_newuserdatauv(L, sizeof *kept, 0);
  *kept = *allocator;
  lua_rawsetp(L, LUA_REGISTRYINDEX, &allocator_key);
}

/* What the host has set, or NULL. */
static const tide_allocator *hosts_allocator(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &allocator_key);
  const tide_allocator *allocator = lua_touserdata(L, -1);
  lua_pop(L, 1); /* the registry keeps it */
  return allocator;
}

const char *tl_struct_take(void *own, size_t own_size, const void *hosts) {
  const unsigned char *bytes = hosts;
  size_t size;
  memcpy(&size, hosts, sizeof size);
  if (size < sizeof size) return "'size' is not set";
  for (size_t i = own_size; i < size; i++)
    if (bytes[i] != 0) return "made for a newer tide";
  memset(own, 0, own_size);
  memcpy(own, hosts, size < own_size ? size : own_size);
  return NULL;
}

int tl_anchor(lua_State *L, int reference) {
  if (reference == 0) return luaL_ref(L, LUA_REGISTRYINDEX);
  lua_rawseti(L, LUA_REGISTRYINDEX, reference);
  return reference;
}

static void new_table(lua_State *L, tl_runtime *rt, tl_table table, const char *mode) {
  lua_newtable(L);
  if (mode != NULL) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  rt->tables[table] = tl_anchor(L, rt->tables[table]);
}

/* Nothing of the state's is in the loop any more. One of its own turns once more, to send what is
 * left; another sends it as it goes on. */
static void leave_loop(tl_runtime *rt) {
  tide_loop *loop = rt->loop;
  rt->log = *tide_loop_log(loop);
  if (rt->shared)
    tide_lane_term(&rt->lane);
  else
    tide_loop_send_all(loop); /* of streams that were collected, or that nobody closed */
  tl_slots_term(&rt->slots, loop);
  if (!rt->shared) tide_loop_free(loop);
  rt->loop = NULL;
}

void tl_runtime_end(lua_State *L, tl_runtime *rt) {
  if (rt->loop == NULL) return;
  tide_lane_set_slice(tl_lane(rt), NULL);
  tide_lane_set_budget(tl_lane(rt), 0);
  tl_memory_end(rt);
  tl_slots_detach(L, rt);
  tl_run_end(&rt->run);
  tl_stop_end(rt);
  tl_lent_end(L, rt);
  tl_calls_end(&rt->calls);
  tl_slots_finish(L, rt);
  tl_owned_release_all(L, rt);
  tl_run_leave_loop(&rt->run);
  tl_reports_end(&rt->reports);
  tl_pool_end(&rt->pool);
  tl_classes_end(&rt->classes);
  leave_loop(rt);
  tl_freight_end(rt);
}

/* The state is closed. */
static int collect(lua_State *L) {
  tl_runtime *rt = lua_touserdata(L, 1);
  rt->opened = true; /* and cannot be again */
  tl_runtime_end(L, rt);
  return 0;
}

/* The runtime that an attempt to open has left, or a new one. It is never taken away again:
 * functions made in the attempt may still be known to somebody. */
static tl_runtime *find_or_make(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  if (rt != NULL) return rt;
  rt = lua_newuserdatauv(L, sizeof *rt, 0);
  memset(rt, 0, sizeof *rt);
  tl_set_finalizer(L, collect);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &runtime_key);
  return rt;
}

static void new_tables(lua_State *L, tl_runtime *rt) {
  new_table(L, rt, TL_LIVE, NULL);
  new_table(L, rt, TL_POOL, NULL);
  new_table(L, rt, TL_REASONS, NULL);
  new_table(L, rt, TL_NAMES, "k");
  new_table(L, rt, TL_LOCALS, "k");
  new_table(L, rt, TL_SITES, "k");
  new_table(L, rt, TL_TRACEBACKS, "k");
  new_table(L, rt, TL_OWNED, "v");
  new_table(L, rt, TL_FAILURES, NULL);
  new_table(L, rt, TL_UNSEEN, "k");
  new_table(L, rt, TL_LOOPS, "k");
  new_table(L, rt, TL_GREENLETS, "v");
  new_table(L, rt, TL_KEPT, NULL);
  new_table(L, rt, TL_HOOKS, NULL);
  new_table(L, rt, TL_LENT, "v");
  new_table(L, rt, TL_PIECES, NULL);
}

/* The loop, and a lane in it where there may be others. */
static void enter_loop(lua_State *L, tl_runtime *rt, tide_loop *loop) {
  rt->shared = loop != NULL;
  rt->loop = rt->shared ? loop : tide_loop_new(hosts_allocator(L));
  if (rt->loop == NULL) luaL_error(L, "tide: cannot create an event loop");
  if (rt->shared) tide_lane_init(&rt->lane, loop);
  tl_ops_init(&rt->ops, rt->shared ? &rt->lane : NULL);
}

tl_runtime *tl_runtime_open(lua_State *L, tide_loop *loop, const tide_lua_options *options) {
  tl_runtime *rt = find_or_make(L);
  rt->options = *options;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  rt->main = rt->L = lua_tothread(L, -1);
  lua_pop(L, 1);
  new_tables(L, rt);
  tl_messages_open(L, &rt->messages);
  tl_pool_open(L, rt);
  tl_shelf_open(L, &rt->scopes);
  tl_shelf_open(L, &rt->selects);
  enter_loop(L, rt, loop);
  tl_slots_init(&rt->slots);
  tide_list_init(&rt->calls);
  tl_reports_init(&rt->reports);
  tl_run_init(&rt->run, rt->loop);
  return rt;
}

tl_runtime *tl_runtime_find(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &runtime_key);
  tl_runtime *rt = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return rt;
}

int tl_runtime_ask(lua_State *L, tl_runtime **rt) {
  *rt = NULL;
  if (!lua_checkstack(L, LUA_MINSTACK)) return TIDE_ENOMEM;
  tl_runtime *found = tl_runtime_find(L);
  if (found == NULL || found->loop == NULL) return TIDE_ECLOSED;
  *rt = found;
  return TIDE_OK;
}

tide_loop *tide_lua_loop(lua_State *L) {
  tl_runtime *rt;
  return tl_runtime_ask(L, &rt) == TIDE_OK ? rt->loop : NULL;
}

tide_loop *tl_loop(lua_State *L, const tl_runtime *rt) {
  if (TL_UNLIKELY(rt->loop == NULL))
    tl_raise_message(L, rt, TIDE_ECLOSED, "the Lua state is closing");
  return rt->loop;
}

void tl_table_push(lua_State *L, const tl_runtime *rt, tl_table table) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->tables[table]);
}

void tl_table_replace(lua_State *L, tl_runtime *rt, tl_table table) {
  if (table == TL_LIVE) {
    lua_pushvalue(L, -1);
    lua_xmove(L, rt->pool.box, 1);
    lua_replace(rt->pool.box, TL_BOX_LIVE);
  }
  lua_rawseti(L, LUA_REGISTRYINDEX, rt->tables[table]);
}

void tl_hook_set(lua_State *L, const tl_runtime *rt, const char *name) {
  tl_table_push(L, rt, TL_HOOKS);
  lua_insert(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void tl_hook_push(lua_State *L, const tl_runtime *rt, const char *name) {
  tl_table_push(L, rt, TL_HOOKS);
  if (lua_getfield(L, -1, name) == LUA_TNIL && tl_late_hook(L, rt, name)) {
    lua_pop(L, 1);
    lua_getfield(L, -1, name);
  }
  lua_remove(L, -2);
}
