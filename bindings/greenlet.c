/* greenlet.c: the class of greenlets, and their end with the task. How they switch: switch.c. */
#include "greenlet.h"

#include <string.h>

#include "body.h"
#include "class.h"
#include "close.h"
#include "error.h"
#include "parts.h"
#include "place.h"
#include "report.h"
#include "task.h"
#include "value.h"

/* Main ones: TL_KEPT has them by the address of the task, or of the runtime. */

tl_greenlet *tl_greenlet_main_push(lua_State *L, tl_runtime *rt) {
  const void *key = rt->current != NULL ? (const void *)rt->current : rt;
  int top = lua_gettop(L);
  tl_table_push(L, rt, TL_KEPT);
  if (lua_rawgetp(L, -1, key) == LUA_TNIL) {
    lua_pop(L, 1);
    tl_greenlet *made = tl_object_new(L, rt, TL_GREENLET, sizeof *made, TL_GREENLET_VALUES);
    *made = (tl_greenlet){.rt = rt, .main = made, .stage = TL_INSIDE, .task = rt->current};
    tide_list_init(&made->begun);
    if (lua_rawgetp(L, -2, key) == LUA_TNIL) { /* else a finalizer has needed it meanwhile */
      lua_pop(L, 1);
      lua_pushvalue(L, -1);
      lua_rawsetp(L, -3, key);
      if (rt->current != NULL) rt->current->greenlets = true;
    }
  }
  tl_greenlet *found = lua_touserdata(L, -1);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return found;
}

/* That of the task, which has one; needs no memory. */
static tl_greenlet *find_main(lua_State *L, const tl_task *task) {
  tl_table_push(L, task->rt, TL_KEPT);
  lua_rawgetp(L, -1, task);
  tl_greenlet *found = lua_touserdata(L, -1);
  lua_pop(L, 2); /* the table keeps it */
  return found;
}

/* From beginning to end. */

void tl_greenlet_begin(lua_State *L, int index) {
  tl_greenlet *self = lua_touserdata(L, index);
  tl_task *task = self->main->task;
  luaL_checkstack(L, 3, NULL);
  tl_table_push(L, self->rt, TL_GREENLETS);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, self->track);
  tl_table_push(L, self->rt, TL_KEPT);
  lua_getiuservalue(L, index, TL_GREENLET_TRACK);
  lua_rawsetp(L, -2, self->track);
  lua_pop(L, 2);
  tide_branch_init(&self->track->branch);
  tide_list_append(&self->main->begun, &self->track->link);
  self->tracked = true;
  if (task != NULL && task->behind == TL_NOTHING) task->behind = TL_OPEN;
}

static void release(lua_State *L, const tl_runtime *rt, tl_track *track) {
  tide_branch_end(&track->branch);
  tide_list_remove(&track->link);
  tl_table_push(L, rt, TL_KEPT);
  lua_pushnil(L);
  lua_rawsetp(L, -2, track);
  lua_pop(L, 1);
}

void tl_greenlet_end(lua_State *L, tl_greenlet *self) {
  self->stage = TL_DEAD;
  if (!self->tracked) return;
  self->tracked = false;
  release(L, self->rt, self->track);
}

/* In protected mode: closes the coroutine of the greenlet at 1, as the cleanup of what is at 2. */
static int close_coroutines(lua_State *L) {
  const tl_greenlet *self = lua_touserdata(L, 1);
  const char *what = lua_touserdata(L, 2);
  tl_close_nested(L, self->rt, self->co, what);
  tl_close_coroutine(L, self->rt, self->co, what);
  return 0;
}

/* In the midst of its task what it has open is the task's while it is closed. */
void tl_greenlet_drop(lua_State *L, tl_greenlet *self, const char *what) {
  tl_task *task = self->main->task;
  tide_branch *branch = &self->track->branch;
  bool here = task != NULL && task == self->rt->current;
  self->stage = TL_DEAD;
  if (here && branch->innermost != NULL) tide_branch_enter(branch, &task->task);
  lua_pushcfunction(L, close_coroutines);
  lua_pushlightuserdata(L, self);
  lua_pushlightuserdata(L, (void *)(uintptr_t)what);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    tl_complain(self->rt, "%s failed, and reporting it failed too", what);
    lua_pop(L, 1);
  }
  tl_greenlet_end(L, self);
}

/* Pushes the one of the track; or nil, where it was collected. */
static tl_greenlet *push_owner(lua_State *L, const tl_runtime *rt, const tl_track *track) {
  tl_table_push(L, rt, TL_GREENLETS);
  lua_rawgetp(L, -1, track);
  lua_remove(L, -2);
  return lua_touserdata(L, -1);
}

/* One that is collected inside was left there by a resume that is not tide's. Else the state ends,
 * or somebody has called this by hand, which takes the debug library. */
static int greenlet_gc(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  tl_greenlet *self = tl_test(L, rt, 1, TL_GREENLET);
  if (self == NULL || self->co == NULL) return 0;
  if (self->stage == TL_SUSPENDED)
    tl_greenlet_drop(L, self, "the cleanup of a greenlet that was dropped");
  else if (self->tracked && push_owner(L, rt, self->track) == NULL)
    tl_greenlet_end(L, self);
  return 0;
}

/* The end of a task. */

/* Pushes the one that began last and can go on: NULL where there is none. Others are ended. */
static tl_greenlet *push_last(lua_State *L, tl_runtime *rt, const tl_greenlet *main) {
  while (!tide_list_empty(&main->begun)) {
    tl_track *track = tide_container(main->begun.prev, tl_track, link);
    tl_greenlet *self = push_owner(L, rt, track);
    if (self != NULL && self->stage == TL_SUSPENDED && lua_status(self->co) == LUA_YIELD)
      return self;
    lua_pop(L, 1);
    if (self == NULL)
      release(L, rt, track);
    else if (lua_status(self->co) == LUA_YIELD)
      tl_greenlet_drop(L, self, TL_GREENLET_ENDED); /* a foreign resume has left it in a wait */
    else
      tl_greenlet_end(L, self); /* it was closed with what it was inside of */
  }
  return NULL;
}

static int close_all(lua_State *L, int status, lua_KContext ctx) {
  tl_runtime *rt = tl_runtime_find(L);
  const tl_greenlet *main = find_main(L, rt->current);
  for (;;) {
    tl_body_behind_failed(L, status, TL_GREENLET_ENDED);
    lua_settop(L, 0);
    lua_pushlightuserdata(L, rt);
    lua_pushcclosure(L, tl_greenlet_close, 1);
    if (push_last(L, rt, main) == NULL) return 0;
    status = lua_pcallk(L, 1, 0, 0, ctx, close_all);
  }
}

int tl_greenlets_close(lua_State *L) { return close_all(L, LUA_OK, 0); }

void tl_greenlets_kill(lua_State *L, tl_task *task) {
  tl_runtime *rt = task->rt;
  const tl_greenlet *main = find_main(L, task);
  tl_task *current = rt->current;
  rt->current = task;
  for (tl_greenlet *self; (self = push_last(L, rt, main)) != NULL; lua_pop(L, 1))
    tl_greenlet_drop(L, self, TL_KILLED);
  rt->current = current;
}

void tl_greenlets_leave(lua_State *L, const tl_task *task) {
  tl_greenlet *main = find_main(L, task);
  while (!tide_list_empty(&main->begun)) {
    tl_track *track = tide_container(main->begun.prev, tl_track, link);
    tl_greenlet *self = push_owner(L, task->rt, track);
    if (self != NULL) self->tracked = false;
    release(L, task->rt, track);
    lua_pop(L, 1);
  }
  main->over = true;
  main->task = NULL;
  tl_table_push(L, task->rt, TL_KEPT);
  lua_pushnil(L);
  lua_rawsetp(L, -2, task);
  lua_pop(L, 1);
}

bool tl_greenlet_place_push(lua_State *L, const tl_runtime *rt, const tide_scope *branch) {
  const tl_greenlet *self = push_owner(L, rt, (const tl_track *)(const void *)branch);
  bool suspended = self != NULL && self->stage == TL_SUSPENDED;
  lua_pop(L, 1); /* its task keeps it, or the coroutine that it is in */
  if (suspended)
    tl_place_inside_push(L, self->co);
  else
    lua_pushnil(L);
  return suspended;
}

/* Fields. */

static bool is_dead(const tl_greenlet *self) { return self->stage == TL_DEAD || self->main->over; }

/* Whether `index` is the name of that field. */
static bool is_field(lua_State *L, int index, const char *name) {
  return lua_type(L, index) == LUA_TSTRING && strcmp(lua_tostring(L, index), name) == 0;
}

/* greenlet.dead, greenlet.parent; the methods are at the second upvalue */
static int greenlet_index(lua_State *L) {
  const tl_greenlet *self = tl_check(L, tl_rt(L), 1, TL_GREENLET);
  lua_settop(L, 2);
  if (is_field(L, 2, "dead"))
    lua_pushboolean(L, is_dead(self));
  else if (is_field(L, 2, "parent"))
    lua_getiuservalue(L, 1, TL_GREENLET_PARENT);
  else
    lua_gettable(L, lua_upvalueindex(2));
  return 1;
}

/* Whether the greenlet at 1 is the one at 3, or an ancestor of it. */
static bool is_ancestor(lua_State *L) {
  bool is = lua_rawequal(L, 1, 3);
  lua_pushvalue(L, 3);
  while (!is && lua_getiuservalue(L, -1, TL_GREENLET_PARENT) == LUA_TUSERDATA) {
    lua_replace(L, -2);
    is = lua_rawequal(L, 1, -1);
  }
  lua_settop(L, 3);
  return is;
}

static int greenlet_newindex(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  const tl_greenlet *self = tl_check(L, rt, 1, TL_GREENLET);
  lua_settop(L, 3);
  if (!is_field(L, 2, "parent"))
    return luaL_error(L, "a greenlet has no field '%s' to be set", luaL_tolstring(L, 2, NULL));
  const tl_greenlet *parent = tl_check(L, rt, 3, TL_GREENLET);
  if (self->co == NULL)
    return tl_raise_message(L, rt, TIDE_EMISUSE, "the main greenlet of a task has no parent");
  if (self->main != parent->main)
    return tl_raise_message(L, rt, TIDE_EMISUSE, "the parent is a greenlet of another task");
  if (is_ancestor(L))
    return tl_raise_message(L, rt, TIDE_EMISUSE, "a greenlet cannot be its own parent, or theirs");
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, 1, TL_GREENLET_PARENT);
  return 0;
}

static int greenlet_tostring(lua_State *L) {
  const tl_greenlet *self = tl_check(L, tl_rt(L), 1, TL_GREENLET);
  const char *state = is_dead(self)                 ? "dead"
                      : self->stage == TL_NEW       ? "new"
                      : self->stage == TL_SUSPENDED ? "suspended"
                      : self->co == NULL            ? "main"
                                                    : "running";
  lua_pushfstring(L, "greenlet(%s)", state);
  return 1;
}

/* tide.greenlet(fn) -> greenlet, whose parent is the present one */
static int new_greenlet(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_loop(L, rt);
  tl_check_callable(L, 1);
  lua_settop(L, 1);
  tl_greenlet_current(L); /* at 2 */
  tl_greenlet *main = ((tl_greenlet *)lua_touserdata(L, 2))->main;
  tl_greenlet_main_push(L, rt);
  lua_State *co = lua_newthread(L);
  tl_greenlet *self = tl_object_new(L, rt, TL_GREENLET, sizeof *self, TL_GREENLET_VALUES);
  tl_track *track = lua_newuserdatauv(L, sizeof *track, 0);
  memset(track, 0, sizeof *track);
  *self = (tl_greenlet){.rt = rt, .main = main, .co = co, .track = track, .at = co};
  lua_setiuservalue(L, 5, TL_GREENLET_TRACK);
  lua_pushvalue(L, 4);
  lua_setiuservalue(L, 5, TL_GREENLET_CO);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, 5, TL_GREENLET_MAIN);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 5, TL_GREENLET_PARENT);
  tl_greenlet_fill(L, 5, 1);
  self->stage = TL_NEW;
  return 1;
}

void tl_greenlet_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {{"switch", tl_greenlet_switch},
                                     {"throw", tl_greenlet_throw},
                                     {"close", tl_greenlet_close},
                                     {"current", tl_greenlet_current},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", tl_greenlet_close},
                                         {"__gc", greenlet_gc},
                                         {"__newindex", greenlet_newindex},
                                         {"__tostring", greenlet_tostring},
                                         {NULL, NULL}};
  tl_class_new(L, rt, TL_GREENLET, "greenlet", methods, metamethods);
  tl_constructor(L, rt, "greenlet", TL_GREENLET, new_greenlet);
  tl_class_push(L, rt, TL_GREENLET);
  lua_pushlightuserdata(L, rt);
  lua_getfield(L, -2, "__index");
  lua_pushcclosure(L, greenlet_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
