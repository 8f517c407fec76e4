/* value.c: checking arguments, and filling tables. */
#include "value.h"
#include "runtime.h"

tide_time tl_check_time(lua_State *L, int index) {
  double seconds = luaL_checknumber(L, index);
  luaL_argcheck(L, seconds == seconds, index, "must not be NaN");
  return tide_time_from_seconds(seconds);
}

bool tl_is_callable(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return true;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

void tl_check_callable(lua_State *L, int index) {
  if (TL_UNLIKELY(!tl_is_callable(L, index))) luaL_typeerror(L, index, "function");
}

size_t tl_check_count(lua_State *L, int index, size_t least) {
  lua_Integer count = luaL_checkinteger(L, index);
  luaL_argcheck(L, count >= 0 && (size_t)count >= least, index,
                least == 0 ? "must not be negative" : "must be at least 1");
  return (size_t)count;
}

size_t tl_check_size(lua_State *L, int index, size_t least) {
  size_t size = tl_check_count(L, index, least);
  luaL_argcheck(L, size <= INT32_MAX, index, "must be at most 2147483647");
  return size;
}

void tl_pack(lua_State *L, int first) {
  int count = lua_gettop(L) - first + 1;
  lua_createtable(L, count, 1);
  lua_insert(L, first);
  for (int i = count; i >= 1; i--) lua_rawseti(L, first, i);
  lua_pushinteger(L, count);
  lua_setfield(L, first, "n");
}

void tl_set_finalizer(lua_State *L, lua_CFunction finalizer) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, finalizer);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}

void tl_set_integer(lua_State *L, const char *name, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

void tl_set_boolean(lua_State *L, const char *name, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, name);
}

void tl_set_waiters(lua_State *L, const char *name, const tide_list *waiters) {
  tl_set_integer(L, name, (lua_Integer)tide_list_length(waiters));
}

void tl_copy_fields(lua_State *L, int from, int to) {
  from = lua_absindex(L, from);
  to = lua_absindex(L, to);
  for (lua_pushnil(L); lua_next(L, from) != 0;) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, to);
  }
}
