/* log.c: telling a host, or stderr where it does not listen. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHORT_TEXT = 512 }; /* bytes, for which no memory is needed */

static void tell(const tide_log *log, tide_log_kind kind, const char *text) {
  if (log->fn != NULL)
    log->fn(log->context, kind, text);
  else if (kind == TIDE_LOG_FAILURE)
    fprintf(stderr, "tide: %s\n", text);
}

void tide_log_write(const tide_log *log, tide_log_kind kind, const char *format, ...) {
  char brief[SHORT_TEXT], *whole = NULL;
  int saved = errno;
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(brief, sizeof brief, format, arguments);
  va_end(arguments);
  if (length >= SHORT_TEXT && (whole = malloc((size_t)length + 1)) != NULL) {
    va_start(arguments, format);
    vsnprintf(whole, (size_t)length + 1, format, arguments);
    va_end(arguments);
  }
  tell(log, kind, whole != NULL ? whole : brief);
  free(whole);
  errno = saved;
}
