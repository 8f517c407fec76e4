/* place.c: where code is in the source, across the coroutines that a task is made of. */
#include <string.h>

#include "coroutine.h"
#include "nesting.h"
#include "place.h"
#include "runtime.h"
#include "task.h"

/* Chunks of files begin with "@". */
bool tl_place_is_tides(const lua_Debug *ar) { return strncmp(ar->source, "=tide.", 6) == 0; }

void tl_site_set(lua_State *L, tl_site *site) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0) continue;
    site->line = ar.currentline;
    memcpy(site->source, ar.short_src, sizeof site->source);
    return;
  }
}

void tl_site_add(lua_State *L, const tl_site *site) {
  if (site->line == 0) return;
  lua_pushfstring(L, "%s opened at %s:%d", lua_tostring(L, -1), site->source, site->line);
  lua_replace(L, -2);
}

/* Pushes "file:line" of the innermost function that is neither C's nor tide's own; whether there is
 * one. */
static bool push_line(lua_State *L, lua_State *co) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "Sl", &ar);
    if (ar.currentline <= 0 || tl_place_is_tides(&ar)) continue;
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
    return true;
  }
  return false;
}

/* From L, which runs, outward to the task's coroutine. */
static bool push_running_line(lua_State *L, const tl_runtime *rt) {
  if (push_line(L, L)) return true;
  for (const tl_nesting *nesting = rt->nesting; nesting != NULL; nesting = nesting->outer)
    if (push_line(L, nesting->resumer)) return true;
  return false;
}

/* From the innermost coroutine outward to `co`. They are at most as deep as C calls may be. */
static bool push_suspended_line(lua_State *L, lua_State *co) {
  lua_State *inner = tl_coroutine_inside(co);
  return (inner != NULL && push_suspended_line(L, inner)) || push_line(L, co);
}

void tl_place_inside_push(lua_State *L, lua_State *co) {
  if (!push_suspended_line(L, co)) lua_pushnil(L);
}

void tl_place_here_push(lua_State *L, const tl_runtime *rt) {
  if (!push_running_line(L, rt)) lua_pushnil(L);
}

void tl_place_push(lua_State *L, const tl_task *task) {
  if (task == task->rt->current)
    tl_place_here_push(L, task->rt);
  else if (task->co != NULL)
    tl_place_inside_push(L, task->co);
  else
    lua_pushnil(L);
}

/* Adds the traceback of `co` to the one on top. */
static void add_trace(lua_State *L, lua_State *co) {
  lua_pushliteral(L, "\nin a coroutine resumed at\n");
  luaL_traceback(L, co, NULL, 0);
  lua_concat(L, 3);
}

static void push_suspended_trace(lua_State *L, lua_State *co) {
  lua_State *inner = tl_coroutine_inside(co);
  if (inner == NULL) {
    luaL_traceback(L, co, NULL, 0);
  } else {
    push_suspended_trace(L, inner);
    add_trace(L, co);
  }
}

void tl_trace_running_push(lua_State *L, const tl_runtime *rt, int level) {
  luaL_traceback(L, L, NULL, level);
  for (const tl_nesting *nesting = rt->nesting; nesting != NULL; nesting = nesting->outer)
    add_trace(L, nesting->resumer);
}

void tl_trace_push(lua_State *L, const tl_task *task) {
  if (task == task->rt->current)
    tl_trace_running_push(L, task->rt, 1);
  else if (task->co != NULL)
    push_suspended_trace(L, task->co);
  else
    lua_pushnil(L);
}
