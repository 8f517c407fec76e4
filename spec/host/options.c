/* options.c: what a state is like, and what its host hears of it. */
#include "host.h"

/* All that is told, with commas between. */
typedef struct heard {
  char text[8192];
  int times;
} heard;

static void add(heard *self, const char *what, const char *text) {
  size_t length = strlen(self->text);
  snprintf(self->text + length, sizeof self->text - length, "%s%s %.*s", length > 0 ? ", " : "",
           what, (int)strcspn(text, "\n"), text);
  self->times++;
}

static void hear(void *context, tide_log_kind kind, const char *text) {
  static const char *const kinds[] = {"failure", "handled", "debug", "limit"};
  add(context, kinds[kind], text);
}

#define CHECK_HEARD(h, expected)                                  \
  do {                                                            \
    check_text(__FILE__, __LINE__, "heard", (h)->text, expected); \
    (h)->text[0] = '\0';                                          \
  } while (0)

static void open_heard(host *h, heard *log) {
  host_open_for_lua(h);
  *log = (heard){.times = 0};
  tide_loop_set_log(h->w.loop, hear, log);
}

/* The log. */

static void failures_that_nobody_awaits_go_to_the_log(void) {
  host h;
  heard log;
  open_heard(&h, &log);
  host_do(&h, "spawn(error, 'one', 0)\n"
              "spawn(function() sleep(1) error('two', 0) end):set_name('second')\n"
              "tide.call_soon(error, 'three', 0)");
  settle(&h.w);
  CHECK_HEARD(&log, "failure a callback failed: three, failure task 'task-1' failed: one, "
                    "failure task 'second' failed: two");
  host_close(&h);
}

static void what_a_script_was_told_the_host_hears_too(void) {
  host h;
  heard log;
  open_heard(&h, &log);
  host_do(&h, "tide.on_failure(function(what, err) say(what, err) end)\n"
              "spawn(error, 'one', 0)");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "task 'task-1' one");
  CHECK_HEARD(&log, "handled task 'task-1' failed: one");
  host_do(&h, "tide.on_failure(function() error('broken', 0) end) spawn(error, 'two', 0)");
  settle(&h.w);
  CHECK_HEARD(&log, "failure the failure report failed: broken, failure task 'task-2' failed: two");
  host_close(&h);
}

static void a_flood_of_them_is_counted(void) {
  host h;
  heard log;
  open_heard(&h, &log);
  host_do(&h, "for i = 1, 1000 do spawn(error, 'same', 0) end");
  settle(&h.w);
  CHECK_HEARD(&log, "failure task 'task-1' failed: same");
  host_close(&h);
  CHECK_HEARD(&log, "failure 999 more failures like that: same");
}

static void debug_output_goes_there_and_nowhere_else(void) {
  host h;
  heard log;
  open_heard(&h, &log);
  host_do(&h, "tide.debug { slow = 0.001 }\n"
              "spawn(function() local t = os.clock() while os.clock() - t < 0.02 do end end)\n"
              "spawn(function() for _ = 1, 3 do tide.raw.pcall(sleep, 9) end end):cancel()");
  settle(&h.w);
  CHECK(strstr(log.text, "debug task 'task-1' has run for ") != NULL);
  log.text[0] = '\0';
  host_do(&h, "tide.debug(false)");
  host_close(&h);
}

static void what_is_unseen_when_the_state_is_closed_is_heard_then(void) {
  host h;
  heard log;
  open_heard(&h, &log);
  host_do(&h, "kept = spawn(function() sleep(1) error('unseen', 0) end):set_name('kept')\n"
              "waits = spawn(function() tide.wait { kept } end)\n");
  settle(&h.w);
  CHECK_EQ(log.times, 0);
  host_close(&h);
  CHECK_HEARD(&log, "failure task 'kept' failed: unseen");
}

/* The failure hook. */

static void note_failure(lua_State *L, const char *what, const char *traceback, void *context) {
  char text[200];
  snprintf(text, sizeof text, "%s%s", what, traceback != NULL ? " with traceback" : "");
  lua_pushvalue(L, -1); /* what is left on the stack goes */
  add(context, text, luaL_tolstring(L, -1, NULL));
  if (lua_istable(L, -2)) {
    lua_getfield(L, -2, "kind");
    add(context, "kind", lua_tostring(L, -1));
  }
  if (strcmp(what, "task 'raises'") == 0) luaL_error(L, "the hook has raised");
}

static void open_hooked(host *h, heard *hook, heard *log) {
  tide_lua_options options = {.size = sizeof options, .on_failure = note_failure, .context = hook};
  host_open_with(h, &options);
  host_begin_lua(h);
  *hook = *log = (heard){.times = 0};
  tide_loop_set_log(h->w.loop, hear, log);
}

static void the_hosts_hook_is_told_instead_of_the_log(void) {
  host h;
  heard hook, log;
  open_hooked(&h, &hook, &log);
  host_do(&h, "spawn(error, 'one', 0)\n"
              "spawn(error, tide.error('limit', 'much')):set_name('second')");
  settle(&h.w);
  CHECK_HEARD(&hook, "task 'task-1' with traceback one, task 'second' with traceback limit: much, "
                     "kind limit");
  host_do(&h, "tide.on_failure(function(what) say(what) end) spawn(error, 'two', 0)");
  settle(&h.w);
  CHECK_HEARD(&hook, "task 'task-3' with traceback two");
  CHECK_LUA_LOG(&h, "task 'task-3'");
  CHECK_EQ(log.times, 0);
  host_close(&h);
}

static void a_hook_that_fails_loses_nothing(void) {
  host h;
  heard hook, log;
  open_hooked(&h, &hook, &log);
  host_do(&h, "spawn(error, 'one', 0):set_name('raises')");
  settle(&h.w);
  CHECK_HEARD(&log, "failure the failure report failed: the hook has raised, "
                    "failure task 'raises' failed: one");
  host_close(&h);
}

/* Names. */

static void names_that_the_host_keeps_stay_luas_own(void) {
  host h;
  tide_lua_options options = {.size = sizeof options, .keep = TIDE_LUA_KEEP_ALL};
  host_open_with(&h, &options);
  host_begin_lua(&h);
  host_do(&h, "assert(pcall == tide.raw.pcall and xpcall == tide.raw.xpcall)\n"
              "for k, v in pairs(tide.raw.coroutine) do assert(coroutine[k] == v, k) end\n"
              "assert(tide.pcall ~= pcall and tide.xpcall ~= xpcall)\n"
              "spawn(function()\n"
              "  for i in tide.coroutine.wrap(function()\n"
              "    for i = 1, 2 do sleep(1) tide.coroutine.yield(i) end\n"
              "  end) do say(i) end\n"
              "  pcall(function() sleep(1) error('caught', 0) end) say('caught')\n"
              "end)\n"
              "local task = spawn(function() tide.pcall(sleep, 9) say('went on') end)\n"
              "spawn(function() task:cancel() end)");
  settle(&h.w);
  CHECK_LUA_LOG(&h, "1, 2, caught");
  host_close(&h);
}

static void each_by_itself(void) {
  static const char *const code[] = {
      "assert(pcall == tide.raw.pcall) assert(xpcall == tide.xpcall)",
      "assert(pcall == tide.pcall) assert(xpcall == tide.raw.xpcall)",
      "assert(pcall == tide.pcall) assert(coroutine.wrap == tide.raw.coroutine.wrap)"};
  for (int i = 0; i < 3; i++) {
    host h;
    tide_lua_options options = {.size = sizeof options, .keep = 1u << i};
    host_open_with(&h, &options);
    host_do(&h, code[i]);
    host_close(&h);
  }
  host h;
  host_open(&h);
  host_do(&h, "assert(pcall == tide.pcall and xpcall == tide.xpcall)\n"
              "for k, v in pairs(tide.coroutine) do assert(coroutine[k] == v, k) end");
  host_close(&h);
}

/* Modules. */

static const char *const modules[] = {"one", "many.*", "tide.fd", NULL};

static void open_listed(host *h, const char *const *list) {
  tide_lua_options options = {.size = sizeof options, .modules = list};
  host_open_with(h, &options);
  host_begin_lua(h);
}

static const char preload[] =
    "for _, name in ipairs { 'one', 'ones', 'many', 'many.a', 'many.b.c', 'manya', 'two' } do\n"
    "  package.preload[name] = function() return name end\n"
    "end\n";

static void require_loads_what_is_in_the_list_and_nothing_else(void) {
  host h;
  open_listed(&h, modules);
  host_do(&h, preload);
  host_do(&h,
          "assert(require 'one' == 'one' and require 'many.a' == 'many.a')\n"
          "assert(require 'many.b.c' == 'many.b.c')\n"
          "for _, name in ipairs { 'ones', 'many', 'manya', 'two', 'socket', 'many.' } do\n"
          "  local ok, err = pcall(require, name)\n"
          "  assert(not ok and (err:find('none of the modules that this state may load', 1, "
          "true) or name == 'many.'), name)\n"
          "end\n"
          "local _, err = pcall(require, 'two')\n"
          "assert(err == \"module 'two' not found:\\n\\tit is none of the modules that this state "
          "may load\", err)\n"
          "assert(require 'string' == string and require 'tide' == tide)");
  host_close(&h);
}

static void of_tides_parts_those_in_the_list_are_there(void) {
  host h;
  open_listed(&h, modules);
  host_do(&h, "assert(require 'tide.fd' == tide.fd and tide.fd)\n"
              "assert(tide.net == nil and tide.testing == nil)\n"
              "assert(not pcall(require, 'tide.net') and not package.loaded['tide.net'])\n"
              "assert(tide.race and tide.Queue)");
  host_close(&h);
  static const char *const all[] = {"tide.*", NULL};
  open_listed(&h, all);
  host_do(&h, "assert(tide.net and tide.fd and tide.testing and require 'tide.net' == tide.net)");
  host_close(&h);
  static const char *const nothing[] = {NULL};
  open_listed(&h, nothing);
  host_do(&h, "assert(not (tide.net or tide.fd or tide.testing)) assert(tide.sleep)\n"
              "for name in pairs(tide) do assert(name ~= 'net' and name ~= 'fd', name) end");
  host_close(&h);
}

static void there_is_no_way_around_the_list(void) {
  host h;
  open_listed(&h, modules);
  host_do(&h, "assert(package.searchers == nil and package.loadlib == nil)\n"
              "assert(package == require 'package' and package.loaded.package == package)\n"
              "package.path, package.cpath = '/tmp/?.lua', '/tmp/?.so'\n"
              "local ok, err = pcall(require, 'one')\n"
              "assert(not ok and not err:find('/tmp/one', 1, true), err)\n"
              "package.searchers = { function() return function() return 'mine' end end }\n"
              "assert(not pcall(require, 'two') and not pcall(require, 'one'))");
  host_close(&h);
}

static void a_list_may_go_when_the_state_is_open(void) {
  host h;
  char name[] = "one";
  const char *list[] = {name, NULL};
  open_listed(&h, list);
  name[0] = 'x';
  list[0] = NULL;
  host_do(&h, preload);
  host_do(&h, "assert(require 'one' == 'one' and not pcall(require, 'xne'))");
  host_close(&h);
}

/* The struct. */

static int open_as(lua_State *L) {
  luaL_openlibs(L);
  tide_lua_open(L, NULL, lua_touserdata(L, 1));
  return 0;
}

static void check_refused(tide_lua_options *options, const char *why) {
  lua_State *L = luaL_newstate();
  lua_pushcfunction(L, open_as);
  lua_pushlightuserdata(L, options);
  CHECK_EQ(lua_pcall(L, 1, 0, 0), LUA_ERRRUN);
  CHECK(strstr(lua_tostring(L, -1), why) != NULL);
  CHECK(tide_lua_loop(L) == NULL);
  lua_settop(L, 0);
  lua_pushcfunction(L, open_as);
  lua_pushlightuserdata(L, NULL);
  CHECK_EQ(lua_pcall(L, 1, 0, 0), LUA_OK);
  lua_close(L);
}

static void a_host_of_another_version_is_understood_or_told(void) {
  struct {
    tide_lua_options known;
    size_t more;
  } newer = {.known = {.size = sizeof newer}, .more = 1};
  check_refused(&(tide_lua_options){.size = 0}, "'size' is not set");
  check_refused(&(tide_lua_options){.size = sizeof(tide_lua_options), .keep = 8}, "not known");
  check_refused(&(tide_lua_options){.size = sizeof(tide_lua_options), .patterns = 2}, "'patterns'");
  check_refused(&(tide_lua_options){.size = sizeof(tide_lua_options), .pattern_steps = 1},
                "'pattern_steps'");
  check_refused(&newer.known, "made for a newer tide");
  newer.more = 0;
  host h;
  host_open_with(&h, &newer.known);
  host_close(&h);
  host_open_with(&h, &(tide_lua_options){.size = sizeof(size_t), .keep = TIDE_LUA_KEEP_ALL});
  host_do(&h, "assert(pcall == tide.pcall)"); /* an older one, which has no `keep` */
  host_close(&h);
}

/* Memory. */

/* The allocation of that number fails. False: there are not so many. */
static bool open_short_of(unsigned number) {
  host h;
  memset(&h, 0, sizeof h);
  const tide_allocator allocator = {.resize = memory_resize, .context = &h.w.memory};
  tide_lua_options options = {
      .size = sizeof options, .modules = modules, .patterns = TIDE_LUA_BOUNDED_PATTERNS};
  lua_State *L = h.L = lua_newstate(host_alloc, &h);
  luaL_openlibs(L);
  host_do(&h, "find = string.find");
  tide_lua_set_allocator(L, &allocator);
  unsigned fails = h.luas.allocations + number;
  h.luas.fail_at = fails;
  lua_pushcfunction(L, open_as);
  lua_pushlightuserdata(L, &options);
  bool opened = lua_pcall(L, 1, 0, 0) == LUA_OK;
  h.luas.fail_at = 0;
  lua_settop(L, 0);
  host_do(&h, opened ? "assert(package.searchers == nil and require 'tide'.net == nil)"
                       "assert(string.find ~= find)"
                     : "assert(package.searchers and package.loadlib and not package.loaded.tide)"
                       "assert(string.find == find)");
  if (!opened) {
    lua_pushcfunction(L, open_as);
    lua_pushlightuserdata(L, &options);
    CHECK_EQ(lua_pcall(L, 1, 0, 0), LUA_OK);
    host_do(&h, "assert(package.searchers == nil)");
  }
  bool reached = h.luas.allocations >= fails;
  lua_close(L);
  CHECK_EQ(h.luas.in_use, 0);
  CHECK_EQ(h.w.memory.in_use, 0);
  return reached;
}

static void after_a_shortage_of_memory_all_is_as_before(void) {
  unsigned number = 1, step = 37;
  while (open_short_of(number)) number += step;
  for (unsigned last = number, at = number > 300 ? number - 300 : 1; at < last; at++)
    open_short_of(at);
}

int main(void) {
  RUN(failures_that_nobody_awaits_go_to_the_log);
  RUN(what_a_script_was_told_the_host_hears_too);
  RUN(a_flood_of_them_is_counted);
  RUN(debug_output_goes_there_and_nowhere_else);
  RUN(what_is_unseen_when_the_state_is_closed_is_heard_then);
  RUN(the_hosts_hook_is_told_instead_of_the_log);
  RUN(a_hook_that_fails_loses_nothing);
  RUN(names_that_the_host_keeps_stay_luas_own);
  RUN(each_by_itself);
  RUN(require_loads_what_is_in_the_list_and_nothing_else);
  RUN(of_tides_parts_those_in_the_list_are_there);
  RUN(there_is_no_way_around_the_list);
  RUN(a_list_may_go_when_the_state_is_open);
  RUN(a_host_of_another_version_is_understood_or_told);
  RUN(after_a_shortage_of_memory_all_is_as_before);
  return check_summary();
}
