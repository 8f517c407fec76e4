/* spawn.c: a host starts tasks of Lua's, is told how they end, and cancels them. */
#include "host.h"

static char texts[1024]; /* of all ends that the host was told of */

static void note(const char *text) {
  size_t used = strlen(texts);
  snprintf(texts + used, sizeof texts - used, "%s%s", used > 0 ? ", " : "", text);
}

#define CHECK_TEXTS(expected)    \
  do {                           \
    CHECK_TEXT(texts, expected); \
    texts[0] = '\0';             \
  } while (0)

static void done(lua_State *L, int error, int count, void *context) {
  char text[200];
  const char *value = count > 0 ? luaL_tolstring(L, -count, NULL) : "";
  snprintf(text, sizeof text, "%s %d %d %s", (const char *)context, error, count, value);
  note(text);
}

/* The function on the stack that the chunk returns, and its arguments. */
static void push_function(host *h, const char *code) {
  CHECK_EQ(luaL_dostring(h->L, code), LUA_OK);
}

static void a_task_gets_its_arguments_and_its_results_are_told(void) {
  host h;
  host_open_for_lua(&h);
  lua_pushliteral(h.L, "below");
  push_function(&h, "return function(...) sleep(1) say('got', ...) return 1, 2, 3 end");
  lua_pushliteral(h.L, "x");
  lua_pushinteger(h.L, 7);
  tide_lua_spawn_cb(h.L, 2, done, "three");
  push_function(&h, "return function() end");
  tide_lua_spawn_cb(h.L, 0, done, "none");
  push_function(&h, "return function() error('oops', 0) end");
  tide_lua_spawn_cb(h.L, 0, done, "string");
  push_function(&h, "return function() error(tide.error('closed', 'mine')) end");
  tide_lua_spawn_cb(h.L, 0, done, "object");
  push_function(&h, "return function() tide.net.connect('unix:/no/such/socket') end");
  tide_lua_spawn_cb(h.L, 0, done, "os");
  CHECK_EQ(lua_gettop(h.L), 1); /* nothing is left on the stack */
  settle(&h.w);
  CHECK_EQ(lua_gettop(h.L), 1);
  CHECK_LUA_LOG(&h, "got x 7");
  CHECK_TEXTS("none 0 0 , string -18 1 oops, object -4 1 closed: mine, os -1002 1 os: connect: "
              "unix:/no/such/socket: No such file or directory (ENOENT), three 0 3 1");
  host_close(&h);
}

static void the_task_is_lua_s_and_can_be_awaited_and_cancelled(void) {
  host h;
  host_open_for_lua(&h);
  push_function(&h, "return function() sleep(1) return 5 end");
  tide_lua_spawn(h.L, 0, NULL);
  lua_setglobal(h.L, "task");
  push_function(&h, "return function() say(tide.type(task), task:await()) sleep(math.huge) end");
  tide_lua_spawn(h.L, 0, NULL);
  settle(&h.w);
  CHECK(tide_lua_cancel(h.L, -1, "enough"));
  settle(&h.w);
  lua_setglobal(h.L, "task");
  host_do(&h, "say(task:status(), select(2, pcall(task.result, task)).reason)");
  CHECK_LUA_LOG(&h, "Task 5, cancelled enough");
  lua_getglobal(h.L, "task");
  CHECK(!tide_lua_cancel(h.L, -1, NULL));
  lua_pop(h.L, 1);
  host_close(&h);
}

static int l_cancel(lua_State *L) {
  lua_pushboolean(L, tide_lua_cancel(L, 1, "host"));
  return 1;
}

static void everything_that_lua_can_cancel_a_host_can(void) {
  host h;
  host_open_for_lua(&h);
  lua_register(h.L, "cancel", l_cancel);
  host_do(&h, "run(function()\n"
              "  local future = tide.Future()\n"
              "  say(tostring(cancel(future)), tostring(cancel(future)), tostring(future))\n"
              "  tide.TaskGroup(function(g)\n"
              "    local child = g:spawn(sleep, 5)\n"
              "    say(tostring(cancel(g)))\n"
              "  end)\n"
              "  local ok, err = pcall(tide.scope, function(s) cancel(s) say('in') sleep(1) end)\n"
              "  say(tostring(ok))\n"
              "  local task = spawn(sleep, 1)\n"
              "  cancel(task)\n"
              "  ok, err = pcall(task.await, task)\n"
              "  say(err.kind, err.reason)\n"
              "  for _, x in ipairs { tide.Event(), 1, 'x', {}, io.stdout } do\n"
              "    ok, err = pcall(cancel, x)\n"
              "    assert(not ok and err:find 'Task, Future, TaskGroup or Scope')\n"
              "  end\n"
              "end)");
  CHECK_LUA_LOG(&h, "true false Future(cancelled), true, in, true, cancelled host");
  host_close(&h);
}

static void a_cancelled_task_s_host_is_told(void) {
  host h;
  host_open_for_lua(&h);
  push_function(&h, "return function() me = tide.current_task() sleep(5) end");
  tide_lua_spawn_cb(h.L, 0, done, "a");
  turn(&h.w);
  lua_getglobal(h.L, "me");
  CHECK(tide_lua_cancel(h.L, -1, "why"));
  lua_pop(h.L, 1);
  settle(&h.w);
  CHECK_TEXTS("a -1 1 cancelled: cancelled (why)");
  push_function(&h, "return function() me = tide.current_task() sleep(5) end");
  tide_lua_spawn_cb(h.L, 0, done, "b");
  turn(&h.w);
  host_do(&h, "me:kill()");
  settle(&h.w);
  CHECK_TEXTS("b -1 1 cancelled: cancelled");
  host_do(&h, "me = nil");
  host_close(&h);
}

/* Groups. */

static tide_group group;

static void waiter(actor *self) {
  BEGIN;
  WAIT(tide_group_wait(&group, &self->task));
  say(self, "all ended, %u failed", group.failed);
  END;
}

static void a_group_of_the_host_s_holds_and_cancels_them(void) {
  host h;
  host_open_for_lua(&h);
  host_do(&h, "tide.on_failure(function(what, err) say('told', tostring(err)) end)");
  tide_group_init(&group, h.w.loop, 0, true);
  for (int i = 1; i <= 3; i++) {
    push_function(&h, "return function(i) sleep(i) if i == 2 then error('two', 0) end say(i) end");
    lua_pushinteger(h.L, i);
    tide_lua_spawn(h.L, 1, &group);
    lua_pop(h.L, 1);
  }
  spawn(&h.w, "c", waiter);
  settle(&h.w);
  CHECK_LOG(&h.w, "c all ended, 1 failed");
  CHECK_LUA_LOG(&h, "1, told two");
  tide_group_exit(&group);
  host_close(&h);
}

static int spawn_in_group(lua_State *L) {
  tide_group *target = lua_touserdata(L, 1);
  lua_settop(L, 3);
  tide_lua_spawn(L, 1, target);
  return 1;
}

static int l_spawn_in(lua_State *L) {
  tide_group *target = tide_lua_to_group(L, 1);
  lua_pushcfunction(L, spawn_in_group);
  lua_replace(L, 1);
  lua_pushlightuserdata(L, target);
  lua_insert(L, 2);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

static void a_group_of_a_script_s_has_them_as_children(void) {
  host h;
  host_open_for_lua(&h);
  lua_register(h.L, "spawn_in", l_spawn_in);
  host_do(&h, "run(function()\n"
              "  local ok, err = pcall(tide.TaskGroup, function(g)\n"
              "    kept = g\n"
              "    g:spawn(sleep, 5)\n"
              "    spawn_in(g, function(x) sleep(1) error(x, 0) end, 'from c')\n"
              "  end)\n"
              "  say(tostring(ok), err.kind, err.errors[1])\n"
              "  ok, err = pcall(spawn_in, kept, print, 1)\n"
              "  say(err.kind)\n"
              "end)");
  CHECK_LUA_LOG(&h, "false group from c, closed");
  host_close(&h);
}

static int spawn_raw(lua_State *L) {
  tide_lua_spawn(L, lua_gettop(L) - 1, lua_touserdata(L, lua_upvalueindex(1)));
  return 1;
}

static void what_cannot_be_spawned_raises(void) {
  host h;
  host_open_for_lua(&h);
  tide_group_init(&group, h.w.loop, 0, true);
  lua_pushnil(h.L);
  lua_pushcclosure(h.L, spawn_raw, 1);
  lua_setglobal(h.L, "raw");
  host_do(&h,
          "assert(not pcall(raw, 1) and not pcall(raw, {}) and not pcall(raw, nil, 2))\n"
          "say(tostring(pcall(raw, setmetatable({}, { __call = function() say 'called' end }))))");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "true, called");
  tide_group_close(&group);
  lua_pushlightuserdata(h.L, &group);
  lua_pushcclosure(h.L, spawn_raw, 1);
  lua_setglobal(h.L, "raw");
  host_do(&h, "say(select(2, pcall(raw, print)).kind)");
  CHECK_LUA_LOG(&h, "closed");
  tide_group_exit(&group);
  host_close(&h);
  lua_State *L = luaL_newstate(); /* without tide */
  lua_pushnil(L);
  lua_pushcclosure(L, spawn_raw, 1);
  lua_pushnil(L);
  CHECK_EQ(lua_pcall(L, 1, 0, 0), LUA_ERRRUN);
  CHECK(strstr(lua_tostring(L, -1), "not loaded") != NULL);
  lua_close(L);
}

/* Numbers: who awaits in C is told what the error is of. */

static tide_future *awaited;

static void number_reader(actor *self) {
  BEGIN;
  WAIT(tide_future_wait(awaited, &self->task, false));
  say(self, "%d", tide_future_error(awaited));
  END;
}

static void check_number(host *h, const char *code, const char *expected) {
  push_function(h, code);
  tide_lua_spawn(h->L, 0, NULL);
  awaited = tide_lua_to_future(h->L, -1);
  spawn(&h->w, "c", number_reader);
  settle(&h->w);
  CHECK_LOG(&h->w, expected);
  lua_settop(h->L, 0);
}

static void c_is_told_the_number_of_the_error_s_kind(void) {
  static const char *const cases[][2] = {
      {"return function() return 1 end", "c 0"},
      {"return function() error('text') end", "c -18"},
      {"return function() error() end", "c -18"},
      {"return function() sleep(1) error(tide.error('closed')) end", "c -4"},
      {"return function() tide.timeout(1, sleep, 2) end", "c -2"},
      {"return function() tide.Queue():get_nowait() end", "c -6"},
      {"return function() error('not enough memory', 0) end", "c -14"},
      {"return function() error(tide.error('mine')) end", "c -18"},
      {"return function() error(tide.error('os', 'x', { errno = 2 })) end", "c -1002"},
      {"return function() error(tide.error('os', 'x', { errno = -1000 })) end", "c -18"},
      {"return function() error(tide.error('os', 'x', { errno = 1 << 40 })) end", "c -18"},
      {"return function() error(tide.error('os', 'x')) end", "c -18"},
      {"return function() tide.TaskGroup(function(g) g:spawn(error, 'x') end) end", "c -3"},
      {"return function() tide.current_task():cancel() sleep(1) end", "c -1"},
      /* of another task, it is no cancellation */
      {"return function() local t = spawn(sleep, 1) t:cancel() t:await() end", "c -18"},
      {"return function() local _ <close> = closer(function() sleep(1) end) "
       "error(tide.error('eof')) end",
       "c -13"},
  };
  host h;
  host_open_for_lua(&h);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    check_number(&h, cases[i][0], cases[i][1]);
  host_do(&h, "f = tide.Future()");
  lua_getglobal(h.L, "f");
  awaited = tide_lua_to_future(h.L, -1);
  host_do(&h, "f:set_error(tide.error('limit'))");
  CHECK_EQ(tide_future_error(awaited), TIDE_ELIMIT);
  lua_settop(h.L, 0);
  host_close(&h);
}

static void a_group_of_the_host_s_has_it_too(void) {
  host h;
  tide_group own;
  host_open_for_lua(&h);
  tide_group_init(&own, h.w.loop, 0, true);
  push_function(&h, "return function() sleep(1) error(tide.error('limit')) end");
  tide_lua_spawn(h.L, 0, &own);
  push_function(&h, "return function() sleep(2) error(tide.error('closed')) end");
  tide_lua_spawn(h.L, 0, &own);
  settle(&h.w);
  CHECK_EQ(tide_group_error(&own), TIDE_ELIMIT);
  tide_group_exit(&own);
  lua_settop(h.L, 0);
  host_close(&h);
}

static void one_that_is_killed_while_its_error_leaves_it_has_failed_with_that(void) {
  host h;
  host_open_for_lua(&h);
  push_function(&h, "return function()\n"
                    "  local _ <close> = closer(function() sleep(9) end)\n"
                    "  error(tide.error('limit'))\n"
                    "end");
  tide_lua_spawn(h.L, 0, NULL);
  awaited = tide_lua_to_future(h.L, -1);
  lua_setglobal(h.L, "task");
  turn(&h.w);
  host_do(&h, "task:kill()");
  CHECK_EQ(tide_future_error(awaited), TIDE_ELIMIT);
  settle(&h.w);
  host_close(&h);
}

/* Ends. */

static int spawn_told(lua_State *L) {
  tide_lua_spawn_cb(L, 0, done, "short");
  return 0;
}

static void the_host_is_told_once_however_short_memory_is(void) {
  for (unsigned number = 1; number < 60; number = check_next(number)) {
    host h;
    host_open_for_lua(&h);
    host_do(&h, "function work() return function() ran = true return ('x'):rep(100) end end");
    lua_pushcfunction(h.L, spawn_told);
    push_function(&h, "return work()");
    h.luas.fail_at = h.luas.allocations + number;
    bool spawned = lua_pcall(h.L, 1, 0, 0) == LUA_OK;
    settle(&h.w);
    h.luas.fail_at = 0;
    settle(&h.w);
    lua_settop(h.L, 0);
    bool told = strncmp(texts, "short ", 6) == 0 && strstr(texts, ", ") == NULL;
    CHECK(spawned == told);
    if (!spawned) host_do(&h, "assert(not ran)");
    texts[0] = '\0';
    host_close(&h);
  }
}

static void the_host_is_told_when_the_state_is_closed(void) {
  for (int turns = 0; turns < 3; turns++) {
    host h;
    host_open_for_lua(&h);
    push_function(&h, "return function() sleep(5) end");
    tide_lua_spawn_cb(h.L, 0, done, "a");
    push_function(&h, "return function() sleep(0) end");
    tide_lua_spawn_cb(h.L, 0, done, "b");
    for (int i = 0; i < turns; i++) turn(&h.w);
    texts[0] = '\0';
    host_close_state(&h);
    CHECK_TEXTS("a -4 0 , b -4 0 ");
    host_close(&h);
  }
}

static void raises(lua_State *L, int error, int count, void *context) {
  (void)error;
  (void)count;
  (void)context;
  note("called");
  luaL_error(L, "the host's own");
}

static void spawns_more(lua_State *L, int error, int count, void *context) {
  (void)error;
  int *left = context;
  lua_pop(L, count);
  note("next");
  luaL_dostring(L, "return function() sleep(1) end");
  if (--*left > 0) tide_lua_spawn_cb(L, 0, spawns_more, context);
}

static void what_it_does_when_told_is_its_own(void) {
  host h;
  int left = 3;
  host_open_for_lua(&h);
  host_do(
      &h,
      "tide.on_failure(function(what, err) say(what, (tostring(err):match \"host's own\")) end)");
  push_function(&h, "return function() return 1 end");
  tide_lua_spawn_cb(h.L, 0, raises, NULL);
  settle(&h.w);
  CHECK_LUA_LOG(&h, "a callback host's own");
  CHECK_TEXTS("called");
  push_function(&h, "return function() return 1 end");
  tide_lua_spawn_cb(h.L, 0, spawns_more, &left);
  settle(&h.w);
  CHECK_TEXTS("next, next, next");
  host_close(&h);
}

static void a_hundred_thousand_leave_nothing_behind(void) {
  host h;
  int left = check_many(100000);
  host_open_for_lua(&h);
  host_do(&h, "sleep = function() end");
  push_function(&h, "return function() return 1 end");
  tide_lua_spawn_cb(h.L, 0, spawns_more, &left);
  settle(&h.w);
  CHECK_EQ(left, 0);
  texts[0] = '\0';
  host_collect_garbage(&h);
  CHECK(h.luas.in_use < 600000);
  host_close(&h);
}

int main(void) {
  RUN(a_task_gets_its_arguments_and_its_results_are_told);
  RUN(the_task_is_lua_s_and_can_be_awaited_and_cancelled);
  RUN(everything_that_lua_can_cancel_a_host_can);
  RUN(a_cancelled_task_s_host_is_told);
  RUN(a_group_of_the_host_s_holds_and_cancels_them);
  RUN(a_group_of_a_script_s_has_them_as_children);
  RUN(what_cannot_be_spawned_raises);
  RUN(c_is_told_the_number_of_the_error_s_kind);
  RUN(a_group_of_the_host_s_has_it_too);
  RUN(one_that_is_killed_while_its_error_leaves_it_has_failed_with_that);
  RUN(the_host_is_told_once_however_short_memory_is);
  RUN(the_host_is_told_when_the_state_is_closed);
  RUN(what_it_does_when_told_is_its_own);
  RUN(a_hundred_thousand_leave_nothing_behind);
  return check_summary();
}
