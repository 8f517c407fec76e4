/* join.h: what loops over as_completed have left. */
#ifndef TL_JOIN_H
#define TL_JOIN_H

#include <lua.h>
#include <stdbool.h>

typedef struct tl_runtime tl_runtime;

/* Whether the C function that runs is called by a generic `for`. */
bool tl_loop_calls(lua_State *L);

/* Whether a generic `for` over the function at that index of L is being run in the coroutine `co`,
 * which does not run at present. */
bool tl_loop_runs(lua_State *L, lua_State *co, int function);

/* At the end of a turn: members of as_completed that have failed, and whose loop was left before it
 * came to them, are reported. Whether there are some whose loop goes on. */
bool tl_join_loops(lua_State *L, tl_runtime *rt);

#endif
