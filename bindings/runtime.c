/* runtime.c: what tide keeps per Lua state. */
#include <string.h>

#include "bindings.h"
#include "owned.h"
#include "tide_lua.h"

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

/* Takes the tasks out of what they wait for: what they were given goes back. */
static void detach_all(lua_State *L, tl_runtime *rt) {
  tl_task *task;
  for (int slot = 0; (task = tl_live_task_push(L, rt, &slot)) != NULL; lua_pop(L, 1))
    tide_task_detach(&task->task);
}

void tl_runtime_end(lua_State *L, tl_runtime *rt) {
  if (rt->loop == NULL) return;
  detach_all(L, rt);
  tl_owned_release_all(L, rt);
  for (int class = 0; class < TL_CLASS_COUNT; class ++) {
    rt->metatables[class] = &rt->loop; /* none has this address */
    rt->last[class] = NULL;
  }
  tide_free(tide_loop_allocator(rt->loop), rt->slots,
            (size_t)rt->slot_capacity * sizeof *rt->slots);
  rt->slots = NULL;
  rt->slot_count = rt->slot_capacity = 0;
  tide_loop_free(rt->loop);
  rt->loop = NULL;
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
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &runtime_key);
  return rt;
}

/* A stack of body.c's own, and where it was kept before, or 0. */
static void new_box(lua_State *L, tl_runtime *rt) {
  rt->box = lua_newthread(L);
  rt->box_reference = tl_anchor(L, rt->box_reference);
  tl_table_push(rt->box, rt, TL_LIVE);
  tl_table_push(rt->box, rt, TL_POOL);
  lua_pushnil(rt->box);
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
  new_table(L, rt, TL_HOOKS, NULL);
}

tl_runtime *tl_runtime_open(lua_State *L) {
  tl_runtime *rt = find_or_make(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  rt->main = rt->L = lua_tothread(L, -1);
  lua_pop(L, 1);
  new_tables(L, rt);
  lua_pushliteral(L, "not enough memory");
  rt->no_memory = tl_anchor(L, rt->no_memory);
  lua_pushliteral(L, "a task was suspended by a yield that is not one of tide's");
  rt->foreign_yield = tl_anchor(L, rt->foreign_yield);
  lua_pushliteral(L, "stack overflow (too many results)");
  rt->too_many = tl_anchor(L, rt->too_many);
  new_box(L, rt);
  rt->loop = tide_loop_new(hosts_allocator(L));
  if (rt->loop == NULL) luaL_error(L, "tide: cannot create an event loop");
  tide_defer_init(&rt->reporter, tl_report_failed);
  tl_run_init(&rt->run, rt->loop);
  return rt;
}

tl_runtime *tl_runtime_find(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &runtime_key);
  tl_runtime *rt = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return rt;
}

tide_loop *tide_lua_loop(lua_State *L) {
  const tl_runtime *rt = tl_runtime_find(L);
  return rt != NULL ? rt->loop : NULL;
}

tide_loop *tl_loop(lua_State *L, const tl_runtime *rt) {
  if (TL_UNLIKELY(rt->loop == NULL))
    tl_raise_message(L, rt, TIDE_ECLOSED, "the Lua state is closing");
  return rt->loop;
}

void tl_table_push(lua_State *L, const tl_runtime *rt, tl_table table) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->tables[table]);
}

void tl_hook_set(lua_State *L, const tl_runtime *rt, const char *name) {
  tl_table_push(L, rt, TL_HOOKS);
  lua_insert(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void tl_hook_push(lua_State *L, const tl_runtime *rt, const char *name) {
  tl_table_push(L, rt, TL_HOOKS);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

/* Doubles the number of slots. New ones get a place in the table at once, so that filling and
 * clearing them later needs no memory. Filling may collect, and a finalizer that spawns come in
 * between: then it has done the work. */
static void grow_slots(lua_State *L, tl_runtime *rt) {
  int old = rt->slot_capacity;
  int capacity = old == 0 ? 16 : old * 2;
  luaL_argcheck(L, capacity > old, 1, "too many tasks");
  tl_table_push(L, rt, TL_LIVE);
  for (int slot = old + 1; slot <= capacity && rt->slot_capacity == old; slot++) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, slot);
  }
  lua_pop(L, 1);
  if (rt->slot_capacity != old) return;
  int *slots = tide_resize(tide_loop_allocator(rt->loop), rt->slots, (size_t)old * sizeof *slots,
                           (size_t)capacity * sizeof *slots);
  if (slots == NULL) {
    luaL_error(L, "not enough memory");
    return;
  }
  rt->slots = slots;
  rt->slot_capacity = capacity;
  for (int slot = capacity; slot > old; slot--) rt->slots[rt->slot_count++] = slot;
}

int tl_slot_find(lua_State *L, tl_runtime *rt) {
  while (rt->slot_count == 0) grow_slots(L, rt);
  return rt->slots[rt->slot_count - 1];
}

void tl_slot_take(lua_State *L, tl_runtime *rt) {
  int slot = rt->slots[--rt->slot_count];
  lua_xmove(L, rt->box, 1);
  lua_rawseti(rt->box, 1, slot);
}

void tl_slot_free(tl_runtime *rt, int slot) {
  lua_pushboolean(rt->box, 0);
  lua_rawseti(rt->box, 1, slot);
  rt->slots[rt->slot_count++] = slot;
}

void tl_slot_push(lua_State *L, const tl_runtime *rt, int slot) {
  lua_rawgeti(rt->box, 1, slot);
  lua_xmove(rt->box, L, 1);
}

bool tl_live_push(lua_State *L, const tl_runtime *rt, int *slot) {
  while (*slot < rt->slot_capacity) {
    tl_slot_push(L, rt, ++*slot);
    if (lua_toboolean(L, -1)) return true;
    lua_pop(L, 1);
  }
  return false;
}

tl_task *tl_live_task_push(lua_State *L, const tl_runtime *rt, int *slot) {
  while (tl_live_push(L, rt, slot)) {
    tl_task *task = tl_test(L, rt, -1, TL_TASK);
    if (task != NULL && task->task.state != TIDE_TASK_ENDED) return task;
    lua_pop(L, 1);
  }
  return NULL;
}
