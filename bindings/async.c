/* async.c: C functions of a host's that wait: a record that its library will complete.
 *
 * The record is in memory of the C library's: it may be freed in another thread, and later than the
 * loop. Who has it, the two halves of its completion say; so it needs no finalizer. */
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
  tide_completion_ops ops;  /* of the completion */
  const tide_lua_ops *host; /* what the host has given */
  tl_runtime *rt;           /* whose task waits; not looked at once that has gone */
  max_align_t start[];      /* the host's, whose first member is the completion */
} record;

static record *record_of(tide_completion *completion) {
  return (record *)(void *)((char *)completion - offsetof(record, start));
}

static void record_free(tide_completion *completion) {
  record *self = record_of(completion);
  if (self->host->free != NULL) self->host->free(completion);
  free(self);
}

void *tide_lua_begin(lua_State *L, size_t size, const tide_lua_ops *ops) {
  tl_runtime *rt = tl_runtime_find(L);
  if (TL_UNLIKELY(rt == NULL)) rt = tl_lent_runtime(L); /* raises */
  tl_waiter(L, rt);
  record *self = malloc(sizeof *self + size);
  if (self == NULL) {
    luaL_error(L, "not enough memory");
    return NULL;
  }
  self->ops = (tide_completion_ops){.name = ops->name, .cancel = ops->cancel, .free = record_free};
  self->host = ops;
  self->rt = rt;
  memset(self->start, 0, size);
  tide_completion_init((tide_completion *)(void *)self->start, rt->loop, &self->ops);
  return self->start;
}

/* In protected mode: pushes the results of the completion at 1. */
static int push_results(lua_State *L) {
  tide_completion *completion = lua_touserdata(L, 1);
  lua_settop(L, 0);
  return record_of(completion)->host->push(L, completion);
}

/* Its wait is over. Cancelled: the record is the caller's alone, or gone. */
static int answer(lua_State *L, tl_runtime *rt, tide_completion *completion, int result) {
  int before = lua_gettop(L), status = LUA_OK;
  if (result == TIDE_ECANCELLED) return tl_raise_outcome(L, rt, result);
  if (result == TIDE_OK && record_of(completion)->host->push != NULL) {
    lua_pushcfunction(L, push_results);
    lua_pushlightuserdata(L, completion);
    status = lua_pcall(L, 1, LUA_MULTRET, 0);
  }
  tide_completion_drop(completion);
  if (TL_UNLIKELY(status != LUA_OK)) return lua_error(L);
  if (TL_UNLIKELY(result != TIDE_OK)) return tl_raise_outcome(L, rt, result);
  return lua_gettop(L) - before;
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

int tide_lua_fail(lua_State *L, tide_completion *completion, int error, const char *message) {
  const tl_runtime *rt = record_of(completion)->rt;
  tide_completion_end(completion, error);
  tide_completion_drop(completion);
  return tl_raise_message(L, rt, error, message);
}

int tide_lua_raise(lua_State *L, int error, const char *message) {
  return tl_raise_message(L, tl_lent_runtime(L), error, message);
}
