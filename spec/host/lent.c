/* lent.c: objects that C and Lua share. */
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"

static host *host_of(actor *self) { return (host *)(void *)self->world; }

static tide_event *event;
static tide_lock *lock;
static tide_semaphore *semaphore;
static tide_condition *condition;
static tide_barrier *barrier;
static tide_rwlock *rwlock;
static tide_future *future;
static tide_task *task;
static tide_queue *queue;
static tide_group *group;
static tide_stream *stream;
static tide_listener *listener;
static tide_scope *scope;

/* lend(name, object): C has it from now on. */
static int l_lend(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  if (strcmp(name, "event") == 0) event = tide_lua_to_event(L, 2);
  if (strcmp(name, "lock") == 0) lock = tide_lua_to_lock(L, 2);
  if (strcmp(name, "semaphore") == 0) semaphore = tide_lua_to_semaphore(L, 2);
  if (strcmp(name, "condition") == 0) condition = tide_lua_to_condition(L, 2);
  if (strcmp(name, "barrier") == 0) barrier = tide_lua_to_barrier(L, 2);
  if (strcmp(name, "rwlock") == 0) rwlock = tide_lua_to_rwlock(L, 2);
  if (strcmp(name, "future") == 0) future = tide_lua_to_future(L, 2);
  if (strcmp(name, "task") == 0) task = tide_lua_to_task(L, 2);
  if (strcmp(name, "queue") == 0) queue = tide_lua_to_queue(L, 2);
  if (strcmp(name, "group") == 0) group = tide_lua_to_group(L, 2);
  if (strcmp(name, "stream") == 0) stream = tide_lua_to_stream(L, 2);
  if (strcmp(name, "listener") == 0) listener = tide_lua_to_listener(L, 2);
  if (strcmp(name, "scope") == 0) scope = tide_lua_to_scope(L, 2);
  return 0;
}

static void open_with_lend(host *h) {
  host_open_for_lua(h);
  lua_register(h->L, "lend", l_lend);
}

/* What C makes scripts use. */

static void c_user(actor *self) {
  BEGIN;
  WAIT(tide_event_wait(event, &self->task));
  say(self, "event %d", self->outcome);
  WAIT(tide_lock_acquire(lock, &self->task));
  say(self, "lock %d", self->outcome);
  tide_lock_release(lock, &self->task);
  WAIT(tide_semaphore_acquire(semaphore, &self->task, 1));
  say(self, "semaphore %d", self->outcome);
  WAIT(tide_barrier_wait(barrier, &self->task));
  say(self, "barrier %d", self->outcome);
  WAIT(tide_future_wait(future, &self->task, false));
  say(self, "future %d %d", self->outcome, future->state);
  END;
}

static void tasks_of_both_wait_in_what_a_host_has_made(void) {
  host h;
  open_with_lend(&h);
  lua_State *L = h.L;
  event = tide_lua_push_event(L);
  lua_setglobal(L, "event");
  lock = tide_lua_push_lock(L);
  lua_pushvalue(L, -1);
  lua_setglobal(L, "lock");
  condition = tide_lua_push_condition(L, -1);
  lua_setglobal(L, "condition");
  lua_pop(L, 1);
  semaphore = tide_lua_push_semaphore(L, 0, 5);
  lua_setglobal(L, "semaphore");
  barrier = tide_lua_push_barrier(L, 2);
  lua_setglobal(L, "barrier");
  rwlock = tide_lua_push_rwlock(L);
  lua_setglobal(L, "rwlock");
  future = tide_lua_push_future(L);
  lua_setglobal(L, "future");
  CHECK_EQ(lua_gettop(L), 0);
  spawn(&h.w, "c", c_user);
  host_do(&h, "run(function()\n"
              "  for _, name in ipairs { 'event', 'lock', 'condition', 'semaphore', 'barrier',\n"
              "      'rwlock', 'future' } do say(tide.type(_G[name])) end\n"
              "  sleep(1)\n"
              "  event:set()\n"
              "  lock:acquire() sleep(1) lock:release()\n"
              "  semaphore:release()\n"
              "  barrier:wait()\n"
              "  local waits = spawn(function() lock:acquire() condition:wait() say 'notified'\n"
              "    lock:release() end)\n"
              "  sleep(1)\n"
              "  future:set_result(1)\n"
              "  do local _ <close> = rwlock:write() end\n"
              "  lock:acquire() condition:notify() lock:release()\n"
              "  waits:await()\n"
              "end)");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "Event, Lock, Condition, Semaphore, Barrier, RWLock, Future, notified");
  CHECK_LOG(&h.w, "c event 0, c lock 0, c semaphore 0, c barrier 0, c future 0 1");
  CHECK(condition->lock == lock);
  host_close(&h);
}

static void c_takes_what_scripts_have_made(void) {
  host h;
  open_with_lend(&h);
  spawn(&h.w, "c", c_user);
  host_do(&h, "kept = { event = tide.Event(), lock = tide.Lock(), semaphore = tide.Semaphore(1),\n"
              "  barrier = tide.Barrier(1), future = tide.Future() }\n"
              "for name, object in pairs(kept) do lend(name, object) end\n"
              "kept.event:set() kept.future:cancel()");
  settle(&h.w);
  CHECK_LOG(&h.w, "c event 0, c lock 0, c semaphore 0, c barrier 0, c future 0 3");
  tide_lua_push_lent(h.L, event);
  lua_getglobal(h.L, "kept");
  lua_getfield(h.L, -1, "event");
  CHECK(lua_rawequal(h.L, -1, -3)); /* the same object again */
  tide_lua_push_lent(h.L, &h);
  CHECK(lua_isnil(h.L, -1));
  lua_settop(h.L, 0);
  host_close(&h);
}

static void what_is_something_else_is_refused(void) {
  host h;
  open_with_lend(&h);
  host_do(
      &h,
      "run(function()\n"
      "  for _, name in ipairs { 'event', 'lock', 'semaphore', 'condition', 'barrier', 'rwlock',\n"
      "      'future', 'task', 'queue', 'group', 'stream', 'listener', 'scope' } do\n"
      "    for _, x in ipairs { 1, 'x', {}, io.stdout, tide.select } do\n"
      "      local ok, err = pcall(lend, name, x)\n"
      "      assert(not ok and err:find 'bad argument #2 to', name)\n"
      "    end\n"
      "    assert(not pcall(lend, name))\n"
      "  end\n"
      "  assert(not pcall(lend, 'event', tide.Lock()) and not pcall(lend, 'task', tide.Future()))\n"
      "  lend('future', tide.current_task())\n"
      "  tide.TaskGroup(function(g) lend('group', g) end)\n"
      "  tide.scope(function(s) lend('scope', s) end)\n"
      "  local one <close> = tide.net.pair()\n"
      "  local other <close> = tide.net.listen('127.0.0.1', 0)\n"
      "  lend('stream', one) lend('listener', other)\n"
      "end)");
  host_close(&h);
}

/* Futures. */

static int l_end(lua_State *L) { /* finish(count, ...), finish(nil, error) */
  bool took = lua_isnil(L, 1) ? tide_lua_set_error(L, future)
                              : tide_lua_set_result(L, future, (int)lua_tointeger(L, 1));
  lua_pushboolean(L, took);
  lua_pushinteger(L, lua_gettop(L));
  return 2;
}

static int l_end_bare(lua_State *L) {
  tide_future_end(future, lua_toboolean(L, 1) ? TIDE_FUTURE_DONE : TIDE_FUTURE_FAILED);
  return 0;
}

static void a_future_gets_results_and_errors_from_c(void) {
  host h;
  open_with_lend(&h);
  lua_register(h.L, "finish", l_end);
  lua_register(h.L, "finish_bare", l_end_bare);
  host_do(&h, "run(function()\n"
              "  local function new() local f = tide.Future() lend('future', f) return f end\n"
              "  local function took(...) say(tostring((...)), (select(2, ...))) end\n"
              "  local f = new() took(finish(2, 'a', 'b')) say(f:await())\n"
              "  f = new() took(finish(0)) say(select('#', f:await()))\n"
              "  f = new() took(finish(nil, 'bad')) say(select(2, pcall(f.await, f)))\n"
              "  f = new() f:cancel() took(finish(1, 'late'))\n"
              "  f = new() finish(1, 'x') say(kind(select(2, pcall(finish, 1, 'twice'))))\n"
              "  f = new() finish_bare(true) say(tostring(f:await()))\n"
              "  f = new() local waits = spawn(pcall, f.await, f) sleep(0)\n"
              "  finish_bare(false) say(select(2, waits:await()))\n"
              "  say((select(2, pcall(f.await, f))), f:error(), tostring(f))\n"
              "  say(select(2, pcall(tide.gather, { f })))\n"
              "end)");
  CHECK_LUA_LOG(
      &h, "true 2, a b, true 2, 0, true 2, bad, false 2, invalid_state, nil, it failed in C, "
          "without an error of Lua's, it failed in C, without an error of Lua's it failed in C, "
          "without an error of Lua's Future(failed), it failed in C, without an error of Lua's");
  host_do(&h, "tide.on_failure(function(what, err) say(err) end)\n"
              "future = tide.Future() lend('future', future)\n"
              "spawn(function() future:await() end)");
  turn(&h.w);
  tide_future_end(future, TIDE_FUTURE_FAILED);
  settle(&h.w);
  CHECK_LUA_LOG(&h, "it failed in C, without an error of Lua's");
  host_close(&h);
}

static void awaiter(actor *self) {
  BEGIN;
  WAIT(tide_future_wait(future, &self->task, false));
  say(self, "%d %d", self->outcome, future->state);
  END;
}

static void c_awaits_a_task(void) {
  host h;
  open_with_lend(&h);
  host_do(&h, "t = spawn(function() sleep(1) end) lend('future', t) lend('task', t)");
  CHECK(&task->future == future);
  spawn(&h.w, "c", awaiter);
  settle(&h.w);
  CHECK_LOG(&h.w, "c 0 1");
  host_do(&h, "t = spawn(function() sleep(1) end) lend('future', t)");
  actor *c = spawn(&h.w, "c", awaiter);
  turn(&h.w);
  tide_task_cancel(&c->task); /* which hands on to what it awaits */
  settle(&h.w);
  CHECK_LOG(&h.w, "c 0 3");
  host_close(&h);
}

/* Queues. */

static void getter(actor *self) {
  BEGIN;
  for (;;) {
    WAIT(tide_queue_get(queue, &self->task));
    if (self->outcome != TIDE_OK) break;
    lua_State *L = host_of(self)->L;
    tide_lua_queue_take(L, queue, (uint32_t)self->task.wait.value.number);
    say(self, "%s", luaL_tolstring(L, -1, NULL));
    lua_pop(L, 2);
  }
  say(self, "%d", self->outcome);
  self->outcome = TIDE_OK;
  END;
}

static void putter(actor *self) {
  BEGIN;
  for (self->i = 1; self->i <= 3; self->i++) {
    lua_pushinteger(host_of(self)->L, self->i);
    self->slot = tide_lua_queue_store(host_of(self)->L, queue);
    WAIT(tide_queue_put(queue, &self->task, self->slot, 0));
    say(self, "put %d", self->outcome);
    if (self->outcome == TIDE_OK) continue;
    lua_State *L = host_of(self)->L;
    tide_lua_queue_take(L, queue, self->slot);
    say(self, "back %d", (int)lua_tointeger(L, -1));
    lua_pop(L, 1);
    break;
  }
  self->outcome = TIDE_OK;
  END;
}

static void values_go_through_a_queue_in_both_directions(void) {
  host h;
  open_with_lend(&h);
  queue = tide_lua_push_queue(h.L, TIDE_FIFO, 1);
  lua_setglobal(h.L, "queue");
  spawn(&h.w, "c", getter);
  host_do(
      &h,
      "run(function() for _, x in ipairs { 'a', 2, true } do queue:put(x) end queue:close() end)");
  settle(&h.w);
  CHECK_LOG(&h.w, "c a, c 2, c true, c -4");
  queue = tide_lua_push_queue(h.L, TIDE_FIFO, 1);
  lua_setglobal(h.L, "queue");
  spawn(&h.w, "c", putter);
  host_do(&h, "run(function() for i = 1, 3 do say(queue:get()) end end)");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "1, 2, 3");
  CHECK_LOG(&h.w, "c put 0, c put 0, c put 0");
  actor *c = spawn(&h.w, "c", putter); /* the second has to wait, and is cancelled */
  turn(&h.w);
  turn(&h.w);
  tide_task_cancel(&c->task);
  settle(&h.w);
  CHECK_LOG(&h.w, "c put 0, c put -1, c back 2");
  host_do(&h, "say(#queue, queue:get_nowait())");
  CHECK_LUA_LOG(&h, "1 1");
  host_close(&h);
}

static int try_to_put(lua_State *L, const char *text) {
  lua_pushstring(L, text);
  uint32_t slot = tide_lua_queue_store(L, queue);
  int result = tide_queue_try_put(queue, slot, 0);
  if (result == TIDE_OK) return result;
  tide_lua_queue_take(L, queue, slot);
  CHECK_TEXT(lua_tostring(L, -1), text);
  lua_pop(L, 1);
  return result;
}

static void closed_putter(actor *self) {
  BEGIN;
  for (self->i = 0; self->i < 1000; self->i++) { /* some of these take a turn */
    lua_pushinteger(host_of(self)->L, self->i);
    self->slot = tide_lua_queue_store(host_of(self)->L, queue);
    WAIT(tide_queue_put(queue, &self->task, self->slot, 0));
    CHECK_EQ(self->outcome, TIDE_ECLOSED);
    tide_lua_queue_take(host_of(self)->L, queue, self->slot);
    CHECK_EQ(lua_tointeger(host_of(self)->L, -1), self->i);
    lua_pop(host_of(self)->L, 1);
    CHECK_EQ(tide_queue_taken(queue), 2);
  }
  self->outcome = TIDE_OK;
  END;
}

static void what_a_full_or_closed_queue_has_not_taken_is_taken_back(void) {
  host h;
  open_with_lend(&h);
  queue = tide_lua_push_queue(h.L, TIDE_FIFO, 2);
  lua_setglobal(h.L, "queue");
  for (int round = 0; round < 3; round++) {
    CHECK_EQ(try_to_put(h.L, "a"), TIDE_OK);
    CHECK_EQ(try_to_put(h.L, "b"), TIDE_OK);
    CHECK_EQ(try_to_put(h.L, "c"), TIDE_EQUEUE_FULL);
    CHECK_EQ(try_to_put(h.L, "d"), TIDE_EQUEUE_FULL);
    CHECK_EQ(tide_queue_taken(queue), 2);
    host_do(&h, "say(queue:get_nowait(), queue:get_nowait())");
    CHECK_EQ(tide_queue_taken(queue), 0);
    CHECK_LUA_LOG(&h, "a b");
  }
  CHECK_EQ(try_to_put(h.L, "e"), TIDE_OK);
  CHECK_EQ(try_to_put(h.L, "f"), TIDE_OK);
  host_do(&h, "queue:close()");
  CHECK_EQ(try_to_put(h.L, "g"), TIDE_ECLOSED);
  spawn(&h.w, "c", closed_putter);
  settle(&h.w);
  host_do(&h, "say(queue:get_nowait(), queue:get_nowait())");
  CHECK_LUA_LOG(&h, "e f");
  CHECK_EQ(tide_queue_taken(queue), 0);
  host_close(&h);
}

static void a_hundred_thousand_values_leave_a_small_queue(void) {
  host h;
  open_with_lend(&h);
  queue = tide_lua_push_queue(h.L, TIDE_LIFO, 0);
  lua_setglobal(h.L, "queue");
  uint32_t slot;
  for (int round = 0; round < check_many(10); round++) {
    for (int i = 0; i < 10000; i++) {
      lua_pushfstring(h.L, "%d", i);
      slot = tide_lua_queue_store(h.L, queue);
      CHECK_EQ(tide_queue_try_put(queue, slot, 0), TIDE_OK);
    }
    for (int i = 9999; i >= 0; i--) {
      CHECK_EQ(tide_queue_try_get(queue, &slot), TIDE_OK);
      tide_lua_queue_take(h.L, queue, slot);
      CHECK_EQ(lua_tointeger(h.L, -1), i);
      lua_pop(h.L, 1);
    }
  }
  CHECK_EQ(lua_gettop(h.L), 0);
  host_collect_garbage(&h);
  CHECK_EQ(tide_queue_taken(queue), 0);
  host_close(&h);
}

/* Streams and listeners. */

static void reader(actor *self) {
  tide_slice line;
  const tide_slice newline = {.data = "\n", .length = 1};
  BEGIN;
  CALL(tide_stream_read_until(stream, &self->task, newline, 100, &line));
  say(self, "%d %d", self->outcome, (int)line.length);
  END;
}

static void a_stream_is_used_from_both_sides(void) {
  host h;
  int fds[2];
  open_with_lend(&h);
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  stream = tide_lua_push_stream(h.L, fds[0]);
  lua_setglobal(h.L, "one");
  tide_lua_push_stream(h.L, fds[1]);
  lua_setglobal(h.L, "other");
  spawn(&h.w, "c", reader);
  host_do(&h, "run(function() sleep(1) other:write 'hello\\n' one:write 'back\\n'\n"
              "  say(other:read_line()) end)");
  settle(&h.w);
  CHECK_LOG(&h.w, "c 0 6");
  CHECK_LUA_LOG(&h, "back");
  host_do(&h, "one:close() other:close()");
  listener = tide_lua_push_listener(h.L);
  lua_setglobal(h.L, "listener");
  tide_address address;
  CHECK_EQ(tide_address_parse(&address, "127.0.0.1", 0), TIDE_OK);
  CHECK_EQ(tide_listener_open(listener, h.w.loop, &address, NULL), TIDE_OK);
  host_do(&h, "run(function()\n"
              "  local host, port = listener:address()\n"
              "  local one <close> = tide.net.connect(host, port)\n"
              "  local other <close> = listener:accept()\n"
              "  one:write 'x' say(other:read())\n"
              "  listener:close()\n"
              "end)");
  CHECK_LUA_LOG(&h, "x");
  host_close(&h);
}

/* Groups and scopes: opened in the task that has called. */

static void c_child(actor *self) {
  BEGIN;
  WAIT(sleep_ms(self, 1000));
  say(self, "%d", self->outcome);
  self->outcome = TIDE_OK;
  END;
}

static world *where;

static int l_group(lua_State *L) { /* group([max]) */
  group = tide_lua_push_group(L, (uint32_t)luaL_optinteger(L, 1, 0));
  return 1;
}

static int l_spawn_c(lua_State *L) {
  (void)L;
  spawn_in(where, group, "child", c_child);
  return 0;
}

static int l_scope(lua_State *L) { /* scope([seconds]) */
  tide_time span =
      lua_isnoneornil(L, 1) ? TIDE_NEVER : tide_time_from_seconds(luaL_checknumber(L, 1));
  scope = tide_lua_push_scope(L, span);
  return 1;
}

static int l_cancel_scope(lua_State *L) {
  tide_scope_cancel(scope, tide_lua_loop(L));
  return 0;
}

static void open_with_blocks(host *h) {
  open_with_lend(h);
  where = &h->w;
  lua_register(h->L, "group", l_group);
  lua_register(h->L, "spawn_c", l_spawn_c);
  lua_register(h->L, "scope", l_scope);
  lua_register(h->L, "cancel_scope", l_cancel_scope);
}

static void a_group_of_a_host_s_waits_for_children_of_both(void) {
  host h;
  open_with_blocks(&h);
  host_do(&h, "run(function()\n"
              "  local began = tide.time()\n"
              "  do\n"
              "    local g <close> = group()\n"
              "    g:spawn(function() sleep(2) say 'child' end)\n"
              "    spawn_c()\n"
              "    say(tide.type(g), #g)\n"
              "  end\n"
              "  say(tide.time() - began)\n"
              "  local most = 0\n"
              "  do\n"
              "    local g <close> = group(2)\n"
              "    for i = 1, 5 do g:spawn(function() most = math.max(most, #g -\n"
              "      g:statistics().held) sleep(1) end) end\n"
              "  end\n"
              "  say(most)\n"
              "  local ok, err = pcall(function()\n"
              "    local g <close> = group()\n"
              "    g:spawn(error, 'bad') spawn_c() sleep(9)\n"
              "  end)\n"
              "  say(kind(err), err.errors[1])\n"
              "end)");
  CHECK_LUA_LOG(&h, "TaskGroup 2, child, 2.0, 2, group bad");
  CHECK_LOG(&h.w, "child 0, child -1");
  host_close(&h);
}

static void a_scope_of_a_host_s_is_a_timeout(void) {
  host h;
  open_with_blocks(&h);
  host_do(&h, "run(function()\n"
              "  local began = tide.time()\n"
              "  local _, err = pcall(function() local s <close> = scope(2) sleep(9) end)\n"
              "  say(kind(err), tide.time() - began)\n"
              "  do local s <close> = scope() say(tostring(s), s:deadline()) sleep(9) end\n"
              "  local s <close> = scope(5)\n"
              "  cancel_scope()\n"
              "  _, err = tide.raw.pcall(sleep, 1)\n"
              "  say(tide.type(s), kind(err), tostring(s:cancelled()))\n"
              "  s:close()\n"
              "  sleep(9)\n"
              "end)");
  CHECK_LUA_LOG(&h, "timeout 2.0, Scope(open) inf, Scope cancelled true");
  host_close(&h);
}

/* What is left open is reported with its place, as that of a script is. */
static void a_block_needs_a_task_and_is_found_where_it_was_left_open(void) {
  host h;
  open_with_blocks(&h);
  host_do(&h, "for _, f in ipairs { group, scope } do\n"
              "  say(kind(select(2, pcall(f))))\n"
              "  run(function()\n"
              "    tide.call_soon(function() say(kind(select(2, pcall(f)))) end)\n"
              "    sleep(1)\n"
              "  end)\n"
              "end\n"
              "run(function()\n"
              "  pcall(table.sort, { 2, 1 }, function() say(kind(select(2, pcall(group)))) end)\n"
              "end)\n"
              "tide.on_failure(function(what) say(what:match '^(.-) opened at .*(:%d+)$') end)\n"
              "run(function()\n"
              "  tide.spawn(function() group():spawn(sleep, 9) end)\n"
              "  sleep(1)\n"
              "end)");
  CHECK_LUA_LOG(&h, "no_task, no_task, no_task, no_task, cannot_wait, a TaskGroup :13");
  host_close(&h);
}

/* Ends. */

static void an_object_lives_as_long_as_lua_or_the_host_refers_to_it(void) {
  host h;
  open_with_lend(&h);
  event = tide_lua_push_event(h.L);
  int reference = luaL_ref(h.L, LUA_REGISTRYINDEX);
  host_collect_garbage(&h);
  tide_lua_push_lent(h.L, event);
  CHECK(lua_isuserdata(h.L, -1));
  lua_pop(h.L, 1);
  luaL_unref(h.L, LUA_REGISTRYINDEX, reference);
  host_collect_garbage(&h);
  tide_lua_push_lent(h.L, event);
  CHECK(lua_isnil(h.L, -1));
  lua_pop(h.L, 1);
  host_close(&h);
}

static int push_all(lua_State *L) {
  tide_lua_push_event(L);
  tide_lua_push_lock(L);
  tide_lua_push_condition(L, -1);
  tide_lua_push_semaphore(L, 1, 1);
  tide_lua_push_barrier(L, 1);
  tide_lua_push_rwlock(L);
  future = tide_lua_push_future(L);
  lua_pushinteger(L, 1);
  lua_pushinteger(L, 1);
  tide_lua_set_result(L, future, 2);
  queue = tide_lua_push_queue(L, TIDE_PRIORITY, 0);
  lua_pushinteger(L, 1);
  uint32_t slot = tide_lua_queue_store(L, queue);
  CHECK_EQ(tide_queue_try_put(queue, slot, 1), TIDE_OK);
  tide_lua_push_listener(L);
  return 0;
}

/* Nobody is there to catch what a task of C's would raise. */
static void what_cannot_raise_gives_nil_where_the_stack_is_full(void) {
  host h;
  open_with_lend(&h);
  lua_State *L = h.L;
  queue = tide_lua_push_queue(L, TIDE_FIFO, 0);
  lua_pushliteral(L, "value");
  uint32_t slot = tide_lua_queue_store(L, queue);
  CHECK_EQ(tide_queue_try_put(queue, slot, 0), TIDE_OK);
  CHECK_EQ(tide_queue_try_get(queue, &slot), TIDE_OK);
  for (h.luas.fail_at = h.luas.allocations + 1; lua_checkstack(L, 1);
       h.luas.fail_at = h.luas.allocations + 1)
    lua_pushboolean(L, 1);
  lua_pop(L, 1); /* one place: for what is pushed */
  int top = lua_gettop(L);
  h.luas.fail_at = h.luas.allocations + 1;
  tide_lua_push_lent(L, queue);
  CHECK(lua_isnil(L, -1) && lua_gettop(L) == top + 1);
  lua_pop(L, 1);
  h.luas.fail_at = h.luas.allocations + 1;
  tide_lua_queue_take(L, queue, slot);
  CHECK(lua_isnil(L, -1) && lua_gettop(L) == top + 1);
  h.luas.fail_at = 0;
  lua_pop(L, 1);
  CHECK_EQ(tide_queue_taken(queue), 1);
  tide_lua_queue_take(L, queue, slot); /* it is still there */
  CHECK_TEXT(lua_tostring(L, -1), "value");
  tide_lua_push_lent(L, queue);
  CHECK(lua_rawequal(L, -1, 1));
  CHECK_EQ(tide_queue_taken(queue), 0);
  lua_settop(L, 0);
  host_close(&h);
  L = luaL_newstate(); /* without tide */
  tide_lua_push_lent(L, &h);
  CHECK(lua_isnil(L, -1));
  lua_close(L);
}

static int push_blocks(lua_State *L) {
  tide_lua_push_group(L, 1);
  lua_toclose(L, -1);
  tide_lua_push_scope(L, 1000);
  lua_toclose(L, -1);
  return 0;
}

static void memory_may_be_short_for_a_block(void) {
  for (unsigned number = 1; number < 80; number++) {
    host h;
    open_with_lend(&h);
    lua_register(h.L, "push", push_blocks);
    host_do(&h, "tide.on_failure(function() end)\n"
                "tide.spawn(function()\n"
                "  pcall(push)\n"
                "  sleep(1) push() end)");
    h.luas.fail_at = h.luas.allocations + number;
    h.w.memory.fail_at = h.w.memory.allocations + number;
    turn(&h.w);
    h.luas.fail_at = h.w.memory.fail_at = 0;
    settle(&h.w);
    CHECK_EQ(tide_loop_get_stats(h.w.loop).timers, 0);
    host_close(&h);
  }
}

static void memory_may_be_short(void) {
  for (unsigned number = 1; number < 80; number++) {
    host h;
    open_with_lend(&h);
    lua_pushcfunction(h.L, push_all);
    h.luas.fail_at = h.luas.allocations + number;
    h.w.memory.fail_at = h.w.memory.allocations + number;
    lua_pcall(h.L, 0, 0, 0);
    h.luas.fail_at = h.w.memory.fail_at = 0;
    lua_settop(h.L, 0);
    lua_pushcfunction(h.L, push_all);
    CHECK_EQ(lua_pcall(h.L, 0, 0, 0), LUA_OK);
    host_close(&h);
  }
}

/* A loop that goes on: here the state's is kept from stepping C's tasks, which are looked at after
 * the waits were broken. */

static tide_list *lists[10];

static void all_who_wait_hear_of_the_end(void) {
  world w;
  tide_event own;
  world_open(&w);
  tide_event_init(&own);
  event = &own;
  lists[0] = &own.waiters;
  actor *one = spawn(&w, "one", c_user), *two = spawn(&w, "two", c_user);
  turn(&w);
  CHECK_EQ(tide_list_length(lists[0]), 2);
  tide_waits_break(&own.waiters, TIDE_ECLOSED);
  memset(&own, 0xee, sizeof own); /* it is gone */
  CHECK(tide_list_empty(&one->task.wait.in.link) || one->task.state == TIDE_TASK_READY);
  CHECK_EQ(two->task.outcome, TIDE_ECLOSED);
  actor_kill(two); /* it has nothing to give back */
  tide_task_cancel(&one->task);
  actor_kill(one);
  world_close(&w);
}

static int open_in_loop(lua_State *L) {
  luaL_openlibs(L);
  tide_lua_open(L, lua_touserdata(L, 1), NULL);
  lua_setglobal(L, "tide");
  lua_register(L, "lend", l_lend);
  return 0;
}

static void getter_of_what_is_gone(actor *self) {
  BEGIN;
  WAIT(tide_queue_get(queue, &self->task));
  say(self, "%d", self->outcome);
  self->outcome = TIDE_OK;
  END;
}

static void waiter_for_what_is_gone(actor *self) {
  BEGIN;
  WAIT(tide_event_wait(event, &self->task));
  say(self, "%d", self->outcome);
  self->outcome = TIDE_OK;
  END;
}

static void awaiter_of_what_is_gone(actor *self) {
  BEGIN;
  WAIT(tide_future_wait(future, &self->task, false));
  say(self, "%d", self->outcome);
  self->outcome = TIDE_OK;
  END;
}

static void a_state_is_closed_on_a_loop_that_goes_on(void) {
  world w;
  world_open(&w);
  lua_State *L = luaL_newstate();
  lua_pushcfunction(L, open_in_loop);
  lua_pushlightuserdata(L, w.loop);
  CHECK_EQ(lua_pcall(L, 1, 0, 0), LUA_OK);
  CHECK_EQ(luaL_dostring(L, "q, e, t = tide.Queue(), tide.Event(), tide.spawn(tide.sleep, 5)\n"
                            "lend('queue', q) lend('event', e) lend('future', t)"),
           LUA_OK);
  spawn(&w, "queue", getter_of_what_is_gone);
  spawn(&w, "event", waiter_for_what_is_gone);
  spawn(&w, "task", awaiter_of_what_is_gone);
  turn(&w);
  turn(&w);
  lua_close(L);
  settle(&w);
  CHECK_EQ(strlen(w.log), strlen("event -4, queue -4, task -4")); /* in whatever order */
  CHECK(strstr(w.log, "event -4") && strstr(w.log, "queue -4") && strstr(w.log, "task -4"));
  world_close(&w);
}

/* The task that has opened them goes with the state; a child of C's in the group is cancelled. */
static void a_state_is_closed_with_blocks_of_a_host_s_open(void) {
  world w;
  world_open(&w);
  where = &w;
  lua_State *L = luaL_newstate();
  lua_pushcfunction(L, open_in_loop);
  lua_pushlightuserdata(L, w.loop);
  CHECK_EQ(lua_pcall(L, 1, 0, 0), LUA_OK);
  lua_register(L, "group", l_group);
  lua_register(L, "scope", l_scope);
  lua_register(L, "spawn_c", l_spawn_c);
  CHECK_EQ(luaL_dostring(L, "tide.spawn(function()\n"
                            "  local s <close> = scope(5)\n"
                            "  local g <close> = group()\n"
                            "  spawn_c() g:spawn(tide.sleep, 9) tide.sleep(9)\n"
                            "end)"),
           LUA_OK);
  turn(&w);
  turn(&w);
  lua_close(L);
  settle(&w);
  CHECK_LOG(&w, "child -1");
  CHECK_EQ(tide_loop_get_stats(w.loop).timers, 0);
  world_close(&w);
}

static void chooser(actor *self) {
  static tide_case cases[2];
  static tide_select choice;
  BEGIN;
  tide_case_event(&cases[0], event);
  tide_case_event(&cases[1], self->data);
  tide_select_init(&choice, cases, 2);
  CALL(tide_select_wait(&choice, &self->task));
  say(self, "%d %d", self->outcome, (int)choice.chosen);
  END;
}

static void a_select_over_what_is_gone_fails(void) {
  world w;
  tide_event own, other;
  world_open(&w);
  tide_event_init(&own);
  tide_event_init(&other);
  event = &own;
  actor *self = spawn(&w, "a", chooser);
  self->data = &other;
  turn(&w);
  tide_waits_break(&other.waiters, TIDE_ECLOSED);
  memset(&other, 0xee, sizeof other);
  settle(&w);
  CHECK_LOG(&w, "a -4 1");
  CHECK(tide_list_empty(&own.waiters));
  world_close(&w);
}

int main(void) {
  RUN(tasks_of_both_wait_in_what_a_host_has_made);
  RUN(c_takes_what_scripts_have_made);
  RUN(what_is_something_else_is_refused);
  RUN(a_future_gets_results_and_errors_from_c);
  RUN(c_awaits_a_task);
  RUN(values_go_through_a_queue_in_both_directions);
  RUN(what_a_full_or_closed_queue_has_not_taken_is_taken_back);
  RUN(a_hundred_thousand_values_leave_a_small_queue);
  RUN(a_stream_is_used_from_both_sides);
  RUN(an_object_lives_as_long_as_lua_or_the_host_refers_to_it);
  RUN(a_group_of_a_host_s_waits_for_children_of_both);
  RUN(a_scope_of_a_host_s_is_a_timeout);
  RUN(a_block_needs_a_task_and_is_found_where_it_was_left_open);
  RUN(memory_may_be_short);
  RUN(memory_may_be_short_for_a_block);
  RUN(what_cannot_raise_gives_nil_where_the_stack_is_full);
  RUN(a_state_is_closed_with_blocks_of_a_host_s_open);
  RUN(all_who_wait_hear_of_the_end);
  RUN(a_select_over_what_is_gone_fails);
  RUN(a_state_is_closed_on_a_loop_that_goes_on);
  return check_summary();
}
