/* clock.c: reading and converting time. */
#include "clock.h"

#include <time.h>

static tide_time read_clock(clockid_t clock) {
  struct timespec ts;
  clock_gettime(clock, &ts);
  return (tide_time)ts.tv_sec * 1000000000u + (tide_time)ts.tv_nsec;
}

tide_time tide_clock_monotonic(void) { return read_clock(CLOCK_MONOTONIC); }

tide_time tide_clock_thread(void) { return read_clock(CLOCK_THREAD_CPUTIME_ID); }

tide_time tide_time_from_seconds(double seconds) {
  if (!(seconds > 0)) return 0;
  if (seconds >= 1.8e10) return TIDE_NEVER; /* 570 years: 2^64 ns are 584 */
  double ns = seconds * 1e9;
  tide_time whole = (tide_time)ns;
  return (double)whole < ns ? whole + 1 : whole;
}

double tide_time_to_seconds(tide_time t) {
  return t == TIDE_NEVER ? (double)__builtin_inf() : (double)t / 1e9;
}
