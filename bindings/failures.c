/* failures.c: what the children and the body of a TaskGroup have failed with, until somebody is
 * told.
 *
 * A group has a record of it from the first failure on: its user value FAILURES. Until the group
 * raises, the record is also in TL_FAILURES, at the group's address: so that it is found where the
 * group is left in another way (its task was killed, or ended with the group open). */
#include "failures.h"
#include "class.h"
#include "error.h"
#include "group.h"
#include "report.h"
#include "runtime.h"
#include "traceback.h"

enum {
  ERRORS = 1,          /* of a record: the list of errors */
  TRACES,              /* for each of them its traceback, or false */
  PLACES,              /* for each of them whose it was: a text that follows the traceback */
  BYTES,               /* of all tracebacks */
  LONG_TRACES = 65536, /* bytes; no more tracebacks are kept then */
};

static void push_new_record(lua_State *L) {
  lua_createtable(L, BYTES, 0);
  for (int field = ERRORS; field <= PLACES; field++) {
    lua_createtable(L, 1, 0);
    lua_rawseti(L, -2, field);
  }
  lua_pushinteger(L, 0);
  lua_rawseti(L, -2, BYTES);
}

/* Pushes the record of the group at `index`, which is made if there is none yet. That may collect,
 * and a finalizer kill a child that fails: then its record is there before. */
static void push_record(lua_State *L, const tl_runtime *rt, int index) {
  index = lua_absindex(L, index);
  if (lua_getiuservalue(L, index, TL_GROUP_FAILURES) == LUA_TTABLE) return;
  lua_pop(L, 1);
  push_new_record(L);
  if (lua_getiuservalue(L, index, TL_GROUP_FAILURES) == LUA_TTABLE) {
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  tl_table_push(L, rt, TL_FAILURES);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, lua_touserdata(L, index));
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, index, TL_GROUP_FAILURES);
}

/* Sets place `i` of a list of the record on top to the value at `index`. */
static void put(lua_State *L, int list, lua_Integer i, int index) {
  lua_rawgeti(L, -1, list);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, i);
  lua_pop(L, 1);
}

/* A traceback that is long already stays: groups that are nested deeply share it. Behind
 * push_record nothing collects any more, so that no other failure comes in between. */
void tl_failures_add(lua_State *L, const tl_runtime *rt, int index) {
  index = lua_absindex(L, index);
  int where = lua_gettop(L), trace = where - 1, error = where - 2;
  tl_error_value_push(L, error);
  lua_replace(L, error);
  push_record(L, rt, index);
  lua_rawgeti(L, -1, BYTES);
  lua_Integer bytes = lua_tointeger(L, -1);
  lua_rawgeti(L, -2, ERRORS);
  lua_Integer i = (lua_Integer)lua_rawlen(L, -1) + 1;
  lua_pop(L, 2);
  if (lua_isstring(L, trace) && bytes < LONG_TRACES) {
    lua_pushinteger(L, bytes + (lua_Integer)(lua_rawlen(L, trace) + lua_rawlen(L, where)));
    lua_rawseti(L, -2, BYTES);
  } else {
    lua_pushboolean(L, 0);
    lua_replace(L, trace);
  }
  put(L, PLACES, i, where);
  put(L, TRACES, i, trace);
  put(L, ERRORS, i, error);
  lua_settop(L, error - 1);
}

/* Pushes a list of the group's record; false: there is none. */
static bool push_list(lua_State *L, int index, int list) {
  if (lua_getiuservalue(L, index, TL_GROUP_FAILURES) != LUA_TTABLE) {
    lua_pop(L, 1);
    return false;
  }
  lua_rawgeti(L, -1, list);
  lua_remove(L, -2);
  return true;
}

lua_Integer tl_failures_count(lua_State *L, int index) {
  if (!push_list(L, index, ERRORS)) return 0;
  lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  lua_pop(L, 1);
  return count;
}

bool tl_failures_has(lua_State *L, int index, int error) {
  int top = lua_gettop(L);
  error = lua_absindex(L, error);
  if (!push_list(L, index, ERRORS)) return false;
  bool has = false;
  for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i > 0 && !has; i--) {
    lua_rawgeti(L, top + 1, i);
    has = lua_rawequal(L, -1, error);
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
  return has;
}

/* Pushes one text of the tracebacks in the record on top, or nothing. */
static bool push_traces(lua_State *L) {
  luaL_Buffer b;
  int record = lua_gettop(L);
  lua_rawgeti(L, record, TRACES);
  lua_rawgeti(L, record, PLACES);
  lua_rawgeti(L, record, BYTES);
  lua_Integer bytes = lua_tointeger(L, -1), count = (lua_Integer)lua_rawlen(L, record + 1);
  if (bytes == 0) {
    lua_settop(L, record);
    return false;
  }
  if (lua_rawgeti(L, record + 1, 1) == LUA_TSTRING && lua_rawlen(L, -1) >= LONG_TRACES) {
    lua_replace(L, record + 1);
    lua_settop(L, record + 1);
    return true;
  }
  luaL_buffinit(L, &b);
  for (lua_Integer i = 1; i <= count; i++) {
    for (int list = record + 1; list <= record + 2; list++) {
      lua_rawgeti(L, record + 1, i);
      bool has = lua_toboolean(L, -1);
      lua_pop(L, 1);
      if (!has) continue;
      lua_rawgeti(L, list, i);
      luaL_addvalue(&b);
      luaL_addchar(&b, '\n');
    }
  }
  luaL_traceback(L, L, NULL, 0);
  luaL_addvalue(&b);
  luaL_pushresult(&b);
  lua_replace(L, record + 1);
  lua_settop(L, record + 1);
  return true;
}

/* Makes an ErrorGroup of the list on top. */
static void make_group(lua_State *L, const tl_runtime *rt, int index, bool by_body) {
  bool named = lua_getiuservalue(L, index, TL_GROUP_NAME) != LUA_TNIL;
  lua_createtable(L, 0, named ? 5 : 4); /* of which there may be as many as functions can nest */
  lua_insert(L, -2);
  if (named)
    lua_setfield(L, -2, "name");
  else
    lua_pop(L, 1);
  lua_insert(L, -2);
  lua_setfield(L, -2, "errors");
  lua_pushstring(L, tide_error_kind(TIDE_EGROUP));
  lua_setfield(L, -2, "kind");
  lua_pushboolean(L, by_body);
  lua_setfield(L, -2, "by_body");
  tl_class_push(L, rt, TL_ERROR);
  lua_setmetatable(L, -2);
}

int tl_failures_raise(lua_State *L, const tl_runtime *rt, int index, bool by_body) {
  index = lua_absindex(L, index);
  push_list(L, index, ERRORS);
  make_group(L, rt, index, by_body);
  lua_getiuservalue(L, index, TL_GROUP_FAILURES);
  if (push_traces(L)) lua_setfield(L, -3, "traceback");
  lua_pop(L, 1);
  tl_failures_told(L, rt, index);
  return lua_error(L);
}

int tl_failures_raise_body(lua_State *L, const tl_runtime *rt, int index, int error) {
  index = lua_absindex(L, index);
  error = lua_absindex(L, error);
  lua_createtable(L, 1, 0);
  tl_error_value_push(L, error);
  lua_rawseti(L, -2, 1);
  make_group(L, rt, index, true);
  tl_traceback_take(L, rt, error);
  if (lua_isstring(L, -1)) {
    if (lua_rawlen(L, -1) < LONG_TRACES) {
      lua_pushliteral(L, "\n" TL_IN_BODY "\n");
      luaL_traceback(L, L, NULL, 0);
      lua_concat(L, 3);
    }
    lua_setfield(L, -2, "traceback");
  } else {
    lua_pop(L, 1);
  }
  return lua_error(L);
}

/* Takes the record out of TL_FAILURES: needs no memory. */
void tl_failures_told(lua_State *L, const tl_runtime *rt, int index) {
  const void *group = lua_touserdata(L, index);
  tl_table_push(L, rt, TL_FAILURES);
  if (lua_rawgetp(L, -1, group) != LUA_TNIL) {
    lua_pushnil(L);
    lua_rawsetp(L, -3, group);
  }
  lua_pop(L, 2);
}

/* Reports the failures in the record at `record` of a group: children of what is at `what`. */
static void report(lua_State *L, tl_runtime *rt, int record, int what) {
  int top = lua_gettop(L);
  lua_rawgeti(L, record, ERRORS);
  lua_rawgeti(L, record, TRACES);
  lua_Integer count = (lua_Integer)lua_rawlen(L, top + 1);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, top + 1, i);
    lua_rawgeti(L, top + 2, i);
    tl_report(L, rt, what, top + 3, top + 4);
    lua_settop(L, top + 2);
  }
  lua_settop(L, top);
}

void tl_failures_report(lua_State *L, tl_runtime *rt, const void *group) {
  int top = lua_gettop(L);
  tl_table_push(L, rt, TL_FAILURES);
  if (lua_rawgetp(L, -1, group) == LUA_TTABLE) {
    lua_pushnil(L);
    lua_rawsetp(L, top + 1, group);
    tl_group_describe(L, group);
    lua_pushfstring(L, "a child of %s", lua_tostring(L, -1));
    report(L, rt, top + 2, top + 4);
  }
  lua_settop(L, top);
}

/* Of all groups that were left without raising. What a report calls may make more of them: they are
 * gathered first. Meanwhile one may be collected, which takes it out of the table, and another be
 * in its place. */
void tl_failures_report_left(lua_State *L, tl_runtime *rt) {
  int top = lua_gettop(L);
  lua_newtable(L);
  tl_table_push(L, rt, TL_FAILURES);
  lua_Integer count = 0;
  for (lua_pushnil(L); lua_next(L, top + 2) != 0; lua_pop(L, 1)) {
    if (!tl_group_was_left(lua_touserdata(L, -2))) continue;
    lua_pushvalue(L, -2);
    lua_rawseti(L, top + 1, ++count);
  }
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, top + 1, i);
    const void *group = lua_touserdata(L, -1);
    if (lua_rawgetp(L, top + 2, group) != LUA_TNIL && tl_group_was_left(group))
      tl_failures_report(L, rt, group);
    lua_settop(L, top + 2);
  }
  lua_settop(L, top);
}
