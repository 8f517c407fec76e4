/* options.c: tables of options, read in one way by all functions in C and in Lua.
 *
 * What a function knows is a string, such as "timeout:seconds shield:flag": names, each with the
 * kind of its value, which is one of `kinds`, "a|b" for the strings a and b, or the name of a
 * class. A function whose table is a list as well begins it with "[]". */
#include <math.h>
#include <string.h>

#include "class.h"
#include "options.h"
#include "parts.h"
#include "runtime.h"
#include "value.h"

typedef struct entry {
  const char *name, *kind;
  size_t name_size, kind_size;
} entry;

/* The next word of *known, which is moved on; or false at its end. */
static bool next_word(const char **known, entry *word) {
  const char *at = *known + strspn(*known, " ");
  if (*at == '\0') return false;
  word->name = at;
  word->name_size = strcspn(at, ":");
  word->kind = at + word->name_size + 1;
  word->kind_size = strcspn(word->kind, " ");
  *known = word->kind + word->kind_size;
  return true;
}

/* Past the "[]" of a list. */
static const char *words_of(const char *known) { return known[0] == '[' ? known + 2 : known; }

/* Keys. */

static bool is_known(lua_State *L, int key, const char *known) {
  entry word;
  size_t size;
  if (lua_type(L, key) != LUA_TSTRING) return false;
  const char *name = lua_tolstring(L, key, &size);
  if (known[0] == '[' && strcmp(name, "n") == 0) return true; /* of table.pack */
  for (known = words_of(known); next_word(&known, &word);)
    if (word.name_size == size && memcmp(word.name, name, size) == 0) return true;
  return false;
}

/* Whether it is an option that is there only to be refused. */
static bool is_missing(const entry *word) {
  static const char kind[] = "missing";
  return word->kind_size == sizeof kind - 1 && memcmp(word->kind, kind, word->kind_size) == 0;
}

static const char *describe_unknown(lua_State *L, int key, const char *known) {
  entry word;
  luaL_Buffer b;
  const char *separator = "";
  luaL_tolstring(L, key, NULL);
  luaL_buffinit(L, &b);
  for (known = words_of(known); next_word(&known, &word);) {
    if (is_missing(&word)) continue;
    luaL_addstring(&b, separator);
    separator = ", ";
    luaL_addchar(&b, '\'');
    luaL_addlstring(&b, word.name, word.name_size);
    luaL_addchar(&b, '\'');
  }
  luaL_pushresult(&b);
  bool none = lua_rawlen(L, -1) == 0;
  return lua_pushfstring(
      L, none ? "unknown option '%s': there are none" : "unknown option '%s': there are %s",
      lua_tostring(L, -2), lua_tostring(L, -1));
}

/* What is wrong with the keys of the table, or NULL. May push values. */
static const char *check_keys(lua_State *L, int table, const char *known) {
  lua_Integer length = known[0] == '[' ? (lua_Integer)lua_rawlen(L, table) : 0;
  luaL_checkstack(L, 8, NULL);
  for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
    int key = lua_gettop(L) - 1;
    if (lua_isinteger(L, key) && known[0] == '[') {
      lua_Integer i = lua_tointeger(L, key);
      if (i >= 1 && i <= length) continue;
      return lua_pushfstring(L, "entry %I comes behind a nil", (LUAI_UACINT)i);
    }
    if (!is_known(L, key, known)) return describe_unknown(L, key, known);
  }
  return NULL;
}

/* Values. */

static bool is_flag(lua_State *L) { return lua_isboolean(L, -1); }
static bool is_number(lua_State *L) {
  return lua_type(L, -1) == LUA_TNUMBER && !isnan(lua_tonumber(L, -1));
}
static bool is_span(lua_State *L) { return is_number(L) && lua_tonumber(L, -1) >= 0; }
static bool is_size(lua_State *L) { return is_number(L) && lua_tonumber(L, -1) >= 1; }
static bool is_integer(lua_State *L) {
  return lua_type(L, -1) == LUA_TNUMBER && lua_isinteger(L, -1);
}
static bool is_count(lua_State *L) {
  return is_integer(L) && lua_tointeger(L, -1) >= 1 && lua_tointeger(L, -1) <= INT32_MAX;
}
static bool is_port(lua_State *L) {
  return is_integer(L) && lua_tointeger(L, -1) >= 0 && lua_tointeger(L, -1) <= UINT16_MAX;
}
static bool is_string(lua_State *L) { return lua_type(L, -1) == LUA_TSTRING; }
static bool is_function(lua_State *L) { return tl_is_callable(L, -1); }

static bool is_any(lua_State *L) { return !lua_isnil(L, -1); }
static bool is_off(lua_State *L) { return is_flag(L) && !lua_toboolean(L, -1); }

static const struct kind {
  const char *name;
  bool (*is)(lua_State *L); /* the value on top */
  const char *otherwise;
} kinds[] = {
    {"flag", is_flag, "must be a boolean"},
    {"seconds", is_number, "must be a number"},
    {"span", is_span, "must be a number of seconds, not negative"},
    {"size", is_size, "must be a positive number"},
    {"integer", is_integer, "must be an integer"},
    {"count", is_count, "must be a positive integer, at most 2147483647"},
    {"port", is_port, "must be a port (0 to 65535)"},
    {"string", is_string, "must be a string"},
    {"function", is_function, "must be a function"},
    {"any", is_any, "must not be nil"}, /* who reads it looks closer */
    {"missing", is_off, "is not supported in this version"},
};

static const struct kind *find_kind(const entry *word) {
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strlen(kinds[i].name) == word->kind_size &&
        memcmp(kinds[i].name, word->kind, word->kind_size) == 0)
      return &kinds[i];
  return NULL;
}

/* Whether the string is one of the kind's words, which '|' separates. */
static bool is_choice(const entry *word, const char *string, size_t size) {
  const char *end = word->kind + word->kind_size;
  for (const char *at = word->kind; at < end;) {
    const char *bar = memchr(at, '|', (size_t)(end - at));
    size_t length = (size_t)((bar != NULL ? bar : end) - at);
    if (length == size && memcmp(at, string, size) == 0) return true;
    at += length + 1;
  }
  return false;
}

/* A kind that is none of `kinds`. */
static bool is_other(lua_State *L, const entry *word) {
  size_t size;
  const char *string = NULL;
  if (memchr(word->kind, '|', word->kind_size) == NULL) {
    if (luaL_getmetafield(L, -1, "__name") == LUA_TNIL) return false;
    string = lua_tolstring(L, -1, &size);
    lua_pop(L, 1); /* the metatable has it */
  } else if (is_string(L)) {
    string = lua_tolstring(L, -1, &size);
  }
  return string != NULL && is_choice(word, string, size);
}

static const char *describe_wrong(lua_State *L, const entry *word, const struct kind *kind) {
  lua_pushlstring(L, word->name, word->name_size);
  if (kind != NULL)
    return lua_pushfstring(L, "field '%s' %s", lua_tostring(L, -1), kind->otherwise);
  lua_pushlstring(L, word->kind, word->kind_size);
  if (memchr(word->kind, '|', word->kind_size) == NULL)
    return lua_pushfstring(L, "field '%s' must be a %s", lua_tostring(L, -2), lua_tostring(L, -1));
  luaL_gsub(L, lua_tostring(L, -1), "|", "' or '");
  return lua_pushfstring(L, "field '%s' must be '%s'", lua_tostring(L, -3), lua_tostring(L, -1));
}

/* Pushes the option that the word names, or nil. What is wrong with it, or NULL. */
static const char *push_value(lua_State *L, int table, const entry *word) {
  lua_pushlstring(L, word->name, word->name_size);
  if (lua_gettable(L, table) == LUA_TNIL) return NULL;
  const struct kind *kind = find_kind(word);
  bool right = kind != NULL ? kind->is(L) : is_other(L, word);
  return right ? NULL : describe_wrong(L, word, kind);
}

/* Pushes the values of what is known, in that order: nil for what is missing. Or returns what is
 * wrong with the table. The value at `index` is a table, or nil or none. */
static const char *read(lua_State *L, int index, const char *known) {
  entry word;
  int top = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (lua_isnoneornil(L, index)) { /* the usual case: one nil for each ':' */
    while ((known = strchr(known, ':')) != NULL) {
      lua_pushnil(L);
      known++;
    }
    return NULL;
  }
  const char *problem = check_keys(L, index, known);
  if (problem != NULL) return problem;
  lua_settop(L, top);
  for (known = words_of(known); problem == NULL && next_word(&known, &word);)
    problem = push_value(L, index, &word);
  return problem;
}

int tl_options(lua_State *L, int index, const char *known) {
  if (!lua_isnoneornil(L, index)) luaL_checktype(L, index, LUA_TTABLE);
  while (lua_gettop(L) < index) lua_pushnil(L);
  int first = lua_gettop(L) + 1;
  const char *problem = read(L, index, known);
  if (problem != NULL) luaL_argerror(L, index, problem);
  return first;
}

/* tide.read_options(table | nil, known) -> what is wrong | nil, the values of what is known, in
 * order */
static int read_options(lua_State *L) {
  const char *known = luaL_checkstring(L, 2);
  lua_settop(L, 2);
  lua_pushnil(L);
  const char *problem = read(L, 1, known);
  if (problem == NULL) return lua_gettop(L) - 2;
  lua_pushstring(L, problem);
  return 1;
}

void tl_options_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"read_options", read_options}, {NULL, NULL}};
  tl_functions(L, rt, functions);
}
