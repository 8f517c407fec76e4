/* match.c: matching a pattern.
 *
 * A pattern is a row of items without alternatives, so what a match can go back to is a stack: of
 * repetitions that may give back or take one more, and of captures that are to be undone. It is an
 * array as long as Lua lets its own calls nest, and counted as these, so that "pattern too complex"
 * comes where Lua's comes. What is wrong with a pattern is found when the match comes to it, as in
 * Lua: before that there is no error. */
#include "match.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "interrupt.h"
#include "runtime.h"

enum {
  INTERVAL = 10000, /* steps between two looks: some 10 to 100 us */
  BLOCK = 4096,     /* bytes that are scanned before they are counted */
  CHOICES = 199,    /* of a pattern that is not too complex: Lua has 200 with the first call */
};

enum { GREEDY, LAZY, OPTIONAL, OPENED, CLOSED }; /* kinds of choices */

/* What to go back to, or to undo, where the rest of the pattern does not match. */
typedef struct choice {
  int kind;
  int capture;       /* CLOSED: which one */
  const char *at;    /* in the subject: how far the item has come */
  const char *item;  /* LAZY: in the pattern: which one it is */
  const char *rest;  /* in the pattern: what comes behind it */
  const char *least; /* GREEDY: in the subject: what it has at least */
} choice;

/* How far a match has come. */
typedef struct cursor {
  const char *s, *p;    /* in the subject, in the pattern */
  choice *top;          /* the first choice that is free */
  choice *first, *last; /* of the array; behind it */
} cursor;

/* Steps. */

static void grant(tl_match *m) {
  uint64_t most = m->rt->options.pattern_steps, next = INTERVAL;
  if (most != 0 && most - m->granted < next) next = most - m->granted;
  m->granted += next;
  m->left += (int64_t)next;
}

TL_COLD void tl_match_look(tl_match *m) {
  char message[80];
  uint64_t most = m->rt->options.pattern_steps;
  tl_interrupt_look(m->L, m->rt);
  while (m->left < 0) {
    if (most != 0 && m->granted >= most) {
      snprintf(message, sizeof message, "a pattern took more than %llu steps",
               (unsigned long long)most);
      tl_raise_message(m->L, m->rt, TIDE_ELIMIT, message);
    }
    grant(m);
  }
}

void tl_match_init(tl_match *m, lua_State *L, tl_runtime *rt) {
  m->L = L;
  m->rt = rt;
  m->granted = 0;
  m->left = 0;
  m->captured = 0;
  grant(m);
}

void tl_match_set_subject(tl_match *m, const char *subject, size_t length) {
  m->subject = subject;
  m->end = subject + length;
}

void tl_match_set_pattern(tl_match *m, const char *pattern, size_t length) {
  m->pattern = pattern;
  m->pattern_end = pattern + length;
}

/* Single characters. */

static unsigned char byte(const char *s) { return (unsigned char)*s; }

/* What `letter` stands for behind a '%'. */
TL_INLINE bool is_of_class(unsigned char c, unsigned char letter) {
  switch (letter) {
  case 'a':
    return isalpha(c) != 0;
  case 'A':
    return isalpha(c) == 0;
  case 'c':
    return iscntrl(c) != 0;
  case 'C':
    return iscntrl(c) == 0;
  case 'd':
    return isdigit(c) != 0;
  case 'D':
    return isdigit(c) == 0;
  case 'g':
    return isgraph(c) != 0;
  case 'G':
    return isgraph(c) == 0;
  case 'l':
    return islower(c) != 0;
  case 'L':
    return islower(c) == 0;
  case 'p':
    return ispunct(c) != 0;
  case 'P':
    return ispunct(c) == 0;
  case 's':
    return isspace(c) != 0;
  case 'S':
    return isspace(c) == 0;
  case 'u':
    return isupper(c) != 0;
  case 'U':
    return isupper(c) == 0;
  case 'w':
    return isalnum(c) != 0;
  case 'W':
    return isalnum(c) == 0;
  case 'x':
    return isxdigit(c) != 0;
  case 'X':
    return isxdigit(c) == 0;
  case 'z':
    return c == 0; /* of Lua 5.1, and still there */
  case 'Z':
    return c != 0;
  default:
    return c == letter;
  }
}

/* Of the set from its '[' up to its ']'. A '-' makes a range where both its ends are there,
 * whatever they are. */
static bool is_in_set(unsigned char c, const char *set, const char *close) {
  bool inside = set[1] != '^';
  const char *member = set + (inside ? 1 : 2);
  while (member < close) {
    if (*member == TL_ESCAPE) {
      if (is_of_class(c, byte(member + 1))) return inside;
      member += 2;
    } else if (member[1] == '-' && member + 2 < close) {
      if (byte(member) <= c && c <= byte(member + 2)) return inside;
      member += 3;
    } else {
      if (byte(member) == c) return inside;
      member++;
    }
  }
  return !inside;
}

/* Behind the set that begins at `set`. A ']' that comes first is one of its members. */
static const char *set_end(tl_match *m, const char *set) {
  const char *at = set + (set[1] == '^' ? 2 : 1);
  do {
    if (at >= m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
    at += *at == TL_ESCAPE && at + 1 < m->pattern_end ? 2 : 1;
  } while (*at != ']');
  tl_match_spend(m, (size_t)(at - set));
  return at + 1;
}

/* Behind the item for one character that begins at `item`; what may follow is its mark. */
TL_INLINE const char *item_end(tl_match *m, const char *item) {
  if (*item == '[') return set_end(m, item);
  if (*item != TL_ESCAPE) return item + 1;
  if (item + 1 == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
  return item + 2;
}

/* Whether the item from `item` to `end` stands for `c`. */
TL_INLINE bool stands_for(tl_match *m, unsigned char c, const char *item, const char *end) {
  switch (*item) {
  case '.':
    return true;
  case TL_ESCAPE:
    return is_of_class(c, byte(item + 1));
  case '[':
    m->left -= end - item;
    return is_in_set(c, item, end - 1);
  default:
    return byte(item) == c;
  }
}

/* Repetitions. */

/* The first character at `s` or behind it, before `stop`, that the item does not stand for. */
static const char *scan(tl_match *m, const char *s, const char *stop, const char *item,
                        const char *end) {
  switch (*item) {
  case '.':
    return stop;
  case TL_ESCAPE:
    while (s < stop && is_of_class(byte(s), byte(item + 1))) s++;
    return s;
  case '[':
    while (s < stop && stands_for(m, byte(s), item, end)) s++;
    return s;
  default:
    while (s < stop && *s == *item) s++;
    return s;
  }
}

/* The same up to the end of the subject: a block at a time, so that a long one is looked at. */
static const char *scan_all(tl_match *m, const char *s, const char *item, const char *end) {
  ptrdiff_t most = *item == '[' ? BLOCK / (end - item) + 1 : BLOCK;
  for (;;) {
    const char *stop = m->end - s > most ? s + most : m->end;
    const char *reached = scan(m, s, stop, item, end);
    tl_match_spend(m, (size_t)(*item == '.' ? 1 : reached - s));
    if (reached < stop || stop == m->end) return reached;
    s = reached;
  }
}

TL_INLINE choice *push(tl_match *m, cursor *at, int kind) {
  if (TL_UNLIKELY(at->top == at->last)) luaL_error(m->L, "pattern too complex");
  at->top->kind = kind;
  return at->top++;
}

/* The item behind `s`, which it has at least; as often as it goes. */
TL_INLINE bool repeat(tl_match *m, cursor *at, const char *s, const char *item, const char *end) {
  const char *reached = s < m->end ? scan_all(m, s, item, end) : s;
  choice *made = push(m, at, GREEDY);
  made->at = at->s = reached;
  made->rest = at->p = end + 1;
  made->least = s;
  return true;
}

TL_INLINE bool may_repeat(tl_match *m, cursor *at, const char *item, const char *end) {
  choice *made = push(m, at, LAZY);
  made->at = at->s;
  made->item = item;
  made->rest = at->p = end + 1;
  return true;
}

TL_INLINE bool may_be(tl_match *m, cursor *at, const char *end) {
  choice *made = push(m, at, OPTIONAL);
  made->at = at->s++;
  made->rest = at->p = end + 1;
  return true;
}

/* An item for one character, with its mark. */
TL_INLINE bool match_single(tl_match *m, cursor *at) {
  const char *item = at->p, *end = item_end(m, item);
  bool fits = at->s < m->end && stands_for(m, byte(at->s), item, end);
  switch (*end) {
  case '*':
  case '-':
  case '?':
    if (!fits) {
      at->p = end + 1;
      return true;
    }
    if (*end == '*') return repeat(m, at, at->s, item, end);
    return *end == '-' ? may_repeat(m, at, item, end) : may_be(m, at, end);
  case '+':
    return fits && repeat(m, at, at->s + 1, item, end);
  default:
    at->s++;
    at->p = end;
    return fits;
  }
}

/* Captures. */

static bool open_capture(tl_match *m, cursor *at) {
  bool position = at->p[1] == ')';
  if (m->captured == TL_CAPTURES) luaL_error(m->L, "too many captures");
  m->captures[m->captured].start = at->s;
  m->captures[m->captured].length = position ? TL_CAPTURE_POSITION : TL_CAPTURE_OPEN;
  m->captured++;
  push(m, at, OPENED);
  at->p += position ? 2 : 1;
  return true;
}

/* The one that was begun last of those that are open. */
static bool close_capture(tl_match *m, cursor *at) {
  int index = m->captured - 1;
  while (index >= 0 && m->captures[index].length != TL_CAPTURE_OPEN) index--;
  if (index < 0) luaL_error(m->L, "invalid pattern capture");
  m->captures[index].length = at->s - m->captures[index].start;
  push(m, at, CLOSED)->capture = index;
  at->p++;
  return true;
}

/* Special items. */

/* %bxy */
static bool match_balanced(tl_match *m, cursor *at) {
  const char *s = at->s;
  if (m->pattern_end - at->p < 4)
    luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
  char open = at->p[2], close = at->p[3];
  if (s == m->end || *s != open) return false;
  size_t depth = 1;
  while (++s < m->end) {
    tl_match_spend(m, 1);
    if (*s == close) {
      if (--depth > 0) continue;
      at->s = s + 1;
      at->p += 4;
      return true;
    }
    if (*s == open) depth++;
  }
  return false;
}

/* %f[set]: a place; outside of the subject there are zeros. */
static bool match_frontier(tl_match *m, cursor *at) {
  const char *set = at->p + 2;
  if (set >= m->pattern_end || *set != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
  const char *end = set_end(m, set);
  unsigned char before = at->s == m->subject ? 0 : byte(at->s - 1);
  tl_match_spend(m, 2 * (size_t)(end - set));
  at->p = end;
  return !is_in_set(before, set, end - 1) && is_in_set(byte(at->s), set, end - 1);
}

/* %1 to %9: what the capture has. A position is nothing that could be there again. */
static bool match_back(tl_match *m, cursor *at) {
  int index = at->p[1] - '1';
  if (index < 0 || index >= m->captured || m->captures[index].length == TL_CAPTURE_OPEN)
    luaL_error(m->L, "invalid capture index %%%d", index + 1);
  const tl_capture *capture = &m->captures[index];
  if (capture->length == TL_CAPTURE_POSITION || m->end - at->s < capture->length) return false;
  size_t length = (size_t)capture->length;
  tl_match_spend(m, length / TL_MATCH_QUICK);
  if (memcmp(at->s, capture->start, length) != 0) return false;
  at->s += length;
  at->p += 2;
  return true;
}

/* All together. */

/* The item of the pattern at `at`. False: it does not match here. */
TL_INLINE bool match_item(tl_match *m, cursor *at) {
  switch (*at->p) {
  case '(':
    return open_capture(m, at);
  case ')':
    return close_capture(m, at);
  case '$':
    if (at->p + 1 != m->pattern_end) break;
    at->p++;
    return at->s == m->end;
  case TL_ESCAPE:
    if (at->p[1] == 'b') return match_balanced(m, at);
    if (at->p[1] == 'f') return match_frontier(m, at);
    if ('0' <= at->p[1] && at->p[1] <= '9') return match_back(m, at);
    break;
  }
  return match_single(m, at);
}

/* Goes back to the last choice that leaves another way. False: there is none. */
TL_INLINE bool go_back(tl_match *m, cursor *at) {
  for (; at->top != at->first; at->top--) {
    choice *last = at->top - 1;
    tl_match_spend(m, 1);
    switch (last->kind) {
    case GREEDY:
      if (last->at == last->least) break;
      at->s = --last->at;
      at->p = last->rest;
      return true;
    case LAZY:
      if (last->at == m->end || !stands_for(m, byte(last->at), last->item, last->rest - 1)) break;
      at->s = ++last->at;
      at->p = last->rest;
      return true;
    case OPTIONAL:
      at->s = last->at;
      at->p = last->rest;
      at->top--;
      return true;
    case OPENED:
      m->captured--;
      break;
    default:
      m->captures[last->capture].length = TL_CAPTURE_OPEN;
      break;
    }
  }
  return false;
}

/* Not part of its callers: the choices are to be gone from the stack while they call Lua. */
__attribute__((noinline)) static const char *match_at(tl_match *m, const char *s) {
  choice choices[CHOICES];
  cursor at = {
      .s = s, .p = m->pattern, .top = choices, .first = choices, .last = choices + CHOICES};
  m->captured = 0;
  while (at.p != m->pattern_end) {
    tl_match_spend(m, 1);
    if (!match_item(m, &at) && !go_back(m, &at)) return NULL;
  }
  return at.s;
}

/* Searching. */

/* Whether each match begins with the first character of the pattern as it stands there. */
static bool begins_literally(const tl_match *m) {
  if (m->pattern == m->pattern_end || strchr("^$*+?.([%-)", *m->pattern) != NULL) return false;
  return m->pattern + 1 == m->pattern_end || strchr("*?-", m->pattern[1]) == NULL;
}

static const char *skip_to(tl_match *m, const char *s) {
  const char *found = NULL;
  while (found == NULL && s < m->end) {
    size_t length =
        m->end - s < TL_MATCH_QUICK * BLOCK ? (size_t)(m->end - s) : TL_MATCH_QUICK * BLOCK;
    found = memchr(s, *m->pattern, length);
    tl_match_spend(m, (found != NULL ? (size_t)(found - s) : length) / TL_MATCH_QUICK);
    s += length;
  }
  return found;
}

const char *tl_match_find(tl_match *m, const char **start, bool anchored, const char *last) {
  bool skips = !anchored && begins_literally(m);
  for (const char *s = *start;; s++) {
    if (skips && (s = skip_to(m, s)) == NULL) return NULL;
    const char *end = match_at(m, s);
    *start = s;
    if (end != NULL && end != last) return end;
    if (anchored || s == m->end) return NULL;
  }
}

const char *tl_match_find_plain(tl_match *m, const char *s) {
  size_t length = (size_t)(m->pattern_end - m->pattern);
  size_t block = 4 * length > TL_MATCH_QUICK * BLOCK ? 4 * length : TL_MATCH_QUICK * BLOCK;
  while ((size_t)(m->end - s) >= length) {
    bool all = (size_t)(m->end - s) <= block;
    size_t size = all ? (size_t)(m->end - s) : block;
    const char *found = memmem(s, size, m->pattern, length);
    if (found != NULL || all) return found;
    tl_match_spend(m, size / TL_MATCH_QUICK);
    s += size - length + 1;
  }
  return NULL;
}

bool tl_match_is_plain(tl_match *m) {
  for (const char *p = m->pattern; p != m->pattern_end; p++) {
    tl_match_spend(m, 1);
    if (*p != '\0' && strchr("^$*+?.([%-", *p) != NULL) return false;
  }
  return true;
}
