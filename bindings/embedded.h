/* embedded.h: the Lua part of tide, compiled in; the table is generated at build time. */
#ifndef TL_EMBEDDED_H
#define TL_EMBEDDED_H

#include <stddef.h>

struct tl_embedded {
  const char *name;   /* as for require: "tide.iter" */
  const char *source; /* Lua text, not terminated */
  size_t size;        /* its bytes */
};

extern const struct tl_embedded tl_embedded[]; /* ends with a NULL name */

#endif
