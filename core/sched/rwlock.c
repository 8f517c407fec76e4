/* rwlock.c: readers and writers. */
#include "rwlock.h"

#include "case.h"
#include "private.h"

void tide_rwlock_init(tide_rwlock *lock) {
  lock->readers = 0;
  lock->writing = false;
  tide_list_init(&lock->waiters);
}

static bool rwlock_take(tide_rwlock *lock, bool write) {
  if (lock->writing || (write && lock->readers > 0)) return false;
  if (write)
    lock->writing = true;
  else
    lock->readers++;
  return true;
}

static void wake_waiters(tide_rwlock *lock) {
  tide_wait *wait;
  while ((wait = tide__park_first(&lock->waiters)) != NULL &&
         rwlock_take(lock, wait->value.number != 0))
    tide__park_wake(&lock->waiters, TIDE_OK);
}

static void rwlock_leave(tide_wait *wait) {
  tide_rwlock *lock = wait->source;
  tide_list_remove(&wait->in.link);
  wake_waiters(lock); /* readers behind a writer that gave up */
}

static void rwlock_give_back(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) tide_rwlock_release(wait->source, wait->value.number != 0);
}

static const tide_wait_ops read_ops = {
    .name = "RWLock.read", .abandon = rwlock_leave, .reject = rwlock_give_back};
static const tide_wait_ops write_ops = {
    .name = "RWLock.write", .abandon = rwlock_leave, .reject = rwlock_give_back};

int tide_rwlock_acquire(tide_rwlock *lock, tide_task *task, bool write) {
  if (!tide__wait_enter(task, write ? &write_ops : &read_ops, lock)) return TIDE_PENDING;
  task->wait.value.number = write;
  if (tide_list_empty(&lock->waiters) && rwlock_take(lock, write)) return tide__wait_skip(task);
  return tide__wait_park(task, &lock->waiters);
}

int tide_rwlock_release(tide_rwlock *lock, bool write) {
  if (write ? !lock->writing : lock->readers == 0) return TIDE_EINVALID_STATE;
  if (write)
    lock->writing = false;
  else
    lock->readers--;
  wake_waiters(lock);
  return TIDE_OK;
}

/* As a case of select. */

static int rwlock_attempt(tide_case *self) {
  tide_rwlock *lock = self->wait.source;
  bool granted = tide_list_empty(&lock->waiters) && rwlock_take(lock, self->wait.value.number != 0);
  return granted ? TIDE_OK : TIDE_PENDING;
}

static int rwlock_park(tide_case *self) {
  tide_rwlock *lock = self->wait.source;
  tide_list_append(&lock->waiters, &self->wait.in.link);
  return TIDE_OK;
}

static const tide_case_ops read_case = {
    .wait = &read_ops, .attempt = rwlock_attempt, .park = rwlock_park};
static const tide_case_ops write_case = {
    .wait = &write_ops, .attempt = rwlock_attempt, .park = rwlock_park};

void tide_case_rwlock(tide_case *self, tide_rwlock *lock, bool write) {
  *self = (tide_case){
      .ops = write ? &write_case : &read_case, .wait.source = lock, .wait.value.number = write};
}

size_t tide_rwlock_writers_waiting(const tide_rwlock *lock) {
  size_t writers = 0;
  for (tide_list *link = lock->waiters.next; link != &lock->waiters; link = link->next)
    writers += (size_t)tide_container(link, tide_wait, in.link)->value.number;
  return writers;
}
