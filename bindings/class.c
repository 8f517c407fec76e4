/* class.c: metatables of tide's objects, and checking arguments. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "class.h"
#include "late.h"
#include "parts.h"
#include "runtime.h"
#include "value.h"

void tl_functions(lua_State *L, tl_runtime *rt, const luaL_Reg *functions) {
  lua_pushlightuserdata(L, rt);
  luaL_setfuncs(L, functions, 1);
}

/* Gives the methods on top, a table of that class, another one behind it for those that users add.
 */
static void make_extensible(lua_State *L, tl_runtime *rt, const char *class) {
  lua_createtable(L, 0, 1);
  lua_newtable(L);
  tl_late_methods(L, rt, class, -3);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

void tl_class_new(lua_State *L, tl_runtime *rt, tl_class class, const char *name,
                  const luaL_Reg *methods, const luaL_Reg *metamethods) {
  lua_newtable(L);
  lua_pushstring(L, name);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__name");
  lua_setfield(L, -2, "__metatable"); /* no script gets at metamethods, finalizers above all */
  lua_newtable(L);
  if (methods != NULL) tl_functions(L, rt, methods);
  make_extensible(L, rt, name);
  lua_setfield(L, -2, "__index");
  if (metamethods != NULL) tl_functions(L, rt, metamethods);
  rt->classes.metatables[class] = lua_topointer(L, -1);
  rt->classes.references[class] = tl_anchor(L, rt->classes.references[class]);
}

void tl_classes_end(tl_classes *classes) {
  for (int class = 0; class < TL_CLASS_COUNT; class ++) {
    if (class != TL_ERROR)                  /* which finalizers are told by that it is over */
      classes->metatables[class] = classes; /* none has this address */
    classes->last[class] = NULL;
  }
}

void tl_class_push(lua_State *L, const tl_runtime *rt, tl_class class) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->classes.references[class]);
}

void *tl_object_new(lua_State *L, tl_runtime *rt, tl_class class, size_t size, int user_values) {
  void *object = lua_newuserdatauv(L, size, user_values);
  memset(object, 0, size);
  tl_class_push(L, rt, class);
  lua_setmetatable(L, -2);
  return object;
}

void *tl_test(lua_State *L, const tl_runtime *rt, int index, tl_class class) {
  void *object = lua_touserdata(L, index);
  if (object == NULL || !lua_getmetatable(L, index)) return NULL;
  const void *metatable = lua_topointer(L, -1);
  lua_pop(L, 1);
  return metatable == rt->classes.metatables[class] ? object : NULL;
}

static const char *class_name(lua_State *L, const tl_runtime *rt, tl_class class) {
  tl_class_push(L, rt, class);
  lua_getfield(L, -1, "__name");
  return lua_tostring(L, -1);
}

void *tl_check_failed(lua_State *L, const tl_runtime *rt, int index, tl_class class) {
  tl_loop(L, rt);                   /* where that is gone, so are all objects */
  bool none = lua_isnone(L, index); /* until the name comes on the stack */
  const char *name = class_name(L, rt, class);
  if (none) luaL_argerror(L, index, lua_pushfstring(L, "%s expected, got no value", name));
  luaL_typeerror(L, index, name);
  return NULL;
}

void *tl_check(lua_State *L, const tl_runtime *rt, int index, tl_class class) {
  void *object = tl_test(L, rt, index, class);
  return object != NULL ? object : tl_check_failed(L, rt, index, class);
}

static int construct(lua_State *L) {
  lua_CFunction call = lua_tocfunction(L, lua_upvalueindex(2));
  lua_remove(L, 1); /* the constructor itself */
  return call(L);
}

/* The class's __newindex: all objects have the method then. It goes behind the class's own methods,
 * which nobody can replace: tide's Lua part calls them. */
static int add_method(lua_State *L) {
  lua_settop(L, 3);
  if (lua_type(L, 2) == LUA_TSTRING) {
    const char *name = lua_tostring(L, 2);
    if (strncmp(name, "__", 2) == 0)
      return luaL_error(L, "'%s': metamethods cannot be added to a class of tide", name);
    lua_pushvalue(L, 2);
    lua_gettable(L, lua_upvalueindex(1)); /* where the Lua part has it, it comes */
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
      return luaL_error(L, "'%s' is a method of tide's own, which cannot be replaced", name);
    lua_settop(L, 3);
  }
  lua_rawset(L, lua_upvalueindex(2));
  return 0;
}

/* Replaces the methods on top by what stands for the class in a module: they are found in it,
 * others can be added, and where `call` is not NULL it is called to make objects. */
static void push_face(lua_State *L, tl_runtime *rt, lua_CFunction call) {
  int methods = lua_gettop(L);
  lua_newtable(L);
  lua_createtable(L, 0, 4);
  lua_pushliteral(L, "class");
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, methods);
  luaL_getmetafield(L, methods, "__index");
  lua_pushcclosure(L, add_method, 2);
  lua_setfield(L, -2, "__newindex");
  if (call != NULL) {
    lua_pushlightuserdata(L, rt);
    lua_pushcfunction(L, call);
    lua_pushcclosure(L, construct, 2);
    lua_setfield(L, -2, "__call");
  }
  lua_setmetatable(L, -2);
  lua_replace(L, methods);
}

void tl_constructor(lua_State *L, tl_runtime *rt, const char *name, tl_class class,
                    lua_CFunction call) {
  tl_class_push(L, rt, class);
  lua_getfield(L, -1, "__index");
  lua_remove(L, -2);
  push_face(L, rt, call);
  lua_setfield(L, -2, name);
}

/* tide.type(x) -> "Task", "Queue" ... | nil for what is not an object of tide */
static int type(lua_State *L) {
  luaL_checkany(L, 1);
  const tl_runtime *rt = tl_rt(L);
  if (!lua_getmetatable(L, 1)) {
    lua_pushnil(L);
    return 1;
  }
  const void *metatable = lua_topointer(L, -1);
  for (int class = 0; class < TL_CLASS_COUNT; class ++) {
    if (metatable != rt->classes.metatables[class]) continue;
    lua_getfield(L, -1, "__name");
    return 1;
  }
  tl_table_push(L, rt, TL_HOOKS);
  lua_insert(L, -2);
  lua_rawget(L, -2);
  return 1;
}

/* tide.new_class(name) -> methods, metatable, what stands for it in a module: a class of the Lua
 * part's, whose objects' metatable no script gets at either */
static int new_class(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  lua_settop(L, 1);
  lua_newtable(L); /* at 2 */
  make_extensible(L, tl_rt(L), lua_tostring(L, 1));
  lua_createtable(L, 0, 6); /* at 3 */
  lua_pushvalue(L, 1);
  lua_setfield(L, 3, "__name");
  lua_pushvalue(L, 1);
  lua_setfield(L, 3, "__metatable");
  lua_pushvalue(L, 2);
  lua_setfield(L, 3, "__index");
  tl_table_push(L, tl_rt(L), TL_HOOKS);
  lua_pushvalue(L, 3);
  lua_pushvalue(L, 1);
  lua_rawset(L, -3);
  lua_settop(L, 3);
  lua_pushvalue(L, 2);
  push_face(L, tl_rt(L), NULL);
  return 3;
}

/* tide.is_of(x, metatable): whether it is the one of x, also where that hides it */
static int is_of(lua_State *L) {
  lua_settop(L, 2);
  bool is = lua_getmetatable(L, 1) && lua_rawequal(L, 2, 3);
  lua_pushboolean(L, is);
  return 1;
}

/* tide.metafield(x, name) -> the field of x's metatable, or nil, also where that is hidden */
static int metafield(lua_State *L) {
  if (luaL_getmetafield(L, 1, luaL_checkstring(L, 2)) == LUA_TNIL) lua_pushnil(L);
  return 1;
}

/* For the Lua part, which does not get at metatables that are locked. */

/* tide.is_callable(value) -> boolean */
static int test_callable(lua_State *L) {
  lua_pushboolean(L, tl_is_callable(L, 1));
  return 1;
}

/* tide.type_name(value) -> as Lua's messages call it */
static int type_name(lua_State *L) {
  lua_settop(L, 1);
  int type = luaL_getmetafield(L, 1, "__name");
  if (type != LUA_TSTRING) lua_pushstring(L, luaL_typename(L, 1));
  return 1;
}

void tl_class_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"type", type},
                                       {"new_class", new_class},
                                       {"is_of", is_of},
                                       {"metafield", metafield},
                                       {"is_callable", test_callable},
                                       {"type_name", type_name},
                                       {NULL, NULL}};
  tl_functions(L, rt, functions);
}
