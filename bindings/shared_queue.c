/* shared_queue.c: queues that several states of a loop share, and C: of pointers, which each state
 * makes of values and values of. Scripts see a Queue. */
#include "shared_queue.h"
#include "class.h"
#include "error.h"
#include "lent.h"
#include "options.h"
#include "owned.h"
#include "parts.h"
#include "queue.h"
#include "runtime.h"
#include "task.h"
#include "tide_lua.h"
#include "value.h"
#include "wait.h"

struct tide_lua_queue {
  tide_queue queue; /* of pointers */
  const tide_lua_item_ops *ops;
  size_t refs; /* in the loop's thread alone */
};

/* Messages. */

static void push_message(lua_State *L, void *message) { tide_lua_decode(L, message, 0); }
static void *read_message(lua_State *L, int index) { return tide_lua_encode(L, index, 0, 0); }
static void drop_message(void *message) { tide_message_free(message); }

static const tide_lua_item_ops messages = {
    .push = push_message, .read = read_message, .drop = drop_message};

/* For hosts. */

tide_lua_queue *tide_lua_queue_new(tide_loop *loop, tide_queue_order order, size_t max,
                                   const tide_lua_item_ops *ops) {
  tide_lua_queue *self = tide_alloc(tide_loop_allocator(loop), sizeof *self);
  if (self == NULL) return NULL;
  self->ops = ops != NULL ? ops : &messages;
  self->refs = 1;
  tide_queue_init_pointers(&self->queue, loop, order, max, self->ops->drop);
  return self;
}

tide_lua_queue *tide_lua_queue_ref(tide_lua_queue *self) {
  self->refs++;
  return self;
}

void tide_lua_queue_unref(tide_lua_queue *self) {
  if (self == NULL || --self->refs > 0) return;
  const tide_allocator *allocator = tide_loop_allocator(self->queue.loop);
  tide_queue_term(&self->queue);
  tide_free(allocator, self, sizeof *self);
}

tide_queue *tide_lua_queue_core(tide_lua_queue *self) { return &self->queue; }

/* The object has a reference. Several may be of one queue. */
typedef struct tl_shared_queue {
  tide_lua_queue *shared; /* NULL: it was collected */
} tl_shared_queue;

void tide_lua_push_shared_queue(lua_State *L, tide_lua_queue *queue) {
  tl_runtime *rt = tl_lent_runtime(L);
  if (queue->queue.loop != rt->loop)
    tl_raise_message(L, rt, TIDE_EMISUSE, "the queue is in another loop than this Lua state");
  tl_shared_queue *self = tl_owned_new(L, rt, TL_SHARED_QUEUE, sizeof *self, 0);
  self->shared = tide_lua_queue_ref(queue);
}

static tide_lua_queue *check(lua_State *L, const tl_runtime *rt, int index) {
  const tl_shared_queue *self = tl_check(L, rt, index, TL_SHARED_QUEUE);
  if (self->shared == NULL) tl_raise(L, rt, TIDE_ECLOSED);
  return self->shared;
}

tide_lua_queue *tide_lua_to_shared_queue(lua_State *L, int index) {
  return check(L, tl_lent_runtime(L), lua_absindex(L, index));
}

static tide_queue *check_core(lua_State *L) { return &check(L, tl_rt(L), 1)->queue; }

tide_queue *tl_shared_queue_core(lua_State *L, const tl_runtime *rt, int index) {
  return &check(L, rt, index)->queue;
}

static void shared_queue_release(tl_runtime *rt, void *object) {
  tl_shared_queue *self = object;
  (void)rt;
  tide_lua_queue_unref(self->shared);
  self->shared = NULL;
}

/* Items. */

static void drop(const tide_lua_queue *shared, void *item) {
  if (item != NULL && shared->ops->drop != NULL) shared->ops->drop(item);
}

/* In protected mode: the ops at 1, the item at 2. */
static int push_item(lua_State *L) {
  const tide_lua_item_ops *ops = lua_touserdata(L, 1);
  ops->push(L, lua_touserdata(L, 2));
  return 1;
}

int tl_shared_queue_take(lua_State *L, const tl_runtime *rt, int index, uint32_t slot) {
  tide_lua_queue *shared = tide_lua_queue_ref(check(L, rt, index));
  void *item = tide_queue_get_pointer(&shared->queue, slot);
  lua_pushcfunction(L, push_item);
  lua_pushlightuserdata(L, (void *)(uintptr_t)shared->ops);
  lua_pushlightuserdata(L, item);
  int status = lua_pcall(L, 2, 1, 0);
  drop(shared, item);
  tide_lua_queue_unref(shared);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* What waits to be put: the collector drops it where its task was killed. */
typedef struct tl_parcel {
  tide_lua_queue *shared; /* or NULL */
  void *item;             /* NULL: there is none, or the queue has it */
} tl_parcel;

static void parcel_release(tl_runtime *rt, void *object) {
  tl_parcel *self = object;
  (void)rt;
  if (self->shared == NULL) return;
  drop(self->shared, self->item);
  tide_lua_queue_unref(self->shared);
  self->shared = NULL;
}

/* Putting: the queue is at 1, the value at 2, its priority at 3. */

/* Where that needs no waiting. TIDE_OK, TIDE_EQUEUE_FULL; or raises. */
static int put_at_once(lua_State *L, tl_runtime *rt) {
  tide_lua_queue *shared = check(L, rt, 1);
  double priority = tl_queue_check_item(L, &shared->queue);
  if (shared->queue.closed) tl_raise(L, rt, TIDE_ECLOSED);
  if (tide_queue_full(&shared->queue)) return TIDE_EQUEUE_FULL;
  void *item = shared->ops->read(L, 2); /* a finalizer may run, and collect nothing that is at 1 */
  int result = tide_queue_try_put_pointer(&shared->queue, &item, priority);
  if (result == TIDE_OK) return TIDE_OK;
  drop(shared, item);
  return result == TIDE_EQUEUE_FULL ? result : tl_raise_outcome(L, rt, result);
}

static int put_ended(lua_State *L, int status, lua_KContext parcel) {
  tl_runtime *rt = tl_rt(L);
  (void)status;
  int outcome = tl_take_outcome(L, rt);
  parcel_release(rt, (tl_parcel *)parcel); /* it is on the stack */
  return outcome == TIDE_OK ? 0 : tl_raise_outcome(L, rt, outcome);
}

/* queue:put(value[, priority]) (waits) */
static int shared_queue_put(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  const tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL || tide_task_cancelled(&task->task))) return tl_turn(L, rt);
  if (put_at_once(L, rt) == TIDE_OK) return 0;
  tl_parcel *parcel = tl_owned_new(L, rt, TL_PARCEL, sizeof *parcel, 0);
  tide_lua_queue *shared = check(L, rt, 1);
  double priority = tl_queue_check_item(L, &shared->queue);
  parcel->shared = tide_lua_queue_ref(shared);
  parcel->item = shared->ops->read(L, 2);
  int result = tide_queue_put_pointer(&shared->queue, &rt->current->task, &parcel->item, priority);
  if (result == TIDE_PENDING) return tl_wait(L, (lua_KContext)parcel, put_ended);
  parcel_release(rt, parcel);
  return result == TIDE_OK ? 0 : tl_raise_outcome(L, rt, result);
}

/* queue:put_nowait(value[, priority]) */
static int shared_queue_put_nowait(lua_State *L) {
  int result = put_at_once(L, tl_rt(L));
  return result == TIDE_OK ? 0 : tl_raise(L, tl_rt(L), result);
}

/* queue:try_put(value[, priority]) -> whether there was room */
static int shared_queue_try_put(lua_State *L) {
  lua_pushboolean(L, put_at_once(L, tl_rt(L)) == TIDE_OK);
  return 1;
}

/* Getting. */

static int got_with(lua_State *L, tl_runtime *rt, int outcome) {
  if (outcome != TIDE_OK) return tl_raise_outcome(L, rt, outcome);
  return tl_shared_queue_take(L, rt, 1, (uint32_t)rt->current->task.wait.value.number);
}

static int got(lua_State *L, int status, lua_KContext step) {
  tl_runtime *rt = tl_rt(L);
  (void)status;
  int outcome = tl_take_outcome(L, rt);
  if (step == 0 || outcome != TIDE_ECLOSED) return got_with(L, rt, outcome);
  lua_pushnil(L);
  return 1;
}

static int get(lua_State *L, bool step) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  int result = tide_queue_get(check_core(L), &task->task);
  if (step && result == TIDE_ECLOSED) {
    lua_pushnil(L);
    return 1;
  }
  return result == TIDE_PENDING ? tl_wait(L, step, got) : got_with(L, rt, result);
}

/* queue:get() -> value (waits) */
static int shared_queue_get(lua_State *L) { return get(L, false); }

/* The step of queue:iter(). */
static int shared_queue_next(lua_State *L) { return get(L, true); }

/* queue:get_nowait() -> value */
static int shared_queue_get_nowait(lua_State *L) {
  uint32_t slot;
  int result = tide_queue_try_get(check_core(L), &slot);
  if (result != TIDE_OK) return tl_raise(L, tl_rt(L), result);
  return tl_shared_queue_take(L, tl_rt(L), 1, slot);
}

/* queue:try_get() -> value | nil */
static int shared_queue_try_get(lua_State *L) {
  uint32_t slot;
  int result = tide_queue_try_get(check_core(L), &slot);
  if (result == TIDE_OK) return tl_shared_queue_take(L, tl_rt(L), 1, slot);
  if (result == TIDE_ECLOSED) return tl_raise(L, tl_rt(L), result);
  lua_pushnil(L);
  return 1;
}

/* for value in queue:iter() do */
static int shared_queue_iter(lua_State *L) {
  check_core(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, shared_queue_next, 1);
  lua_pushvalue(L, 1);
  return 2;
}

void tl_shared_queue_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {{"put", shared_queue_put},
                                     {"get", shared_queue_get},
                                     {"put_nowait", shared_queue_put_nowait},
                                     {"get_nowait", shared_queue_get_nowait},
                                     {"try_put", shared_queue_try_put},
                                     {"try_get", shared_queue_try_get},
                                     {"iter", shared_queue_iter},
                                     {NULL, NULL}};
  tl_queue_class_new(L, rt, TL_SHARED_QUEUE, "SharedQueue", methods);
  tl_owned_class(L, rt, TL_SHARED_QUEUE, shared_queue_release);
  tl_class_new(L, rt, TL_PARCEL, "parcel", NULL, NULL);
  tl_owned_class(L, rt, TL_PARCEL, parcel_release);
}
