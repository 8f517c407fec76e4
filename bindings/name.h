/* name.h: how the program calls a function of tide's. */
#ifndef TL_NAME_H
#define TL_NAME_H

#include <lua.h>
#include <stddef.h>

/* What the program called: the running function, or the one of tide's own Lua that led there. NULL:
 * it has no name. */
const char *tl_function_name(lua_State *L, char *buffer, size_t size);

#endif
