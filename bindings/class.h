/* class.h: the classes of tide's objects: their metatables, and which of them an object has. */
#ifndef TL_CLASS_H
#define TL_CLASS_H

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>

typedef struct tl_runtime tl_runtime;

typedef enum tl_class {
  TL_TASK,
  TL_FUTURE,
  TL_HANDLE,
  TL_HOLD, /* of a callback or of await_callback: no methods */
  TL_SCOPE,
  TL_GROUP,
  TL_LOCK,
  TL_RWLOCK,
  TL_RWGUARD,
  TL_SEMAPHORE,
  TL_PERMITS, /* what a semaphore's acquire gives */
  TL_EVENT,
  TL_CONDITION,
  TL_BARRIER,
  TL_QUEUE,
  TL_SHARED_QUEUE,
  TL_PARCEL, /* what waits to be put into one: no methods */
  TL_RECEIPT,
  TL_JOIN,
  TL_SELECT, /* the record of a select: no metatable */
  TL_CASE,
  TL_GENERATOR,
  TL_GREENLET,
  TL_ITER,
  TL_LUA_ITER, /* what Lua keeps of an iterator that C has: no methods */
  TL_USE,      /* of an iterator's step */
  TL_LOCAL,
  TL_STREAM,
  TL_LISTENER,
  TL_DATAGRAM,
  TL_CONNECTOR,
  TL_FD,
  TL_CHANNEL,
  TL_TLS_CONTEXT, /* no methods, as the next one has none */
  TL_TLS_PEER,
  TL_ANSWER, /* where what dns has found goes: no methods */
  TL_ERROR,
  TL_CLASS_COUNT,
} tl_class;

typedef struct tl_classes {
  const void *metatables[TL_CLASS_COUNT]; /* lua_topointer of each class's metatable */
  int references[TL_CLASS_COUNT];         /* to the metatables, in the registry */
  void *last[TL_CLASS_COUNT];             /* the object that was checked last, or NULL */
  void (*release[TL_CLASS_COUNT])(tl_runtime *, void *); /* of owned.h's classes; or NULL */
} tl_classes;

void tl_classes_end(tl_classes *classes); /* no object is usable any more */

void tl_class_new(lua_State *L, tl_runtime *rt, tl_class class, const char *name,
                  const luaL_Reg *methods, const luaL_Reg *metamethods);
void tl_class_push(lua_State *L, const tl_runtime *rt, tl_class class);     /* its metatable */
void tl_functions(lua_State *L, tl_runtime *rt, const luaL_Reg *functions); /* into the top table */
void tl_constructor(lua_State *L, tl_runtime *rt, const char *name, tl_class class,
                    lua_CFunction call); /* module.name, for the class; the module is on top. NULL:
                                            its objects are made in other ways */

/* A new object, zeros, on top. [-0, +1, m] */
void *tl_object_new(lua_State *L, tl_runtime *rt, tl_class class, size_t size, int user_values);
void *tl_test(lua_State *L, const tl_runtime *rt, int index, tl_class class);  /* or NULL */
void *tl_check(lua_State *L, const tl_runtime *rt, int index, tl_class class); /* or raises */
void *tl_check_failed(lua_State *L, const tl_runtime *rt, int index, tl_class class);

#endif
