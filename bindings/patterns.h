/* patterns.h: the string library's functions that match patterns, with counted steps. */
#ifndef TL_PATTERNS_H
#define TL_PATTERNS_H

#include <lua.h>

typedef struct tl_runtime tl_runtime;

/* Pushes what tl_patterns_install needs: four values. [-0, +4, e] */
void tl_patterns_prepare(lua_State *L, tl_runtime *rt);
/* Puts the functions in the place of those of the same name, in the table `string`, and in what
 * strings have for methods. [-4, +0, -] */
void tl_patterns_install(lua_State *L);

#endif
