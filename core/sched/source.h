/* source.h: one's own source of waits: something that tasks can wait for, with cancellation and in
 * select, as they do for what tide has. examples/embed/own_waitable.c is one.
 *
 * A source has a list of waiters, and a table of functions (tide_wait_ops, wait.h), of which
 * `abandon` is required and mostly tide_source_leave. A function that waits looks like this:
 *
 *     int thing_wait(thing *self, tide_task *task) {
 *       if (!tide_source_enter(task, &thing_ops, self)) return TIDE_PENDING;
 *       if (there_is_nothing_to_wait_for) return tide_source_over(task, TIDE_OK);
 *       task->wait.value.integer = what_the_source_is_to_know;
 *       return tide_source_park(task, &self->waiters);
 *     }
 *
 * and where it happens, tide_source_end ends the waits that it ends: no code of theirs runs then,
 * so that the source may be changed meanwhile. Where a wait's end hands something over (an item, a
 * permit), `reject` of the table takes it back from who will never see it: without that, tasks that
 * are killed lose it.
 *
 * For select (select.h) the source gives a tide_case its `ops`, tide_case_ops, and `wait.source`;
 * its wait is in the list like any other, and tide_source_end ends it in the same way. */
#ifndef TIDE_SOURCE_H
#define TIDE_SOURCE_H

#include "select.h"

TIDE_BEGIN_DECLS

/* Begins a wait of the running task. False: its scope is cancelled, and its next step will be told;
 * the caller changes nothing, and returns TIDE_PENDING. */
TIDE_API bool tide_source_enter(tide_task *task, const tide_wait_ops *ops, void *source);

/* What is to be returned where the wait that was entered need not wait, or fails, with `outcome`:
 * that, or, each 256th time in a row, TIDE_PENDING, after which the next step has it. */
TIDE_API int tide_source_over(tide_task *task, int outcome);

/* Parks the running task, whose wait was entered, at the end of the list. Always TIDE_PENDING. */
TIDE_API int tide_source_park(tide_task *task, tide_list *waiters);

/* An `abandon` for waits in a list: takes it out. */
TIDE_API void tide_source_leave(tide_wait *wait);

/* Takes the wait out of its list and ends it: with TIDE_OK, or an error (a positive number counts
 * as TIDE_EMISUSE). */
TIDE_API void tide_source_end(tide_wait *wait, int outcome);

/* The wait that has been in the list for longest, or NULL: it is empty. */
static inline tide_wait *tide_source_first(const tide_list *waiters) {
  return tide_list_empty(waiters) ? NULL : tide_container(waiters->next, tide_wait, in.link);
}

/* The one that came after `wait`, or NULL. While waits are ended it is not to be relied on: the end
 * of one takes others out of their lists, cases of the same select. */
static inline tide_wait *tide_source_next(const tide_list *waiters, const tide_wait *wait) {
  const tide_list *next = wait->in.link.next;
  return next == waiters ? NULL : tide_container(next, tide_wait, in.link);
}

/* Moves the wait to the end of another list. Who ends several that are not the first ones puts them
 * into a list of its own, and then ends the first of that, until none is left. */
static inline void tide_source_move(tide_wait *wait, tide_list *to) {
  tide_list_remove(&wait->in.link);
  tide_list_append(to, &wait->in.link);
}

TIDE_END_DECLS

#endif
