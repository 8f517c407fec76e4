/* interrupt.h: ending what runs, where it is: code that does not wait, and who calls tide.exit. */
#ifndef TL_INTERRUPT_H
#define TL_INTERRUPT_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

typedef struct tl_hook {
  lua_Hook hook; /* or NULL */
  int mask, count;
} tl_hook;

/* A signal handler may run between any two instructions of what reads and writes this. */
typedef struct tl_interrupt {
  const char *volatile reason; /* of the interruption that is asked for, or NULL */
  volatile uint64_t step;      /* the step of the loop's that is to be interrupted */
  volatile bool closed;        /* a hook is being given back: not now */
  lua_State *armed;            /* whose hook is replaced; to be compared only, it may be gone */
  tl_hook own;                 /* its own, to be given back */
  tl_hook mains;               /* the same of the main thread */
  uint64_t unwound;            /* the step in which an error of this kind was raised last, or 0 */
} tl_interrupt;

/* Cancels the task that runs, with all scopes that it has open, and raises `cancelled`: nothing
 * holds that, neither a shield nor pcall, up to the task's end or the callback's. `reason` is a
 * string, or NULL: whatever that of the cancellation is. */
int tl_unwind(lua_State *L, tl_runtime *rt, const char *reason);

/* Leaves the hook in the coroutine that runs and in all that it was resumed in: for signal handlers
 * in the loop's thread too. */
void tl_interrupt_arm_all(tl_runtime *rt);

bool tl_is_interrupting(lua_State *co); /* whether that hook is in it */

/* For a C function that takes long, now and then: does what the hook would do, if that is in L, and
 * looks whether a slice is over where a standing hook would (quota.h). In a finalizer, in which Lua
 * calls no hook, only for a slice. */
void tl_interrupt_look(lua_State *L, tl_runtime *rt);

/* The hook that the main thread has, but for an interruption. */
tl_hook tl_hook_of_host(const tl_runtime *rt);

/* Whether the error at `index` is of that kind: whoever catches errors lets it through. */
bool tl_unwinds(lua_State *L, const tl_runtime *rt, int index);

#endif
