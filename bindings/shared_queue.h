/* shared_queue.h: what select knows of queues that several states share. */
#ifndef TL_SHARED_QUEUE_H
#define TL_SHARED_QUEUE_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

/* That of the object at `index`, which is of that class; raises where it was collected. */
tide_queue *tl_shared_queue_core(lua_State *L, const tl_runtime *rt, int index);

/* Pushes the value of a slot that a get has delivered, and frees it. [-0, +1, e] */
int tl_shared_queue_take(lua_State *L, const tl_runtime *rt, int index, uint32_t slot);

#endif
