/* patterns.c: string.find, match, gmatch and gsub, whose matching can be stopped (match.h).
 *
 * They do not have the runtime as their first upvalue, as tide's other functions have: nothing can
 * wait in what gsub calls, and that is how others tell (culprit.c). */
#include "patterns.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "match.h"
#include "runtime.h"

enum { RUNTIME = 2 }; /* an upvalue; the first is nil */

static tl_runtime *runtime_of(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(RUNTIME)); }

/* The place behind which `position` is, which counts from the end where it is negative; more than
 * `length` where it is behind the end. */
static size_t offset_of(lua_Integer position, size_t length) {
  if (position > 0) return (size_t)position - 1;
  if (position == 0 || position < -(lua_Integer)length) return 0;
  return length + (size_t)position;
}

/* The match is over the strings at these indices. */
static void begin(lua_State *L, tl_match *m, int subject, int pattern) {
  size_t length;
  const char *text = lua_tolstring(L, subject, &length);
  tl_match_set_subject(m, text, length);
  text = lua_tolstring(L, pattern, &length);
  tl_match_set_pattern(m, text, length);
}

/* Takes the anchor off the pattern; whether there is one. */
static bool take_anchor(tl_match *m) {
  if (m->pattern == m->pattern_end || *m->pattern != '^') return false;
  m->pattern++;
  return true;
}

/* Captures. */

/* Of a match that begins at `start` and ends at `end`; a pattern without captures has one, all of
 * it. */
static tl_capture capture_of(const tl_match *m, int index, const char *start, const char *end) {
  if (index >= m->captured) {
    if (index != 0) luaL_error(m->L, "invalid capture index %%%d", index + 1);
    return (tl_capture){.start = start, .length = end - start};
  }
  if (m->captures[index].length == TL_CAPTURE_OPEN) luaL_error(m->L, "unfinished capture");
  return m->captures[index];
}

static void push_capture(const tl_match *m, int index, const char *start, const char *end) {
  tl_capture capture = capture_of(m, index, start, end);
  if (capture.length == TL_CAPTURE_POSITION)
    lua_pushinteger(m->L, (capture.start - m->subject) + 1);
  else
    lua_pushlstring(m->L, capture.start, (size_t)capture.length);
}

static int push_own_captures(const tl_match *m) {
  luaL_checkstack(m->L, m->captured, "too many captures");
  for (int i = 0; i < m->captured; i++) push_capture(m, i, NULL, NULL);
  return m->captured;
}

/* Those, or the whole match. */
static int push_captures(const tl_match *m, const char *start, const char *end) {
  if (m->captured > 0) return push_own_captures(m);
  luaL_checkstack(m->L, 1, "too many captures");
  push_capture(m, 0, start, end);
  return 1;
}

/* Finding. */

/* Pushes where it is. */
static int push_place(const tl_match *m, const char *start, const char *end) {
  lua_pushinteger(m->L, (start - m->subject) + 1);
  lua_pushinteger(m->L, end - m->subject);
  return 2;
}

/* The arguments subject, pattern, init: where to begin; false behind the end. */
static bool check_find(lua_State *L, tl_match *m, const char **start) {
  luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  tl_match_init(m, L, runtime_of(L));
  begin(L, m, 1, 2);
  size_t length = (size_t)(m->end - m->subject);
  size_t offset = offset_of(luaL_optinteger(L, 3, 1), length);
  if (offset > length) return false;
  *start = m->subject + offset;
  return true;
}

/* string.find(s, pattern [, init [, plain]]) -> first, last, captures ... | fail */
static int find(lua_State *L) {
  tl_match m;
  const char *start, *end;
  if (!check_find(L, &m, &start)) {
    luaL_pushfail(L);
    return 1;
  }
  if (lua_toboolean(L, 4) || tl_match_is_plain(&m)) {
    start = tl_match_find_plain(&m, start);
    if (start != NULL) return push_place(&m, start, start + (m.pattern_end - m.pattern));
  } else {
    bool anchored = take_anchor(&m);
    end = tl_match_find(&m, &start, anchored, NULL);
    if (end != NULL) return push_place(&m, start, end) + push_own_captures(&m);
  }
  luaL_pushfail(L);
  return 1;
}

/* string.match(s, pattern [, init]) -> captures ... | fail */
static int match(lua_State *L) {
  tl_match m;
  const char *start;
  if (check_find(L, &m, &start)) {
    bool anchored = take_anchor(&m);
    const char *end = tl_match_find(&m, &start, anchored, NULL);
    if (end != NULL) return push_captures(&m, start, end);
  }
  luaL_pushfail(L);
  return 1;
}

/* What the iterator of a gmatch keeps: offsets, as it looks for its strings anew. */
typedef struct tl_gmatch {
  size_t next; /* where to go on */
  size_t last; /* where the last match has ended; NONE: there was none */
} tl_gmatch;

static const size_t NONE = (size_t)-1;

enum { STATE = 1, SUBJECT = 3, PATTERN = 4 }; /* upvalues; the runtime is between them */

static int gmatch_next(lua_State *L) {
  tl_match m;
  tl_gmatch *self = lua_touserdata(L, lua_upvalueindex(STATE));
  tl_match_init(&m, L, runtime_of(L));
  begin(L, &m, lua_upvalueindex(SUBJECT), lua_upvalueindex(PATTERN));
  if (self->next > (size_t)(m.end - m.subject)) return 0;
  const char *start = m.subject + self->next;
  const char *end =
      tl_match_find(&m, &start, false, self->last == NONE ? NULL : m.subject + self->last);
  if (end == NULL) return 0;
  self->next = self->last = (size_t)(end - m.subject);
  return push_captures(&m, start, end);
}

/* string.gmatch(s, pattern [, init]) -> iterator */
static int gmatch(lua_State *L) {
  size_t length;
  luaL_checklstring(L, 1, &length);
  luaL_checkstring(L, 2);
  size_t next = offset_of(luaL_optinteger(L, 3, 1), length);
  lua_settop(L, 2);
  tl_gmatch *self = lua_newuserdatauv(L, sizeof *self, 0);
  *self = (tl_gmatch){.next = next, .last = NONE};
  lua_pushlightuserdata(L, runtime_of(L));
  lua_rotate(L, 1, 2); /* state, runtime, subject, pattern */
  lua_pushcclosure(L, gmatch_next, 4);
  return 1;
}

/* Replacing. */

enum { TEXT = 1, REPLACEMENT = 3 }; /* arguments of gsub */

static void add_capture(const tl_match *m, luaL_Buffer *b, int index, const char *start,
                        const char *end) {
  tl_capture capture = capture_of(m, index, start, end);
  if (capture.length == TL_CAPTURE_POSITION) {
    lua_pushinteger(m->L, (capture.start - m->subject) + 1);
    luaL_addvalue(b);
  } else {
    luaL_addlstring(b, capture.start, (size_t)capture.length);
  }
}

/* The replacement, a string, with what its escapes stand for. */
static void add_string(const tl_match *m, luaL_Buffer *b, const char *start, const char *end) {
  size_t length;
  const char *text = lua_tolstring(m->L, REPLACEMENT, &length), *stop = text + length;
  for (;;) {
    const char *escape = memchr(text, TL_ESCAPE, (size_t)(stop - text));
    luaL_addlstring(b, text, (size_t)((escape != NULL ? escape : stop) - text));
    if (escape == NULL) return;
    text = escape + 2;
    if (escape[1] == TL_ESCAPE) {
      luaL_addchar(b, TL_ESCAPE);
    } else if (escape[1] == '0') {
      luaL_addlstring(b, start, (size_t)(end - start));
    } else if ('1' <= escape[1] && escape[1] <= '9') {
      add_capture(m, b, escape[1] - '1', start, end);
    } else {
      luaL_error(m->L, "invalid use of '%c' in replacement string", TL_ESCAPE);
    }
  }
}

/* Whether the function or table has another value for the match, which is added; else it stays. */
static bool add_value(const tl_match *m, luaL_Buffer *b, const char *start, const char *end) {
  lua_State *L = m->L;
  if (lua_type(L, REPLACEMENT) == LUA_TFUNCTION) {
    lua_pushvalue(L, REPLACEMENT);
    lua_call(L, push_captures(m, start, end), 1);
  } else {
    push_capture(m, 0, start, end);
    lua_gettable(L, REPLACEMENT);
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    luaL_addlstring(b, start, (size_t)(end - start));
    return false;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  luaL_addvalue(b);
  return true;
}

static void check_replacement(lua_State *L, int type) {
  luaL_argexpected(
      L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE,
      REPLACEMENT, "string/function/table");
}

/* Replaces up to `most` matches; how many there were. *changed: the text is another. */
static lua_Integer replace_all(tl_match *m, luaL_Buffer *b, lua_Integer most, bool anchored,
                               bool *changed) {
  int type = lua_type(m->L, REPLACEMENT);
  bool literal = type == LUA_TNUMBER || type == LUA_TSTRING;
  const char *copied = m->subject, *start = m->subject, *last = NULL;
  lua_Integer count = 0;
  while (count < most) {
    const char *end = tl_match_find(m, &start, anchored, last);
    if (end == NULL) break;
    size_t before = luaL_bufflen(b);
    luaL_addlstring(b, copied, (size_t)(start - copied));
    if (literal) add_string(m, b, start, end);
    *changed = literal || add_value(m, b, start, end) || *changed;
    tl_match_spend(m, (luaL_bufflen(b) - before) / TL_MATCH_QUICK);
    count++;
    copied = start = last = end;
    if (anchored) break;
  }
  luaL_addlstring(b, copied, (size_t)(m->end - copied));
  return count;
}

/* string.gsub(s, pattern, replacement [, n]) -> string, how many were replaced */
static int gsub(lua_State *L) {
  tl_match m;
  luaL_Buffer b;
  bool changed = false;
  size_t length;
  luaL_checklstring(L, TEXT, &length);
  luaL_checkstring(L, 2);
  int type = lua_type(L, REPLACEMENT);
  lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)length + 1);
  check_replacement(L, type);
  tl_match_init(&m, L, runtime_of(L));
  begin(L, &m, TEXT, 2);
  bool anchored = take_anchor(&m);
  luaL_buffinit(L, &b);
  lua_Integer count = replace_all(&m, &b, most, anchored, &changed);
  if (changed)
    luaL_pushresult(&b);
  else
    lua_pushvalue(L, TEXT);
  lua_pushinteger(L, count);
  return 2;
}

/* Putting them in place. */

static const luaL_Reg functions[] = {
    {"find", find}, {"match", match}, {"gmatch", gmatch}, {"gsub", gsub}, {NULL, NULL}};

void tl_patterns_prepare(lua_State *L, tl_runtime *rt) {
  luaL_checkstack(L, LUA_MINSTACK, "tide");
  lua_newtable(L);
  for (const luaL_Reg *function = functions; function->name != NULL; function++) {
    lua_pushnil(L);
    lua_pushlightuserdata(L, rt);
    lua_pushcclosure(L, function->func, RUNTIME);
    lua_setfield(L, -2, function->name);
  }
  lua_getglobal(L, LUA_STRLIBNAME);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_STRLIBNAME);
  lua_replace(L, -2);
  lua_pushliteral(L, "");
  if (luaL_getmetafield(L, -1, "__index") == LUA_TNIL) lua_pushnil(L);
  lua_replace(L, -2);
}

/* Of the table on top, which is popped: what it has of the functions in the table at `table`. */
static void install_in(lua_State *L, int table) {
  if (lua_istable(L, -1)) {
    for (lua_pushnil(L); lua_next(L, table) != 0;) {
      lua_pushvalue(L, -2);
      if (lua_rawget(L, -4) != LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
      } else {
        lua_pop(L, 2);
      }
    }
  }
  lua_pop(L, 1);
}

void tl_patterns_install(lua_State *L) {
  int table = lua_gettop(L) - 3;
  for (int i = 0; i < 3; i++) install_in(L, table);
  lua_pop(L, 1);
}
