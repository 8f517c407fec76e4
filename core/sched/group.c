/* group.c: counting children, limiting them, and cancelling them when one fails. */
#include "group.h"

#include "private.h"

static void cancel_at_turn_end(tide_defer *defer) {
  tide_group_cancel(tide_container(defer, tide_group, failure));
}

void tide_group_init(tide_group *group, tide_loop *loop, uint32_t max, bool supervised) {
  *group = (tide_group){.loop = loop, .max = max, .supervised = supervised};
  tide_scope_init(&group->scope, 0);
  group->scope.flags |= TIDE_SCOPE_GROUP;
  tide_list_init(&group->idle);
  tide_list_init(&group->queued);
  tide_defer_init(&group->failure, cancel_at_turn_end);
}

static bool stay(tide_wait *wait) {
  (void)wait;
  return true;
}

static const tide_wait_ops idle_ops = {
    .name = "TaskGroup",
    .abandon = tide__wait_unlink,
    .cancel = stay,
};

int tide_group_wait(tide_group *group, tide_task *task) {
  if (group->live == 0) return TIDE_OK;
  task->wait.ops = &idle_ops;
  task->wait.source = group;
  return tide__wait_park(task, &group->idle);
}

void tide_group_exit(tide_group *group) {
  group->closed = true;
  tide_defer_cancel(&group->failure);
  tide_scope_exit(&group->scope);
}

void tide__group_add(tide_group *group) { group->live++; }

static const tide_wait_ops admission_ops = {
    .name = "TaskGroup.spawn",
    .abandon = tide__wait_unlink,
};

static void start(tide_group *group, tide_task *task) {
  group->running++;
  tide__task_wake(task, TIDE_OK);
}

void tide__group_admit(tide_group *group, tide_task *task) {
  if (group->max == 0 || group->running < group->max) {
    start(group, task);
    return;
  }
  task->wait.ops = &admission_ops;
  task->wait.source = group;
  tide__wait_park(task, &group->queued);
}

static void admit_next(tide_group *group) {
  while (group->running < group->max) {
    tide_list *link = tide_list_shift(&group->queued);
    if (link == NULL) return;
    start(group, tide_container(link, tide_wait, in.link)->task);
  }
}

void tide__group_remove(tide_group *group, bool failed) {
  group->live--;
  if (group->running > 0) group->running--;
  admit_next(group);
  if (failed && group->supervised) tide_defer_start(&group->failure, group->loop);
  if (group->live == 0) tide__park_wake_all(&group->idle, TIDE_OK);
}
