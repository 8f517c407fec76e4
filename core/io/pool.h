/* pool.h: work that blocks or takes long, done by threads of a pool. */
#ifndef TIDE_POOL_H
#define TIDE_POOL_H

#include "../sched/completion.h"

TIDE_BEGIN_DECLS

/* (waits): see sched/wait.h. */

typedef struct tide_pool tide_pool;
typedef struct tide_job tide_job;

/* A pool of at most `size` threads (one at least), each started when a job finds all others at
 * work, with a stack of 1 MiB and all signals held back. Several loops may share it. NULL where
 * memory is short; a pool needs the C library's. */
TIDE_API tide_pool *tide_pool_new(unsigned size);

/* Takes no more jobs, and waits until those that it has are done, but for those that are running
 * and were let go, or are meanwhile: their threads end by themselves. Loops in other threads may
 * still cancel and drop jobs that it has, or had. NULL is ignored. */
TIDE_API void tide_pool_free(tide_pool *pool);

/* How many threads there may be. Those that are too many end when they have nothing to do. From any
 * thread. */
TIDE_API void tide_pool_set_size(tide_pool *pool, unsigned size);

/* How many there are. From any thread. */
TIDE_API unsigned tide_pool_threads(tide_pool *pool);

/* The loop's own pool, of 4 threads unless told otherwise, made when first asked for, and freed
 * with the loop. NULL where memory is short. */
TIDE_API tide_pool *tide_loop_pool(tide_loop *loop);

typedef struct tide_job_ops {
  const char *name; /* what is waited for, as a script would call it; NULL: "job" */
  /* Nobody waits for the work, or its task is cancelled: has it end soon. In the loop's thread,
   * while the work runs, or when it has just ended; perhaps several times. NULL: nothing can be
   * done. */
  void (*interrupt)(tide_job *job);
  /* The job may be let go while it runs. Called where nobody will see what came of it: its task was
   * cancelled, or killed, or its loop freed, or it was dropped. From then on the job is this
   * function's: what it is in, and what the work has made. In the loop's thread, when the work has
   * ended, or at once where it never ran; in the pool's thread where the loop is gone. NULL: the
   * job cannot be let go, and stays its maker's. */
  void (*abandoned)(tide_job *job);
} tide_job_ops;

/* One piece of work. Its maker's, but while it is out; it may then be submitted again. */
struct tide_job {
  tide_completion completion;  /* what is waited for; ours is the waiter's half, the other the
                                  pool's */
  void (*work)(tide_job *job); /* what is to be done, in a thread of the pool; knows nothing of
                                  loops and tasks */
  const tide_job_ops *ops;     /* how to end it early */
  tide_loop *loop;             /* whose thread submits it, and hears of its end */
  tide_pool *pool;             /* where it is, as long as it may be taken back; counted */
  struct tide__worker *worker; /* who has begun it; under the pool's lock */
  tide_list link;              /* in the pool's queue; the same */
  tide_list out;               /* among those of the loop that are out */
  bool holds;                  /* the loop, and its virtual time */
};

/* `ops` NULL: it can be neither interrupted nor let go. */
TIDE_API void tide_job_init(tide_job *job, tide_loop *loop, void (*work)(tide_job *job),
                            const tide_job_ops *ops);

/* Gives the job to the pool, in the loop's thread: it is out, and holds the loop (tide_loop_hold),
 * whose virtual time stands still. TIDE_EINVALID_STATE: it is out already; TIDE_ECLOSED: the pool
 * is being freed, or the loop; TIDE_ENOMEM, or TIDE_OS(EAGAIN): there is no thread, and none can be
 * started. With an error nothing has happened. */
TIDE_API int tide_job_submit(tide_job *job, tide_pool *pool);

/* (waits) Until the work is done. The outcome is TIDE_OK, and the job its maker's. A job that is
 * cancelled before it began never runs: TIDE_ECANCELLED. While it runs it is interrupted, and if it
 * can be let go, the outcome is TIDE_ECANCELLED at once (TIDE_OK where it ends in that very
 * moment); else the task waits on: it has happened, and the outcome is TIDE_OK. After
 * TIDE_ECANCELLED, or where the task is killed, a job that can be let go is `abandoned`'s, any
 * other its maker's once it is out no more. TIDE_EBUSY: another task waits for it.
 * TIDE_EINVALID_STATE: it was not submitted. */
TIDE_API int tide_job_wait(tide_job *job, tide_task *task);

/* Nobody will wait for it, or nobody wants to any more: as if the task that waits had been
 * cancelled, without one. For a job that was submitted, and whose wait did not end with
 * TIDE_ECANCELLED. */
TIDE_API void tide_job_drop(tide_job *job);

/* Whether the pool has it. In the loop's thread. */
static inline bool tide_job_is_out(const tide_job *job) { return !tide_list_empty(&job->out); }

/* A case of select (select.h): that the work is done. Where another case happens it goes on. */
TIDE_API void tide_case_job(tide_case *self, tide_job *job);

/* Whose the job is, where its task is cancelled or killed, or it is dropped, while it is
 *
 *                  with `abandoned`                       without
 *     queued       that one's, at once; it never runs     its maker's, at once; it never runs
 *     running      that one's, once the work has ended;   cancelled: the task waits on, to TIDE_OK;
 *                  cancelled: TIDE_ECANCELLED at once     else its maker's, once it is out no more
 *     on its way   cancelled: its maker's, by TIDE_OK;    its maker's, when it has come;
 *     back         else that one's, when it has come      cancelled: by TIDE_OK
 *     back, and not told yet: the same, at once
 *
 * In a select it goes on in any case, its maker's, who may drop it. */

/* The end of a loop (tide_loop_free) interrupts and drops all jobs that are out, and waits until
 * those have ended that cannot be let go: before it tells the `drop` of a task that waits for one.
 * (The `drop` of a task that waits for one by select drops it itself.) */

TIDE_END_DECLS

#endif
