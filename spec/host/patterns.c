/* patterns.c: bounded patterns give what Lua's own give, in results and in messages. */
#include "patterns.h"
#include "host.h"

static void run_code(lua_State *L, const char *code) {
  if (luaL_dostring(L, code) == LUA_OK) return;
  check_text(__FILE__, __LINE__, "an error", luaL_tolstring(L, -1, NULL), "");
}

/* At random. */

static unsigned next_random(unsigned *seed, unsigned below) {
  *seed = *seed * 1103515245u + 12345u;
  return (*seed >> 16) % below;
}

typedef struct piece {
  const char *text;
  size_t length;
} piece;

#define P(text) \
  { text, sizeof text - 1 }

static const piece pieces[] = {
    P("a"),         P("b"),     P("c"),      P("x"),     P("."),      P("%a"),     P("%d"),
    P("%s"),        P("%w"),    P("%p"),     P("%A"),    P("%S"),     P("%W"),     P("%%"),
    P("%."),        P("%z"),    P("%x"),     P("%g"),    P("%c"),     P("%l"),     P("%u"),
    P("%U"),        P("%L"),    P("%G"),     P("%D"),    P("%X"),     P("%P"),     P("%C"),
    P("%Z"),        P("[abc]"), P("[^abc]"), P("[a-c]"), P("[%w_]"),  P("[^%s]"),  P("[]]"),
    P("[^]]"),      P("[a-]"),  P("[%a-z]"), P("[]-a]"), P("[a-%d]"), P("[%]a]"),  P("["),
    P("[^"),        P("[a"),    P("[%"),     P("]"),     P("%"),      P("^"),      P("$"),
    P("("),         P(")"),     P("("),      P(")"),     P("()"),     P("(a)"),    P("(.-)"),
    P("(.*)"),      P("%1"),    P("%2"),     P("%0"),    P("%9"),     P("%b()"),   P("%bab"),
    P("%baa"),      P("%b"),    P("%bx"),    P("%f"),    P("%f[%w]"), P("%f[^a]"), P("%f["),
    P("%f[%z]"),    P("\0"),    P("-"),      P("*"),     P("+"),      P("?"),      P("\xff"),
    P("[\0-\xff]"), P("[^\0]"), P("%\0"),    P("[%"),    P("[a%"),    P("%b\0a"),  P("aab"),
};
static const char marks[] = "*+-?", letters[] = "aaabbcx() 1_\0A.%]\xff-\n";

enum { PIECES = sizeof pieces / sizeof pieces[0], PATTERN_MAX = 1000, SUBJECT_MAX = 300 };

typedef struct maker {
  unsigned seed;
  char pattern[PATTERN_MAX], subject[SUBJECT_MAX];
} maker;

static size_t repeat(char *at, const char *text, unsigned times) {
  size_t length = strlen(text), total = times * length;
  for (size_t i = 0; i < total; i++) at[i] = text[i % length];
  return total;
}

static size_t make_pattern(maker *m) {
  size_t length = 0;
  if (next_random(&m->seed, 8) == 0) m->pattern[length++] = '^';
  for (unsigned i = next_random(&m->seed, 7); i > 0; i--) {
    const piece *p = &pieces[next_random(&m->seed, PIECES)];
    unsigned mark = next_random(&m->seed, 8);
    memcpy(m->pattern + length, p->text, p->length);
    length += p->length;
    if (mark < 4) m->pattern[length++] = marks[mark];
  }
  if (next_random(&m->seed, 8) == 0) m->pattern[length++] = '$';
  if (next_random(&m->seed, 200) == 0) /* as complex as it may be, and more */
    length += repeat(m->pattern + length, "a?", 190 + next_random(&m->seed, 20));
  if (next_random(&m->seed, 200) == 0)
    length += repeat(m->pattern + length, "()", 28 + next_random(&m->seed, 8));
  return length;
}

static size_t make_subject(maker *m) {
  size_t length = next_random(&m->seed, next_random(&m->seed, 20) == 0 ? SUBJECT_MAX : 13);
  for (size_t i = 0; i < length; i++)
    m->subject[i] = letters[next_random(&m->seed, sizeof letters - 1)];
  return length;
}

static int pairs_at_random(void) {
  const char *sweep = getenv("TIDE_SWEEP");
  return sweep != NULL && strcmp(sweep, "full") == 0 ? 500000 : check_many(20000);
}

static void any_pattern_over_any_subject_is_the_same(void) {
  static maker m = {.seed = 7};
  lua_State *L = patterns_open();
  int count = pairs_at_random(), matched = 0, raised = 0;
  for (int i = 0; i < count; i++) {
    asked it = {.subject = m.subject, .pattern = m.pattern};
    it.subject_length = make_subject(&m);
    it.pattern_length = make_pattern(&m);
    it.replacement = next_random(&m.seed, 1000);
    it.init = next_random(&m.seed, 34) + 1;
    it.plain = next_random(&m.seed, 10);
    it.most = next_random(&m.seed, 68) + 1;
    int is = patterns_compare(L, &it);
    matched += (is & PATTERNS_MATCHED) != 0;
    raised += (is & PATTERNS_RAISED) != 0;
  }
  CHECK(matched > count / 10 && raised > count / 10);
  lua_close(L);
}

/* One by one. */

static void compare_code(const char *code) {
  lua_State *L = patterns_open();
  run_code(L, code);
  lua_close(L);
}

static void items_are_the_same_at_their_ends(void) {
  compare_code(
      "for _, s in ipairs { '', 'a', 'aaa', 'abab', '(a(b)c)', 'x\\0y', 'THE (quick) fox' } do\n"
      "  for _, p in ipairs { '', '^', '$', '^$', 'a-$', '%b()', '%b', '%b(', '%f[%a]%a+', '%f', "
      "'%f[', '(a)%1', '(a', 'a)', '(()', '%1', '(%1)', '[', '[]', '[^]', '[]]', '[a-', '%', "
      "'a%', '()', '()()', '^^', '$$', 'a**', 'a+-', 'a?*', '\\0', '[\\0]', '%\\0', '.-%f[%z]', "
      "'[%', '[%]', '%f[\\0]', '^%b()$', '(.)(.)%2%1', '(()a)' } do\n"
      "    for init = -4, 8 do\n"
      "      compare('find', s, p, init) compare('match', s, p, init) compare('gmatch', s, p, "
      "init)\n"
      "    end\n"
      "    for n = -1, 3 do\n"
      "      for _, r in ipairs(replacements) do compare('gsub', s, p, r, n) end\n"
      "    end\n"
      "  end\n"
      "end");
}

static void captures_and_complexity_have_the_same_bounds(void) {
  compare_code(
      "for n = 30, 34 do\n"
      "  for _, p in ipairs { ('()'):rep(n), ('(a)'):rep(n), ('('):rep(n), "
      "('('):rep(n) .. ('a)'):rep(n) } do\n"
      "    for _, f in ipairs { 'find', 'match', 'gmatch' } do compare(f, ('a'):rep(40), p) end\n"
      "    compare('gsub', ('a'):rep(40), p, '%9')\n"
      "  end\n"
      "end\n"
      "for n = 195, 203 do\n"
      "  for _, p in ipairs { 'a?', 'a*', 'a-', 'b?', 'b*', 'b-', '.', '%a', '%f[^x]' } do\n"
      "    compare('find', ('a'):rep(300), p:rep(n))\n"
      "    compare('match', ('a'):rep(300), '()' .. p:rep(n))\n"
      "    compare('find', '', p:rep(n))\n"
      "  end\n"
      "end");
}

static void arguments_are_checked_in_the_same_order(void) {
  compare_code("local values = { 'a', 1, 1.5, false, {}, type, 'x' }\n"
               "for i = 1, 7 do for j = 1, 7 do for k = 1, 7 do\n"
               "  for _, f in ipairs { 'find', 'match', 'gsub' } do\n"
               "    compare(f, values[i], values[j], values[k])\n"
               "    compare(f, values[i], values[j], values[k], values[i])\n"
               "  end\n"
               "  compare('gmatch', values[i], values[j], values[k])\n"
               "end end end\n"
               "for _, f in ipairs { 'find', 'match', 'gmatch', 'gsub' } do\n"
               "  compare(f) compare(f, 'a') compare(f, nil, 'a') compare(f, 'a', 'a')\n"
               "end");
}

static void messages_have_the_name_and_the_line_that_luas_have(void) {
  static const char *const code[] = {"('x'):find()",
                                     "string.match('x')",
                                     "('x'):gsub('x')",
                                     "('x'):gmatch({})",
                                     "('x'):find('[')",
                                     "for _ in ('x'):gmatch('%') do end",
                                     "string.gsub('x', '(', '%1')",
                                     "('x'):rep(1):find('x', {})",
                                     "local f = string.gsub f('x', 'x', true)",
                                     "('x'):gsub('x', '%2')",
                                     "('x'):gsub('x', function() error('deep') end)",
                                     "('x'):gsub('x', function() return print end)"};
  for (size_t i = 0; i < sizeof code / sizeof code[0]; i++) {
    char messages[2][500];
    for (int bounded = 0; bounded < 2; bounded++) {
      host h;
      tide_lua_options options = {.size = sizeof options,
                                  .patterns = bounded ? TIDE_LUA_BOUNDED_PATTERNS : 0};
      host_open_with(&h, &options);
      CHECK(luaL_dostring(h.L, code[i]) != LUA_OK);
      snprintf(messages[bounded], sizeof messages[bounded], "%s", lua_tostring(h.L, -1));
      lua_settop(h.L, 0);
      host_close(&h);
    }
    CHECK_TEXT(messages[1], messages[0]);
  }
}

static void long_ones_are_the_same(void) {
  compare_code(
      "local long = ('abc, '):rep(20000) .. 'end'\n"
      "for _, p in ipairs { '%a+', '.-end', '^.*$', '[a-c]+', ', ', '(.-)end$', 'e', 'n?d', "
      "'%f[%w]%w+', 'end', '[^e]*', '%s*$' } do\n"
      "  compare('find', long, p) compare('match', long, p, -10) compare('gmatch', long, p)\n"
      "  compare('gsub', long, p, '<%0>') compare('find', long, p, 1, true)\n"
      "end\n"
      "local blocks = ('x'):rep(65536 * 3)\n"
      "for at = 65530, 65540 do\n"
      "  local s = blocks:sub(1, at) .. 'needle' .. blocks\n"
      "  compare('find', s, 'needle') compare('find', s, 'needle', 1, true)\n"
      "  compare('find', s, 'n(e+)dle') compare('match', s, 'n.*x$')\n"
      "end\n"
      "local _, n = ('ab'):rep(100000):gsub('a', '') assert(n == 100000)\n"
      "n = 0 for _ in ('ab'):rep(100000):gmatch('%a') do n = n + 1 end assert(n == 200000)\n"
      "compare('find', ('(('):rep(1000) .. ('))'):rep(1000), '%b()')");
}

/* What it calls, and who calls it. */

static void functions_that_it_calls_may_do_anything(void) {
  compare_code(
      "local co = coroutine.wrap(function() for w in ('a b'):gmatch('%a') do coroutine.yield(w) "
      "end end)\n"
      "assert(('xy'):gsub('.', function() return co() end) == 'ab')\n"
      "assert(('abc'):gsub('%a', function(c) return (c:gsub('b', string.upper)) end) == 'aBc')\n"
      "assert(('ab'):gsub('.', setmetatable({}, { __index = function(_, k) return k:match('a') end "
      "})) == "
      "'ab')\n"
      "local words = { 'b1', 'a2', 'a1' }\n"
      "table.sort(words, function(a, b) return a:match('%a') < b:match('%a') or a:match('%d') < "
      "b:match('%d') and a:match('%a') == b:match('%a') end)\n"
      "assert(table.concat(words, ' ') == 'a1 a2 b1')\n"
      "local ran\n"
      "setmetatable({}, { __gc = function() ran = ('x=1'):match('=(.*)') end })\n"
      "collectgarbage() assert(ran == '1')\n"
      "local next_one = (('a,'):rep(3)):gmatch('a()') collectgarbage()\n"
      "assert(next_one() == 2 and next_one() == 4 and next_one() == 6 and not next_one() and not "
      "next_one())\n"
      "local function deep() return (('a'):gsub('a', deep)) end\n"
      "local ok, err = pcall(deep) assert(not ok and lua.find(err, 'stack overflow'), err)\n"
      "local s = ('ab'):gsub('.', function() collectgarbage() return ('x'):rep(1000) end)\n"
      "assert(#s == 2000)");
}

/* Its error, for a function that waits in a replacement: as Lua's own. */
static void waiting_in_gsub_is_as_with_luas_own(void) {
  char texts[2][500];
  for (int bounded = 0; bounded < 2; bounded++) {
    host h;
    tide_lua_options options = {.size = sizeof options,
                                .patterns = bounded ? TIDE_LUA_BOUNDED_PATTERNS : 0};
    host_open_with(&h, &options);
    host_begin_lua(&h);
    host_do(&h, "spawn(function()\n"
                "  local ok, err = pcall(string.gsub, 'x', 'x', function() sleep(1) end)\n"
                "  text = kind(err) .. ': ' .. tostring(err) .. ' ' .. tostring(err.op)\n"
                "  local task = spawn(sleep, 1)\n"
                "  ok, err = pcall(string.gsub, 'x', 'x', function() task:await() end)\n"
                "  text = text .. tostring(err)\n"
                "  pcall(string.gsub, 'x', 'x', function() text = text .. "
                "tostring(coroutine.isyieldable()) end)\n"
                "end)");
    settle(&h.w);
    lua_getglobal(h.L, "text");
    snprintf(texts[bounded], sizeof texts[bounded], "%s", lua_tostring(h.L, -1));
    lua_settop(h.L, 0);
    host_close(&h);
  }
  CHECK(strstr(texts[0], "string.gsub") != NULL);
  CHECK_TEXT(texts[1], texts[0]);
}

static void a_state_may_be_closed_with_matches_half_done(void) {
  host h;
  tide_lua_options options = {.size = sizeof options, .patterns = TIDE_LUA_BOUNDED_PATTERNS};
  host_open_with(&h, &options);
  host_begin_lua(&h);
  host_do(&h,
          "spawn(function() for w in ('a b c'):gmatch('%a') do say(w) sleep(1) end end)\n"
          "kept = ('a b'):gmatch('%a') kept()\n"
          "suspended = coroutine.wrap(function() ('a'):gsub('a', coroutine.wrap(function() "
          "coroutine.yield() end)) coroutine.yield() end) suspended()\n"
          "setmetatable({}, { __gc = function() assert(kept() == 'b' and ('x'):find('x')) end })");
  for (int i = 0; i < 2; i++) CHECK_EQ(tide_loop_turn(h.w.loop, true), TIDE_OK);
  lua_close(h.L);
  CHECK_EQ(h.luas.in_use, 0);
}

/* The allocation of that number fails. False: there are not so many. */
static bool match_short_of(host *h, unsigned number) {
  unsigned fails = h->luas.allocations + number;
  h->luas.fail_at = fails;
  lua_getglobal(h->L, "match_much");
  int status = lua_pcall(h->L, 0, 1, 0);
  bool reached = h->luas.allocations >= fails;
  h->luas.fail_at = 0;
  CHECK(status == LUA_OK || strcmp(lua_tostring(h->L, -1), "not enough memory") == 0);
  lua_settop(h->L, 0);
  host_do(h, "assert(match_much() == 2014)");
  return reached;
}

static void a_shortage_of_memory_anywhere_in_them_leaves_all_whole(void) {
  host h;
  tide_lua_options options = {.size = sizeof options, .patterns = TIDE_LUA_BOUNDED_PATTERNS};
  host_open_with(&h, &options);
  host_do(&h, "local text, long = ('ab'):rep(5), ('x'):rep(400)\n"
              "function match_much()\n"
              "  local n = 0\n"
              "  for a, b in text:gmatch('(a)(b)') do n = n + #a + #b end\n"
              "  local s = text:gsub('a', long)\n"
              "  local t = text:gsub('%a', function(c) return c .. c end)\n"
              "  local _, _, first, rest = text:find('(.)(.*)')\n"
              "  assert(text:match('()b') == 2 and #t == 20 and #first + #rest == 10)\n"
              "  return n + #s - 1\n"
              "end");
  unsigned number = 1;
  while (number < 1000 && match_short_of(&h, number)) number += check_quick() ? 7 : 1;
  CHECK(number > 5 && number < 1000);
  host_close(&h);
}

/* Where they are. */

static void they_are_in_the_place_of_luas_own_in_that_state_alone(void) {
  lua_State *L = patterns_open(), *other = luaL_newstate();
  run_code(L, "for name, f in pairs(lua) do\n"
              "  assert(string[name] ~= f and ('').find == string.find)\n"
              "  assert(package.loaded.string[name] == string[name])\n"
              "  for k, v in pairs(tide.raw) do assert(v ~= f, k) end\n"
              "end\n"
              "assert(lua.find('x', 'x') == 1 and string.rep and string.format)");
  luaL_openlibs(other);
  run_code(other, "find = string.find");
  luaL_requiref(other, "tide", luaopen_tide, 1);
  lua_settop(other, 0);
  run_code(other, "assert(string.find == find and ('').find == find)");
  lua_close(L);
  run_code(other, "assert(('x'):find('x') == 1)");
  lua_close(other);
}

static int open_with_parts(lua_State *L) {
  tide_lua_options options = {.size = sizeof options, .patterns = TIDE_LUA_BOUNDED_PATTERNS};
  luaL_openlibs(L);
  if (luaL_dostring(L, "gsub, methods = string.gsub, { find = string.find, upper = string.upper }\n"
                       "string.gsub = nil\n"
                       "getmetatable('').__index = methods"))
    return lua_error(L);
  tide_lua_open(L, NULL, &options);
  return 0;
}

static void what_the_host_has_taken_away_does_not_come_back(void) {
  lua_State *L = luaL_newstate();
  lua_pushcfunction(L, open_with_parts);
  CHECK_EQ(lua_pcall(L, 0, 0, 0), LUA_OK);
  run_code(L, "assert(string.gsub == nil and string.find == methods.find)\n"
              "assert(('').gsub == nil and ('').match == nil and ('x'):find('x') == 1)\n"
              "assert(gsub('x', 'x', 'y') == 'y')");
  lua_close(L);
}

int main(void) {
  RUN(any_pattern_over_any_subject_is_the_same);
  RUN(items_are_the_same_at_their_ends);
  RUN(captures_and_complexity_have_the_same_bounds);
  RUN(arguments_are_checked_in_the_same_order);
  RUN(messages_have_the_name_and_the_line_that_luas_have);
  RUN(long_ones_are_the_same);
  RUN(functions_that_it_calls_may_do_anything);
  RUN(waiting_in_gsub_is_as_with_luas_own);
  RUN(a_state_may_be_closed_with_matches_half_done);
  RUN(a_shortage_of_memory_anywhere_in_them_leaves_all_whole);
  RUN(they_are_in_the_place_of_luas_own_in_that_state_alone);
  RUN(what_the_host_has_taken_away_does_not_come_back);
  return check_summary();
}
