/* condition.c: waiting for a notification. */
#include "condition.h"

#include "private.h"
#include "relock.h"

void tide_condition_init(tide_condition *condition, tide_lock *lock) {
  condition->lock = lock;
  tide_list_init(&condition->waiters);
}

static bool stay(tide_wait *wait, int outcome) {
  (void)wait;
  (void)outcome;
  return true;
}

static void renounce(tide_wait *wait, int outcome);

static const tide_wait_ops relock_ops = {
    .name = "Condition.wait",
    .abandon = tide__wait_unlink,
    .cancel = stay,
    .reject = renounce,
};

static void regain(tide_condition *condition, tide_wait *wait, int outcome) {
  tide_list_remove(&wait->in.link);
  wait->ops = &relock_ops;
  tide__lock_regain(condition->lock, wait, outcome);
}

static void wake(tide_condition *condition, size_t count) {
  while (count-- > 0) {
    tide_wait *wait = tide__park_first(&condition->waiters);
    if (wait == NULL) break;
    regain(condition, wait, TIDE_OK);
  }
}

/* Who was notified and will never run again passes the word on. */
static void renounce(tide_wait *wait, int outcome) {
  (void)outcome;
  tide_condition *condition = wait->source;
  tide_lock_release(condition->lock, wait->task); /* if it had got that far */
  if (wait->value.integer == TIDE_OK) wake(condition, 1);
}

static bool regain_then_raise(tide_wait *wait, int outcome) {
  regain(wait->source, wait, outcome);
  return true;
}

static const tide_wait_ops condition_ops = {
    .name = "Condition.wait",
    .abandon = tide__wait_unlink,
    .cancel = regain_then_raise,
};

int tide_condition_wait(tide_condition *condition, tide_task *task) {
  if (!tide__wait_enter(task, &condition_ops, condition)) return TIDE_PENDING;
  if (condition->lock->owner != task->id || condition->lock->depth > 1)
    return tide__wait_over(task, TIDE_EINVALID_STATE);
  tide__wait_park(task, &condition->waiters);
  tide_lock_release(condition->lock, task);
  return TIDE_PENDING;
}

int tide_condition_notify(tide_condition *condition, const tide_task *task, size_t count) {
  if (task == NULL || condition->lock->owner != task->id) return TIDE_EINVALID_STATE;
  wake(condition, count);
  return TIDE_OK;
}
