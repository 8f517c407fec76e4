/* forward.c: cancellation goes on from who waits to what is waited for.
 *
 * A wait that hands it on does not end at once: it has *given up*, and ends with what it waits for.
 * Where tasks that have given up wait for each other in a circle, none would ever end; so after
 * each round of handing on such circles are looked for, and one wait of each ends at once. */
#include "circle.h"
#include "private.h"

bool tide__wait_forwards(tide_wait *wait, int outcome) {
  if (outcome != TIDE_ECANCELLED) return false;
  if (wait->task->own.flags & TIDE_SCOPE_HANDS_ON) return true; /* it is in the list */
  tide_loop *loop = wait->task->loop;
  wait->task->own.flags |= TIDE_SCOPE_HANDS_ON;
  wait->value.pointer = NULL;
  if (loop->forwards == NULL)
    loop->forwards = wait;
  else
    loop->last_forward->value.pointer = wait;
  loop->last_forward = wait;
  return true;
}

void tide__wait_release(tide_wait *wait) {
  wait->ops->abandon(wait);
  tide__task_wake(wait->task, wait->ops->lets_go ? TIDE_OK : TIDE_ECANCELLED);
}

bool tide__future_give_up(tide_future *future, const tide_wait *self) {
  if (!future->is_task) return false;
  for (tide_list *link = future->waiters.next; link != &future->waiters; link = link->next) {
    const tide_wait *other = tide_container(link, tide_wait, in.link);
    if (other == self) continue;
    if (other->ops->given_up == NULL || !other->ops->given_up(other)) return false;
  }
  tide_future_cancel(future);
  return true;
}

void tide__cancel_forward(tide_loop *loop) {
  if (loop->forwarding || loop->forwards == NULL) return;
  tide__circles circles;
  tide__circles_init(&circles, loop);
  loop->forwarding = true;
  for (tide_wait *wait = loop->forwards; wait != NULL; wait = wait->value.pointer)
    wait->ops->forward(wait);
  for (tide_wait *wait = loop->forwards; wait != NULL; wait = wait->value.pointer) {
    wait->task->own.flags &= ~(uint32_t)TIDE_SCOPE_HANDS_ON;
    tide__circles_add(&circles, wait->task);
  }
  tide__circles_open(&circles);
  loop->forwards = NULL;
  loop->forwarding = false;
}
