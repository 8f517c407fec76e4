/* culprit.h: what is in the way where a task cannot be suspended. */
#ifndef TL_CULPRIT_H
#define TL_CULPRIT_H

#include <lua.h>
#include <stdbool.h>

typedef struct tl_runtime tl_runtime;

/* Pushes what the caller cannot be suspended in, by name, or nil; [-0, +1, m] */
void tl_culprit_push(lua_State *L, const tl_runtime *rt);
bool tl_is_original(lua_State *L); /* the function on top: Lua's own pcall or xpcall */

#endif
