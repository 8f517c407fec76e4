/* clock.h: time in nanoseconds, and what tells it. */
#ifndef TIDE_CLOCK_H
#define TIDE_CLOCK_H

#include "config.h"

TIDE_BEGIN_DECLS

/* A point on a loop's monotonic clock, or a span of it, in nanoseconds. */
typedef uint64_t tide_time;

#define TIDE_NEVER UINT64_MAX

/* CLOCK_MONOTONIC, read afresh. */
TIDE_API tide_time tide_clock_monotonic(void);

/* CPU time that the calling thread has used (CLOCK_THREAD_CPUTIME_ID), read afresh. Signal handlers
 * may call it. */
TIDE_API tide_time tide_clock_thread(void);

/* Seconds to nanoseconds, rounded up so that no wait ends early: negative and NaN give 0, infinity
 * and all that does not fit gives TIDE_NEVER. */
TIDE_API tide_time tide_time_from_seconds(double seconds);

TIDE_API double tide_time_to_seconds(tide_time t);

/* a + b, or TIDE_NEVER where that does not fit. */
static inline tide_time tide_time_add(tide_time a, tide_time b) {
  return b > TIDE_NEVER - a ? TIDE_NEVER : a + b;
}

TIDE_END_DECLS

#endif
