/* tls.h: streams that are encrypted, as scripts see them; options are read in lua/tide/tls.lua. */
#ifndef TL_TLS_H
#define TL_TLS_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

/* Replaces the options for TLS at `index`, a field of the function's argument at that position, by
 * a table: a context with what they name loaded, and whom a client wants to talk to, by `host`, if
 * it is not NULL. `side` is "client" or "server". Raises. */
void tl_tls_prepare(lua_State *L, const tl_runtime *rt, int index, const char *side,
                    const char *host, int position, const char *function);

/* Raises TIDE_ETLS, and why. */
int tl_raise_tls(lua_State *L, const tl_runtime *rt, const tide_tls_failure *failure);

/* stream:tls() -> what both ends have agreed on | nil */
int tl_stream_tls(lua_State *L);

#endif
