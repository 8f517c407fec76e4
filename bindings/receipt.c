/* receipt.c: Queue.take, and its receipts: who takes an item keeps its slot until he says that it
 * is done, or gives it back to where it came from. */
#include "receipt.h"
#include "class.h"
#include "error.h"
#include "parts.h"
#include "queue.h"
#include "runtime.h"
#include "task.h"
#include "wait.h"

enum { QUEUE = 1 }; /* the user value, which keeps the queue alive */

typedef struct tl_receipt {
  tide_queue *queue; /* whose; NULL: nothing was taken yet, or it was settled */
  uint32_t slot;     /* of the item */
} tl_receipt;

static int taken(lua_State *L, tide_queue *queue, uint32_t slot) {
  tl_receipt *receipt = lua_touserdata(L, 2);
  receipt->queue = queue;
  receipt->slot = slot;
  lua_getiuservalue(L, 1, 1);
  lua_rawgeti(L, -1, (lua_Integer)slot + 1);
  lua_pushvalue(L, 2);
  return 2;
}

static int got(lua_State *L, int status, lua_KContext runtime) {
  (void)status;
  tl_runtime *rt = (tl_runtime *)runtime;
  tl_outcome(L, rt);
  return taken(L, lua_touserdata(L, 1), (uint32_t)rt->current->task.wait.value.number);
}

/* queue:take() -> value, receipt (waits) */
int tl_queue_take_with_receipt(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  tide_queue *queue = tl_check(L, rt, 1, TL_QUEUE);
  lua_settop(L, 1);
  tl_object_new(L, rt, TL_RECEIPT, sizeof(tl_receipt), QUEUE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, QUEUE);
  int result = tide_queue_get(queue, &task->task);
  if (result == TIDE_OK) return taken(L, queue, (uint32_t)task->task.wait.value.number);
  return tl_finish(L, rt, result, (lua_KContext)rt, got);
}

/* Takes the receipt's item from it: false where it has none, or it went with its queue, which was
 * collected before a finalizer came here. */
static bool settle(tl_receipt *receipt, tide_queue **queue) {
  *queue = receipt->queue;
  receipt->queue = NULL;
  return *queue != NULL && tide_queue_taken(*queue) > 0;
}

/* The item's slot is free again. The receipt's queue is pushed. */
static void let_go(lua_State *L, const tl_receipt *receipt, int index, tide_queue *queue) {
  lua_getiuservalue(L, index, QUEUE);
  tl_queue_clear(L, receipt->slot, lua_gettop(L));
  tl_queue_free(L, queue, receipt->slot, lua_gettop(L));
}

void tl_receipt_done(lua_State *L, tl_runtime *rt, int index, const tide_queue *owner) {
  tl_receipt *receipt = tl_check(L, rt, index, TL_RECEIPT);
  tide_queue *queue;
  luaL_argcheck(L, receipt->queue == NULL || receipt->queue == owner, index,
                "a receipt of another queue's");
  if (settle(receipt, &queue))
    let_go(L, receipt, index, queue);
  else
    tl_raise_message(L, rt, TIDE_EINVALID_STATE, "the receipt was used already");
}

/* receipt.__close(error): the item is done or, where an error is on its way, given back */
static int receipt_close(lua_State *L) {
  tide_queue *queue;
  tl_runtime *rt = tl_rt(L);
  tl_receipt *receipt = tl_check(L, rt, 1, TL_RECEIPT);
  tl_loop(L, rt);
  if (!settle(receipt, &queue)) return 0;
  if (!lua_isnoneornil(L, 2) && tide_queue_give_back(queue, receipt->slot)) return 0;
  let_go(L, receipt, 1, queue);
  tide_queue_task_done(queue); /* not so where the queue has dropped it */
  return 0;
}

/* Dropped without a word: as after get, the item is not done. */
static int receipt_gc(lua_State *L) {
  tide_queue *queue;
  const tl_runtime *rt = tl_rt(L);
  tl_receipt *receipt = tl_test(L, rt, 1, TL_RECEIPT);
  if (receipt != NULL && rt->loop != NULL && settle(receipt, &queue)) let_go(L, receipt, 1, queue);
  return 0;
}

static int receipt_tostring(lua_State *L) {
  const tl_receipt *receipt = tl_check(L, tl_rt(L), 1, TL_RECEIPT);
  lua_pushstring(L, receipt->queue != NULL ? "Receipt(open)" : "Receipt(settled)");
  return 1;
}

void tl_receipt_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg metamethods[] = {{"__close", receipt_close},
                                         {"__gc", receipt_gc},
                                         {"__tostring", receipt_tostring},
                                         {NULL, NULL}};
  tl_class_new(L, rt, TL_RECEIPT, "Receipt", NULL, metamethods);
}
