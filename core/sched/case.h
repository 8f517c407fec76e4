/* case.h: what a source gives to select. Internal to core.
 *
 * While the case is parked, its wait is as any other in the source; tide__wait_end sees that it is
 * not its task's own, and ends the select. */
#ifndef TIDE_CASE_H
#define TIDE_CASE_H

#include "select.h"

typedef struct tide_case_ops {
  const tide_wait_ops *wait; /* of the wait while it is parked */
  /* Does it where that needs no waiting: TIDE_OK; TIDE_PENDING: it would wait; or an error. */
  int (*attempt)(tide_case *self);
  /* Links the wait into the source. TIDE_OK; or an error, with no effect. */
  int (*park)(tide_case *self);
  bool again; /* its end says only that the next attempt may succeed */
} tide_case_ops;

/* A parked case's wait was ended by its source. */
void tide__select_end(tide_wait *wait, int outcome);

#endif
