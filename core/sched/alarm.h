/* alarm.h: the end of a poll, finer than the milliseconds that libev's count in. Internal to core.
 */
#ifndef TIDE_ALARM_H
#define TIDE_ALARM_H

#include "loop.h"

typedef struct tide__alarm {
  tide_watcher watcher; /* of the descriptor */
  int fd;               /* a timer of the system's; -1: there is none */
  tide_time armed;      /* for when, by the real clock; 0: it is not */
} tide__alarm;

/* Where the system has no such timer, or no descriptor to spare, polls end a little later. */
void tide__alarm_init(tide__alarm *alarm, tide_loop *loop);
void tide__alarm_term(tide__alarm *alarm, tide_loop *loop);

/* A poll ends at `when`, by the real clock, or before: one call serves all polls up to then. */
void tide__alarm_set(tide__alarm *alarm, tide_time when);

#endif
