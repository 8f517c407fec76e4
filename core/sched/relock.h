/* relock.h: what lock.c does for condition.c. Internal to core. */
#ifndef TIDE_RELOCK_H
#define TIDE_RELOCK_H

#include "lock.h"

/* Queues a pending wait, taken out of its source, for the lock. Once its task holds that it ends
 * with `outcome`, which value.integer keeps. */
void tide__lock_regain(tide_lock *lock, tide_wait *wait, int outcome);

#endif
