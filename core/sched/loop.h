/* loop.h: the event loop: turns, polling, the clock. One thread at a time uses a loop; loops share
 * nothing.
 *
 * From inside a step all of this may be called but tide_loop_free; tide_loop_turn, _run and _tick
 * refuse. What a tide_defer runs, and `ready` of a watcher, may call as much, and functions of the
 * other headers that do not wait. */
#ifndef TIDE_LOOP_H
#define TIDE_LOOP_H

#include "../base/alloc.h"
#include "../base/clock.h"
#include "../base/error.h"
#include "../base/faults.h"
#include "../base/list.h"
#include "../base/log.h"

TIDE_BEGIN_DECLS

typedef struct tide_loop tide_loop;
typedef struct tide_task tide_task;
typedef struct tide_group tide_group;
typedef struct tide_future tide_future;
typedef struct tide_defer tide_defer;
typedef struct tide_idle tide_idle;
typedef struct tide_lane tide_lane; /* lane.h */

/* A new loop with an epoll (or other libev) backend of its own. `allocator` NULL: the C library's.
 * NULL where memory or descriptors are short. */
TIDE_API tide_loop *tide_loop_new(const tide_allocator *allocator);

/* The same as a guest in a libev loop of the host's, ev_default_loop's too, which is left as it is,
 * userdata included: the host runs it by ev_run. Before each of its polls tide is ticked (see
 * tide_loop_tick) for as long as tide_loop_set_share says, and what is left is gone on with before
 * the next, which does not wait then. ev_run goes on as long as there are tasks that are ready or
 * sleep or something holds the loop. tide_loop_run, and a turn that would block, return
 * TIDE_EINVALID_STATE; virtual time does not jump. To be freed before the host's loop, in its
 * thread, not from inside a step. */
struct ev_loop;
TIDE_API tide_loop *tide_loop_new_on(struct ev_loop *ev, const tide_allocator *allocator);

TIDE_API bool tide_loop_is_guest(const tide_loop *loop);

/* For hosts whose loop is of another kind (poll, epoll, GLib, Qt): a descriptor that is readable
 * while there is something to do for tide_loop_tick: tasks are ready, a deadline has come,
 * something that is waited for, or posted, has happened, or a call between two ticks has changed
 * what is to be waited for. The host only watches it, and calls tide_loop_tick in the loop's thread
 * when it is readable; the first time it is. It is the loop's, and the same for as long as the loop
 * is there. From then on each tick and turn costs up to one system call more. TIDE_EINVALID_STATE:
 * a guest, or libev has no such descriptor here; TIDE_ENOMEM; TIDE_OS(errno): no descriptor can be
 * had. */
TIDE_API int tide_loop_fd(tide_loop *loop);

/* Frees the loop. Tasks that have not ended are taken out of their waits and end as cancelled, with
 * no further step, those that others spawned before those; each is told by the `drop` of its ops.
 * So they and what they wait in must be there still. Descriptors must have been closed, by `drop`
 * at the latest. NULL is ignored. */
TIDE_API void tide_loop_free(tide_loop *loop);

TIDE_API const tide_allocator *tide_loop_allocator(const tide_loop *loop);

/* Makes calls fail as `faults` says, which stays the caller's, until other faults are set or, by
 * NULL, none. Only for tests. */
TIDE_API void tide_loop_set_faults(tide_loop *loop, tide_faults *faults);

/* The clock as it was read last: it stands still while a turn lasts, but for the next two. */
TIDE_API tide_time tide_loop_now(const tide_loop *loop);

/* Reads the clock afresh, for the calls that follow. */
TIDE_API void tide_loop_update_now(tide_loop *loop);

/* When `span` from this call on is over: what every relative time is made with. Where the clock
 * lags behind by more than a millisecond it is moved on first, so that equal spans which begin
 * together end together. */
TIDE_API tide_time tide_loop_after(tide_loop *loop, tide_time span);

/* Virtual time, for tests: the clock stands still while anything happens, and jumps to the next
 * deadline when every task waits and a poll finds no event. It goes on from the present time,
 * rounded up to a whole second: differences in seconds are exact then. */
TIDE_API void tide_loop_set_virtual_clock(tide_loop *loop);

/* Time is what the host says: it moves by tide_loop_advance alone. So a game may pause it or slow
 * it down; with a seed (tide_loop_set_seed) and the same advances tasks run in the same order. A
 * run in which all tasks sleep, and nothing holds the loop, is a deadlock: nothing in it moves the
 * clock. */
TIDE_API void tide_loop_set_manual_clock(tide_loop *loop);

/* Moves a manual clock on. What is due by then gets ready, in the order of the deadlines. TIDE_OK;
 * TIDE_EINVALID_STATE where the clock is not manual; TIDE_EMISUSE for a span that is the difference
 * of a later time and an earlier one the wrong way round, as a host may get it from a clock that
 * was put back: nothing moves then. */
TIDE_API int tide_loop_advance(tide_loop *loop, tide_time span);

/* Time passes again, on from where virtual time is: the clock never goes back, and deadlines that
 * were set in virtual time keep their distance. */
TIDE_API void tide_loop_set_real_clock(tide_loop *loop);

TIDE_API bool tide_loop_clock_is_virtual(const tide_loop *loop);

/* While something outside may wake a task (tide_loop_hold), virtual time jumps only after all has
 * been quiet for so long in real time: peers in this process answer at once, others need a moment.
 * 0 in a new loop. */
TIDE_API void tide_loop_set_autojump_threshold(tide_loop *loop, tide_time span);
TIDE_API tide_time tide_loop_autojump_threshold(const tide_loop *loop);

/* Not 0: the tasks of each turn are stepped in a random order, the same for the same seed. Who is
 * served first where several wait for one thing stays as it is. 0, as in a new loop: in the order
 * in which they became ready. */
TIDE_API void tide_loop_set_seed(tide_loop *loop, uint64_t seed);

/* What, given to tide_loop_set_seed, goes on as the loop would. */
TIDE_API uint64_t tide_loop_seed(const tide_loop *loop);

/* The task inside its step, or NULL. */
TIDE_API tide_task *tide_loop_current(const tide_loop *loop);

/* The group of tasks that belong to no other: never closed, ignores failures. */
TIDE_API tide_group *tide_loop_background(tide_loop *loop);

/* Says that something outside can wake a task that waits: while anything holds the loop, waiting
 * is no deadlock, and virtual time jumps only after the threshold above. Waits for descriptors,
 * completions and channels hold it, watchers that are set, and work that threads have, for which
 * virtual time stands still. Holds count; each is let go by one release, of whoever knows that what
 * was to come has come or never will. A watcher that is no reason to go on, such as one for signals
 * that end the program, is set and then released, and held again before it is unset. */
TIDE_API void tide_loop_hold(tide_loop *loop);
TIDE_API void tide_loop_release(tide_loop *loop);

/* Whether anything does. */
TIDE_API bool tide_loop_held(const tide_loop *loop);

/* Whether scripts may have to do with the process's signals. False in a new loop: they are the
 * host's. Who lets scripts listen to signals asks for it, and a signal may cancel whoever sleeps
 * until TIDE_NEVER: that is worth waiting for then, in tide_loop_run and unless time is virtual. A
 * host with other sources that may cancel holds the loop. */
TIDE_API void tide_loop_set_signals(tide_loop *loop, bool allowed);
TIDE_API bool tide_loop_signals(const tide_loop *loop);

/* Who is told of failures that nobody awaits, of what debug mode finds, and the like. NULL, as in a
 * new loop: failures go to stderr, the rest nowhere. `context` must stay as long as the loop and
 * its states. */
TIDE_API void tide_loop_set_log(tide_loop *loop, tide_log_fn fn, void *context);
TIDE_API const tide_log *tide_loop_log(const tide_loop *loop); /* for tide_log_write */

/* One turn (never from inside another: TIDE_EALREADY_RUNNING): steps every task that was ready when
 * it began, does what was deferred to its end, then polls; where nothing is ready and `block`, the
 * poll waits for the next deadline or event. TIDE_OK; or, only if `block`, TIDE_EDEADLOCK where
 * nothing is ready and nothing can wake any task. */
TIDE_API int tide_loop_turn(tide_loop *loop, bool block);

/* Turns until that future has ended or, where `until` is NULL, no task is left, and at the latest
 * until tide_loop_stop is called. The run is one of those that wait for the future; when it has
 * ended, it is not looked at again: a task may be freed in the very step that ends it. TIDE_OK,
 * TIDE_EDEADLOCK, or, inside another turn, TIDE_EALREADY_RUNNING. */
TIDE_API int tide_loop_run(tide_loop *loop, tide_future *until);

/* For hosts that go round by themselves, as games do frame by frame. Polls without blocking, steps
 * what is ready, goes on with what became ready by it, until nothing is or `budget` nanoseconds, by
 * the real clock, are over. The clock is read before each step, so it takes longer by one step at
 * most; a turn that was not finished is gone on with, in order, by the next call. Tasks that only
 * let others run (tide_task_yield) go on in the next tick where nothing else is ready. It ends with
 * a poll, and with a budget of 0 does nothing else. `more`, if not NULL: whether tasks are ready.
 * Virtual time does not jump in it. TIDE_OK, or, from inside a turn, TIDE_EALREADY_RUNNING. */
TIDE_API int tide_loop_tick(tide_loop *loop, tide_time budget, bool *more);

/* How long, in nanoseconds, each lane (lane.h) is stepped in a turn. 200,000 in a new loop. */
TIDE_API void tide_loop_set_share(tide_loop *loop, tide_time span);

/* Makes tide_loop_run, this one or else the next, return after the turn. */
TIDE_API void tide_loop_stop(tide_loop *loop);

/* Whether it is inside tide_loop_turn, _run or _tick. */
TIDE_API bool tide_loop_turning(const tide_loop *loop);

/* The next deadline on the loop's clock: now where tasks are ready, TIDE_NEVER where there is
 * none. */
TIDE_API tide_time tide_loop_deadline(const tide_loop *loop);

/* Turns completed since the loop was made. A task that waits is stepped again in a later turn than
 * the one it began to wait in. */
TIDE_API uint64_t tide_loop_turns(const tide_loop *loop);

/* Steps begun since the loop was made: the number of the present one. May be called by a signal
 * handler in the loop's thread. */
TIDE_API uint64_t tide_loop_steps(const tide_loop *loop);

/* What the loop holds at the moment. */
typedef struct tide_loop_stats {
  uint64_t turns; /* completed since the loop was made */
  uint64_t steps; /* of tasks, begun since then */
  tide_time
      longest_slice; /* of all those steps, also the present one. The real clock is read before
                        each while they are slow, else once in 32, which then count as one */
  uint32_t ready;    /* tasks that will be stepped without further waiting */
  uint32_t timers;   /* deadlines ahead: sleeps, timeouts */
  uint32_t watching; /* holds: waits for descriptors, watchers, and the host's */
} tide_loop_stats;

/* O(ready tasks). */
TIDE_API tide_loop_stats tide_loop_get_stats(const tide_loop *loop);

/* Abandons `task`'s pending wait, even one that cannot be cancelled, and wakes the task with
 * `outcome`, an error. What it waits for is left alone; Condition.wait takes its lock back first.
 * No effect on a task that does not wait. */
TIDE_API void tide_loop_interrupt(tide_loop *loop, tide_task *task, int outcome);

/* Something to be done once, at the end of the turn. */
struct tide_defer {
  tide_list link;                 /* in the loop's list while it is to be done */
  void (*run)(tide_defer *defer); /* must not raise or block */
};

TIDE_API void tide_defer_init(tide_defer *defer, void (*run)(tide_defer *defer));
TIDE_API void tide_defer_start(tide_defer *defer, tide_loop *loop); /* harmless when started */
TIDE_API void tide_defer_cancel(tide_defer *defer);                 /* harmless when not */

/* Something to be done once nobody has touched it for a second by the loop's clock, at the end of a
 * poll: memory that nobody uses any more is given back so. It is no reason to wait, nor to go on: a
 * loop that ends, or is not turned, leaves it. */
struct tide_idle {
  tide_list link;               /* in the loop's list while it is to be done */
  tide_time touched;            /* when that was */
  void (*run)(tide_idle *idle); /* must not raise or block; may touch it anew */
};

TIDE_API void tide_idle_init(tide_idle *idle, void (*run)(tide_idle *idle));
TIDE_API void tide_idle_touch(tide_idle *idle, tide_loop *loop); /* begins the second, or anew */
TIDE_API void tide_idle_cancel(tide_idle *idle);                 /* harmless when not begun */

/* For who is about to leave the loop alone, outside of its turns: does at once what waits for its
 * second to be over. */
TIDE_API void tide_loop_rest(tide_loop *loop);

static inline bool tide_idle_begun(const tide_idle *idle) { return !tide_list_empty(&idle->link); }

/* Interest in a descriptor; the storage of a watcher, whose inside only loop.c knows. */
typedef union tide_watcher {
  void *align;
  unsigned char bytes[64];
} tide_watcher;

enum {
  TIDE_READABLE = 1,
  TIDE_WRITABLE = 2,
  TIDE_UNWATCHED = 4, /* the system refused to watch the descriptor; the watcher is stopped */
};

/* `ready` is called in the poll with what came (TIDE_READABLE | TIDE_WRITABLE; both on errors); it
 * runs no user code. */
TIDE_API void tide_watcher_init(tide_watcher *watcher, int fd,
                                void (*ready)(tide_watcher *watcher, int events));

/* Sets what is watched for; 0: nothing. Costs a system call at the next poll where it changes. A
 * watcher that watches holds the loop (tide_loop_hold). It may be freed when it was set to 0 or
 * TIDE_UNWATCHED has come, also by its own `ready`. */
TIDE_API void tide_watcher_set(tide_watcher *watcher, tide_loop *loop, int events);

TIDE_END_DECLS

#endif
