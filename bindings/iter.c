/* iter.c: iterators of the core for Lua: those that a host pushes, and intervals.
 *
 * tide.iter makes an Iter of the object, out of its functions: a step without arguments, and close.
 */
#include "class.h"
#include "error.h"
#include "lent.h"
#include "owned.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"
#include "tide_lua.h"
#include "wait.h"

typedef struct tl_iter {
  tl_runtime *rt;        /* whose */
  tide_iter *iter;       /* owned; NULL once it was collected */
  tide_lua_item_fn push; /* pushes an item's values */
} tl_iter;

typedef struct tl_interval {
  tl_iter object; /* first */
  tide_interval interval;
} tl_interval;

static int misused(lua_State *L, const tl_runtime *rt) {
  return tl_raise_in_use(L, rt, "this iterator is used by two tasks at once");
}

/* Steps. */

static int iter_step_again(lua_State *L, int status, lua_KContext ctx);

static int iter_take(lua_State *L, tl_iter *self) {
  tide_item item;
  tl_runtime *rt = self->rt;
  int result = tide_iter_next(self->iter, &rt->current->task, &item);
  if (result == TIDE_OK) return self->push(L, self->iter, item);
  if (result == TIDE_PENDING) return tl_wait(L, (lua_KContext)self, iter_step_again);
  if (result == TIDE_EBUSY) return misused(L, rt);
  if (result != TIDE_EEOF) return tl_raise_outcome(L, rt, result);
  lua_pushnil(L);
  return 1;
}

static int iter_step_again(lua_State *L, int status, lua_KContext ctx) {
  tl_iter *self = (tl_iter *)ctx;
  (void)status;
  tl_woken(L, self->rt);
  return iter_take(L, self);
}

/* A task that is inside already had its wait taken away: that call is never gone on with. */
static int iter_step(lua_State *L, tl_iter *self) {
  tl_task *task = tl_begin(L, self->rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, self->rt);
  if (TL_UNLIKELY(self->iter == NULL)) return 0;
  tide_iter_leave(self->iter, &task->task);
  return iter_take(L, self);
}

/* Closing. Where nothing can wait, what it holds goes with the object. */

static int close_again(lua_State *L, int status, lua_KContext ctx);

static int closed(lua_State *L, tl_iter *self, int result) {
  if (result == TIDE_OK) return 0;
  if (result == TIDE_PENDING) return tl_wait(L, (lua_KContext)self, close_again);
  return result == TIDE_EBUSY ? misused(L, self->rt) : tl_raise_outcome(L, self->rt, result);
}

static int close_again(lua_State *L, int status, lua_KContext ctx) {
  tl_iter *self = (tl_iter *)ctx;
  (void)status;
  tl_woken(L, self->rt);
  return closed(L, self, tide_iter_close(self->iter, &self->rt->current->task));
}

static int close(lua_State *L, tl_iter *self) {
  tl_runtime *rt = self->rt;
  if (self->iter == NULL) return 0;
  if (rt->current != NULL) tide_iter_leave(self->iter, &rt->current->task);
  tide_task *task = tl_can_wait(L, rt) ? &rt->current->task : NULL;
  return closed(L, self, tide_iter_close(self->iter, task));
}

/* The end of the object. Somebody is inside only where a killed task is not quite gone, or the
 * state is closed: then tasks that wait are taken out for good. */
static void evict(tl_iter *self) {
  tide_task *task = tide_iter_user(self->iter);
  if (task == NULL || task->state == TIDE_TASK_RUNNING) return;
  tide_task_detach(task);
  tide_task_finish(task, TIDE_FUTURE_CANCELLED);
}

static void iter_release(tl_runtime *rt, void *object) {
  tl_iter *self = object;
  (void)rt;
  if (self->iter == NULL) return;
  evict(self);
  tide_iter *iter = self->iter;
  self->iter = NULL;
  tide_iter_free(iter);
}

/* As methods, and as functions without arguments whose upvalue the object is. */

static tl_iter *check_iter(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_ITER); }

static int iter_call(lua_State *L) { return iter_step(L, check_iter(L)); }

static int iter_close(lua_State *L) { return close(L, check_iter(L)); }

static tl_iter *bound_iter(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(2)); }

static int bound_step(lua_State *L) { return iter_step(L, bound_iter(L)); }

static int bound_close(lua_State *L) { return close(L, bound_iter(L)); }

/* Of the object at `index`: step, close. */
static int push_parts(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, index);
  lua_pushcclosure(L, bound_step, 2);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, index);
  lua_pushcclosure(L, bound_close, 2);
  return 2;
}

/* tide.iter_parts(HostIter) -> step, close, name */
static int iter_parts(lua_State *L) {
  const tl_iter *self = check_iter(L);
  push_parts(L, 1);
  lua_pushstring(L, self->iter != NULL ? self->iter->ops->name : "closed");
  return 3;
}

static int iter_tostring(lua_State *L) {
  const tl_iter *self = check_iter(L);
  bool is_closed = self->iter == NULL || self->iter->closed;
  lua_pushfstring(L, "HostIter(%s%s)", self->iter != NULL ? self->iter->ops->name : "collected",
                  is_closed ? "; closed" : "");
  return 1;
}

/* Making them. */

static tl_iter *new_object(lua_State *L, tl_runtime *rt, size_t size, tide_lua_item_fn push) {
  tl_iter *self = tl_owned_new(L, rt, TL_ITER, size, 0);
  self->rt = rt;
  self->push = push;
  return self;
}

/* In protected mode: an object over the iterator at 1, whose items the function at 2 pushes. */
static int wrap(lua_State *L) {
  tl_runtime *rt = tl_lent_runtime(L);
  const tide_lua_item_fn *push = lua_touserdata(L, 2);
  new_object(L, rt, sizeof(tl_iter), *push)->iter = lua_touserdata(L, 1);
  return 1;
}

void tide_lua_push_iter(lua_State *L, tide_iter *iter, tide_lua_item_fn push) {
  lua_pushcfunction(L, wrap);
  lua_pushlightuserdata(L, iter);
  lua_pushlightuserdata(L, &push);
  if (lua_pcall(L, 2, 1, 0) == LUA_OK) return;
  tide_iter_free(iter);
  lua_error(L);
}

static int push_number(lua_State *L, tide_iter *iter, tide_item item) {
  (void)iter;
  lua_pushinteger(L, item.integer);
  return 1;
}

/* tide.interval_parts(seconds) -> step, close */
static int interval_parts(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tide_time period = tide_time_from_seconds(luaL_checknumber(L, 1));
  tl_interval *self = (tl_interval *)(void *)new_object(L, rt, sizeof *self, push_number);
  tide_interval_init(&self->interval, rt->loop, period > 0 ? period : 1);
  self->object.iter = &self->interval.iter;
  return push_parts(L, -1);
}

void tl_iter_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {
      {"iter_parts", iter_parts}, {"interval_parts", interval_parts}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"close", iter_close}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__call", iter_call}, {"__close", iter_close}, {"__tostring", iter_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_ITER, "HostIter", methods, metamethods);
  tl_owned_class(L, rt, TL_ITER, iter_release);
  tl_functions(L, rt, functions);
}
