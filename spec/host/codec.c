/* codec.c: values as messages, and back. */
#include "host.h"

static int decode(lua_State *L) {
  tide_lua_decode(L, lua_touserdata(L, 1), (int)lua_tointeger(L, 2));
  return 1;
}

/* copy(value[, flags[, max]]) -> the value that comes out, the size in bytes */
static int l_copy(lua_State *L) {
  int flags = (int)luaL_optinteger(L, 2, 0);
  tide_message *message = tide_lua_encode(L, 1, flags, (size_t)luaL_optinteger(L, 3, 0));
  size_t size = message->size;
  lua_pushcfunction(L, decode);
  lua_pushlightuserdata(L, message);
  lua_pushinteger(L, flags);
  int status = lua_pcall(L, 2, 1, 0);
  tide_message_free(message);
  if (status != LUA_OK) return lua_error(L);
  lua_pushinteger(L, (lua_Integer)size);
  return 2;
}

static int l_pointer(lua_State *L) {
  lua_pushlightuserdata(L, &l_copy);
  return 1;
}

static void open_with_copy(host *h) {
  host_open_for_lua(h);
  lua_register(h->L, "copy", l_copy);
  lua_register(h->L, "pointer", l_pointer);
  host_do(h,
          "function refused(value, ...)\n"
          "  local ok, err = pcall(copy, value, ...)\n"
          "  assert(not ok)\n"
          "  return kind(err), (tostring(err.message or err):gsub('^a message cannot have ', ''))\n"
          "end");
}

static void each_kind_of_value_comes_out_as_it_went_in(void) {
  host h;
  open_with_copy(&h);
  host_do(&h, "local values = { true, false, 0, 1, -1, math.maxinteger, math.mininteger, 0.0, "
              "-0.5, 1e300,\n"
              "  math.huge, -math.huge, '', 'x', '\\0a\\0', ('y'):rep(255), ('z'):rep(256), "
              "('w'):rep(100000) }\n"
              "for _, value in ipairs(values) do\n"
              "  local other = copy(value)\n"
              "  assert(other == value and math.type(other) == math.type(value))\n"
              "end\n"
              "assert(copy(nil) == nil and 1 / copy(-0.0) == -math.huge)\n"
              "local nan = copy(0/0) assert(nan ~= nan)\n"
              "say(select(2, copy(nil)), select(2, copy(1)), select(2, copy 'abc'))");
  CHECK_LUA_LOG(&h, "5 13 9");
  host_close(&h);
}

static void tables_are_copied_with_all_that_is_in_them(void) {
  host h;
  open_with_copy(&h);
  host_do(&h, "local key = { 'a key' }\n"
              "local t = { 1, 2, nil, 4, { 5, { 6 } }, a = 'b', [1.5] = 'f', [true] = false, [-1] "
              "= 'minus',\n"
              "  [0] = 'zero', [100] = 'far', [''] = {}, [key] = key }\n"
              "local c = copy(t)\n"
              "assert(c ~= t and c[1] == 1 and c[2] == 2 and c[3] == nil and c[4] == 4 and "
              "c[5][2][1] == 6)\n"
              "assert(c.a == 'b' and c[1.5] == 'f' and c[true] == false and c[-1] == 'minus')\n"
              "assert(c[0] == 'zero' and c[100] == 'far' and next(c['']) == nil)\n"
              "local count = 0\n"
              "for k, v in pairs(c) do\n"
              "  count = count + 1\n"
              "  if type(k) == 'table' then assert(k == v and k ~= key and k[1] == 'a key') end\n"
              "end\n"
              "say(count)\n"
              "local list = {} for i = 1, 100000 do list[i] = i end\n"
              "local out, size = copy(list)\n"
              "say(#out, out[77777], size // 100000)\n"
              "assert(getmetatable(c) == nil)");
  CHECK_LUA_LOG(&h, "12, 100000 77777 9");
  host_close(&h);
}

static void tables_with_holes_cost_what_is_in_them(void) {
  host h;
  open_with_copy(&h);
  host_do(&h, "local function same(a, b)\n"
              "  for k, v in pairs(a) do assert(b[k] == v) end\n"
              "  for k, v in pairs(b) do assert(a[k] == v) end\n"
              "end\n"
              "local far = {}\n" /* its length is any of its keys */
              "for i = 0, 62 do far[1 << i] = i end\n"
              "local out, size = copy(far)\n"
              "same(far, out)\n"
              "assert(size < 2000)\n"
              "local half = {}\n"
              "for i = 1, 1000 do half[i] = i end\n"
              "for i = 1, 999, 2 do half[i] = nil end\n"
              "out, size = copy(half)\n"
              "same(half, out)\n"
              "assert(size < 10000)\n"
              "local emptied = {}\n"
              "for i = 1, 100000 do emptied[i] = i end\n"
              "for i = 1, 99999 do emptied[i] = nil end\n"
              "out, size = copy(emptied)\n"
              "same(emptied, out)\n"
              "assert(size < 200)\n"
              "assert(#copy { 1, nil, nil, 4 } == 4)");
  host_close(&h);
}

static void what_is_shared_stays_shared_and_cycles_stay_cycles(void) {
  host h;
  open_with_copy(&h);
  host_do(&h, "local a = { name = 'a' }\n"
              "a.me = a\n"
              "local shared = {}\n"
              "local t = { a, a, shared, { shared }, k = { shared } }\n"
              "t[t] = t\n"
              "local c = copy(t)\n"
              "assert(c[1] == c[2] and c[1].me == c[1] and c[3] == c[4][1] and c[3] == c.k[1] and "
              "c[c] == c)\n"
              "local b = { a } a.b = b\n"
              "c = copy(b)\n"
              "assert(c[1].b == c and c[1] ~= a)");
  host_close(&h);
}

static void errors_of_tide_s_go_with_their_tracebacks(void) {
  host h;
  open_with_copy(&h);
  host_do(&h, "run(function()\n"
              "  local one <close> = tide.net.pair()\n"
              "  local ok, err = pcall(tide.net.connect, 'unix:/no/such')\n"
              "  err.stream, err.extra, err.f = one, { 1 }, print\n"
              "  local c = copy(err)\n"
              "  assert(tostring(c) == tostring(err) and tide.is(c, 'os'))\n"
              "  assert(err.traceback and c.traceback == err.traceback and c.stream == nil and c.f "
              "== nil)\n"
              "  say(c.code, c.extra[1])\n"
              "  ok, err = pcall(tide.TaskGroup, function(g)\n"
              "    g:spawn(error, tide.error('x', 'y')) g:spawn(error, 'z', 0)\n"
              "  end)\n"
              "  c = copy { err }[1]\n"
              "  say(c.kind, #c.errors, c.errors[1].kind, c.errors[2], #c:leaves())\n"
              "  local task = spawn(sleep, 5) sleep(0) task:cancel('why')\n"
              "  ok, err = pcall(task.await, task)\n"
              "  c = copy(err)\n"
              "  assert(err.task == task)\n"
              "  say(c.kind, c.reason, tostring(c.task))\n"
              "end)");
  CHECK_LUA_LOG(&h, "ENOENT 1, group 2 x z 2, cancelled why nil");
  host_close(&h);
}

static void what_cannot_be_copied_is_named_with_its_path(void) {
  host h;
  open_with_copy(&h);
  host_do(&h, "say(refused(print))\n"
              "say(refused { a = { { b = print } } })\n"
              "say(refused { ['a b'] = { [1.5] = coroutine.create(print) } })\n"
              "say(refused { { [io.stdout] = 1 } })\n"
              "say(refused { [true] = setmetatable({}, {}) })\n"
              "say(refused(tide.Queue()))\n"
              "say(refused { 1, 2, tide.error('x', nil, { cause = 1 }), pointer() })\n"
              "say(refused { [{}] = print })\n"
              "say(refused { [('k'):rep(100)] = print })\n"
              "local t = { print } for i = 1, 100 do t = { x = t } end\n"
              "say(refused(t))");
  CHECK_LUA_LOG(&h, "misuse a function: it is value, "
                    "misuse a function: it is value.a[1].b, "
                    "misuse a thread: it is value[\"a b\"][1.5], "
                    "misuse a userdata: a key of value[1], "
                    "misuse a table with a metatable: it is value[true], "
                    "misuse a userdata: it is value, "
                    "misuse light userdata: it is value[4], "
                    "misuse a function: it is value[a table], "
                    "misuse a function: it is value[a string of 100 bytes], "
                    "misuse a function: it is value....x.x.x.x.x.x.x.x.x.x.x.x[1]");
  host_close(&h);
}

static void pointers_go_on_request(void) {
  host h;
  open_with_copy(&h);
  host_do(&h, "local c = copy({ pointer(), [pointer()] = 1 }, 1)\n"
              "assert(c[1] == pointer() and c[pointer()] == 1)");
  host_close(&h);
}

static void nesting_may_be_a_hundred_thousand_deep(void) {
  host h;
  open_with_copy(&h);
  host_do(&h, "local t = {}\n"
              "for i = 1, 100000 do t = i % 2 == 0 and { t } or { x = t } end\n"
              "local c, n = copy(t), 0\n"
              "while next(c) do n = n + 1 c = c[1] or c.x end\n"
              "say(n)");
  CHECK_LUA_LOG(&h, "100000");
  host_close(&h);
}

static void a_message_may_be_bounded(void) {
  host h;
  open_with_copy(&h);
  host_do(&h, "local _, size = copy { 'abc', { 1 } }\n"
              "say((refused({ ('x'):rep(1000) }, 0, 1000)))\n"
              "local c, same = copy({ 'abc', { 1 } }, 0, size)\n"
              "say(c[1], same - size, (refused({ 'abc', { 1 } }, 0, size - 8)))");
  CHECK_LUA_LOG(&h, "limit, abc 0 limit");
  host_close(&h);
}

/* Memory. */

static void memory_may_be_short_on_both_ways(void) {
  for (unsigned number = 1; number < 60; number = check_next(number)) {
    host h;
    open_with_copy(&h);
    host_do(&h, "t = { 1, 'x', { y = { 2 } }, tide.error('a', 'b') } t.t = t\n"
                "function work() local c = copy(t) assert(c.t == c and c[3].y[1] == 2) end");
    h.luas.fail_at = h.luas.allocations + number;
    luaL_dostring(h.L, "pcall(work)");
    h.luas.fail_at = 0;
    host_do(&h, "work()");
    host_close(&h);
  }
}

/* Tables that change while they are copied: finalizers may not come in between. */
static void finalizers_do_not_come_between(void) {
  host h;
  open_with_copy(&h);
  host_do(&h, "local t = {}\n"
              "for i = 1, 1000 do t['k' .. i] = { i } end\n"
              "local function litter()\n"
              "  setmetatable({}, { __gc = function()\n"
              "    for i = 1, 10 do t['k' .. math.random(1000)] = nil t['n' .. math.random(1000)] "
              "= {} end\n"
              "    litter() end })\n"
              "end\n"
              "litter()\n"
              "for _ = 1, 100 do copy(t) end\n"
              "litter = function() end");
  host_close(&h);
}

/* Bytes that are no message. */

/* Whether they were refused; else whatever has come out is a value. */
static bool is_refused(host *h, const char *data, size_t size) {
  lua_State *L = h->L;
  tide_message message = {.size = size};
  message.data = malloc(size > 0 ? size : 1); /* its end is the block's, for the sanitizers */
  memcpy(message.data, data, size);
  lua_pushcfunction(L, decode);
  lua_pushlightuserdata(L, &message);
  lua_pushinteger(L, 0);
  bool refused = lua_pcall(L, 2, 1, 0) != LUA_OK;
  if (refused) {
    lua_getfield(L, -1, "kind");
    CHECK_TEXT(lua_tostring(L, -1), "misuse");
  }
  lua_settop(L, 0);
  free(message.data);
  return refused;
}

static tide_message *open_with_message(host *h) {
  open_with_copy(h);
  host_do(h, "t = { 1, 2.5, 'text', ('long'):rep(100), true, { x = { y = false } }, "
             "tide.error('k', 'm') }\n"
             "t.t, t[t] = t, { t }");
  lua_getglobal(h->L, "t");
  tide_message *message = tide_lua_encode(h->L, -1, 0, 0);
  lua_settop(h->L, 0);
  return message;
}

static void what_is_cut_short_is_refused_at_every_byte(void) {
  host h;
  tide_message *message = open_with_message(&h);
  char *data = message->data;
  CHECK(!is_refused(&h, data, message->size));
  for (size_t size = 0; size < message->size; size++) CHECK(is_refused(&h, data, size));
  char *longer = malloc(message->size + 1);
  memcpy(longer, data, message->size);
  longer[message->size] = 0;
  CHECK(is_refused(&h, longer, message->size + 1));
  free(longer);
  tide_message_free(message);
  host_close(&h);
}

static void whatever_bytes_are_changed_nothing_breaks(void) {
  host h;
  tide_message *message = open_with_message(&h);
  char *data = message->data;
  static const unsigned char others[] = {0, 1, 2, 7, 8, 9, 127, 128, 255};
  for (size_t at = 0; at < message->size; at++) {
    char was = data[at];
    for (size_t i = 0; i < sizeof others; i++) {
      data[at] = (char)others[i];
      is_refused(&h, data, message->size);
    }
    data[at] = was;
  }
  uint64_t random = 1;
  char noise[64];
  for (int round = 0; round < check_many(20000); round++) {
    for (size_t i = 0; i < sizeof noise; i++) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      noise[i] = (char)((random >> 40) % (i < 16 ? 4 : 12));
    }
    is_refused(&h, noise, sizeof noise);
  }
  CHECK(h.luas.in_use < 4000000); /* memory in proportion */
  tide_message_free(message);
  host_close(&h);
}

static void a_message_goes_to_another_state(void) {
  host h, other;
  tide_message *message = open_with_message(&h);
  host_open_for_lua(&other);
  tide_lua_decode(other.L, message, 0);
  lua_setglobal(other.L, "t");
  host_close(&h);
  host_do(&other,
          "assert(t.t == t and t[3] == 'text' and t[7].kind == 'k' and tide.is(t[7], 'k'))");
  tide_message_free(message);
  host_close(&other);
}

int main(void) {
  RUN(each_kind_of_value_comes_out_as_it_went_in);
  RUN(tables_are_copied_with_all_that_is_in_them);
  RUN(tables_with_holes_cost_what_is_in_them);
  RUN(what_is_shared_stays_shared_and_cycles_stay_cycles);
  RUN(errors_of_tide_s_go_with_their_tracebacks);
  RUN(what_cannot_be_copied_is_named_with_its_path);
  RUN(pointers_go_on_request);
  RUN(nesting_may_be_a_hundred_thousand_deep);
  RUN(a_message_may_be_bounded);
  RUN(memory_may_be_short_on_both_ways);
  RUN(finalizers_do_not_come_between);
  RUN(what_is_cut_short_is_refused_at_every_byte);
  RUN(whatever_bytes_are_changed_nothing_breaks);
  RUN(a_message_goes_to_another_state);
  return check_summary();
}
