/* nesting.h: coroutines of the program's that run inside each other. */
#ifndef TL_NESTING_H
#define TL_NESTING_H

#include <lua.h>

#include "tide.h"

typedef struct tl_greenlet tl_greenlet;

/* A coroutine of the user's that runs; in the C frame of who resumed it. */
typedef struct tl_nesting {
  struct tl_nesting *outer; /* of what it was resumed in, or NULL */
  lua_State *resumer;       /* whose function resumed it, or closes it */
  lua_State *co;            /* which one it is */
  const tide_scope *scope;  /* the task's innermost one then: a yield must not leave others open */
  const char *closing;      /* it is being closed, as the cleanup of what; or NULL */
  int depth;                /* of closings inside each other */
  int refused;              /* waits, in what is being closed */
  bool stuck;               /* the task cannot be suspended: something further out cannot yield */
  tl_greenlet *greenlet;    /* which one it is in; NULL: the main one */
  bool pinned;              /* that cannot be suspended: something in it cannot yield */
} tl_nesting;

/* The innermost one that is being closed, or NULL. */
static inline tl_nesting *tl_innermost_closing(tl_nesting *innermost) {
  while (innermost != NULL && innermost->closing == NULL) innermost = innermost->outer;
  return innermost;
}

/* Whether `co` runs: it is L, which does, or one that L runs inside of. */
static inline bool tl_runs(const tl_nesting *innermost, const lua_State *L, const lua_State *co) {
  while (innermost != NULL && innermost->resumer != co) innermost = innermost->outer;
  return L == co || innermost != NULL;
}

/* Whether a <close> variable is called for that; function forms are not left then, but dropped. */
static inline bool tl_is_closing(const tl_nesting *innermost) {
  return innermost != NULL && innermost->closing != NULL;
}

#endif
