/* fd.h: what fd.c and select.c share. */
#ifndef TL_FD_H
#define TL_FD_H

#include <lua.h>

/* select.c: the cases fd:readable() and fd:writable(). */
int tl_fd_readable(lua_State *L);
int tl_fd_writable(lua_State *L);

#endif
