/* memory.c: the limit of a state's memory. */
#include "states.h"

static int set_memory(lua_State *L, size_t bytes) {
  const tide_lua_limits limits = {.size = sizeof limits, .memory = bytes};
  return tide_lua_set_limits(L, &limits);
}

static size_t used(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
  return (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
}

static size_t most; /* that Lua had at once, in what follows */

static void *counting(void *context, void *block, size_t old_size, size_t new_size) {
  memory *self = context;
  void *made = memory_resize(self, block, block != NULL ? old_size : 0, new_size);
  if (self->in_use > most) most = self->in_use;
  return made;
}

/* A state whose memory is counted, in a loop, with so many bytes beyond what it has. */
static lua_State *open_with(tide_loop *loop, memory *counted, size_t more) {
  *counted = (memory){0};
  lua_State *L = lua_newstate(counting, counted);
  CHECK(L != NULL);
  lua_pushcfunction(L, open_in_loop);
  lua_pushlightuserdata(L, loop);
  CHECK_EQ(lua_pcall(L, 1, 0, 0), LUA_OK);
  run_code(L,
           "function closer(f) return setmetatable({}, { __close = f }) end\n"
           "function fill() local t = {} while true do t[#t + 1] = ('x'):rep(100) .. #t end end\n"
           "function grow() local s = 'x' while true do s = s .. s end end\n"
           "spawn, sleep = tide.spawn, tide.sleep\n"
           "tide.on_failure(function(what, err) failed = err end)");
  if (more > 0) CHECK_EQ(set_memory(L, used(L) + more), TIDE_OK);
  most = 0;
  return L;
}

static void close_with(lua_State *L, const memory *counted) {
  lua_close(L);
  CHECK_EQ(counted->in_use, 0);
}

static void turns(tide_loop *loop, int count) {
  for (int i = 0; i < count; i++) CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
}

static void check_true(lua_State *L, const char *code) { run_code(L, code); }

enum { ROOM = 200000, RESERVE = 64 * 1024 };

static void what_needs_more_fails_by_an_error_of_its_kind(void) {
  static const char *const code[] = {
      "fill()",
      "grow()",
      "return ('x'):rep(1e9)",
      "return table.concat(setmetatable({}, "
      "{ __index = function() return ('x'):rep(10000) end, __len = function() return 1e5 end }))",
      "local function f(...) return f(1, ...) end f()",
      "local t = {} for i = 1, 1e7 do t[i] = coroutine.create(fill) end",
      "local t = {} for i = 1, 1e7 do t[i] = tide.Queue() end",
      "local t = {} for i = 1, 1e7 do t[i] = spawn(sleep, 9) end",
      "coroutine.wrap(fill)()",
      "for _ in tide.generator(fill):each() do end",
      "tide.timeout(100, fill)",
      "load(('x'):rep(1e6))"};
  for (size_t i = 0; i < sizeof code / sizeof code[0]; i++) {
    tide_loop *loop = tide_loop_new(NULL);
    memory counted;
    char text[600];
    lua_State *L = open_with(loop, &counted, ROOM);
    size_t limit = used(L) + ROOM;
    snprintf(text, sizeof text,
             "local function f() %s end\n"
             "spawn(function() ok, err = pcall(f) end)\n"
             "task = spawn(f)",
             code[i]);
    run_code(L, text);
    turns(loop, 6);
    CHECK_EQ(set_memory(L, 0), TIDE_OK);
    check_true(L, "assert(not ok, 'it did not fail')\n"
                  "if not tostring(err):find('stack overflow', 1, true) then\n"
                  "  assert(tide.is(err, 'limit'), tostring(err))\n"
                  "  assert(tide.is(failed, 'limit'), tostring(failed))\n"
                  "  assert(err.message:find('^the state has all the memory that it may have: %d+ "
                  "bytes$'), err.message)\n"
                  "end");
    CHECK(most <= limit + RESERVE);
    run_code(L,
             "for _, t in ipairs(tide.all_tasks()) do t:kill() end collectgarbage()\n"
             "ok = pcall(function() local t = {} for i = 1, 100 do t[i] = {} end end) assert(ok)");
    close_with(L, &counted);
    check_loop_is_empty(loop);
    tide_loop_free(loop);
  }
}

static void what_unwinds_has_a_reserve(void) {
  tide_loop *loop = tide_loop_new(NULL);
  memory counted;
  lua_State *L = open_with(loop, &counted, ROOM);
  run_code(L, "local keep = {}\n"
              "spawn(function()\n"
              "  local _ <close> = closer(function()\n"
              "    local t = {} for i = 1, 300 do t[i] = { i } end\n"
              "    closed = #t\n"
              "  end)\n"
              "  while true do keep[#keep + 1] = {} end\n" /* nothing of it is garbage */
              "end)\n"
              "release = function() keep = nil end");
  turns(loop, 3);
  check_true(L, "assert(closed == 300, tostring(closed)) release()");
  close_with(L, &counted);
  tide_loop_free(loop);
}

static void the_reserve_is_not_for_who_catches_and_goes_on(void) {
  tide_loop *loop = tide_loop_new(NULL);
  memory counted;
  lua_State *L = open_with(loop, &counted, ROOM);
  size_t limit = used(L) + ROOM;
  run_code(L,
           "keep = {}\n"
           "spawn(function()\n"
           "  for i = 1, 100 do pcall(function() while true do keep[#keep + 1] = {} end end) end\n"
           "  done = 1\n"
           "end)");
  turns(loop, 3);
  CHECK_EQ(number(L, "done"), 1);
  CHECK(used(L) <= limit);
  run_code(L, "keep = nil");
  close_with(L, &counted);
  tide_loop_free(loop);
}

/* What Lua's own pcall has caught is told as it is, and the reserve is closed with the step. */
static void a_step_at_the_latest_ends_it(void) {
  tide_loop *loop = tide_loop_new(NULL);
  memory counted;
  lua_State *L = open_with(loop, &counted, ROOM);
  size_t limit = used(L) + ROOM;
  run_code(L, "keep = {}\n"
              "local function more() while true do keep[#keep + 1] = {} end end\n"
              "for i = 1, 5 do spawn(function() tide.raw.pcall(more) end) end");
  turns(loop, 3);
  CHECK(most <= limit + RESERVE);
  CHECK(luaL_dostring(L, "for i = 1, 1000 do keep[#keep + 1] = {} end") != LUA_OK);
  CHECK(used(L) <= limit + RESERVE);
  close_with(L, &counted);
  tide_loop_free(loop);
}

/* Their finalizers, which need memory, give back what fills the state. */
static void a_full_state_runs_finalizers(void) {
  tide_loop *loop = tide_loop_new(NULL);
  memory counted;
  lua_State *L = open_with(loop, &counted, ROOM);
  run_code(L,
           "held, freed = {}, 0\n"
           "local mt = { __gc = function(o) local t = { {}, {} } held[o.i] = nil freed = freed + "
           "#t / 2 end }\n"
           "spawn(function()\n"
           "  collectgarbage('stop')\n"
           "  for i = 1, 1e6 do\n"
           "    held[i] = ('x'):rep(1000) .. i\n"
           "    setmetatable({ i = i }, mt)\n"
           "  end\n"
           "end)");
  turns(loop, 3);
  CHECK_EQ(set_memory(L, 0), TIDE_OK);
  check_true(L, "assert(freed > 10, freed) local n = 0 for _ in pairs(held) do n = n + 1 end "
                "assert(n <= 1, n)");
  close_with(L, &counted);
  tide_loop_free(loop);
}

static void it_can_be_below_what_there_is_and_be_lifted(void) {
  tide_loop *loop = tide_loop_new(NULL);
  memory counted;
  lua_State *L = open_with(loop, &counted, ROOM);
  CHECK_EQ(set_memory(L, 1000), TIDE_OK);
  CHECK(luaL_dostring(L, "local t = {} for i = 1, 1000 do t[i] = {} end") != LUA_OK);
  lua_settop(L, 0);
  turns(loop, 3);
  CHECK_EQ(set_memory(L, 0), TIDE_OK);
  run_code(L, "local t = {} for i = 1, 10000 do t[i] = {} end");
  CHECK_EQ(set_memory(L, 1), TIDE_OK);
  close_with(L, &counted);
  tide_loop_free(loop);
}

/* They are not Lua's, nor the state's for long. */
static void messages_that_are_there_have_as_much_again(void) {
  tide_loop *loop = tide_loop_new(NULL);
  memory counted;
  lua_State *L = open_with(loop, &counted, 0), *other = state_new(loop);
  tide_channel *channel = tide_channel_new(1000000);
  tide_lua_queue *queue = tide_lua_queue_new(loop, TIDE_FIFO, 0, NULL);
  size_t limit = used(L);
  for (int i = 0; i < 2; i++) {
    tide_lua_push_channel(i == 0 ? L : other, channel);
    lua_setglobal(i == 0 ? L : other, "channel");
    tide_lua_push_shared_queue(i == 0 ? L : other, queue);
    lua_setglobal(i == 0 ? L : other, "queue");
  }
  CHECK_EQ(set_memory(L, limit + 4 * ROOM), TIDE_OK);
  run_code(L, "s = ('x'):rep(1000)\n"
              "function all(put, ...)\n"
              "  local count = 0\n"
              "  while true do\n"
              "    local ok, err = pcall(put, ...)\n"
              "    if not ok then return count, err end\n"
              "    count = count + 1\n"
              "  end\n"
              "end\n"
              "sent, err = all(channel.try_send, channel, s)\n"
              "assert(err.kind == 'limit', err)\n"
              "assert(err.message:find 'messages that it may have', err)\n"
              "assert(all(queue.try_put, queue, s) == 0)\n"
              "assert(all(tide.Channel(1).try_send, channel, nil) == 0)");
  size_t bytes = (size_t)number(L, "sent") * 1000;
  CHECK(bytes > limit / 2 && bytes <= limit + 4 * ROOM);
  run_code(other, "for i = 1, 10000 do channel:try_send(i) queue:try_put(i) end\n"
                  "for i = 1, 100 do assert(#channel:try_recv() == 1000) end");
  run_code(L, "local sent = all(queue.try_put, queue, s) assert(sent > 90 and sent < 110)\n"
              "spawn(function() late = select('#', pcall(tide.select, channel:sending(s))) end)");
  turns(loop, 3);
  CHECK_EQ(set_memory(L, 0), TIDE_OK);
  run_code(L, "for i = 1, 1000 do assert(channel:try_send(s)) end");
  CHECK_EQ(set_memory(L, limit + 4 * ROOM), TIDE_OK);
  close_with(L, &counted); /* they outlive it */
  run_code(other, "assert(#channel:try_recv() == 1000) channel = nil collectgarbage()");
  lua_close(other);
  tide_lua_queue_unref(queue);
  tide_channel_unref(channel);
  tide_loop_free(loop);
}

static int set_result;

static int set_inside(lua_State *L) {
  set_result = set_memory(L, 1000000);
  return 0;
}

static void it_is_refused_inside_a_finalizer(void) {
  tide_loop *loop = tide_loop_new(NULL);
  memory counted;
  lua_State *L = open_with(loop, &counted, 0);
  lua_register(L, "set", set_inside);
  run_code(L, "setmetatable({}, { __gc = set }) collectgarbage()");
  CHECK_EQ(set_result, TIDE_ENOMEM);
  run_code(L, "set()");
  CHECK_EQ(set_result, TIDE_OK);
  close_with(L, &counted);
  tide_loop_free(loop);
}

static int set_all_inside(lua_State *L) {
  const tide_lua_limits limits = {
      .size = sizeof limits, .memory = 1000000, .slice = 1000000000, .budget = 1};
  set_result = tide_lua_set_limits(L, &limits);
  return 0;
}

static void where_it_is_refused_no_other_limit_is_set_either(void) {
  tide_loop *loop = tide_loop_new(NULL);
  memory counted;
  lua_State *L = open_with(loop, &counted, 0);
  lua_register(L, "set", set_all_inside);
  run_code(L, "setmetatable({}, { __gc = set }) collectgarbage()\n"
              "assert(debug.sethook and setmetatable({}, { __gc = function() end }))");
  CHECK_EQ(set_result, TIDE_ENOMEM);
  run_code(L, "set() assert(not debug.sethook)");
  CHECK_EQ(set_result, TIDE_OK);
  close_with(L, &counted);
  tide_loop_free(loop);
}

/* Any number of bytes, over much that goes on at once. */
static void whatever_it_is_the_runtime_stays_whole(void) {
  tide_loop *loop = virtual_loop();
  lua_State *other = state_new(loop);
  run_code(other, neighbour);
  size_t more = 0;
  for (bool enough = false; !enough && more < 2000000; more += more < 20000 ? 1013 : 7919) {
    memory counted;
    lua_State *L = open_with(loop, &counted, more + 1);
    tide_loop_set_log(loop, NULL, NULL);
    lua_Integer before = number(other, "count");
    bool begun = luaL_dostring(L, states_busy) == LUA_OK;
    lua_settop(L, 0);
    for (int i = 0; i < 40; i++) CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
    CHECK(number(other, "count") > before);
    CHECK(most <= counted.in_use + 2000000);
    set_memory(L, 0);
    run_code(L, "failed = nil tide.spawn(function() local q = tide.Queue() q:put(1) got = q:get() "
                "end)");
    for (int i = 0; i < 3; i++) CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
    CHECK_EQ(number(L, "got"), 1);
    enough = begun;
    close_with(L, &counted);
  }
  CHECK(more < 2000000);
  lua_close(other);
  tide_loop_send_all(loop);
  tide_loop_rest(loop);
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

int main(void) {
  RUN(what_needs_more_fails_by_an_error_of_its_kind);
  RUN(what_unwinds_has_a_reserve);
  RUN(the_reserve_is_not_for_who_catches_and_goes_on);
  RUN(a_step_at_the_latest_ends_it);
  RUN(a_full_state_runs_finalizers);
  RUN(it_can_be_below_what_there_is_and_be_lifted);
  RUN(messages_that_are_there_have_as_much_again);
  RUN(it_is_refused_inside_a_finalizer);
  RUN(where_it_is_refused_no_other_limit_is_set_either);
  RUN(whatever_it_is_the_runtime_stays_whole);
  return check_summary();
}
