/* future.h: results of tasks and futures. */
#ifndef TL_FUTURE_H
#define TL_FUTURE_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

/* Bits of tide_future.user: how the owner keeps the result in the first user value. */
enum {
  TL_PACKED = 1,    /* a table {n=, ...}; else the only value, or nil */
  TL_BARE = 2,      /* failed: the user value is the error itself, not a record */
  TL_NAMED = 4,     /* it has an entry in TL_NAMES */
  TL_EMPTY = 8,     /* no result at all */
  TL_FAILED = 16,   /* only in tl_step.how: a record */
  TL_STOPPED = 128, /* only in tl_step.how: cancelled; the value is the reason */
  TL_TOLD = 128,    /* failed: somebody got the failure (report.h) */
  TL_BEGUN = 32,    /* a task that was stepped */
  TL_CHILD = 64,    /* a task whose first value is its group, the second its function */
};

/* The record of a failure. */
enum {
  TL_RECORD_ERROR = 1, /* what was raised */
  TL_RECORD_TRACEBACK, /* or nil */
  TL_RECORD_NUMBER, /* what C is told: of the error's kind; TIDE_EFAILED of `cancelled`, which it is
                       not */
  TL_RECORD_WITNESS, /* report.c */
};

typedef struct tl_future {
  tide_future future; /* first */
  tl_runtime *rt;     /* whose */
} tl_future;

tide_future *tl_check_future(lua_State *L, const tl_runtime *rt, int index);
/* Of an ended one; raises its error, which has been told then. */
int tl_result_push(lua_State *L, tl_runtime *rt, tide_future *future, int index);
/* Pushes what a failed one keeps. True: that is a record; else the error itself. */
bool tl_kept_push(lua_State *L, const tide_future *future, int index);
void tl_failure_push(lua_State *L, const tide_future *future, int index); /* the error */
/* What C is told that a task or future has failed with, which failed with the error there. */
int tl_failure_number(lua_State *L, const tl_runtime *rt, int error);
/* The traceback, or nil; its type. */
int tl_failure_trace_push(lua_State *L, const tide_future *future, int index);

#endif
