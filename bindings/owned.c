/* owned.c: finalizers of what owns more than Lua's memory.
 *
 * Each object is in a table with weak values. A collection takes what it is about to finalize out
 * of such tables first; the end of a state does not, since it collects nothing. */
#include <string.h>

#include "class.h"
#include "owned.h"
#include "report.h"
#include "runtime.h"
#include "text.h"

/* Whether the object is in the table still: it is no garbage. */
static bool is_reachable(lua_State *L, const tl_runtime *rt, const void *object) {
  tl_table_push(L, rt, TL_OWNED);
  bool is = lua_rawgetp(L, -1, object) == LUA_TUSERDATA;
  lua_pop(L, 2);
  return is;
}

static void release(tl_runtime *rt, tl_class class, void *object) {
  rt->classes.last[class] = NULL;
  rt->classes.release[class](rt, object);
}

/* The finalizer of a class, the second upvalue. What is reachable is left alone: the state is being
 * closed, or somebody has called this by hand, which takes the debug library. */
static int collect(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_class class = (tl_class)lua_tointeger(L, lua_upvalueindex(2));
  void *object = tl_test(L, rt, 1, class); /* none is of any class once the runtime has ended */
  if (object != NULL && !is_reachable(L, rt, object)) release(rt, class, object);
  return 0;
}

void tl_owned_class(lua_State *L, tl_runtime *rt, tl_class class,
                    void (*release_one)(tl_runtime *rt, void *object)) {
  rt->classes.release[class] = release_one;
  tl_class_push(L, rt, class);
  lua_pushlightuserdata(L, rt);
  lua_pushinteger(L, class);
  lua_pushcclosure(L, collect, 2);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

void *tl_owned_new(lua_State *L, tl_runtime *rt, tl_class class, size_t size, int user_values) {
  tl_loop(L, rt);
  void *object = lua_newuserdatauv(L, size, user_values);
  memset(object, 0, size);
  tl_table_push(L, rt, TL_OWNED);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, object);
  lua_pop(L, 1);
  tl_class_push(L, rt, class);
  lua_setmetatable(L, -2);
  return object;
}

typedef struct owner {
  tl_runtime *rt;
  tl_class class;
  void *object;
  bool begun; /* its release has been called */
} owner;

/* In protected mode. */
static int release_owner(lua_State *L) {
  owner *self = lua_touserdata(L, 1);
  self->begun = true;
  release(self->rt, self->class, self->object);
  return 0;
}

/* What a host's function raises keeps none of the others from being released. */
static void release_protected(lua_State *L, owner self) {
  lua_pushcfunction(L, release_owner);
  lua_pushlightuserdata(L, &self);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
  if (self.begun)
    tl_complain(self.rt, "giving back what an object owned failed: %s", tl_text_of(L));
  else /* there is no memory for a call */
    release(self.rt, self.class, self.object);
  lua_pop(L, 1);
}

void tl_owned_release_all(lua_State *L, tl_runtime *rt) {
  tl_table_push(L, rt, TL_OWNED);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    void *object = lua_touserdata(L, -1);
    for (tl_class class = 0; class < TL_CLASS_COUNT; class ++)
      if (rt->classes.release[class] != NULL && tl_test(L, rt, -1, class) != NULL)
        release_protected(L, (owner){.rt = rt, .class = class, .object = object});
  }
  lua_pop(L, 1);
}
