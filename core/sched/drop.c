/* drop.c: the tasks that are left when their loop goes. */
#include "private.h"

/* The last scope of all that is inside, in whose task no other is then. */
static tide_scope *innermost(tide_scope *scope) {
  while (!tide_list_empty(&scope->children))
    scope = tide_container(scope->children.prev, tide_scope, link);
  return scope;
}

static void drop(tide_task *task) {
  const tide_task_ops *ops = task->ops;
  tide_task_detach(task);
  tide_task_finish(task, TIDE_FUTURE_CANCELLED);
  if (ops->drop != NULL) ops->drop(task);
}

void tide__tasks_drop(tide_loop *loop) {
  while (!tide_list_empty(&loop->groups)) {
    tide_group *group = tide_container(loop->groups.prev, tide_group, link);
    tide_scope *scope = innermost(&group->scope);
    group->closed = true;
    if (scope->task != NULL && scope == &scope->task->own)
      drop(scope->task);
    else
      tide_scope_exit(scope); /* its task has others inside of it still */
  }
}
