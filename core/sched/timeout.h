/* timeout.h: a deadline round a stretch of a task's steps.
 *
 *     TIDE_WAIT(tide_timeout_begin(&self->timeout, task, tide_time_from_seconds(5)));
 *     TIDE_CALL(tide_stream_read(self->stream, task, SIZE_MAX, &self->slice));
 *     self->steps.outcome = tide_timeout_end(&self->timeout, self->steps.outcome);
 *     if (self->steps.outcome == TIDE_ETIMEOUT) ...
 */
#ifndef TIDE_TIMEOUT_H
#define TIDE_TIMEOUT_H

#include "task.h"

TIDE_BEGIN_DECLS

enum { TIDE_SCOPE_TIMEOUT = TIDE_SCOPE_PART << 2 }; /* marks the scope of a tide_timeout */

/* In the task's struct: it outlives the stretch's waits. */
typedef struct tide_timeout {
  tide_scope scope;       /* around the stretch */
  tide_deadline deadline; /* on it */
} tide_timeout;

/* Begins the stretch, of the running task, which `span` from now on (nanoseconds; TIDE_NEVER: no
 * time) cancels: its waits then end with TIDE_ECANCELLED, the present one and all further ones.
 * Timeouts nest. TIDE_OK, or TIDE_ENOMEM, with nothing begun. */
TIDE_API int tide_timeout_begin(tide_timeout *timeout, tide_task *task, tide_time span);

/* Ends the stretch, which ended with `outcome`: gives TIDE_ETIMEOUT where that is TIDE_ECANCELLED
 * because time was up; else the outcome. Where the task is cancelled as well, from outside, it is
 * that: TIDE_ECANCELLED. What went well in the end, though late, went well. Stretches inside are to
 * be ended before. Harmless on one that is not begun, or was ended: the outcome is as it was.
 *
 * A task that ends within does that itself, by whatever way (tide_task_finish_with). */
TIDE_API int tide_timeout_end(tide_timeout *timeout, int outcome);

/* Whether its time was up in the stretch, or the last one. */
static inline bool tide_timeout_expired(const tide_timeout *timeout) {
  return (timeout->scope.flags & TIDE_SCOPE_EXPIRED) != 0;
}

TIDE_END_DECLS

#endif
