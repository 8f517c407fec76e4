/* queue.c: Queue, PriorityQueue, LifoQueue. The core orders slot numbers; the values are in a
 * table, the queue's user value, at slot + 1. */
#include <math.h>

#include "class.h"
#include "error.h"
#include "make.h"
#include "options.h"
#include "owned.h"
#include "parts.h"
#include "queue.h"
#include "receipt.h"
#include "runtime.h"
#include "self.h"
#include "shared_queue.h"
#include "task.h"
#include "value.h"
#include "wait.h"

static tide_queue *check_queue(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_QUEUE); }

/* The same of either class, for methods that touch no values. */
static tide_queue *check_any(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  if (tl_test(L, rt, 1, TL_SHARED_QUEUE) != NULL) return tl_shared_queue_core(L, rt, 1);
  return check_queue(L);
}

/* The same for the methods that are called most. */
static inline tide_queue *self(lua_State *L, tl_runtime *rt) {
  return tl_self_cached(L, rt, TL_QUEUE);
}

uint32_t tl_queue_store(lua_State *L, tide_queue *queue, int index) {
  uint32_t slot;
  if (TL_UNLIKELY(tide_queue_reserve(queue, &slot) != TIDE_OK)) luaL_error(L, "not enough memory");
  lua_getiuservalue(L, index, 1);
  lua_pushvalue(L, index + 1);
  lua_rawseti(L, -2, (lua_Integer)slot + 1);
  return slot;
}

/* false, not nil: the table keeps its array part, and filling the slot again needs no memory */
void tl_queue_clear(lua_State *L, uint32_t slot, int index) {
  lua_getiuservalue(L, index, 1);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, (lua_Integer)slot + 1);
  lua_pop(L, 1);
}

static void clear(lua_State *L, uint32_t slot) { tl_queue_clear(L, slot, 1); }

/* In protected mode: the queue at 1 has given back memory; all that is in slots stays. */
static int renew_table(lua_State *L) {
  const tide_queue *queue = lua_touserdata(L, 1);
  lua_createtable(L, (int)queue->fresh, 0); /* may collect, and a finalizer put something */
  lua_getiuservalue(L, 1, 1);
  for (lua_Integer i = 1; i <= (lua_Integer)queue->fresh; i++) {
    lua_rawgeti(L, 3, i);
    lua_rawseti(L, 2, i);
  }
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, 1);
  return 0;
}

/* Of the queue at `index`. */
TL_COLD static void give_back_table(lua_State *L, int index) {
  lua_pushvalue(L, index);
  lua_pushcfunction(L, renew_table);
  lua_insert(L, -2);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1); /* it serves as it is */
}

void tl_queue_free(lua_State *L, tide_queue *queue, uint32_t slot, int index) {
  if (TL_UNLIKELY(tide_queue_free(queue, slot))) give_back_table(L, index);
}

TL_INLINE void push_out(lua_State *L, uint32_t slot, int index) {
  lua_getiuservalue(L, index, 1);
  if (tl_is_collectable(lua_rawgeti(L, -1, (lua_Integer)slot + 1))) { /* others may stay */
    lua_pushboolean(L, 0);
    lua_rawseti(L, -3, (lua_Integer)slot + 1);
  }
}

int tl_queue_take(lua_State *L, tide_queue *queue, uint32_t slot, int index) {
  push_out(L, slot, index);
  tl_queue_free(L, queue, slot, index);
  return 1;
}

void tl_queue_take_back(lua_State *L, tide_queue *queue, uint32_t slot, int index) {
  if (tide_queue_is_reserved(queue, slot))
    push_out(L, slot, index);
  else
    tl_queue_take(L, queue, slot, index);
}

static int queue_take(lua_State *L, tide_queue *queue, uint32_t slot) {
  return tl_queue_take(L, queue, slot, 1);
}

double tl_queue_check_item(lua_State *L, const tide_queue *queue) {
  if (TL_UNLIKELY(lua_isnoneornil(L, 2))) luaL_argerror(L, 2, "nil cannot be put into a queue");
  if (queue->order != TIDE_PRIORITY) return 0;
  double priority = luaL_checknumber(L, 3);
  luaL_argcheck(L, !isnan(priority), 3, "must not be NaN");
  return priority + 0.0; /* -0 is 0 */
}

static int put_ended(lua_State *L, int status, lua_KContext slot) {
  (void)status;
  tl_runtime *rt = tl_rt(L);
  int outcome = tl_take_outcome(L, rt);
  if (TL_UNLIKELY(outcome != TIDE_OK)) {
    clear(L, (uint32_t)slot);
    tl_queue_free(L, lua_touserdata(L, 1), (uint32_t)slot, 1);
    return tl_raise_outcome(L, rt, outcome);
  }
  return 0;
}

/* queue:put(value[, priority]) (waits) */
static int queue_put(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  tide_queue *queue = self(L, rt);
  double priority = tl_queue_check_item(L, queue);
  if (TL_UNLIKELY(queue->closed)) /* in a cancelled scope the turn raises */
    return tl_is_cancelled(L, rt) ? tl_turn(L, rt) : tl_raise(L, rt, TIDE_ECLOSED);
  uint32_t slot = tl_queue_store(L, queue, 1);
  int result = tide_queue_put(queue, &task->task, slot, priority);
  if (result == TIDE_OK) return 0;
  if (result == TIDE_PENDING) return tl_wait(L, slot, put_ended);
  clear(L, slot);
  return tl_raise_outcome(L, rt, result);
}

/* Puts the item without waiting, or raises `closed`. False: the queue is full. */
static bool put_at_once(lua_State *L) {
  tide_queue *queue = check_queue(L);
  double priority = tl_queue_check_item(L, queue);
  if (TL_UNLIKELY(queue->closed)) tl_raise(L, tl_rt(L), TIDE_ECLOSED);
  uint32_t slot = tl_queue_store(L, queue, 1);
  if (tide_queue_try_put(queue, slot, priority) == TIDE_OK) return true;
  clear(L, slot);
  return false;
}

/* queue:put_nowait(value[, priority]) */
static int queue_put_nowait(lua_State *L) {
  return put_at_once(L) ? 0 : tl_raise(L, tl_rt(L), TIDE_EQUEUE_FULL);
}

/* queue:try_put(value[, priority]) -> whether there was room */
static int queue_try_put(lua_State *L) {
  lua_pushboolean(L, put_at_once(L));
  return 1;
}

static int got_with(lua_State *L, tl_runtime *rt, int outcome) {
  if (TL_UNLIKELY(outcome != TIDE_OK)) return tl_raise_outcome(L, rt, outcome);
  return queue_take(L, lua_touserdata(L, 1), (uint32_t)rt->current->task.wait.value.number);
}

static int got(lua_State *L, int status, lua_KContext runtime) {
  (void)status;
  tl_runtime *rt = (tl_runtime *)runtime;
  return got_with(L, rt, tl_take_outcome(L, rt));
}

static int next_got(lua_State *L, int status, lua_KContext runtime) {
  (void)status;
  tl_runtime *rt = (tl_runtime *)runtime;
  int outcome = tl_take_outcome(L, rt);
  if (outcome != TIDE_ECLOSED) return got_with(L, rt, outcome);
  lua_pushnil(L);
  return 1;
}

/* `step`: nil where the queue is closed and drained. */
TL_INLINE int get(lua_State *L, bool step) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  tide_queue *queue = self(L, rt);
  int result = tide_queue_get(queue, &task->task);
  if (result == TIDE_OK) return queue_take(L, queue, (uint32_t)task->task.wait.value.number);
  if (step && result == TIDE_ECLOSED) {
    lua_pushnil(L);
    return 1;
  }
  return tl_finish(L, rt, result, (lua_KContext)rt, step ? next_got : got);
}

/* queue:get() -> value (waits) */
static int queue_get(lua_State *L) { return get(L, false); }

/* The step of queue:iter(). */
static int queue_next(lua_State *L) { return get(L, true); }

/* queue:get_nowait() -> value */
static int queue_get_nowait(lua_State *L) {
  uint32_t slot;
  tide_queue *queue = check_queue(L);
  int result = tide_queue_try_get(queue, &slot);
  return result == TIDE_OK ? queue_take(L, queue, slot) : tl_raise(L, tl_rt(L), result);
}

/* queue:try_get() -> value | nil */
static int queue_try_get(lua_State *L) {
  uint32_t slot;
  tide_queue *queue = check_queue(L);
  int result = tide_queue_try_get(queue, &slot);
  if (result == TIDE_OK) return queue_take(L, queue, slot);
  if (result == TIDE_ECLOSED) return tl_raise(L, tl_rt(L), result);
  lua_pushnil(L);
  return 1;
}

/* for value in queue:iter() do */
static int queue_iter(lua_State *L) {
  check_queue(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, queue_next, 1);
  lua_pushvalue(L, 1);
  return 2;
}

/* queue:task_done([receipt]) */
static int queue_task_done(lua_State *L) {
  tide_queue *queue = check_any(L);
  if (!lua_isnone(L, 2)) tl_receipt_done(L, tl_rt(L), 2, queue);
  if (tide_queue_task_done(queue) != TIDE_OK)
    return tl_raise_message(L, tl_rt(L), TIDE_EINVALID_STATE,
                            "called more often than there were items");
  return 0;
}

static int joined(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  tl_outcome(L, tl_rt(L));
  return 0;
}

/* queue:join() (waits) */
static int queue_join(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  tide_queue *queue = check_any(L);
  return tl_finish(L, rt, tide_queue_join(queue, &task->task), 0, joined);
}

/* queue:close{immediate=false} */
static int queue_close(lua_State *L) {
  tide_queue *queue = check_any(L);
  bool immediate = lua_toboolean(L, tl_options(L, 2, "immediate:flag"));
  uint32_t slot, capacity = queue->capacity;
  tide_queue_close(queue, immediate);
  if (queue->of_pointers) return 0;
  while (immediate && tide_queue_drop(queue, &slot)) clear(L, slot); /* what nobody was handed */
  if (queue->capacity != capacity) give_back_table(L, 1);
  return 0;
}

static int queue_scope_end(lua_State *L) {
  tide_queue_close(check_any(L), false);
  return 0;
}

static int queue_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_any(L)->count);
  return 1;
}

static int queue_empty(lua_State *L) {
  lua_pushboolean(L, check_any(L)->count == 0);
  return 1;
}

static int queue_full(lua_State *L) {
  lua_pushboolean(L, tide_queue_full(check_any(L)));
  return 1;
}

static int queue_maxsize(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_any(L)->max);
  return 1;
}

static int queue_closed(lua_State *L) {
  lua_pushboolean(L, check_any(L)->closed);
  return 1;
}

/* queue:statistics() -> {size=, maxsize=, unfinished=, closed=, getters_waiting=,
 * putters_waiting=, joiners_waiting=} */
static int queue_statistics(lua_State *L) {
  const tide_queue *queue = check_any(L);
  lua_createtable(L, 0, 7);
  tl_set_integer(L, "size", (lua_Integer)queue->count);
  tl_set_integer(L, "maxsize", (lua_Integer)queue->max);
  tl_set_integer(L, "unfinished", (lua_Integer)queue->unfinished);
  tl_set_boolean(L, "closed", queue->closed);
  tl_set_waiters(L, "getters_waiting", &queue->getters);
  tl_set_waiters(L, "putters_waiting", &queue->putters);
  tl_set_waiters(L, "joiners_waiting", &queue->joiners);
  return 1;
}

static int queue_tostring(lua_State *L) {
  static const char *const names[] = {"Queue", "LifoQueue", "PriorityQueue"};
  const tide_queue *queue = check_any(L);
  lua_pushfstring(L, "%s(%I", names[queue->order], (lua_Integer)queue->count);
  if (queue->max > 0) lua_pushfstring(L, " of %I", (lua_Integer)queue->max);
  lua_pushfstring(L, " items%s)", queue->closed ? ", closed" : "");
  lua_concat(L, queue->max > 0 ? 3 : 2);
  return 1;
}

static void queue_release(tl_runtime *rt, void *object) {
  tide_queue *queue = object;
  (void)rt;
  tide_queue_term(queue);
  queue->closed = queue->discarding = true; /* for finalizers that still have it */
}

tide_queue *tl_queue_push(lua_State *L, tl_runtime *rt, tide_queue_order order, size_t max) {
  tide_queue *queue = tl_owned_new(L, rt, TL_QUEUE, sizeof *queue, 1);
  tide_queue_init(queue, rt->loop, order, max);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  return queue;
}

static int make(lua_State *L, tide_queue_order order) {
  size_t max = lua_isnoneornil(L, 1) ? 0 : tl_check_size(L, 1, 0);
  tl_queue_push(L, tl_rt(L), order, max);
  return 1;
}

static int new_queue(lua_State *L) { return make(L, TIDE_FIFO); }
static int new_lifo(lua_State *L) { return make(L, TIDE_LIFO); }
static int new_priority(lua_State *L) { return make(L, TIDE_PRIORITY); }

void tl_queue_class_new(lua_State *L, tl_runtime *rt, tl_class class, const char *name,
                        const luaL_Reg *methods) {
  static const luaL_Reg common[] = {{"task_done", queue_task_done},
                                    {"join", queue_join},
                                    {"close", queue_close},
                                    {"closed", queue_closed},
                                    {"empty", queue_empty},
                                    {"full", queue_full},
                                    {"maxsize", queue_maxsize},
                                    {"statistics", queue_statistics},
                                    {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__len", queue_len},
                                         {"__close", queue_scope_end},
                                         {"__tostring", queue_tostring},
                                         {NULL, NULL}};
  tl_class_new(L, rt, class, name, methods, metamethods);
  tl_class_push(L, rt, class);
  lua_getfield(L, -1, "__index");
  tl_functions(L, rt, common);
  lua_pop(L, 2);
}

void tl_queue_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {{"put", queue_put},
                                     {"get", queue_get},
                                     {"put_nowait", queue_put_nowait},
                                     {"get_nowait", queue_get_nowait},
                                     {"try_put", queue_try_put},
                                     {"try_get", queue_try_get},
                                     {"take", tl_queue_take_with_receipt},
                                     {"putting", tl_queue_putting},
                                     {"iter", queue_iter},
                                     {NULL, NULL}};
  tl_receipt_open(L, rt);
  tl_queue_class_new(L, rt, TL_QUEUE, "Queue", methods);
  tl_owned_class(L, rt, TL_QUEUE, queue_release);
  tl_constructor(L, rt, "Queue", TL_QUEUE, new_queue);
  tl_constructor(L, rt, "LifoQueue", TL_QUEUE, new_lifo);
  tl_constructor(L, rt, "PriorityQueue", TL_QUEUE, new_priority);
}
