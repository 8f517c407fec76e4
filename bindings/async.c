/* async.c: C functions of a host's that wait: a record that its library will complete, or a job's.
 *
 * The record is in memory of the C library's: it may be freed in another thread, and later than the
 * loop. Who has it, the two halves of its completion say; so it needs no finalizer. A job begins
 * with its completion, and is abandoned in the same moment as the completion of a library's is
 * freed: once there is nobody who could need it. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "lent.h"
#include "runtime.h"
#include "task.h"
#include "tide_lua.h"
#include "wait.h"

/* What is before the host's record. */
typedef struct record {
  union {
    tide_completion_ops completion;
    tide_job_ops job;
  } ops;                    /* of the record's first member */
  const tide_lua_ops *host; /* what the host has given */
  tl_runtime *rt;           /* whose task waits; not looked at once that has gone */
  bool is_job;              /* which of the two it is */
  tide_defer drop;          /* where its results could not be pushed */
  max_align_t start[];      /* the host's, whose first member is the completion, or the job */
} record;

static record *record_of(tide_completion *completion) {
  return (record *)(void *)((char *)completion - offsetof(record, start));
}

static void completion_free(tide_completion *completion) {
  record *self = record_of(completion);
  if (self->host->free != NULL) self->host->free(completion);
  free(self);
}

static void job_free(tide_job *job) { completion_free(&job->completion); }

/* Raises where the task cannot wait, or what is to be at its beginning needs more bytes. */
static record *record_new(lua_State *L, size_t size, size_t least, const tide_lua_ops *ops) {
  tl_runtime *rt = tl_runtime_find(L);
  if (TL_UNLIKELY(rt == NULL)) rt = tl_lent_runtime(L); /* raises */
  tl_waiter(L, rt);
  if (TL_UNLIKELY(size < least))
    tl_raise_message(L, rt, TIDE_EMISUSE, "the record is smaller than its first member");
  record *self = malloc(sizeof *self + size);
  if (self == NULL) {
    luaL_error(L, "not enough memory");
    return NULL;
  }
  self->host = ops;
  self->rt = rt;
  memset(self->start, 0, size);
  return self;
}

void *tide_lua_begin(lua_State *L, size_t size, const tide_lua_ops *ops) {
  record *self = record_new(L, size, sizeof(tide_completion), ops);
  self->is_job = false;
  self->ops.completion =
      (tide_completion_ops){.name = ops->name, .cancel = ops->cancel, .free = completion_free};
  tide_completion_init((tide_completion *)(void *)self->start, self->rt->loop,
                       &self->ops.completion);
  return self->start;
}

void *tide_lua_begin_job(lua_State *L, size_t size, void (*work)(tide_job *job),
                         const tide_lua_ops *ops) {
  record *self = record_new(L, size, sizeof(tide_job), ops);
  self->is_job = true;
  self->ops.job =
      (tide_job_ops){.name = ops->name, .interrupt = ops->interrupt, .abandoned = job_free};
  tide_job_init((tide_job *)(void *)self->start, self->rt->loop, work, &self->ops.job);
  return self->start;
}

/* The task has failed to take the results, and has gone on. */
static void drop_failed(tide_defer *drop) {
  record *self = tide_container(drop, record, drop);
  tide_completion_drop((tide_completion *)(void *)self->start);
}

/* The host's function may raise: the record is dropped at the end of the turn then. */
static int push_results(lua_State *L, tl_runtime *rt, tide_completion *completion) {
  record *self = record_of(completion);
  tide_defer_init(&self->drop, drop_failed);
  tide_defer_start(&self->drop, rt->loop);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  int count = self->host->push(L, completion);
  tide_defer_cancel(&self->drop);
  return count;
}

/* Its wait is over. Cancelled: the record is the caller's alone, or gone. */
static int answer(lua_State *L, tl_runtime *rt, tide_completion *completion, int result) {
  int count = 0;
  if (result == TIDE_ECANCELLED) return tl_raise_outcome(L, rt, result);
  if (result == TIDE_OK && record_of(completion)->host->push != NULL)
    count = push_results(L, rt, completion);
  tide_completion_drop(completion);
  if (TL_UNLIKELY(result != TIDE_OK)) return tl_raise_outcome(L, rt, result);
  return count;
}

/* What was waited for is what the task's last wait was in. */
static int woken(lua_State *L, int status, lua_KContext runtime) {
  tl_runtime *rt = (tl_runtime *)runtime;
  (void)status;
  int result = tl_take_outcome(L, rt);
  return answer(L, rt, rt->current->task.wait.source, result);
}

int tide_lua_wait(lua_State *L, tide_completion *completion) {
  tl_runtime *rt = record_of(completion)->rt;
  int result = tide_completion_wait(completion, &rt->current->task);
  if (result == TIDE_PENDING) return tl_wait(L, (lua_KContext)rt, woken);
  return answer(L, rt, completion, result);
}

int tide_lua_wait_job(lua_State *L, tide_job *job, tide_pool *pool) {
  if (pool == NULL) pool = tide_loop_pool(job->loop);
  int error = pool != NULL ? tide_job_submit(job, pool) : TIDE_ENOMEM;
  if (error != TIDE_OK) return tide_lua_fail(L, &job->completion, error, NULL);
  return tide_lua_wait(L, &job->completion);
}

int tide_lua_fail(lua_State *L, tide_completion *completion, int error, const char *message) {
  const record *self = record_of(completion);
  const tl_runtime *rt = self->rt;
  if (self->is_job) { /* one that was not submitted */
    completion_free(completion);
  } else {
    tide_completion_end(completion, error);
    tide_completion_drop(completion);
  }
  return tl_raise_message(L, rt, error, message);
}

int tide_lua_raise(lua_State *L, int error, const char *message) {
  return tl_raise_message(L, tl_lent_runtime(L), error, message);
}
