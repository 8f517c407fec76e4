/* generator.c: generators: bodies that give values by a function `yield`, and may wait in between.
 *
 * The body runs in a coroutine of its own, inside whichever task takes the next value: its waits
 * are that task's. It is closed by making `yield` raise: so what it has open is closed on its way
 * out, and may wait. tide.iter makes the object that users see of the two functions made here. */
#include "generator.h"
#include "class.h"
#include "close.h"
#include "coroutine.h"
#include "error.h"
#include "nesting.h"
#include "parts.h"
#include "runtime.h"
#include "traceback.h"
#include "value.h"
#include "wait.h"

typedef enum { FRESH, SUSPENDED, INSIDE, CLOSING, DONE } stage;

/* How the next value is asked for. */
typedef enum { TAKE, SEND, THROW } request;

typedef struct tl_generator {
  tl_runtime *rt; /* whose */
  lua_State *co;  /* the body's coroutine: the first user value */
  bool thrown;    /* what the present step was given is an error, for yield to raise */
  stage stage;    /* INSIDE and CLOSING: also if it waits, or was killed there */
} tl_generator;

/* Upvalues of the functions: the runtime, the coroutine, the generator. */
static tl_generator *generator_of(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(3)); }

static const char exit_error = 0; /* its address is the error that yield raises */

bool tl_generator_exits(lua_State *L, int index) {
  return lua_touserdata(L, index) == (const void *)&exit_error;
}

void tl_generator_exit_push(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&exit_error);
}

/* The body's coroutine. */

static int body_left(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  return status == LUA_OK || status == LUA_YIELD ? 0 : lua_error(L);
}

/* Protected, so that what the body has open may wait while an error leaves it. */
static int run_body(lua_State *L) {
  lua_pushcfunction(L, tl_message_handler);
  lua_insert(L, 1);
  return body_left(L, lua_pcallk(L, 1, 0, 1, 0, body_left), 0);
}

static int yielded(lua_State *L, int status, lua_KContext ctx) {
  tl_generator *self = (tl_generator *)ctx;
  (void)status;
  if (TL_UNLIKELY(tl_is_closing(self->rt->nesting))) return tl_close_rest(L);
  if (self->thrown) {
    self->thrown = false;
    return lua_error(L); /* what was given */
  }
  if (self->stage != CLOSING) return lua_gettop(L);
  tl_generator_exit_push(L);
  return lua_error(L);
}

/* yield(value, ...): what a body is given */
static int yield(lua_State *L) {
  tl_generator *self = generator_of(L);
  if (L != self->co)
    return tl_raise_message(L, self->rt, TIDE_EINVALID_STATE,
                            "yield belongs into its own generator, not into another coroutine");
  if (lua_isnoneornil(L, 1)) return luaL_argerror(L, 1, "nil means the end of an iteration");
  tl_coroutine_check_yield(L, self->rt);
  return lua_yieldk(L, lua_gettop(L), (lua_KContext)self, yielded);
}

/* Steps. */

/* Whether somebody is in the body. Who was killed in there never left. */
static bool occupied(tl_generator *self) {
  lua_Debug ar;
  if (self->stage != INSIDE && self->stage != CLOSING) return false;
  if (lua_status(self->co) == LUA_YIELD || lua_getstack(self->co, 0, &ar)) return true;
  self->stage = DONE;
  return false;
}

static void check_free(lua_State *L, tl_generator *self) {
  if (TL_UNLIKELY(occupied(self)))
    tl_raise_in_use(L, self->rt,
                    tl_runs(self->rt->nesting, L, self->co)
                        ? "this generator is running: what its own body calls can neither take its "
                          "next value nor close it"
                        : "this generator is used by two tasks at once: one at a time can take its "
                          "next value, or close it");
}

/* The coroutine has given `results`, or has ended. */
TL_INLINE int stepped(lua_State *L, int results) {
  tl_generator *self = generator_of(L);
  if (TL_UNLIKELY(results < 0)) {
    self->stage = DONE;
    return lua_error(L);
  }
  if (lua_status(self->co) == LUA_YIELD) {
    self->stage = SUSPENDED;
    return results;
  }
  self->stage = DONE;
  lua_pushnil(L);
  return 1;
}

static lua_State *coroutine_of(lua_State *L) { return generator_of(L)->co; }

static int step_again(lua_State *L, int status, lua_KContext scope);

static const tl_resumer step_ops = {step_again, coroutine_of, stepped};

static int step_again(lua_State *L, int status, lua_KContext scope) {
  bool waiting;
  const tl_generator *self = generator_of(L);
  (void)status;
  int results = tl_coroutine_go_on(L, self->rt, self->co, scope, &waiting);
  return tl_coroutine_back(L, self->rt, &step_ops, scope, results, waiting);
}

/* The body has not begun, or has ended: there is no yield to give the value at 1 to. */
static int step_nowhere(lua_State *L, tl_generator *self, request how) {
  if (how == SEND && self->stage == FRESH && !lua_isnil(L, 1))
    return tl_raise_message(L, self->rt, TIDE_EMISUSE,
                            "nobody would get what is sent to a generator that has not begun: take "
                            "its first value before");
  self->stage = DONE;
  if (how == THROW) return lua_error(L);
  lua_pushnil(L);
  return 1;
}

/* Takes the next value; the one at 1, if any, is what yield returns, or raises. */
TL_INLINE int advance(lua_State *L, request how) {
  bool waiting;
  tl_generator *self = generator_of(L);
  if (how == TAKE && TL_UNLIKELY(tl_is_step_due(L, self->rt))) return tl_turn(L, self->rt);
  check_free(L, self);
  lua_settop(L, how == TAKE ? 0 : 1);
  bool begins = self->stage == FRESH && (how == TAKE || (how == SEND && lua_isnil(L, 1)));
  if (self->stage != SUSPENDED && !begins) return step_nowhere(L, self, how);
  lua_KContext scope = tl_coroutine_scope(self->rt);
  tl_coroutine_prepare(L, self->rt, self->co);
  int arguments = begins ? 2 : how == TAKE ? 0 : lua_gettop(L); /* run_body's, or the value */
  if (how != TAKE && !begins) lua_xmove(L, self->co, arguments);
  self->stage = INSIDE;
  self->thrown = how == THROW;
  int results = tl_coroutine_resume(L, self->rt, self->co, arguments, scope, &waiting);
  return tl_coroutine_back(L, self->rt, &step_ops, scope, results, waiting);
}

static int step(lua_State *L) { return advance(L, TAKE); }

static int send_(lua_State *L) { return advance(L, SEND); }

static int throw_(lua_State *L) { return advance(L, THROW); }

/* Closing. */

static int closed(lua_State *L, int results) {
  tl_generator *self = generator_of(L);
  bool again = results >= 0 && lua_status(self->co) == LUA_YIELD;
  self->stage = DONE;
  if (again) tl_close_coroutine(L, self->rt, self->co, "the cleanup of a generator");
  if (again)
    return tl_raise_message(L, self->rt, TIDE_EINVALID_STATE,
                            "the generator went on after it was closed, and gave a value");
  if (results < 0 && !tl_generator_exits(L, -1)) return lua_error(L);
  return 0;
}

static int close_again(lua_State *L, int status, lua_KContext scope);

static const tl_resumer close_ops = {close_again, coroutine_of, closed};

static int close_again(lua_State *L, int status, lua_KContext scope) {
  bool waiting;
  const tl_generator *self = generator_of(L);
  (void)status;
  int results = tl_coroutine_go_on(L, self->rt, self->co, scope, &waiting);
  return tl_coroutine_back(L, self->rt, &close_ops, scope, results, waiting);
}

static int close(lua_State *L) {
  bool waiting;
  tl_generator *self = generator_of(L);
  check_free(L, self);
  stage was = self->stage;
  self->stage = was == SUSPENDED ? CLOSING : DONE;
  if (was != SUSPENDED) return 0;
  lua_KContext scope = tl_coroutine_scope(self->rt);
  lua_settop(L, 0);
  int results = tl_coroutine_resume(L, self->rt, self->co, 0, scope, &waiting);
  return tl_coroutine_back(L, self->rt, &close_ops, scope, results, waiting);
}

/* Dropped unfinished: its cleanup runs, and cannot wait. */
static int collect(lua_State *L) {
  tl_generator *self = lua_touserdata(L, 1);
  stage was = self->stage;
  self->stage = DONE;
  if (was == SUSPENDED)
    tl_close_coroutine(L, self->rt, self->co, "the cleanup of a generator that was dropped");
  return 0;
}

lua_State *tl_generator_inside(lua_State *L, int index) {
  lua_CFunction function = lua_tocfunction(L, index);
  if (function != step && function != send_ && function != throw_ && function != close) return NULL;
  lua_getupvalue(L, index, 2);
  lua_State *co = lua_tothread(L, -1);
  lua_pop(L, 1);
  return co;
}

static void push_function(lua_State *L, tl_runtime *rt, int co, int self, lua_CFunction function) {
  lua_pushlightuserdata(L, rt);
  lua_pushvalue(L, co);
  lua_pushvalue(L, self);
  lua_pushcclosure(L, function, 3);
}

/* tide.generator_parts(body) -> step, close, send(value), throw(error) */
static int parts(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_check_callable(L, 1);
  lua_settop(L, 1);
  lua_State *co = lua_newthread(L);
  tl_generator *self = tl_object_new(L, rt, TL_GENERATOR, sizeof *self, 1);
  *self = (tl_generator){.rt = rt, .co = co, .stage = DONE};
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, 1);
  lua_pushcfunction(co, run_body);
  lua_pushvalue(L, 1);
  push_function(L, rt, 2, 3, yield);
  lua_xmove(L, co, 2);
  self->stage = FRESH;
  push_function(L, rt, 2, 3, step);
  push_function(L, rt, 2, 3, close);
  push_function(L, rt, 2, 3, send_);
  push_function(L, rt, 2, 3, throw_);
  return 4;
}

void tl_generator_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"generator_parts", parts}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", collect}, {NULL, NULL}};
  tl_class_new(L, rt, TL_GENERATOR, "generator", NULL, metamethods);
  tl_functions(L, rt, functions);
}
