/* slots.c: slots, and moving what is in them when many have become free. */
#include <limits.h>

#include "pool.h"
#include "runtime.h"
#include "scope.h"
#include "slots.h"
#include "stop.h"
#include "task.h"

enum { FIRST_CAPACITY = 16, KEPT = 512 }; /* at least so many slots are never given back */

/* Shrinking moves slots, so it is done where nobody counts on a number: at the end of a poll. */

static void set_slot(lua_State *L, int index, int slot) {
  tide_task *core = lua_touserdata(L, index);
  tl_task *task = tl_task_of(core);
  if (task != NULL)
    task->slot = slot;
  else
    tl_handle_move(core, slot);
}

/* A quarter of it will be in use. */
static int fitting_capacity(const tl_slots *slots) {
  int capacity = KEPT;
  while (capacity < tl_slots_used(slots) * 4) capacity *= 2;
  return capacity;
}

/* More free ones than so many are too many. */
static int limit_for(int capacity) { return capacity > KEPT ? capacity - capacity / 8 : INT_MAX; }

static void set_capacity(tl_slots *slots, int capacity) {
  slots->capacity = capacity;
  slots->enough = slots->watched ? capacity - 1 : limit_for(capacity);
}

void tl_slots_watch(tl_slots *slots, bool watched) {
  slots->watched = watched;
  set_capacity(slots, slots->capacity);
}

/* Moves what is in slots to the table on top, from slot 1 on. How many. */
static int move_all(lua_State *L, tl_runtime *rt) {
  int used = 0;
  for (int slot = 0; tl_live_push(L, rt, &slot);) {
    set_slot(L, -1, ++used);
    lua_rawseti(L, -2, used);
  }
  return used;
}

/* In protected mode. */
static int shrink(lua_State *L) {
  tl_runtime *rt = lua_touserdata(L, 1);
  tl_slots *slots = &rt->slots;
  const tide_allocator *allocator = tide_loop_allocator(rt->loop);
  int capacity = fitting_capacity(slots);
  lua_createtable(L, capacity, 0); /* may collect, and a finalizer spawn */
  int old = slots->capacity;
  if (capacity >= old || tl_slots_used(slots) > capacity / 2) return 0;
  int *free = tide_alloc(allocator, (size_t)capacity * sizeof *free);
  if (free == NULL) return luaL_error(L, "not enough memory");
  int used = move_all(L, rt);
  for (int slot = used + 1; slot <= capacity; slot++) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, slot);
  }
  tide_free(allocator, slots->free, (size_t)old * sizeof *free);
  slots->free = free;
  slots->count = 0;
  for (int slot = capacity; slot > used; slot--) free[slots->count++] = slot;
  set_capacity(slots, capacity);
  tl_table_replace(L, rt, TL_LIVE);
  return 0;
}

/* Failures that are to be reported yet are known by their slots. */
static void run_shrinker(tide_idle *shrinker) {
  tl_runtime *rt = tide_container(shrinker, tl_runtime, slots.shrinker);
  lua_State *L = rt->L;
  if (rt->reports.first != 0 || !lua_checkstack(L, LUA_MINSTACK)) return;
  lua_pushcfunction(L, shrink);
  lua_pushlightuserdata(L, rt);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

void tl_slots_init(tl_slots *slots) {
  *slots = (tl_slots){.enough = INT_MAX};
  tide_idle_init(&slots->shrinker, run_shrinker);
}

void tl_slots_term(tl_slots *slots, const tide_loop *loop) {
  tide_idle_cancel(&slots->shrinker);
  tide_free(tide_loop_allocator(loop), slots->free, (size_t)slots->capacity * sizeof *slots->free);
  *slots = (tl_slots){.enough = INT_MAX};
}

/* Doubles the number of slots. New ones get a place in the table at once, so that filling and
 * clearing them later needs no memory. Filling may collect, and a finalizer that spawns come in
 * between: then it has done the work. */
static void grow(lua_State *L, tl_runtime *rt) {
  tl_slots *slots = &rt->slots;
  int old = slots->capacity;
  int capacity = old == 0 ? FIRST_CAPACITY : old * 2;
  luaL_argcheck(L, capacity > old, 1, "too many tasks");
  tl_table_push(L, rt, TL_LIVE);
  for (int slot = old + 1; slot <= capacity && slots->capacity == old; slot++) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, slot);
  }
  lua_pop(L, 1);
  if (slots->capacity != old) return;
  int *free = tide_resize(tide_loop_allocator(rt->loop), slots->free, (size_t)old * sizeof *free,
                          (size_t)capacity * sizeof *free);
  if (free == NULL) {
    luaL_error(L, "not enough memory");
    return;
  }
  slots->free = free;
  set_capacity(slots, capacity);
  for (int slot = capacity; slot > old; slot--) slots->free[slots->count++] = slot;
}

int tl_slot_find(lua_State *L, tl_runtime *rt) {
  const tl_slots *slots = &rt->slots;
  while (slots->count == 0) grow(L, rt);
  return slots->free[slots->count - 1];
}

void tl_slot_take(lua_State *L, tl_runtime *rt) {
  tl_slots *slots = &rt->slots;
  int slot = slots->free[--slots->count];
  lua_xmove(L, rt->pool.box, 1);
  lua_rawseti(rt->pool.box, TL_BOX_LIVE, slot);
}

TL_COLD static void too_many(tl_runtime *rt) {
  if (rt->stop != NULL && tl_slots_used(&rt->slots) == 0) tl_stop_look(rt->stop);
  if (rt->slots.count <= limit_for(rt->slots.capacity)) return;
  if (!tide_idle_begun(&rt->slots.shrinker)) tide_idle_touch(&rt->slots.shrinker, rt->loop);
}

void tl_slot_free(tl_runtime *rt, int slot) {
  tl_slots *slots = &rt->slots;
  lua_pushboolean(rt->pool.box, 0);
  lua_rawseti(rt->pool.box, TL_BOX_LIVE, slot);
  slots->free[slots->count++] = slot;
  if (TL_UNLIKELY(slots->count > slots->enough)) too_many(rt);
}

void tl_slot_push(lua_State *L, const tl_runtime *rt, int slot) {
  lua_rawgeti(rt->pool.box, TL_BOX_LIVE, slot);
  lua_xmove(rt->pool.box, L, 1);
}

bool tl_live_push(lua_State *L, const tl_runtime *rt, int *slot) {
  while (*slot < rt->slots.capacity) {
    tl_slot_push(L, rt, ++*slot);
    if (lua_toboolean(L, -1)) return true;
    lua_pop(L, 1);
  }
  return false;
}

tl_task *tl_live_task_push(lua_State *L, const tl_runtime *rt, int *slot) {
  while (tl_live_push(L, rt, slot)) {
    tl_task *task = tl_task_of(lua_touserdata(L, -1));
    if (task != NULL && task->task.state != TIDE_TASK_ENDED) return task;
    lua_pop(L, 1);
  }
  return NULL;
}

void tl_slots_detach(lua_State *L, const tl_runtime *rt) {
  for (int slot = 0; tl_live_push(L, rt, &slot); lua_pop(L, 1))
    tide_task_detach(lua_touserdata(L, -1));
  for (int slot = 0; tl_live_push(L, rt, &slot); lua_pop(L, 1))
    if (tl_task_of(lua_touserdata(L, -1)) == NULL) tl_handle_close(L, lua_touserdata(L, -1));
}

/* Whether it is in no other Lua task's group. */
static bool is_outermost(const tide_task *task) {
  const tide_scope *around = task->own.parent;
  return around != NULL && (around->task == NULL || tl_task_of(around->task) == NULL);
}

void tl_slots_finish(lua_State *L, const tl_runtime *rt) {
  for (int slot = 0; tl_live_push(L, rt, &slot); lua_pop(L, 1)) {
    const tide_task *task = lua_touserdata(L, -1);
    if (is_outermost(task)) tl_scopes_disarm(rt, &task->own);
  }
  for (int slot = 0; tl_live_push(L, rt, &slot); lua_pop(L, 1)) {
    tide_task *task = lua_touserdata(L, -1);
    if (task->own.parent == NULL) continue;       /* it has ended */
    while (!tide_list_empty(&task->own.children)) /* also what suspended coroutines have open */
      tide_scope_exit(tide_container(task->own.children.next, tide_scope, link));
    tide_task_finish(task, TIDE_FUTURE_CANCELLED);
  }
}
