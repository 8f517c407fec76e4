/* clock.c: reading and converting time. */
#include "clock.h"

#include <time.h>

tide_time tide_clock_monotonic(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (tide_time)ts.tv_sec * 1000000000u + (tide_time)ts.tv_nsec;
}

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
