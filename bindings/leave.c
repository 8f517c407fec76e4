/* leave.c: the scopes that a coroutine has open when it ends: they end with it.
 *
 * Who has resumed it leaves them, as the end of their blocks would have: it awaits the children of
 * a TaskGroup, and gets the error that comes of it. Its stack meanwhile: the scope in which it
 * resumed, results, their number, the scope that is being left, and the error or nil. */
#include "body.h"
#include "coroutine.h"
#include "runtime.h"
#include "task.h"

/* Pushes the object whose scope that is, from the stack of the coroutine that failed, or a child of
 * the group's; or nil. */
static void push_owner(lua_State *L, lua_State *co, tide_scope *scope) {
  lua_Debug ar;
  for (int level = 0; lua_checkstack(co, 1) && lua_getstack(co, level, &ar); level++) {
    for (int i = 1; lua_getlocal(co, &ar, i) != NULL; i++) {
      lua_xmove(co, L, 1);
      if (lua_type(L, -1) == LUA_TUSERDATA && lua_touserdata(L, -1) == (void *)scope) return;
      lua_pop(L, 1);
    }
  }
  const tide_list *link = scope->children.next;
  for (; (scope->flags & TIDE_SCOPE_GROUP) && link != &scope->children; link = link->next) {
    const tide_scope *child = tide_container(link, const tide_scope, link);
    tl_task *task = child->task != NULL ? tl_task_of(child->task) : NULL;
    if (task != NULL && child == &task->task.own && tl_task_group_push(L, task)) return;
  }
  lua_pushnil(L);
}

/* Closes what is on top, or gives up the scope of which nothing is left. */
static int close_owner(lua_State *L, const tl_resumer *resumer, tide_scope *scope,
                       lua_KFunction left) {
  if (luaL_getmetafield(L, -1, "__close") == LUA_TNIL) {
    tide_scope_exit(scope);
    lua_pop(L, 1);
    return LUA_OK;
  }
  lua_insert(L, -2);
  lua_pushvalue(L, -3); /* the error */
  return lua_pcallk(L, 2, 0, 0, (lua_KContext)resumer, left);
}

static int leave_next(lua_State *L, const tl_resumer *resumer);

/* A scope was left; an error of that, on top, is the one that counts from now on, unless it says
 * that the scope could not be left. */
static void replace_error(lua_State *L, const tide_task *task) {
  if (task->scope == lua_touserdata(L, -3) && !lua_isnil(L, -2))
    lua_pop(L, 1);
  else
    lua_replace(L, -2);
}

static int left(lua_State *L, int status, lua_KContext resumer) {
  if (status != LUA_OK && status != LUA_YIELD) replace_error(L, &tl_rt(L)->current->task);
  return leave_next(L, (const tl_resumer *)resumer);
}

static int leave_next(lua_State *L, const tl_resumer *resumer) {
  tide_task *task = &tl_rt(L)->current->task;
  int results = (int)lua_tointeger(L, -3), count = results > 0 ? results : 0;
  const tide_scope *outer = lua_touserdata(L, -(count + 4));
  while (task->scope != outer && task->scope != &task->own) {
    tide_scope *scope = task->scope;
    if (scope == lua_touserdata(L, -2)) { /* it could not be left by its owner */
      tide_scope_exit(scope);
      continue;
    }
    lua_pushlightuserdata(L, scope);
    lua_replace(L, -3);
    push_owner(L, resumer->of(L), scope);
    if (close_owner(L, resumer, scope, left) != LUA_OK) replace_error(L, task);
  }
  if (results < 0 || !lua_isnil(L, -1)) return resumer->done(L, -1);
  lua_pop(L, 3);
  return resumer->done(L, count);
}

int tl_leave(lua_State *L, const tl_resumer *resumer, const tide_scope *outer, int results) {
  int count = results > 0 ? results : 0;
  luaL_checkstack(L, LUA_MINSTACK, "too many results to resume");
  if (results >= 0) lua_pushnil(L);
  lua_pushlightuserdata(L, (void *)(uintptr_t)outer);
  lua_insert(L, -(count + 2));
  lua_pushinteger(L, results);
  lua_pushnil(L);
  lua_rotate(L, -3, 2); /* the error, or nil, is on top */
  return leave_next(L, resumer);
}
