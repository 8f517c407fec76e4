/* limits.c: what a state may use: memory, time in one go, time in all. */
#include <signal.h>

#include "states.h"

static const tide_time MILLISECOND = 1000000;

/* What the loop's log was told, by kind. */
typedef struct heard {
  int times[4];
  char text[4][2000];
} heard;

static void hear(void *context, tide_log_kind kind, const char *text) {
  heard *self = context;
  self->times[kind]++;
  size_t length = strlen(self->text[kind]);
  snprintf(self->text[kind] + length, sizeof self->text[kind] - length, "%s\n", text);
}

/* Where nothing is as fast as it is. */
static tide_time at_most(tide_time span) { return check_quick() ? span * 50 : span; }

/* There a slice is longer too: what behaves is to fit into one. */
static int set_limits(lua_State *L, size_t bytes, tide_time slice, tide_time budget) {
  const tide_lua_limits limits = {.size = sizeof limits,
                                  .memory = bytes,
                                  .slice = check_quick() ? slice * 25 : slice,
                                  .budget = budget};
  return tide_lua_set_limits(L, &limits);
}

/* Slices. */

static const struct misbehaviour {
  const char *name, *code; /* the body of a task's function */
} misbehaviours[] = {
    {"loops", "while true do end"},
    {"goes round by goto", "::again:: goto again"},
    {"repeats", "repeat until false"},
    {"counts", "for i = 1, math.huge do end"},
    {"calls", "local function f() end while true do f() end"},
    {"calls C", "while true do math.floor(1) end"},
    {"recurses by tail calls", "local function f() return f() end f()"},
    {"recurses, and catches", "local function f() return 1 + select('#', pcall(f)) end "
                              "while true do pcall(f) end"},
    {"catches", "while true do pcall(busy) end"},
    {"catches the catching", "local function f() while true do pcall(pcall, busy) end end "
                             "while true do pcall(f) end"},
    {"catches by Lua's own pcall", "while true do tide.raw.pcall(busy) end"},
    {"nests Lua's own pcall", "local p = tide.raw.pcall\n"
                              "local function f() while true do p(p, p, busy) end end f()"},
    {"has a message handler that loops", "xpcall(error, busy)"},
    {"has a message handler, and loops", "xpcall(busy, busy)"},
    {"has handlers in handlers", "local function h() xpcall(error, h) busy() end xpcall(error, h)"},
    {"loops in __close", "local _ <close> = closer(busy)"},
    {"loops in __close behind an error", "local _ <close> = closer(busy) error('x')"},
    {"has a __close that catches", "local _ <close> = closer(function() pcall(busy) busy() end)\n"
                                   "busy()"},
    {"opens ever new to-be-closed values", "local function f() local _ <close> = closer(f) busy() "
                                           "end while true do pcall(f) end"},
    {"loops in a comparator", "table.sort({ 3, 1, 2 }, busy)"},
    {"loops in gsub's function", "('x'):gsub('x', busy)"},
    {"loops in __index", "return setmetatable({}, { __index = busy }).x"},
    {"loops in __newindex", "setmetatable({}, { __newindex = busy }).x = 1"},
    {"loops in __eq",
     "local m = { __eq = busy } return setmetatable({}, m) == setmetatable({}, m)"},
    {"loops in __lt", "local m = { __lt = busy } return setmetatable({}, m) < setmetatable({}, m)"},
    {"loops in __concat", "return setmetatable({}, { __concat = busy }) .. 'x'"},
    {"loops in __call", "setmetatable({}, { __call = busy })()"},
    {"loops in __len", "return #setmetatable({}, { __len = busy })"},
    {"loops in __tostring", "tostring(setmetatable({}, { __tostring = busy }))"},
    {"loops in __pairs", "for _ in pairs(setmetatable({}, { __pairs = busy })) do end"},
    {"loops in an iterator", "for _ in busy do end"},
    {"loops in load's reader", "load(busy)"},
    {"loops in require", "package.preload.endless = busy require 'endless'"},
    {"loops in a coroutine", "coroutine.wrap(busy)()"},
    {"catches in a coroutine", "while true do coroutine.resume(coroutine.create(busy)) end"},
    {"loops in coroutines inside each other",
     "local function f(n) if n == 0 then busy() end coroutine.wrap(f)(n - 1) end f(20)"},
    {"catches in coroutines inside each other",
     "local function f(n) while true do coroutine.resume(coroutine.create(n > 0 and f or busy), n "
     "- "
     "1) end end f(10)"},
    {"loops in a coroutine that was there before", "before()"},
    {"closes a coroutine whose cleanup loops",
     "local co = coroutine.create(function() local _ <close> = closer(busy) coroutine.yield() end) "
     "coroutine.resume(co) coroutine.close(co)"},
    {"makes coroutines for ever", "while true do coroutine.wrap(function() end)() end"},
    {"loops in a generator", "for _ in tide.generator(busy):each() do end"},
    {"loops in a greenlet", "tide.greenlet(busy):switch()"},
    {"loops in a scope", "tide.shield(function() tide.timeout(100, busy) end)"},
    {"loops in a group", "tide.TaskGroup(function(g) g:spawn(sleep, 100) busy() end)"},
    {"holds a lock", "local l = tide.Lock() local _ <close> = l:acquire() busy()"},
    {"catches what it can by tide", "while true do tide.try(busy) end"},
    {"retries", "tide.retry({ attempts = math.huge, delay = 0 }, busy)"},
    {"waits in its cleanup",
     "local _ <close> = closer(function() while true do pcall(sleep, 0) end "
     "end) busy()"},
    {"catches, and waits", "while true do tide.raw.pcall(busy) tide.raw.pcall(sleep, 0) end"},
    {"formats", "while true do string.format('%99d', 1) end"},
    {"makes strings", "local s = '' while true do s = (s .. 'x'):sub(-1000) end"},
    {"makes closures", "while true do local x = function() return x end end"},
    {"collects", "while true do collectgarbage('step') end"},
    {"raises objects that loop", "error(setmetatable({}, { __index = busy, __tostring = busy }))"},
    {"compiles", "while true do load('return 1')() end"},
    {"loops through varargs", "local function f(...) return f(...) end f(1, 2, 3)"},
    {"kills one whose cleanup loops",
     "local t = spawn(function() local _ <close> = closer(busy) sleep(9) end) sleep(0) t:kill()"},
};

enum { MISBEHAVIOURS = sizeof misbehaviours / sizeof misbehaviours[0] };

static const char prelude[] =
    "function closer(f) return setmetatable({}, { __close = f }) end\n"
    "function busy() while true do end end\n"
    "spawn, sleep = tide.spawn, tide.sleep\n"
    "before = coroutine.wrap(function() coroutine.yield() while true do pcall(busy) end end)\n"
    "before()\n";

typedef struct pair {
  tide_loop *loop;
  lua_State *bad, *good; /* a state that is limited, and its neighbour */
  heard log;
} pair;

static void open_pair(pair *p, int signo, size_t bytes, tide_time slice) {
  memset(p, 0, sizeof *p);
  p->loop = tide_loop_new(NULL);
  CHECK(p->loop != NULL);
  tide_loop_set_log(p->loop, hear, &p->log);
  if (signo != 0) CHECK_EQ(tide_loop_set_watchdog(p->loop, signo), TIDE_OK);
  p->bad = state_new(p->loop);
  p->good = state_new(p->loop);
  run_code(p->bad, prelude);
  CHECK_EQ(set_limits(p->bad, bytes, slice, 0), TIDE_OK);
  run_code(p->good, "count = 0 tide.spawn(function() while true do tide.sleep(0.001) count = count "
                    "+ 1 end end)");
}

static void close_pair(pair *p) {
  lua_close(p->bad);
  lua_close(p->good);
  tide_loop_send_all(p->loop);
  check_loop_is_empty(p->loop);
  tide_loop_free(p->loop);
}

enum { TURNS_MAX = 20000 }; /* of about a millisecond */

/* Turns until the bad state's global `done` is there. The CPU time that it took, at most. */
static tide_time run_until_done(pair *p) {
  tide_time began = tide_clock_thread();
  for (int turns = 0; number(p->bad, "done") == 0 && turns < TURNS_MAX; turns++) {
    if (tide_clock_thread() - began > at_most(3000 * MILLISECOND)) break;
    CHECK_EQ(tide_loop_turn(p->loop, true), TIDE_OK);
  }
  return tide_clock_thread() - began;
}

static bool misbehave(pair *p, const struct misbehaviour *m) {
  char code[1000];
  snprintf(code, sizeof code,
           "done = nil task = spawn(function() %s end):set_name('bad')\n"
           "spawn(function() ok, err = tide.raw.pcall(task.await, task) done = 1 end)",
           m->code);
  run_code(p->bad, code);
  tide_time took = run_until_done(p);
  bool ended = number(p->bad, "done") == 1;
  if (!ended || took > at_most(130 * MILLISECOND))
    fprintf(stderr, "# %s: %d, %d ms\n", m->name, ended, (int)(took / MILLISECOND));
  CHECK(ended);
  CHECK(took < at_most(130 * MILLISECOND));
  return ended;
}

static const char whole[] =
    "local got, q = 0, tide.Queue(1)\n"
    "done = nil\n"
    "spawn(function() for i = 1, 3 do q:put(i) end q:close() end)\n"
    "spawn(function()\n"
    "  for i in tide.iter(q):map(function(x) return x * 2 end):each() do got = got + i end\n"
    "  assert(tide.timeout(1, coroutine.wrap(function() tide.sleep(0) return true end)))\n"
    "  local _ <close> = closer(function() if got == 12 then done = 1 end end)\n"
    "  assert(pcall(sleep, 0) and not pcall(error))\n"
    "end)\n";

static void misbehave_all(int signo) {
  pair p;
  open_pair(&p, signo, 0, 20 * MILLISECOND);
  for (int i = 0; i < MISBEHAVIOURS; i += check_quick() ? 19 : 1) {
    lua_Integer count = number(p.good, "count");
    if (!misbehave(&p, &misbehaviours[i])) break;
    run_code(p.bad, whole); /* the runtime is whole */
    run_until_done(&p);
    CHECK_EQ(number(p.bad, "done"), 1);
    CHECK(number(p.good, "count") > count);
  }
  close_pair(&p);
}

static void what_runs_for_too_long_is_stopped(void) { misbehave_all(SIGURG); }

static void so_it_is_without_a_signal(void) { misbehave_all(0); }

/* Outside of tasks. */

static void check_outside(int signo, const char *code) {
  pair p;
  open_pair(&p, signo, 0, 20 * MILLISECOND);
  run_code(p.bad, code);
  tide_time began = tide_clock_thread();
  while (p.log.times[TIDE_LOG_FAILURE] == 0 &&
         tide_clock_thread() - began < at_most(3000 * MILLISECOND))
    CHECK_EQ(tide_loop_turn(p.loop, true), TIDE_OK);
  CHECK(tide_clock_thread() - began < at_most(130 * MILLISECOND));
  CHECK(strstr(p.log.text[TIDE_LOG_FAILURE], "it ran for more than ") != NULL ||
        strstr(p.log.text[TIDE_LOG_FAILURE], "__tostring failed") != NULL);
  run_code(p.bad, "local x = 0 for i = 1, 1e5 do x = x + i end"); /* no hook is left in the way */
  run_code(p.bad, "tide.on_failure(nil)");
  run_code(p.bad, whole);
  run_until_done(&p);
  CHECK_EQ(number(p.bad, "done"), 1);
  close_pair(&p);
}

static void callbacks_and_handlers_have_a_slice_too(void) {
  static const char *const code[] = {
      "tide.call_soon(busy)",
      "tide.call_soon(function() while true do tide.raw.pcall(busy) end end)",
      "tide.call_soon(coroutine.wrap(function() while true do pcall(busy) end end))",
      "tide.call_soon(before)",
      "tide.Future():add_done_callback(busy) local f = tide.Future() f:add_done_callback(busy) "
      "f:set_result(1)",
      "tide.on_failure(busy) spawn(error, 'x')",
      "tide.on_failure(function() while true do pcall(busy) end end) spawn(error, 'x')",
      "spawn(error, setmetatable({}, { __tostring = busy }))",
      "spawn(function() local _ <close> = closer(busy) sleep(9) end)\n"
      "local t = spawn(busy)",
  };
  for (size_t i = 0; i < sizeof code / sizeof code[0]; i += check_quick() ? 5 : 1) {
    check_outside(SIGURG, code[i]);
    check_outside(0, code[i]);
  }
}

static void a_callback_that_was_ended_is_reported_in_a_slice_of_its_own(void) {
  for (int signo = 0; signo <= SIGURG; signo += SIGURG) {
    pair p;
    open_pair(&p, signo, 0, 20 * MILLISECOND);
    run_code(p.bad,
             "told = 0\n"
             "tide.on_failure(function(_, e) if e.kind == 'limit' then told = told + 1 end end)\n"
             "tide.call_soon(busy)");
    for (int i = 0; i < 100 && p.log.times[TIDE_LOG_FAILURE] == 0; i++)
      CHECK_EQ(tide_loop_turn(p.loop, true), TIDE_OK);
    CHECK_EQ(number(p.bad, "told"), 1);
    close_pair(&p);
  }
}

static void cleanup_that_loops_does_not_hold_up_a_stop(void) {
  pair p;
  open_pair(&p, SIGURG, 0, 20 * MILLISECOND);
  run_code(p.bad, "for i = 1, 3 do spawn(function() local _ <close> = closer(busy) "
                  "tide.shield(sleep, 9) end) end");
  for (int i = 0; i < 3; i++) CHECK_EQ(tide_loop_turn(p.loop, false), TIDE_OK);
  tide_time began = tide_clock_thread();
  CHECK_EQ(tide_lua_close(p.bad, 0), TIDE_OK);
  CHECK(tide_clock_thread() - began < at_most(300 * MILLISECOND));
  lua_close(p.good);
  check_loop_is_empty(p.loop);
  tide_loop_free(p.loop);
}

/* What no hook stops. */

static void what_stays_in_c_is_told_with_its_task(void) {
  static const char *const code[] = {
      "local s = ('a'):rep(200) task = spawn(function() s:find('a*a*a*b') end):set_name('slow')",
      "task = spawn(string.find, ('a'):rep(200), 'a*a*a*b'):set_name('slow')"};
  for (size_t i = 0; i < 2; i++) {
    pair p;
    open_pair(&p, SIGURG, 0, 5 * MILLISECOND);
    run_code(p.bad, code[i]);
    for (int n = 0; n < 5; n++) CHECK_EQ(tide_loop_turn(p.loop, true), TIDE_OK);
    CHECK_EQ(p.log.times[TIDE_LOG_LIMIT], 1);
    CHECK(strncmp(p.log.text[TIDE_LOG_LIMIT], "task 'slow' was not to be stopped for ", 38) == 0);
    run_code(p.bad, whole);
    run_until_done(&p);
    CHECK_EQ(number(p.bad, "done"), 1);
    close_pair(&p);
  }
}

/* What scripts are kept from. */

static void scripts_have_no_finalizers_hooks_or_coroutines_of_luas_own(void) {
  pair p;
  open_pair(&p, SIGURG, 0, 20 * MILLISECOND);
  run_code(p.bad, "for _, set in ipairs { setmetatable, debug.setmetatable } do\n"
                  "  local ok, err = pcall(set, {}, { __gc = busy })\n"
                  "  assert(not ok and tide.is(err, 'limit'), err)\n"
                  "  assert(not pcall(set, {}, { __gc = true }))\n"
                  "  assert(getmetatable(set({}, { __len = busy })).__len == busy)\n"
                  "end\n"
                  "assert(not pcall(setmetatable, 1, {}) and not pcall(setmetatable, {}))\n"
                  "assert(setmetatable({}, nil) and not debug.sethook)\n"
                  "assert(not tide.raw.coroutine and not tide.raw.xpcall and tide.raw.pcall)");
  run_code(p.good, "setmetatable({}, { __gc = function() end }) assert(debug.sethook)");
  CHECK_EQ(set_limits(p.bad, 0, 10 * MILLISECOND, 0), TIDE_OK); /* again */
  run_code(p.bad, "setmetatable({}, { __index = {} })");
  close_pair(&p);
}

static void so_it_is_where_debug_can_only_be_required(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  tide_lua_open(L, NULL, NULL);
  run_code(L, "debug = nil");
  CHECK_EQ(set_limits(L, 0, MILLISECOND, 0), TIDE_OK);
  run_code(L, "local debug = require 'debug'\n"
              "assert(debug.traceback and not debug.sethook)\n"
              "assert(not pcall(debug.setmetatable, {}, { __gc = print }))");
  lua_close(L);
}

static void it_is_refused_where_the_host_has_kept_what_it_cannot_hold(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  CHECK_EQ(set_limits(L, 0, MILLISECOND, 0), TIDE_ECLOSED);
  tide_lua_open(
      L, NULL,
      &(tide_lua_options){.size = sizeof(tide_lua_options), .keep = TIDE_LUA_KEEP_COROUTINE});
  CHECK_EQ(set_limits(L, 0, MILLISECOND, 0), TIDE_EINVALID_STATE);
  CHECK_EQ(set_limits(L, 1000000, 0, 0), TIDE_OK);
  CHECK_EQ(tide_lua_set_limits(L, &(tide_lua_limits){.size = 0}), TIDE_EMISUSE);
  lua_close(L);
}

/* Lifting it, and other users of hooks. */

static void a_limit_can_be_lifted_and_set_again(void) {
  static const char spin[] = "done = nil spawn(function() local t = os.clock() while os.clock() - "
                             "t < 0.05 do end done = 1 "
                             "end)";
  for (int with = 0; with <= 1; with++) {
    pair p;
    open_pair(&p, with ? SIGURG : 0, 0, 10 * MILLISECOND);
    CHECK(misbehave(&p, &misbehaviours[0]));
    CHECK_EQ(set_limits(p.bad, 0, 0, 0), TIDE_OK);
    run_code(p.bad, spin);
    run_until_done(&p);
    CHECK_EQ(number(p.bad, "done"), 1);
    CHECK(lua_gethook(p.bad) == NULL || !with);
    CHECK_EQ(set_limits(p.bad, 0, 10 * MILLISECOND, 0), TIDE_OK);
    CHECK(misbehave(&p, &misbehaviours[0]));
    CHECK_EQ(tide_loop_set_watchdog(p.loop, 0), TIDE_OK);
    CHECK_EQ(tide_loop_watchdog(p.loop), 0);
    CHECK_EQ(set_limits(p.bad, 0, 10 * MILLISECOND, 0), TIDE_OK);
    CHECK(misbehave(&p, &misbehaviours[0]));
    close_pair(&p);
  }
}

static void who_waits_often_enough_is_left_alone(void) {
  for (int with = 0; with <= 1; with++) {
    pair p;
    open_pair(&p, with ? SIGURG : 0, 0, 20 * MILLISECOND);
    run_code(p.bad, "done = nil spawn(function()\n"
                    "  local began = os.clock()\n"
                    "  while os.clock() - began < 0.2 do\n"
                    "    local t = os.clock() while os.clock() - t < 0.005 do end\n"
                    "    coroutine.wrap(function() sleep(0) end)()\n"
                    "  end\n"
                    "  done = 1\n"
                    "end)");
    run_until_done(&p);
    CHECK_EQ(number(p.bad, "done"), 1);
    close_pair(&p);
  }
}

static int hooks;

static void hosts_hook(lua_State *L, lua_Debug *ar) {
  (void)L, (void)ar;
  hooks++;
}

static void a_hook_of_the_hosts_comes_back(void) {
  pair p;
  open_pair(&p, SIGURG, 0, 10 * MILLISECOND);
  lua_sethook(p.bad, hosts_hook, LUA_MASKCOUNT, 1000);
  run_code(p.bad, "tide.call_soon(coroutine.wrap(busy)) tide.call_soon(busy)");
  for (int i = 0; i < 5; i++) CHECK_EQ(tide_loop_turn(p.loop, false), TIDE_OK);
  CHECK(misbehave(&p, &misbehaviours[0]));
  run_code(p.bad, "for i = 1, 10 do end");
  CHECK(lua_gethook(p.bad) == hosts_hook);
  hooks = 0;
  run_code(p.bad, "spawn(function() for i = 1, 1e5 do end end)");
  for (int i = 0; i < 5; i++) CHECK_EQ(tide_loop_turn(p.loop, false), TIDE_OK);
  CHECK(hooks > 10);
  close_pair(&p);
}

/* Two loops in a thread, and a loop without limits, have nothing to do with each other. */
static void each_loop_has_a_watchdog_of_its_own(void) {
  pair one, two;
  open_pair(&one, SIGURG, 0, 10 * MILLISECOND);
  open_pair(&two, SIGURG, 0, 10 * MILLISECOND);
  CHECK(misbehave(&one, &misbehaviours[0]));
  CHECK(misbehave(&two, &misbehaviours[0]));
  close_pair(&one);
  CHECK(misbehave(&two, &misbehaviours[0]));
  close_pair(&two);
}

static void a_state_may_be_closed_and_opened_under_a_watchdog(void) {
  tide_loop *loop = tide_loop_new(NULL);
  CHECK_EQ(tide_loop_set_watchdog(loop, SIGURG), TIDE_OK);
  for (int i = 0; i < 20; i++) {
    lua_State *L = state_new(loop);
    run_code(L, prelude);
    CHECK_EQ(set_limits(L, 0, 2 * MILLISECOND, 0), TIDE_OK);
    run_code(L, "for i = 1, 3 do spawn(busy) end tide.on_failure(function() end)");
    CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
    lua_close(L);
  }
  check_loop_is_empty(loop);
  tide_loop_free(loop);
}

/* Without a signal, and no time at all: what makes a thousand instructions in one go is ended,
 * wherever that is. What is counted is the ends. */
static void at_any_moment(void) {
  tide_loop *loop = virtual_loop();
  for (int round = 0; round < 30; round++) {
    lua_State *L = state_new(loop);
    heard log = {.times = {0}};
    tide_loop_set_log(loop, hear, &log);
    run_code(L, prelude);
    run_code(L, "function work(n)\n"
                "  local q, l = tide.Queue(2), tide.Lock()\n"
                "  tide.TaskGroup(function(g)\n"
                "    g:spawn(function() for i = 1, n do q:put(i) end q:close() end)\n"
                "    for i in q:iter() do\n"
                "      local step = coroutine.wrap(function(...)\n"
                "        local _ <close> = closer(function() for j = 1, i * 77 % 500 do "
                "tostring(j) end end)\n"
                "        local _ <close> = l:acquire()\n"
                "        coroutine.yield(pcall(string.rep, 'x', i), ...)\n"
                "        for _ in tide.generator(function(yield) for j = 1, i * 53 % 600 do "
                "type(j) end yield(i) sleep(0) end):each() do end\n"
                "      end)\n"
                "      step() pcall(step)\n"
                "      for j = 1, i * 997 % 700 do pcall(tostring, j) end\n"
                "      tide.timeout(9, function() for j = 1, i % 40 do sleep(0) end end)\n"
                "      xpcall(function() for j = 1, i * 31 % 800 do pcall(error, j) end error(i) "
                "end, function(e) return e end)\n"
                "    end\n"
                "  end)\n"
                "end\n"
                "tasks = {}");
    run_code(L, states_busy);
    run_code(L, "tide.on_failure(function() failures = (failures or 0) + 1 end)");
    CHECK_EQ(set_limits(L, 0, 1, 0), TIDE_OK);
    lua_pushinteger(L, round);
    lua_setglobal(L, "round");
    run_code(L, "for i = 1, 40 do tasks[i] = spawn(work, i * 3 + round) end");
    for (int i = 0; i < 400; i++) CHECK_EQ(tide_loop_turn(loop, true), TIDE_OK);
    if (round % 2 == 0) {
      CHECK_EQ(set_limits(L, 0, 0, 0), TIDE_OK);
      CHECK_EQ(tide_lua_close(L, 0), TIDE_OK);
    } else {
      run_code(L,
               "ended = 0 for _, t in ipairs(tasks) do ended = ended + (t:done() and 1 or 0) end");
      CHECK(number(L, "ended") > 20);
      CHECK(number(L, "failures") > 10);
      lua_close(L);
    }
    tide_loop_set_log(loop, NULL, NULL);
    tide_loop_send_all(loop);
    tide_loop_rest(loop);
    check_loop_is_empty(loop);
  }
  tide_loop_free(loop);
}

int main(void) {
  RUN(what_runs_for_too_long_is_stopped);
  RUN(so_it_is_without_a_signal);
  RUN(callbacks_and_handlers_have_a_slice_too);
  RUN(a_callback_that_was_ended_is_reported_in_a_slice_of_its_own);
  RUN(cleanup_that_loops_does_not_hold_up_a_stop);
  if (!check_quick()) RUN(what_stays_in_c_is_told_with_its_task);
  RUN(scripts_have_no_finalizers_hooks_or_coroutines_of_luas_own);
  RUN(so_it_is_where_debug_can_only_be_required);
  RUN(it_is_refused_where_the_host_has_kept_what_it_cannot_hold);
  RUN(a_limit_can_be_lifted_and_set_again);
  if (!check_quick()) RUN(who_waits_often_enough_is_left_alone);
  RUN(a_hook_of_the_hosts_comes_back);
  RUN(each_loop_has_a_watchdog_of_its_own);
  RUN(a_state_may_be_closed_and_opened_under_a_watchdog);
  if (!check_quick()) RUN(at_any_moment);
  return check_summary();
}
