/* debug.h: debug mode. All but tl_debug_site_push only while it is on. */
#ifndef TL_DEBUG_H
#define TL_DEBUG_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

typedef struct tl_debug {
  bool on;         /* tide.debug(true) */
  bool told;       /* the task inside its step was reported as slow */
  tide_time slow;  /* the span above which one is */
  tide_time began; /* its step, by the real clock; only while this is on */
} tl_debug;

void tl_debug_watch(lua_State *co); /* a coroutine that a task is going to run in */
void tl_debug_slice_begins(tl_runtime *rt);
void tl_debug_slice_ended(lua_State *L, const tl_runtime *rt, int index); /* of the task there */
void tl_debug_spawned(lua_State *L, const tl_runtime *rt, int index);     /* the task there */
void tl_debug_site_push(lua_State *L, const tl_runtime *rt, int index); /* where that was, or nil */
void tl_debug_cancelled(lua_State *L, const tl_runtime *rt); /* that is about to be raised */
void tl_debug_scope_left(const tl_runtime *rt);

#endif
