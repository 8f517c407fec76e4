/* slots.h: places in the table TL_LIVE for tasks and callbacks that the loop knows: there the
 * collector sees them. Filling and clearing one needs no memory. */
#ifndef TL_SLOTS_H
#define TL_SLOTS_H

#include <lua.h>
#include <stdbool.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;
typedef struct tl_task tl_task;

typedef struct tl_slots {
  int *free;          /* numbers of free slots */
  int count;          /* how many */
  int capacity;       /* the number of slots there are, and room in `free` */
  int enough;         /* free slots, beyond which the table is too large */
  bool watched;       /* somebody is to hear when none is in use */
  int handles;        /* slots in use for callbacks; the others are tasks' */
  tide_idle shrinker; /* makes it smaller when that has been so for a while */
} tl_slots;

void tl_slots_init(tl_slots *slots);
void tl_slots_term(tl_slots *slots, const tide_loop *loop);

static inline int tl_slots_used(const tl_slots *slots) { return slots->capacity - slots->count; }

void tl_slots_watch(tl_slots *slots, bool watched); /* whether the state is being stopped */

int tl_slot_find(lua_State *L, tl_runtime *rt); /* the next tl_slot_take's; [-0, +0, m] */
void tl_slot_take(lua_State *L,
                  tl_runtime *rt); /* anchors the value on top, pops it; [-1, +0, -] */
void tl_slot_free(tl_runtime *rt, int slot);
void tl_slot_push(lua_State *L, const tl_runtime *rt, int slot); /* what it holds; [-0, +1, -] */

/* Pushes what the next slot after *slot, 0 at first, holds: a task or a handle; [-0, +(0|1), -].
 * False past the last. Tasks may start and end meanwhile. */
bool tl_live_push(lua_State *L, const tl_runtime *rt, int *slot);

/* The same for tasks that have not ended; NULL past the last. */
tl_task *tl_live_task_push(lua_State *L, const tl_runtime *rt, int *slot);

/* At the end of the state: takes all tasks and callbacks out of what they wait for: what they were
 * given goes back. */
void tl_slots_detach(lua_State *L, const tl_runtime *rt);

/* Behind that: they have all ended, and nothing of theirs is left in the loop. */
void tl_slots_finish(lua_State *L, const tl_runtime *rt);

/* handle.c: the callback is in that slot now. */
void tl_handle_move(void *handle, int slot);
/* ... will never run: the state is being closed. */
void tl_handle_close(lua_State *L, void *handle);

#endif
