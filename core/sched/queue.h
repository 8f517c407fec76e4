/* queue.h: a bounded queue of slot numbers: first-in-first-out, last-in-first-out or by priority.
 *
 * The queue hands out slot numbers from 0 and orders them; what is in a slot, its owner keeps (in
 * an array, say). A slot is taken by a put and stays taken until tide_queue_free. Memory for
 * more than 1,024 is given back when all have come back or, in time, when few are taken: then those
 * with great numbers are not handed out any more, until none of them is taken.
 *
 * A queue of pointers keeps what is in its slots itself: they are put by functions of their own,
 * further below. */
#ifndef TIDE_QUEUE_H
#define TIDE_QUEUE_H

#include "../base/heap.h"
#include "task.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

typedef enum tide_queue_order { TIDE_FIFO, TIDE_LIFO, TIDE_PRIORITY } tide_queue_order;

/* What the queue knows of a slot. */
typedef struct tide_slot {
  tide_heap_node node; /* in the heap, for TIDE_PRIORITY */
  uint64_t key;        /* its priority, so mapped that integers compare as the numbers do */
} tide_slot;

typedef struct tide_queue {
  tide_loop *loop;        /* whose memory */
  tide_queue_order order; /* which item is next */
  size_t max;             /* how many items may be in it; 0: no limit */
  size_t count;           /* items in it */
  size_t unfinished;      /* items put and not yet told done */
  bool of_pointers;       /* tide_queue_init_pointers */
  bool closed;            /* takes no more items */
  bool discarding;        /* closed with `immediate`: items that come back are dropped */
  bool shrunk;            /* it has given back memory, and its owner was not told yet */
  uint32_t capacity;      /* how many slots there are: of the arrays below */
  uint32_t fresh;         /* slots from this number on were never used */
  uint32_t free_count;    /* of `free` */
  uint32_t few;           /* where no more are taken less memory may do; 0: it would not */
  uint32_t limit;         /* slots from this one on are retired when they come back; 0: none are */
  uint32_t retired;       /* how many are: the first ones of `free` */
  uint32_t patience;      /* so many are to come back, while few are taken, before that is tried */
  uint32_t head;          /* FIFO: where in `ring` the first item is */
  uint32_t *free;         /* slots given back; in one block with: */
  uint32_t *ring;         /* FIFO: a ring, capacity a power of two; LIFO: a stack */
  tide_slot *slots;       /* TIDE_PRIORITY, in place of the ring */
  void **pointers;        /* of a queue of pointers: what is in each slot; of a putter that waits:
                             where it has it */
  void (*drop)(void *pointer); /* what becomes of those that nobody gets; NULL: nothing */
  tide_heap heap;              /* TIDE_PRIORITY only */
  tide_list getters;           /* waiting for an item; then the queue is empty */
  tide_list putters;           /* waiting for room; then it is full; value.number: the slot */
  tide_list joiners;           /* waiting for unfinished to be 0 */
} tide_queue;

TIDE_API void tide_queue_init(tide_queue *queue, tide_loop *loop, tide_queue_order order,
                              size_t max);

/* A queue of pointers, each of which one party owns at any time: who puts it until it has been put,
 * the queue until it was got. `drop` (NULL: there is nothing to do) is called for those that nobody
 * will get: those in the queue when its memory is freed, or when it is closed with `immediate`, and
 * those that come back later from tasks that were killed. It must not wait, nor touch the queue. */
TIDE_API void tide_queue_init_pointers(tide_queue *queue, tide_loop *loop, tide_queue_order order,
                                       size_t max, void (*drop)(void *pointer));

/* Frees its memory; the queue is as new. Nobody may wait in it. */
TIDE_API void tide_queue_term(tide_queue *queue);

/* Finds the slot that the next put will take, and makes sure that it succeeds. No other effect.
 * TIDE_OK or TIDE_ENOMEM. */
TIDE_API int tide_queue_reserve(tide_queue *queue, uint32_t *slot);

/* (waits) Puts the slot just reserved. TIDE_OK: done. TIDE_PENDING: the slot is taken; if the
 * outcome is an error, its owner clears it and then gives it back with tide_queue_free. (Only if
 * the task was detached meanwhile the queue itself takes it back.) TIDE_ECLOSED: the slot was not
 * taken. `priority`: lowest first, not NaN; only for TIDE_PRIORITY. */
TIDE_API int tide_queue_put(tide_queue *queue, tide_task *task, uint32_t slot, double priority);

/* The same without waiting: TIDE_OK, TIDE_EQUEUE_FULL, TIDE_ECLOSED. */
TIDE_API int tide_queue_try_put(tide_queue *queue, uint32_t slot, double priority);

/* (waits) Takes the next item: TIDE_OK or TIDE_PENDING with outcome TIDE_OK, and its slot in
 * task->wait.value.number, which is to be freed once it was read. TIDE_ECLOSED: closed, drained. */
TIDE_API int tide_queue_get(tide_queue *queue, tide_task *task);

/* The same without waiting: TIDE_OK, TIDE_EQUEUE_EMPTY, TIDE_ECLOSED. */
TIDE_API int tide_queue_try_get(tide_queue *queue, uint32_t *slot);

/* Gives back a slot that a get delivered, or whose put failed. True: the queue has given back
 * memory, and its owner may do the same: there are no slots from `capacity` on, and from `fresh` on
 * none is taken. */
TIDE_API bool tide_queue_free(tide_queue *queue, uint32_t slot);

/* Whether nobody has taken the slot that tide_queue_reserve gave, for a put that came to nothing at
 * once: then it is not to be freed. To be asked before anything else is done with the queue. */
static inline bool tide_queue_is_reserved(const tide_queue *queue, uint32_t slot) {
  bool again = queue->free_count > queue->retired;
  return slot == (again ? queue->free[queue->free_count - 1] : queue->fresh);
}

/* How many slots are taken. */
static inline uint32_t tide_queue_taken(const tide_queue *queue) {
  return queue->fresh - queue->free_count;
}

/* An item got earlier, whose slot is taken still, goes back: the next get of its order has it.
 * False where the queue was closed with `immediate`: its owner clears it, frees it and calls it
 * done. */
TIDE_API bool tide_queue_give_back(tide_queue *queue, uint32_t slot);

/* (waits) Puts what is at `pointer`: when the queue has it, there is NULL; until then, and where
 * that fails or is cancelled, or the task is killed, it is there as it was. So it shows who owns
 * it. `pointer` is in the task's struct: it outlives the wait. TIDE_OK, TIDE_ECLOSED, TIDE_ENOMEM.
 */
TIDE_API int tide_queue_put_pointer(tide_queue *queue, tide_task *task, void **pointer,
                                    double priority);

/* The same without waiting; TIDE_EQUEUE_FULL. */
TIDE_API int tide_queue_try_put_pointer(tide_queue *queue, void **pointer, double priority);

/* What is in a slot that a get has delivered (tide_queue_get, a case of select, an iterator), the
 * caller's from now on. Frees the slot. */
TIDE_API void *tide_queue_get_pointer(tide_queue *queue, uint32_t slot);

/* An item got earlier is done. TIDE_EINVALID_STATE where none is left. */
TIDE_API int tide_queue_task_done(tide_queue *queue);

/* (waits) Until every item put is done. */
TIDE_API int tide_queue_join(tide_queue *queue, tide_task *task);

/* Takes the next item out, as done, and frees its slot; its owner clears it. Nobody is woken. False
 * where the queue is empty. For owners that have closed a queue with `immediate`. */
TIDE_API bool tide_queue_drop(tide_queue *queue, uint32_t *slot);

/* Takes no more items: waiting putters and, where it is empty, getters fail with TIDE_ECLOSED.
 * `immediate`: releases the joiners too, and drops items that come back from tasks that were
 * killed; those in the queue are the owner's to drop, one by one, before it does anything else. */
TIDE_API void tide_queue_close(tide_queue *queue, bool immediate);

static inline bool tide_queue_full(const tide_queue *queue) {
  return queue->max > 0 && queue->count >= queue->max;
}

/* A case of select (select.h): that the next item was taken: its slot in wait.value.number is to be
 * freed once it was read. TIDE_ECLOSED: closed, drained. */
TIDE_API void tide_case_get(tide_case *self, tide_queue *queue);

/* A case of select: that the slot just reserved was put. The slot is taken at once; where another
 * case happened, or none, the owner clears and frees it. */
TIDE_API void tide_case_put(tide_case *self, tide_queue *queue, uint32_t slot, double priority);

/* The same for a queue of pointers, with what is at `pointer` as in tide_queue_put_pointer. Takes a
 * slot at once: wait.value.number; where another case happened, or none, it is to be given back by
 * tide_queue_free. TIDE_OK, or TIDE_ENOMEM with no case. */
TIDE_API int tide_case_put_pointer(tide_case *self, tide_queue *queue, void **pointer,
                                   double priority);

TIDE_END_DECLS

#endif
