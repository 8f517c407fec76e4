/* runtime.h: what tide keeps per Lua state.
 *
 * Every C function of tide has the runtime as its first upvalue (a light userdata). */
#ifndef TL_RUNTIME_H
#define TL_RUNTIME_H

#include <lauxlib.h>
#include <lua.h>

#include "class.h"
#include "debug.h"
#include "error.h"
#include "freight.h"
#include "interrupt.h"
#include "memory.h"
#include "nesting.h"
#include "pool.h"
#include "quota.h"
#include "report.h"
#include "run.h"
#include "shelf.h"
#include "slots.h"
#include "stop.h"
#include "task.h"
#include "tide.h"
#include "tide_lua.h"
#include "traceback.h"

#define TL_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define TL_COLD        __attribute__((cold, noinline)) /* keeps rare code out of its callers */
#define TL_INLINE      __attribute__((always_inline)) static inline /* part of its callers */

/* Tables of the runtime, anchored in the registry. */
typedef enum tl_table {
  TL_LIVE,       /* slot -> task or handle that the loop knows | false */
  TL_POOL,       /* 1 .. pool.count: coroutines for reuse; up to pool.capacity: room for more */
  TL_REASONS,    /* light userdata of a cancelled scope -> the reason given */
  TL_NAMES,      /* task (weak) -> its name */
  TL_LOCALS,     /* task (weak) -> {local (weak) -> value} */
  TL_SITES,      /* task (weak) -> where it was spawned, in debug mode */
  TL_TRACEBACKS, /* coroutine (weak) -> {error, traceback} of the error on its way */
  TL_OWNED,      /* address of an object that owns something outside -> the object (weak) */
  TL_FAILURES,   /* light userdata of a TaskGroup -> what it failed with, until somebody is told */
  TL_UNSEEN,     /* witness (weak) of a failure that somebody waited for and nobody took -> true */
  TL_LOOPS,      /* join (weak) of an as_completed that a generic for has called -> true */
  TL_GREENLETS,  /* light userdata of a greenlet's track -> the greenlet (weak) */
  TL_KEPT,   /* light userdata of a task, or of the runtime -> its main greenlet; of a track that
                is in use -> the track */
  TL_HOOKS,  /* what is given to the C part: functions "group_message", "deadlock", "report",
                "debug", "loops", "iter", "serve", "connection_failed", "later"; the metatable
                "unseen" and the record "flood" of reports; "deadlock_message", the text about the
                last one; and metatables of the Lua part's classes -> their names */
  TL_LENT,   /* address of an object that C has a pointer to -> the object (weak) */
  TL_PIECES, /* of the Lua part: their names -> what they have returned; see late.c */
  TL_TABLE_COUNT,
} tl_table;

/* One per Lua state; a userdata in the registry. */
typedef struct tl_runtime {
  tide_loop *loop;          /* where it runs */
  bool shared;              /* it is a host's, who frees it; else it is owned */
  tide_lane lane;           /* of its tasks, where the loop is shared */
  tide_log log;             /* the loop's, once the state has left it */
  tide_lua_options options; /* the host's; zeros where it gave none */
  tl_ops ops;               /* of its tasks */
  lua_State *main;          /* the state's main thread */
  lua_State *L;             /* on whose stack the loop calls Lua: run's caller, or main */
  tl_task *current;         /* the Lua task inside its step, or NULL */
  tl_step step;             /* that step */
  tl_nesting *nesting;      /* of the coroutine that runs, or NULL: it is a task's own */
  lua_State *switching;   /* where a greenlet has asked for a switch, of which the hub is to hear */
  tl_raised raised;       /* the error on its way */
  tl_run run;             /* what is being run */
  tl_interrupt interrupt; /* what ends it, where it is */
  tl_limits limits;       /* what it may use */
  tl_memory *memory;      /* the limit of the state's; or NULL */
  tl_freight *freight;    /* what it has in messages, where there is one; or NULL */
  tl_classes classes;     /* of objects */
  int tables[TL_TABLE_COUNT]; /* registry references */
  tl_slots slots;             /* of TL_LIVE */
  tl_pool pool;               /* coroutines for tasks */
  tl_shelf scopes;            /* of function forms that have ended */
  tl_shelf selects;           /* records of selects that have ended */
  tl_reports reports;         /* what is to be reported at the end of the turn */
  tl_stop *stop;              /* it is being stopped; or NULL */
  tide_list calls;            /* of functions, by tasks of C's: through tide_lua_call.link */
  tl_debug debug;             /* debug mode */
  tl_messages messages;       /* of errors */
  int reason_count;           /* entries in TL_REASONS */
  bool has_locals;            /* a Local was set: spawned tasks inherit */
  bool opened;                /* the module has been opened, once and for all */
} tl_runtime;

/* That of the state's tasks. */
static inline tide_lane *tl_lane(tl_runtime *rt) {
  return rt->shared ? &rt->lane : tide_loop_own_lane(rt->loop);
}

static inline tl_runtime *tl_rt(lua_State *L) {
  return (tl_runtime *)lua_touserdata(L, lua_upvalueindex(1));
}

/* Creates it and anchors it, in that loop or, where it is NULL, in one of its own, with options
 * that have been looked at; [-0, +0, m e] */
tl_runtime *tl_runtime_open(lua_State *L, tide_loop *loop, const tide_lua_options *options);
/* No task runs any more, no object is usable. Harmless the second time; raises nothing. */
void tl_runtime_end(lua_State *L, tl_runtime *rt);

/* From the registry, or NULL: for tide's own code, which knows that there is a place on the stack.
 */
tl_runtime *tl_runtime_find(lua_State *L);
/* For functions that hosts call, whatever is on the stack, and that raise nothing: TIDE_OK, and
 * LUA_MINSTACK places are free; else `*rt` is NULL: TIDE_ENOMEM (there are none, nor memory for
 * them), TIDE_ECLOSED (tide is not open in the state). Those that raise: tl_lent_runtime. */
int tl_runtime_ask(lua_State *L, tl_runtime **rt);

/* Copies a struct of a host's that begins with its size, and may be another tide's; what it does
 * not have is zero. What is wrong with it, or NULL. */
const char *tl_struct_take(void *own, size_t own_size, const void *hosts);

/* The loop; raises `closed` in finalizers that run after the state's end has freed it. */
tide_loop *tl_loop(lua_State *L, const tl_runtime *rt);

/* Keeps the value on top, which is popped, in the registry: under `reference`, or, where that is 0,
 * a new one. Returns which. What the runtime keeps there it keeps to the end of the state. */
int tl_anchor(lua_State *L, int reference);
void tl_table_push(lua_State *L, const tl_runtime *rt, tl_table table);
void tl_table_replace(lua_State *L, tl_runtime *rt, tl_table table); /* pops it; needs no memory */
void tl_hook_push(lua_State *L, const tl_runtime *rt, const char *name);
void tl_hook_set(lua_State *L, const tl_runtime *rt, const char *name); /* pops it off the top */

#endif
