/* error.c: error objects. */
#include <string.h>

#include "class.h"
#include "error.h"
#include "name.h"
#include "parts.h"
#include "runtime.h"

enum { NAME_SIZE = 64, ERRNO_MAX = 4095 /* as the kernel has it */ };

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

static void push_message(lua_State *L, const tl_runtime *rt, int error, const char *message) {
  if (error == TIDE_EDEADLOCK) {
    tl_hook_push(L, rt, "deadlock_message");
    if (lua_isstring(L, -1)) return;
    lua_pop(L, 1);
  }
  lua_pushstring(L, message != NULL ? message : tide_error_message(error));
}

void tl_error_push(lua_State *L, const tl_runtime *rt, int error, const char *message) {
  char name[NAME_SIZE];
  lua_Debug ar;
  lua_createtable(L, 0, 6);
  lua_pushstring(L, tide_error_kind(error));
  lua_setfield(L, -2, "kind");
  push_message(L, rt, error, message);
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
  if (!is_signal(error) && lua_getstack(L, 1, &ar)) {
    luaL_traceback(L, L, NULL, 1);
    lua_setfield(L, -2, "traceback");
  }
  tl_class_push(L, rt, TL_ERROR);
  lua_setmetatable(L, -2);
}

static void keep_message(lua_State *L, int *reference, const char *message) {
  lua_pushstring(L, message);
  *reference = tl_anchor(L, *reference);
}

void tl_messages_open(lua_State *L, tl_messages *messages) {
  keep_message(L, &messages->no_memory, "not enough memory");
  keep_message(L, &messages->foreign_yield,
               "a task was suspended by a yield that is not one of tide's");
  keep_message(L, &messages->too_many, "stack overflow (too many results)");
  keep_message(L, &messages->too_deep,
               "C stack overflow: too many coroutines are closed inside each other");
}

int tl_raise_message(lua_State *L, const tl_runtime *rt, int error, const char *message) {
  if (error == TIDE_ENOMEM) return luaL_error(L, "not enough memory");
  tl_error_push(L, rt, error, message);
  return lua_error(L);
}

int tl_raise_in_use(lua_State *L, const tl_runtime *rt, const char *message) {
  tl_error_push(L, rt, TIDE_EMISUSE, message);
  lua_pushboolean(L, true);
  lua_setfield(L, -2, "in_use");
  return lua_error(L);
}

int tl_raise(lua_State *L, const tl_runtime *rt, int error) {
  return tl_raise_message(L, rt, error, NULL);
}

bool tl_is_error(lua_State *L, const tl_runtime *rt, int index) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return false;
  bool is = lua_topointer(L, -1) == rt->classes.metatables[TL_ERROR];
  lua_pop(L, 1);
  return is;
}

int tl_error_field_push(lua_State *L, int index, const char *name) {
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

bool tl_error_kind_push(lua_State *L, const tl_runtime *rt, int index) {
  if (!tl_is_error(L, rt, index)) return false;
  if (tl_error_field_push(L, index, "kind") == LUA_TSTRING) return true;
  lua_pop(L, 1);
  return false;
}

bool tl_error_is(lua_State *L, const tl_runtime *rt, int index, const char *kind) {
  if (!tl_error_kind_push(L, rt, index)) return false;
  bool is = strcmp(lua_tostring(L, -1), kind) == 0;
  lua_pop(L, 1);
  return is;
}

bool tl_error_is_cancel(lua_State *L, const tl_runtime *rt, int index) {
  if (!tl_error_is(L, rt, index, "cancelled")) return false;
  bool own =
      tl_error_field_push(L, index, "task") == LUA_TNIL; /* else: of a task that was awaited */
  lua_pop(L, 1);
  return own;
}

bool tl_error_was_asked(lua_State *L, const tl_runtime *rt, int index, const tide_scope *scope) {
  if (tide_scope_cancelled(scope)) return tl_error_is(L, rt, index, "cancelled");
  return (scope->flags & TIDE_SCOPE_RECALLED) && tl_error_is_cancel(L, rt, index);
}

/* The number of errors of that kind. Where several have one kind, the first of the table. */
static int number_of_kind(const char *kind) {
  static const struct {
    const char *kind;
    int number;
  } numbers[] = {
#define KIND(name, number, kind, message) {kind, -(number)},
      TIDE_ERRORS(KIND)
#undef KIND
  };
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (strcmp(numbers[i].kind, kind) == 0) return numbers[i].number;
  return TIDE_EFAILED;
}

/* The same of one of the operating system's. Scripts may put anything there. */
static int number_of_os(lua_State *L, int index) {
  tl_error_field_push(L, index, "errno");
  lua_Integer number = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
  lua_pop(L, 1);
  return number > 0 && number <= ERRNO_MAX ? TIDE_OS((int)number) : TIDE_EFAILED;
}

int tl_error_number(lua_State *L, const tl_runtime *rt, int index) {
  if (lua_type(L, index) == LUA_TSTRING)
    return strcmp(lua_tostring(L, index), "not enough memory") == 0 ? TIDE_ENOMEM : TIDE_EFAILED;
  index = lua_absindex(L, index);
  if (!tl_error_kind_push(L, rt, index)) return TIDE_EFAILED;
  const char *kind = lua_tostring(L, -1);
  bool is_os = strcmp(kind, "os") == 0;
  int number = is_os ? number_of_os(L, index) : number_of_kind(kind);
  lua_pop(L, 1);
  return number;
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

/* Pushes what is told behind the message: the code, or the reason of a cancellation; or nil. */
static void push_detail(lua_State *L) {
  if (tl_error_field_push(L, 1, "code") == LUA_TSTRING) return;
  lua_pop(L, 1);
  if (tl_error_field_push(L, 1, "reason") == LUA_TNIL || lua_rawequal(L, -1, 1)) return;
  luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
}

/* err:__tostring: "kind: op: message (code)", without what there is not, or is the same. */
static int to_string(lua_State *L) {
  lua_settop(L, 1);
  luaL_checktype(L, 1, LUA_TTABLE);
  bool has_kind = tl_error_field_push(L, 1, "kind") == LUA_TSTRING;
  bool has_op = tl_error_field_push(L, 1, "op") == LUA_TSTRING;
  if (has_kind && has_op && lua_rawequal(L, 2, 3)) has_op = false;
  lua_getfield(L, 1, "message"); /* of an ErrorGroup it is made now */
  push_detail(L);
  if (!lua_isstring(L, 5)) lua_settop(L, 4);
  lua_pushfstring(L, "%s%s%s%s%s%s%s%s", has_kind ? lua_tostring(L, 2) : "", has_kind ? ": " : "",
                  has_op ? lua_tostring(L, 3) : "", has_op ? ": " : "",
                  lua_isstring(L, 4) ? lua_tostring(L, 4) : "(no message)",
                  lua_isstring(L, 5) ? " (" : "", lua_isstring(L, 5) ? lua_tostring(L, 5) : "",
                  lua_isstring(L, 5) ? ")" : "");
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

/* err:__index: the methods, at the second upvalue; the message of an ErrorGroup is made. */
static int index_error(lua_State *L) {
  lua_settop(L, 2);
  bool message = lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "message") == 0;
  if (message && tl_error_is(L, tl_rt(L), 1, tide_error_kind(TIDE_EGROUP))) {
    tl_hook_push(L, tl_rt(L), "group_message");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
  } else {
    lua_gettable(L, lua_upvalueindex(2));
  }
  return 1;
}

void tl_error_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"error", new_error}, {"is", is}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", to_string}, {NULL, NULL}};
  tl_class_new(L, rt, TL_ERROR, "tide.error", NULL, metamethods);
  tl_class_push(L, rt, TL_ERROR);
  lua_pushlightuserdata(L, rt);
  lua_getfield(L, -2, "__index");
  lua_pushvalue(L, -1);
  lua_setfield(L, -5, "error_methods");
  lua_pushcclosure(L, index_error, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  tl_functions(L, rt, functions);
}
