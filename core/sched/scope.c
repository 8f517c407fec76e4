/* scope.c: the cancel tree. */
#include "scope.h"

#include "private.h"
#include "timeout.h"

void tide_scope_init(tide_scope *scope, uint32_t flags) {
  *scope = (tide_scope){.flags = flags};
  tide_list_init(&scope->link);
  tide_list_init(&scope->children);
}

/* What the flag TIDE_SCOPE_CANCELLED should say of the scope, seen from its parent. */
static bool should_be_cancelled(const tide_scope *scope) {
  if (scope->flags & TIDE_SCOPE_CALLED) return true;
  if (scope->flags & TIDE_SCOPE_SHIELD) return false;
  return scope->parent != NULL && tide_scope_cancelled(scope->parent);
}

/* Whether the task's wait was abandoned for a cancellation, and the task does not know yet. */
static bool was_interrupted(const tide_task *task) {
  return task != NULL && task->state == TIDE_TASK_READY && task->outcome == TIDE_ECANCELLED;
}

/* Makes the flag of one scope right. Whether that changed it. */
static bool mark(tide_scope *scope) {
  bool should = should_be_cancelled(scope);
  if (should == tide_scope_cancelled(scope)) return false;
  scope->flags ^= TIDE_SCOPE_CANCELLED;
  if (should)
    scope->flags |= TIDE_SCOPE_FRESH;
  else if (was_interrupted(scope->task))
    scope->flags |= TIDE_SCOPE_RECALLED;
  return true;
}

/* All inside the scope is done: its task, if it waits right in it, comes last. */
static void scope_leave(tide_scope *scope) {
  if (!(scope->flags & TIDE_SCOPE_FRESH)) return;
  scope->flags &= ~(uint32_t)TIDE_SCOPE_FRESH;
  if (scope->task != NULL && scope->task->scope == scope)
    tide__task_interrupt(scope->task, TIDE_ECANCELLED);
}

/* Makes the flag right in `top` and below, and interrupts the tasks that wait where it came on,
 * children before who waits for them. Without recursion: trees may be deep. */
static void refresh(tide_scope *top) {
  tide_scope *scope = top;
  for (;;) {
    if (mark(scope) && !tide_list_empty(&scope->children)) {
      scope = tide_container(scope->children.next, tide_scope, link);
      continue;
    }
    for (scope_leave(scope); scope != top && scope->link.next == &scope->parent->children;
         scope_leave(scope))
      scope = scope->parent;
    if (scope == top) return;
    scope = tide_container(scope->link.next, tide_scope, link);
  }
}

void tide__scope_attach(tide_scope *scope, tide_scope *parent) {
  scope->parent = parent;
  tide_list_append(&parent->children, &scope->link);
  scope->flags |= TIDE_SCOPE_ENTERED;
  if (should_be_cancelled(scope)) scope->flags |= TIDE_SCOPE_CANCELLED;
}

void tide_scope_enter(tide_scope *scope, tide_task *task) {
  tide__scope_attach(scope, task->scope);
  scope->task = task;
  task->scope = scope;
}

void tide__scope_move(tide_scope *scope, tide_scope *parent) {
  tide_list_remove(&scope->link);
  scope->parent = parent;
  tide_list_append(&parent->children, &scope->link);
  refresh(scope);
}

static void move_children(tide_scope *scope) {
  while (!tide_list_empty(&scope->children))
    tide__scope_move(tide_container(scope->children.next, tide_scope, link), scope->parent);
}

/* The task goes on in the scope around; where somebody else took this one away, it may wait. */
static void move_task(tide_scope *scope) {
  tide_task *task = scope->task;
  bool comes_on = !tide_scope_cancelled(scope) && tide_scope_cancelled(scope->parent);
  task->scope = scope->parent;
  if (comes_on) tide__task_interrupt(task, TIDE_ECANCELLED);
}

/* What is inside goes to where it belongs now. */
static void hand_over_content(tide_scope *scope) {
  if (scope->flags & TIDE_SCOPE_GROUP) tide__group_leave(tide_container(scope, tide_group, scope));
  if (scope->flags & TIDE_SCOPE_TIMEOUT) tide__timeout_lose(scope);
  move_children(scope);
  if (scope->task->scope == scope)
    move_task(scope);
  else
    tide__branch_lose(scope);
}

static void take_out(tide_scope *scope) {
  tide_list_remove(&scope->link);
  scope->flags &= ~(uint32_t)TIDE_SCOPE_ENTERED;
  scope->parent = NULL;
  scope->task = NULL;
}

int tide_scope_exit(tide_scope *scope) {
  if (!(scope->flags & TIDE_SCOPE_ENTERED)) return TIDE_OK;
  tide_loop *loop = scope->task->loop;
  bool innermost = scope->task->scope == scope;
  hand_over_content(scope);
  take_out(scope);
  tide__cancel_forward(loop);
  return innermost ? TIDE_OK : TIDE_EINVALID_STATE;
}

void tide_scope_cancel(tide_scope *scope, tide_loop *loop) {
  scope->requests++;
  if (scope->flags & TIDE_SCOPE_CALLED) return;
  scope->flags |= TIDE_SCOPE_CALLED;
  refresh(scope);
  tide__cancel_forward(loop);
}

bool tide_scope_uncancel(tide_scope *scope) {
  if (scope->requests == 0) return false;
  if (--scope->requests == 0) {
    scope->flags &= ~(uint32_t)(TIDE_SCOPE_CALLED | TIDE_SCOPE_EXPIRED);
    refresh(scope);
  }
  return true;
}

tide_scope *tide_scope_next(const tide_scope *top, const tide_scope *scope) {
  if (!tide_list_empty(&scope->children))
    return tide_container(scope->children.next, tide_scope, link);
  while (scope != top && scope->link.next == &scope->parent->children) scope = scope->parent;
  return scope == top ? NULL : tide_container(scope->link.next, tide_scope, link);
}

static void deadline_fire(tide_timer *timer) {
  tide_deadline *deadline = tide_container(timer, tide_deadline, timer);
  if (!(deadline->scope->flags & TIDE_SCOPE_CALLED)) deadline->scope->flags |= TIDE_SCOPE_EXPIRED;
  tide_scope_cancel(deadline->scope, deadline->loop);
}

void tide_deadline_init(tide_deadline *deadline, tide_scope *scope, tide_loop *loop) {
  tide_timer_init(&deadline->timer, deadline_fire);
  deadline->scope = scope;
  deadline->loop = loop;
  deadline->when = TIDE_NEVER;
}

int tide_deadline_set(tide_deadline *deadline, tide_time when) {
  tide_deadline_stop(deadline);
  if (tide__time_has_come(deadline->loop, when)) {
    deadline->when = when;
    deadline_fire(&deadline->timer);
    return TIDE_OK;
  }
  int error = tide_timer_start(&deadline->timer, deadline->loop, when);
  if (error == TIDE_OK) deadline->when = when;
  return error;
}

void tide_deadline_stop(tide_deadline *deadline) {
  tide_timer_stop(&deadline->timer, deadline->loop);
  deadline->when = TIDE_NEVER;
}
