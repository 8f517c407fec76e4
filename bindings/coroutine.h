/* coroutine.h: what resumes coroutines as coroutine.wrap does. */
#ifndef TL_COROUTINE_H
#define TL_COROUTINE_H

#include <lua.h>

#include "nesting.h"
#include "tide.h"

typedef struct tl_runtime tl_runtime;

/* The scope to resume in. */
lua_KContext tl_coroutine_scope(const tl_runtime *rt);
/* The resume alone, in a greenlet of its own where that is not NULL: Lua's status, and results or
 * the error on top of the coroutine. *waiting: it is part of the task's wait, or of a switch. */
int tl_coroutine_enter(lua_State *L, lua_State *co, int arguments, lua_KContext scope,
                       tl_greenlet *greenlet, int *results, bool *waiting);
void tl_coroutine_prepare(lua_State *L, lua_State *co); /* before each resume; it may raise */
/* Resumes with what is on the coroutine's stack; the results come to L's top: their number, or -1
 * and an error; with *waiting none, and the caller waits with the scope for context. */
int tl_coroutine_resume(lua_State *L, lua_State *co, int arguments, lua_KContext scope,
                        bool *waiting);
/* The same when the scheduler has resumed the caller. */
int tl_coroutine_go_on(lua_State *L, lua_State *co, lua_KContext scope, bool *waiting);
void tl_coroutine_check_yield(lua_State *L, const tl_runtime *rt); /* raises for an open scope */

/* Of a function that resumes: its continuation, whose context is the scope; which coroutine; and
 * what it makes of the end or of a yield, with so many results, or -1 and an error, on top. */
typedef struct tl_resumer {
  lua_KFunction again;
  lua_State *(*of)(lua_State *L);
  int (*done)(lua_State *L, int results);
} tl_resumer;

/* After tl_coroutine_resume or go_on: waits, or leaves scopes that were left open, or is done. */
int tl_coroutine_back(lua_State *L, const tl_resumer *resumer, lua_KContext scope, int results,
                      bool waiting);

/* leave.c: leaves all scopes inside `outer`, then is done. */
int tl_leave(lua_State *L, const tl_resumer *resumer, const tide_scope *outer, int results);

/* The coroutine that a suspended one has resumed, and that waits for it; or NULL. */
lua_State *tl_coroutine_inside(lua_State *co);
/* Which the function at that level resumed, or NULL. */
lua_State *tl_coroutine_at(lua_State *co, int level);
bool tl_coroutine_holds(lua_CFunction function); /* is it coroutine.resume? */

#endif
