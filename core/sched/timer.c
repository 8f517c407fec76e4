/* timer.c: arming, disarming and firing deadlines. */
#include "timer.h"

#include "private.h"

int tide_timer_start(tide_timer *timer, tide_loop *loop, tide_time when) {
  if (when == TIDE_NEVER) return TIDE_OK;
  int error = tide_heap_reserve(&loop->timers, &loop->allocator, 1);
  if (error != TIDE_OK) return error;
  tide_heap_number(&loop->timers, &timer->node);
  tide_heap_insert(&loop->timers, &timer->node, when);
  if (__builtin_expect(loop->hosted, 0)) tide__host_wake(loop);
  return TIDE_OK;
}

void tide_timer_stop(tide_timer *timer, tide_loop *loop) {
  if (tide_timer_armed(timer)) tide_heap_remove(&loop->timers, &timer->node);
}

void tide__timers_fire(tide_loop *loop, tide_time until) {
  while (loop->timers.count > 0 && loop->timers.entries[0].key <= until) {
    tide_heap_node *node = loop->timers.entries[0].node;
    tide_heap_remove(&loop->timers, node);
    tide_timer *timer = tide_container(node, tide_timer, node);
    timer->fire(timer);
  }
}

bool tide__time_has_come(tide_loop *loop, tide_time when) {
  if (when > loop->now) return false;
  tide__timers_fire(loop, when);
  return true;
}
