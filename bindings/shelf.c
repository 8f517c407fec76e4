/* shelf.c: objects that only tide sees, kept for the next who needs one. */
#include "shelf.h"
#include "runtime.h"

_Static_assert(TL_SHELF_ROOM <= LUA_MINSTACK, "a new coroutine has room for so many");

void tl_shelf_open(lua_State *L, tl_shelf *shelf) {
  shelf->stack = lua_newthread(L);
  shelf->count = 0;
  shelf->reference = tl_anchor(L, shelf->reference);
}
