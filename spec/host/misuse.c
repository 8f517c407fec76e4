/* misuse.c: what a host gets wrong is told, and breaks nothing: pointers of another state's or
 * loop's, what was ended before, states that are in use. */
#include "states.h"

static char told[200]; /* what the last call in protected mode raised */

/* Calls it in protected mode; what it raises is in `told`. */
static void attempt(lua_State *L, lua_CFunction function, const void *argument) {
  lua_settop(L, 0);
  lua_pushcfunction(L, function);
  lua_pushlightuserdata(L, (void *)(uintptr_t)argument);
  int status = lua_pcall(L, 1, 0, 0);
  snprintf(told, sizeof told, "%s", status == LUA_OK ? "nothing" : luaL_tolstring(L, -1, NULL));
  lua_settop(L, 0);
}

#define CHECK_TOLD(expected) CHECK_TEXT(told, expected)

static void finish(lua_State *L, tide_loop *loop) {
  lua_close(L);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

/* Pointers. */

static tide_future *future;
static tide_queue *queue;
static tide_group *group;
static uint32_t slot;

static int l_lend(lua_State *L) {
  const char *type = luaL_checkstring(L, 1);
  if (strcmp(type, "future") == 0) future = tide_lua_to_future(L, 2);
  if (strcmp(type, "queue") == 0) queue = tide_lua_to_queue(L, 2);
  if (strcmp(type, "group") == 0) group = tide_lua_to_group(L, 2);
  return 0;
}

static int spawn_into(lua_State *L) {
  lua_getglobal(L, "type");
  lua_pushvalue(L, -1);
  tide_lua_spawn(L, 1, lua_touserdata(L, 1));
  return 0;
}

static int set_result(lua_State *L) {
  tide_lua_set_result(L, lua_touserdata(L, 1), 0);
  return 0;
}

static int set_error(lua_State *L) {
  tide_lua_set_error(L, lua_touserdata(L, 1));
  return 0;
}

static int store(lua_State *L) {
  lua_pushinteger(L, 1);
  slot = tide_lua_queue_store(L, queue);
  return 0;
}

/* -> what was in the slot */
static int take(lua_State *L) {
  tide_lua_queue_take(L, queue, slot);
  return 1;
}

static lua_State *state_that_lends(tide_loop *loop) {
  lua_State *L = state_new(loop);
  lua_register(L, "lend", l_lend);
  return L;
}

static void a_group_of_another_loop_is_refused(void) {
  tide_loop *loop = virtual_loop(), *other = virtual_loop();
  lua_State *L = state_new(loop);
  attempt(L, spawn_into, tide_loop_background(other));
  CHECK_TOLD("misuse: the group is of another loop than the state");
  attempt(L, spawn_into, tide_loop_background(loop));
  CHECK_TOLD("nothing");
  tide_loop_turn(loop, false);
  finish(L, loop);
  tide_loop_free(other);
}

static void what_another_state_has_lent_is_refused(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = state_that_lends(loop), *M = state_new(loop);
  run_code(L, "f, q = tide.Future(), tide.Queue() lend('future', f) lend('queue', q)\n"
              "tide.spawn(function() local g <close> = tide.TaskGroup() lend('group', g) "
              "tide.sleep(9) end)");
  tide_loop_turn(loop, false);
  attempt(M, spawn_into, group);
  CHECK_TOLD("misuse: the pointer is not to a TaskGroup that this Lua state has given to C");
  attempt(M, set_result, future);
  CHECK_TOLD("misuse: the pointer is not to a Future that this Lua state has given to C");
  attempt(M, set_error, NULL);
  CHECK_TOLD("misuse: the pointer is not to a Future that this Lua state has given to C");
  attempt(M, store, NULL);
  CHECK_TOLD("misuse: the pointer is not to a Queue that this Lua state has given to C");
  attempt(L, store, NULL);
  CHECK_TOLD("nothing");
  lua_pushcfunction(M, take);
  lua_call(M, 0, 1);
  CHECK(lua_isnil(M, -1));
  lua_pushcfunction(L, take);
  lua_call(L, 0, 1);
  CHECK_EQ(lua_tointeger(L, -1), 1);
  tide_lua_push_lent(M, queue);
  CHECK(lua_isnil(M, -1));
  lua_close(M);
  finish(L, loop);
}

static void a_task_is_no_future_that_a_host_can_end(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = state_that_lends(loop);
  run_code(L, "t = tide.spawn(tide.sleep, 1) lend('future', t)");
  attempt(L, set_result, future);
  CHECK_TOLD("misuse: the pointer is not to a Future that this Lua state has given to C");
  finish(L, loop);
}

/* A finalizer of the end, when the queue has gone already, and without tide. */
static void a_slot_of_a_queue_that_went_is_empty(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_register(L, "take", take);
  run_code(
      L,
      "assert(take() == nil) setmetatable({}, { __gc = function() took = { take() } end })\n"
      "last = setmetatable({}, { __gc = function() assert(took == nil and take() == nil) end })");
  lua_pushcfunction(L, open_in_loop);
  lua_pushlightuserdata(L, loop);
  CHECK_EQ(lua_pcall(L, 1, 0, 0), LUA_OK);
  lua_register(L, "lend", l_lend);
  run_code(L, "q = tide.Queue() lend('queue', q)");
  attempt(L, store, NULL);
  finish(L, loop);
}

/* Objects that cannot be. */

static int push_barrier(lua_State *L) {
  tide_lua_push_barrier(L, 0);
  return 0;
}

static int push_stream(lua_State *L) {
  tide_lua_push_stream(L, 9999);
  return 0;
}

static void what_cannot_be_made_is_refused(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = state_new(loop);
  attempt(L, push_barrier, NULL);
  CHECK_TOLD("misuse: a barrier has one party at least");
  attempt(L, push_stream, NULL); /* libev aborts where it is to watch it */
  CHECK_TOLD("os: Bad file descriptor (EBADF)");
  finish(L, loop);
}

/* Calls. */

typedef struct caller {
  tide_task task; /* first */
  tide_steps steps;
  lua_State *L;
  tide_lua_call call;
  int begun, ended, again, count;
} caller;

static void step(tide_task *task, int outcome) {
  caller *self = (caller *)(void *)task;
  lua_State *L = self->L;
  TIDE_BEGIN(task, &self->steps, outcome);
  luaL_loadstring(L, "tide.sleep(1) return 1, 2");
  self->begun = tide_lua_call_async(L, 0, &self->call, task);
  if (self->begun != TIDE_PENDING) TIDE_LEAVE(self->begun);
  TIDE_WAIT(TIDE_PENDING);
  self->ended = tide_lua_call_end(L, &self->call, &self->count);
  lua_pop(L, self->count);
  int one;
  self->again = tide_lua_call_end(L, &self->call, &one);
  lua_pop(L, one);
  TIDE_END;
}

static void start(caller *self, lua_State *L, tide_loop *loop) {
  static const tide_task_ops ops = {.name = "caller", .step = step};
  *self = (caller){.L = L};
  tide_task_init(&self->task, loop, &ops);
  CHECK_EQ(tide_task_spawn(&self->task, tide_loop_background(loop)), TIDE_OK);
}

static void a_call_that_was_ended_gives_nothing_more(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = state_new(loop);
  caller self;
  start(&self, L, loop);
  CHECK_EQ(tide_loop_run(loop, &self.task.future), TIDE_OK);
  CHECK_EQ(self.ended, TIDE_OK);
  CHECK_EQ(self.count, 2);
  CHECK_EQ(self.again, TIDE_EINVALID_STATE);
  CHECK_EQ(lua_gettop(L), 0);
  finish(L, loop);
}

static void a_task_of_another_loop_cannot_call(void) {
  tide_loop *loop = virtual_loop(), *other = virtual_loop();
  lua_State *L = state_new(loop);
  caller self;
  start(&self, L, other);
  CHECK_EQ(tide_loop_run(other, &self.task.future), TIDE_OK);
  CHECK_EQ(self.begun, TIDE_EMISUSE);
  CHECK_EQ(self.call.reference, LUA_NOREF);
  CHECK_EQ(lua_gettop(L), 0);
  finish(L, loop);
  tide_loop_free(other);
}

static int spawn_untold(lua_State *L) {
  luaL_loadstring(L, "error('x', 0)");
  tide_lua_spawn_cb(L, 0, NULL, NULL);
  CHECK_EQ(lua_gettop(L), 1);
  return 0;
}

static void where_nobody_is_to_be_told_a_failure_is_reported(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = state_new(loop);
  run_code(L, "tide.on_failure(function(_, err) failed = err end)");
  attempt(L, spawn_untold, NULL);
  CHECK_TOLD("nothing");
  for (int i = 0; i < 3; i++) tide_loop_turn(loop, false);
  run_code(L, "assert(failed == 'x')");
  finish(L, loop);
}

/* States in use. */

static void a_state_without_tide_says_so(void) {
  lua_State *L = luaL_newstate();
  attempt(L, spawn_into, NULL);
  CHECK_TOLD("tide is not loaded in this Lua state");
  lua_close(L);
}

static int results[4], result_count;

static int l_close(lua_State *L) {
  results[result_count++] = tide_lua_close(L, 0);
  return 0;
}

static void one_that_is_in_use_is_not_closed(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = state_new(loop);
  result_count = 0;
  lua_register(L, "close", l_close);
  run_code(L, "close()\n"
              "coroutine.wrap(close)()\n"
              "tide.run(close)\n"
              "last = setmetatable({}, { __gc = function() close() end })");
  finish(L, loop);
  CHECK_EQ(result_count, 4);
  for (int i = 0; i < 4; i++) CHECK_EQ(results[i], TIDE_EALREADY_RUNNING);
}

/* `sizeof record`, where the record is a pointer. */

static int begin_small(lua_State *L) {
  static const tide_lua_ops ops = {.name = "thing"};
  if (lua_toboolean(L, 1))
    tide_lua_begin_job(L, sizeof(tide_job) - 1, NULL, &ops);
  else
    tide_lua_begin(L, sizeof(void *), &ops);
  return 0;
}

static void a_record_that_is_too_small_is_refused(void) {
  tide_loop *loop = virtual_loop();
  lua_State *L = state_new(loop);
  lua_register(L, "begin_small", begin_small);
  run_code(L, "tide.spawn(function()\n"
              "  for _, job in ipairs { false, true } do\n"
              "    local ok, err = pcall(begin_small, job)\n"
              "    assert(not ok and err.kind == 'misuse', err)\n"
              "  end\n"
              "  done = 1\n"
              "end)");
  CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  CHECK_EQ(number(L, "done"), 1);
  finish(L, loop);
}

int main(void) {
  RUN(a_group_of_another_loop_is_refused);
  RUN(what_another_state_has_lent_is_refused);
  RUN(a_task_is_no_future_that_a_host_can_end);
  RUN(a_slot_of_a_queue_that_went_is_empty);
  RUN(what_cannot_be_made_is_refused);
  RUN(a_call_that_was_ended_gives_nothing_more);
  RUN(a_task_of_another_loop_cannot_call);
  RUN(where_nobody_is_to_be_told_a_failure_is_reported);
  RUN(a_state_without_tide_says_so);
  RUN(one_that_is_in_use_is_not_closed);
  RUN(a_record_that_is_too_small_is_refused);
  return check_summary();
}
