/* semaphore.c: counting permits. */
#include "semaphore.h"

#include "case.h"
#include "private.h"

void tide_semaphore_init(tide_semaphore *semaphore, size_t permits, size_t bound) {
  semaphore->permits = permits;
  semaphore->bound = bound;
  tide_list_init(&semaphore->waiters);
}

static void give_back(tide_wait *wait, int outcome) {
  if (outcome == TIDE_OK) tide_semaphore_release(wait->source);
}

static const tide_wait_ops acquire_ops = {
    .name = "Semaphore.acquire",
    .abandon = tide__wait_unlink,
    .reject = give_back,
};

int tide_semaphore_acquire(tide_semaphore *semaphore, tide_task *task) {
  if (!tide__wait_enter(task, &acquire_ops, semaphore)) return TIDE_PENDING;
  if (tide_semaphore_try(semaphore)) return tide__wait_skip(task);
  return tide__wait_park(task, &semaphore->waiters);
}

bool tide_semaphore_try(tide_semaphore *semaphore) {
  if (semaphore->permits == 0) return false;
  semaphore->permits--;
  return true;
}

int tide_semaphore_release(tide_semaphore *semaphore) {
  if (tide__park_wake(&semaphore->waiters, TIDE_OK) != NULL) return TIDE_OK;
  if (semaphore->permits >= semaphore->bound) return TIDE_EINVALID_STATE;
  semaphore->permits++;
  return TIDE_OK;
}

/* As a case of select. */

static int attempt(tide_case *self) {
  return tide_semaphore_try(self->wait.source) ? TIDE_OK : TIDE_PENDING;
}

static int park(tide_case *self) {
  tide_semaphore *semaphore = self->wait.source;
  tide_list_append(&semaphore->waiters, &self->wait.in.link);
  return TIDE_OK;
}

static const tide_case_ops case_ops = {.wait = &acquire_ops, .attempt = attempt, .park = park};

void tide_case_semaphore(tide_case *self, tide_semaphore *semaphore) {
  *self = (tide_case){.ops = &case_ops, .wait.source = semaphore};
}
