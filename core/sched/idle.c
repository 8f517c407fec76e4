/* idle.c: what is done when it has not been touched for a while. */
#include "private.h"

static const tide_time PATIENCE = 1000000000;

void tide_idle_init(tide_idle *idle, void (*run)(tide_idle *idle)) {
  tide_list_init(&idle->link);
  idle->run = run;
}

void tide_idle_touch(tide_idle *idle, tide_loop *loop) {
  tide_list_remove(&idle->link);
  tide_list_append(&loop->idle, &idle->link);
  idle->touched = loop->now;
}

void tide_idle_cancel(tide_idle *idle) { tide_list_remove(&idle->link); }

tide_time tide__idle_due(const tide_loop *loop) {
  if (tide_list_empty(&loop->idle)) return TIDE_NEVER;
  const tide_idle *first = tide_container(loop->idle.next, tide_idle, link);
  return tide_time_add(first->touched, PATIENCE);
}

static void run_first(tide_list *list) {
  tide_idle *first = tide_container(tide_list_shift(list), tide_idle, link);
  first->run(first);
}

void tide__idle_run(tide_loop *loop) {
  while (tide__idle_due(loop) <= loop->now) run_first(&loop->idle);
}

void tide_loop_rest(tide_loop *loop) {
  tide_list now; /* what is touched anew meanwhile has its second */
  tide_list_init(&now);
  tide_list_splice(&now, &loop->idle);
  while (!tide_list_empty(&now)) run_first(&now);
}
