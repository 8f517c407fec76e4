/* quota.h: what a state may use: memory, time in one go, time in all. */
#ifndef TL_QUOTA_H
#define TL_QUOTA_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;
typedef struct tl_task tl_task;

typedef struct tl_limits {
  tide_slice_limit slice;   /* of CPU time between two waits; a span of 0: no limit */
  bool standing;            /* there is no watchdog: each coroutine has a hook that counts */
  bool guarded;             /* scripts have been kept from what would hold it up */
  volatile uint64_t over;   /* the slice of the loop's that is over, or 0 */
  volatile tide_time taken; /* what it took, as seen last */
  uint64_t told;            /* the last one that was said to be over */
  tide_slice_look seen;     /* by the standing hook */
  int error;                /* a reference to what is raised when memory is at its limit; or 0 */
} tl_limits;

/* The state's code that runs at the moment is over its slice, and ends: nothing holds it up. */
bool tl_limits_over(const tl_runtime *rt);

/* The count hook, in a coroutine that is over its slice: raises. */
void tl_limits_raise(lua_State *L, tl_runtime *rt);

/* Where the hook stands: looks, and raises if the slice is over. */
void tl_limits_look(lua_State *L, tl_runtime *rt);

/* A coroutine that has no hook is going to run, where the hook stands. */
void tl_limits_watch(const tl_runtime *rt, lua_State *co);

/* The task ends: says so where it was over its slice, and nothing could stop it. */
void tl_limits_task_ends(const tl_runtime *rt, const tl_task *task);

#endif
