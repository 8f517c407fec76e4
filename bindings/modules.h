/* modules.h: what require may load in a state. */
#ifndef TL_MODULES_H
#define TL_MODULES_H

#include <lua.h>
#include <stdbool.h>

typedef struct tl_runtime tl_runtime;

/* Whether scripts may have that part of tide's, "net" say. While the module is being opened. */
bool tl_modules_part(const tl_runtime *rt, const char *part);

/* The host's list is heeded from now on, if there is one. Changes nothing where it raises.
 * [-0, +0, m] */
void tl_modules_open(lua_State *L, tl_runtime *rt);

#endif
