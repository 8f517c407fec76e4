/* make.h: new objects, on top: for their constructors in Lua and for hosts. [-0, +1, m] */
#ifndef TL_MAKE_H
#define TL_MAKE_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

tide_future *tl_future_push(lua_State *L, tl_runtime *rt);
tide_lock *tl_lock_push(lua_State *L, tl_runtime *rt);
tide_rwlock *tl_rwlock_push(lua_State *L, tl_runtime *rt);
tide_semaphore *tl_semaphore_push(lua_State *L, tl_runtime *rt, size_t permits, size_t bound);
tide_event *tl_event_push(lua_State *L, tl_runtime *rt);
tide_condition *tl_condition_push(lua_State *L, tl_runtime *rt, int lock); /* which is there */
tide_barrier *tl_barrier_push(lua_State *L, tl_runtime *rt, size_t parties);
tide_queue *tl_queue_push(lua_State *L, tl_runtime *rt, tide_queue_order order, size_t max);

/* To be opened in the running task: by tide_group_enter; and by tl_scope_enter, which raises where
 * memory is short, and has it cancelled at that time. These raise where that cannot be. [e] */
tide_group *tl_group_push(lua_State *L, tl_runtime *rt, uint32_t max);
tide_scope *tl_scope_push(lua_State *L, tl_runtime *rt);
void tl_scope_enter(lua_State *L, tl_runtime *rt, tide_scope *scope, tide_time when);

#endif
