/* semaphore.c: counting permits. */
#include "semaphore.h"

#include "case.h"
#include "private.h"

void tide_semaphore_init(tide_semaphore *semaphore, size_t permits, size_t bound) {
  semaphore->permits = permits;
  semaphore->bound = bound;
  semaphore->closed = false;
  tide_list_init(&semaphore->waiters);
}

static bool semaphore_take(tide_semaphore *semaphore, size_t count) {
  if (semaphore->permits < count) return false;
  semaphore->permits -= count;
  return true;
}

/* Gives the waiters what they want, in order, as far as it goes. */
static void serve(tide_semaphore *semaphore) {
  tide_wait *wait;
  while ((wait = tide__park_first(&semaphore->waiters)) != NULL &&
         semaphore_take(semaphore, (size_t)wait->value.number))
    tide__park_wake(&semaphore->waiters, TIDE_OK);
}

static void semaphore_leave(tide_wait *wait) {
  tide_list_remove(&wait->in.link);
  serve(wait->source); /* those behind one that wanted more */
}

static void semaphore_give_back(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) tide_semaphore_release(wait->source, (size_t)wait->value.number);
}

static const tide_wait_ops acquire_ops = {
    .name = "Semaphore.acquire", .abandon = semaphore_leave, .reject = semaphore_give_back};

int tide_semaphore_acquire(tide_semaphore *semaphore, tide_task *task, size_t count) {
  if (!tide__wait_enter(task, &acquire_ops, semaphore)) return TIDE_PENDING;
  if (semaphore->closed) return tide__wait_over(task, TIDE_ECLOSED);
  if (count > semaphore->bound) return tide__wait_over(task, TIDE_ELIMIT);
  task->wait.value.number = count;
  if (tide_semaphore_try(semaphore, count)) return tide__wait_skip(task);
  return tide__wait_park(task, &semaphore->waiters);
}

bool tide_semaphore_try(tide_semaphore *semaphore, size_t count) {
  if (semaphore->closed || !tide_list_empty(&semaphore->waiters)) return false;
  return semaphore_take(semaphore, count);
}

int tide_semaphore_release(tide_semaphore *semaphore, size_t count) {
  if (count > semaphore->bound - semaphore->permits) return TIDE_ELIMIT;
  semaphore->permits += count;
  serve(semaphore);
  return TIDE_OK;
}

void tide_semaphore_close(tide_semaphore *semaphore) {
  semaphore->closed = true;
  tide__park_wake_all(&semaphore->waiters, TIDE_ECLOSED);
}

/* As a case of select. */

static int semaphore_attempt(tide_case *self) {
  tide_semaphore *semaphore = self->wait.source;
  if (semaphore->closed) return TIDE_ECLOSED;
  return tide_semaphore_try(semaphore, 1) ? TIDE_OK : TIDE_PENDING;
}

static int semaphore_park(tide_case *self) {
  tide_semaphore *semaphore = self->wait.source;
  tide_list_append(&semaphore->waiters, &self->wait.in.link);
  return TIDE_OK;
}

static const tide_case_ops case_ops = {
    .wait = &acquire_ops, .attempt = semaphore_attempt, .park = semaphore_park};

void tide_case_semaphore(tide_case *self, tide_semaphore *semaphore) {
  *self = (tide_case){.ops = &case_ops, .wait.source = semaphore, .wait.value.number = 1};
}
