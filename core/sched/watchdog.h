/* watchdog.h: steps that do not end: a signal in the loop's own thread finds them.
 *
 * Who has tasks that may run for ever (a script's) gives their lane a slice. While one of their
 * steps lasts for longer, a signal handler calls `over` every few milliseconds of CPU time: there
 * it can be arranged that the code stops. Between two looks nothing is done: no step pays for it,
 * and a loop that waits is not woken. */
#ifndef TIDE_WATCHDOG_H
#define TIDE_WATCHDOG_H

#include "lane.h"

TIDE_BEGIN_DECLS

typedef struct tide_slice_limit tide_slice_limit;

struct tide_slice_limit {
  tide_time span; /* of CPU time of the loop's thread, that one step may take */
  /* Called by the signal handler, in the loop's thread, with what the step has taken: again and
   * again, until it has ended. May do only what a signal handler may. */
  void (*over)(tide_slice_limit *slice, tide_time taken);
};

/* From now on the loop's thread, which must be the one that calls this and stay so, gets the signal
 * `signo` while a step takes long in a lane that has a slice. The signal is tide's alone: a handler
 * is installed for it, which stays installed when the loop is gone (other loops of the process may
 * have the same signal), and which system calls are gone on with after (SA_RESTART). 0: not any
 * more. Each slice is measured to about 10 ms. TIDE_OK; TIDE_ENOMEM; TIDE_OS(errno): no timer can
 * be had, or the signal cannot be caught: there is no watchdog then, and the signal as before. */
TIDE_API int tide_loop_set_watchdog(tide_loop *loop, int signo);

/* The signal, or 0. */
TIDE_API int tide_loop_watchdog(const tide_loop *loop);

/* What a step of the lane's tasks may take; the record stays the caller's, until another is set or,
 * by NULL, none. Without a watchdog nobody looks. */
TIDE_API void tide_lane_set_slice(tide_lane *lane, tide_slice_limit *slice);

/* For code that is the lane's and runs outside of its steps: `lane` is visited until it is left,
 * with what this has returned. Each visit has a slice of its own. */
TIDE_API tide_lane *tide_lane_visit(tide_lane *lane);
TIDE_API void tide_lane_leave(tide_lane *lane, tide_lane *before);

/* The lane whose code runs at the moment, in a step or a visit; or NULL. May be called by a signal
 * handler in the loop's thread. */
TIDE_API tide_lane *tide_loop_running_lane(const tide_loop *loop);

/* What has been seen of the present slice, by one who looks now and then. All zeros: nothing. */
typedef struct tide_slice_look {
  uint64_t slice;  /* which one it was at the last look ... */
  tide_time began; /* ... and tide_clock_thread when it was seen first */
} tide_slice_look;

/* Looks: what the present slice has taken since it was seen first. May be called by a signal
 * handler in the loop's thread. */
TIDE_API tide_time tide_loop_look_at_slice(const tide_loop *loop, tide_slice_look *look);

/* Which slice it is at the moment: a number that is another in each step and visit. May be called
 * by a signal handler in the loop's thread. */
TIDE_API uint64_t tide_loop_slice(const tide_loop *loop);

TIDE_END_DECLS

#endif
