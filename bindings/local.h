/* local.h: how the values of Locals are inherited. */
#ifndef TL_LOCAL_H
#define TL_LOCAL_H

#include <lua.h>

typedef struct tl_runtime tl_runtime;

void tl_locals_inherit(lua_State *L, tl_runtime *rt, int heir);    /* a task, or a coroutine */
void tl_locals_begin(lua_State *L, tl_runtime *rt, lua_State *co); /* before its first step */

#endif
