/* queue_iter.h: an iterator over the items of a queue. */
#ifndef TIDE_QUEUE_ITER_H
#define TIDE_QUEUE_ITER_H

#include "iter.h"
#include "queue.h"

TIDE_BEGIN_DECLS

/* Its items are item.number: slots, as tide_queue_get delivers them, each to be freed once it was
 * read. It ends when the queue is closed and drained. A queue may have several of these: each has
 * room for one task. */
typedef struct tide_queue_iter {
  tide_iter iter;    /* first; holds nothing, and needs no closing */
  tide_queue *queue; /* whose items; not owned: it must outlive the iterator */
} tide_queue_iter;

/* tide_iter_free leaves its memory alone. */
TIDE_API void tide_queue_iter_init(tide_queue_iter *self, tide_queue *queue);

TIDE_END_DECLS

#endif
