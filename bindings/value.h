/* value.h: checking arguments, and filling tables. */
#ifndef TL_VALUE_H
#define TL_VALUE_H

#include <lua.h>

#include "tide.h"

bool tl_is_callable(lua_State *L, int index);
void tl_check_callable(lua_State *L, int index);
tide_time tl_check_time(lua_State *L, int index);             /* a number of seconds, not NaN */
size_t tl_check_count(lua_State *L, int index, size_t least); /* an integer >= least */
size_t tl_check_size(lua_State *L, int index, size_t least);  /* and <= INT32_MAX */

/* Gives the userdata on top a metatable with a finalizer and nothing else; [-0, +0, m] */
void tl_set_finalizer(lua_State *L, lua_CFunction finalizer);

/* Into the table on top. */
void tl_set_integer(lua_State *L, const char *name, lua_Integer value);
void tl_set_boolean(lua_State *L, const char *name, bool value);
void tl_set_waiters(lua_State *L, const char *name, const tide_list *waiters); /* how many */

/* Whether values of that type may be collected. */
static inline bool tl_is_collectable(int type) { return type > LUA_TNUMBER; }

/* Sets all fields that the table at `from` has in the table at `to`. Needs no memory where they are
 * there. [-0, +0, m] */
void tl_copy_fields(lua_State *L, int from, int to);

void tl_pack(lua_State *L, int first); /* all from `first` on becomes a table {n=, ...} */

#endif
