/* semaphore.h: guards of a Semaphore's permits. */
#ifndef TL_SEMAPHORE_H
#define TL_SEMAPHORE_H

#include <lua.h>

typedef struct tl_runtime tl_runtime;

/* Pushes a guard of nothing; then, needing no memory, the one at `index` gets what was acquired of
 * the semaphore at the other. */
void tl_permits_new(lua_State *L, tl_runtime *rt);
void tl_permits_acquired(lua_State *L, int index, int semaphore, size_t count);

#endif
