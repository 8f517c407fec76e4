/* iter.h: asynchronous iterators: items one after the other, each of which may have to be waited
 * for.
 *
 * An iterator is a struct of its maker's that has a tide_iter in it and a table of functions. What
 * is made from it owns it: who takes from it closes it in the end, and then frees it. One task at a
 * time is inside. */
#ifndef TIDE_ITER_H
#define TIDE_ITER_H

#include "task.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

enum { TIDE_SCOPE_ITER = TIDE_SCOPE_PART }; /* marks the `place` of a tide_iter */

typedef struct tide_iter tide_iter;

/* What an iterator gives; which member it is, and who owns what it stands for, its maker says. */
typedef union tide_item {
  void *pointer;
  uint64_t number;
  int64_t integer;
} tide_item;

/* The functions that wait are called with `outcome` TIDE_PENDING to begin. Where they return
 * TIDE_PENDING (a waiting function, called last, has returned it) they are called again when that
 * wait is over, with its outcome, TIDE_OK or an error, of which they make what the caller is told.
 * A call that is never gone on with (its task was killed, or left) did not happen: the next begins.
 */
typedef struct tide_iter_ops {
  const char *name; /* what sort it is, in a word: "interval" */
  /* (waits) Gives the next item: TIDE_OK. The end: TIDE_EEOF. TIDE_ECANCELLED: nothing was taken.
   */
  int (*next)(tide_iter *iter, tide_task *task, int outcome, tide_item *item);
  /* (waits) Lets go of what the iterator holds: called at most once, with nobody inside. Its waits
   * are shielded: the task's cancellation does not reach them. TIDE_OK, or an error, which changes
   * nothing. NULL: it holds nothing that waiting could help. */
  int (*close)(tide_iter *iter, tide_task *task, int outcome);
  /* Frees it, closed or not, without waiting. NULL: the memory is somebody else's. */
  void (*free)(tide_iter *iter);
} tide_iter_ops;

struct tide_iter {
  const tide_iter_ops *ops; /* which kind */
  tide_scope place;         /* around the task that is inside, while it waits there */
  bool over;                /* next gives the end */
  bool closed;              /* tide_iter_close was called */
  bool closing;             /* ... by who is inside */
};

TIDE_API void tide_iter_init(tide_iter *iter, const tide_iter_ops *ops);

/* (waits) Takes the next item: TIDE_OK, and it is in `item`. TIDE_EEOF: the end, then again and
 * again. After TIDE_PENDING the task's next step makes the same call again, *whatever its outcome*,
 * until it returns something else; or, where that is an error, calls tide_iter_leave.
 * TIDE_ECANCELLED: it did not happen. TIDE_EBUSY: another task is inside; no effect. Any other
 * error is the source's and ends the iteration. */
TIDE_API int tide_iter_next(tide_iter *iter, tide_task *task, tide_item *item);

/* (waits) Closes it: then next gives the end. Called again as tide_iter_next is. It is not
 * cancellable, and harmless when repeated. TIDE_OK; TIDE_EBUSY: another task is inside, and what it
 * waits for would be taken from it (where nothing would be, it gets that); or an error of the
 * cleanup: it is closed nevertheless. `task` NULL: it does not wait, and what the iterator holds is
 * let go of by tide_iter_free. */
TIDE_API int tide_iter_close(tide_iter *iter, tide_task *task);

/* The task does not make its call again: a call of next did not happen. (Not where its wait has
 * ended with TIDE_OK: what that brought would be lost.) Harmless where it is not inside. A task
 * that has ended is not inside. */
TIDE_API void tide_iter_leave(tide_iter *iter, tide_task *task);

/* Who is inside and waits, or NULL. */
static inline tide_task *tide_iter_user(const tide_iter *iter) { return iter->place.task; }

/* Frees it, by its own function. Nobody may wait inside, or still call from there. One that holds
 * something is to be closed before; where that was not possible it is let go of without waiting. */
TIDE_API void tide_iter_free(tide_iter *iter);

TIDE_END_DECLS

#endif
