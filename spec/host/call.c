/* call.c: tasks of C's that call functions of Lua's which may wait. */
#include "states.h"

typedef struct caller {
  tide_task task; /* first */
  tide_steps steps;
  host *h;
  tide_lua_call call;
  const char *code;
  char text[200];
} caller;

static void note_end(caller *self) {
  int count;
  lua_State *L = self->h->L;
  int error = tide_lua_call_end(L, &self->call, &count);
  self->h->luas.fail_at = 0; /* what follows is not to raise */
  snprintf(self->text, sizeof self->text, "%d %d %s", error, count,
           count > 0 ? luaL_tolstring(L, -count, NULL) : "");
  lua_settop(L, 0);
}

static void caller_step(tide_task *task, int outcome) {
  caller *self = (caller *)(void *)task;
  TIDE_BEGIN(task, &self->steps, outcome);
  luaL_dostring(self->h->L, self->code);
  lua_pushinteger(self->h->L, 5);
  TIDE_WAIT(tide_lua_call_async(self->h->L, 1, &self->call, task));
  if (self->steps.outcome == TIDE_OK)
    note_end(self);
  else
    snprintf(self->text, sizeof self->text, "outcome %d", self->steps.outcome);
  self->steps.outcome = TIDE_OK;
  TIDE_END;
}

static void start_caller(host *h, caller *self, const char *code) {
  static const tide_task_ops task_ops = {.name = "caller", .step = caller_step};
  *self = (caller){.h = h, .code = code};
  tide_task_init(&self->task, h->w.loop, &task_ops);
  CHECK_EQ(tide_task_spawn(&self->task, tide_loop_background(h->w.loop)), TIDE_OK);
}

static void check_call(host *h, const char *code, const char *expected) {
  caller self;
  start_caller(h, &self, code);
  settle(&h->w);
  CHECK_TEXT(self.text, expected);
  CHECK_EQ(self.call.reference, LUA_NOREF);
}

static void a_task_of_c_calls_a_function_that_waits(void) {
  host h;
  host_open_for_lua(&h);
  check_call(&h, "return function(x) sleep(1) return x + 1, 2, 3 end", "0 3 6");
  check_call(&h, "return function() end", "0 0 ");
  check_call(&h, "return function() sleep(1) error('bad', 0) end", "-18 1 bad");
  check_call(&h, "return function() tide.Queue():get_nowait() end",
             "-6 1 queue_empty: get_nowait: the queue is empty");
  check_call(&h, "return 7", "outcome -18");
  check_call(&h, "return function() tide.current_task():cancel() sleep(1) end",
             "-1 1 cancelled: the task that was awaited was cancelled");
  host_close(&h);
}

static void cancelling_the_caller_cancels_the_function(void) {
  host h;
  caller self;
  host_open_for_lua(&h);
  start_caller(&h, &self,
               "return function()\n"
               "  local _ <close> = closer(function() tide.shield(sleep, 1) say 'cleaned' end)\n"
               "  sleep(5) end");
  turn(&h.w);
  turn(&h.w);
  tide_task_cancel(&self.task);
  settle(&h.w);
  CHECK_LUA_LOG(&h, "cleaned");
  CHECK_TEXT(self.text, "-1 1 cancelled: the task that was awaited was cancelled");
  start_caller(&h, &self,
               "return function()\n"
               "  local _ <close> = closer(function() say 'cleaned' end)\n"
               "  sleep(5) end");
  turn(&h.w);
  turn(&h.w);
  tide_task_detach(&self.task);
  tide_task_finish(&self.task, TIDE_FUTURE_CANCELLED);
  tide_lua_call_drop(h.L, &self.call);
  tide_lua_call_drop(h.L, &self.call);
  settle(&h.w);
  CHECK_LUA_LOG(&h, "cleaned");
  host_close(&h);
}

/* On a loop that goes on: who waits is told, and where the function has ended, but the caller was
 * not stepped again, the result is not taken out of the state, which is gone. */

static int call_outcome, call_result;

static void lonely_step(tide_task *task, int outcome) {
  caller *self = (caller *)(void *)task;
  lua_State *L = self->h->L;
  int count;
  TIDE_BEGIN(task, &self->steps, outcome);
  luaL_dostring(L, self->code);
  TIDE_WAIT(tide_lua_call_async(L, 0, &self->call, task));
  call_outcome = self->steps.outcome;
  if (call_outcome == TIDE_OK) {
    call_result = tide_lua_call_end(L, &self->call, &count);
    CHECK(call_result == TIDE_OK || count == 0);
    if (call_result == TIDE_OK) lua_pop(L, count);
  }
  tide_lua_call_drop(L, &self->call);
  self->steps.outcome = TIDE_OK;
  TIDE_END;
}

static void the_state_is_closed_while_c_calls_it(void) {
  static const tide_task_ops task_ops = {.name = "caller", .step = lonely_step};
  bool waiting = false, ended = false, over = false;
  for (int turns = 0; turns < 8; turns++) {
    host h = {.L = NULL};
    caller self = {.h = &h, .code = "return function() tide.sleep(0) return 1 end"};
    world_open(&h.w);
    h.L = state_new(h.w.loop);
    tide_task_init(&self.task, h.w.loop, &task_ops);
    CHECK_EQ(tide_task_spawn(&self.task, tide_loop_background(h.w.loop)), TIDE_OK);
    call_outcome = call_result = 1;
    for (int i = 0; i <= turns; i++) turn(&h.w);
    if (self.task.state == TIDE_TASK_ENDED) over = true;
    bool ready = self.task.state == TIDE_TASK_READY;
    lua_close(h.L);
    settle(&h.w);
    CHECK_EQ(self.task.state, TIDE_TASK_ENDED);
    if (call_outcome == TIDE_ECLOSED) waiting = true;
    if (ready) CHECK_EQ(call_result, TIDE_ECLOSED);
    if (call_result == TIDE_ECLOSED) ended = true;
    world_close(&h.w);
  }
  CHECK(waiting && ended && over);
}

static void a_call_short_of_memory_says_so(void) {
  for (unsigned number = 1; number < 40; number++) {
    host h;
    caller self;
    host_open_for_lua(&h);
    start_caller(&h, &self, "return function() sleep(1) return 5 end");
    h.luas.fail_at = h.luas.allocations + number;
    h.w.memory.fail_at = h.w.memory.allocations + number;
    settle(&h.w);
    h.luas.fail_at = h.w.memory.fail_at = 0;
    settle(&h.w);
    lua_settop(h.L, 0);
    CHECK(actor_ended((actor *)(void *)&self.task));
    CHECK_EQ(self.call.reference, LUA_NOREF);
    host_close(&h);
  }
}

int main(void) {
  RUN(a_task_of_c_calls_a_function_that_waits);
  RUN(cancelling_the_caller_cancels_the_function);
  RUN(the_state_is_closed_while_c_calls_it);
  RUN(a_call_short_of_memory_says_so);
  return check_summary();
}
