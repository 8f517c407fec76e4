/* lua_iter.c: iterators of Lua's for C. A step is a Lua task that calls the Iter; the step of the
 * core waits for that task.
 *
 * C has a struct, Lua an anchor that points to it: a userdata in the registry, whose user values
 * are the Iter and the last task. Either may go first. What a task has brought and nobody has taken
 * (who waited for it was killed) stays there for the next step. */
#include "class.h"
#include "error.h"
#include "future.h"
#include "lent.h"
#include "owned.h"
#include "parts.h"
#include "report.h"
#include "run.h"
#include "runtime.h"
#include "task.h"
#include "tide_lua.h"

enum { ITER = 1, WORKER }; /* user values of the anchor */

typedef struct lua_iter {
  tide_iter iter;           /* first */
  tide_allocator allocator; /* of this struct: a copy, since the loop may go before */
  tl_runtime *rt;           /* whose; NULL once the state is closed */
  int anchor;               /* registry reference */
  tl_task *worker;          /* the task that runs, or ran last: the anchor keeps it; NULL: none */
  bool taken;               /* what it brought was told */
  bool inherited;           /* who is inside found it already there, left by another */
  bool closing;             /* it closes the Iter */
} lua_iter;

/* The userdata in the registry. */
typedef struct tl_lua_anchor {
  lua_iter *iter; /* NULL once that is freed */
} tl_lua_anchor;

static bool works(const lua_iter *self) {
  return self->worker != NULL && !tide_future_ended(&self->worker->task.future);
}

static void push_worker(lua_State *L, const lua_iter *self) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, self->anchor);
  lua_getiuservalue(L, -1, WORKER);
  lua_remove(L, -2);
}

/* Beginning. */

/* In protected mode: spawns the worker. The struct is at 1. */
static int begin(lua_State *L) {
  lua_iter *self = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, self->anchor);
  lua_getiuservalue(L, 2, ITER);
  if (self->closing) {
    lua_getfield(L, 3, "close");
    lua_insert(L, 3);
  }
  tide_group *home = tl_run_home(&self->rt->run, self->rt->loop);
  self->worker = tl_task_spawn(L, self->rt, home, 0, 3);
  lua_setiuservalue(L, 2, WORKER);
  return 0;
}

/* Calls what may raise: TIDE_OK, or TIDE_ENOMEM, since that is all it raises. */
static int call(lua_iter *self, lua_CFunction function) {
  lua_State *L = self->rt->L;
  if (!lua_checkstack(L, 2)) return TIDE_ENOMEM;
  lua_pushcfunction(L, function);
  lua_pushlightuserdata(L, self);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return TIDE_OK;
  lua_pop(L, 1);
  return TIDE_ENOMEM;
}

static int spawn(lua_iter *self) {
  self->worker = NULL;
  self->taken = false;
  return call(self, begin);
}

static int wait(lua_iter *self, tide_task *task) {
  return tide_future_wait(&self->worker->task.future, task, false);
}

/* Ending. */

/* Whether the worker's first result is nil, or there is none. */
static bool is_end(lua_iter *self) {
  lua_State *box = self->rt->pool.box;
  uint8_t how = self->worker->task.future.user;
  if (how & TL_EMPTY) return true;
  int top = lua_gettop(box);
  push_worker(box, self);
  lua_getiuservalue(box, -1, 1);
  if (how & TL_PACKED) lua_rawgeti(box, -1, 1);
  bool end = lua_isnil(box, -1);
  lua_settop(box, top);
  return end;
}

/* Pushes the error of a worker that failed: C is told. */
static void push_failure(lua_State *L, const lua_iter *self) {
  tl_told(&self->worker->task.future);
  push_worker(L, self);
  tl_failure_push(L, &self->worker->task.future, -1);
  lua_remove(L, -2);
}

typedef struct classification {
  const lua_iter *self;
  int number;
} classification;

/* In protected mode. */
static int classify(lua_State *L) {
  classification *answer = lua_touserdata(L, 1);
  push_failure(L, answer->self);
  answer->number = tl_error_number(L, answer->self->rt, 2);
  return 0;
}

static int number_of_failure(const lua_iter *self) {
  lua_State *L = self->rt->L;
  classification answer = {.self = self, .number = TIDE_ENOMEM};
  if (!lua_checkstack(L, 2)) return TIDE_ENOMEM;
  lua_pushcfunction(L, classify);
  lua_pushlightuserdata(L, &answer);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  return answer.number;
}

/* What the worker, which has ended, comes to. */
static int lua_iter_finish(lua_iter *self) {
  self->taken = true;
  switch (self->worker->task.future.state) {
  case TIDE_FUTURE_DONE:
    return TIDE_OK;
  case TIDE_FUTURE_CANCELLED:
    return TIDE_ECANCELLED;
  default:
    return number_of_failure(self);
  }
}

/* The functions of the core's iterator. */

static lua_iter *iter_of(tide_iter *iter) { return tide_container(iter, lua_iter, iter); }

/* Spawns a worker, and waits for it. */
static int spawn_and_wait(lua_iter *self, tide_task *task) {
  int error = spawn(self);
  return error != TIDE_OK ? error : wait(self, task);
}

/* Waits for the worker that somebody left, or for a new one. */
static int begin_step(lua_iter *self, tide_task *task) {
  self->inherited = self->worker != NULL && !self->taken;
  return self->inherited ? wait(self, task) : spawn_and_wait(self, task);
}

/* Whether the worker was cancelled for somebody else's sake. */
static bool is_void(lua_iter *self, const tide_task *task, int result) {
  bool inherited = self->inherited;
  self->inherited = false;
  return result == TIDE_ECANCELLED && inherited && !tide_task_cancelled(task);
}

static int lua_iter_next(tide_iter *iter, tide_task *task, int outcome, tide_item *item) {
  lua_iter *self = iter_of(iter);
  if (outcome == TIDE_PENDING) outcome = begin_step(self, task);
  if (outcome != TIDE_OK) return outcome;
  int result = lua_iter_finish(self);
  if (is_void(self, task, result)) {
    result = spawn_and_wait(self, task);
    if (result == TIDE_OK) result = lua_iter_finish(self);
  }
  if (result != TIDE_OK) return result;
  item->pointer = iter;
  return is_end(self) ? TIDE_EEOF : TIDE_OK;
}

/* A step that was left on its way is cancelled first. */
static int lua_iter_close(tide_iter *iter, tide_task *task, int outcome) {
  lua_iter *self = iter_of(iter);
  if (outcome == TIDE_PENDING && works(self)) {
    tide_task_cancel(&self->worker->task);
    return wait(self, task);
  }
  if (outcome < TIDE_OK) return outcome;
  if (!self->closing) {
    self->closing = true;
    outcome = spawn_and_wait(self, task);
    if (outcome != TIDE_OK) return outcome;
  }
  return lua_iter_finish(self);
}

static void free_(tide_iter *iter) {
  lua_iter *self = iter_of(iter);
  tide_allocator allocator = self->allocator;
  if (self->rt != NULL) {
    lua_State *box = self->rt->pool.box;
    if (works(self)) tide_task_cancel(&self->worker->task);
    lua_rawgeti(box, LUA_REGISTRYINDEX, self->anchor);
    tl_lua_anchor *anchor = lua_touserdata(box, -1);
    anchor->iter = NULL;
    lua_pop(box, 1);
    luaL_unref(box, LUA_REGISTRYINDEX, self->anchor);
  }
  tide_free(&allocator, self, sizeof *self);
}

static const tide_iter_ops lua_iter_ops = {
    .name = "Lua", .next = lua_iter_next, .close = lua_iter_close, .free = free_};

/* The state is closed, and the loop will be: a task of C's that waits is dropped with it. */
static void lua_iter_release(tl_runtime *rt, void *object) {
  const tl_lua_anchor *anchor = object;
  lua_iter *self = anchor->iter;
  (void)rt;
  if (self == NULL) return;
  tide_iter_leave(&self->iter, tide_iter_user(&self->iter));
  self->rt = NULL;
  self->worker = NULL;
}

/* For hosts. */

tide_iter *tide_lua_to_iter(lua_State *L, int index) {
  tl_runtime *rt = tl_lent_runtime(L);
  const tide_allocator *allocator = tide_loop_allocator(tl_loop(L, rt));
  index = lua_absindex(L, index);
  tl_lua_anchor *anchor = tl_owned_new(L, rt, TL_LUA_ITER, sizeof *anchor, WORKER);
  tl_hook_push(L, rt, "iter");
  lua_pushvalue(L, index);
  lua_call(L, 1, 1);
  lua_setiuservalue(L, -2, ITER);
  int reference = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_iter *self = tide_alloc(allocator, sizeof *self);
  if (self == NULL) {
    luaL_unref(L, LUA_REGISTRYINDEX, reference);
    luaL_error(L, "not enough memory");
    return NULL;
  }
  *self = (lua_iter){.allocator = *allocator, .rt = rt, .anchor = reference};
  tide_iter_init(&self->iter, &lua_iter_ops);
  anchor->iter = self;
  return &self->iter;
}

/* The iterator, where it is one of these and what its worker brought was told; or NULL. */
static const lua_iter *told(const tide_iter *iter) {
  if (iter->ops != &lua_iter_ops) return NULL;
  const lua_iter *self = tide_container(iter, const lua_iter, iter);
  return self->worker != NULL && self->taken ? self : NULL;
}

int tide_lua_push_item(lua_State *L, const tide_iter *iter) {
  const lua_iter *self = told(iter);
  if (self == NULL || self->worker->task.future.state != TIDE_FUTURE_DONE) return 0;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  push_worker(L, self);
  int worker = lua_gettop(L);
  int count = tl_result_push(L, self->rt, &self->worker->task.future, worker);
  lua_remove(L, worker);
  return count;
}

void tide_lua_push_error(lua_State *L, const tide_iter *iter) {
  const lua_iter *self = told(iter);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  uint8_t state = self != NULL ? self->worker->task.future.state : TIDE_FUTURE_DONE;
  if (state == TIDE_FUTURE_FAILED)
    push_failure(L, self);
  else if (state == TIDE_FUTURE_CANCELLED)
    tl_error_push(L, self->rt, TIDE_ECANCELLED, NULL);
  else
    lua_pushnil(L);
}

void tl_lua_iter_open(lua_State *L, tl_runtime *rt) {
  tl_class_new(L, rt, TL_LUA_ITER, "LuaIter", NULL, NULL);
  tl_owned_class(L, rt, TL_LUA_ITER, lua_iter_release);
}
