/* timer.h: a deadline in the loop's heap. */
#ifndef TIDE_TIMER_H
#define TIDE_TIMER_H

#include "../base/clock.h"
#include "../base/heap.h"

TIDE_BEGIN_DECLS

typedef struct tide_loop tide_loop;
typedef struct tide_timer tide_timer;

struct tide_timer {
  tide_heap_node node;            /* in the loop's timer heap while armed */
  void (*fire)(tide_timer *self); /* called once, disarmed, when the deadline has passed; it may
                                     end waits and cancel scopes, and must not block */
};

static inline void tide_timer_init(tide_timer *timer, void (*fire)(tide_timer *self)) {
  timer->node.index = 0;
  timer->fire = fire;
}

static inline bool tide_timer_armed(const tide_timer *timer) {
  return tide_heap_holds(&timer->node);
}

/* Arms a disarmed timer for `when` on the loop's clock (TIDE_NEVER: it stays disarmed). O(log n).
 * TIDE_OK or TIDE_ENOMEM. */
TIDE_API int tide_timer_start(tide_timer *timer, tide_loop *loop, tide_time when);

/* Disarms; harmless on a disarmed one. O(log n). */
TIDE_API void tide_timer_stop(tide_timer *timer, tide_loop *loop);

TIDE_END_DECLS

#endif
