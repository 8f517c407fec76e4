/* interval.h: an iterator of ticks without drift. */
#ifndef TIDE_INTERVAL_H
#define TIDE_INTERVAL_H

#include "iter.h"

TIDE_BEGIN_DECLS

/* Its items are item.number: 1, 2, 3 ... The n-th comes n periods after the beginning; those whose
 * time has passed when a step begins are left out. */
typedef struct tide_interval {
  tide_iter iter;   /* first; holds nothing, and needs no closing */
  tide_time began;  /* the time of tick 0 */
  tide_time period; /* between two ticks */
  uint64_t tick;    /* the last one given */
  uint64_t next;    /* the one that is waited for */
} tide_interval;

/* Begins now, on the loop's clock. `period` is not 0. tide_iter_free leaves its memory alone. */
TIDE_API void tide_interval_init(tide_interval *interval, tide_loop *loop, tide_time period);

TIDE_END_DECLS

#endif
