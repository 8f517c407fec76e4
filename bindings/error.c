/* error.c: error objects, and the tracebacks that errors leave behind. */
#include <string.h>

#include "bindings.h"

enum { NAME_SIZE = 64 };

/* Kinds that programs use to steer: no traceback is made for them. */
static bool is_signal(int error) {
  switch (error) {
  case TIDE_ECANCELLED:
  case TIDE_ETIMEOUT:
  case TIDE_ECLOSED:
  case TIDE_EQUEUE_FULL:
  case TIDE_EQUEUE_EMPTY:
  case TIDE_EEOF:
    return true;
  default:
    return false;
  }
}

void tl_error_push(lua_State *L, const tl_runtime *rt, int error, const char *message) {
  char name[NAME_SIZE];
  lua_createtable(L, 0, 6);
  lua_pushstring(L, tide_error_kind(error));
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, message != NULL ? message : tide_error_message(error));
  lua_setfield(L, -2, "message");
  if (tl_function_name(L, name, sizeof name) != NULL) {
    lua_pushstring(L, name);
    lua_setfield(L, -2, "op");
  }
  if (TIDE_IS_OS(error)) {
    lua_pushstring(L, tide_error_code(error));
    lua_setfield(L, -2, "code");
    lua_pushinteger(L, TIDE_ERRNO(error));
    lua_setfield(L, -2, "errno");
  }
  if (!is_signal(error)) {
    luaL_traceback(L, L, NULL, 1);
    lua_setfield(L, -2, "traceback");
  }
  tl_class_push(L, rt, TL_ERROR);
  lua_setmetatable(L, -2);
}

int tl_raise_message(lua_State *L, const tl_runtime *rt, int error, const char *message) {
  if (error == TIDE_ENOMEM) return luaL_error(L, "not enough memory");
  tl_error_push(L, rt, error, message);
  return lua_error(L);
}

int tl_raise(lua_State *L, const tl_runtime *rt, int error) {
  return tl_raise_message(L, rt, error, NULL);
}

static bool is_error(lua_State *L, const tl_runtime *rt, int index) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return false;
  bool is = lua_topointer(L, -1) == rt->metatables[TL_ERROR];
  lua_pop(L, 1);
  return is;
}

/* Like lua_getfield for a table's own field; its type. */
static int raw_field(lua_State *L, int index, const char *name) {
  index = lua_absindex(L, index);
  lua_pushstring(L, name);
  return lua_rawget(L, index);
}

void tl_error_value_push(lua_State *L, int index) {
  if (lua_isnil(L, index))
    lua_pushliteral(L, "<no error object>");
  else
    lua_pushvalue(L, index);
}

bool tl_error_is(lua_State *L, const tl_runtime *rt, int index, const char *kind) {
  if (!is_error(L, rt, index)) return false;
  bool is = raw_field(L, index, "kind") == LUA_TSTRING && strcmp(lua_tostring(L, -1), kind) == 0;
  lua_pop(L, 1);
  return is;
}

bool tl_error_is_cancel(lua_State *L, const tl_runtime *rt, int index) {
  if (!tl_error_is(L, rt, index, "cancelled")) return false;
  bool own = raw_field(L, index, "task") == LUA_TNIL; /* else: of a task that was awaited */
  lua_pop(L, 1);
  return own;
}

int tl_rethrow(lua_State *L, tl_runtime *rt) {
  rt->rethrowing = true;
  return lua_error(L);
}

/* Remembers the traceback of the error at 1 for this coroutine, unless it passed a handler further
 * in, which has done so. */
static void remember_traceback(lua_State *L, tl_runtime *rt) {
  bool again = rt->rethrowing;
  rt->rethrowing = false;
  tl_table_push(L, rt, TL_TRACEBACKS);
  lua_pushthread(L);
  if (again && lua_rawget(L, -2) == LUA_TTABLE) {
    lua_rawgeti(L, -1, 1);
    if (lua_rawequal(L, -1, 1)) return;
  }
  lua_settop(L, 2);
  lua_pushthread(L);
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  luaL_traceback(L, L, NULL, 1);
  lua_rawseti(L, -2, 2);
  lua_rawset(L, -3);
}

/* Lua's message names neither the limit nor a way around it. */
void tl_error_explain(lua_State *L) {
  static const char bare[] = "C stack overflow";
  size_t length;
  if (lua_type(L, -1) != LUA_TSTRING) return;
  const char *message = lua_tolstring(L, -1, &length);
  if (length < sizeof bare - 1 || strcmp(message + length - (sizeof bare - 1), bare) != 0) return;
  lua_pushfstring(L,
                  "%s: Lua allows about 200 nested calls of C functions that call back, such as "
                  "pcall, coroutine.wrap, tide.timeout(s, f), tide.scope(f) and tide.TaskGroup(f); "
                  "block forms nest deeper: local _ <close> = tide.timeout(s)",
                  message);
  lua_replace(L, -2);
}

int tl_message_handler(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  lua_settop(L, 1);
  tl_error_explain(L);
  if (is_error(L, rt, 1)) {
    rt->rethrowing = false;
    if (tl_error_is(L, rt, 1, "cancelled")) return 1;
    if (raw_field(L, 1, "traceback") == LUA_TNIL) {
      luaL_traceback(L, L, NULL, 1);
      lua_setfield(L, 1, "traceback");
    }
  } else {
    remember_traceback(L, rt);
  }
  lua_settop(L, 1);
  return 1;
}

void tl_traceback_forget(lua_State *L, const tl_runtime *rt) {
  tl_table_push(L, rt, TL_TRACEBACKS);
  lua_pushthread(L);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void tl_traceback_take(lua_State *L, const tl_runtime *rt, int error_index) {
  error_index = lua_absindex(L, error_index);
  if (is_error(L, rt, error_index)) {
    raw_field(L, error_index, "traceback");
    return;
  }
  int top = lua_gettop(L);
  lua_pushnil(L);
  tl_table_push(L, rt, TL_TRACEBACKS);
  lua_pushthread(L);
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    if (lua_rawequal(L, -2, error_index)) lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    tl_traceback_forget(L, rt);
  }
  lua_settop(L, top + 1);
}

/* err:__tostring: "op: message (code)", with the kind where nothing else tells it. */
static int to_string(lua_State *L) {
  luaL_Buffer b;
  lua_settop(L, 1);
  luaL_checktype(L, 1, LUA_TTABLE);
  int kind = raw_field(L, 1, "kind"), op = raw_field(L, 1, "op");
  int message = raw_field(L, 1, "message"), code = raw_field(L, 1, "code");
  luaL_buffinit(L, &b);
  if (kind == LUA_TSTRING) {
    luaL_addstring(&b, lua_tostring(L, 2));
    luaL_addstring(&b, ": ");
  }
  if (op == LUA_TSTRING) {
    luaL_addstring(&b, lua_tostring(L, 3));
    luaL_addstring(&b, ": ");
  }
  luaL_addstring(&b, message == LUA_TSTRING ? lua_tostring(L, 4) : "(no message)");
  if (code == LUA_TSTRING) {
    luaL_addstring(&b, " (");
    luaL_addstring(&b, lua_tostring(L, 5));
    luaL_addstring(&b, ")");
  }
  luaL_pushresult(&b);
  return 1;
}

/* tide.error(kind, message, fields) -> error */
static int new_error(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  luaL_checktype(L, 1, LUA_TSTRING);
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TSTRING);
  if (!lua_isnoneornil(L, 3)) luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  lua_createtable(L, 0, 4);
  if (lua_istable(L, 3)) {
    for (lua_pushnil(L); lua_next(L, 3) != 0;) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, 4);
    }
  }
  lua_pushvalue(L, 1);
  lua_setfield(L, 4, "kind");
  lua_pushvalue(L, 2);
  lua_setfield(L, 4, "message");
  tl_class_push(L, rt, TL_ERROR);
  lua_setmetatable(L, 4);
  return 1;
}

/* tide.is(value, kind) -> boolean */
static int is(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, tl_error_is(L, tl_rt(L), 1, luaL_checkstring(L, 2)));
  return 1;
}

void tl_error_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"error", new_error}, {"is", is}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", to_string}, {NULL, NULL}};
  tl_class_new(L, rt, TL_ERROR, "tide.error", NULL, metamethods);
  tl_functions(L, rt, functions);
}
