/* flood.c: reports of failures as texts, to the log. Where there are many of one kind from one
 * place, the first one in a second is told in full, and so are those with other messages, up to so
 * many. Of the rest it is told how many there were: with the next one in full, a second after the
 * first of them, or when the run ends, whichever is first. */
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "report.h"
#include "runtime.h"
#include "text.h"
#include "value.h"

static const char break_hint[] =
    "\nhint: Lua before 5.4.5 miscompiles `break` out of a loop with a closing value whose body "
    "captures one of its locals in a closure; pass the local as an argument, or use goto";

enum {
  SORTS = 32,
  MESSAGES = 8, /* of a sort that are told in full */
  NAME_SIZE = 120,
};

static const tide_time QUIET = 1000000000; /* after which they are told in full again */

/* Failures of one kind that come from one place. */
typedef struct sort {
  tide_time told;              /* when the first of `messages` was told in full; 0: never */
  uint64_t more;               /* how many were not told, since the last of them */
  tide_log_kind kind;          /* of these */
  int count;                   /* of messages */
  uint64_t messages[MESSAGES]; /* those told in full, by their hashes */
  char name[NAME_SIZE];
} sort;

/* A userdata, in the hook "flood". */
typedef struct tl_flood {
  sort sorts[SORTS];
} tl_flood;

/* Whether that may be how such a loop ends: the closing value is gone. Where a function of C's is
 * the one to look for it, Lua does not say what it is. */
static bool may_be_break(const char *error) {
  return strstr(error, "metamethod 'close'") != NULL ||
         strcmp(error, "attempt to call a nil value") == 0;
}

static void flush_sort(const tide_log *log, sort *s) {
  if (s->more > 0)
    tide_log_write(log, s->kind, "%llu more failures like that: %s", (unsigned long long)s->more,
                   s->name);
  s->more = 0;
}

static void flush(const tl_runtime *rt, tl_flood *flood) {
  for (int i = 0; i < SORTS; i++) flush_sort(tl_log_of(rt), &flood->sorts[i]);
}

/* That is told in any case, also if no other one comes. Not once the loop is gone: then the flood
 * itself is about to go. */
static void tell_later(tl_runtime *rt) {
  tide_idle *idle = &rt->reports.flood;
  if (rt->loop != NULL && !tide_idle_begun(idle)) tide_idle_touch(idle, rt->loop);
}

static int flood_gc(lua_State *L) {
  flush(tl_runtime_find(L), lua_touserdata(L, 1));
  return 0;
}

/* Pushes what the hook has. */
static tl_flood *find_flood(lua_State *L, const tl_runtime *rt) {
  tl_hook_push(L, rt, "flood");
  return lua_touserdata(L, -1);
}

/* The flood, which is made if there is none, stays on the stack. Making it may collect, and a
 * finalizer report. */
static tl_flood *push_flood(lua_State *L, const tl_runtime *rt) {
  tl_flood *flood = find_flood(L, rt);
  if (flood != NULL) return flood;
  tl_flood *made = lua_newuserdatauv(L, sizeof *made, 0);
  memset(made, 0, sizeof *made);
  tl_set_finalizer(L, flood_gc);
  if ((flood = find_flood(L, rt)) != NULL) return flood;
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  tl_hook_set(L, rt, "flood");
  return made;
}

void tl_flood_flush(lua_State *L, tl_runtime *rt) {
  tl_flood *flood = find_flood(L, rt);
  if (flood != NULL) flush(rt, flood);
  lua_pop(L, 1);
}

/* The length of the position that the message begins with, as Lua puts it there: "name:line: ". */
static int position_length(const char *text) {
  const char *end = strstr(text, ": "), *colon = end;
  if (end == NULL) return 0;
  while (colon > text && colon[-1] >= '0' && colon[-1] <= '9') colon--;
  return colon < end && colon - text > 1 && colon[-1] == ':' ? (int)(end - text) : 0;
}

/* Where the error comes from: the first place in the traceback that is not C's, or what the message
 * begins with; returns its length, 0: that is not known. */
static int find_place(const char *text, const char *traceback, const char **place) {
  const char *line = traceback;
  while (line != NULL && (line = strchr(line, '\n')) != NULL) {
    line += strspn(line, "\n\t ");
    const char *end = strstr(line, ": in ");
    if (end == NULL) break;
    if (strncmp(line, "[C]", 3) == 0 || memchr(line, '\n', (size_t)(end - line)) != NULL) continue;
    *place = line;
    return (int)(end - line);
  }
  *place = text;
  return position_length(text);
}

/* "kind, at place", or the message where no place is known: of the error at 2, with that text and
 * the traceback at 3. */
static void name_sort(lua_State *L, const tl_runtime *rt, const char *text, char *name) {
  const char *kind = luaL_typename(L, 2), *place;
  int length = find_place(text, lua_tostring(L, 3), &place);
  if (tl_error_kind_push(L, rt, 2)) kind = lua_tostring(L, -1);
  if (length > 0)
    snprintf(name, NAME_SIZE, "%s, at %.*s", kind, length, place);
  else
    snprintf(name, NAME_SIZE, "%.*s", (int)strcspn(text, "\n"), text);
}

/* The sort of that name; where there is none, in place of the one told longest ago. */
static sort *find_sort(const tide_log *log, tl_flood *flood, const char *name) {
  sort *oldest = &flood->sorts[0];
  for (int i = 0; i < SORTS; i++) {
    sort *s = &flood->sorts[i];
    if (s->told != 0 && strcmp(s->name, name) == 0) return s;
    if (s->told < oldest->told) oldest = s;
  }
  flush_sort(log, oldest);
  oldest->told = 0;
  memcpy(oldest->name, name, NAME_SIZE);
  return oldest;
}

static uint64_t hash_of(const char *text) {
  uint64_t hash = 14695981039346656037u; /* FNV-1a */
  for (; *text != '\0'; text++) hash = (hash ^ (unsigned char)*text) * 1099511628211u;
  return hash;
}

/* Whether a failure of that sort is to be told in full: its message is new, and there were not too
 * many of them. Then it is kept. */
static bool is_new(sort *s, uint64_t message) {
  for (int i = 0; i < s->count; i++)
    if (s->messages[i] == message) return false;
  if (s->count == MESSAGES) return false;
  s->messages[s->count++] = message;
  return true;
}

/* Whether the failure with that text is to be told in full; its sort has that name. */
static bool is_told(const tide_log *log, tide_log_kind kind, tl_flood *flood, const char *name,
                    const char *text) {
  sort *s = find_sort(log, flood, name);
  tide_time now = tide_clock_monotonic();
  if (s->told == 0 || now - s->told >= QUIET) {
    s->told = now;
    s->count = 0;
  }
  if (!is_new(s, hash_of(text))) {
    s->more++;
    s->kind = kind;
    return false;
  }
  flush_sort(log, s);
  s->kind = kind;
  return true;
}

int tl_report_to_log(lua_State *L) {
  char name[NAME_SIZE];
  tl_runtime *rt = tl_runtime_find(L);
  const tide_log *log = tl_log_of(rt);
  tide_log_kind kind = (tide_log_kind)lua_tointeger(L, 4);
  if (kind == TIDE_LOG_HANDLED && log->fn == NULL) return 0;
  lua_settop(L, 3);
  lua_pushvalue(L, 2);
  const char *text = tl_text_of(L);
  name_sort(L, rt, text, name);
  if (!is_told(log, kind, push_flood(L, rt), name, text)) {
    tell_later(rt);
    return 0;
  }
  const char *traceback = lua_tostring(L, 3);
  tide_log_write(log, kind, "%s failed: %s%s%s%s", lua_tostring(L, 1), text,
                 may_be_break(text) ? break_hint : "", traceback != NULL ? "\n" : "",
                 traceback != NULL ? traceback : "");
  return 0;
}
