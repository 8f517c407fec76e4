/* shared_queue.c: queues that several states of a loop share, and C. */
#include "states.h"

/* A loop with two states, in which the queue is `q`. */
typedef struct pair {
  world w; /* first */
  lua_State *a, *b;
  tide_lua_queue *queue;
} pair;

static int set_queue(lua_State *L) {
  tide_lua_push_shared_queue(L, lua_touserdata(L, 1));
  lua_setglobal(L, "q");
  return 0;
}

static void give_queue(lua_State *L, tide_lua_queue *queue) {
  lua_pushcfunction(L, set_queue);
  lua_pushlightuserdata(L, queue);
  CHECK_EQ(lua_pcall(L, 1, 0, 0), LUA_OK);
  run_code(L, "log = {} function say(...) log[#log + 1] = table.concat({...}, ' ') end\n"
              "function kind(f, ...) local _, e = pcall(f, ...) return e and e.kind or 'none' end\n"
              "spawn, sleep = tide.spawn, tide.sleep");
}

static void pair_open(pair *self, tide_queue_order order, size_t max,
                      const tide_lua_item_ops *ops) {
  memset(self, 0, sizeof *self);
  world_open(&self->w);
  self->queue = tide_lua_queue_new(self->w.loop, order, max, ops);
  CHECK(self->queue != NULL);
  self->a = state_new(self->w.loop);
  self->b = state_new(self->w.loop);
  give_queue(self->a, self->queue);
  give_queue(self->b, self->queue);
}

static void close_state(lua_State **L) {
  if (*L != NULL) lua_close(*L);
  *L = NULL;
}

static void pair_close(pair *self) {
  close_state(&self->a);
  close_state(&self->b);
  tide_lua_queue_unref(self->queue);
  world_close(&self->w);
}

static void check_said(lua_State *L, const char *expected, int line) {
  run_code(L, "text = table.concat(log, ', ') log = {}");
  lua_getglobal(L, "text");
  check_text(__FILE__, line, "log", lua_tostring(L, -1), expected);
  lua_pop(L, 1);
}

#define CHECK_SAID(L, expected) check_said(L, expected, __LINE__)

static void what_one_state_puts_another_gets_as_a_copy(void) {
  pair p;
  pair_open(&p, TIDE_FIFO, 2, NULL);
  run_code(p.a, "spawn(function()\n"
                "  local t = { 1, { x = 'y' } } t.self = t\n"
                "  q:put(t) t[1] = 2 q:put 'text' q:put(3.5) q:put(true) say 'put'\n"
                "  q:close()\n"
                "end)");
  run_code(p.b, "spawn(function()\n"
                "  sleep(1)\n"
                "  local t = q:get()\n"
                "  say(t[1], t[2].x, tostring(t.self == t))\n"
                "  for v in q:iter() do say(tostring(v)) end\n"
                "  say(kind(q.get, q))\n"
                "end)");
  settle(&p.w);
  CHECK_SAID(p.a, "put");
  CHECK_SAID(p.b, "1 y true, text, 3.5, true, closed");
  pair_close(&p);
}

static void it_does_what_a_queue_does(void) {
  pair p;
  pair_open(&p, TIDE_FIFO, 1, NULL);
  run_code(p.a,
           "say(tostring(q:empty()), tostring(q:full()), q:maxsize(), tide.type(q), tostring(q))\n"
           "say(tostring(q:try_put(1)), tostring(q:try_put(2)), kind(q.put_nowait, q, 3), #q)\n"
           "say(q:try_get(), tostring(q:try_get()), kind(q.get_nowait, q))\n"
           "say(select(2, pcall(q.put_nowait, q)):match '%((.*)%)')\n"
           "q:put_nowait(4) say(q:statistics().unfinished)\n"
           "spawn(function() q:join() say 'joined' end)\n"
           "spawn(function()\n"
           "  local n, v = tide.select(q, tide.after(5)) say(n, v) q:task_done() q:task_done()\n"
           "  say(tide.select(q, tide.after(5)))\n"
           "  q:put(7) say(tide.iter(q):first())\n"
           "  q:put(8) say(tostring(pcall(tide.timeout, 1, q.put, q, 9)), #q)\n"
           "  q:close { immediate = true } say(#q, tostring(q:closed()), kind(q.put, q, 1))\n"
           "end)");
  settle(&p.w);
  CHECK_SAID(p.a, "true false 1 SharedQueue Queue(0 of 1 items), true false queue_full 1, "
                  "1 nil queue_empty, "
                  "nil cannot be put into a queue, 2, "
                  "1 4, joined, 2, 7, false 1, 0 true closed");
  pair_close(&p);
}

static void by_priority_the_lowest_comes_first_whoever_has_put_it(void) {
  pair p;
  pair_open(&p, TIDE_PRIORITY, 0, NULL);
  run_code(p.a, "q:put_nowait('c', 3) q:put_nowait('a', 1)");
  run_code(p.b, "q:put_nowait('b', 2)");
  run_code(p.a, "say(q:get_nowait(), q:get_nowait(), q:get_nowait())");
  CHECK_SAID(p.a, "a b c");
  pair_close(&p);
}

static void what_cannot_be_copied_is_not_put(void) {
  pair p;
  pair_open(&p, TIDE_FIFO, 1, NULL);
  run_code(p.a, "local _, err = pcall(q.put_nowait, q, { list = { print } })\n"
                "say(err.kind, tostring(err.message:find('list[1]', 1, true) ~= nil), #q)\n"
                "q:put_nowait(1)\n"
                "spawn(function() say(kind(q.put, q, { print })) end)"); /* in front of a wait */
  settle(&p.w);
  CHECK_SAID(p.a, "misuse true 0, misuse");
  pair_close(&p);
}

static void one_state_is_closed_and_others_go_on(void) {
  for (int first = 0; first < 2; first++) {
    for (int turns = 0; turns < 6; turns++) {
      pair p;
      pair_open(&p, TIDE_FIFO, 1, NULL);
      run_code(p.a, "for i = 1, 3 do spawn(function() for n = 1, 3 do q:put(n) end end) end\n"
                    "for i = 1, 2 do spawn(function() while true do q:get() sleep(0) end end) end");
      run_code(p.b,
               "count = 0\n"
               "spawn(function() for n = 1, 20 do q:put(n) count = count + 1 sleep(0) end end)\n"
               "spawn(function() while true do q:get() sleep(0) end end)");
      for (int i = 0; i < turns; i++) turn(&p.w);
      close_state(first == 0 ? &p.a : &p.b);
      settle(&p.w);
      if (first == 0) CHECK_EQ(number(p.b, "count"), 20);
      pair_close(&p);
    }
  }
}

static void who_is_cancelled_or_killed_loses_nothing_and_leaves_nothing(void) {
  for (int how = 0; how < 2; how++) {
    pair p;
    pair_open(&p, TIDE_FIFO, 1, NULL);
    run_code(p.a, "q:put_nowait 'first'\n"
                  "putter = spawn(function() q:put 'second' say 'never' end)");
    turn(&p.w);
    CHECK_EQ(tide_lua_queue_core(p.queue)->count, 1);
    if (how == 0)
      run_code(p.a, "putter:cancel()");
    else
      close_state(&p.a);
    run_code(p.b, "getter = spawn(function() say(q:get()) say(q:get()) end)");
    settle(&p.w);
    CHECK_SAID(p.b, "first");
    run_code(p.b, "getter:cancel() q:put_nowait 'third'");
    settle(&p.w);
    CHECK_EQ(tide_lua_queue_core(p.queue)->count, 1);
    pair_close(&p);
  }
}

static void a_collected_queue_leaves_the_others_theirs(void) {
  pair p;
  pair_open(&p, TIDE_FIFO, 0, NULL);
  run_code(p.a, "q:put_nowait(1) local kept = setmetatable({}, { __gc = function(t)\n"
                "  say(select(2, pcall(t.q.put_nowait, t.q, 2)) or 'put') end })\n"
                "kept.q = q q, kept = nil collectgarbage() collectgarbage()");
  run_code(p.b, "say(q:get_nowait(), #q)");
  CHECK_SAID(p.b, "1 1");
  close_state(&p.a);
  run_code(p.b, "say(q:get_nowait())");
  CHECK_SAID(p.b, "2");
  pair_close(&p);
}

/* Items of C's: numbers, of which each is counted until it is dropped. */

static int items;

static void *read_item(lua_State *L, int index) {
  lua_Integer value = luaL_checkinteger(L, index);
  if (value < 0) luaL_error(L, "negative");
  lua_Integer *item = malloc(sizeof *item);
  *item = value;
  items++;
  return item;
}

static void push_item(lua_State *L, void *item) {
  lua_Integer value = *(lua_Integer *)item;
  if (value == 13) luaL_error(L, "unlucky");
  lua_pushinteger(L, value * 2);
}

static void drop_item(void *item) {
  items--;
  free(item);
}

static const tide_lua_item_ops ops = {.read = read_item, .push = push_item, .drop = drop_item};

typedef struct taker {
  tide_task task; /* first */
  tide_steps steps;
  tide_lua_queue *queue;
  void *own; /* what it puts */
  lua_Integer sum;
} taker;

static void take_and_put(tide_task *task, int outcome) {
  taker *self = (taker *)(void *)task;
  tide_queue *queue = tide_lua_queue_core(self->queue);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (;;) {
    TIDE_WAIT(tide_queue_get(queue, task));
    if (self->steps.outcome != TIDE_OK) break;
    self->own = tide_queue_get_pointer(queue, (uint32_t)task->wait.value.number);
    self->sum += *(lua_Integer *)self->own;
    if (*(lua_Integer *)self->own == 100) {
      TIDE_TRY(tide_queue_put_pointer(queue, task, &self->own, 0));
      break;
    }
    drop_item(self->own);
    self->own = NULL;
  }
  self->steps.outcome = TIDE_OK;
  TIDE_END;
}

static void items_are_what_the_hosts_functions_make(void) {
  static const tide_task_ops task_ops = {.name = "taker", .step = take_and_put};
  pair p;
  items = 0;
  pair_open(&p, TIDE_FIFO, 2, &ops);
  taker self = {.queue = p.queue};
  tide_task_init(&self.task, p.w.loop, &task_ops);
  CHECK_EQ(tide_task_spawn(&self.task, tide_loop_background(p.w.loop)), TIDE_OK);
  run_code(p.a, "spawn(function()\n"
                "  for i = 1, 4 do q:put(i) end q:put(100) sleep(1) say(q:get())\n"
                "  say(tostring(pcall(q.put, q, 'x')), tostring(pcall(q.put, q, -1)), #q)\n"
                "  q:put(13) say(tostring(pcall(q.get, q)), #q)\n"
                "  q:put(1) q:put(2)\n"
                "  spawn(q.put, q, 3)\n"
                "end)");
  settle(&p.w);
  CHECK_EQ(self.sum, 110);
  CHECK_SAID(p.a, "200, false false 0, false 0");
  CHECK_EQ(items, 3);
  close_state(&p.a); /* with one that waits to be put */
  CHECK_EQ(items, 2);
  pair_close(&p);
  CHECK_EQ(items, 0);
}

static void it_is_in_one_loop(void) {
  pair p;
  pair_open(&p, TIDE_FIFO, 0, NULL);
  lua_State *L = state_new(p.w.loop);
  tide_loop *other = virtual_loop();
  tide_lua_queue *queue = tide_lua_queue_new(other, TIDE_LIFO, 0, NULL);
  lua_pushcfunction(L, set_queue);
  lua_pushlightuserdata(L, queue);
  CHECK(lua_pcall(L, 1, 0, 0) != LUA_OK);
  CHECK(strstr(luaL_tolstring(L, -1, NULL), "misuse: ") != NULL);
  lua_close(L);
  tide_lua_queue_unref(tide_lua_queue_ref(queue));
  tide_lua_queue_unref(queue);
  tide_lua_queue_unref(NULL);
  tide_loop_free(other);
  lua_getglobal(p.a, "q");
  CHECK(tide_lua_to_shared_queue(p.a, -1) == p.queue);
  lua_pop(p.a, 1);
  pair_close(&p);
}

static void memory_may_be_short(void) {
  static const char code[] =
      "spawn(function()\n"
      "  for i = 1, 3 do pcall(q.put, q, { i, 'some text', {} }) end\n"
      "  for i = 1, 3 do pcall(q.get, q) end\n"
      "end)\n"
      "spawn(function() for i = 1, 3 do pcall(q.get, q) pcall(q.put, q, i) end end)";
  for (unsigned number = 1; number < 60; number++) {
    host h;
    host_open_for_lua(&h);
    tide_lua_queue *queue = tide_lua_queue_new(h.w.loop, TIDE_FIFO, 1, NULL);
    lua_pushcfunction(h.L, set_queue);
    lua_pushlightuserdata(h.L, queue);
    CHECK_EQ(lua_pcall(h.L, 1, 0, 0), LUA_OK);
    host_do(&h, code);
    h.luas.fail_at = h.luas.allocations + number;
    h.w.memory.fail_at = h.w.memory.allocations + number;
    settle(&h.w);
    h.luas.fail_at = h.w.memory.fail_at = 0;
    host_do(&h, "for _ = 1, 10 do q:try_get() end q:close { immediate = true }");
    settle(&h.w);
    tide_lua_queue_unref(queue);
    host_close(&h);
  }
}

int main(void) {
  RUN(what_one_state_puts_another_gets_as_a_copy);
  RUN(it_does_what_a_queue_does);
  RUN(by_priority_the_lowest_comes_first_whoever_has_put_it);
  RUN(what_cannot_be_copied_is_not_put);
  RUN(one_state_is_closed_and_others_go_on);
  RUN(who_is_cancelled_or_killed_loses_nothing_and_leaves_nothing);
  RUN(a_collected_queue_leaves_the_others_theirs);
  RUN(items_are_what_the_hosts_functions_make);
  RUN(it_is_in_one_loop);
  RUN(memory_may_be_short);
  return check_summary();
}
