/* greenlet.h: greenlets: coroutines that switch to each other.
 *
 * A task is in one of its greenlets at a time. The main one is the task's body. Lua's coroutines
 * cannot switch: they return to who resumed them. So the call of switch in which the main greenlet
 * is suspended is the *hub*: it resumes all others. One that switches suspends itself as far as the
 * hub, in the manner of a wait and through the same coroutines; the hub resumes the next one. So a
 * switch nests nothing, and what is resumed for a wait goes through the hub to the one that waits.
 *
 * Outside of all tasks there is a main greenlet, too. */
#ifndef TL_GREENLET_H
#define TL_GREENLET_H

#include "nesting.h"
#include "runtime.h"

typedef enum tl_stage {
  TL_DEAD,      /* has ended, or never will begin */
  TL_NEW,       /* its coroutine has the function, and nothing else */
  TL_SUSPENDED, /* in a call of switch */
  TL_INSIDE,    /* it runs, or waits; the main one always */
} tl_stage;

/* What the core and the task know of a greenlet from its beginning to its end. It does not go with
 * it, for where memory is short no finalizer may be called. */
typedef struct tl_track {
  tide_branch branch; /* first: the scopes that it has open, in a task */
  tide_list link;     /* among its main one's `begun` */
} tl_track;

struct tl_greenlet {
  tl_runtime *rt;    /* whose */
  tl_greenlet *main; /* of its task: a user value; itself, of the main one */
  lua_State *co;     /* its coroutine: a user value. NULL: it is a main one */
  tl_track *track;   /* a user value */
  lua_State *at;     /* suspended: the coroutine that called switch, its own or one inside */
  tl_stage stage;    /* where it is */
  bool tracked;      /* it has begun, and has not ended: its track is in use */
  bool fails;        /* what it is switched to with is an error, which it is to raise */
  /* Of a main one: */
  tl_task *task;   /* NULL: outside of tasks, or the task has ended */
  bool over;       /* it has */
  tide_list begun; /* tracks of those that have begun and not ended, in that order */
};

/* User values. */
enum {
  TL_GREENLET_CO = 1,
  TL_GREENLET_MAIN,
  TL_GREENLET_TRACK,
  TL_GREENLET_PARENT, /* nil: it is a main one */
  TL_GREENLET_CLOSER, /* who gets what it ends with, in place of the parent; or nil */
  TL_GREENLET_VALUES = TL_GREENLET_CLOSER
};

/* greenlet.c */
tl_greenlet *tl_greenlet_main_push(lua_State *L, tl_runtime *rt); /* of what runs; makes it */
void tl_greenlet_begin(lua_State *L, int index);       /* that one is going to run; [-0, +0, m] */
void tl_greenlet_end(lua_State *L, tl_greenlet *self); /* it has ended; raises nothing */
/* Ends it, as the cleanup of `what`, which cannot wait. Raises nothing. */
void tl_greenlet_drop(lua_State *L, tl_greenlet *self, const char *what);
/* Of a task's branch: pushes where the greenlet is suspended, or nil; whether it is. */
bool tl_greenlet_place_push(lua_State *L, const tl_runtime *rt, const tide_scope *branch);

/* The end of a task that has any. */
int tl_greenlets_close(lua_State *L); /* of the current one, in peace: they may wait [-0, +0, e] */
/* At once; the task's own coroutine is closed already. Raises nothing. */
void tl_greenlets_kill(lua_State *L, tl_task *task);
void tl_greenlets_leave(lua_State *L, const tl_task *task); /* it ends; needs no memory */

/* switch.c */
int tl_greenlet_switch(lua_State *L);
int tl_greenlet_throw(lua_State *L);
int tl_greenlet_close(lua_State *L);
int tl_greenlet_current(lua_State *L);
void tl_greenlet_fill(lua_State *L, int self, int function); /* the new one's coroutine */
/* Whose hub the function is, of `ar` in `co`: the coroutine that it has resumed; or NULL. */
lua_State *tl_greenlet_inside(lua_State *co, lua_Debug *ar, lua_CFunction function);

#endif
