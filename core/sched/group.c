/* group.c: counting children, limiting them, and cancelling them when one fails. */
#include "group.h"

#include "case.h"
#include "circle.h"
#include "private.h"

static void cancel_at_turn_end(tide_defer *defer) {
  tide_group_cancel(tide_container(defer, tide_group, failure));
}

void tide_group_init(tide_group *group, tide_loop *loop, uint32_t max, bool supervised) {
  *group = (tide_group){.loop = loop, .max = max, .supervised = supervised};
  tide_scope_init(&group->scope, 0);
  group->scope.flags |= TIDE_SCOPE_GROUP;
  tide_list_init(&group->link);
  tide_list_init(&group->idle);
  tide_list_init(&group->queued);
  tide_defer_init(&group->failure, cancel_at_turn_end);
}

static bool stay(tide_wait *wait, int outcome) {
  (void)wait;
  return outcome == TIDE_ECANCELLED;
}

/* The child whose scope that is, among those in the group's; or NULL: it is another one. */
static tide_task *child_at(tide_list *link) {
  const tide_scope *scope = tide_container(link, tide_scope, link);
  return scope->task != NULL && scope == &scope->task->own ? scope->task : NULL;
}

/* The children: no end of a group without theirs. */
static tide_task *awaits(tide_wait *wait, const tide_task *last) {
  tide_group *group = wait->source;
  tide_list *link = last == NULL ? group->scope.children.next : last->own.link.next;
  tide_task *child = NULL;
  for (; child == NULL && link != &group->scope.children; link = link->next) child = child_at(link);
  return child;
}

static const tide_wait_ops idle_ops = {
    .name = "TaskGroup",
    .abandon = tide__wait_unlink,
    .cancel = stay,
    .awaits = awaits,
};

tide_list *tide__group_waiters(const tide_task *child) {
  tide_scope *scope = child->own.parent;
  bool is = scope != NULL && (scope->flags & TIDE_SCOPE_GROUP);
  return is ? &tide_container(scope, tide_group, scope)->idle : NULL;
}

static const tide_wait_ops few_ops = {.name = "TaskGroup", .abandon = tide__wait_unlink};

/* Whether the task is a child, or a child's descendant. */
static bool inside(const tide_group *group, const tide_task *task) {
  const tide_scope *scope = task->own.parent;
  while (scope != NULL && scope != &group->scope) scope = scope->parent;
  return scope != NULL;
}

/* Each is woken when so few are live as it waits for. */
static int group_park(tide_group *group, tide_task *task, uint32_t few) {
  if (task != group->scope.task && inside(group, task))
    return tide__wait_over(task, TIDE_EINVALID_STATE);
  if (few > group->enough) group->enough = few;
  task->wait.value.number = few;
  return tide__wait_park(task, &group->idle);
}

static void wake_idle(tide_group *group) {
  tide_list later;
  tide_wait *wait;
  tide_list_init(&later);
  group->enough = 0;
  while ((wait = tide__park_first(&group->idle)) != NULL) {
    if (group->live <= wait->value.number) {
      tide__park_wake(&group->idle, TIDE_OK);
      continue;
    }
    if (wait->value.number > group->enough) group->enough = (uint32_t)wait->value.number;
    tide_list_remove(&wait->in.link);
    tide_list_append(&later, &wait->in.link);
  }
  tide_list_splice(&group->idle, &later);
}

int tide_group_wait(tide_group *group, tide_task *task) {
  task->wait.ops = &idle_ops;
  task->wait.source = group;
  if (group->live == 0) return tide__wait_skip(task);
  int result = group_park(group, task, 0);
  if (result == TIDE_PENDING && tide_scope_cancelled(&task->own)) tide__look_for_circle(task);
  return result;
}

int tide_group_wait_few(tide_group *group, tide_task *task, uint32_t few) {
  int result = tide__wait_try(task, &few_ops, group);
  if (result != TIDE_OK || group->live <= few) return result;
  return group_park(group, task, few);
}

/* The loop knows the groups that have live children. */

void tide__group_add(tide_group *group) {
  if (group->live++ == 0) tide_list_append(&group->loop->groups, &group->link);
}

static void lose_child(tide_group *group) {
  if (--group->live == 0) tide_list_remove(&group->link);
}

static void move(tide_group *from, tide_group *to, tide_task *child) {
  tide__scope_move(&child->own, &to->scope);
  lose_child(from);
  tide__group_add(to);
}

/* The group that all others around this one are in, if there is one, or else the background's. */
static tide_group *outermost(tide_group *group) {
  const tide_scope *scope = tide_scope_outermost(&group->scope);
  bool inside = scope != &group->scope && (scope->flags & TIDE_SCOPE_GROUP);
  return inside ? tide_container(scope, tide_group, scope) : &group->loop->background;
}

/* Children whose group goes are the outermost one's, there to end. */
static void disown_children(tide_group *group) {
  tide_list *children = &group->scope.children;
  tide_group *heir = NULL; /* not looked for where there are none: stacks may be deep */
  for (tide_list *link = children->next, *next; link != children; link = next) {
    tide_task *child = child_at(link);
    next = link->next;
    if (child == NULL) continue;
    if (heir == NULL) heir = outermost(group);
    tide_task_cancel(child);
    move(group, heir, child);
  }
  wake_idle(group);
}

void tide__group_leave(tide_group *group) {
  group->closed = true;
  tide_defer_cancel(&group->failure);
  if (group->live > 0) disown_children(group);
}

void tide_group_exit(tide_group *group) {
  tide__group_leave(group);
  tide_scope_exit(&group->scope);
}

void tide__group_hold(tide_group *group) { group->held++; }

void tide__group_unhold(tide_group *group) { group->held--; }

static void admission_leave(tide_wait *wait) {
  tide_list_remove(&wait->in.link);
  tide__group_unhold(wait->source);
}

static const tide_wait_ops admission_ops = {.name = "TaskGroup.spawn", .abandon = admission_leave};

/* The task counts as live already. */
void tide__group_admit(tide_group *group, tide_task *task) {
  if (group->max == 0 || group->live - group->held <= group->max ||
      tide_scope_cancelled(&task->own)) {
    tide__task_wake(task, TIDE_OK);
    return;
  }
  task->wait.ops = &admission_ops;
  task->wait.source = group;
  tide__group_hold(group);
  tide__wait_park(task, &group->queued);
}

static void admit_next(tide_group *group) {
  while (!tide_list_empty(&group->queued) && group->live - group->held < group->max) {
    tide__group_unhold(group);
    tide__park_wake(&group->queued, TIDE_OK);
  }
}

static void one_less(tide_group *group) {
  admit_next(group);
  if (group->live <= group->enough) wake_idle(group);
}

static void child_failed(tide_group *group, int error) {
  if (group->failed++ == 0) group->error = error;
  if (group->supervised && !group->lenient) tide_defer_start(&group->failure, group->loop);
}

void tide__group_remove(tide_group *group, int error) {
  lose_child(group);
  if (error != TIDE_OK) child_failed(group, error);
  one_less(group);
}

void tide_group_adopt(tide_group *group, tide_task *child) {
  tide_group *from = tide_container(child->own.parent, tide_group, scope);
  if (tide_scope_cancelled(&from->scope)) tide_task_cancel(child);
  move(from, group, child);
  tide__cancel_forward(group->loop);
  one_less(from);
}

/* As a case of select. */

static int group_attempt(tide_case *self) {
  const tide_group *group = self->wait.source;
  if (group->live == 0) return TIDE_OK;
  return inside(group, self->wait.task) ? TIDE_EINVALID_STATE : TIDE_PENDING;
}

static int group_park_case(tide_case *self) {
  tide_group *group = self->wait.source;
  self->wait.value.number = 0;
  tide_list_append(&group->idle, &self->wait.in.link);
  return TIDE_OK;
}

static const tide_case_ops case_ops = {
    .wait = &few_ops, .attempt = group_attempt, .park = group_park_case};

void tide_case_group(tide_case *self, tide_group *group) {
  *self = (tide_case){.ops = &case_ops, .wait.source = group};
}
