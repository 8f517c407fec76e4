/* scope.h: the tree of cancel scopes, and deadlines on them.
 *
 * Every task has a scope of its own; groups are scopes; a task opens further ones around parts of
 * its body. A scope is `cancelled` when it was cancelled itself or, unless it shields, when its
 * parent is: then every wait inside it ends with TIDE_ECANCELLED, again and again, until control
 * has left it (level-triggered, as in Trio). */
#ifndef TIDE_SCOPE_H
#define TIDE_SCOPE_H

#include "../base/list.h"
#include "timer.h"

TIDE_BEGIN_DECLS

typedef struct tide_task tide_task;
typedef struct tide_scope tide_scope;

enum {
  TIDE_SCOPE_CALLED = 1,     /* cancel was called on this very scope */
  TIDE_SCOPE_CANCELLED = 2,  /* it, or an ancestor seen through no shield, was cancelled */
  TIDE_SCOPE_SHIELD = 4,     /* the parent's cancellation does not reach in here */
  TIDE_SCOPE_EXPIRED = 8,    /* its deadline cancelled it */
  TIDE_SCOPE_ENTERED = 16,   /* it is in the tree */
  TIDE_SCOPE_FRESH = 64,     /* CANCELLED came on, and its task is to be told */
  TIDE_SCOPE_GROUP = 32,     /* it is a group's: its child tasks count in the group */
  TIDE_SCOPE_RECALLED = 128, /* CANCELLED was taken back when it had interrupted the task already,
                                whose wait ends with TIDE_ECANCELLED all the same */
  TIDE_SCOPE_SEEN = 256,     /* while circles of tasks that wait for each other are looked for: */
  TIDE_SCOPE_ON_PATH = 512, /* it is a task's that was looked at; that waits for the one at hand; */
  TIDE_SCOPE_BEHIND = 2048, /* it waits, itself or by others, for the one that was begun with */
  TIDE_SCOPE_HANDS_ON =
      1024, /* while cancellation is handed on: it is a task's whose wait does so */
  TIDE_SCOPE_PART = 1 << 16,    /* the eight bits from this one on mark scopes that are part of
                                  something else of the core's: its header says of what */
  TIDE_SCOPE_BINDING = 1 << 24, /* the four bits from this one on mark scopes that tide's binding to
                                   a language has made: part of something of its own */
  TIDE_SCOPE_OWNER = 1 << 28,   /* this bit and those above it are free for who else makes scopes: a
                                   host, whichever task it opens them around */
};

struct tide_scope {
  tide_scope *parent; /* the scope around this one; NULL: none, or it is not in the tree */
  tide_list link;     /* among the parent's children */
  tide_list children; /* scopes opened inside, and scopes of tasks spawned inside */
  tide_task *task;    /* whose body it surrounds; NULL: nobody's, or it is not in the tree */
  uint32_t flags;     /* TIDE_SCOPE_... */
  uint32_t requests;  /* how often cancel was called, less the uncancels */
};

/* A scope outside the tree. `flags`: TIDE_SCOPE_SHIELD or 0, and bits from TIDE_SCOPE_OWNER up. */
TIDE_API void tide_scope_init(tide_scope *scope, uint32_t flags);

/* Opens the scope inside the task's innermost one. */
TIDE_API void tide_scope_enter(tide_scope *scope, tide_task *task);

/* Takes the scope out of the tree, from wherever it is. Scopes inside go to its parent; tasks that
 * are left in it, if it is a group's, are cancelled and go where tide_group_exit says. TIDE_OK, or
 * TIDE_EINVALID_STATE where it was not its task's innermost scope (done all the same). Harmless on
 * a scope that is not in the tree. */
TIDE_API int tide_scope_exit(tide_scope *scope);

/* Cancels. Counts when called again. O(tasks and scopes inside); runs no user code. */
TIDE_API void tide_scope_cancel(tide_scope *scope, tide_loop *loop);

/* Takes one cancel back; at zero the scope is live again. Waits that have been abandoned are not
 * taken up again: they end with TIDE_ECANCELLED. True if a request was there. */
TIDE_API bool tide_scope_uncancel(tide_scope *scope);

/* The scope that follows in the tree below `top`: parents before what is inside, in the order in
 * which they were opened. NULL after the last. For looking at it: a task's own scope is
 * task->own of its `task`, that with TIDE_SCOPE_GROUP is a tide_group's first member, those
 * with a bit from TIDE_SCOPE_PART up to the binding's are members too. O(depth), O(1) on average.
 */
TIDE_API tide_scope *tide_scope_next(const tide_scope *top, const tide_scope *scope);

/* The scope around all others of this one; itself where it is in none. O(depth). */
static inline const tide_scope *tide_scope_outermost(const tide_scope *scope) {
  while (scope->parent != NULL) scope = scope->parent;
  return scope;
}

static inline bool tide_scope_cancelled(const tide_scope *scope) {
  return (scope->flags & TIDE_SCOPE_CANCELLED) != 0;
}

/* Whether an error `cancelled` that reaches this scope's end is its own to catch: it was
 * cancelled itself and nothing around it is ("the outer one catches"). To be asked before
 * tide_scope_exit. */
static inline bool tide_scope_catches(const tide_scope *scope) {
  return (scope->flags & TIDE_SCOPE_CALLED) != 0 &&
         (scope->parent == NULL || !tide_scope_cancelled(scope->parent));
}

/* A deadline on a scope: cancels it and marks it TIDE_SCOPE_EXPIRED. */
typedef struct tide_deadline {
  tide_timer timer;  /* armed while the deadline is ahead */
  tide_scope *scope; /* what it cancels */
  tide_loop *loop;   /* whose clock */
  tide_time when;    /* TIDE_NEVER: none */
} tide_deadline;

TIDE_API void tide_deadline_init(tide_deadline *deadline, tide_scope *scope, tide_loop *loop);

/* Sets or moves the deadline; one that has passed cancels at once. TIDE_OK or TIDE_ENOMEM (the
 * old deadline is then gone). */
TIDE_API int tide_deadline_set(tide_deadline *deadline, tide_time when);

/* Takes the deadline away. */
TIDE_API void tide_deadline_stop(tide_deadline *deadline);

TIDE_END_DECLS

#endif
