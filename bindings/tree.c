/* tree.c: tide.tree: a picture of all that runs, made of the core's tree of scopes. */
#include "class.h"
#include "debug.h"
#include "greenlet.h"
#include "group.h"
#include "parts.h"
#include "place.h"
#include "runtime.h"
#include "scope.h"
#include "task.h"
#include "value.h"

enum { INDEX = 1 }; /* on the stack: light userdata of a scope -> its node */

/* Each of these sets fields of the node on top. */

static void set_string(lua_State *L, const char *name, const char *value) {
  if (value == NULL) return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

static void set_seconds(lua_State *L, const char *name, tide_time when) {
  lua_pushnumber(L, tide_time_to_seconds(when));
  lua_setfield(L, -2, name);
}

static void set_awaited(lua_State *L, const tide_task *task) {
  tide_future *future = tide_task_awaits(task);
  if (future == NULL || !future->is_task) return;
  const tl_task *awaited = tl_task_of(tide_container(future, tide_task, future));
  if (awaited == NULL || awaited->slot == 0) return;
  tl_task_push(L, awaited);
  lua_setfield(L, -2, "awaits");
}

static void describe_lua_task(lua_State *L, const tl_task *task) {
  set_string(L, "status", tl_task_status(task));
  tl_task_push(L, task);
  tl_task_name_push(L, task, lua_gettop(L));
  lua_setfield(L, -3, "name");
  tl_debug_site_push(L, task->rt, -1);
  lua_setfield(L, -3, "spawned_at");
  lua_setfield(L, -2, "task");
  tl_place_push(L, task);
  lua_setfield(L, -2, "where");
}

static void describe_task(lua_State *L, tide_task *task) {
  static const char *const states[] = {"ready", "ready", "running", "waiting", "done"};
  const tl_task *ours = tl_task_of(task);
  set_string(L, "kind", "task");
  tl_set_integer(L, "id", (lua_Integer)task->id);
  if (task->state == TIDE_TASK_WAITING) {
    set_string(L, "waits_for", tide_task_waits_for(task));
    set_seconds(L, "since", tide_loop_now(task->loop) - tide_task_waited(task));
    set_awaited(L, task);
  }
  if (ours != NULL) {
    describe_lua_task(L, ours);
  } else {
    set_string(L, "name", task->ops->name);
    set_string(L, "status", states[task->state]);
  }
}

static void describe_group(lua_State *L, const tide_group *group) {
  set_string(L, "kind", "group");
  set_string(L, "name", tl_group_name(group));
  tl_set_integer(L, "running", group->live - group->held);
  tl_set_integer(L, "held", group->held);
}

static void describe_scope(lua_State *L, const tide_scope *scope) {
  set_string(L, "kind", "scope");
  tide_time deadline = tl_scope_deadline(scope);
  if (deadline != TIDE_NEVER) set_seconds(L, "deadline", deadline);
  if (scope->flags & TIDE_SCOPE_ITER)
    set_string(L, "iterator", tide_container(scope, const tide_iter, place)->ops->name);
  if (scope->flags & TIDE_SCOPE_SHIELD) tl_set_boolean(L, "shield", true);
}

static void describe_greenlet(lua_State *L, const tl_runtime *rt, const tide_scope *scope) {
  set_string(L, "kind", "greenlet");
  bool suspended = tl_greenlet_place_push(L, rt, scope);
  lua_setfield(L, -2, "where");
  tl_set_boolean(L, "suspended", suspended);
}

/* Pushes a node without children. */
static void push_node(lua_State *L, const tl_runtime *rt, const tide_scope *scope) {
  lua_newtable(L);
  if (scope->task != NULL && scope == &scope->task->own)
    describe_task(L, scope->task);
  else if (scope->flags & TIDE_SCOPE_GROUP)
    describe_group(L, tide_container(scope, const tide_group, scope));
  else if (scope->flags & TIDE_SCOPE_BRANCH)
    describe_greenlet(L, rt, scope);
  else
    describe_scope(L, scope);
  tl_set_boolean(L, "cancelled", tide_scope_cancelled(scope));
  lua_newtable(L);
  lua_setfield(L, -2, "children");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, INDEX, scope);
}

static void add_to_parent(lua_State *L, const tide_scope *parent) {
  lua_rawgetp(L, INDEX, parent);
  lua_getfield(L, -1, "children");
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 3);
}

/* Adds to the root's node, which is on top, what is in the group. */
static void add_group(lua_State *L, const tl_runtime *rt, const tide_group *group) {
  const tide_scope *top = &group->scope;
  lua_pushvalue(L, -1);
  lua_rawsetp(L, INDEX, top);
  for (const tide_scope *scope = top; (scope = tide_scope_next(top, scope)) != NULL;) {
    push_node(L, rt, scope);
    add_to_parent(L, scope->parent);
  }
}

/* In protected mode, and without a collection: a finalizer could change the tree. The host's tasks
 * come first, then those that were spawned outside of the run. */
static int build(lua_State *L) {
  const tl_runtime *rt = lua_touserdata(L, 1);
  lua_newtable(L);
  lua_replace(L, INDEX);
  push_node(L, rt, &rt->run.group.scope);
  add_group(L, rt, tide_loop_background(rt->loop));
  add_group(L, rt, &rt->run.outside);
  add_group(L, rt, &rt->run.group);
  return 1;
}

/* tide.tree_nodes() -> the node of the loop, with all below it */
static int tree_nodes(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_loop(L, rt);
  bool collecting = lua_gc(L, LUA_GCISRUNNING);
  lua_settop(L, 0);
  lua_pushcfunction(L, build);
  lua_pushlightuserdata(L, rt);
  lua_gc(L, LUA_GCSTOP);
  int status = lua_pcall(L, 1, 1, 0);
  if (collecting) lua_gc(L, LUA_GCRESTART);
  return status == LUA_OK ? 1 : lua_error(L);
}

void tl_tree_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"tree_nodes", tree_nodes}, {NULL, NULL}};
  tl_functions(L, rt, functions);
}
