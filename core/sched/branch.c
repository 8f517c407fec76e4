/* branch.c: stacks of scopes beside each other: all are in the task's tree, it is in one. */
#include "branch.h"

#include "private.h"

void tide_branch_init(tide_branch *branch) {
  tide_scope_init(&branch->scope, TIDE_SCOPE_BRANCH);
  branch->innermost = NULL;
}

void tide_branch_enter(tide_branch *branch, tide_task *task) {
  if (branch->innermost == NULL) {
    tide_scope_enter(&branch->scope, task);
    return;
  }
  tide__scope_move(&branch->scope, task->scope);
  task->scope = branch->innermost;
  branch->innermost = NULL;
  tide__cancel_forward(task->loop);
}

void tide_branch_leave(tide_branch *branch) {
  tide_task *task = branch->scope.task;
  branch->innermost = task->scope;
  task->branched = true;
  task->scope = branch->scope.parent;
  tide__scope_move(&branch->scope, &task->own);
  tide__cancel_forward(task->loop);
}

void tide_branch_end(tide_branch *branch) {
  if (!(branch->scope.flags & TIDE_SCOPE_ENTERED)) return;
  const tide_task *task = branch->scope.task;
  tide_scope *const *innermost = branch->innermost != NULL ? &branch->innermost : &task->scope;
  while (*innermost != &branch->scope) tide_scope_exit(*innermost);
  branch->innermost = NULL;
  tide_scope_exit(&branch->scope);
}

void tide__branch_lose(const tide_scope *scope) {
  if (!scope->task->branched) return; /* nor is there a deep stack to look through */
  tide_scope *outer = scope->parent;
  while (outer != NULL && !(outer->flags & TIDE_SCOPE_BRANCH)) outer = outer->parent;
  if (outer == NULL) return;
  tide_branch *branch = tide_container(outer, tide_branch, scope);
  if (branch->innermost == scope) branch->innermost = scope->parent;
}
