/* place.h: where code is, across the coroutines inside a task. */
#ifndef TL_PLACE_H
#define TL_PLACE_H

#include <lua.h>
#include <stdbool.h>

typedef struct tl_runtime tl_runtime;
typedef struct tl_task tl_task;

/* Where a scope was opened that is to be left by `<close>`. */
typedef struct tl_site {
  int line; /* 0: not known */
  char source[LUA_IDSIZE];
} tl_site;

void tl_site_set(lua_State *L, tl_site *site);       /* to who called the C function that runs */
void tl_site_add(lua_State *L, const tl_site *site); /* " opened at ..." to the text on top */

bool tl_place_is_tides(const lua_Debug *ar); /* has it a chunk compiled into tide; needs "S" */
void tl_place_push(lua_State *L, const tl_task *task);  /* "file:line", or nil where it has none */
void tl_place_inside_push(lua_State *L, lua_State *co); /* the same of one that is suspended */
void tl_place_here_push(lua_State *L, const tl_runtime *rt); /* the same of L, which runs */
void tl_trace_push(lua_State *L, const tl_task *task);       /* a traceback, or nil */
/* The traceback of L, which runs, from that level on, and of what it was resumed in. */
void tl_trace_running_push(lua_State *L, const tl_runtime *rt, int level);

#endif
