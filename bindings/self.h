/* self.h: tl_check for argument 1 of methods that are called often. */
#ifndef TL_SELF_H
#define TL_SELF_H

#include "runtime.h"

/* Leaves a value on the stack. */
static inline void *tl_self(lua_State *L, const tl_runtime *rt, tl_class class) {
  void *object = lua_touserdata(L, 1);
  if (TL_UNLIKELY(object == NULL || !lua_getmetatable(L, 1) ||
                  lua_topointer(L, -1) != rt->classes.metatables[class]))
    return tl_check_failed(L, rt, 1, class);
  return object;
}

/* For the classes of owned.h: what was checked last needs no second check, and nothing is left on
 * the stack. */
static inline void *tl_self_cached(lua_State *L, tl_runtime *rt, tl_class class) {
  void *object = lua_touserdata(L, 1);
  if (TL_UNLIKELY(object != rt->classes.last[class] || object == NULL)) {
    rt->classes.last[class] = tl_self(L, rt, class);
    lua_pop(L, 1);
  }
  return object;
}

#endif
