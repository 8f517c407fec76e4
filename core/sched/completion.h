/* completion.h: one result that comes from elsewhere: a C library that calls back, a device,
 * another thread.
 *
 * Two own the record. The *waiter*, who makes it, waits, and reads what has come. The *caller*, who
 * is going to complete it, in the loop's thread (tide_completion_end) or in any (_post), exactly
 * once. `ops->free` is called when neither needs it any more:
 *
 *     the waiter's half is gone        after tide_completion_drop; and where its wait was cancelled
 *                                      or its task killed: then it has nothing left to do
 *     the caller's half is gone        once it has completed, whatever it was told; and where
 *                                      `ops->cancel` has taken the registration back
 *
 * Who has a half may call what is for it. So nothing is freed under a callback that is on its way
 * in another thread, and a callback that comes too late is what frees it. */
#ifndef TIDE_COMPLETION_H
#define TIDE_COMPLETION_H

#include "post.h"
#include "select.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

typedef struct tide_completion tide_completion;

/* What became of the caller's registration. */
typedef enum tide_taken_back {
  TIDE_TAKEN_BACK, /* nobody will complete it any more: the caller's half is gone */
  TIDE_TOO_LATE,   /* somebody will: the waiter does not wait for that */
  TIDE_KEPT,       /* somebody will, and the waiter waits on: it happens, or says itself that it was
                      broken off */
} tide_taken_back;

typedef struct tide_completion_ops {
  const char *name; /* what is waited for, as a script would call it */
  const char *(*tell)(
      const tide_completion *self); /* says it where that is NULL; NULL: "completion"
                                     */
  /* The waiter has gone, or wants to: takes the registration back. At most once where it says
   * TIDE_TOO_LATE, else each time that is tried. In the loop's thread; must not raise or block; may
   * itself complete it (then the answer is not looked at). NULL: it is always too late. */
  tide_taken_back (*cancel)(tide_completion *self);
  /* A post of the caller's has arrived, in time or not: before anybody hears of it. In the loop's
   * thread, and only while there is a loop. NULL: nothing is to be done. */
  void (*came)(tide_completion *self);
  /* Both halves are gone. In the loop's thread; in the caller's, where the loop went before. NULL:
   * who made it knows when the caller has completed it. */
  void (*free)(tide_completion *self);
} tide_completion_ops;

struct tide_completion {
  const tide_completion_ops *ops;
  tide_port *port;   /* the way to the loop; lent until the caller's half is gone */
  tide_wait *waiter; /* who is parked in it, or NULL */
  tide_post post;    /* carries the result to the loop's thread */
  int result;        /* once it has ended: what the wait gives */
  uint8_t state;     /* atomic: what has come first, and who has a half */
};

/* In the loop's thread. The waiter has one half, the caller the other; where there is to be no
 * caller after all, end it. */
TIDE_API void tide_completion_init(tide_completion *self, tide_loop *loop,
                                   const tide_completion_ops *ops);

/* (waits) Until it is completed: the outcome is the result; at once where it was completed before.
 * The waiter's half stays, to be dropped. Where the task is cancelled, `ops->cancel` is asked at
 * that moment, also where it is cancelled already; the outcome is TIDE_ECANCELLED, and the waiter's
 * half gone, unless it was kept, or a result is on its way already: then that is the outcome. (A
 * caller that completes it with TIDE_ECANCELLED has the same effect.) TIDE_EBUSY: another task
 * waits; the half stays, as with an outcome that tide_loop_interrupt brings. Holds the loop
 * meanwhile (tide_loop_hold). */
TIDE_API int tide_completion_wait(tide_completion *self, tide_task *task);

/* Whether it was completed, and the loop knows. */
TIDE_API bool tide_completion_ended(const tide_completion *self);

/* The caller completes it, with TIDE_OK or an error (a positive number counts as TIDE_EMISUSE), and
 * its half is gone. In the loop's thread.
 * TIDE_OK: who waits will have the result. TIDE_ECANCELLED: nobody will, it was given up.
 * TIDE_EINVALID_STATE: it had been completed, and nothing has changed (to be asked only by who
 * knows that the waiter still has its half). */
TIDE_API int tide_completion_end(tide_completion *self, int result);

/* The same from any thread (but not from signal handlers): the result is on its way, and a wait
 * that is cancelled meanwhile gets it all the same. TIDE_ECLOSED: the loop has been freed. */
TIDE_API int tide_completion_post(tide_completion *self, int result);

/* The waiter needs it no more: its half is gone. Where it was not completed, that is asked to be
 * taken back (what is kept, is let go). In the loop's thread, or where that ran once the loop was
 * freed; no task may be parked in it. */
TIDE_API void tide_completion_drop(tide_completion *self);

/* A case of select (select.h): that it was completed; its result is the outcome. Where another case
 * happens it goes on; the waiter's half stays in any case, also where the task is killed: who
 * cleans up behind that task drops it. TIDE_EBUSY: another task waits, or another case of the same
 * select. */
TIDE_API void tide_case_completion(tide_case *self, tide_completion *completion);

TIDE_END_DECLS

#endif
