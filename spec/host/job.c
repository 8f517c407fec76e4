/* job.c: C functions of a host's that wait for work in a thread. */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "host.h"

typedef struct errand {
  tide_job job;
  lua_Integer value;
} errand;

/* All atomic. */
static int gate;    /* the work may go on */
static int begun;   /* so many are, or were, at work */
static int stopped; /* the work was told to end */
static int freed;   /* records */

static int get(const int *number) { return __atomic_load_n(number, __ATOMIC_ACQUIRE); }
static void set(int *number, int value) { __atomic_store_n(number, value, __ATOMIC_RELEASE); }
static void add_one(int *number) { __atomic_add_fetch(number, 1, __ATOMIC_ACQ_REL); }
static void pause_briefly(void) { nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL); }

static void work(tide_job *job) {
  errand *self = tide_container(job, errand, job);
  add_one(&begun);
  while (!get(&gate) && !get(&stopped)) pause_briefly();
  self->value *= 2;
}

static int push(lua_State *L, tide_completion *completion) {
  const errand *self = (errand *)(void *)completion;
  if (self->value < 0) return tide_lua_raise(L, TIDE_OS(EDOM), NULL);
  lua_pushinteger(L, self->value);
  lua_pushliteral(L, "done");
  return 2;
}

static void free_errand(tide_completion *completion) {
  (void)completion;
  add_one(&freed);
}

static void stop(tide_job *job) {
  (void)job;
  set(&stopped, 1);
}

static const tide_lua_ops plain = {.name = "errand", .push = push, .free = free_errand};
static const tide_lua_ops stoppable = {.push = push, .free = free_errand, .interrupt = stop};

static tide_pool *pool; /* NULL: the loop's */

static int run_job(lua_State *L, const tide_lua_ops *ops) {
  lua_Integer value = luaL_checkinteger(L, 1);
  errand *self = tide_lua_begin_job(L, sizeof *self, work, ops);
  CHECK_EQ(self->value, 0);
  self->value = value;
  if (value == 404) return tide_lua_fail(L, &self->job.completion, TIDE_OS(ENOENT), NULL);
  return tide_lua_wait_job(L, &self->job, pool);
}

static int l_job(lua_State *L) { return run_job(L, &plain); }
static int l_stoppable(lua_State *L) { return run_job(L, &stoppable); }

static int l_open_gate(lua_State *L) {
  (void)L;
  set(&gate, 1);
  return 0;
}

static int l_begun(lua_State *L) {
  lua_pushboolean(L, get(&begun));
  return 1;
}

static void open_with_jobs(host *h, int is_open) {
  host_open_for_lua(h);
  lua_register(h->L, "job", l_job);
  lua_register(h->L, "stoppable", l_stoppable);
  lua_register(h->L, "open_gate", l_open_gate);
  lua_register(h->L, "begun", l_begun);
  host_do(h, "function await_begun() while not begun() do sleep(0) end end");
  pool = NULL;
  gate = is_open;
  begun = stopped = freed = 0;
}

static void await_freed(const host *h, int count) {
  for (int i = 0; get(&freed) < count; i++) {
    CHECK(i < 100000);
    if (h->L != NULL) tide_loop_turn(h->w.loop, false);
    pause_briefly();
  }
  CHECK_EQ(get(&freed), count);
}

static void it_returns_what_came_of_the_work(void) {
  for (int shared = 0; shared < 2; shared++) {
    host h;
    open_with_jobs(&h, 1);
    if (shared) pool = tide_pool_new(2);
    host_do(&h, "run(function()\n"
                "  say(job(1))\n"
                "  local ok, err = pcall(job, -1)\n"
                "  say(err.kind, err.code)\n"
                "  ok, err = pcall(job, 404)\n"
                "  say(err.kind, err.code)\n"
                "  local tasks = {}\n"
                "  for i = 1, 100 do tasks[i] = spawn(job, i) end\n"
                "  for i = 1, 100 do assert(tasks[i]:await() == 2 * i) end\n"
                "  local co = coroutine.wrap(function() return pcall(job, 7) end)\n"
                "  say(select(2, co()))\n"
                "end)");
    CHECK_LUA_LOG(&h, "2 done, os EDOM, os ENOENT, 14 done");
    CHECK_EQ(freed, 104);
    host_close(&h);
    tide_pool_free(pool);
  }
}

static void others_run_meanwhile_and_virtual_time_stands_still(void) {
  host h;
  open_with_jobs(&h, 0);
  host_do(&h, "run(function()\n"
              "  local t, from = spawn(job, 4), tide.time()\n"
              "  await_begun()\n"
              "  say(t:status(), (tostring(tide.tree()):match 'errand'))\n"
              "  spawn(sleep, 100)\n"
              "  open_gate()\n"
              "  say(t:await(), tide.time() - from < 1 and 'at once')\n"
              "end)");
  CHECK_LUA_LOG(&h, "waiting errand, 8 at once");
  host_close(&h);
}

static void who_is_cancelled_does_not_wait_for_the_work(void) {
  for (int can_stop = 0; can_stop < 2; can_stop++) {
    host h;
    open_with_jobs(&h, 0);
    lua_pushboolean(h.L, can_stop);
    lua_setglobal(h.L, "can_stop");
    host_do(&h, "run(function()\n"
                "  local t = spawn(can_stop and stoppable or job, 1)\n"
                "  await_begun()\n"
                "  t:cancel()\n"
                "  say(kind(select(2, pcall(t.await, t))))\n"
                "end)");
    if (can_stop) /* it may end in that very moment */
      host_do(&h, "assert(log[1] == 'cancelled' or log[1] == '2')");
    else
      CHECK_LUA_LOG(&h, "cancelled");
    CHECK_EQ(get(&stopped), can_stop);
    if (!can_stop) CHECK_EQ(get(&freed), 0);
    set(&gate, 1);
    await_freed(&h, 1);
    host_close(&h);
  }
}

static void in_the_queue_it_never_runs(void) {
  host h;
  open_with_jobs(&h, 0);
  pool = tide_pool_new(1);
  host_do(&h, "run(function()\n"
              "  local first = spawn(job, 1)\n"
              "  await_begun()\n"
              "  say(tostring(tide.move_on_after(0, job, 2)))\n"
              "  local second, third = spawn(job, 3), spawn(job, 4)\n"
              "  sleep(0) sleep(0)\n"
              "  second:cancel() third:kill()\n"
              "  open_gate()\n"
              "  say(first:await())\n"
              "end)");
  CHECK_LUA_LOG(&h, "false, 2 done");
  CHECK_EQ(get(&begun), 1);
  CHECK_EQ(get(&freed), 4);
  host_close(&h);
  tide_pool_free(pool);
}

static void a_state_may_be_closed_while_it_runs(void) {
  for (int can_stop = 0; can_stop < 2; can_stop++) {
    host h;
    open_with_jobs(&h, 0);
    host_do(&h, can_stop ? "spawn(stoppable, 1)" : "spawn(job, 1)");
    turn(&h.w);
    while (!get(&begun)) pause_briefly();
    host_close(&h); /* the thread is let go */
    set(&gate, 1);
    await_freed(&h, 1);
  }
}

/* Records are freed whether the result is seen, lost, or never comes. */
static void a_state_may_be_closed_at_any_moment(void) {
  for (int round = 0; round < 40; round++) {
    host h;
    open_with_jobs(&h, 1);
    host_do(&h, "for i = 1, 20 do spawn(job, i) end");
    for (int i = 0; i < round % 4; i++) turn(&h.w);
    for (volatile int i = 0; i < round * 1000; i++) continue;
    host_close(&h);
    await_freed(&h, round % 4 == 0 ? 0 : 20);
  }
}

static void where_no_thread_can_be_had_it_raises(void) {
  host h;
  open_with_jobs(&h, 1);
  tide_faults faults = {.call = TIDE_CALL_THREAD, .at = 1, .error = EAGAIN};
  tide_loop_set_faults(h.w.loop, &faults);
  host_do(&h, "run(function()\n"
              "  local _, err = pcall(job, 1)\n"
              "  say(err.kind, err.code)\n"
              "  say(job(1))\n"
              "end)");
  CHECK_LUA_LOG(&h, "os EAGAIN, 2 done");
  CHECK_EQ(freed, 2);
  tide_loop_set_faults(h.w.loop, NULL);
  host_close(&h);
}

static void where_nothing_can_wait_it_raises_before_it_begins(void) {
  host h;
  open_with_jobs(&h, 1);
  host_do(&h, "say(kind(select(2, pcall(job, 1))))\n"
              "assert(not pcall(job, 'x'))\n"
              "run(function()\n"
              "  say(kind(select(2, pcall(table.sort, { 1, 2 }, function() job(1) end))))\n"
              "end)");
  CHECK_LUA_LOG(&h, "no_task, cannot_wait");
  CHECK_EQ(freed, 0);
  host_close(&h);
}

static void memory_may_be_short(void) {
  for (unsigned number = 1; number < 40; number++) {
    host h;
    open_with_jobs(&h, 1);
    host_do(&h, "function work() local t = spawn(job, 1) return t:await() end");
    h.luas.fail_at = h.luas.allocations + number;
    h.w.memory.fail_at = h.w.memory.allocations + number / 2;
    luaL_dostring(h.L, "return pcall(tide.run, work)");
    h.luas.fail_at = h.w.memory.fail_at = 0;
    lua_settop(h.L, 0);
    int before = get(&begun);
    await_freed(&h, before > get(&freed) ? before : get(&freed));
    host_do(&h, "run(function() assert(job(2) == 4) end)");
    host_close(&h);
  }
}

static void ten_thousand_leave_nothing_behind(void) {
  host h;
  open_with_jobs(&h, 1);
  host_do(&h, "run(function()\n"
              "  local left, group <close> = 10000, tide.TaskGroup()\n"
              "  for i = 1, 64 do\n"
              "    group:spawn(function() while left > 0 do left = left - 1 job(i) end end)\n"
              "  end\n"
              "end)");
  CHECK_EQ(freed, 10000);
  CHECK_EQ(begun, 10000);
  host_close(&h);
}

int main(void) {
  RUN(it_returns_what_came_of_the_work);
  RUN(others_run_meanwhile_and_virtual_time_stands_still);
  RUN(who_is_cancelled_does_not_wait_for_the_work);
  RUN(in_the_queue_it_never_runs);
  RUN(a_state_may_be_closed_while_it_runs);
  RUN(a_state_may_be_closed_at_any_moment);
  RUN(where_no_thread_can_be_had_it_raises);
  RUN(where_nothing_can_wait_it_raises_before_it_begins);
  RUN(memory_may_be_short);
  RUN(ten_thousand_leave_nothing_behind);
  return check_summary();
}
