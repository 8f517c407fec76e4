/* memory.c: the limit of a state's memory: an allocator in front of the state's own.
 *
 * What is refused Lua asks for once more, after a collection; when that is refused too, it raises
 * its error. From then on the code in that step may use a reserve, so that what unwinds has memory,
 * until the error is caught. That collection runs no finalizers, and what they would give back is
 * out of reach in a state that is full: so at the end of the turn there is another one, in which
 * they have the reserve too; and so have reports of what has failed. */
#include "memory.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

enum { RESERVE = 64 * 1024 }; /* bytes beyond the limit */

/* It counts to the last byte of the state, so it is none of the state's own: of its first
 * allocator's. */
struct tl_memory {
  size_t used;      /* bytes that Lua has */
  size_t easy;      /* up to here nothing is to be looked at: the limit, or 0 */
  size_t limit;     /* SIZE_MAX: none */
  lua_Alloc alloc;  /* the host's */
  void *context;    /* its */
  bool standard;    /* it is luaL_newstate's */
  uintptr_t first;  /* where the state's own block may begin, the last that is freed ... */
  size_t within;    /* ... and how many bytes later at the latest, where the main thread is */
  tl_runtime *rt;   /* whose; NULL: it has ended */
  size_t lacks;     /* what was just refused, and is going to be asked for once more */
  uint64_t slice;   /* in which the reserve is open */
  bool open;        /* it is, in that one */
  bool always;      /* finalizers or reports run, or the state is being closed */
  bool refused;     /* something was, of which nobody has been told */
  int error;        /* a reference to what is raised in its place */
  tide_defer after; /* a refusal: runs finalizers */
};

static bool is_open(tl_memory *self) {
  if (self->always) return true;
  if (self->open && self->rt != NULL && self->slice != tide_loop_slice(self->rt->loop))
    self->open = false;
  return self->open;
}

/* The second time Lua raises its error; a buffer that is refused does the first time. */
static void *refuse(tl_memory *self, size_t size) {
  bool again = self->lacks == size;
  self->lacks = again ? 0 : size;
  self->easy = again ? self->limit : 0; /* what is asked for next is to be looked at */
  self->refused = true;
  if (!again || self->rt == NULL) return NULL;
  self->open = true;
  self->slice = tide_loop_slice(self->rt->loop);
  tide_defer_start(&self->after, self->rt->loop);
  return NULL;
}

static bool may_have(tl_memory *self, size_t used) {
  return used <= self->limit || (is_open(self) && used - self->limit <= RESERVE);
}

static void *resize(tl_memory *self, void *block, size_t old_size, size_t new_size, size_t used) {
  void *made;
  if (TL_UNLIKELY(!self->standard))
    made = self->alloc(self->context, block, old_size, new_size);
  else if (block == NULL)
    made = malloc(new_size);
  else
    made = realloc(block, new_size);
  if (TL_UNLIKELY(made == NULL)) return NULL;
  self->used = used;
  return made;
}

/* What comes near the limit, or after a refusal. */
__attribute__((noinline)) static void *resize_slowly(tl_memory *self, void *block, size_t old_size,
                                                     size_t new_size, size_t used) {
  if (used > self->used) {
    if (!may_have(self, used)) return refuse(self, new_size);
    self->lacks = 0;
    self->easy = self->limit;
  }
  return resize(self, block, old_size, new_size, used);
}

/* Its own block goes with the state's. */
__attribute__((noinline)) static void *free_all(tl_memory *self, void *block, size_t size) {
  lua_Alloc alloc = self->alloc;
  void *context = self->context;
  alloc(context, self, sizeof *self, 0);
  return alloc(context, block, size, 0);
}

static void *limited(void *context, void *block, size_t old_size, size_t new_size) {
  tl_memory *self = context;
  size_t before = block != NULL ? old_size : 0, used = self->used - before + new_size;
  if (new_size == 0) {
    self->used = used;
    if (TL_UNLIKELY((uintptr_t)block - self->first <= self->within))
      return free_all(self, block, old_size);
    if (TL_UNLIKELY(!self->standard)) return self->alloc(self->context, block, old_size, 0);
    free(block);
    return NULL;
  }
  if (TL_UNLIKELY(used > self->easy)) return resize_slowly(self, block, old_size, new_size, used);
  return resize(self, block, old_size, new_size, used);
}

/* In protected mode: it runs finalizers. */
static int collect(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  return 0;
}

static void run_finalizers(tide_defer *after) {
  tl_memory *self = tide_container(after, tl_memory, after);
  tl_runtime *rt = self->rt;
  tide_lane *before = tide_lane_visit(tl_lane(rt));
  bool opened = tl_memory_open(rt);
  lua_pushcfunction(rt->L, collect);
  if (lua_pcall(rt->L, 0, 0, 0) != LUA_OK) lua_pop(rt->L, 1);
  tl_memory_close(rt, opened);
  tide_lane_leave(tl_lane(rt), before);
}

bool tl_memory_open(const tl_runtime *rt) {
  bool before = rt->memory != NULL && rt->memory->always;
  if (rt->memory != NULL) rt->memory->always = true;
  return before;
}

void tl_memory_close(const tl_runtime *rt, bool before) {
  if (rt->memory != NULL) rt->memory->always = before;
}

static size_t bytes_of(lua_State *L) {
  return (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
}

/* Whether it is luaL_newstate's, which is the C library's realloc and free (Lua's manual, 5.1):
 * these are called without it then, or a second call through a pointer is most of what a limit
 * costs. */
static bool is_standard(lua_Alloc alloc) {
  void *context;
  lua_State *other = luaL_newstate();
  if (other == NULL) return false;
  bool same = lua_getallocf(other, &context) == alloc;
  lua_close(other);
  return same;
}

/* In front of the state's allocator; NULL: there is no memory, or none can be counted now. */
static tl_memory *install(lua_State *L, tl_runtime *rt) {
  void *context;
  lua_Alloc alloc = lua_getallocf(L, &context);
  if (lua_gc(L, LUA_GCCOUNT) < 0) return NULL; /* inside a collection */
  tl_memory *self = alloc(context, NULL, 0, sizeof *self);
  if (self == NULL) return NULL;
  *self = (tl_memory){.used = bytes_of(L),
                      .easy = SIZE_MAX,
                      .limit = SIZE_MAX,
                      .alloc = alloc,
                      .context = context,
                      .standard = is_standard(alloc),
                      .first = (uintptr_t)lua_getextraspace(rt->main) - sizeof(void *),
                      .within = LUA_EXTRASPACE + sizeof(void *),
                      .rt = rt,
                      .error = LUA_NOREF};
  tide_defer_init(&self->after, run_finalizers);
  lua_setallocf(L, limited, self);
  return self;
}

bool tl_memory_prepare(lua_State *L, tl_runtime *rt) {
  if (rt->memory == NULL) rt->memory = install(L, rt);
  return rt->memory != NULL;
}

void tl_memory_limit(const tl_runtime *rt, size_t limit, int error) {
  if (rt->memory == NULL) return;
  rt->memory->limit = rt->memory->easy = limit != 0 ? limit : SIZE_MAX;
  rt->memory->lacks = 0;
  rt->memory->error = error;
}

size_t tl_memory_most(const tl_runtime *rt) {
  return rt->memory != NULL ? rt->memory->limit : SIZE_MAX;
}

/* Whether the error on top is Lua's; a buffer's has a position before it. */
static bool is_shortage(lua_State *L) {
  static const char text[] = "not enough memory";
  size_t length;
  if (lua_type(L, -1) != LUA_TSTRING) return false;
  const char *message = lua_tolstring(L, -1, &length);
  return length >= sizeof text - 1 && strcmp(message + length - (sizeof text - 1), text) == 0;
}

void tl_memory_caught(lua_State *L, const tl_runtime *rt) {
  tl_memory *self = rt->memory;
  if (self == NULL || !self->refused || !is_shortage(L)) return;
  self->refused = self->open = false;
  if (self->error == LUA_NOREF) return;
  lua_pop(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, self->error);
}

void tl_memory_end(tl_runtime *rt) {
  if (rt->memory == NULL) return;
  tide_defer_cancel(&rt->memory->after);
  rt->memory->rt = NULL;
  rt->memory->always = true;
}
