/* barrier.c: tasks that wait for one another. */
#include "barrier.h"

#include "private.h"

void tide_barrier_init(tide_barrier *barrier, size_t parties) {
  barrier->parties = parties;
  barrier->waiting = 0;
  barrier->broken = false;
  tide_list_init(&barrier->waiters);
}

static void barrier_leave(tide_wait *wait) {
  tide_barrier *barrier = wait->source;
  barrier->waiting--;
  tide_list_remove(&wait->in.link);
}

static const tide_wait_ops barrier_ops = {.name = "Barrier.wait", .abandon = barrier_leave};

/* Everybody came: the places are numbered now, so that whoever left in between has none. */
static void open(tide_barrier *barrier) {
  uint64_t place = 0;
  tide_wait *wait;
  while ((wait = tide__park_first(&barrier->waiters)) != NULL) {
    wait->value.number = ++place;
    tide__park_wake(&barrier->waiters, TIDE_OK);
  }
  barrier->waiting = 0;
}

int tide_barrier_wait(tide_barrier *barrier, tide_task *task) {
  if (!tide__wait_enter(task, &barrier_ops, barrier)) return TIDE_PENDING;
  if (barrier->broken) return tide__wait_over(task, TIDE_EBROKEN_BARRIER);
  if (barrier->waiting + 1 < barrier->parties) {
    barrier->waiting++;
    return tide__wait_park(task, &barrier->waiters);
  }
  open(barrier);
  task->wait.value.number = barrier->parties;
  return tide__wait_skip(task);
}

void tide_barrier_reset(tide_barrier *barrier) {
  barrier->waiting = 0;
  barrier->broken = false;
  tide__park_wake_all(&barrier->waiters, TIDE_EBROKEN_BARRIER);
}

void tide_barrier_abort(tide_barrier *barrier) {
  tide_barrier_reset(barrier);
  barrier->broken = true;
}
