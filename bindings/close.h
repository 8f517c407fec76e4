/* close.h: ending coroutines in the middle of what they do. */
#ifndef TL_CLOSE_H
#define TL_CLOSE_H

#include <lua.h>

typedef struct tl_runtime tl_runtime;

#define TL_KILLED         "the cleanup of a killed task"
#define TL_GREENLET_ENDED "the cleanup of a greenlet"

/* Closes what a coroutine that is suspended, or has failed, has open, as the cleanup of `what`. The
 * status; with an error on top of `co` where that failed, or the coroutine had. */
int tl_coroutine_reset(lua_State *L, tl_runtime *rt, lua_State *co, const char *what);
/* The same of a suspended one; where it fails, it is told of `what`. */
void tl_close_coroutine(lua_State *L, tl_runtime *rt, lua_State *co, const char *what);
void tl_close_nested(lua_State *L, tl_runtime *rt, lua_State *co,
                     const char *what); /* those that wait inside */

/* Suspends L, which is being closed, where no message handler is set: what continuations do that
 * are resumed by nobody. Does not return. */
int tl_close_rest(lua_State *L);
/* A wait was refused in the cleanup of what is being closed: one that waits again and again is
 * ended. */
void tl_close_refused(lua_State *L);
/* Pushes onto L the error with which the suspended `co` would end, were the <close> left that it is
 * in, and returns the coroutine that it has come to; NULL where none is on its way. */
lua_State *tl_error_leaving_push(lua_State *L, const tl_runtime *rt, lua_State *co);

#endif
