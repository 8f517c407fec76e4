/* shrink.c: what many tasks and items needed is given back. */
#include "host.h"

/* Bytes, Lua's and the core's, when `script` has run with `count`. */
static size_t held_after(host *h, const char *script, int count) {
  CHECK_EQ(luaL_loadstring(h->L, script), LUA_OK);
  lua_pushinteger(h->L, count);
  CHECK_EQ(lua_pcall(h->L, 1, 0, 0), LUA_OK);
  for (int i = 0; i < 3; i++) lua_gc(h->L, LUA_GCCOLLECT);
  return h->luas.in_use + h->w.memory.in_use;
}

static void check_given_back(const char *script, int few, int many) {
  host h;
  host_open(&h);
  size_t before = held_after(&h, script, few);
  held_after(&h, script, many);
  size_t after = held_after(&h, script, few);
  CHECK(after < before + (64 << 10));
  host_close(&h);
}

static void the_places_of_tasks_that_have_ended_are_given_back(void) {
  check_given_back("local n = ...\n"
                   "tide.run(function()\n"
                   "  for i = 1, n do tide.spawn(tide.sleep, 0) end\n"
                   "  tide.sleep(0.1)\n"
                   "end)",
                   1000, check_many(50000));
}

static void so_are_those_of_callbacks(void) {
  check_given_back("local n, called = ..., 0\n"
                   "tide.run(function()\n"
                   "  for i = 1, n do tide.call_soon(function() called = called + 1 end) end\n"
                   "  tide.sleep(0.1)\n"
                   "end)\n"
                   "assert(called == n)",
                   1000, check_many(50000));
}

static void check_queues(const char *script) {
  static const char *const kinds[] = {"Queue", "LifoQueue", "PriorityQueue"};
  for (int i = 0; i < 3; i++) {
    char text[400];
    snprintf(text, sizeof text, script, kinds[i]);
    check_given_back(text, 500, check_many(50000));
  }
}

static void so_are_those_of_items_in_queues_of_each_kind(void) {
  static const char script[] = "local n = ...\n"
                               "q = q or tide.%s()\n"
                               "for round = 1, 2 do\n"
                               "  for i = 1, n do q:put_nowait({ i }, i) end\n"
                               "  for i = 1, n do q:get_nowait() end\n"
                               "end\n"
                               "assert(q:empty())";
  check_queues(script);
}

static void also_where_the_queue_is_never_empty(void) {
  check_queues("local n, last = ..., 0\n"
               "q = q or tide.%s()\n"
               "local function put() last = last + 1 q:put_nowait({ last }, last) end\n"
               "for i = 1, n do put() end\n"
               "while #q > 5 do q:get_nowait() end\n"
               "for i = 1, 20000 do put() assert(q:get_nowait()[1]) end\n"
               "while #q > 1 do q:get_nowait() end");
}

/* Not at the end of each turn: who needs as many again and again has them. */
static void while_a_loop_goes_on_it_is_given_back_a_second_later(void) {
  static const char script[] = "local n = ...\n"
                               "return tide.run(function()\n"
                               "  for i = 1, n do tide.spawn(tide.sleep, 0.001) end\n"
                               "  tide.sleep(0.1)\n"
                               "  local most = tide.stats().pool\n"
                               "  for i = 1, 3 do tide.sleep(1) end\n"
                               "  collectgarbage() collectgarbage()\n"
                               "  return most, tide.stats().pool, collectgarbage 'count'\n"
                               "end)";
  host h;
  host_open(&h);
  double held[2];
  for (int i = 0; i < 2; i++) {
    CHECK_EQ(luaL_loadstring(h.L, script), LUA_OK);
    lua_pushinteger(h.L, i == 0 ? 20 : check_many(50000));
    CHECK_EQ(lua_pcall(h.L, 1, 3, 0), LUA_OK);
    if (i == 1) CHECK(lua_tointeger(h.L, -3) > 1000);
    CHECK(lua_tointeger(h.L, -2) < 30);
    held[i] = lua_tonumber(h.L, -1);
    lua_settop(h.L, 0);
  }
  CHECK(held[1] < held[0] + 64);
  host_close(&h);
}

/* Those that go on are still known by all that tide knows them by. */
static void what_goes_on_moves_and_is_found(void) {
  host h;
  host_open(&h);
  host_do(&h,
          "tide.run(function()\n"
          "  local kept, handles, q, called = {}, {}, tide.Queue(), 0\n"
          "  for i = 1, 20000 do\n"
          "    if i % 1000 == 0 then\n"
          "      kept[#kept + 1] = tide.spawn(q.get, q):set_name('kept ' .. i)\n"
          "      handles[#handles + 1] = tide.call_later(3, function() called = called + 1 end)\n"
          "    else\n"
          "      tide.spawn(tide.sleep, 0)\n"
          "    end\n"
          "  end\n"
          "  tide.sleep(2)\n"
          "  assert(#tide.all_tasks() == 21 and tide.stats().handles == 20)\n"
          "  kept[1]:cancel() kept[2]:kill() handles[1]:cancel()\n"
          "  tide.sleep(3)\n"
          "  assert(called == 19)\n"
          "  for i = 3, 20 do\n"
          "    q:put(i)\n"
          "    assert(kept[i]:await() == i and kept[i]:name() == 'kept ' .. i * 1000)\n"
          "  end\n"
          "  assert(#tide.all_tasks() == 1)\n"
          "end)");
  host_close(&h);
}

int main(void) {
  RUN(the_places_of_tasks_that_have_ended_are_given_back);
  RUN(so_are_those_of_callbacks);
  RUN(so_are_those_of_items_in_queues_of_each_kind);
  RUN(also_where_the_queue_is_never_empty);
  RUN(while_a_loop_goes_on_it_is_given_back_a_second_later);
  RUN(what_goes_on_moves_and_is_found);
  return check_summary();
}
