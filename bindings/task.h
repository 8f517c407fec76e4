/* task.h: Lua tasks. */
#ifndef TL_TASK_H
#define TL_TASK_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

/* Of a task: whether its loops may have left iterators open, or it has greenlets, and whether these
 * are being closed. */
enum { TL_NOTHING, TL_OPEN, TL_CLOSING };

typedef struct tl_task {
  tide_task task;      /* first: the core's part */
  tl_runtime *rt;      /* whose */
  lua_State *co;       /* its coroutine; NULL before it begins and once it has ended */
  int slot;            /* in TL_LIVE; 0 once it has ended */
  int next_failed;     /* slot of the next task whose failure nobody saw yet */
  uint32_t held_since; /* when the first of the turns in `held` was, in units of 2^20 ns */
  uint16_t values;     /* [group,] function and arguments: its user values before it begins */
  bool completes;      /* its loops may have left an as_completed: join.c */
  uint8_t behind;      /* TL_NOTHING, TL_OPEN, TL_CLOSING */
  uint8_t how;         /* while TL_CLOSING: of tl_step.how, what the body has left */
  bool kept : 1;       /* then: and whether it has left a value */
  bool over : 1;       /* its slice is: it ends, and nothing holds that up: quota.c */
  uint8_t held;        /* turns taken in a cancelled scope, in a row, that did not raise: wait.c */
  uint8_t swallowed;   /* cancellations raised since it was last in no cancelled scope: debug.c */
  bool seen;           /* the program knows its coroutine, which is then no other task's */
  bool traced;         /* TL_TRACEBACKS may have an entry of its coroutine */
  bool greenlets;      /* TL_KEPT has a main greenlet of it */
  uint8_t owned;       /* how many arguments it is to close and has not taken over: owner.c */
} tl_task;

/* The step that the current task is in. */
typedef struct tl_step {
  uint32_t calls; /* of functions that wait, so far */
  bool waking;    /* it was resumed after its wait, and nobody has taken the outcome yet */
  uint8_t how;    /* TL_PACKED, TL_BARE ...: what the body has left that just ended */
} tl_step;

/* What the loop is to do with the tasks of this state: one for each state, so that the tasks of
 * several take turns in a loop. */
typedef struct tl_ops {
  tide_task_ops task;     /* Lua tasks */
  tide_task_ops watched;  /* the same, in debug mode */
  tide_task_ops callback; /* of handle.c */
} tl_ops;

/* step.c */
void tl_ops_init(tl_ops *ops, tide_lane *lane); /* `lane` NULL: the loop's own */
tl_task *tl_task_spawn(lua_State *L, tl_runtime *rt, tide_group *group, int group_index,
                       int function_index);      /* fn and all above it; [-0, +1, m e]: the Task */
tl_task *tl_task_of(tide_task *task);            /* NULL: it is not a Lua task */
void tl_task_watch(tl_task *task, bool watched); /* whether debug.c is told of its steps */

/* handle.c: the step of a callback */
void tl_handle_step(tide_task *task, int outcome);

/* kill.c: ends a task that is not running, at once. */
void tl_task_kill(lua_State *L, tl_task *task);

/* The same for each of the state's in the group and in groups below it, or each one (NULL). */
void tl_task_kill_all(lua_State *L, tl_runtime *rt, const tide_group *group);

/* task.c */
void tl_task_push(lua_State *L, const tl_task *task);                 /* a live one's userdata */
void tl_task_name_push(lua_State *L, const tl_task *task, int index); /* which is at `index` */
const char *tl_task_status(const tl_task *task);
void tl_task_find(lua_State *L, tl_runtime *rt, uint64_t id); /* pushes a live one, or nil */

#endif
