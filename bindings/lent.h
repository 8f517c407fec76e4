/* lent.h: objects of Lua's that C has a pointer to. */
#ifndef TL_LENT_H
#define TL_LENT_H

#include <lua.h>

#include "class.h"

typedef struct tl_runtime tl_runtime;

/* For functions that hosts call: the runtime, or raises where tide is not loaded, or closed. */
tl_runtime *tl_lent_runtime(lua_State *L);

/* Pushes the object that is lent under this address, or nil. */
void tl_lent_push(lua_State *L, const tl_runtime *rt, const void *address);

/* The same of one that is to be of that class; raises where it is not, or is of another state. */
void tl_lent_check(lua_State *L, const tl_runtime *rt, const void *address, tl_class class);

/* At the end of the state: tasks of C's that wait in such objects hear that they are closed. */
void tl_lent_end(lua_State *L, const tl_runtime *rt);

#endif
