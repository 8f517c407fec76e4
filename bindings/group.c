/* group.c: TaskGroup. */
#include "group.h"
#include "class.h"
#include "debug.h"
#include "error.h"
#include "failures.h"
#include "generator.h"
#include "make.h"
#include "options.h"
#include "parts.h"
#include "place.h"
#include "protect.h"
#include "reason.h"
#include "report.h"
#include "runtime.h"
#include "scope.h"
#include "task.h"
#include "traceback.h"
#include "value.h"
#include "wait.h"

typedef struct tl_group {
  tide_group group; /* first */
  tl_runtime *rt;   /* whose */
  const char *name; /* the user value, or NULL */
  tl_site site;     /* where it was opened, in the block form */
  bool cancelled;   /* by group:cancel() */
  bool refused;     /* the body was left by the `closed` of its own spawn: as if cancelled */
  bool deadlocked;  /* nothing could wake the children: they were cancelled for it */
  bool own;         /* the body has failed: its error is among the failures, */
  bool alone;       /* or where there are no others, only at 2 */
} tl_group;

static tl_group *check_group(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_GROUP); }

bool tl_group_is_ours(const tide_group *group) { return (group->scope.flags & TL_SCOPE_OURS) != 0; }

const char *tl_group_name(const tide_group *group) {
  if (!tl_group_is_ours(group)) return NULL;
  return tide_container(group, const tl_group, group)->name;
}

bool tl_group_was_left(const void *group) {
  return !(((const tl_group *)group)->group.scope.flags & TIDE_SCOPE_ENTERED);
}

void tl_group_describe(lua_State *L, const void *address) {
  const tl_group *group = address;
  bool named = group->name != NULL;
  lua_pushfstring(L, "%s%s%s", named ? "TaskGroup '" : "a TaskGroup", named ? group->name : "",
                  named ? "'" : "");
  tl_site_add(L, &group->site);
}

/* Whether the scope is a group whose children are cancelled with it, and not before. */
static bool is_in_use(const tide_scope *scope) {
  uint32_t both = TL_SCOPE_OURS | TIDE_SCOPE_GROUP;
  if ((scope->flags & both) != both || tide_scope_cancelled(scope)) return false;
  return tide_container(scope, const tide_group, scope)->live > 0;
}

void tl_group_report_open(lua_State *L, tl_runtime *rt, const tl_task *task) {
  const tide_scope *scope = task->task.scope;
  for (; scope != &task->task.own; scope = scope->parent) {
    if (!is_in_use(scope)) continue;
    int live = (int)tide_container(scope, const tide_group, scope)->live;
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    tl_group_describe(L, scope);
    lua_pushfstring(
        L,
        "it was left without <close>, and the end of its task has cancelled %d %s: write "
        "local _ <close> = ...",
        live, live == 1 ? "child" : "children");
    tl_error_push(L, rt, TIDE_EMISUSE, lua_tostring(L, -1));
    lua_replace(L, -2);
    tl_report_later(L, rt);
  }
}

/* Whether the current task still is a child of the group: that may have been taken away. */
static bool is_child(const tl_runtime *rt, const tl_group *group) {
  return rt->current->task.own.parent == &group->group.scope;
}

bool tl_group_on_error_push(lua_State *L, const tl_runtime *rt, int index) {
  const tl_group *group = lua_touserdata(L, index);
  if (!group->group.lenient || !is_child(rt, group)) return false;
  lua_getiuservalue(L, index, TL_GROUP_ON_ERROR);
  return true;
}

void tl_group_add_failure(lua_State *L, const tl_runtime *rt, int index) {
  tl_group *group = lua_touserdata(L, index);
  if (!is_child(rt, group)) {
    lua_pop(L, 2);
    return;
  }
  if (group->group.lenient) tide_defer_start(&group->group.failure, rt->loop);
  int trace = lua_gettop(L);
  tl_task_push(L, rt->current);
  tl_task_name_push(L, rt->current, lua_gettop(L));
  lua_pushfstring(L, "in task '%s', of this group:", lua_tostring(L, -1));
  lua_replace(L, trace + 1);
  lua_settop(L, trace + 1);
  tl_failures_add(L, rt, index);
}

/* Adds the body's error at 2 to the failures, unless it is a child's that the body awaited. */
static void add_failure(lua_State *L, tl_group *group) {
  if (tl_failures_has(L, 1, 2)) return;
  group->own = true;
  group->alone = group->group.live == 0 && tl_failures_count(L, 1) == 0;
  if (group->alone) return;
  lua_pushvalue(L, 2);
  tl_traceback_take(L, group->rt, 2);
  lua_pushliteral(L, TL_IN_BODY);
  tl_failures_add(L, group->rt, 1);
}

/* Children that had no memory left to put their error into the list are in it together. */
static lua_Integer count_failures(lua_State *L, const tl_group *group) {
  if (!group->group.supervised) return 0;
  lua_Integer listed = tl_failures_count(L, 1);
  if (group->group.lenient) return listed;
  if ((lua_Integer)group->group.failed <= listed - (group->own ? 1 : 0)) return listed;
  lua_pushliteral(L, "a task failed, and its error could not be kept; it was reported");
  lua_pushnil(L);
  lua_pushliteral(L, "");
  tl_failures_add(L, group->rt, 1);
  return listed + 1;
}

/* Makes a group for the current task, and leaves it on top. */
static tl_group *make_group(lua_State *L, tl_runtime *rt, uint32_t max) {
  tl_waiter(L, rt);
  tl_group *group = tl_object_new(L, rt, TL_GROUP, sizeof *group, TL_GROUP_VALUES);
  group->rt = rt;
  tide_group_init(&group->group, rt->loop, max, true);
  group->group.scope.flags |= TL_SCOPE_OURS;
  return group;
}

/* Opens one, with the options at `index`. */
static tl_group *open_group(lua_State *L, tl_runtime *rt, int index) {
  tl_waiter(L, rt);
  int max = tl_options(L, index, "max:count name:string on_error:function"), name = max + 1;
  tl_group *group = make_group(L, rt, (uint32_t)lua_tointeger(L, max));
  group->name = lua_tostring(L, name);
  lua_pushvalue(L, name);
  lua_setiuservalue(L, -2, TL_GROUP_NAME);
  group->group.lenient = !lua_isnil(L, name + 1);
  lua_pushvalue(L, name + 1);
  lua_setiuservalue(L, -2, TL_GROUP_ON_ERROR);
  tide_group_enter(&group->group, &rt->current->task);
  return group;
}

tide_group *tl_group_push(lua_State *L, tl_runtime *rt, uint32_t max) {
  tl_group *group = make_group(L, rt, max);
  tl_site_set(L, &group->site);
  return &group->group;
}

/* Waiting for the children at the end, with the group at 1 and the body's error, or nil, at 2. */

/* Whether what is around the group is cancelled, seen by the task that leaves it, like the end of
 * any wait: children may have been cancelled, or never begun. Who was killed cannot wait. */
static bool is_cancelled_outside(lua_State *L, const tl_runtime *rt) {
  return rt->current != NULL && lua_isyieldable(L) && tide_task_cancelled(&rt->current->task);
}

/* All children have ended. Raises, or returns 0 where the body's own end stands. With
 * *caught: the body's error was the group's own cancellation. */
static int left(lua_State *L, bool *caught) {
  tl_group *group = lua_touserdata(L, 1);
  tl_runtime *rt = group->rt;
  bool catches = tide_scope_catches(&group->group.scope);
  *caught = false;
  tl_reason_clear(L, rt, &group->group.scope);
  tide_group_exit(&group->group);
  if (TL_UNLIKELY(rt->debug.on)) tl_debug_scope_left(rt);
  if (group->alone) return tl_failures_raise_body(L, rt, 1, 2);
  lua_Integer failures = count_failures(L, group);
  if (failures > 0 && !lua_isyieldable(L)) { /* of a task that is killed: who would get them? */
    tl_report_left(rt);
    return 0;
  }
  if (failures > 0) return tl_failures_raise(L, rt, 1, group->own);
  if (group->deadlocked) return tl_raise(L, rt, TIDE_EDEADLOCK);
  if (!lua_isnil(L, 2)) {
    *caught = catches && tl_error_is_cancel(L, rt, 2);
    return 0;
  }
  if (is_cancelled_outside(L, rt)) return tl_raise_cancelled(L, rt);
  return 0;
}

/* Whether the error at 2 is that of a spawn into this group, refused because it is being
 * cancelled: who only met the cancellation there has not failed. */
static bool is_refusal(lua_State *L, const tl_group *group) {
  if (!tide_scope_cancelled(&group->group.scope) || !tl_error_is(L, group->rt, 2, "closed"))
    return false;
  lua_getfield(L, 2, "group");
  bool is = lua_rawequal(L, -1, 1);
  lua_pop(L, 1);
  return is;
}

/* The body has ended: its failure counts like a child's and cancels them. */
static void body_over(lua_State *L, tl_group *group) {
  if (lua_isnil(L, 2)) return;
  tl_scope_misused(L, group->rt, 2, &group->group.scope);
  if (is_refusal(L, group)) {
    tl_cancelled_push(L, group->rt);
    lua_replace(L, 2);
    group->refused = true;
  }
  bool asked = tl_error_was_asked(L, group->rt, 2, &group->group.scope) ||
               tl_generator_exits(L, 2); /* the greenlet is being closed */
  if (group->group.supervised && !asked) add_failure(L, group);
  tide_group_cancel(&group->group);
}

/* After a wait for the children: whether another is needed. */
static int children_wait(lua_State *L, tl_group *group) {
  tl_runtime *rt = group->rt;
  tl_woken(L, rt);
  if (rt->current->task.outcome == TIDE_EDEADLOCK) {
    group->deadlocked = true;
    tide_group_cancel(&group->group);
  }
  return tide_group_wait(&group->group, &rt->current->task);
}

/* Block form. */

static int block_left(lua_State *L) {
  bool caught;
  bool refused = ((const tl_group *)lua_touserdata(L, 1))->refused;
  left(L, &caught);
  if (!refused) return 0;
  lua_settop(L, 2);
  return lua_error(L);
}

static int block_waited(lua_State *L, int status, lua_KContext ctx) {
  if (status == LUA_YIELD) lua_pop(L, 1);
  if (children_wait(L, lua_touserdata(L, 1)) == TIDE_PENDING) return tl_wait(L, ctx, block_waited);
  return block_left(L);
}

/* Whether the end of the block raises `cancelled`, as any wait there. */
static bool is_cancelled_around(const tl_group *group) {
  const tide_scope *scope = group->group.scope.parent;
  return scope != NULL && tide_scope_cancelled(scope);
}

/* group:__close(error) (waits) */
static int group_leave(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  if (tl_is_due(L, rt)) return tl_turn_held(L, rt);
  tl_group *group = check_group(L);
  lua_settop(L, 2);
  if (!(group->group.scope.flags & TIDE_SCOPE_ENTERED)) return 0;
  tl_check_opener(L, rt, &group->group.scope, "TaskGroup");
  bool turn = lua_isnil(L, 2) && tl_can_wait(L, rt) && is_cancelled_around(group);
  if (group->group.live > 0 || turn) tl_waiter(L, rt);
  body_over(L, group); /* may collect, and a finalizer spawn a child */
  if (!tl_can_wait(L, rt) || (group->group.live == 0 && !turn)) return block_left(L);
  tl_task *task = rt->current;
  if (group->group.live == 0)
    tide_task_yield(&task->task);
  else if (tide_group_wait(&group->group, &task->task) != TIDE_PENDING)
    return block_left(L);
  return tl_wait(L, 0, block_waited);
}

/* Function form. Its stack: group, the body's error or nil, results... */

static int function_left(lua_State *L) {
  bool caught;
  const tl_group *group = lua_touserdata(L, 1);
  bool cancelled = group->cancelled;
  left(L, &caught);
  if (caught || (cancelled && lua_isnil(L, 2))) return 0;
  if (!lua_isnil(L, 2)) {
    lua_settop(L, 2);
    return tl_rethrow(L, group->rt);
  }
  return lua_gettop(L) - 2;
}

static int function_waited(lua_State *L, int status, lua_KContext ctx) {
  if (status == LUA_YIELD) lua_pop(L, 1);
  if (children_wait(L, lua_touserdata(L, 1)) == TIDE_PENDING)
    return tl_wait(L, ctx, function_waited);
  return function_left(L);
}

static int function_ended(lua_State *L, int status, lua_KContext ctx) {
  tl_group *group = lua_touserdata(L, 1);
  tl_runtime *rt = group->rt;
  if (tl_returned(L, status, 2) == LUA_OK)
    lua_pushnil(L);
  else
    tl_error_value_push(L, -1);
  lua_replace(L, 2); /* over the message handler */
  body_over(L, group);
  if (rt->current->task.state != TIDE_TASK_RUNNING) /* a wait that went to another's resume */
    tide_task_detach(&rt->current->task);
  rt->current->task.outcome = TIDE_OK;
  if (tide_group_wait(&group->group, &rt->current->task) == TIDE_PENDING)
    return tl_wait(L, ctx, function_waited);
  return function_left(L);
}

/* The function form: calls the body at 1, with the options at 2. */
static int run_group(lua_State *L, tl_runtime *rt) {
  tl_check_callable(L, 1);
  lua_settop(L, 2);
  open_group(L, rt, 2);
  lua_replace(L, 2);
  lua_settop(L, 2);
  lua_insert(L, 1);
  lua_pushcfunction(L, tl_message_handler);
  lua_insert(L, 2);
  lua_pushvalue(L, 1); /* group, handler, body, group */
  int status = lua_pcallk(L, 1, LUA_MULTRET, 2, 0, function_ended);
  return function_ended(L, status, 0);
}

/* tide.TaskGroup([body][, {name=, max=, on_error=}]) -> group | the body's results (waits) */
static int new_group(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  bool block = lua_isnone(L, 1) || (lua_istable(L, 1) && lua_isnone(L, 2));
  if (!block && tl_is_due_or_cancelled(L, rt)) return tl_turn_to(L, rt, new_group);
  if (!block) return run_group(L, rt);
  tl_site_set(L, &open_group(L, rt, 1)->site);
  return 1;
}

/* Methods. */

tide_group *tl_group_for_spawn(lua_State *L, tl_runtime *rt, int index) {
  tl_group *group = tl_check(L, rt, index, TL_GROUP);
  if (tide_group_open(&group->group)) return &group->group;
  tl_error_push(L, rt, TIDE_ECLOSED, "the TaskGroup has ended, was closed or is being cancelled");
  lua_pushvalue(L, index);
  lua_setfield(L, -2, "group");
  lua_error(L);
  return NULL;
}

/* group:spawn(fn, ...) -> Task */
static int group_spawn(lua_State *L) {
  tl_group *group = check_group(L);
  tl_check_callable(L, 2);
  tl_group_for_spawn(L, group->rt, 1);
  tl_task_spawn(L, group->rt, &group->group, group->group.supervised ? 1 : 0, 2);
  return 1;
}

/* group:close(): it takes no more children */
static int group_close(lua_State *L) {
  tide_group_close(&check_group(L)->group);
  return 0;
}

static int try_wait(lua_State *L, tl_runtime *rt, void *self) {
  int result = tide_group_wait_few(self, &rt->current->task, 0);
  if (result == TIDE_PENDING) return TL_AGAIN;
  if (result == TIDE_EINVALID_STATE)
    return tl_raise_message(L, rt, result, "a child of the TaskGroup would wait for itself");
  return result == TIDE_OK ? 0 : tl_raise_outcome(L, rt, result);
}

/* group:wait(): until no child is left (waits) */
static int group_wait(lua_State *L) {
  static const tl_recall recall = {.class = TL_GROUP, .attempt = try_wait};
  tl_group *group = check_group(L);
  tl_waiter(L, group->rt);
  return tl_call(L, group->rt, &recall, group);
}

static int group_cancel(lua_State *L) {
  tl_group *group = check_group(L);
  if (!(group->group.scope.flags & TIDE_SCOPE_ENTERED)) return 0;
  group->cancelled = true;
  tl_reason_set(L, group->rt, &group->group.scope, 2);
  tide_group_cancel(&group->group);
  return 0;
}

static int group_len(lua_State *L) {
  lua_pushinteger(L, check_group(L)->group.live);
  return 1;
}

static int group_gc(lua_State *L) {
  tl_group *group = tl_test(L, tl_rt(L), 1, TL_GROUP);
  if (group == NULL) return 0;
  tl_reason_clear(L, group->rt, &group->group.scope);
  tide_group_exit(&group->group);          /* no child is live: they hold the group */
  tl_failures_report(L, group->rt, group); /* last: it may fail for want of memory */
  return 0;
}

/* group:statistics() -> {running=, held=, failed=, max=, open=} */
static int group_statistics(lua_State *L) {
  const tide_group *group = &check_group(L)->group;
  lua_createtable(L, 0, 5);
  tl_set_integer(L, "running", group->live - group->held);
  tl_set_integer(L, "held", group->held);
  tl_set_integer(L, "failed", group->failed);
  if (group->max > 0) tl_set_integer(L, "max", group->max);
  tl_set_boolean(L, "open", tide_group_open(group) && (group->scope.flags & TIDE_SCOPE_ENTERED));
  return 1;
}

static int group_tostring(lua_State *L) {
  const tl_group *group = check_group(L);
  const char *state = !(group->group.scope.flags & TIDE_SCOPE_ENTERED)  ? "ended"
                      : group->group.scope.flags & TIDE_SCOPE_CANCELLED ? "cancelled"
                      : group->group.closed                             ? "closed"
                                                                        : "open";
  lua_pushfstring(L, "TaskGroup(%s%s%d running, %s)", group->name != NULL ? group->name : "",
                  group->name != NULL ? ", " : "", (int)group->group.live, state);
  return 1;
}

void tl_group_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {{"spawn", group_spawn},
                                     {"cancel", group_cancel},
                                     {"close", group_close},
                                     {"wait", group_wait},
                                     {"ended", tl_group_ended},
                                     {"statistics", group_statistics},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", group_leave},
                                         {"__len", group_len},
                                         {"__gc", group_gc},
                                         {"__tostring", group_tostring},
                                         {NULL, NULL}};
  tl_class_new(L, rt, TL_GROUP, "TaskGroup", methods, metamethods);
  tl_constructor(L, rt, "TaskGroup", TL_GROUP, new_group);
  tl_class_push(L, rt, TL_GROUP);
  lua_getfield(L, -1, "__index");
  lua_setfield(L, -3, "group_methods");
  lua_pop(L, 1);
}
