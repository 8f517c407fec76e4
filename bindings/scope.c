/* scope.c: timeouts, cancel scopes and shields. */
#include "scope.h"
#include "class.h"
#include "debug.h"
#include "error.h"
#include "group.h"
#include "make.h"
#include "nesting.h"
#include "options.h"
#include "parts.h"
#include "place.h"
#include "protect.h"
#include "reason.h"
#include "report.h"
#include "runtime.h"
#include "task.h"
#include "traceback.h"
#include "value.h"
#include "wait.h"

typedef struct tl_scope {
  tide_scope scope;       /* first */
  tide_deadline deadline; /* on it */
  tl_runtime *rt;         /* whose */
  tl_site *site;          /* where it was opened, in the block form; or NULL */
  bool collected;         /* its finalizer was called, and will not be again */
} tl_scope;

/* What a function form makes of its end. */
typedef enum { TIMEOUT, MOVE_ON, SCOPE, SHIELD } form;

static tl_scope *init_scope(tl_scope *scope, tl_runtime *rt, uint32_t flags, tl_site *site) {
  scope->rt = rt;
  scope->site = site;
  tide_scope_init(&scope->scope, flags | TL_SCOPE_OURS);
  tide_deadline_init(&scope->deadline, &scope->scope, rt->loop);
  return scope;
}

/* Pushes a scope for a function form. */
static tl_scope *new_scope(lua_State *L, tl_runtime *rt, uint32_t flags) {
  tl_scope *scope = tl_shelf_take(L, &rt->scopes);
  if (scope == NULL) scope = tl_object_new(L, rt, TL_SCOPE, sizeof *scope, 0);
  return init_scope(scope, rt, flags, NULL);
}

/* Pushes one for a block, which knows where that is. */
static tl_scope *new_block_scope(lua_State *L, tl_runtime *rt) {
  tl_scope *scope = tl_object_new(L, rt, TL_SCOPE, sizeof *scope + sizeof(tl_site), 0);
  tl_site *site = (tl_site *)(scope + 1);
  tl_site_set(L, site);
  return init_scope(scope, rt, 0, site);
}

tide_time tl_scope_deadline(const tide_scope *scope) {
  if (!(scope->flags & TL_SCOPE_OURS)) return TIDE_NEVER;
  return tide_container(scope, const tl_scope, scope)->deadline.when;
}

void tl_scopes_disarm(const tl_runtime *rt, const tide_scope *top) {
  for (tide_scope *scope = (tide_scope *)top; (scope = tide_scope_next(top, scope)) != NULL;) {
    if (!(scope->flags & TL_SCOPE_OURS) || (scope->flags & TIDE_SCOPE_GROUP)) continue;
    tl_scope *self = tide_container(scope, tl_scope, scope);
    if (self->rt == rt) tide_deadline_stop(&self->deadline);
  }
}

static void open_scope(lua_State *L, tl_scope *scope, tl_task *task, tide_time when) {
  tide_scope_enter(&scope->scope, &task->task);
  int error = when == TIDE_NEVER ? TIDE_OK : tide_deadline_set(&scope->deadline, when);
  if (error == TIDE_OK) return;
  tide_scope_exit(&scope->scope);
  tl_raise(L, scope->rt, error);
}

static int close_scope(lua_State *L, tl_scope *scope) {
  tide_deadline_stop(&scope->deadline);
  tl_reason_clear(L, scope->rt, &scope->scope);
  int error = tide_scope_exit(&scope->scope);
  if (TL_UNLIKELY(scope->rt->debug.on)) tl_debug_scope_left(scope->rt);
  return error;
}

static tl_task *enter_any(lua_State *L, tl_runtime *rt) {
  return rt->current != NULL ? rt->current : tl_waiter_failed(L, rt);
}

tide_scope *tl_scope_push(lua_State *L, tl_runtime *rt) {
  enter_any(L, rt);
  return &new_block_scope(L, rt)->scope;
}

void tl_scope_enter(lua_State *L, tl_runtime *rt, tide_scope *scope, tide_time when) {
  open_scope(L, tide_container(scope, tl_scope, scope), rt->current, when);
}

/* Scopes that are left open inside. */

bool tl_scope_describe(lua_State *L, const tide_scope *scope) {
  if (!(scope->flags & TL_SCOPE_OURS)) return false;
  if (scope->flags & TIDE_SCOPE_GROUP) {
    tl_group_describe(L, scope);
  } else {
    const tl_site *site = tide_container(scope, const tl_scope, scope)->site;
    lua_pushliteral(L, "a timeout");
    if (site != NULL) tl_site_add(L, site);
  }
  return true;
}

/* The outermost scope inside `outer` that was cancelled itself, at the task's present point. */
static const tide_scope *find_cancelled(const tide_task *task, const tide_scope *outer) {
  const tide_scope *found = NULL;
  for (const tide_scope *scope = task->scope; scope != outer; scope = scope->parent) {
    if (scope == NULL) return NULL;
    if (scope->flags & TIDE_SCOPE_CALLED) found = scope;
  }
  return found;
}

bool tl_scope_misused(lua_State *L, tl_runtime *rt, int index, const tide_scope *outer) {
  if (rt->current == NULL || rt->current->task.scope == outer) return false;
  tide_task *task = &rt->current->task;
  if (tide_scope_cancelled(outer) || !tl_error_is_cancel(L, rt, index)) return false;
  const tide_scope *open = find_cancelled(task, outer);
  if (open == NULL || !tl_scope_describe(L, open)) return false;
  lua_pushfstring(
      L,
      "%s was left without <close>, and its cancellation has reached what came after it: "
      "write local _ <close> = ...",
      lua_tostring(L, -1));
  tl_error_push(L, rt, TIDE_EMISUSE, lua_tostring(L, -1));
  lua_pushvalue(L, index);
  lua_setfield(L, -2, "cause");
  lua_replace(L, index);
  lua_pop(L, 2);
  while (task->scope != outer) tide_scope_exit(task->scope);
  tl_report_left(rt);
  return true;
}

/* The innermost scope of the task in which this one is open. */
static const tide_scope *innermost_of(const tl_scope *scope) {
  return scope->scope.task != NULL ? scope->scope.task->scope : NULL;
}

static int raise_misnested(lua_State *L, const tl_runtime *rt, const tide_scope *inside) {
  if (!tl_scope_describe(L, inside)) lua_pushliteral(L, "one");
  lua_pushfstring(L, "the scope was left before %s, which is inside it", lua_tostring(L, -1));
  return tl_raise_message(L, rt, TIDE_EMISUSE, lua_tostring(L, -1));
}

/* The function form. Its stack: scope, handler, [true,] function, arguments. */

/* Raises `timeout`; its cause is the error `cancelled` on top. */
static int raise_timeout(lua_State *L, const tl_runtime *rt) {
  tl_error_push(L, rt, TIDE_ETIMEOUT, NULL);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "cause");
  return lua_error(L);
}

/* `caught`: the flags of the scope if it catches its own cancellation, else 0. */
static int body_failed(lua_State *L, tl_runtime *rt, form how, uint32_t caught) {
  if (caught == 0 || how == SHIELD || !tl_error_is_cancel(L, rt, -1)) return tl_rethrow(L, rt);
  if (how == TIMEOUT && (caught & TIDE_SCOPE_EXPIRED)) return raise_timeout(L, rt);
  if (how == TIMEOUT) return tl_rethrow(L, rt);
  lua_pushboolean(L, 0);
  return 1;
}

static int body_ended(lua_State *L, int status, lua_KContext ctx) {
  form how = (form)ctx;
  tl_scope *scope = lua_touserdata(L, 1);
  tl_runtime *rt = scope->rt;
  bool failed = status != LUA_OK && status != LUA_YIELD;
  if (failed) tl_scope_misused(L, rt, lua_gettop(L), &scope->scope);
  uint32_t caught = tide_scope_catches(&scope->scope) ? scope->scope.flags : 0;
  const tide_scope *innermost = innermost_of(scope);
  status = tl_returned(L, status, 2);
  int misnested = close_scope(L, scope);
  if (how != SCOPE && !scope->collected) tl_shelf_give(L, &rt->scopes, 1);
  if (status != LUA_OK) return body_failed(L, rt, how, caught);
  if (misnested != TIDE_OK) return raise_misnested(L, rt, innermost);
  if (how == TIMEOUT || how == SHIELD) return lua_gettop(L) - 2;
  lua_pushboolean(L, 1);
  lua_replace(L, 2);
  return lua_gettop(L) - 1;
}

/* Calls the function at `index` with what is above it, inside the scope on top. */
static int call_in_scope(lua_State *L, int index, form how) {
  int arguments = lua_gettop(L) - index - 1;
  if (index > 1) {
    lua_rotate(L, 1, -(index - 1)); /* what was before the function is not needed any more */
    lua_pop(L, index - 1);
  }
  lua_insert(L, 1);
  lua_pushcfunction(L, tl_message_handler);
  lua_insert(L, 2);
  int status = lua_pcallk(L, arguments, LUA_MULTRET, 2, how, body_ended);
  return body_ended(L, status, how);
}

/* Whether the block form is meant; nil is a function that is missing. */
static bool is_block(lua_State *L) { return lua_isnone(L, 2); }

static int deadline_form(lua_State *L, tide_time when, form how) {
  tl_runtime *rt = tl_rt(L);
  if (how == TIMEOUT && is_block(L)) {
    tl_scope_enter(L, rt, tl_scope_push(L, rt), when);
    return 1;
  }
  tl_check_callable(L, 2);
  tl_task *task = enter_any(L, rt);
  open_scope(L, new_scope(L, rt, 0), task, when);
  return call_in_scope(L, 2, how);
}

static tide_time seconds_from_now(lua_State *L, const tl_runtime *rt, int index) {
  return tide_loop_after(tl_loop(L, rt), tl_check_time(L, index));
}

/* Whether a turn is to be taken first: where the call is due; in a cancelled scope a function is
 * not to begin. */
static bool is_kept(lua_State *L, tl_runtime *rt) {
  return is_block(L) ? tl_is_due(L, rt) : tl_is_due_or_cancelled(L, rt);
}

/* tide.timeout(seconds[, fn, ...]) -> results... | scope */
static int timeout(lua_State *L) {
  if (is_kept(L, tl_rt(L))) return tl_turn(L, tl_rt(L));
  return deadline_form(L, seconds_from_now(L, tl_rt(L), 1), TIMEOUT);
}

/* tide.timeout_at(when[, fn, ...]) -> results... | scope */
static int timeout_at(lua_State *L) {
  if (is_kept(L, tl_rt(L))) return tl_turn(L, tl_rt(L));
  return deadline_form(L, tl_check_time(L, 1), TIMEOUT);
}

/* tide.move_on_after(seconds, fn, ...) -> true, results... | false */
static int move_on_after(lua_State *L) {
  if (tl_is_due_or_cancelled(L, tl_rt(L))) return tl_turn(L, tl_rt(L));
  return deadline_form(L, seconds_from_now(L, tl_rt(L), 1), MOVE_ON);
}

/* tide.scope(fn[, {timeout=, shield=}]) -> true, results... | false */
static int scope_(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tide_time when = TIDE_NEVER;
  uint32_t flags = 0;
  if (tl_is_due(L, rt)) return tl_turn_held(L, rt);
  tl_check_callable(L, 1);
  lua_settop(L, 2);
  tl_options(L, 2, "timeout:seconds shield:flag");
  if (!lua_isnil(L, 3)) when = seconds_from_now(L, rt, 3);
  if (lua_toboolean(L, 4)) flags = TIDE_SCOPE_SHIELD;
  lua_settop(L, 2);
  if (flags == 0 && tl_is_cancelled(L, rt)) return tl_turn(L, rt);
  lua_settop(L, 1);
  tl_task *task = enter_any(L, rt);
  tl_scope *scope = new_scope(L, rt, flags);
  open_scope(L, scope, task, when);
  lua_pushvalue(L, -1); /* the function's argument */
  return call_in_scope(L, 1, SCOPE);
}

/* tide.shield_call(fn, ...) -> results... */
static int shield_call(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  if (tl_is_due(L, rt)) return tl_turn_held(L, rt);
  tl_check_callable(L, 1);
  tl_task *task = enter_any(L, rt);
  tl_scope *scope = new_scope(L, rt, TIDE_SCOPE_SHIELD);
  open_scope(L, scope, task, TIDE_NEVER);
  return call_in_scope(L, 1, SHIELD);
}

/* The nearest deadline of the scopes around the task, as far out as no shield keeps it away;
 * TIDE_NEVER where there is none. */
static tide_time nearest_deadline(const tide_task *task) {
  tide_time nearest = TIDE_NEVER;
  for (const tide_scope *scope = task->scope; scope != NULL; scope = scope->parent) {
    bool plain = !(scope->flags & (TIDE_SCOPE_GROUP | TIDE_SCOPE_ITER));
    tide_time when = plain ? tl_scope_deadline(scope) : TIDE_NEVER;
    if (when < nearest) nearest = when;
    if (scope->flags & TIDE_SCOPE_SHIELD) break;
  }
  return nearest;
}

/* tide.time_left() -> seconds | nil */
static int time_left(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  tide_time now = tide_loop_after(tl_loop(L, rt), 0);
  tide_time when = rt->current != NULL ? nearest_deadline(&rt->current->task) : TIDE_NEVER;
  if (when == TIDE_NEVER)
    lua_pushnil(L);
  else
    lua_pushnumber(L, when > now ? tide_time_to_seconds(when - now) : 0);
  return 1;
}

/* Methods. */

static tl_scope *check_scope(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_SCOPE); }

/* scope:__close(error): leaves the scope; its own timeout becomes an error `timeout` */
static int scope_close(lua_State *L) {
  tl_scope *scope = check_scope(L);
  bool timed_out = tide_scope_catches(&scope->scope) && (scope->scope.flags & TIDE_SCOPE_EXPIRED);
  lua_settop(L, 2);
  bool misused = tl_scope_misused(L, scope->rt, 2, &scope->scope);
  const tide_scope *innermost = innermost_of(scope);
  int misnested = close_scope(L, scope);
  if (misused) return lua_error(L);
  if (timed_out && tl_error_is_cancel(L, scope->rt, 2)) return raise_timeout(L, scope->rt);
  if (misnested != TIDE_OK && lua_isnil(L, 2) &&
      !tl_is_closing(scope->rt->nesting)) /* else: function forms */
    return raise_misnested(L, scope->rt, innermost);
  return 0;
}

/* Whether the task's scope was opened in its present greenlet. */
static bool is_open_here(const tide_task *task, const tide_scope *scope) {
  const tide_scope *inner = task->scope;
  while (inner != scope && inner != &task->own && !(inner->flags & TIDE_SCOPE_BRANCH))
    inner = inner->parent;
  return inner == scope;
}

void tl_check_opener(lua_State *L, const tl_runtime *rt, const tide_scope *scope,
                     const char *what) {
  if (!(scope->flags & TIDE_SCOPE_ENTERED)) return;
  if (rt->current == NULL) return;
  bool mine = &rt->current->task == scope->task;
  if (mine && is_open_here(&rt->current->task, scope)) return;
  lua_pushfstring(L, "only the %s that opened the %s can close it", mine ? "greenlet" : "task",
                  what);
  tl_raise_message(L, rt, TIDE_EINVALID_STATE, lua_tostring(L, -1));
}

/* scope:close(): the same as at the end of the block, by hand */
static int scope_close_early(lua_State *L) {
  const tl_scope *scope = check_scope(L);
  tl_check_opener(L, scope->rt, &scope->scope, "scope");
  return scope_close(L);
}

static int scope_gc(lua_State *L) {
  tl_scope *scope = tl_test(L, tl_rt(L), 1, TL_SCOPE);
  if (scope == NULL) return 0;
  scope->collected = true;
  close_scope(L, scope);
  return 0;
}

static int scope_cancel(lua_State *L) {
  tl_scope *scope = check_scope(L);
  if (!(scope->scope.flags & TIDE_SCOPE_ENTERED)) return 0;
  tl_reason_set(L, scope->rt, &scope->scope, 2);
  tide_scope_cancel(&scope->scope, scope->rt->loop);
  return 0;
}

static int scope_cancelled(lua_State *L) {
  lua_pushboolean(L, (check_scope(L)->scope.flags & TIDE_SCOPE_CALLED) != 0);
  return 1;
}

static int scope_expired(lua_State *L) {
  lua_pushboolean(L, (check_scope(L)->scope.flags & TIDE_SCOPE_EXPIRED) != 0);
  return 1;
}

/* scope:deadline() -> seconds on tide.time()'s clock, math.huge where there is none */
static int scope_deadline(lua_State *L) {
  lua_pushnumber(L, tide_time_to_seconds(check_scope(L)->deadline.when));
  return 1;
}

static int scope_reschedule(lua_State *L) {
  tl_scope *scope = check_scope(L);
  tide_time when = TIDE_NEVER;
  if (!lua_isnoneornil(L, 2)) when = tl_check_time(L, 2);
  if (!(scope->scope.flags & TIDE_SCOPE_ENTERED) || (scope->scope.flags & TIDE_SCOPE_EXPIRED))
    return tl_raise_message(L, scope->rt, TIDE_EINVALID_STATE,
                            "the scope has been left, or its deadline has passed");
  int error = tide_deadline_set(&scope->deadline, when);
  return error == TIDE_OK ? 0 : tl_raise(L, scope->rt, error);
}

static int scope_tostring(lua_State *L) {
  const tl_scope *scope = check_scope(L);
  const char *state = !(scope->scope.flags & TIDE_SCOPE_ENTERED)  ? "left"
                      : scope->scope.flags & TIDE_SCOPE_EXPIRED   ? "expired"
                      : scope->scope.flags & TIDE_SCOPE_CANCELLED ? "cancelled"
                                                                  : "open";
  lua_pushfstring(L, "Scope(%s)", state);
  return 1;
}

void tl_scope_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {
      {"timeout", timeout}, {"timeout_at", timeout_at},   {"move_on_after", move_on_after},
      {"scope", scope_},    {"shield_call", shield_call}, {"time_left", time_left},
      {NULL, NULL}};
  static const luaL_Reg methods[] = {{"cancel", scope_cancel},
                                     {"cancelled", scope_cancelled},
                                     {"expired", scope_expired},
                                     {"deadline", scope_deadline},
                                     {"reschedule", scope_reschedule},
                                     {"close", scope_close_early},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", scope_close}, {"__gc", scope_gc}, {"__tostring", scope_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_SCOPE, "Scope", methods, metamethods);
  tl_constructor(L, rt, "Scope", TL_SCOPE, NULL);
  tl_functions(L, rt, functions);
}
