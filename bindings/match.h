/* match.h: Lua's patterns (its manual, 6.4.1), matched without recursion and in counted steps.
 *
 * A step is about a byte of the subject or of the pattern that is looked at, or a place that is
 * gone back to. Every some thousand steps it is looked whether the match is to go on. */
#ifndef TL_MATCH_H
#define TL_MATCH_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

enum {
  TL_CAPTURES = 32, /* Lua's bound, as it is built by default */
  TL_ESCAPE = '%',
  TL_MATCH_QUICK = 16, /* bytes in a step of what copies or compares many */
};

/* The length of a capture that has none. */
enum { TL_CAPTURE_OPEN = -1, TL_CAPTURE_POSITION = -2 };

typedef struct tl_capture {
  const char *start;
  ptrdiff_t length; /* or one of the above */
} tl_capture;

/* One call of a function that matches: on the stack of its frame. Subject and pattern are strings
 * of Lua's, which the frame keeps, with a zero behind them. */
typedef struct tl_match {
  lua_State *L; /* what errors are raised in */
  tl_runtime *rt;
  const char *subject, *end;         /* of the subject */
  const char *pattern, *pattern_end; /* without the anchor */
  uint64_t granted;                  /* steps that may be taken until somebody looks */
  int64_t left;                      /* of those: below 0 is when to look */
  int captured;                      /* captures that have begun */
  tl_capture captures[TL_CAPTURES];
} tl_match;

void tl_match_init(tl_match *m, lua_State *L, tl_runtime *rt);
void tl_match_set_subject(tl_match *m, const char *subject, size_t length);
void tl_match_set_pattern(tl_match *m, const char *pattern, size_t length);

/* The first match at *start or behind it, at *start alone where that is wished, which does not end
 * at `last` (or NULL): its end, or NULL; *start is where it begins, and the captures are its own.
 * Raises Lua's errors for what is wrong with the pattern as far as it has been needed; `limit`, and
 * what an interruption raises. [-0, +0, e] */
const char *tl_match_find(tl_match *m, const char **start, bool anchored, const char *last);

/* The first place at `s` or behind it where the pattern stands literally, or NULL. [-0, +0, e] */
const char *tl_match_find_plain(tl_match *m, const char *s);

/* Steps that are taken elsewhere. [-0, +0, e] */
void tl_match_look(tl_match *m);
static inline void tl_match_spend(tl_match *m, size_t steps) {
  m->left -= (int64_t)steps;
  if (__builtin_expect(m->left < 0, 0)) tl_match_look(m);
}

bool tl_match_is_plain(tl_match *m); /* the pattern has nothing special */

#endif
