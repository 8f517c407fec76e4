/* rwlock.h: guards of an RWLock as cases of select. The guard is at `index`. */
#ifndef TL_RWLOCK_H
#define TL_RWLOCK_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

void tl_rwguard_case(lua_State *L, tide_case *out, int index);           /* what it is a case of */
void tl_rwguard_acquired(lua_State *L, const tl_runtime *rt, int index); /* this has happened */

#endif
