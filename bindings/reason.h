/* reason.h: reasons of cancellation, and the error `cancelled` that has them. */
#ifndef TL_REASON_H
#define TL_REASON_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

/* The value at `index` is why the scope is about to be cancelled; nil or none: nothing is said.
 * Where there is no memory it is cancelled without a reason. */
void tl_reason_set(lua_State *L, tl_runtime *rt, const tide_scope *scope, int index);
void tl_reason_push(lua_State *L, const tl_runtime *rt, const tide_task *task); /* or nil */
void tl_reason_clear(lua_State *L, tl_runtime *rt, const tide_scope *scope);

void tl_cancelled_push(lua_State *L, const tl_runtime *rt); /* the error, with its reason */
int tl_raise_cancelled(lua_State *L, const tl_runtime *rt);

#endif
