/* options.h: the options of a function, in a table. */
#ifndef TL_OPTIONS_H
#define TL_OPTIONS_H

#include <lua.h>

/* Pushes the values of the options at `index` (a table, nil or none), in the order of `known`, nil
 * for those that are missing; the index of the first. Raises for others, and for wrong values. What
 * `known` is, options.c says. */
int tl_options(lua_State *L, int index, const char *known);

#endif
