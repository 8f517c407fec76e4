/* iter_to_lua.c: Lua takes from iterators of C's. */
#include "counter.h"

static void lua_calls_it_for_the_values_of_the_next_step(void) {
  host h;
  open_with_counter(&h);
  host_do(&h, "run(function()\n"
              "  local it = counter(2)\n"
              "  say(tostring(it), tide.type(it))\n"
              "  say(it()) say(it()) say(tostring(it())) say(tostring(it()))\n"
              "end)");
  CHECK_LUA_LOG(&h, "HostIter(counter) HostIter, 1 n1, 2 n2, nil, nil");
  host_collect_garbage(&h);
  CHECK_EQ(closings, 0);
  CHECK_EQ(frees, 1);
  host_close(&h);
}

static void its_step_and_its_closing_wait_and_others_run(void) {
  host h;
  open_with_counter(&h);
  host_do(
      &h,
      "run(function()\n"
      "  local other = spawn(function() for i = 1, 3 do sleep(0.0007) say('other', i) end end)\n"
      "  do local it <close> = counter(2)\n"
      "    for x, text in it do say(x, text) end end\n"
      "  say(math.floor(tide.time() * 1000 + 0.5) % 1000)\n"
      "end)");
  CHECK_LUA_LOG(&h, "other 1, 1 n1, other 2, 2 n2, other 3, 4");
  CHECK_EQ(closings, 1);
  host_close(&h);
  CHECK_EQ(frees, 1);
}

static void tide_iter_takes_it_and_all_combinators(void) {
  host h;
  open_with_counter(&h);
  host_do(&h,
          "run(function()\n"
          "  local function even(x) return x % 2 == 0 end\n"
          "  local it = tide.iter(counter(9)):filter(even):map(function(x, t) return t, x end)\n"
          "  say(tostring(it))\n"
          "  for t, x in it:take(2):each() do say(t, x) end\n"
          "  say(tide.iter(counter(4)):buffer(2):count(), tide.iter(counter(3)):chunk(2):count())\n"
          "  say(tide.iter { counter(1), counter(2) }:flatten():count())\n"
          "  say(tide.iter(counter(2)):merge(counter(3)):count())\n"
          "  say(tide.iter(counter(3)):zip(counter(2)):count())\n"
          "  say(tide.iter(counter(3)):map_concurrent(2, math.abs):count())\n"
          "  for _ in tide.iter(counter(3)):each() do break end\n"
          "end)");
  CHECK_LUA_LOG(&h, "Iter(counter, filter, map), n2 2, n4 4, 4 2, 3, 5, 2, 3");
  CHECK_EQ(closings, 11); /* each made was closed */
  host_close(&h);
  CHECK_EQ(frees, 11);
}

static void a_step_that_is_cancelled_did_not_happen(void) {
  host h;
  open_with_counter(&h);
  host_do(
      &h,
      "run(function()\n"
      "  local it = counter(2)\n"
      "  say(tostring(tide.move_on_after(0.0005, it)))\n"
      "  local chain = tide.iter(it):map(function(x) return x end)\n"
      "  say(tostring(tide.move_on_after(0.0005, chain)))\n"
      "  say(chain()) say(chain()) say(tostring(chain()))\n"
      "  local task = spawn(function() tide.scope(function(scope) scope:cancel() it() end) end)\n"
      "  task:await()\n"
      "end)");
  CHECK_LUA_LOG(&h, "false, false, 1, 2, nil");
  host_close(&h);
}

static void an_error_of_c_is_raised_by_its_kind_and_ends_it(void) {
  host h;
  open_with_counter(&h);
  host_do(&h, "run(function()\n"
              "  local it = tide.iter(counter(5, 2))\n"
              "  say((it()))\n"
              "  local ok, err = pcall(it)\n"
              "  say(tostring(ok), err.kind, err.code)\n"
              "  say(tostring(it()))\n"
              "end)");
  CHECK_LUA_LOG(&h, "1, false os ENOSPC, nil");
  CHECK_EQ(closings, 1);
  host_close(&h);
}

static void a_second_task_inside_is_told_and_it_goes_on_for_the_first(void) {
  host h;
  open_with_counter(&h);
  host_do(&h, "run(function()\n"
              "  for _, make in ipairs { tide.iter, function(it) return it end } do\n"
              "    local it = make(counter(2))\n"
              "    local first = spawn(function() return (it()) end)\n"
              "    sleep(0)\n"
              "    local ok, err = pcall(it)\n"
              "    say(tostring(ok), err.kind, (tostring(err):match 'used by two tasks at once'))\n"
              "    ok, err = pcall(it.close, it)\n"
              "    say(tostring(ok), err and err.kind)\n"
              "    say(first:await())\n"
              "  end\n"
              "end)");
  CHECK_LUA_LOG(&h, "false misuse used by two tasks at once, false misuse, 1, "
                    "false misuse used by two tasks at once, false misuse, 1");
  host_close(&h);
}

static void a_killed_task_leaves_its_place(void) {
  host h;
  open_with_counter(&h);
  host_do(&h, "run(function()\n"
              "  local it = counter(1)\n"
              "  local task = spawn(function() local it <close> = it it() end)\n"
              "  sleep(0)\n"
              "  task:kill()\n"
              "  say(tostring(it()), tostring(it))\n" /* its <close> could not wait */
              "  local other = counter(1)\n"
              "  task = spawn(other)\n"
              "  sleep(0)\n"
              "  task:kill()\n"
              "  say(other())\n"
              "end)");
  CHECK_LUA_LOG(&h, "nil HostIter(counter; closed), 1 n1");
  CHECK_EQ(closings, 0);
  host_close(&h);
  CHECK_EQ(frees, 2);
}

static void a_wait_that_a_foreign_resume_swallowed_is_no_step(void) {
  host h;
  open_with_counter(&h);
  host_do(&h, "run(function()\n"
              "  local it = counter(2)\n"
              "  local co = tide.raw.coroutine.create(function() return it() end)\n"
              "  tide.raw.coroutine.resume(co)\n"
              "  local ok, err = pcall(sleep, 0)\n"
              "  say(tostring(ok), err.kind)\n"
              "  say(it())\n"
              "  local other = spawn(it)\n"
              "  say(other:await())\n"
              "end)");
  CHECK_LUA_LOG(&h, "false cannot_wait, 1 n1, 2 n2");
  host_close(&h);
}

static void outside_of_tasks_it_can_be_closed_and_no_step_taken(void) {
  host h;
  open_with_counter(&h);
  host_do(&h, "local it = counter(2)\n"
              "local ok, err = pcall(it)\n"
              "say(tostring(ok), err.kind)\n"
              "it:close() it:close()\n"
              "run(function() say(tostring(it())) end)\n"
              "ok, err = pcall(function() local close = debug.getmetatable(it).__index.close "
              "close({}) end)\n"
              "say((err:match 'bad.*'))");
  CHECK_LUA_LOG(&h,
                "false no_task, nil, bad argument #1 to 'close' (HostIter expected, got table)");
  CHECK_EQ(closings, 0);
  host_close(&h);
  CHECK_EQ(frees, 1);
}

static void dropped_it_is_freed_and_not_closed(void) {
  host h;
  open_with_counter(&h);
  host_do(&h, "run(function() counter(3)() tide.iter(counter(3))() end)");
  host_collect_garbage(&h);
  CHECK_EQ(frees, 2);
  CHECK_EQ(closings, 0);
  host_close(&h);
}

static void the_state_may_be_closed_while_tasks_are_inside(void) {
  host h;
  for (unsigned turns = 1; turns <= 3;
       turns++) { /* in a step; ready to go on; in the second step */
    open_with_counter(&h);
    host_do(&h, "local a, b = counter(3), tide.iter(counter(3))\n"
                "spawn(function() while a() do end end)\n"
                "spawn(function() for _ in b:each() do end end)\n"
                "spawn(function() sleep(0) counter(3):close() end)");
    for (unsigned i = 0; i < turns; i++) CHECK_EQ(tide_loop_turn(h.w.loop, true), TIDE_OK);
    host_close(&h);
    CHECK(frees >= 2);
  }
}

/* A counter that raises when it has been freed. */

static lua_State *state; /* where */

static void free_and_raise(tide_iter *iter) {
  counter_free(iter);
  luaL_error(state, "as planned");
}

static int new_stubborn(lua_State *L) {
  static const tide_iter_ops ops = {
      .name = "stubborn", .next = counter_next, .close = counter_close, .free = free_and_raise};
  counter *self = tide_alloc(tide_loop_allocator(tide_lua_loop(L)), sizeof *self);
  if (self == NULL) return luaL_error(L, "not enough memory");
  *self = (counter){.loop = tide_lua_loop(L)};
  tide_iter_init(&self->iter, &ops);
  tide_lua_push_iter(L, &self->iter, push_number);
  return 1;
}

static void one_whose_freeing_raises_keeps_none_of_the_others(void) {
  host h;
  open_with_counter(&h);
  state = h.L;
  lua_register(h.L, "stubborn", new_stubborn);
  host_do(&h, "all = {} for i = 1, 6, 2 do all[i], all[i + 1] = counter(1), stubborn() end");
  host_close(&h);
  CHECK_EQ(frees, 6);
}

/* An iterator of C's over a queue of C's: whatever was delivered, and to whom, nothing is lost. */

static tide_queue queue;

static int push_slot(lua_State *L, tide_iter *iter, tide_item item) {
  tide_queue_iter *self = tide_container(iter, tide_queue_iter, iter);
  tide_queue_free(self->queue, (uint32_t)item.number);
  lua_pushinteger(L, item.integer);
  return 1;
}

static void put_one(void) {
  uint32_t slot;
  CHECK_EQ(tide_queue_reserve(&queue, &slot), TIDE_OK);
  CHECK_EQ(tide_queue_try_put(&queue, slot, 0), TIDE_OK);
}

static void a_queue_of_c_gives_lua_its_items(void) {
  host h;
  tide_queue_iter items;
  open_with_counter(&h);
  tide_queue_init(&queue, h.w.loop, TIDE_FIFO, 0);
  tide_queue_iter_init(&items, &queue);
  tide_lua_push_iter(h.L, &items.iter, push_slot);
  lua_setglobal(h.L, "items");
  host_do(&h, "task = spawn(function() for slot in tide.iter(items):each() do say(slot) end say "
              "'end' end)");
  turn(&h.w);
  put_one();
  put_one();
  turn(&h.w);
  put_one();
  host_do(&h, "task:kill()"); /* with the third delivered */
  CHECK_EQ(queue.count, 1);
  host_do(
      &h,
      "spawn(function() say('again', tostring(items())) end)"); /* it was closed with its Iter */
  settle(&h.w);
  CHECK_LUA_LOG(&h, "0, 1, again nil");
  tide_queue_term(&queue);
  host_close(&h);
}

int main(void) {
  RUN(lua_calls_it_for_the_values_of_the_next_step);
  RUN(its_step_and_its_closing_wait_and_others_run);
  RUN(tide_iter_takes_it_and_all_combinators);
  RUN(a_step_that_is_cancelled_did_not_happen);
  RUN(an_error_of_c_is_raised_by_its_kind_and_ends_it);
  RUN(a_second_task_inside_is_told_and_it_goes_on_for_the_first);
  RUN(a_killed_task_leaves_its_place);
  RUN(a_wait_that_a_foreign_resume_swallowed_is_no_step);
  RUN(outside_of_tasks_it_can_be_closed_and_no_step_taken);
  RUN(dropped_it_is_freed_and_not_closed);
  RUN(the_state_may_be_closed_while_tasks_are_inside);
  RUN(one_whose_freeing_raises_keeps_none_of_the_others);
  RUN(a_queue_of_c_gives_lua_its_items);
  return check_summary();
}
