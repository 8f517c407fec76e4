/* scope.h: scopes of scripts, which may be left open, or be closed by the wrong task. */
#ifndef TL_SCOPE_H
#define TL_SCOPE_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

/* Marks scopes and groups of scripts; others are C's. */
enum { TL_SCOPE_OURS = TIDE_SCOPE_BINDING };

/* Raises where another task or greenlet than the one that opened the scope is to close it; `what`
 * names it. */
void tl_check_opener(lua_State *L, const tl_runtime *rt, const tide_scope *scope, const char *what);

/* The error at `index`, which leaves `outer`, may be the cancellation of a scope that was opened
 * inside it and never closed. Then it is replaced by a misuse that names that scope, and what is
 * open inside `outer` is left. */
bool tl_scope_misused(lua_State *L, tl_runtime *rt, int index, const tide_scope *outer);
/* Pushes "a timeout opened at ..."; false: the scope is not one of ours. */
bool tl_scope_describe(lua_State *L, const tide_scope *scope);
/* At the end of the state: no deadline of a scope inside `top` is in the loop any more. */
void tl_scopes_disarm(const tl_runtime *rt, const tide_scope *top);
tide_time tl_scope_deadline(const tide_scope *scope); /* TIDE_NEVER where it is not one of ours */

#endif
