/* pool.c: coroutines are used again, and most tasks that end without ever waiting share one. */
#include "pool.h"
#include "debug.h"
#include "runtime.h"

enum {
  POOL_MAX = 1024, /* coroutines kept for reuse */
  POOL_KEPT = 16,  /* of those, also where nobody has needed any for a while */
};

static void watch(tl_runtime *rt) {
  tl_pool *pool = &rt->pool;
  if (tide_idle_begun(&pool->shrinker)) return;
  pool->unused = pool->count;
  tide_idle_touch(&pool->shrinker, rt->loop);
}

/* Lets go of the coroutines that nobody has needed since it was touched. */
static void shrink(tide_idle *shrinker) {
  tl_runtime *rt = tide_container(shrinker, tl_runtime, pool.shrinker);
  tl_pool *pool = &rt->pool;
  for (; pool->unused > POOL_KEPT; pool->unused--) {
    lua_pushboolean(pool->box, 0);
    lua_rawseti(pool->box, TL_BOX_POOL, pool->count--);
  }
  if (pool->count > POOL_KEPT) watch(rt);
}

/* In an attempt to open that failed there may have been a box. */
void tl_pool_open(lua_State *L, tl_runtime *rt) {
  tl_pool *pool = &rt->pool;
  pool->box = lua_newthread(L);
  pool->reference = tl_anchor(L, pool->reference);
  tl_table_push(pool->box, rt, TL_LIVE);
  tl_table_push(pool->box, rt, TL_POOL);
  lua_pushnil(pool->box);
  tide_idle_init(&pool->shrinker, shrink);
}

void tl_pool_end(tl_pool *pool) { tide_idle_cancel(&pool->shrinker); }

/* In protected mode: a new coroutine, and a place in the pool for when it is free. */
static int new_coroutine(lua_State *L) {
  tl_runtime *rt = lua_touserdata(L, 1);
  lua_newthread(L);
  if (rt->pool.capacity == POOL_MAX) return 1;
  tl_table_push(L, rt, TL_POOL);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, rt->pool.capacity + 1);
  rt->pool.capacity++;
  lua_pop(L, 1);
  return 1;
}

lua_State *tl_pool_refill(tl_runtime *rt) {
  tl_pool *pool = &rt->pool;
  lua_State *box = pool->box, *L = rt->L;
  if (pool->count > 0) {
    lua_rawgeti(box, TL_BOX_POOL, pool->count);
    lua_pushboolean(box, 0); /* it may not come back */
    lua_rawseti(box, TL_BOX_POOL, pool->count--);
    if (pool->count < pool->unused) pool->unused = pool->count;
  } else {
    lua_pushcfunction(L, new_coroutine);
    lua_pushlightuserdata(L, rt);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
      lua_pop(L, 1);
      return NULL;
    }
    lua_xmove(L, box, 1);
  }
  pool->spare = lua_tothread(box, -1);
  lua_replace(box, TL_BOX_SPARE);
  if (rt->debug.on) tl_debug_watch(pool->spare);
  return pool->spare;
}

void tl_pool_hand_over(tl_pool *pool) {
  lua_State *box = pool->box;
  lua_pushvalue(box, TL_BOX_SPARE);
  lua_setiuservalue(box, TL_BOX_TASK, 1);
  lua_settop(box, TL_BOX_SPARE);
  pool->spare = NULL;
}

void tl_pool_take_back(tl_runtime *rt) {
  tl_pool *pool = &rt->pool;
  if (pool->count >= pool->capacity) return;
  lua_getiuservalue(pool->box, -2, 1);
  lua_rawseti(pool->box, TL_BOX_POOL, ++pool->count);
  if (TL_UNLIKELY(pool->count > POOL_KEPT)) watch(rt);
}
