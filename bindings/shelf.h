/* shelf.h: objects that only tide sees (and the debug library), kept for the next who needs one.
 *
 * An object with a finalizer is dear to make, and dearer to collect: Lua runs few finalizers in a
 * step of its collector, so many short-lived ones pile up. What lies on a shelf is out of use; what
 * was taken from it is known to the taker alone, so it is collected as ever where it is dropped. */
#ifndef TL_SHELF_H
#define TL_SHELF_H

#include <lua.h>

enum { TL_SHELF_ROOM = 16 };

typedef struct tl_shelf {
  lua_State *stack; /* a coroutine that never runs, with the objects on its stack */
  int reference;    /* to it, in the registry */
  int count;        /* how many */
} tl_shelf;

void tl_shelf_open(lua_State *L, tl_shelf *shelf); /* [-0, +0, m] */

/* Pushes one that was given, and returns it; or pushes nothing, and returns NULL. */
static inline void *tl_shelf_take(lua_State *L, tl_shelf *shelf) {
  if (shelf->count == 0) return NULL;
  shelf->count--;
  lua_xmove(shelf->stack, L, 1);
  return lua_touserdata(L, -1);
}

/* Keeps the userdata at `index` where there is room. It stays where it is, but must not be used. */
static inline void tl_shelf_give(lua_State *L, tl_shelf *shelf, int index) {
  if (shelf->count == TL_SHELF_ROOM) return;
  shelf->count++;
  lua_pushvalue(L, index);
  lua_xmove(L, shelf->stack, 1);
}

#endif
