/* event.c: the flag that tasks wait for. */
#include "event.h"

#include "private.h"

void tide_event_init(tide_event *event) {
  event->is_set = false;
  tide_list_init(&event->waiters);
}

void tide_event_set(tide_event *event) {
  event->is_set = true;
  tide__park_wake_all(&event->waiters, TIDE_OK);
}

void tide_event_clear(tide_event *event) { event->is_set = false; }

static const tide_wait_ops event_ops = {.name = "Event.wait", .abandon = tide__wait_unlink};

int tide_event_wait(tide_event *event, tide_task *task) {
  if (!tide__wait_enter(task, &event_ops, event)) return TIDE_PENDING;
  if (event->is_set) return tide__wait_skip(task);
  return tide__wait_park(task, &event->waiters);
}
