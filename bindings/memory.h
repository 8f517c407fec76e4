/* memory.h: the limit of a state's memory: Lua's, not that of tide's C part. */
#ifndef TL_MEMORY_H
#define TL_MEMORY_H

#include <lua.h>
#include <stdbool.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;
typedef struct tl_memory tl_memory;

/* From now on it can be set. False: there is no memory for that, or a collection is under way.
 * Raises nothing. */
bool tl_memory_prepare(lua_State *L, tl_runtime *rt);

/* Sets it, in bytes; 0: none. `error` is a reference to what is raised in place of Lua's own
 * message, or LUA_NOREF. */
void tl_memory_limit(const tl_runtime *rt, size_t limit, int error);

/* The limit in bytes; SIZE_MAX: none. */
size_t tl_memory_most(const tl_runtime *rt);

/* The error on top, which a limit may have made Lua raise, is being caught: says so in its place;
 * needs no memory. [-1, +1, -] */
void tl_memory_caught(lua_State *L, const tl_runtime *rt);

/* What runs until it is closed has the reserve: reports. Whether it was open before. */
bool tl_memory_open(const tl_runtime *rt);
void tl_memory_close(const tl_runtime *rt, bool before);

/* The state is being closed: the runtime goes before what it counts. */
void tl_memory_end(tl_runtime *rt);

#endif
