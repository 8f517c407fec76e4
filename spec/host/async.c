/* async.c: C functions of a host's that wait. */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "states.h"

typedef struct enemy_wait {
  tide_completion completion; /* first */
  int enemy;                  /* who came */
} enemy_wait;

/* The host's library: calls back when told to, in the order of the calls. */
static enemy_wait *waits[64];
static int wait_count, frees, cancels;
static tide_taken_back cancel_answer;
static bool at_once; /* the library calls back before it returns */
static int result;   /* what it completes with */

static tide_taken_back cancel(tide_completion *completion) {
  (void)completion;
  cancels++;
  return cancel_answer;
}

static int push(lua_State *L, tide_completion *completion) {
  const enemy_wait *w = (enemy_wait *)(void *)completion;
  if (w->enemy < 0) return tide_lua_raise(L, TIDE_ELIMIT, "too many enemies");
  lua_pushinteger(L, w->enemy);
  lua_pushfstring(L, "enemy %d", w->enemy);
  return 2;
}

static void free_wait(tide_completion *completion) {
  (void)completion;
  __atomic_add_fetch(&frees, 1, __ATOMIC_RELAXED);
}

static const tide_lua_ops ops = {
    .name = "enemy", .cancel = cancel, .push = push, .free = free_wait};

static int l_enemy(lua_State *L) {
  int enemy = (int)luaL_checkinteger(L, 1);
  enemy_wait *w = tide_lua_begin(L, sizeof *w, &ops);
  CHECK_EQ(w->enemy, 0);
  w->enemy = enemy;
  if (enemy == 404) return tide_lua_fail(L, &w->completion, TIDE_OS(ENOENT), NULL);
  if (enemy == 405) return tide_lua_fail(L, &w->completion, TIDE_EMISUSE, "no such enemy");
  if (at_once)
    CHECK_EQ(tide_completion_end(&w->completion, result), TIDE_OK);
  else
    waits[wait_count++] = w;
  return tide_lua_wait(L, &w->completion);
}

static int come(int error) {
  enemy_wait *w = waits[0];
  memmove(waits, waits + 1, (size_t)--wait_count * sizeof(void *));
  return tide_completion_end(&w->completion, error);
}

/* come([error]) -> what the library was told */
static int l_come(lua_State *L) {
  lua_pushinteger(L, come((int)luaL_optinteger(L, 1, TIDE_OK)));
  return 1;
}

static int l_pending(lua_State *L) {
  lua_pushboolean(L, wait_count > 0);
  return 1;
}

static void open_with_enemies(host *h) {
  host_open_for_lua(h);
  lua_register(h->L, "enemy", l_enemy);
  lua_register(h->L, "come", l_come);
  lua_register(h->L, "pending", l_pending);
  wait_count = frees = cancels = result = 0;
  at_once = false;
  cancel_answer = TIDE_TOO_LATE;
}

static void it_returns_what_came(void) {
  host h;
  open_with_enemies(&h);
  host_do(
      &h,
      "run(function()\n"
      "  local tasks = {}\n"
      "  for i = 1, 3 do tasks[i] = spawn(enemy, i) end\n"
      "  sleep(1)\n"
      "  say(tasks[1]:status(), (tostring(tide.tree()):match 'enemy'))\n"
      "  for i = 1, 3 do say(come(), tasks[i]:await()) end\n"
      "  local co = coroutine.wrap(function() return pcall(enemy, 7) end)\n" /* as all that waits */
      "  spawn(function() sleep(1) come() end)\n"
      "  say(select(2, co()))\n"
      "end)");
  CHECK_LUA_LOG(&h, "waiting enemy, 0 1 enemy 1, 0 2 enemy 2, 0 3 enemy 3, 7 enemy 7");
  CHECK_EQ(frees, 4);
  host_close(&h);
}

static void one_that_is_completed_at_once_does_not_suspend(void) {
  host h;
  open_with_enemies(&h);
  at_once = true;
  host_do(&h, "run(function()\n"
              "  local turns = 0\n"
              "  local other = spawn(function() while true do turns = turns + 1 sleep(0) end end)\n"
              "  for i = 1, 100 do assert(enemy(i) == i) end\n"
              "  say(turns)\n"
              "  for i = 1, 10000 do enemy(i % 100) end\n" /* but others have their turn */
              "  say(tostring(turns >= 30))\n"
              "  other:cancel()\n"
              "end)");
  CHECK_LUA_LOG(&h, "0, true");
  CHECK_EQ(frees, 10100);
  host_close(&h);
}

static void errors_are_raised_by_number_and_by_push(void) {
  host h;
  open_with_enemies(&h);
  host_do(&h, "run(function()\n"
              "  local function fails(code, x)\n"
              "    local task = spawn(pcall, enemy, x or 1)\n"
              "    sleep(0)\n"
              "    if code then come(code) end\n"
              "    local _, err = task:await()\n"
              "    say(err.kind, err.code or err.message)\n"
              "  end\n"
              "  fails(-1000 - 111) fails(-4) fails(0, -1)\n"
              "  fails(nil, 404) fails(nil, 405)\n"
              "  fails(-1)\n" /* the library says that it was cancelled */
              "end)");
  CHECK_LUA_LOG(&h,
                "os ECONNREFUSED, closed the object is closed, limit too many enemies, os ENOENT, "
                "misuse no such enemy, cancelled cancelled");
  CHECK_EQ(frees, 6);
  at_once = true;
  result = TIDE_OS(EPIPE);
  host_do(&h, "run(function() say(kind(select(2, pcall(enemy, 1)))) end)");
  CHECK_LUA_LOG(&h, "os");
  CHECK_EQ(frees, 7);
  host_close(&h);
}

/* What pushes the results may do what a function may that is called from C. */

static int push_many(lua_State *L, tide_completion *completion) {
  (void)completion;
  luaL_checkstack(L, 300, NULL);
  for (int i = 1; i <= 300; i++) lua_pushinteger(L, i);
  return 300;
}

static int push_from_lua(lua_State *L, tide_completion *completion) {
  (void)completion;
  lua_getglobal(L, "during");
  lua_call(L, 0, 1);
  return 1;
}

static int wait_for(lua_State *L, const tide_lua_ops *some) {
  enemy_wait *w = tide_lua_begin(L, sizeof *w, some);
  if (at_once)
    tide_completion_end(&w->completion, TIDE_OK);
  else
    waits[wait_count++] = w;
  return tide_lua_wait(L, &w->completion);
}

static int l_many(lua_State *L) {
  static const tide_lua_ops many = {.push = push_many, .free = free_wait};
  return wait_for(L, &many);
}

static int l_lua(lua_State *L) {
  static const tide_lua_ops from_lua = {.push = push_from_lua, .free = free_wait};
  return wait_for(L, &from_lua);
}

static void what_pushes_may_call_lua_and_push_much_but_not_wait(void) {
  for (int now = 0; now < 2; now++) {
    host h;
    open_with_enemies(&h);
    at_once = now;
    lua_register(h.L, "many", l_many);
    lua_register(h.L, "lua", l_lua);
    host_do(&h, "function await(f)\n"
                "  local task = spawn(f) sleep(0) if pending() then come() end\n"
                "  return task:await()\n"
                "end\n"
                "run(function()\n"
                "  say(await(function() return select('#', many()) end))\n"
                "  function during() return sleep(0) end\n"
                "  say(kind(select(2, await(function() return pcall(lua) end))))\n"
                "  function during() return lua() end\n"
                "  say(kind(select(2, await(function() return pcall(lua) end))))\n"
                "  function during() spawned = spawn(type, 1) return 7 end\n"
                "  say(await(lua), tide.type(spawned))\n"
                "  local task task = spawn(function() say(lua()) sleep(0) say 'never' end)\n"
                "  function during() task:cancel() return 8 end\n"
                "  sleep(0) if pending() then come() end sleep(1)\n"
                "end)");
    CHECK_LUA_LOG(&h, "300, cannot_wait, cannot_wait, 7 Task, 8");
    CHECK_EQ(wait_count, 0);
    CHECK_EQ(frees, 5);
    host_close(&h);
  }
}

/* It is freed at the end of the turn, though the state goes before. */

static lua_State *closing;

static void close_state(tide_defer *self) {
  (void)self;
  CHECK_EQ(frees, 0);
  lua_close(closing);
}

static int push_nothing(lua_State *L, tide_completion *completion) {
  (void)completion;
  return luaL_error(L, "no results");
}

static int l_last(lua_State *L) {
  static const tide_lua_ops last = {.push = push_nothing, .free = free_wait};
  static tide_defer close;
  closing = lua_tothread(L, lua_upvalueindex(1));
  tide_defer_init(&close, close_state);
  tide_defer_start(&close, tide_lua_loop(L));
  return wait_for(L, &last);
}

static void a_record_whose_results_cannot_be_pushed_outlives_its_state(void) {
  world w;
  world_open(&w);
  lua_State *L = state_new(w.loop);
  frees = 0;
  at_once = true;
  lua_pushthread(L);
  lua_pushcclosure(L, l_last, 1);
  lua_setglobal(L, "last");
  run_code(L, "tide.spawn(pcall, last)");
  settle(&w);
  CHECK(closing == L);
  CHECK_EQ(frees, 1);
  world_close(&w);
}

static void where_nothing_can_wait_it_raises_before_it_begins(void) {
  host h;
  open_with_enemies(&h);
  host_do(&h, "say(kind(select(2, pcall(enemy, 1))))\n"
              "assert(not pcall(enemy, 'x'))\n"
              "run(function()\n"
              "  say(kind(select(2, pcall(table.sort, { 1, 2 }, function() enemy(1) end))))\n"
              "  tide.call_soon(function() say(kind(select(2, pcall(enemy, 1)))) end)\n"
              "  sleep(1)\n"
              "end)");
  CHECK_LUA_LOG(&h, "no_task, cannot_wait, no_task");
  CHECK_EQ(frees, 0);
  host_close(&h);
}

static void who_is_cancelled_does_not_wait_for_the_library(void) {
  static const struct {
    tide_taken_back answer;
    const char *log;
  } cases[] = {
      {TIDE_TAKEN_BACK, "cancelled"},
      {TIDE_TOO_LATE, "cancelled"},
      {TIDE_KEPT, "1"},
  };
  for (size_t i = 0; i < 3; i++) {
    host h;
    open_with_enemies(&h);
    cancel_answer = cases[i].answer;
    host_do(&h, "task = spawn(function() local ok, x = pcall(enemy, 1) say(kind(x)) x = ok or "
                "error(x) end)");
    turn(&h.w);
    lua_getglobal(h.L, "task");
    tide_lua_cancel(h.L, -1, NULL);
    lua_pop(h.L, 1);
    CHECK_EQ(cancels, 1);
    CHECK_EQ(frees, cases[i].answer == TIDE_TAKEN_BACK ? 1 : 0);
    for (int n = 0; n < 3; n++) turn(&h.w);
    if (cases[i].answer != TIDE_TAKEN_BACK)
      CHECK_EQ(come(TIDE_OK), cases[i].answer == TIDE_KEPT ? TIDE_OK : TIDE_ECANCELLED);
    settle(&h.w);
    if (cases[i].answer == TIDE_KEPT) CHECK_LUA_LOG(&h, "1");
    CHECK_EQ(frees, 1);
    host_close(&h);
  }
}

static void who_is_cancelled_already_asks_the_library_to_leave_it(void) {
  host h;
  open_with_enemies(&h);
  cancel_answer = TIDE_TAKEN_BACK;
  host_do(
      &h,
      "run(function()\n"
      "  say(tostring(tide.move_on_after(0, function() for i = 1, 3 do pcall(enemy, i) end end)))\n"
      "  say(tostring(tide.move_on_after(1, enemy, 4)))\n"
      "end)");
  CHECK_LUA_LOG(&h, "false, false");
  CHECK_EQ(frees, wait_count);
  host_close(&h);
}

static void who_is_killed_leaves_the_record_to_the_library(void) {
  for (int come_first = 0; come_first < 2; come_first++) {
    host h;
    open_with_enemies(&h);
    host_do(&h, "task = spawn(function() local _ <close> = closer(function() say 'closed' end) "
                "enemy(1) end)");
    turn(&h.w);
    if (come_first) come(TIDE_OK);
    host_do(&h, "task:kill() task = nil");
    CHECK_EQ(frees, come_first);
    if (!come_first) CHECK_EQ(come(TIDE_OK), TIDE_ECANCELLED);
    CHECK_EQ(frees, 1);
    CHECK_LUA_LOG(&h, "closed");
    host_close(&h);
  }
}

static void the_state_is_closed_before_the_library_calls_back(void) {
  host h;
  open_with_enemies(&h);
  host_do(&h, "spawn(enemy, 1) spawn(enemy, 2)");
  turn(&h.w);
  host_close_state(&h);
  CHECK_EQ(tide_completion_post(&waits[0]->completion, TIDE_OK), TIDE_ECLOSED);
  CHECK_EQ(tide_completion_post(&waits[1]->completion, TIDE_OK), TIDE_ECLOSED);
  CHECK_EQ(frees, 2);
}

/* Another thread. */

static void *call_back(void *context) {
  enemy_wait *w = context;
  usleep(100);
  w->enemy += 100;
  tide_completion_post(&w->completion, TIDE_OK);
  return NULL;
}

static int l_enemy_by_thread(lua_State *L) {
  pthread_t thread;
  int enemy = (int)luaL_checkinteger(L, 1);
  enemy_wait *w = tide_lua_begin(L, sizeof *w, &ops);
  w->enemy = enemy;
  int error = pthread_create(&thread, NULL, call_back, w);
  if (error != 0) return tide_lua_fail(L, &w->completion, TIDE_OS(error), NULL);
  pthread_detach(thread);
  return tide_lua_wait(L, &w->completion);
}

static void it_is_completed_by_another_thread(void) {
  host h;
  open_with_enemies(&h);
  lua_register(h.L, "enemy", l_enemy_by_thread);
  tide_loop_set_real_clock(h.w.loop);
  host_do(&h, "tide.run(function()\n"
              "  local sum = 0\n"
              "  for round = 1, 10 do\n"
              "    local tasks = {}\n"
              "    for i = 1, 10 do tasks[i] = spawn(enemy, i) end\n"
              "    if round % 2 == 0 then sleep(0) tasks[1]:cancel() tasks[2]:kill() end\n"
              "    for i = 3, 10 do sum = sum + tasks[i]:await() end\n"
              "    pcall(tasks[1].await, tasks[1])\n"
              "  end\n"
              "  say(sum)\n"
              "end)");
  CHECK_LUA_LOG(&h, "8520");
  for (int i = 0; i < 1000 && __atomic_load_n(&frees, __ATOMIC_RELAXED) < 100; i++) {
    tide_loop_turn(h.w.loop, false);
    usleep(1000);
  }
  CHECK_EQ(frees, 100);
  host_close(&h);
}

static void memory_may_be_short(void) {
  for (unsigned number = 1; number < 40; number++) {
    host h;
    open_with_enemies(&h);
    at_once = number % 2 == 0;
    host_do(
        &h,
        "function work() local t = spawn(enemy, 1) sleep(0) sleep(0) if pending() then come() end\n"
        "  return t:await() end");
    h.luas.fail_at = h.luas.allocations + number;
    luaL_dostring(h.L, "return pcall(tide.run, work)");
    h.luas.fail_at = 0;
    lua_settop(h.L, 0);
    while (wait_count > 0) come(TIDE_OK);
    settle(&h.w);
    int begun = frees;
    at_once = true;
    host_do(&h, "run(function() enemy(1) end)");
    CHECK_EQ(frees, begun + 1);
    host_close(&h);
  }
}

int main(void) {
  RUN(it_returns_what_came);
  RUN(one_that_is_completed_at_once_does_not_suspend);
  RUN(errors_are_raised_by_number_and_by_push);
  RUN(a_record_whose_results_cannot_be_pushed_outlives_its_state);
  RUN(what_pushes_may_call_lua_and_push_much_but_not_wait);
  RUN(where_nothing_can_wait_it_raises_before_it_begins);
  RUN(who_is_cancelled_does_not_wait_for_the_library);
  RUN(who_is_cancelled_already_asks_the_library_to_leave_it);
  RUN(who_is_killed_leaves_the_record_to_the_library);
  RUN(the_state_is_closed_before_the_library_calls_back);
  RUN(it_is_completed_by_another_thread);
  RUN(memory_may_be_short);
  return check_summary();
}
