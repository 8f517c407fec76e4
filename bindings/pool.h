/* pool.h: coroutines for tasks, and the stack on which tasks are put together and taken apart. */
#ifndef TL_POOL_H
#define TL_POOL_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

/* The box is a stack of the runtime's own. Nothing that could allocate is done on it: it would
 * raise where nobody catches, and the collector would run finalizers on it. */
typedef struct tl_pool {
  lua_State *box;     /* a coroutine that never runs; what is on its stack: below */
  int reference;      /* to the box, in the registry */
  lua_State *spare;   /* the coroutine for the next task to begin, or NULL */
  int count;          /* coroutines in TL_POOL */
  int capacity;       /* places in TL_POOL */
  int unused;         /* coroutines that nobody has taken since `shrinker` was touched */
  tide_idle shrinker; /* lets go of those */
} tl_pool;

/* On the box. */
enum {
  TL_BOX_LIVE = 1, /* the table TL_LIVE */
  TL_BOX_POOL,     /* the table TL_POOL */
  TL_BOX_SPARE,    /* the spare coroutine, or what it was last */
  TL_BOX_TASK,     /* the task that runs in it, or another while it ends */
};

void tl_pool_open(lua_State *L, tl_runtime *rt); /* [-0, +0, m] */

/* A spare coroutine, where there is none: from the pool, or new. NULL: no memory. */
lua_State *tl_pool_refill(tl_runtime *rt);

/* The task in the spare coroutine waits for the first time: it is that task's own from now on, and
 * its first user value. */
void tl_pool_hand_over(tl_pool *pool);

/* The task below the top of the box has ended: its coroutine may be used again. */
void tl_pool_take_back(tl_runtime *rt);

void tl_pool_end(tl_pool *pool); /* nobody needs them again */

#endif
