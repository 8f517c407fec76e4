/* condition.c: waiting for a notification. */
#include "condition.h"

#include "private.h"
#include "relock.h"

void tide_condition_init(tide_condition *condition, tide_lock *lock) {
  condition->lock = lock;
  tide_list_init(&condition->waiters);
}

static bool regain_then_raise(tide_wait *wait) {
  tide_condition *condition = wait->source;
  tide_list_remove(&wait->in.link);
  tide__lock_regain(condition->lock, wait, TIDE_ECANCELLED);
  return true;
}

static const tide_wait_ops condition_ops = {
    .name = "Condition.wait",
    .abandon = tide__wait_unlink,
    .cancel = regain_then_raise,
};

int tide_condition_wait(tide_condition *condition, tide_task *task) {
  if (condition->lock->owner != task) return TIDE_EINVALID_STATE;
  if (!tide__wait_enter(task, &condition_ops, condition)) return TIDE_PENDING;
  tide__wait_park(task, &condition->waiters);
  tide_lock_release(condition->lock, task);
  return TIDE_PENDING;
}

int tide_condition_notify(tide_condition *condition, const tide_task *task, size_t count) {
  if (task == NULL || condition->lock->owner != task) return TIDE_EINVALID_STATE;
  while (count-- > 0) {
    tide_list *link = tide_list_shift(&condition->waiters);
    if (link == NULL) break;
    tide__lock_regain(condition->lock, tide_container(link, tide_wait, in.link), TIDE_OK);
  }
  return TIDE_OK;
}
