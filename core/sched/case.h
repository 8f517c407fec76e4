/* case.h: how a case of select ends. Internal to core.
 *
 * While the case is parked, its wait is as any other in the source; tide__wait_end sees that it is
 * not its task's own, and ends the select. */
#ifndef TIDE_CASE_H
#define TIDE_CASE_H

#include "select.h"

/* A parked case's wait was ended by its source. */
void tide__select_end(tide_wait *wait, int outcome);

#endif
