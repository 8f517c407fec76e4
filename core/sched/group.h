/* group.h: tasks that end before the block that started them does. */
#ifndef TIDE_GROUP_H
#define TIDE_GROUP_H

#include "loop.h"
#include "task.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

struct tide_group {
  tide_scope scope;   /* what the children and, once entered, the body run in */
  tide_loop *loop;    /* where */
  tide_list link;     /* in the loop's list while a child is live */
  tide_list idle;     /* waits for the last child's end, or for there to be few */
  tide_list queued;   /* children that wait for the limit to let them start */
  tide_defer failure; /* cancels the scope at the end of the turn of the first failure */
  uint32_t live;      /* children that have not ended */
  uint32_t failed;    /* children that have failed */
  uint32_t held;      /* children that may not begin yet: those in `queued`, and those whose time
                         (tide_task_spawn_at, _after) has not come */
  uint32_t max;       /* how many may run at once; 0: no limit */
  uint32_t enough;    /* who is in `idle` is woken when no more than so many are live */
  int error;          /* what the first child to fail has failed with, or TIDE_OK */
  bool closed;        /* takes no more children */
  bool supervised;    /* a child's failure cancels the others */
  bool lenient;       /* ... but for those that somebody else sees to: set by its owner */
};

/* `max`: how many children run at once, 0: all. An unsupervised group ignores failures. */
TIDE_API void tide_group_init(tide_group *group, tide_loop *loop, uint32_t max, bool supervised);

/* Opens the group's scope around the running task's further body. */
static inline void tide_group_enter(tide_group *group, tide_task *task) {
  tide_scope_enter(&group->scope, task);
}

/* (waits) Until no child is live. Not cancellable: who cancels the group or what is around it
 * cancels the children. TIDE_OK; or TIDE_PENDING, and the next step asks again: somebody may have
 * spawned meanwhile. TIDE_EINVALID_STATE: the task is one of those that are waited for. */
TIDE_API int tide_group_wait(tide_group *group, tide_task *task);

/* (waits) Until at most `few` children are live. Cancellable. Else as tide_group_wait, with the
 * difference that TIDE_OK says that it is so. */
TIDE_API int tide_group_wait_few(tide_group *group, tide_task *task, uint32_t few);

/* The error of the first child that failed, as tide_future_error has it; TIDE_OK: none has. */
static inline int tide_group_error(const tide_group *group) { return group->error; }

/* Moves a child of another group's, which has begun there, to this one, over the limit if need be.
 * If that group is being cancelled, the child stays cancelled. */
TIDE_API void tide_group_adopt(tide_group *group, tide_task *child);

/* Ends the group: takes no more children, leaves the scope. Children that are still live (their
 * body was killed) are cancelled and go to the outermost group around this one; where there is none
 * to the loop's background group. */
TIDE_API void tide_group_exit(tide_group *group);

/* A case of select (select.h): that no child is live. TIDE_EINVALID_STATE: the task is one of them.
 */
TIDE_API void tide_case_group(tide_case *self, tide_group *group);

/* Takes no more children; those that there are go on. */
static inline void tide_group_close(tide_group *group) { group->closed = true; }

static inline void tide_group_cancel(tide_group *group) {
  tide_scope_cancel(&group->scope, group->loop);
}

/* Whether it takes children: not ended and not being cancelled. */
static inline bool tide_group_open(const tide_group *group) {
  return !group->closed && (!group->supervised || !tide_scope_cancelled(&group->scope));
}

TIDE_END_DECLS

#endif
