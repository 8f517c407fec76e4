/* patterns.h: a state with bounded patterns, in which the same is asked of Lua's own functions:
 * `lua.find` and so on, `string.find` is tide's. */
#ifndef TIDE_SPEC_PATTERNS_H
#define TIDE_SPEC_PATTERNS_H

#include <lauxlib.h>
#include <lualib.h>

#include "../../bindings/tide_lua.h"
#include "../core/check.h"

/* compare(name, ...): both functions with these arguments; raises where they differ. Gives whether
 * they matched, and whether they raised. */
static const char patterns_prelude[] =
    "local function each(gmatch, ...)\n"
    "  local found = {}\n"
    "  for a, b, c in gmatch(...) do\n"
    "    found[#found + 1] = tostring(a) .. '|' .. tostring(b) .. '|' .. tostring(c)\n"
    "    if #found > 100 then break end\n"
    "  end\n"
    "  return table.concat(found, ';')\n"
    "end\n"
    "local function call(f, ...)\n"
    "  local got = table.pack(pcall(f, ...))\n"
    "  if not got[1] and type(got[2]) == 'string' then\n" /* by which name it was found */
    "    got[2] = lua.gsub(got[2], \"to '[%w.?]+'\", \"to 'it'\")\n"
    "  end\n"
    "  return got\n"
    "end\n"
    "local function same(a, b)\n"
    "  for i = 1, math.max(a.n, b.n) do\n"
    "    local raised = type(a[i]) == 'table' and type(b[i]) == 'table' and not a[1]\n"
    "    if not raised and (a[i] ~= b[i] or math.type(a[i]) ~= math.type(b[i])) then return false "
    "end\n"
    "  end\n"
    "  return a.n == b.n and a[1] == b[1]\n"
    "end\n"
    "local function show(list)\n"
    "  local text = {}\n"
    "  for i = 1, list.n do\n"
    "    text[i] = type(list[i]) == 'string' and ('%q'):format(list[i]) or tostring(list[i])\n"
    "  end\n"
    "  return table.concat(text, ', ')\n"
    "end\n"
    "function compare(name, ...)\n"
    "  local one, other\n"
    "  if name == 'gmatch' then\n"
    "    one, other = call(each, lua.gmatch, ...), call(each, string.gmatch, ...)\n"
    "  else\n"
    "    one, other = call(lua[name], ...), call(string[name], ...)\n"
    "  end\n"
    "  if same(one, other) then return one[1] and one[2] ~= nil, not one[1] end\n"
    "  error(('%s(%s): Lua: %s; tide: %s'):format(name, show(table.pack(...)), show(one), "
    "show(other)))\n"
    "end\n"
    "replacements = { '', 'x', '%0', '<%1>', '%2%1', '%', '%x', '%%', 'a%9', '%1%0\\0', 7, 1.5, "
    "true,\n"
    "  {}, { a = 'A', b = false, [1] = 'one', c = 3 }, { a = {} },\n"
    "  setmetatable({}, { __index = function(_, k) return #tostring(k) > 1 and k or nil end }),\n"
    "  setmetatable({}, { __index = function() error('in __index', 0) end }),\n"
    "  function(...) return select('#', ...) end, function(a, b) return b or a end, function() "
    "end,\n"
    "  function() return {} end, function() error('oops', 0) end, function() error({}) end, false "
    "}\n"
    "inits = { 1, 2, 0, -1, -3, 5, 100, -100, 3.0, 2.5, 0 / 0, 1 / 0, math.mininteger,\n"
    "  math.maxinteger, '2', 'x', {} }\n"
    "function compare_all(s, p, replacement, init, plain, most)\n"
    "  local matched, raised = compare('find', s, p, inits[init], plain)\n"
    "  compare('match', s, p, inits[init])\n"
    "  compare('gmatch', s, p, inits[init])\n"
    "  compare('gsub', s, p, replacements[replacement % #replacements + 1], inits[most])\n"
    "  return matched, raised\n"
    "end\n";

static inline int patterns_open_module(lua_State *L) {
  tide_lua_options options = {.size = sizeof options, .patterns = TIDE_LUA_BOUNDED_PATTERNS};
  luaL_openlibs(L);
  if (luaL_dostring(L, "lua = {}\n"
                       "for _, name in ipairs { 'find', 'match', 'gmatch', 'gsub' } do\n"
                       "  lua[name] = string[name]\n"
                       "end"))
    return lua_error(L);
  tide_lua_open(L, NULL, &options);
  lua_setglobal(L, "tide");
  if (luaL_dostring(L, patterns_prelude)) return lua_error(L);
  return 0;
}

static inline lua_State *patterns_open(void) {
  lua_State *L = luaL_newstate();
  CHECK(L != NULL);
  lua_pushcfunction(L, patterns_open_module);
  CHECK_EQ(lua_pcall(L, 0, 0, 0), LUA_OK);
  return L;
}

typedef struct asked {
  const char *subject, *pattern;
  size_t subject_length, pattern_length;
  unsigned replacement, init, plain, most; /* which of those above; past the end: nil */
} asked;

enum { PATTERNS_MATCHED = 1, PATTERNS_RAISED = 2 };

/* Asks both, and fails the check where they differ. */
static inline int patterns_compare(lua_State *L, const asked *it) {
  lua_getglobal(L, "compare_all");
  lua_pushlstring(L, it->subject, it->subject_length);
  lua_pushlstring(L, it->pattern, it->pattern_length);
  lua_pushinteger(L, it->replacement);
  lua_pushinteger(L, it->init);
  lua_pushboolean(L, it->plain == 0);
  lua_pushinteger(L, it->most);
  if (lua_pcall(L, 6, 2, 0) != LUA_OK)
    check_text(__FILE__, __LINE__, "what differs", lua_tostring(L, -1), "");
  int is =
      (lua_toboolean(L, -2) ? PATTERNS_MATCHED : 0) + (lua_toboolean(L, -1) ? PATTERNS_RAISED : 0);
  lua_settop(L, 0);
  return is;
}

#endif
