/* alarm.h: the end of a poll, finer than the milliseconds that libev's count in. Internal to core.
 */
#ifndef TIDE_ALARM_H
#define TIDE_ALARM_H

#include "port.h"

typedef struct tide__alarm {
  tide_watcher watcher; /* of the descriptor */
  int fd;               /* a timer of the system's */
  tide_time armed;      /* for when, by the real clock; 0: it is not */
  tide_port *port;      /* of the loop, which may have it ring too */
} tide__alarm;

/* Makes the loop's port as well. False where memory or descriptors are short. */
bool tide__alarm_init(tide__alarm *alarm, tide_loop *loop);

/* The port is not closed yet, and will close the descriptor. */
void tide__alarm_term(tide__alarm *alarm, tide_loop *loop);

/* A poll ends at `when`, by the real clock, or before: one call serves all polls up to then. */
void tide__alarm_set(tide__alarm *alarm, tide_time when);

#endif
