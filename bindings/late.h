/* late.h: the Lua part of tide: each piece of it is loaded when something of it is first used.
 *
 * The pieces see a table of their own under the name `tide`, with all that the C part has, also
 * what is not for scripts, and add what they make to it. Scripts have another one, the module: so
 * nothing that a script puts into its own reaches the pieces, whenever they are loaded. */
#ifndef TL_LATE_H
#define TL_LATE_H

#include <lua.h>
#include <stdbool.h>

typedef struct tl_runtime tl_runtime;

/* The parts of the module that require finds: "tide.net" ... */
enum { TL_PARTS = 4 };
extern const char *const tl_parts[TL_PARTS];

/* Replaces the pieces' table on top, which is complete but for the Lua part, by the module. [-1,
 * +1, e] */
void tl_late_open(lua_State *L, tl_runtime *rt);

/* Gives the table on top, which is empty and has no metatable, those names of the class that the
 * Lua part will add to the methods at index `methods`. [-0, +0, m] */
void tl_late_methods(lua_State *L, tl_runtime *rt, const char *class, int methods);

/* Loads what gives the C part that hook; false where nothing does. [-0, +0, e] */
bool tl_late_hook(lua_State *L, const tl_runtime *rt, const char *name);

#endif
