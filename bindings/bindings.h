/* bindings.h: what the binding files share.
 *
 * Every C function of tide has the runtime as its first upvalue (a light userdata). A function that
 * waits begins with tl_begin, before it touches its arguments, calls one waiting function of the
 * core, and hands its answer to tl_finish; what comes after the wait is in the continuation. One
 * that waits only if a function does that it is given begins with tl_is_due. So each call counts,
 * also one that raises, and no loop of calls keeps other tasks from their turn. */
#ifndef TL_BINDINGS_H
#define TL_BINDINGS_H

#include <lauxlib.h>
#include <lua.h>

#include "interrupt.h"
#include "run.h"
#include "slots.h"
#include "tide.h"

#define TL_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define TL_COLD        __attribute__((cold, noinline)) /* keeps rare code out of its callers */

typedef enum tl_class {
  TL_TASK,
  TL_FUTURE,
  TL_HANDLE,
  TL_SCOPE,
  TL_GROUP,
  TL_LOCK,
  TL_RWLOCK,
  TL_RWGUARD,
  TL_SEMAPHORE,
  TL_PERMITS, /* what a semaphore's acquire gives */
  TL_EVENT,
  TL_CONDITION,
  TL_BARRIER,
  TL_QUEUE,
  TL_RECEIPT,
  TL_JOIN,
  TL_SELECT, /* the record of a select: no metatable */
  TL_CASE,
  TL_GENERATOR,
  TL_ITER,
  TL_LUA_ITER, /* what Lua keeps of an iterator that C has: no methods */
  TL_LOCAL,
  TL_STREAM,
  TL_LISTENER,
  TL_CONNECTOR,
  TL_ERROR,
  TL_CLASS_COUNT,
} tl_class;

/* Tables of the runtime, anchored in the registry. */
typedef enum tl_table {
  TL_LIVE,       /* slot -> task or handle that the loop knows | false */
  TL_POOL,       /* 1 .. pool_count: coroutines for reuse; up to pool_capacity: room for more */
  TL_REASONS,    /* light userdata of a cancelled scope -> the reason given */
  TL_NAMES,      /* task (weak) -> its name */
  TL_LOCALS,     /* task (weak) -> {local -> value} */
  TL_SITES,      /* task (weak) -> where it was spawned, in debug mode */
  TL_TRACEBACKS, /* coroutine (weak) -> {error, traceback} of the error on its way */
  TL_OWNED,      /* address of an object that owns something outside -> the object (weak) */
  TL_FAILURES,   /* light userdata of a TaskGroup -> what it failed with, until somebody is told */
  TL_UNSEEN,     /* record of a failure (weak) that somebody waited for and nobody took -> true */
  TL_LOOPS,      /* join (weak) of an as_completed that a generic for has called -> true */
  TL_HOOKS,      /* what is given to the C part: functions "group_message", "deadlock", "report",
                    "debug", "loops", "iter"; the metatable "unseen" and the record "flood" of
                    reports; "deadlock_message", the text about the last one;
                    and metatables of the Lua part's classes -> their names */
  TL_TABLE_COUNT,
} tl_table;

typedef struct tl_task tl_task;
typedef struct tl_runtime tl_runtime;

/* A coroutine of the user's that runs; in the C frame of who resumed it. */
typedef struct tl_nesting {
  const struct tl_nesting *outer; /* of what it was resumed in, or NULL */
  lua_State *resumer;             /* whose function resumed it, or closes it */
  lua_State *co;                  /* which one it is */
  const tide_scope *scope; /* the task's innermost one then: a yield must not leave others open */
  const char *closing;     /* it is being closed, as the cleanup of what; or NULL */
  int depth;               /* of closings inside each other */
  bool stuck;              /* the task cannot be suspended: something further out cannot yield */
} tl_nesting;

/* One per Lua state; a userdata in the registry. */
struct tl_runtime {
  tide_loop *loop;  /* owned */
  lua_State *main;  /* the state's main thread */
  lua_State *L;     /* on whose stack the loop calls Lua: run's caller, or main */
  tl_task *current; /* the Lua task inside its step, or NULL */
  int awaited;      /* the error being raised is of the Task at this index of who raises it; or 0 */
  bool rethrowing;  /* an error that was caught is being raised once more */
  bool has_locals;  /* a Local was set: spawned tasks inherit */
  bool debugging;   /* tide.debug(true) */
  bool slice_told;  /* the task inside its step was reported as slow */
  tide_time slow;   /* the span above which one is */
  tide_time slice_began; /* when, by the real clock; only in debug mode */
  uint32_t calls;        /* of functions that wait, by that task in this step */
  int refused;           /* waits, in the cleanup of what is being closed */
  bool waking;           /* it was resumed after its wait, and nobody has taken the outcome yet */
  const tl_nesting *nesting; /* of the coroutine that runs, or NULL: it is a task's own */
  tl_run run;                /* what is being run */
  tl_interrupt interrupt;    /* what ends it, where it is */
  const void *metatables[TL_CLASS_COUNT]; /* lua_topointer of each class's metatable */
  int classes[TL_CLASS_COUNT];            /* registry references of the metatables */
  int tables[TL_TABLE_COUNT];             /* registry references */
  void (*release[TL_CLASS_COUNT])(tl_runtime *, void *); /* of owned.h's classes; or NULL */
  tl_slots slots;                                        /* of TL_LIVE */
  int handle_count;  /* callbacks in slots; the other slots in use are tasks' */
  int pool_count;    /* coroutines in TL_POOL */
  int pool_capacity; /* places in TL_POOL */
  uint8_t how;       /* TL_PACKED, TL_BARE: what the body that just ended left */
  int no_memory, foreign_yield, too_many; /* registry references of messages */
  int select_record;          /* registry reference of a spare record of select, or false */
  lua_State *box;             /* a stack of body.c's own; see there */
  int box_reference;          /* registry reference of that */
  bool opened;                /* the module has been opened, once and for all */
  void *last[TL_CLASS_COUNT]; /* the object that was checked last, of each class, or NULL */
  lua_State *spare;           /* the coroutine for the next task to begin, or NULL */
  int reason_count;           /* entries in TL_REASONS */
  int failed;                 /* slot of the first task whose failure nobody saw yet; 0 */
  tl_task *last_failed;       /* the last of those; they are chained through next_failed */
  tide_defer reporter;        /* reports those at the end of the turn */
  bool left;                  /* scopes were left open by a task: their groups may have failed */
  bool loops_wait; /* members of as_completed have failed that a loop has yet to come to */
};

/* Bits of tide_future.user: how the owner keeps the result in the first user value. */
enum {
  TL_PACKED = 1,    /* a table {n=, ...}; else the only value, or nil */
  TL_BARE = 2,      /* failed: the user value is the error itself, not a record */
  TL_NAMED = 4,     /* it has an entry in TL_NAMES */
  TL_EMPTY = 8,     /* no result at all */
  TL_FAILED = 16,   /* only in tl_runtime.how: a record {error, traceback} */
  TL_STOPPED = 128, /* only in tl_runtime.how: cancelled; the value is the reason */
  TL_TOLD = 128,    /* failed: somebody got the failure (report.h) */
  TL_BEGUN = 32,    /* a task that was stepped */
  TL_CHILD = 64,    /* a task whose first value is its group, the second its function */
};

/* Of a task: whether its loops may have left iterators open, and whether these are being closed. */
enum { TL_NO_LOOPS, TL_OPEN, TL_CLOSING };

struct tl_task {
  tide_task task;    /* first: the core's part */
  tl_runtime *rt;    /* whose */
  lua_State *co;     /* its coroutine; NULL before it begins and once it has ended */
  int slot;          /* in TL_LIVE; 0 once it has ended */
  int next_failed;   /* slot of the next task whose failure nobody saw yet */
  uint16_t values;   /* [group,] function and arguments: its user values before it begins */
  uint8_t loops;     /* TL_NO_LOOPS, TL_OPEN, TL_CLOSING */
  uint8_t how;       /* while TL_CLOSING: of tl_runtime.how, what the body has left */
  bool kept;         /* then: and whether it has left a value */
  uint8_t held;      /* turns taken in a cancelled scope, in a row, that did not raise: wait.c */
  uint8_t swallowed; /* cancellations raised since it was last in no cancelled scope: debug.c */
  bool seen;         /* the program knows its coroutine, which is then no other task's */
  bool traced;       /* TL_TRACEBACKS may have an entry of its coroutine */
  uint8_t owned;     /* how many arguments it is to close and has not taken over: owner.c */
};

/* Where a scope was opened that is to be left by `<close>`. */
typedef struct tl_site {
  int line; /* 0: not known */
  char source[LUA_IDSIZE];
} tl_site;

typedef struct tl_future {
  tide_future future; /* first */
  tl_runtime *rt;     /* whose */
} tl_future;

static inline tl_runtime *tl_rt(lua_State *L) {
  return (tl_runtime *)lua_touserdata(L, lua_upvalueindex(1));
}

/* slots.c */
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
/* handle.c, for slots.c: the callback is in that slot now */
void tl_handle_move(void *handle, int slot);

/* runtime.c */
tl_runtime *tl_runtime_open(lua_State *L); /* creates it and anchors it; [-0, +0, m e] */
/* No task runs any more, no object is usable. Harmless the second time; raises nothing. */
void tl_runtime_end(lua_State *L, tl_runtime *rt);
/* Keeps the value on top, which is popped, in the registry: under `reference`, or, where that is 0,
 * a new one. Returns which. What the runtime keeps there it keeps to the end of the state. */
int tl_anchor(lua_State *L, int reference);
tl_runtime *tl_runtime_find(lua_State *L); /* from the registry, or NULL */
void tl_table_push(lua_State *L, const tl_runtime *rt, tl_table table);
void tl_table_replace(lua_State *L, tl_runtime *rt, tl_table table); /* pops it; needs no memory */
void tl_hook_push(lua_State *L, const tl_runtime *rt, const char *name);
void tl_hook_set(lua_State *L, const tl_runtime *rt, const char *name); /* pops it off the top */

/* The loop; raises `closed` in finalizers that run after the state's end has freed it. */
tide_loop *tl_loop(lua_State *L, const tl_runtime *rt);

/* class.c: metatables, and checking arguments. */
void tl_class_new(lua_State *L, tl_runtime *rt, tl_class class, const char *name,
                  const luaL_Reg *methods, const luaL_Reg *metamethods);
void tl_class_push(lua_State *L, const tl_runtime *rt, tl_class class); /* its metatable */
void *tl_object_new(lua_State *L, tl_runtime *rt, tl_class class, size_t size, int user_values);
void *tl_test(lua_State *L, const tl_runtime *rt, int index, tl_class class);  /* or NULL */
void *tl_check(lua_State *L, const tl_runtime *rt, int index, tl_class class); /* or raises */
void *tl_check_failed(lua_State *L, const tl_runtime *rt, int index, tl_class class);

/* tl_check for argument 1 of methods that are called often: leaves a value on the stack. For
 * the classes of owned.h there is tl_self_cached: what was checked last needs no second
 * check, and nothing is left on the stack. */
static inline void *tl_self(lua_State *L, const tl_runtime *rt, tl_class class) {
  void *object = lua_touserdata(L, 1);
  if (TL_UNLIKELY(object == NULL || !lua_getmetatable(L, 1) ||
                  lua_topointer(L, -1) != rt->metatables[class]))
    return tl_check_failed(L, rt, 1, class);
  return object;
}

/* Into the table on top. */
void tl_set_integer(lua_State *L, const char *name, lua_Integer value);
void tl_set_boolean(lua_State *L, const char *name, bool value);
void tl_set_waiters(lua_State *L, const char *name, const tide_list *waiters); /* how many */

void tl_pack(lua_State *L, int first); /* all from `first` on becomes a table {n=, ...} */
void tl_functions(lua_State *L, tl_runtime *rt, const luaL_Reg *functions); /* into the top table */
void tl_constructor(lua_State *L, tl_runtime *rt, const char *name, tl_class class,
                    lua_CFunction call); /* module.name, for the class; the module is on top. NULL:
                                            its objects are made in other ways */
void tl_check_callable(lua_State *L, int index);
tide_time tl_check_time(lua_State *L, int index);             /* a number of seconds, not NaN */
size_t tl_check_count(lua_State *L, int index, size_t least); /* an integer >= least */
/* What the program called: the running function, or the one of tide's own Lua that led there. NULL:
 * it has no name. */
const char *tl_function_name(lua_State *L, char *buffer, size_t size);

/* options.c: pushes the values of the options at `index` (a table, nil or none), in the order of
 * `known`, nil for those that are missing; the index of the first. Raises for others, and for wrong
 * values. What `known` is, options.c says. */
int tl_options(lua_State *L, int index, const char *known);
void tl_options_open(lua_State *L, tl_runtime *rt);

static inline void *tl_self_cached(lua_State *L, tl_runtime *rt, tl_class class) {
  void *object = lua_touserdata(L, 1);
  if (TL_UNLIKELY(object != rt->last[class] || object == NULL)) {
    rt->last[class] = tl_self(L, rt, class);
    lua_pop(L, 1);
  }
  return object;
}

/* error.c */
void tl_error_push(lua_State *L, const tl_runtime *rt, int error, const char *message);
int tl_raise(lua_State *L, const tl_runtime *rt, int error);
int tl_raise_message(lua_State *L, const tl_runtime *rt, int error, const char *message);
/* The misuse of an iterator while another task is inside: its field `in_use` says that it goes on.
 */
int tl_raise_in_use(lua_State *L, const tl_runtime *rt, const char *message);
/* Pushes the error at `index` for a list of errors: nil, which a list cannot hold, as a string. */
void tl_error_value_push(lua_State *L, int index);

bool tl_error_kind_push(lua_State *L, const tl_runtime *rt, int index); /* of those of tide's */
bool tl_error_is(lua_State *L, const tl_runtime *rt, int index, const char *kind);
bool tl_error_is_cancel(lua_State *L, const tl_runtime *rt, int index); /* of one's own scopes */
/* Whether the error, which leaves that scope's body, is a cancellation that was asked of it. One
 * that was not, of a task that was awaited, or raised by the program, is a failure as any other. */
bool tl_error_was_asked(lua_State *L, const tl_runtime *rt, int index, const tide_scope *scope);
/* Says more of the error on top where it is Lua's limit of nested C calls; [-1, +1, m] */
void tl_error_explain(lua_State *L);
int tl_message_handler(lua_State *L); /* keeps the traceback; for lua_pcallk */
/* Raises the error on top, which was caught, once more: the traceback stays as it was. */
int tl_rethrow(lua_State *L, tl_runtime *rt);
/* The same of the error at 1, whose traceback, or nil, is at 2. At 3 the name of the task in which
 * that was caught, or nil where it is this one. */
int tl_raise_traced(lua_State *L, tl_runtime *rt);
/* Pushes the traceback of an error that this coroutine caught with the handler, or nil; it is then
 * forgotten. */
void tl_traceback_take(lua_State *L, const tl_runtime *rt, int error_index);
/* Keeps, for who raises it in L, the traceback of the error on top of a coroutine that has failed:
 * before it is reset. Raises nothing. */
void tl_traceback_capture(lua_State *L, lua_State *co);
void tl_traceback_forget(lua_State *L, const tl_runtime *rt); /* of the error on top: was caught */
/* The same of one that has come to `co`. */
void tl_traceback_take_from(lua_State *L, const tl_runtime *rt, lua_State *co, int error_index);
void tl_traceback_clear(lua_State *L, const tl_runtime *rt, lua_State *co); /* whatever there is */
void tl_error_open(lua_State *L, tl_runtime *rt);

/* wait.c */
tl_task *tl_waiter_failed(lua_State *L, const tl_runtime *rt);
void tl_culprit_push(lua_State *L, const tl_runtime *rt);   /* what the caller cannot be suspended
                                                               in, by name, or nil; [-0, +1, m] */
void tl_not_woken(lua_State *L, const tl_runtime *rt);      /* raises */
void tl_cancelled_push(lua_State *L, const tl_runtime *rt); /* the error, with its reason */
int tl_raise_cancelled(lua_State *L, const tl_runtime *rt);
int tl_raise_outcome(lua_State *L, tl_runtime *rt, int outcome);
bool tl_is_original(lua_State *L); /* the function on top: Lua's own pcall or xpcall */
extern char tl_marker;             /* its address on top of a coroutine says: this one waits */

/* Whether there is a current task, and it may wait here. */
static inline bool tl_can_wait(lua_State *L, const tl_runtime *rt) {
  return rt->current != NULL && rt->current->task.state == TIDE_TASK_RUNNING &&
         lua_isyieldable(L) && (rt->nesting == NULL || !rt->nesting->stuck);
}

/* The current task, which may wait here; or raises. */
static inline tl_task *tl_waiter(lua_State *L, const tl_runtime *rt) {
  return TL_UNLIKELY(!tl_can_wait(L, rt)) ? tl_waiter_failed(L, rt) : rt->current;
}

enum { TL_CALLS_PER_TURN = 256 };

/* The same, first thing in a function that waits. NULL: the task has made so many of these calls in
 * a row that it is to take a turn first: `return tl_turn(L, rt)`. */
static inline tl_task *tl_begin(lua_State *L, tl_runtime *rt) {
  tl_task *task = tl_waiter(L, rt);
  return TL_UNLIKELY(++rt->calls >= TL_CALLS_PER_TURN) ? NULL : task;
}

/* The same for functions that need not wait: whether they are to take a turn first. Where nothing
 * can wait they are not. */
static inline bool tl_is_due(lua_State *L, tl_runtime *rt) {
  return tl_can_wait(L, rt) && TL_UNLIKELY(++rt->calls >= TL_CALLS_PER_TURN);
}

/* The same for functions that are not to begin in a cancelled scope: there tl_turn raises. */
static inline bool tl_is_cancelled(lua_State *L, const tl_runtime *rt) {
  return tl_can_wait(L, rt) && tide_task_cancelled(&rt->current->task);
}

static inline bool tl_is_due_or_cancelled(lua_State *L, tl_runtime *rt) {
  return tl_can_wait(L, rt) &&
         TL_UNLIKELY(++rt->calls >= TL_CALLS_PER_TURN || tide_task_cancelled(&rt->current->task));
}

/* Gives up the turn, then calls the running function again, its arguments as they are; in a
 * cancelled scope it raises `cancelled` instead. */
int tl_turn(lua_State *L, tl_runtime *rt);
int tl_turn_to(lua_State *L, tl_runtime *rt,
               lua_CFunction function); /* that one, of constructors */

/* The same for functions that are to run in a cancelled scope too: it raises only where a task has
 * done nothing else for very long. */
int tl_turn_held(lua_State *L, tl_runtime *rt);

/* Suspends: `return tl_wait(L, ctx, k)`. */
static inline int tl_wait(lua_State *L, lua_KContext ctx, lua_KFunction k) {
  lua_pushlightuserdata(L, &tl_marker);
  return lua_yieldk(L, 1, ctx, k);
}

/* First thing in a continuation: takes note that it was the scheduler that resumed; else raises. */
static inline void tl_woken(lua_State *L, tl_runtime *rt) {
  if (TL_UNLIKELY(!rt->waking)) tl_not_woken(L, rt);
  rt->waking = false;
}

/* In a continuation: raises if the wait ended with an error. After a wait the marker is still on
 * the stack; this leaves it there, under what the function will push. */
static inline void tl_outcome(lua_State *L, tl_runtime *rt) {
  tl_woken(L, rt);
  int outcome = rt->current->task.outcome;
  if (TL_UNLIKELY(outcome != TIDE_OK)) tl_raise_outcome(L, rt, outcome);
}

/* The same, with the stack as it was before the wait: for continuations that count what is on it,
 * or wait again. `status` is what Lua gave to the continuation. */
static inline void tl_resumed(lua_State *L, tl_runtime *rt, int status) {
  if (status == LUA_YIELD) lua_pop(L, 1);
  tl_outcome(L, rt);
}

/* Finishes a waiting function whose continuation is `k`, called at once where nothing is to be
 * waited for: `return tl_finish(L, rt, result, ctx, k)`. */
static inline int tl_finish(lua_State *L, tl_runtime *rt, int result, lua_KContext ctx,
                            lua_KFunction k) {
  if (result == TIDE_PENDING) return tl_wait(L, ctx, k);
  if (TL_UNLIKELY(result != TIDE_OK)) return tl_raise_outcome(L, rt, result);
  rt->current->task.outcome = TIDE_OK;
  rt->waking = true;
  return k(L, LUA_OK, ctx);
}

/* For functions of the core that are called again after each wait, until they are done. */
typedef struct tl_recall {
  /* Tries, with the caller's stack as it was: the number of results, or TL_AGAIN where the task is
   * parked. `self` is the userdata at 1. */
  int (*attempt)(lua_State *L, tl_runtime *rt, void *self);
  /* NULL, or called before the error is raised that a wait ended with. */
  void (*abandoned)(lua_State *L);
  tl_class class; /* of `self` */
} tl_recall;

enum { TL_AGAIN = -1 };

int tl_call(lua_State *L, tl_runtime *rt, const tl_recall *recall, void *self);

/* After a protected call with LUA_MULTRET whose results are above `before` and fill the stack up to
 * its end: makes room for LUA_MINSTACK values. Where there is none an error takes the place of the
 * results. The status is LUA_OK for results; else the error is on top. */
int tl_returned(lua_State *L, int status, int before);

/* protect.c: pcall and xpcall; coroutine.c: coroutine.*; both put into globals. */
void tl_protect_open(lua_State *L, tl_runtime *rt);
bool tl_protect_handles(lua_CFunction function); /* does it call an xpcall's message handler? */
bool tl_protect_holds(lua_CFunction function);   /* does an error end in it? */
bool tl_coroutine_holds(lua_CFunction function); /* is it coroutine.resume? */
void tl_coroutine_open(lua_State *L, tl_runtime *rt);
/* For what resumes coroutines as coroutine.wrap does: the scope to resume in; the resume, of what
 * is on the coroutine's stack, whose results come to L's top (their number, or -1 and an error;
 * with *waiting none, and the caller waits with the scope for context); the same when the scheduler
 * has resumed the caller. */
lua_KContext tl_coroutine_scope(const tl_runtime *rt);
void tl_coroutine_prepare(lua_State *L, lua_State *co); /* before each resume; it may raise */
int tl_coroutine_resume(lua_State *L, lua_State *co, int arguments, lua_KContext scope,
                        bool *waiting);
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

/* generator.c */
bool tl_generator_exits(lua_State *L, int index); /* is that error its closing? */
lua_State *tl_generator_inside(lua_State *L,
                               int index); /* a step's or close's coroutine; or NULL */

/* local.c */
void tl_locals_inherit(lua_State *L, tl_runtime *rt, int heir);    /* a task, or a coroutine */
void tl_locals_begin(lua_State *L, tl_runtime *rt, lua_State *co); /* before its first step */

/* The coroutine that a suspended one has resumed, and that waits for it; or NULL. */
lua_State *tl_coroutine_inside(lua_State *co);
lua_State *tl_coroutine_at(lua_State *co,
                           int level); /* which the function there resumed, or NULL */

/* debug.c: all but tl_debug_site_push only in debug mode. */
void tl_debug_watch(lua_State *co); /* a coroutine that a task is going to run in */
void tl_debug_slice_begins(tl_runtime *rt);
void tl_debug_slice_ended(lua_State *L, const tl_runtime *rt, int index); /* of the task there */
void tl_debug_spawned(lua_State *L, const tl_runtime *rt, int index);     /* the task there */
void tl_debug_site_push(lua_State *L, const tl_runtime *rt, int index); /* where that was, or nil */
void tl_debug_cancelled(lua_State *L, const tl_runtime *rt); /* that is about to be raised */
void tl_debug_scope_left(const tl_runtime *rt);

/* close.c */
#define TL_KILLED "the cleanup of a killed task"
/* Closes what a coroutine that is suspended, or has failed, has open, as the cleanup of `what`. The
 * status; with an error on top of `co` where that failed, or the coroutine had. */
int tl_coroutine_reset(lua_State *L, tl_runtime *rt, lua_State *co, const char *what);
/* The same of a suspended one; where it fails, it is told of `what`. */
void tl_close_coroutine(lua_State *L, tl_runtime *rt, lua_State *co, const char *what);
void tl_close_nested(lua_State *L, tl_runtime *rt, lua_State *co); /* those that wait inside */
/* Whether a <close> variable is called for that; function forms are not left then, but dropped. */
static inline bool tl_is_closing(const tl_runtime *rt) {
  return rt->nesting != NULL && rt->nesting->closing != NULL;
}

/* Suspends L, which is being closed, where no message handler is set: what continuations do that
 * are resumed by nobody. Does not return. */
int tl_close_rest(lua_State *L);
/* A wait was refused in the cleanup of what is being closed: one that waits again and again is
 * ended. */
void tl_close_refused(lua_State *L);
/* Pushes onto L the error with which the suspended `co` would end, were the <close> left that it is
 * in, and returns the coroutine that it has come to; NULL where none is on its way. */
lua_State *tl_error_leaving_push(lua_State *L, const tl_runtime *rt, lua_State *co);

/* place.c: where code is, across the coroutines inside a task. */
bool tl_place_is_tides(const lua_Debug *ar);   /* has it a chunk compiled into tide; needs "S" */
void tl_site_set(lua_State *L, tl_site *site); /* to who called the C function that runs */
void tl_site_add(lua_State *L, const tl_site *site);   /* " opened at ..." to the text on top */
void tl_place_push(lua_State *L, const tl_task *task); /* "file:line", or nil where it has none */
void tl_place_here_push(lua_State *L, const tl_runtime *rt); /* the same of L, which runs */
void tl_trace_push(lua_State *L, const tl_task *task);       /* a traceback, or nil */
/* The traceback of L, which runs, from that level on, and of what it was resumed in. */
void tl_trace_running_push(lua_State *L, const tl_runtime *rt, int level);

/* body.c */
tl_task *tl_task_spawn(lua_State *L, tl_runtime *rt, tide_group *group, int group_index,
                       int function_index); /* fn and all above it; [-0, +1, m e]: the Task */
void tl_task_kill(lua_State *L, tl_task *task);
bool tl_task_group_push(lua_State *L, const tl_task *child); /* false: it has none */
bool tl_is_child_body(lua_CFunction function);   /* what the coroutine of a group's child runs */
tl_task *tl_task_of(tide_task *task);            /* NULL: it is not a Lua task */
void tl_task_watch(tl_task *task, bool watched); /* whether debug.c is told of its steps */
void tl_hook_reset(const tl_runtime *rt, lua_State *co); /* a coroutine's, to what all have */

/* owner.c: of a task that ends without having taken over what it owns. */
void tl_owner_close(lua_State *L, tl_task *task);
void tl_owner_open(lua_State *L, tl_runtime *rt);

/* task.c */
/* Before it is cancelled. Where there is no memory it is cancelled without a reason. */
void tl_reason_set(lua_State *L, tl_runtime *rt, const tide_scope *scope, int index);
void tl_reason_push(lua_State *L, const tl_runtime *rt, const tide_task *task); /* or nil */
void tl_reason_clear(lua_State *L, tl_runtime *rt, const tide_scope *scope);
void tl_task_push(lua_State *L, const tl_task *task);                 /* a live one's userdata */
void tl_task_name_push(lua_State *L, const tl_task *task, int index); /* which is at `index` */
const char *tl_task_status(const tl_task *task);
void tl_task_find(lua_State *L, tl_runtime *rt, uint64_t id); /* pushes a live one, or nil */

/* lock.c, for condition.c */
void tl_lock_statistics_push(lua_State *L, tl_runtime *rt, const tide_lock *lock);

/* rwlock.c, for select.c. The guard is at `index`: what it is a case of; that this has happened. */
void tl_rwguard_case(lua_State *L, tide_case *out, int index);
void tl_rwguard_acquired(lua_State *L, const tl_runtime *rt, int index);

/* queue.c, for select.c. The queue is at `index`. */
double tl_queue_check_item(lua_State *L, const tide_queue *queue);   /* at 2, 3: its priority */
uint32_t tl_queue_store(lua_State *L, tide_queue *queue, int index); /* the value above; [+1, m] */
void tl_queue_clear(lua_State *L, uint32_t slot, int index);
/* The slot, which was cleared, is free. */
void tl_queue_free(lua_State *L, tide_queue *queue, uint32_t slot, int index);
int tl_queue_take(lua_State *L, tide_queue *queue, uint32_t slot, int index);
int tl_queue_putting(lua_State *L); /* select.c: Queue.putting */
int tl_group_ended(lua_State *L);   /* the same: TaskGroup.ended */

/* future.c */
tide_future *tl_check_future(lua_State *L, const tl_runtime *rt, int index);
int tl_result_push(lua_State *L, tl_runtime *rt, tide_future *future, int index);
/* of an ended one; raises its error, which has been told then */
void tl_failure_push(lua_State *L, const tide_future *future, int index); /* the error */
int tl_failure_trace_push(lua_State *L, const tide_future *future, int index);
/* the traceback, or nil; its type */

/* scope.c: raises where another task than the one that opened the scope is to close it; `what`
 * names it. */
void tl_check_opener(lua_State *L, const tl_runtime *rt, const tide_scope *scope, const char *what);

/* scope.c: the error at `index`, which leaves `outer`, may be the cancellation of a scope that was
 * opened inside it and never closed. Then it is replaced by a misuse that names that scope, and
 * what is open inside `outer` is left. */
bool tl_scope_misused(lua_State *L, tl_runtime *rt, int index, const tide_scope *outer);
/* Pushes "a timeout opened at ..."; false: the scope is not one of ours. */
bool tl_scope_describe(lua_State *L, const tide_scope *scope);

/* scope.c, group.c: of those that are ours; TIDE_NEVER or NULL for others. */
tide_time tl_scope_deadline(const tide_scope *scope);
const char *tl_group_name(const tide_group *group);
tide_group *tl_group_for_spawn(lua_State *L, tl_runtime *rt, int index); /* or raises */
void tl_group_describe(lua_State *L,
                       const void *group); /* pushes "TaskGroup 'name' opened at ..." */
/* Takes note, for the group at `index`, of the current child's failure: pops error and traceback.
 */
void tl_group_add_failure(lua_State *L, const tl_runtime *rt, int index);
/* Pushes what the group at `index` has for failures of children, of which the current task is one;
 * false: nothing. */
bool tl_group_on_error_push(lua_State *L, const tl_runtime *rt, int index);

/* run.c: the run is left with that status: cancels what is in it. */
void tl_run_leave(lua_State *L, tl_runtime *rt, int status);

/* run.c: tells the task, which waits, that nothing can wake any; the error says who waits. */
void tl_deadlock(lua_State *L, tl_runtime *rt, tl_task *task);

/* Each of these adds its names to the module's table, which is on top. */
void tl_class_open(lua_State *L, tl_runtime *rt);
void tl_wait_open(lua_State *L, tl_runtime *rt);
void tl_report_open(lua_State *L, tl_runtime *rt);
void tl_task_open(lua_State *L, tl_runtime *rt);
void tl_future_open(lua_State *L, tl_runtime *rt);
void tl_run_open(lua_State *L, tl_runtime *rt);
void tl_exit_open(lua_State *L, tl_runtime *rt);
void tl_handle_open(lua_State *L, tl_runtime *rt);
void tl_scope_open(lua_State *L, tl_runtime *rt);
void tl_group_open(lua_State *L, tl_runtime *rt);
void tl_lock_open(lua_State *L, tl_runtime *rt);
void tl_rwlock_open(lua_State *L, tl_runtime *rt);
void tl_semaphore_open(lua_State *L, tl_runtime *rt);
void tl_event_open(lua_State *L, tl_runtime *rt);
void tl_condition_open(lua_State *L, tl_runtime *rt);
void tl_barrier_open(lua_State *L, tl_runtime *rt);
void tl_queue_open(lua_State *L, tl_runtime *rt);
void tl_join_open(lua_State *L, tl_runtime *rt);
void tl_select_open(lua_State *L, tl_runtime *rt);
void tl_generator_open(lua_State *L, tl_runtime *rt);
void tl_iter_open(lua_State *L, tl_runtime *rt);
void tl_lua_iter_open(lua_State *L, tl_runtime *rt);
void tl_local_open(lua_State *L, tl_runtime *rt);
void tl_stats_open(lua_State *L, tl_runtime *rt);
void tl_tree_open(lua_State *L, tl_runtime *rt);
void tl_debug_open(lua_State *L, tl_runtime *rt);
void tl_testing_open(lua_State *L, tl_runtime *rt);
void tl_net_open(lua_State *L, tl_runtime *rt);

#endif
