/* join.c: several futures, as they end. */
#include "join.h"

#include "private.h"

size_t tide_join_size(uint32_t members) {
  return sizeof(tide_join) + members * (sizeof(tide_join_member) + sizeof(uint32_t));
}

void tide_join_init(tide_join *join, tide_loop *loop, uint32_t members, bool forward) {
  *join = (tide_join){.loop = loop, .forward = forward};
  join->order = (uint32_t *)(void *)&join->members[members];
}

static void wake_waiter(tide_join *join) {
  tide_wait *waiter = join->waiter;
  if (waiter == NULL || (join->draining && join->ended < join->count)) return;
  join->waiter = NULL;
  tide__wait_end(waiter, join->draining ? TIDE_ECANCELLED : TIDE_OK);
}

static void member_ended(tide_wait *wait, int outcome) {
  (void)outcome;
  tide_join *join = wait->source;
  tide_join_member *member = tide_container(wait, tide_join_member, wait);
  join->order[join->ended++] = (uint32_t)(member - join->members);
  wake_waiter(join);
}

static const tide_wait_ops member_ops = {
    .name = "join", .abandon = tide__wait_unlink, .ended = member_ended};

void tide_join_add(tide_join *join, tide_future *future) {
  tide_join_member *member = &join->members[join->count++];
  member->future = future;
  member->wait = (tide_wait){.ops = &member_ops, .source = join};
  tide_list_init(&member->wait.in.link);
  if (tide_future_ended(future)) {
    future->observed = true;
    member_ended(&member->wait, TIDE_OK);
  } else {
    tide_list_append(&future->waiters, &member->wait.in.link);
  }
}

bool tide_join_take(tide_join *join, uint32_t *index) {
  if (join->taken == join->ended) return false;
  *index = join->order[join->taken++];
  return true;
}

static void leave(tide_wait *wait) {
  tide_join *join = wait->source;
  join->waiter = NULL;
}

static bool cancelled(tide_wait *wait, int outcome) {
  const tide_join *join = wait->source;
  return join->forward && tide__wait_forwards(wait, outcome);
}

static void forward(tide_wait *wait) {
  tide_join *join = wait->source;
  join->draining = true;
  for (uint32_t i = 0; i < join->count; i++) tide_future_cancel(join->members[i].future);
}

static const tide_wait_ops wait_ops = {
    .name = "await", .abandon = leave, .cancel = cancelled, .forward = forward};

/* In a cancelled scope: the members are cancelled, and their end is awaited all the same. */
static int hand_on(tide_join *join, tide_task *task) {
  task->wait.ops = &wait_ops;
  task->wait.source = join;
  tide__task_park(task);
  join->waiter = &task->wait;
  tide__wait_forwards(&task->wait, TIDE_ECANCELLED);
  tide__cancel_forward(task->loop);
  return TIDE_PENDING;
}

int tide_join_wait(tide_join *join, tide_task *task) {
  bool busy = join->waiter != NULL;
  if (join->forward && !busy && join->ended < join->count && tide_task_cancelled(task))
    return hand_on(join, task);
  if (!tide__wait_enter(task, &wait_ops, join)) return TIDE_PENDING;
  if (busy) return tide__wait_over(task, TIDE_EBUSY);
  if (join->taken < join->ended) return tide__wait_skip(task);
  if (join->ended == join->count) return tide__wait_over(task, TIDE_EINVALID_STATE);
  join->waiter = &task->wait;
  return tide__task_park(task);
}

void tide_join_term(tide_join *join) {
  for (uint32_t i = 0; i < join->count; i++) tide_list_remove(&join->members[i].wait.in.link);
  join->count = join->ended = join->taken = 0;
}
