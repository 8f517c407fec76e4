/* protect.h: protected calls: tide's pcall and xpcall, and what they leave. */
#ifndef TL_PROTECT_H
#define TL_PROTECT_H

#include <lua.h>
#include <stdbool.h>

typedef struct tl_runtime tl_runtime;

/* After a protected call with LUA_MULTRET whose results are above `before` and fill the stack up to
 * its end: makes room for LUA_MINSTACK values. Where there is none an error takes the place of the
 * results. The status is LUA_OK for results; else the error is on top. */
int tl_returned(lua_State *L, int status, int before);

/* Whether the error on top is none to be caught: the cancellation of a scope around who would, or
 * what a coroutine is closed with. */
bool tl_protect_passes(lua_State *L, const tl_runtime *rt);

bool tl_protect_handles(lua_CFunction function); /* does it call an xpcall's message handler? */
bool tl_protect_holds(lua_CFunction function);   /* does an error end in it? */

#endif
