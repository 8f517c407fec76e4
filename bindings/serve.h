/* serve.h: the body of the task of a server's connection. */
#ifndef TL_SERVE_H
#define TL_SERVE_H

#include <lua.h>
#include <stdbool.h>

bool tl_serve_holds(lua_CFunction function); /* is it that body, in which an error ends? */

#endif
