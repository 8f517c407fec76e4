/* error.h: the one table of errors: number, kind, message. */
#ifndef TIDE_ERROR_H
#define TIDE_ERROR_H

#include "config.h"

TIDE_BEGIN_DECLS

/* Every function of the core that can fail returns an int: 0 (TIDE_OK), TIDE_PENDING, or one of
 * these, which are negative. An error of the operating system is TIDE_OS(errno). */
#define TIDE_ERRORS(X)                                                             \
  X(CANCELLED, 1, "cancelled", "cancelled")                                        \
  X(TIMEOUT, 2, "timeout", "the deadline passed")                                  \
  X(GROUP, 3, "group", "tasks of the group failed")                                \
  X(CLOSED, 4, "closed", "the object is closed")                                   \
  X(QUEUE_FULL, 5, "queue_full", "the queue is full")                              \
  X(QUEUE_EMPTY, 6, "queue_empty", "the queue is empty")                           \
  X(BROKEN_BARRIER, 7, "broken_barrier", "the barrier is broken")                  \
  X(DEADLOCK, 8, "deadlock", "every task waits and nothing can wake any")          \
  X(NO_TASK, 9, "no_task", "called outside a task")                                \
  X(ALREADY_RUNNING, 10, "already_running", "the loop is already running")         \
  X(INVALID_STATE, 11, "invalid_state", "the object is not in a state for this")   \
  X(LIMIT, 12, "limit", "a limit was exceeded")                                    \
  X(EOF, 13, "eof", "there is no more: this is the end")                           \
  X(NOMEM, 14, "limit", "out of memory")                                           \
  X(CANNOT_WAIT, 15, "cannot_wait", "cannot wait here")                            \
  X(BUSY, 16, "invalid_state", "another task is already doing this on the object") \
  X(DNS, 17, "dns", "the name could not be resolved")                              \
  X(FAILED, 18, "failed", "it failed with an error that is not the core's")        \
  X(MISUSE, 19, "misuse", "the object was used against its manners")               \
  X(TLS, 20, "tls", "the encrypted connection failed")

enum {
  TIDE_OK = 0,
  TIDE_PENDING = 1, /* the task is parked: return from its step, it is stepped when this ends */
#define TIDE_ERROR_ENUM(name, number, kind, message) TIDE_E##name = -(number),
  TIDE_ERRORS(TIDE_ERROR_ENUM)
#undef TIDE_ERROR_ENUM
};

#define TIDE_OS_BASE          1000
#define TIDE_OS(error_number) (-TIDE_OS_BASE - (error_number))
#define TIDE_IS_OS(error)     ((error) <= -TIDE_OS_BASE)
#define TIDE_ERRNO(error)     (-(error)-TIDE_OS_BASE)

/* The kind ("closed", "os"), as scripts see it; of TIDE_OK "ok". Never NULL; static memory. */
TIDE_API const char *tide_error_kind(int error);

/* What the error means, without a full stop. Never NULL; static memory (for errors of the
 * operating system: strerror's, valid until the thread's next call of it). */
TIDE_API const char *tide_error_message(int error);

/* The symbol of an error of the operating system ("ECONNREFUSED"), or NULL. Static memory. */
TIDE_API const char *tide_error_code(int error);

TIDE_END_DECLS

#endif
