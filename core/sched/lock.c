/* lock.c: FIFO locks, and how a condition's waiters get theirs back. */
#include "lock.h"

#include "case.h"
#include "private.h"
#include "relock.h"

void tide_lock_init(tide_lock *lock) {
  *lock = (tide_lock){.owner = 0};
  tide_list_init(&lock->waiters);
}

void tide_rlock_init(tide_lock *lock) {
  tide_lock_init(lock);
  lock->reentrant = true;
}

/* Gives the lock to the longest waiter, whose value holds the outcome it is to see. */
static void pass_on(tide_lock *lock) {
  tide_wait *wait = tide__park_first(&lock->waiters);
  lock->owner = wait != NULL ? wait->task->id : 0;
  lock->depth = 1;
  if (wait != NULL) tide__park_wake(&lock->waiters, (int)wait->value.integer);
}

static void lock_give_back(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) tide_lock_release(wait->source, wait->task);
}

static const tide_wait_ops acquire_ops = {
    .name = "Lock.acquire",
    .abandon = tide__wait_unlink,
    .reject = lock_give_back,
};

int tide_lock_acquire(tide_lock *lock, tide_task *task) {
  if (!tide__wait_enter(task, &acquire_ops, lock)) return TIDE_PENDING;
  if (lock->owner == task->id && !lock->reentrant)
    return tide__wait_over(task, TIDE_EINVALID_STATE);
  if (tide_lock_try(lock, task)) return tide__wait_skip(task);
  task->wait.value.integer = TIDE_OK;
  return tide__wait_park(task, &lock->waiters);
}

bool tide_lock_try(tide_lock *lock, tide_task *task) {
  if (lock->owner == task->id && lock->reentrant) {
    lock->depth++;
    return true;
  }
  if (lock->owner != 0) return false;
  lock->owner = task->id;
  lock->depth = 1;
  return true;
}

int tide_lock_release(tide_lock *lock, const tide_task *task) {
  if (task == NULL || lock->owner != task->id) return TIDE_EINVALID_STATE;
  if (--lock->depth == 0) pass_on(lock);
  return TIDE_OK;
}

void tide__lock_regain(tide_lock *lock, tide_wait *wait, int outcome) {
  wait->value.integer = outcome;
  tide_list_append(&lock->waiters, &wait->in.link);
  if (lock->owner == 0) pass_on(lock);
}

/* As a case of select. */

static int lock_attempt(tide_case *self) {
  tide_lock *lock = self->wait.source;
  if (lock->owner == self->wait.task->id && !lock->reentrant) return TIDE_EINVALID_STATE;
  return tide_lock_try(lock, self->wait.task) ? TIDE_OK : TIDE_PENDING;
}

static int lock_park(tide_case *self) {
  tide_lock *lock = self->wait.source;
  self->wait.value.integer = TIDE_OK;
  tide_list_append(&lock->waiters, &self->wait.in.link);
  return TIDE_OK;
}

static const tide_case_ops case_ops = {
    .wait = &acquire_ops, .attempt = lock_attempt, .park = lock_park};

void tide_case_lock(tide_case *self, tide_lock *lock) {
  *self = (tide_case){.ops = &case_ops, .wait.source = lock};
}
