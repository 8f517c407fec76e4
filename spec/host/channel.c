/* channel.c: Channels between states, loops and threads. */
#include <pthread.h>

#include "host.h"

static int open_module(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "tide", luaopen_tide, 1);
  return 0;
}

/* A state in a thread of its own, which runs that code with the channels `jobs` and `results`. */
typedef struct side {
  tide_channel *jobs, *results;
  const char *code;
  pthread_t thread;
} side;

static void *run_side(void *context) {
  const side *self = context;
  lua_State *L = luaL_newstate();
  lua_pushcfunction(L, open_module);
  CHECK_EQ(lua_pcall(L, 0, 0, 0), LUA_OK);
  tide_lua_push_channel(L, self->jobs);
  lua_setglobal(L, "jobs");
  tide_lua_push_channel(L, self->results);
  lua_setglobal(L, "results");
  if (luaL_dostring(L, self->code) != LUA_OK)
    check_text(__FILE__, __LINE__, "an error", luaL_tolstring(L, -1, NULL), "");
  lua_close(L);
  return NULL;
}

static void run_sides(side *sides, int count, size_t capacity) {
  tide_channel *jobs = tide_channel_new(capacity), *results = tide_channel_new(capacity);
  for (int i = 0; i < count; i++) {
    sides[i].jobs = jobs;
    sides[i].results = results;
    CHECK_EQ(pthread_create(&sides[i].thread, NULL, run_side, &sides[i]), 0);
  }
  for (int i = 0; i < count; i++) CHECK_EQ(pthread_join(sides[i].thread, NULL), 0);
  tide_channel_unref(jobs);
  tide_channel_unref(results);
}

static const char worker[] = "tide.run(function()\n"
                             "  for job in jobs:iter() do results:send { id = job.id, square = "
                             "job.n * job.n, list = job.list } end\n"
                             "  results:close()\n"
                             "end)";

static void states_in_different_threads_send_each_other_values(void) {
  for (size_t capacity = 1; capacity <= 64; capacity *= 8) {
    side sides[2] = {
        {.code = worker},
        {.code = "tide.run(function()\n"
                 "  tide.spawn(function()\n"
                 "    for i = 1, 1000 do jobs:send { id = i, n = i, list = { i, { 'x' } } } end\n"
                 "    jobs:close()\n"
                 "  end)\n"
                 "  local sum, count = 0, 0\n"
                 "  for result in results:iter() do\n"
                 "    count = count + 1\n"
                 "    assert(result.id == count and result.list[2][1] == 'x')\n"
                 "    sum = sum + result.square\n"
                 "  end\n"
                 "  assert(count == 1000 and sum == 333833500)\n"
                 "end)"}};
    run_sides(sides, 2, capacity);
  }
}

static void a_channel_is_sent_through_a_channel_for_the_answer(void) {
  side sides[2] = {
      {.code = "tide.run(function()\n"
               "  for request in jobs:iter() do request.reply:send('re: ' .. request.text) end\n"
               "end)"},
      {.code = "tide.run(function()\n"
               "  for i = 1, 100 do\n"
               "    local reply = tide.Channel(1)\n"
               "    jobs:send { text = i, reply = reply }\n"
               "    assert(reply:recv() == 're: ' .. i)\n"
               "  end\n"
               "  jobs:close()\n"
               "end)"}};
  run_sides(sides, 2, 4);
}

static void a_state_is_closed_while_the_other_works(void) {
  side sides[2] = {
      {.code = "tide.spawn(function() for i = 1, 10 do jobs:send(i) end end)\n"
               "tide.spawn(function() results:recv() end)\n"
               "tide.run(function() tide.sleep(0.001) end)"}, /* and its tasks wait in both */
      {.code = "tide.run(function()\n"
               "  local sum = 0\n"
               "  while sum < 6 do sum = sum + jobs:recv() end\n"
               "  results:send 'nobody may be there'\n"
               "end)"}};
  run_sides(sides, 2, 3);
}

static void a_host_without_lua_sends_bytes_and_gets_them(void) {
  host h;
  host_open_for_lua(&h);
  tide_channel *channel = tide_channel_new(4);
  tide_lua_push_channel(h.L, channel);
  CHECK(tide_lua_to_channel(h.L, -1) == channel);
  lua_setglobal(h.L, "channel");
  lua_pushinteger(h.L, 7);
  tide_message *message = tide_lua_encode(h.L, -1, 0, 0);
  CHECK_EQ(tide_channel_try_send(channel, message), TIDE_OK);
  host_do(&h, "run(function() say(channel:recv()) channel:send { 'back' } end)");
  CHECK_EQ(tide_channel_try_recv(channel, &message), TIDE_OK);
  tide_lua_decode(h.L, message, 0);
  lua_rawgeti(h.L, -1, 1);
  CHECK_TEXT(lua_tostring(h.L, -1), "back");
  tide_message_free(message);
  message = tide_message_new("no message of Lua's", 19);
  CHECK_EQ(tide_channel_try_send(channel, message), TIDE_OK);
  lua_settop(h.L, 0);
  host_do(&h, "run(function() say(kind(select(2, pcall(channel.recv, channel)))) end)");
  CHECK_LUA_LOG(&h, "7, misuse");
  CHECK_EQ(tide_channel_count(channel), 0);
  host_do(&h, "channel:try_send 'left in it'");
  tide_channel_unref(channel);
  host_close(&h);
}

static void the_end_of_a_state_leaves_the_channel_whole(void) {
  host h;
  host_open_for_lua(&h);
  tide_channel *channel = tide_channel_new(1);
  tide_lua_push_channel(h.L, channel);
  lua_setglobal(h.L, "channel");
  host_do(&h,
          "for i = 1, 3 do spawn(function() channel:send(i) end) end\n"
          "late = setmetatable({}, { __gc = function() pcall(channel.try_send, channel, 1) end })");
  turn(&h.w);
  turn(&h.w);
  host_close_state(&h);
  CHECK_EQ(tide_channel_count(channel), 1);
  CHECK_EQ(h.w.memory.in_use, 0);
  tide_message *message;
  CHECK_EQ(tide_channel_try_recv(channel, &message), TIDE_OK);
  tide_message_free(message);
  tide_channel_unref(channel);
}

static void memory_may_be_short(void) {
  for (unsigned number = 1; number < 50; number++) {
    host h;
    host_open_for_lua(&h);
    host_do(&h, "channel = tide.Channel(1)\n"
                "function work() tide.try(channel.try_recv, channel) local c = tide.Channel() "
                "channel:send { 'x', c }\n"
                "  assert(channel:recv()[1] == 'x') end");
    h.luas.fail_at = h.luas.allocations + number;
    luaL_dostring(h.L, "pcall(run, work)");
    h.luas.fail_at = 0;
    host_do(&h, "run(work)");
    host_close(&h);
  }
}

int main(void) {
  RUN(states_in_different_threads_send_each_other_values);
  RUN(a_channel_is_sent_through_a_channel_for_the_answer);
  RUN(a_state_is_closed_while_the_other_works);
  RUN(a_host_without_lua_sends_bytes_and_gets_them);
  RUN(the_end_of_a_state_leaves_the_channel_whole);
  RUN(memory_may_be_short);
  return check_summary();
}
