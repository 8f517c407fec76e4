/* relock.h: what lock.c does for condition.c. Internal to core. */
#ifndef TIDE_RELOCK_H
#define TIDE_RELOCK_H

#include "lock.h"

/* Queues a pending wait, taken out of its source, for the lock; not cancellable. Once it holds the
 * lock it ends with `outcome`. */
void tide__lock_regain(tide_lock *lock, tide_wait *wait, int outcome);

#endif
