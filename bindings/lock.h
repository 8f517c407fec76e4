/* lock.h: what Condition shows of its lock. */
#ifndef TL_LOCK_H
#define TL_LOCK_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

void tl_lock_statistics_push(lua_State *L, tl_runtime *rt, const tide_lock *lock);

#endif
