/* queue.h: the values of a queue, which is at `index`. */
#ifndef TL_QUEUE_H
#define TL_QUEUE_H

#include <lauxlib.h>
#include <lua.h>

#include "class.h"
#include "tide.h"

double tl_queue_check_item(lua_State *L, const tide_queue *queue);   /* at 2, 3: its priority */
uint32_t tl_queue_store(lua_State *L, tide_queue *queue, int index); /* the value above; [+1, m] */
void tl_queue_clear(lua_State *L, uint32_t slot, int index);
/* The slot, which was cleared, is free. */
void tl_queue_free(lua_State *L, tide_queue *queue, uint32_t slot, int index);
int tl_queue_take(lua_State *L, tide_queue *queue, uint32_t slot, int index);
/* The same of one that may not have been put. */
void tl_queue_take_back(lua_State *L, tide_queue *queue, uint32_t slot, int index);

/* A class of queues: those methods, and those that touch no values. */
void tl_queue_class_new(lua_State *L, tl_runtime *rt, tl_class class, const char *name,
                        const luaL_Reg *methods);

int tl_queue_putting(lua_State *L); /* select.c: Queue.putting */

#endif
