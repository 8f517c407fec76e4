/* generator.h: what others must know of generators. */
#ifndef TL_GENERATOR_H
#define TL_GENERATOR_H

#include <lua.h>
#include <stdbool.h>

bool tl_generator_exits(lua_State *L, int index); /* is that error its closing, or a greenlet's? */
void tl_generator_exit_push(lua_State *L);        /* that error */
/* The coroutine of the step or the close at that index; or NULL. */
lua_State *tl_generator_inside(lua_State *L, int index);

#endif
