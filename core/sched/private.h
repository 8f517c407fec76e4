/* private.h: what the files of core share and nobody else sees. */
#ifndef TIDE_SCHED_PRIVATE_H
#define TIDE_SCHED_PRIVATE_H

#include "group.h"
#include "lane.h"
#include "loop.h"
#include "park.h"
#include "task.h"

/* What a layer above keeps for each loop, embedded in a record of its own. */
typedef struct tide__attachment {
  tide_list link;                                               /* among the loop's */
  void (*term)(struct tide__attachment *self, tide_loop *loop); /* frees it, with the loop */
} tide__attachment;

struct tide_loop {
  struct ev_loop *ev;       /* libev's loop; freed with this one */
  tide_allocator allocator; /* where all memory comes from */
  tide_faults *faults;      /* what fails on demand, or NULL */
  tide_log log;             /* who is told what */
  struct tide_port *port;   /* its inbox: port.h */
  tide_time now;            /* the clock as read after the last poll */
  tide_time ahead;          /* of the real clock, modulo 2^64: what virtual time has added */
  tide_time threshold; /* of quiet before virtual time jumps, where descriptors are waited for */
  bool hosted;         /* a loop of the host's looks after it: as a guest, or by tide_loop_fd */
  bool guest;          /* libev's loop is the host's, who runs it */
  bool manual_clock;   /* with virtual_clock: it does not jump, the host moves it */
  int polled_by;       /* the descriptor that the host watches; -1: it has not asked for it */
  tide_defer *at_rest; /* run when turning has ended, or NULL */
  bool virtual_clock;  /* time jumps to the next deadline instead of passing */
  bool stirred;        /* a descriptor had an event in this poll */
  bool changed;        /* a watcher, since the last poll: libev has not told the system */
  bool turning;        /* inside tide_loop_turn, _run or _tick */
  int hosts_errno;     /* meanwhile: what errno is to be again */
  bool stopping;       /* tide_loop_stop was called */
  bool ending;         /* inside tide_loop_free */
  bool over;           /* the future has ended that tide_loop_run waits for */
  bool forwarding;     /* tide__cancel_forward is at work */
  bool running;        /* inside tide_loop_run */
  bool rolling;        /* and a turn may follow the last without return */
  bool due;            /* the loop is to be polled at this turn's end */
  tide_wait until;     /* of tide_loop_run, for the future whose end ends it */
  uint32_t stride;     /* steps between two looks at the clock */
  uint32_t left;       /* of those, to the next; where their time is over both are 0 */
  uint32_t wary;       /* turns at whose end it is looked at in any case */
  tide_time checked;   /* when it was looked at last */
  tide_time longest;   /* span between two looks with steps in between */
  uint64_t steps;      /* made before the last look */
  tide_time polled;    /* when the last poll ended, by the real clock */
  uint32_t holds;      /* what outside can wake a task: tide_loop_hold */
  uint32_t outside;    /* of those, work for which virtual time stands still */
  bool signals;        /* they may reach scripts, and cancel who sleeps without end */
  tide_list endless;   /* waits of those who do */
  uint64_t last_id;    /* of a task */
  uint64_t live;       /* tasks that have been spawned and have not ended */
  uint64_t turns;      /* completed */
  tide_task *current;  /* the task inside its step, or NULL */
  tide_wait *forwards; /* waits about to hand cancellation on, through value.pointer */
  tide_wait *last_forward; /* the last of those */
  tide_list active;        /* lanes with tasks that are ready, in the order of their turns */
  tide_list aside;         /* those that have used up their budgets */
  tide_lane own;           /* of tasks whose ops name no other */
  tide_lane *visited;      /* whose code runs outside of steps, or NULL */
  uint64_t visits;         /* begun and ended */
  uint32_t slices;         /* lanes that have one */
  tide_lane *lane;         /* whose tasks are being stepped, or NULL */
  uint32_t lanes;          /* that there are besides the loop's own */
  tide_time share;         /* of each lane in a turn, where there are several */
  tide_time steps_end;     /* of the present lane's share, by the real clock, or TIDE_NEVER */
  tide_time tick_end;      /* of tide_loop_tick's budget, by the real clock, or TIDE_NEVER */
  tide_list deferred;      /* tide_defer: what is to be done when this turn ends */
  tide_list before_poll;   /* the same, right before the next poll: it must run nobody's code */
  tide_list frames;        /* waits for the next frame */
  tide_list idle;          /* tide_idle, from the one that was touched first */
  tide_heap timers;        /* all deadlines */
  tide_group background;   /* tasks that belong to no other group */
  tide_list groups;        /* those with children that have not ended */
  tide_list attachments;   /* what other layers keep for this loop; freed from the last on */
};

/* The attachment that is freed by `term`, or NULL. */
static inline tide__attachment *tide__attachment_find(const tide_loop *loop,
                                                      void (*term)(tide__attachment *self,
                                                                   tide_loop *loop)) {
  for (tide_list *link = loop->attachments.next; link != &loop->attachments; link = link->next) {
    tide__attachment *found = tide_container(link, tide__attachment, link);
    if (found->term == term) return found;
  }
  return NULL;
}

/* lane.c */
void tide__lane_init(tide_lane *lane, tide_loop *loop); /* the loop's own */
void tide__lane_activate(tide_lane *lane);              /* it has tasks */
bool tide__lane_has_tasks(const tide_lane *lane);
bool tide__lanes_ready(const tide_loop *loop);
bool tide__lanes_only_yielded(const tide_loop *loop); /* whether all that are ready only yielded */
uint32_t tide__ready_count(const tide_loop *loop);    /* tasks; O(their number) */

/* Whether any task is ready. */
static inline bool tide__ready(const tide_loop *loop) {
  return (loop->lane != NULL || !tide_list_empty(&loop->active)) && tide__lanes_ready(loop);
}

/* budget.c: whether the lane, which has a budget, may be stepped; else it was set aside. And what
 * its steps have taken, by tide_clock_thread. */
bool tide__lane_has_budget(tide_lane *lane);
void tide__lane_spend(tide_lane *lane, tide_time span);

/* turn.c */
enum { TIDE__WARY_TURNS = 64 };
void tide__look_at_clock(tide_loop *loop);

/* loop.c: there is something new to do or to wait for in a loop that a host's loop looks after. */
void tide__host_wake(tide_loop *loop);

/* loop.c: the descriptor that the host watches gets readable when there is something to do. */
void tide__show_next_turn(tide_loop *loop);

/* loop.c: the end of a turn. TIDE_OK, TIDE_EDEADLOCK. */
int tide__poll(tide_loop *loop, bool block);
void tide__run_deferred(tide_list *list); /* all that is in it */
/* loop.c: the same as tide_defer_start, but right before libev is polled next: nobody's code comes
 * between. */
void tide__defer_to_poll(tide_defer *defer, tide_loop *loop);

/* loop.c: polls, until something has come, and steps nobody. TIDE_OK, TIDE_EDEADLOCK. */
int tide__loop_poll(tide_loop *loop);

/* loop.c: as tide_watcher_set, but the watcher is no reason to wait: those who wait for it hold the
 * loop themselves. */
void tide__watcher_set(tide_watcher *watcher, tide_loop *loop, int events);

/* idle.c: does what has become due, of what was touched; and when, by the loop's clock, the next
 * is. */
void tide__idle_run(tide_loop *loop);
tide_time tide__idle_due(const tide_loop *loop);

/* timer.c: fires all that is due at `until`. */
void tide__timers_fire(tide_loop *loop, tide_time until);

/* Whether a deadline that is being set has passed already; those before it, which the loop has not
 * come to yet, are then fired first. */
bool tide__time_has_come(tide_loop *loop, tide_time when);

/* completion.c: whether the waiter has its half still. */
struct tide_completion;
bool tide__completion_is_wanted(const struct tide_completion *completion);

/* Whether the caller has completed it, as far as is known here. */
bool tide__completion_has_come(const struct tide_completion *completion);

/* As tide_completion_post, for who has a reference to its port. */
int tide__completion_post(struct tide_completion *completion, int result);

/* scope.c */
void tide__scope_attach(tide_scope *scope, tide_scope *parent);
void tide__scope_move(tide_scope *scope, tide_scope *parent);

/* branch.c: a scope in which no task is, and which is left, may be the innermost of a branch. */
void tide__branch_lose(const tide_scope *scope);

/* forward.c */

/* Hands on the cancellation of all whose waits noted that they want it: to be called after whatever
 * cancels, before anybody runs. */
void tide__cancel_forward(tide_loop *loop);

/* A `cancel` for ops with `forward`: notes it. */
bool tide__wait_forwards(tide_wait *wait, int outcome);

/* `self`, which waits for the future, gives it up: a task for which nobody else waits is cancelled.
 * Whether it was: then `self` goes on waiting for its end. */
bool tide__future_give_up(tide_future *future, const tide_wait *self);

/* Ends a wait that had given up or is held, and would have waited on. */
void tide__wait_release(tide_wait *wait);

/* future.c */

/* Ends one that has not ended yet. */
void tide__future_end(tide_future *future, tide_future_state state, int error);

/* The error that stands for a state, and the state that one leads to. */
int tide__error_of(tide_future_state state);

/* What an error of the host's counts as: a number that is none is misuse. */
static inline int tide__error_given(int error) { return error > TIDE_OK ? TIDE_EMISUSE : error; }
tide_future_state tide__state_of(int error);

/* timeout.c: the scope, which is a timeout's, is being left: its deadline goes. */
void tide__timeout_lose(tide_scope *scope);

/* timeout.c: leaves all that is open inside the task's own scope, innermost first, with an error on
 * its way out, or TIDE_OK. What it is behind them. */
int tide__timeouts_unwind(tide_task *task, int error);

/* drop.c: ends what tasks are left when the loop goes. */
void tide__tasks_drop(tide_loop *loop);

/* group.c: the list of who waits for the group to end that the task is a child of, or NULL. */
tide_list *tide__group_waiters(const tide_task *child);

/* task.c */
void tide__task_wake(tide_task *task, int outcome);
bool tide__task_yielded(const tide_task *task); /* it is ready since it let others run */
void tide__task_interrupt(tide_task *task, int outcome);

/* The running task's wait is in its source. Always TIDE_PENDING. */
static inline int tide__task_park(tide_task *task) {
  task->state = TIDE_TASK_WAITING;
  task->future.parked = (uint32_t)(task->loop->now >> TIDE_PARKED_SHIFT);
  return TIDE_PENDING;
}

/* Begins a wait of the running task. False: its scope is cancelled, and it will be told at its
 * next step; the caller returns TIDE_PENDING and changes nothing. */
bool tide__wait_enter(tide_task *task, const tide_wait_ops *ops, void *source);

/* The wait that was entered is over already: gives `outcome`, which may be an error; or, where the
 * task had too many of these in a row, TIDE_PENDING, after which its next step has that outcome.
 * Every answer of a waiting function but a true TIDE_PENDING goes through here: no loop of calls,
 * also of some that fail, keeps others from their turn. */
int tide__wait_over(tide_task *task, int outcome);

static inline int tide__wait_skip(tide_task *task) { return tide__wait_over(task, TIDE_OK); }

/* The same for functions that are called again when a wait has ended, before such a function does
 * anything: TIDE_OK to go on; TIDE_PENDING: the task's next step calls again, or is cancelled. */
int tide__wait_try(tide_task *task, const tide_wait_ops *ops, void *source);

enum { TIDE__BYTES_PER_WAIT = 4096 }; /* so a task moves about 1 MiB before others run */

/* The try moved so many bytes: large ones count as several waits in a row. */
void tide__wait_charge(tide_task *task, size_t bytes);

/* Parks the running task, whose wait was entered, until `when`. TIDE_PENDING, or TIDE_ENOMEM. */
int tide__wait_park_until(tide_task *task, tide_time when);

/* Puts a wait, whose task is set, into the timer heap. TIDE_OK or TIDE_ENOMEM. */
int tide__wait_start(tide_wait *wait, tide_time when);

/* An `abandon` for waits that are in the timer heap. */
void tide__wait_stop(tide_wait *wait);

/* group.c */
void tide__group_add(tide_group *group);
void tide__group_hold(tide_group *group);   /* one that was added is not to begin yet */
void tide__group_unhold(tide_group *group); /* it does, or has been cancelled */
void tide__group_admit(tide_group *group, tide_task *task);
void tide__group_remove(tide_group *group, int error); /* TIDE_OK: the child has not failed */
void tide__group_leave(tide_group *group); /* its scope goes; what is left in it is cancelled */

#endif
