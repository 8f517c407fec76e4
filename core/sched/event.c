/* event.c: the flag that tasks wait for. */
#include "event.h"

#include "case.h"
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

/* As a case of select. */

static int event_attempt(tide_case *self) {
  const tide_event *event = self->wait.source;
  return event->is_set ? TIDE_OK : TIDE_PENDING;
}

static int event_park(tide_case *self) {
  tide_event *event = self->wait.source;
  tide_list_append(&event->waiters, &self->wait.in.link);
  return TIDE_OK;
}

static const tide_case_ops case_ops = {
    .wait = &event_ops, .attempt = event_attempt, .park = event_park};

void tide_case_event(tide_case *self, tide_event *event) {
  *self = (tide_case){.ops = &case_ops, .wait.source = event};
}
