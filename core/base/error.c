/* error.c: the one table of errors. */
#include "error.h"

#include <string.h>

const char *tide_error_kind(int error) {
  if (TIDE_IS_OS(error)) return "os";
  switch (error) {
#define TIDE_ERROR_KIND(name, number, kind, message) \
  case TIDE_E##name:                                 \
    return kind;
    TIDE_ERRORS(TIDE_ERROR_KIND)
#undef TIDE_ERROR_KIND
  case TIDE_OK:
    return "ok";
  default:
    return "unknown";
  }
}

const char *tide_error_message(int error) {
  if (TIDE_IS_OS(error)) return strerror(TIDE_ERRNO(error));
  switch (error) {
#define TIDE_ERROR_MESSAGE(name, number, kind, message) \
  case TIDE_E##name:                                    \
    return message;
    TIDE_ERRORS(TIDE_ERROR_MESSAGE)
#undef TIDE_ERROR_MESSAGE
  case TIDE_OK:
    return "no error";
  default:
    return "unknown error";
  }
}

const char *tide_error_code(int error) {
  if (!TIDE_IS_OS(error)) return NULL;
  return strerrorname_np(TIDE_ERRNO(error)); /* glibc 2.32 */
}
