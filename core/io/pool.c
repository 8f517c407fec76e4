/* pool.c: threads that take jobs from a queue; what of a loop's is out. */
#include "pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "../sched/port.h"
#include "private.h"
#include "sys.h"

enum { OWN_SIZE = 4 }; /* threads of a loop's own pool */

/* A thread, or the place for one: it is its pool's, and stays as long. */
typedef struct tide__worker {
  struct tide__worker *next;            /* among the pool's */
  tide_pool *pool;                      /* whose it is */
  pthread_t thread;                     /* where it was started, and until it is joined */
  enum { VACANT, AT_WORK, OVER } state; /* OVER: it is to be joined */
  tide_port *port;                      /* to the loop of its last job, until it is idle, or NULL */
  tide_job *job;                        /* what it is doing, or NULL */
  bool let_go;                          /* nobody waits for that */
} tide__worker;

struct tide_pool {
  pthread_mutex_t lock;  /* of all that is here */
  pthread_cond_t wanted; /* there is a job, or a thread is to end */
  pthread_cond_t less;   /* while it is closing: a thread has ended, or is waited for no more */
  tide_list queue;       /* jobs that nobody has begun, in order */
  unsigned queued;       /* how many */
  unsigned size;         /* of threads, at most */
  unsigned threads;      /* there are */
  unsigned idle;         /* of those wait for a job */
  bool called;           /* one of those was told to wake up, and has not yet */
  uint32_t references;   /* atomic: one for each thread, each job that may be taken back, and one of
                            the owner's */
  bool closing;          /* tide_pool_free was called */
  tide__worker *workers; /* all there have been */
};

/* What is out of one loop. */
typedef struct jobs {
  tide__attachment attachment; /* in the loop's list */
  tide_list out;               /* jobs */
  tide_list late;              /* those that can be let go, and came back while the loop's tasks are
                                  dropped; by job->link */
  tide_pool *own;              /* the loop's pool, or NULL */
} jobs;

/* Threads. */

static void pool_ref(tide_pool *pool) {
  __atomic_fetch_add(&pool->references, 1, __ATOMIC_RELAXED);
}

/* Not under its lock. */
static void pool_unref(tide_pool *pool) {
  if (__atomic_sub_fetch(&pool->references, 1, __ATOMIC_ACQ_REL) > 0) return;
  for (tide__worker *worker = pool->workers, *next; worker != NULL; worker = next) {
    next = worker->next;
    free(worker);
  }
  pthread_cond_destroy(&pool->less);
  pthread_cond_destroy(&pool->wanted);
  pthread_mutex_destroy(&pool->lock);
  free(pool);
}

/* One reference serves all jobs of a loop that are done in a row. */
static void use_port(tide__worker *self, tide_port *port) {
  if (port == self->port) return;
  if (port != NULL) tide_port_ref(port);
  if (self->port != NULL) tide_port_unref(self->port);
  self->port = port;
}

/* Whether one that is idle is to be woken up. One at a time is on its way, and calls the next where
 * there is still something for it: jobs that are shorter than waking up need no more. */
static bool call_if_needed(tide_pool *pool) {
  if (pool->queued == 0 || pool->idle == 0 || pool->called) return false;
  pool->called = true;
  return true;
}

/* The next job for this thread; NULL: it is to end. */
static tide_job *take_job(tide__worker *self) {
  tide_pool *pool = self->pool;
  while (pool->queued == 0 && !pool->closing && pool->threads <= pool->size) {
    use_port(self, NULL);
    pool->idle++;
    pthread_cond_wait(&pool->wanted, &pool->lock);
    pool->idle--;
    pool->called = false;
  }
  if (pool->queued == 0 || pool->threads > pool->size) return NULL;
  pool->queued--;
  if (call_if_needed(pool)) pthread_cond_signal(&pool->wanted);
  return tide_container(tide_list_shift(&pool->queue), tide_job, link);
}

/* Once its end is posted the job may be gone. */
static void do_job(tide__worker *self, tide_job *job) {
  job->worker = self;
  self->job = job;
  self->let_go = false;
  pthread_mutex_unlock(&self->pool->lock);
  job->work(job);
  use_port(self, job->completion.port);
  tide__completion_post(&job->completion, TIDE_OK);
  pthread_mutex_lock(&self->pool->lock);
  self->job = NULL;
}

static void *work(void *argument) {
  tide__worker *self = argument;
  tide_pool *pool = self->pool;
  pthread_mutex_lock(&pool->lock);
  for (tide_job *job; (job = take_job(self)) != NULL;) do_job(self, job);
  use_port(self, NULL);
  self->state = OVER;
  pool->threads--;
  pthread_cond_broadcast(&pool->less);
  pthread_mutex_unlock(&pool->lock);
  pool_unref(pool);
  return NULL;
}

/* A place for a thread, or NULL where memory is short. */
static tide__worker *vacant_worker(tide_pool *pool) {
  tide__worker *worker = pool->workers;
  while (worker != NULL && worker->state == AT_WORK) worker = worker->next;
  if (worker == NULL) {
    worker = malloc(sizeof *worker);
    if (worker == NULL) return NULL;
    *worker = (tide__worker){.next = pool->workers, .pool = pool};
    pool->workers = worker;
  }
  if (worker->state == OVER) pthread_join(worker->thread, NULL);
  worker->state = VACANT;
  return worker;
}

/* One thread more. */
static int start_thread(tide_pool *pool, const tide_loop *loop) {
  tide__worker *worker = vacant_worker(pool);
  if (worker == NULL) return TIDE_ENOMEM;
  int error = tide__sys_thread(loop, &worker->thread, work, worker);
  if (error < 0) return TIDE_OS(-error);
  worker->state = AT_WORK;
  pool->threads++;
  pool_ref(pool);
  return TIDE_OK;
}

/* Pools. */

tide_pool *tide_pool_new(unsigned size) {
  tide_pool *pool = malloc(sizeof *pool);
  if (pool == NULL) return NULL;
  *pool = (tide_pool){.size = size > 0 ? size : 1, .references = 1};
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->wanted, NULL);
  pthread_cond_init(&pool->less, NULL);
  tide_list_init(&pool->queue);
  return pool;
}

/* One thread more, if so few are idle that one of so many jobs would wait. TIDE_OK also where there
 * may be no more. */
static int start_if_needed(tide_pool *pool, unsigned wanted, const tide_loop *loop) {
  bool needed = pool->idle < wanted && pool->threads < pool->size;
  return needed ? start_thread(pool, loop) : TIDE_OK;
}

void tide_pool_set_size(tide_pool *pool, unsigned size) {
  pthread_mutex_lock(&pool->lock);
  pool->size = size > 0 ? size : 1;
  for (unsigned left = pool->queued; left > 0; left--) start_if_needed(pool, left, NULL);
  pthread_cond_broadcast(&pool->wanted);
  pthread_mutex_unlock(&pool->lock);
}

unsigned tide_pool_threads(tide_pool *pool) {
  pthread_mutex_lock(&pool->lock);
  unsigned threads = pool->threads;
  pthread_mutex_unlock(&pool->lock);
  return threads;
}

static bool is_let_go(const tide__worker *worker) { return worker->job != NULL && worker->let_go; }

/* Whether anything is to be done, or being done, that somebody waits for. */
static bool has_work(const tide_pool *pool) {
  if (pool->queued > 0) return true;
  for (const tide__worker *worker = pool->workers; worker != NULL; worker = worker->next)
    if (worker->state == AT_WORK && !is_let_go(worker)) return true;
  return false;
}

void tide_pool_free(tide_pool *pool) {
  if (pool == NULL) return;
  pthread_mutex_lock(&pool->lock);
  pool->closing = true;
  pthread_cond_broadcast(&pool->wanted);
  while (has_work(pool)) pthread_cond_wait(&pool->less, &pool->lock);
  for (const tide__worker *worker = pool->workers; worker != NULL; worker = worker->next) {
    if (worker->state == OVER) pthread_join(worker->thread, NULL);
    if (worker->state == AT_WORK) pthread_detach(worker->thread);
  }
  pthread_mutex_unlock(&pool->lock);
  pool_unref(pool);
}

/* What a loop has out. */

static void stop_holding(tide_job *job) {
  if (!job->holds) return;
  job->holds = false;
  job->loop->outside--;
  tide_loop_release(job->loop);
}

/* Nobody will take it out of its pool any more, which may go. */
static void leave_pool(tide_job *job) {
  tide_pool *pool = job->pool;
  job->pool = NULL;
  if (pool != NULL) pool_unref(pool);
}

static void is_back(tide_job *job) {
  tide_list_remove(&job->out);
  stop_holding(job);
  leave_pool(job);
}

static void term(tide__attachment *attachment, tide_loop *loop);

static jobs *jobs_of(tide_loop *loop) {
  tide__attachment *found = tide__attachment_find(loop, term);
  if (found != NULL) return tide_container(found, jobs, attachment);
  jobs *self = tide_alloc(&loop->allocator, sizeof *self);
  if (self == NULL) return NULL;
  *self = (jobs){.attachment.term = term};
  tide_list_init(&self->out);
  tide_list_init(&self->late);
  tide_list_append(&loop->attachments, &self->attachment.link);
  return self;
}

/* Whether nobody had begun it; then it is in no queue any more. Else whoever does it knows that it
 * may be let go. The pool is there: it may have been freed, but the job has a reference. */
static bool withdraw(tide_job *job) {
  tide_pool *pool = job->pool;
  pthread_mutex_lock(&pool->lock);
  bool begun = job->worker != NULL;
  if (!begun && !tide_list_empty(&job->link)) {
    tide_list_remove(&job->link);
    pool->queued--;
  }
  if (begun && job->worker->job == job) job->worker->let_go = job->ops->abandoned != NULL;
  pthread_cond_broadcast(&pool->less);
  pthread_mutex_unlock(&pool->lock);
  return !begun;
}

/* Whether it may still be running, and was not let go. */
static bool is_ours(const tide_job *job) {
  return job->pool != NULL && !tide__completion_has_come(&job->completion);
}

/* While one is waited for none begins, and all are told to end. */
static void stop_all(jobs *self) {
  for (tide_list *link = self->out.next; link != &self->out; link = link->next) {
    tide_job *job = tide_container(link, tide_job, out);
    if (is_ours(job) && !withdraw(job) && job->ops->interrupt != NULL) job->ops->interrupt(job);
  }
}

/* Its loop ends, and whoever has it may free it right after. */
static void wait_for_end(tide_job *job) {
  tide__attachment *all = tide__attachment_find(job->loop, term); /* NULL: that was done */
  if (all != NULL) stop_all(tide_container(all, jobs, attachment));
  while (tide_job_is_out(job)) tide__port_await(job->loop->port);
}

static void drop(tide_job *job) {
  if (tide__completion_is_wanted(&job->completion)) tide_completion_drop(&job->completion);
}

/* Nobody will see what becomes of them. Those that are on their own then are first: the others are
 * waited for, one after the other. */
static void drop_all(jobs *self, tide_loop *loop) {
  tide_list waited;
  tide_list_init(&waited);
  for (tide_list *link; (link = tide_list_shift(&self->late)) != NULL;)
    drop(tide_container(link, tide_job, link));
  for (tide_list *link; (link = tide_list_shift(&self->out)) != NULL;) {
    tide_job *job = tide_container(link, tide_job, out);
    if (job->ops->abandoned == NULL)
      tide_list_append(&waited, link);
    else
      drop(job);
  }
  while (!tide_list_empty(&waited)) {
    const tide_list *first = waited.next;
    drop(tide_container(first, tide_job, out));
    if (waited.next == first) tide__port_await(loop->port);
  }
}

static void term(tide__attachment *attachment, tide_loop *loop) {
  jobs *self = tide_container(attachment, jobs, attachment);
  stop_all(self);
  drop_all(self, loop);
  tide_pool_free(self->own);
  tide_free(&loop->allocator, self, sizeof *self);
}

tide_pool *tide_loop_pool(tide_loop *loop) {
  jobs *self = jobs_of(loop);
  if (self == NULL) return NULL;
  if (self->own == NULL) self->own = tide_pool_new(OWN_SIZE);
  return self->own;
}

/* Jobs. */

static tide_job *job_of(const tide_completion *completion) {
  return tide_container(completion, tide_job, completion);
}

static const char *job_name(const tide_completion *completion) {
  const tide_job *job = job_of(completion);
  return job->ops->name != NULL ? job->ops->name : "job";
}

static tide_taken_back job_cancel(tide_completion *completion) {
  tide_job *job = job_of(completion);
  if (withdraw(job)) {
    is_back(job);
    return TIDE_TAKEN_BACK;
  }
  if (job->ops->interrupt != NULL) job->ops->interrupt(job);
  if (job->ops->abandoned == NULL) {
    if (job->loop->ending) wait_for_end(job);
    return TIDE_KEPT;
  }
  stop_holding(job);
  leave_pool(job);
  return TIDE_TOO_LATE;
}

/* Where the loop ends its task may have been dropped already, or never have been. */
static void job_ended(tide_completion *completion) {
  tide_job *job = job_of(completion);
  is_back(job);
  if (!job->loop->ending || job->ops->abandoned == NULL) return;
  tide__attachment *all = tide__attachment_find(job->loop, term);
  if (all != NULL) tide_list_append(&tide_container(all, jobs, attachment)->late, &job->link);
}

static void job_free(tide_completion *completion) {
  tide_job *job = job_of(completion);
  leave_pool(job);
  tide_list_remove(&job->link);
  if (job->ops->abandoned != NULL) job->ops->abandoned(job);
}

static const tide_completion_ops completion_ops = {
    .tell = job_name, .cancel = job_cancel, .came = job_ended, .free = job_free};

void tide_job_init(tide_job *job, tide_loop *loop, void (*to_do)(tide_job *job),
                   const tide_job_ops *ops) {
  static const tide_job_ops none = {.name = NULL};
  *job = (tide_job){.work = to_do, .ops = ops != NULL ? ops : &none, .loop = loop};
  tide_list_init(&job->link);
  tide_list_init(&job->out);
}

/* Puts it into the queue, and sees that somebody comes for it. */
static int enqueue(tide_pool *pool, tide_job *job) {
  if (pool->closing) return TIDE_ECLOSED;
  int error = start_if_needed(pool, pool->queued + 1, job->loop);
  if (error != TIDE_OK && pool->threads == 0) return error;
  tide_list_append(&pool->queue, &job->link);
  pool->queued++;
  return TIDE_OK;
}

int tide_job_submit(tide_job *job, tide_pool *pool) {
  if (tide_job_is_out(job)) return TIDE_EINVALID_STATE;
  if (job->loop->ending) return TIDE_ECLOSED;
  jobs *all = jobs_of(job->loop);
  if (all == NULL) return TIDE_ENOMEM;
  job->worker = NULL;
  tide_completion_init(&job->completion, job->loop, &completion_ops);
  pthread_mutex_lock(&pool->lock);
  int error = enqueue(pool, job);
  bool wake = error == TIDE_OK && call_if_needed(pool);
  if (error == TIDE_OK) { /* before it may come back */
    tide_list_append(&all->out, &job->out);
    pool_ref(pool);
    job->pool = pool;
    job->holds = true;
    job->loop->outside++;
    tide_loop_hold(job->loop);
  }
  pthread_mutex_unlock(&pool->lock);
  if (wake) pthread_cond_signal(&pool->wanted);
  if (error != TIDE_OK) tide_completion_end(&job->completion, error);
  return error;
}

/* Of one that was not submitted it has ended: who waits for that is told. */
static tide_completion *completion_of(tide_job *job) {
  if (job->completion.ops == NULL) {
    tide_completion_init(&job->completion, job->loop, &completion_ops);
    tide_completion_end(&job->completion, TIDE_EINVALID_STATE);
  }
  return &job->completion;
}

int tide_job_wait(tide_job *job, tide_task *task) {
  return tide_completion_wait(completion_of(job), task);
}

void tide_job_drop(tide_job *job) { tide_completion_drop(completion_of(job)); }

void tide_case_job(tide_case *self, tide_job *job) {
  tide_case_completion(self, completion_of(job));
}
