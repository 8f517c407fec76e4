/* park.c: parking and waking in order of arrival. */
#include "park.h"

#include "case.h"
#include "private.h"

int tide__wait_park(tide_task *task, tide_list *waiters) {
  tide_list_append(waiters, &task->wait.in.link);
  return tide__task_park(task);
}

void tide__wait_unlink(tide_wait *wait) { tide_list_remove(&wait->in.link); }

void tide__wait_end(tide_wait *wait, int outcome) {
  if (wait->task == NULL)
    wait->ops->ended(wait, outcome);
  else if (wait == &wait->task->wait)
    tide__task_wake(wait->task, outcome);
  else
    tide__select_end(wait, outcome);
}

void tide__wait_break(tide_wait *wait, int outcome) {
  wait->ops->abandon(wait);
  tide__wait_end(wait, outcome);
}

tide_wait *tide__park_wake(tide_list *waiters, int outcome) {
  tide_list *link = tide_list_shift(waiters);
  if (link == NULL) return NULL;
  tide_wait *wait = tide_container(link, tide_wait, in.link);
  tide__wait_end(wait, outcome);
  return wait;
}

void tide__park_wake_all(tide_list *waiters, int outcome) {
  tide_list all; /* of its own: an `ended` may park anew */
  tide_list_init(&all);
  tide_list_splice(&all, waiters);
  while (tide__park_wake(&all, outcome) != NULL) continue;
}

static void nowhere(tide_wait *wait) { (void)wait; }

void tide_waits_break(tide_list *waiters, int outcome) {
  static const tide_wait_ops broken = {.name = "what was closed", .abandon = nowhere};
  tide_list *link;
  while ((link = tide_list_shift(waiters)) != NULL) {
    tide_wait *wait = tide_container(link, tide_wait, in.link);
    if (wait->task != NULL) wait->ops = &broken;
    tide__wait_end(wait, outcome);
  }
}
