/* branch.h: stacks of scopes beside each other in one task.
 *
 * A task that does several things in turns, each with scopes of its own, has a branch for each. It
 * enters one, opens and leaves scopes in there, leaves the branch with what is open in it, and is
 * back in what was around it before. What is open is around it again when it enters the branch
 * anew, from wherever that is. In between the branch is right inside the task's own scope: it is
 * cancelled with the task, and deadlines inside pass, of which the task hears when it is back. */
#ifndef TIDE_BRANCH_H
#define TIDE_BRANCH_H

#include "scope.h"

TIDE_BEGIN_DECLS

enum { TIDE_SCOPE_BRANCH = TIDE_SCOPE_PART << 1 }; /* marks the scope of a tide_branch */

typedef struct tide_branch {
  tide_scope scope;      /* first: all that is opened in the branch is inside */
  tide_scope *innermost; /* where the task goes on when it enters; NULL while it is in there */
} tide_branch;

/* A branch of no task. */
TIDE_API void tide_branch_init(tide_branch *branch);

/* The task, inside its step, goes on in the branch, which is from now on inside what the task was
 * in. The first time that makes the branch the task's; until tide_branch_end it must be entered by
 * no other. */
TIDE_API void tide_branch_enter(tide_branch *branch, tide_task *task);

/* The task, which is in the branch, goes on around it. */
TIDE_API void tide_branch_leave(tide_branch *branch);

/* Leaves all that is open in the branch, and takes it out of the tree, wherever the task is. A task
 * must not finish while it has branches. Harmless on one that was not entered. */
TIDE_API void tide_branch_end(tide_branch *branch);

TIDE_END_DECLS

#endif
