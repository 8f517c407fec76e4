/* bounded.c: matches that take too long are stopped, where patterns are bounded. */
#include <signal.h>
#include <sys/time.h>

#include "states.h"

static const tide_time MILLISECOND = 1000000;

/* Where nothing is as fast as it is. */
static tide_time at_most(tide_time span) { return check_quick() ? span * 50 : span; }

typedef struct slow {
  tide_loop *loop;
  lua_State *L;
  int told;   /* that something was not to be stopped */
  int failed; /* that something ran for too long, and nobody awaits it */
} slow;

static void hear(void *context, tide_log_kind kind, const char *text) {
  slow *self = context;
  self->told += kind == TIDE_LOG_LIMIT;
  self->failed += kind == TIDE_LOG_FAILURE && strstr(text, "it ran for more than ") != NULL;
}

static const char prelude[] = "spawn, sleep, a = tide.spawn, tide.sleep, ('a'):rep(3000)\n"
                              "function endless() return a:find('a*a*a*a*b') end\n"
                              "function closer(f) return setmetatable({}, { __close = f }) end\n"
                              "function limit(f, ...)\n"
                              "  local ok, err = pcall(f, ...)\n"
                              "  return not ok and tide.is(err, 'limit') and tostring(err)\n"
                              "end\n";

static void open_slow(slow *s, int signo, tide_time slice, uint64_t steps) {
  tide_lua_options options = {
      .size = sizeof options, .patterns = TIDE_LUA_BOUNDED_PATTERNS, .pattern_steps = steps};
  memset(s, 0, sizeof *s);
  s->loop = tide_loop_new(NULL);
  CHECK(s->loop != NULL);
  tide_loop_set_log(s->loop, hear, s);
  if (signo != 0) CHECK_EQ(tide_loop_set_watchdog(s->loop, signo), TIDE_OK);
  s->L = state_new_with(s->loop, &options);
  run_code(s->L, prelude);
  if (slice == 0) return;
  const tide_lua_limits limits = {.size = sizeof limits,
                                  .slice = check_quick() ? slice * 25 : slice};
  CHECK_EQ(tide_lua_set_limits(s->L, &limits), TIDE_OK);
}

static void close_slow(slow *s) {
  lua_close(s->L);
  check_loop_is_empty(s->loop);
  tide_loop_free(s->loop);
}

static tide_time run_until_done(slow *s) {
  tide_time began = tide_clock_thread();
  for (int i = 0; i < 20000 && number(s->L, "done") == 0; i++) {
    if (tide_clock_thread() - began > at_most(3000 * MILLISECOND)) break;
    if (tide_loop_turn(s->loop, true) != TIDE_OK) break; /* nothing is left */
  }
  CHECK_EQ(number(s->L, "done"), 1);
  return tide_clock_thread() - began;
}

/* Slices. */

static const char *const endless[] = {
    "endless()",
    "a:match('.-.-.-.-b')",
    "a:find(('a?'):rep(90) .. ('a'):rep(90) .. 'b')",
    "a:gsub('a*a*a*b', '')",
    "for _ in a:gmatch('(a-)a-a-b') do end",
    "a:rep(100):find('(a*)%1%1b')",
    "('('):rep(300000):gsub('%b()', '')",
    "a:rep(300):find('[' .. ('b'):rep(100000) .. ']')",
    "a:rep(300):gsub('%f[' .. ('b'):rep(100000) .. ']', '')",
    "a:rep(300):find(('[' .. ('b'):rep(10000) .. ']-'):rep(50) .. 'b')",
    "while true do pcall(endless) end",
    "while true do tide.raw.pcall(endless) end",
    "while true do tide.try(endless) end",
    "table.sort({ 3, 1, 2 }, endless)",
    "coroutine.wrap(endless)()",
    "coroutine.wrap(string.find)(a, 'a*a*a*a*b')",
    "while true do coroutine.resume(coroutine.create(endless)) end",
    "local _ <close> = closer(endless)",
    "local _ <close> = closer(endless) endless()",
    "('x'):gsub('x', endless)",
    "a:rep(1000):gsub('a', function(c) for i = 1, 100 do end return c end)",
    "('x'):gsub('x', setmetatable({}, { __index = endless }))",
    "xpcall(error, endless)",
    "tide.greenlet(endless):switch()",
    "tide.shield(tide.timeout, 100, endless)",
    "string.gsub(a, 'a', '%0', 1, endless())",
};

enum { ENDLESS = sizeof endless / sizeof endless[0] };

static void check_stopped(slow *s, const char *code) {
  char text[500];
  snprintf(text, sizeof text,
           "done = nil local task = spawn(function() %s end)\n"
           "spawn(function() ok, err = tide.raw.pcall(task.await, task) done = 1 end)",
           code);
  run_code(s->L, text);
  tide_time took = run_until_done(s);
  if (took > at_most(130 * MILLISECOND))
    fprintf(stderr, "# %s: %d ms\n", code, (int)(took / MILLISECOND));
  CHECK(took < at_most(130 * MILLISECOND));
  run_code(s->L, "assert(not ok and tide.is(err, 'limit') and not err.op, err)\n"
                 "assert(tostring(err):find('it ran for more than', 1, true))\n"
                 "done = nil spawn(function() sleep(0) done = ('x1'):gsub('%d', '') == 'x' and 1 "
                 "end)");
  run_until_done(s); /* it is whole */
}

static void stop_all(int signo) {
  slow s;
  open_slow(&s, signo, 20 * MILLISECOND, 0);
  for (int i = 0; i < ENDLESS; i += check_quick() ? 7 : 1) check_stopped(&s, endless[i]);
  CHECK_EQ(s.told, 0);
  close_slow(&s);
}

static void a_slice_that_is_over_ends_them(void) { stop_all(SIGURG); }

static void so_it_is_without_a_signal(void) { stop_all(0); }

static void a_function_of_strings_may_be_the_task_itself(void) {
  for (int with = 0; with < 2; with++) {
    slow s;
    open_slow(&s, with ? SIGURG : 0, 20 * MILLISECOND, 0);
    run_code(s.L, "task = spawn(string.find, a, 'a*a*a*a*b')\n"
                  "spawn(function() ok, err = tide.raw.pcall(task.await, task) done = 1 end)");
    CHECK(run_until_done(&s) < at_most(130 * MILLISECOND));
    run_code(s.L, "assert(not ok and tide.is(err, 'limit'))");
    close_slow(&s);
  }
}

static void a_callback_has_a_slice_too(void) {
  slow s;
  open_slow(&s, SIGURG, 20 * MILLISECOND, 0);
  run_code(s.L, "tide.call_soon(endless)");
  tide_time began = tide_clock_thread();
  CHECK_EQ(tide_loop_turn(s.loop, false), TIDE_OK);
  CHECK(tide_clock_thread() - began < at_most(130 * MILLISECOND));
  CHECK_EQ(s.failed, 1);
  close_slow(&s);
}

/* Interruptions. */

static tide_lua_interrupter *target;

static void on_alarm(int number) {
  (void)number;
  tide_lua_interrupt(target, "too slow");
}

static void set_alarm(unsigned microseconds) {
  struct itimerval once = {{0, 0}, {0, microseconds}};
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  sigaction(SIGPROF, &action, NULL);
  setitimer(ITIMER_PROF, &once, NULL);
}

static void an_interruption_ends_them(void) {
  static const char *const code[] = {"endless()", "pcall(endless)", "coroutine.wrap(endless)()",
                                     "a:gsub('a*a*a*b', '')", "('x'):gsub('x', endless)"};
  for (size_t i = 0; i < sizeof code / sizeof code[0]; i++) {
    slow s;
    char text[200];
    open_slow(&s, 0, 0, 0);
    target = tide_lua_get_interrupter(s.L);
    snprintf(text, sizeof text,
             "task = spawn(function() %s end)\n"
             "spawn(function() ok, err = tide.raw.pcall(task.await, task) done = 1 end)",
             code[i]);
    run_code(s.L, text);
    set_alarm(10000);
    run_until_done(&s);
    run_code(s.L, "assert(not ok and tide.is(err, 'cancelled') and task:cancelled(), err)");
    close_slow(&s);
  }
}

/* In a finalizer Lua calls no hook: it ends, and then what it has interrupted does. */
static void an_interruption_waits_for_a_finalizer(void) {
  slow s;
  open_slow(&s, 0, 0, 0);
  target = tide_lua_get_interrupter(s.L);
  run_code(s.L, "text = ('a'):rep(100) setmetatable({}, { __gc = function()\n"
                "  text:find('a*a*a*b') finalized = true\n"
                "end })\n"
                "task = spawn(function() collectgarbage() while true do end end)\n"
                "spawn(function() ok, err = tide.raw.pcall(task.await, task) done = 1 end)");
  set_alarm(1000);
  run_until_done(&s);
  run_code(s.L, "assert(not ok and tide.is(err, 'cancelled') and finalized)");
  close_slow(&s);
}

/* Steps. */

static void a_call_may_have_a_bound_of_its_own(void) {
  slow s;
  open_slow(&s, 0, 0, 100000);
  run_code(s.L,
           "for _, f in ipairs { string.find, string.match, string.gsub } do\n"
           "  local text = limit(f, a, 'a*a*a*b', '')\n"
           "  if f ~= string.gsub then text = limit(f, a, 'a*a*a*b') end\n"
           "  assert(text and text:find('a pattern took more than 100000 steps', 1, true), text)\n"
           "end\n"
           "assert(limit(a:gmatch('a*a*a*b')))\n"
           "assert(limit(string.gsub, a:rep(100), 'a', ''))\n" /* all of a gsub is one call */
           "local n = 0 for _ in a:rep(100):gmatch('a') do n = n + 1 end assert(n == 300000)\n"
           "for i = 1, 1000 do assert(not a:find('a*b', 2900)) end\n"
           "assert(limit(string.find, a:rep(1000), ('a'):rep(100) .. 'b', 1))\n"
           "assert(limit(string.rep('x', 10).gsub, 'x', 'x', function() endless() end))\n"
           "local task = spawn(endless)\n"
           "spawn(function() done = limit(task.await, task) and 1 end)");
  run_until_done(&s);
  close_slow(&s);
}

static void the_least_bound_and_the_greatest_do_what_they_say(void) {
  slow s;
  open_slow(&s, 0, 0, 1);
  run_code(s.L, "assert(('x'):find('') == 1 and limit(string.find, 'aaaa', 'a+b'))");
  close_slow(&s);
  open_slow(&s, 0, 0, UINT64_MAX);
  run_code(s.L, "assert(a:gsub('a', 'b') == ('b'):rep(3000))");
  close_slow(&s);
}

/* Memory. */

static void memory_that_is_at_its_limit_ends_a_gsub(void) {
  slow s;
  open_slow(&s, 0, 0, 0);
  const tide_lua_limits limits = {.size = sizeof limits, .memory = 4 << 20};
  CHECK_EQ(tide_lua_set_limits(s.L, &limits), TIDE_OK);
  run_code(s.L,
           "local task = spawn(function() return (a:gsub('a', a)) end)\n"
           "local other = spawn(function() return (a:gsub('a', function() return a end)) end)\n"
           "spawn(function()\n"
           "  assert(limit(task.await, task) and limit(other.await, other))\n"
           "  assert(a:gsub('a', 'bb') == ('b'):rep(6000)) done = 1\n"
           "end)");
  run_until_done(&s);
  close_slow(&s);
}

/* States. */

static void of_several_states_each_is_stopped_by_itself(void) {
  slow s;
  open_slow(&s, SIGURG, 20 * MILLISECOND, 0);
  lua_State *other = state_new(s.loop);
  run_code(other, "tide.spawn(function() while true do tide.sleep(0.001) count = (count or 0) + "
                  "#('x'):gsub('x', 'y') end end)");
  check_stopped(&s, "endless()");
  lua_Integer count = number(other, "count");
  check_stopped(&s, "a:gsub('a*a*a*b', '')");
  CHECK(number(other, "count") > count);
  lua_close(other);
  check_stopped(&s, "endless()");
  close_slow(&s);
}

int main(void) {
  RUN(a_slice_that_is_over_ends_them);
  RUN(so_it_is_without_a_signal);
  RUN(a_function_of_strings_may_be_the_task_itself);
  RUN(a_callback_has_a_slice_too);
  RUN(an_interruption_ends_them);
  RUN(an_interruption_waits_for_a_finalizer);
  RUN(a_call_may_have_a_bound_of_its_own);
  RUN(the_least_bound_and_the_greatest_do_what_they_say);
  RUN(memory_that_is_at_its_limit_ends_a_gsub);
  RUN(of_several_states_each_is_stopped_by_itself);
  return check_summary();
}
