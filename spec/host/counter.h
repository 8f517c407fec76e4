/* counter.h: an iterator of C's that Lua makes by a function `counter`, for the specs of iterators.
 */
#ifndef TIDE_SPEC_COUNTER_H
#define TIDE_SPEC_COUNTER_H

#include <errno.h>

#include "host.h"

/* An iterator of C's: 1, 2 ... each after a millisecond; closing takes one too. */

typedef struct counter {
  tide_iter iter;
  tide_loop *loop; /* whose memory it is */
  int count;       /* the last number given */
  int last;        /* ends after this one */
  int fails_at;    /* the step to this number fails; 0: none */
} counter;

static int closings, frees; /* of counters, so far */

static inline tide_time soon(const tide_task *task) { return tide_loop_now(task->loop) + 1000000; }

static inline int counter_next(tide_iter *iter, tide_task *task, int outcome, tide_item *item) {
  counter *self = tide_container(iter, counter, iter);
  if (outcome == TIDE_PENDING) return tide_task_sleep_until(task, soon(task));
  if (outcome != TIDE_OK) return outcome;
  if (self->count == self->last) return TIDE_EEOF;
  if (self->count + 1 == self->fails_at) return TIDE_OS(ENOSPC);
  item->number = (uint64_t)++self->count;
  return TIDE_OK;
}

static inline int counter_close(tide_iter *iter, tide_task *task, int outcome) {
  (void)iter;
  if (outcome == TIDE_PENDING) return tide_task_sleep_until(task, soon(task));
  closings++;
  return outcome;
}

static inline void counter_free(tide_iter *iter) {
  counter *self = tide_container(iter, counter, iter);
  tide_free(tide_loop_allocator(self->loop), self, sizeof *self);
  frees++;
}

static const tide_iter_ops counter_ops = {
    .name = "counter", .next = counter_next, .close = counter_close, .free = counter_free};

/* Two values: the number, and it as a text. */
static inline int push_number(lua_State *L, tide_iter *iter, tide_item item) {
  (void)iter;
  lua_pushinteger(L, item.integer);
  lua_pushfstring(L, "n%d", (int)item.integer);
  return 2;
}

/* counter(last[, fails_at]) -> HostIter */
static inline int new_counter(lua_State *L) {
  tide_loop *loop = tide_lua_loop(L);
  lua_Integer last = luaL_checkinteger(L, 1), fails_at = luaL_optinteger(L, 2, 0);
  counter *self = tide_alloc(tide_loop_allocator(loop), sizeof *self);
  if (self == NULL) return luaL_error(L, "not enough memory");
  *self = (counter){.loop = loop, .last = (int)last, .fails_at = (int)fails_at};
  tide_iter_init(&self->iter, &counter_ops);
  tide_lua_push_iter(L, &self->iter, push_number);
  return 1;
}

static inline void open_with_counter(host *h) {
  closings = frees = 0;
  host_open_for_lua(h);
  lua_register(h->L, "counter", new_counter);
}

#endif
