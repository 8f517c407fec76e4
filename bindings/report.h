/* report.h: who is told of failures. */
#ifndef TL_REPORT_H
#define TL_REPORT_H

#include <lua.h>

#include "future.h"
#include "tide.h"

typedef struct tl_runtime tl_runtime;
typedef struct tl_task tl_task;

/* What is to be reported at the end of the turn. */
typedef struct tl_reports {
  tide_defer at_end; /* of the turn: reports it */
  tide_idle flood;   /* a second after a report was left out: says how many were */
  int first;         /* slot of the first task whose failure nobody saw yet; 0 */
  tl_task *last;     /* the last of those; they are chained through next_failed */
  bool left;         /* scopes were left open: their groups may have failed */
  bool loops_wait;   /* members of as_completed have failed that a loop has yet to come to */
} tl_reports;

void tl_reports_init(tl_reports *reports);
void tl_reports_end(tl_reports *reports); /* nothing is reported any more */

/* Where the state's reports go as texts, also when it has left its loop. */
const tide_log *tl_log_of(const tl_runtime *rt);

/* Says that something has failed of which there is no more to tell. */
#define tl_complain(rt, ...) tide_log_write(tl_log_of(rt), TIDE_LOG_FAILURE, __VA_ARGS__)

/* Reports a failure of what the text says to the host and the script. Raises nothing but what the
 * collector does. */
void tl_report(lua_State *L, tl_runtime *rt, int what_index, int error_index, int traceback_index);

/* Somebody has got the failure. */
static inline void tl_told(tide_future *future) { future->user |= TL_TOLD; }

/* The task, in its slot, has failed: at the end of the turn it is seen who knows. */
void tl_failed(tl_runtime *rt, tl_task *task);

/* Reports, at the end of the turn, the error on top of what the text under it says; pops both. */
void tl_report_later(lua_State *L, tl_runtime *rt);

/* Scopes were left open; what groups among them have failed with is to be reported. */
void tl_report_left(tl_runtime *rt);

/* Nobody who waited for the failed Task at `index` is going to look at it: it is reported at the
 * end of the turn, if nobody else has by then. */
void tl_report_left_alone(lua_State *L, tl_runtime *rt, int index);

/* Pushes a new record of a failure, of the error at that index: what a Task or Future keeps that
 * has failed. */
void tl_record_push(lua_State *L, const tl_runtime *rt, int error);

/* What the Task or Future at 1 has failed with is reported when it is collected, if nobody has come
 * by then. */
void tl_report_when_collected(lua_State *L, const tl_runtime *rt, tide_future *future);

/* At the end of a run, whose first task has that id, or 0: reports what of it is unseen. */
void tl_report_unseen(lua_State *L, tl_runtime *rt, uint64_t since);

/* flood.c: the report as a text: arguments what, error, traceback, and the tide_log_kind. */
int tl_report_to_log(lua_State *L);
void tl_flood_flush(lua_State *L, tl_runtime *rt); /* says how many reports were left out */

#endif
