/* log.h: what is told to a host, as texts: it decides what becomes of them. */
#ifndef TIDE_LOG_H
#define TIDE_LOG_H

#include "config.h"

TIDE_BEGIN_DECLS

typedef enum tide_log_kind {
  TIDE_LOG_FAILURE, /* something has failed, and nobody else was told */
  TIDE_LOG_HANDLED, /* the same, but a function of the script's was told too */
  TIDE_LOG_DEBUG,   /* what debug mode has found */
  TIDE_LOG_LIMIT,   /* what a limit was to stop, and could not until now */
} tide_log_kind;

/* `text` has one line or more, without a newline at its end, and is gone afterwards. Called in the
 * loop's thread, anywhere: also in a step, and while a state is being closed. It must not raise,
 * and turn or free no loop. */
typedef void (*tide_log_fn)(void *context, tide_log_kind kind, const char *text);

typedef struct tide_log {
  tide_log_fn fn; /* NULL: failures go to stderr, nothing else anywhere */
  void *context;  /* for fn */
} tide_log;

/* Tells the log a text, made as by printf; where memory is short, its beginning. errno stays. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
TIDE_API void
tide_log_write(const tide_log *log, tide_log_kind kind, const char *format, ...);

TIDE_END_DECLS

#endif
