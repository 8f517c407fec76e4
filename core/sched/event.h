/* event.h: a flag that tasks wait for. */
#ifndef TIDE_EVENT_H
#define TIDE_EVENT_H

#include "task.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

typedef struct tide_event {
  bool is_set;       /* waits return at once */
  tide_list waiters; /* empty while it is set */
} tide_event;

TIDE_API void tide_event_init(tide_event *event);
TIDE_API void tide_event_set(tide_event *event); /* wakes all */
TIDE_API void tide_event_clear(tide_event *event);

/* (waits) Until the event is set. */
TIDE_API int tide_event_wait(tide_event *event, tide_task *task);

/* A case of select (select.h): that the event is set. */
TIDE_API void tide_case_event(tide_case *self, tide_event *event);

TIDE_END_DECLS

#endif
