/* traceback.h: where errors come from. */
#ifndef TL_TRACEBACK_H
#define TL_TRACEBACK_H

#include <lua.h>
#include <stdbool.h>

typedef struct tl_runtime tl_runtime;

/* Of the error that is being raised. */
typedef struct tl_raised {
  int awaited;     /* it is that of the Task at this index of who raises it; or 0 */
  bool rethrowing; /* it was caught, and is raised once more */
} tl_raised;

int tl_message_handler(lua_State *L); /* keeps the traceback; for lua_pcallk */
/* Raises the error on top, which was caught, once more: the traceback stays as it was. */
int tl_rethrow(lua_State *L, tl_runtime *rt);
/* The same of the error at 1, whose traceback, or nil, is at 2. At 3 the name of the task in which
 * that was caught, or nil where it is this one. */
int tl_raise_traced(lua_State *L, tl_runtime *rt);
/* Pushes the traceback of an error that this coroutine caught with the handler, or nil; it is then
 * forgotten. */
void tl_traceback_take(lua_State *L, const tl_runtime *rt, int error_index);
/* The same of one that has come to `co`. */
void tl_traceback_take_from(lua_State *L, const tl_runtime *rt, lua_State *co, int error_index);
/* Keeps, for who raises it in L, the traceback of the error on top of a coroutine that has failed:
 * before it is reset. Raises nothing. */
void tl_traceback_capture(lua_State *L, lua_State *co);
void tl_traceback_forget(lua_State *L, const tl_runtime *rt); /* of the error on top: was caught */
void tl_traceback_clear(lua_State *L, const tl_runtime *rt, lua_State *co); /* whatever there is */

#endif
