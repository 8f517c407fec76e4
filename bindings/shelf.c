/* shelf.c: objects that nobody but tide saw, kept for the next who needs one. */
#include "shelf.h"
#include "runtime.h"

void tl_shelf_open(lua_State *L, tl_shelf *shelf) {
  shelf->stack = lua_newthread(L); /* has room for TL_SHELF_ROOM */
  shelf->count = 0;
  shelf->reference = tl_anchor(L, shelf->reference);
}
