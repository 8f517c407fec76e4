/* join.c: several futures, as they end. */
#include "join.h"

#include "case.h"
#include "circle.h"
#include "private.h"

size_t tide_join_size(uint32_t members) {
  return sizeof(tide_join) + members * (sizeof(tide_join_member) + sizeof(uint32_t));
}

void tide_join_init(tide_join *join, tide_loop *loop, uint32_t members, bool forward) {
  *join = (tide_join){.loop = loop, .forward = forward};
  join->members = (tide_join_member *)(void *)(join + 1);
  join->order = (uint32_t *)(void *)&join->members[members];
}

/* How many members are waited for. */
static uint32_t pending(const tide_join *join) { return join->count - join->ended - join->left; }

static void wake_waiter(tide_join *join) {
  tide_wait *waiter = join->waiter;
  if (waiter == NULL || (join->draining && pending(join) > 0)) return;
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

static bool given_up(const tide_wait *wait) { return ((const tide_join *)wait->source)->draining; }

static tide_task *join_waiter(const tide_wait *wait) {
  const tide_join *join = wait->source;
  return join->waiter != NULL ? join->waiter->task : NULL;
}

static const tide_wait_ops member_ops = {
    .name = "join",
    .abandon = tide__wait_unlink,
    .ended = member_ended,
    .given_up = given_up,
    .waiter = join_waiter,
};

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

static void join_leave(tide_wait *wait) {
  tide_join *join = wait->source;
  join->waiter = NULL;
}

static bool cancelled(tide_wait *wait, int outcome) {
  const tide_join *join = wait->source;
  return join->forward && tide__wait_forwards(wait, outcome);
}

static bool is_pending(const tide_join_member *member) {
  return !tide_list_empty(&member->wait.in.link);
}

/* Whether it was cancelled, and is waited for. */
static bool join_gives_up(const tide_join *join, const tide_join_member *member) {
  if (join->force && member->future->is_task) return tide_future_cancel(member->future);
  return tide__future_give_up(member->future, &member->wait);
}

/* Gives the members up. Those for which others wait, and futures that are no tasks, are let go of;
 * the ends of the others are waited for. */
static void join_forward(tide_wait *wait) {
  tide_join *join = wait->source;
  join->draining = true;
  for (uint32_t i = 0; i < join->count; i++) {
    tide_join_member *member = &join->members[i];
    if (!is_pending(member) || join_gives_up(join, member)) continue;
    tide_list_remove(&member->wait.in.link);
    join->left++;
  }
  if (pending(join) == 0) tide__wait_release(wait);
}

/* The tasks that a join which has given up, or is held, waits for. */
static tide_task *awaits(tide_wait *wait, const tide_task *last) {
  tide_join *join = wait->source;
  if (last == NULL) join->looked_at = 0;
  while ((join->draining || join->held) && join->looked_at < join->count) {
    const tide_join_member *member = &join->members[join->looked_at++];
    if (is_pending(member) && member->future->is_task)
      return tide_container(member->future, tide_task, future);
  }
  return NULL;
}

static const tide_wait_ops wait_ops = {.name = "await",
                                       .abandon = join_leave,
                                       .cancel = cancelled,
                                       .forward = join_forward,
                                       .awaits = awaits};

static const tide_wait_ops held_ops = {
    .name = "await", .abandon = join_leave, .awaits = awaits, .lets_go = true};

/* In a cancelled scope: the members are given up all the same. */
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
  if (join->forward && !busy && pending(join) > 0 && tide_task_cancelled(task))
    return hand_on(join, task);
  if (!tide__wait_enter(task, join->held ? &held_ops : &wait_ops, join)) return TIDE_PENDING;
  if (busy) return tide__wait_over(task, TIDE_EBUSY);
  if (join->taken < join->ended) return tide__wait_skip(task);
  if (pending(join) == 0) return tide__wait_over(task, TIDE_EINVALID_STATE);
  join->waiter = &task->wait;
  tide__task_park(task);
  if (join->held) tide__look_for_circle(task);
  return TIDE_PENDING;
}

void tide_join_hold(tide_join *join) {
  join->held = true;
  join->forward = join->draining = false;
}

/* As a case of select. */

static int join_attempt(tide_case *self) {
  const tide_join *join = self->wait.source;
  if (join->taken < join->ended) return TIDE_OK;
  if (join->waiter != NULL) return TIDE_EBUSY;
  return pending(join) == 0 ? TIDE_EINVALID_STATE : TIDE_PENDING;
}

static int join_park(tide_case *self) {
  tide_join *join = self->wait.source;
  if (join->waiter != NULL) return TIDE_EBUSY; /* another case of the same select */
  join->waiter = &self->wait;
  return TIDE_OK;
}

static const tide_wait_ops case_wait = {.name = "await", .abandon = join_leave};
static const tide_case_ops case_ops = {
    .wait = &case_wait, .attempt = join_attempt, .park = join_park};

void tide_case_join(tide_case *self, tide_join *join) {
  *self = (tide_case){.ops = &case_ops, .wait.source = join};
}

void tide_join_term(tide_join *join) {
  for (uint32_t i = 0; i < join->count; i++) tide_list_remove(&join->members[i].wait.in.link);
  join->count = join->ended = join->taken = join->left = 0;
}
