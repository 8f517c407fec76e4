/* interrupt.h: ending what runs, where it is: code that does not wait, and who calls tide.exit. */
#ifndef TL_INTERRUPT_H
#define TL_INTERRUPT_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

/* A signal handler may run between any two instructions of what reads and writes this. */
typedef struct tl_interrupt {
  const char *volatile reason; /* of the interruption that is asked for, or NULL */
  volatile uint64_t step;      /* the step of the loop's that is to be interrupted */
  volatile bool closed;        /* a hook is being given back: not now */
  lua_State *armed;            /* whose hook is replaced; to be compared only, it may be gone */
  lua_Hook hook;               /* its own, to be given back */
  int mask, count;             /* of that */
  uint64_t unwound;            /* the step in which an error of this kind was raised last, or 0 */
} tl_interrupt;

/* Cancels the task that runs, with all scopes that it has open, and raises `cancelled`: nothing
 * holds that, neither a shield nor pcall, up to the task's end or the callback's. `reason` is a
 * string, or NULL: whatever that of the cancellation is. */
int tl_unwind(lua_State *L, tl_runtime *rt, const char *reason);

/* Whether the error at `index` is of that kind: whoever catches errors lets it through. */
bool tl_unwinds(lua_State *L, const tl_runtime *rt, int index);

#endif
