/* iter_to_c.c: C takes from iterators of Lua's; and there and back. */
#include "counter.h"

static tide_iter *iter;
static char texts[512]; /* of all items and errors that C was given */

static void note(const char *text) {
  size_t used = strlen(texts);
  snprintf(texts + used, sizeof texts - used, "%s%s", used > 0 ? ", " : "", text);
}

#define CHECK_TEXTS(expected)    \
  do {                           \
    CHECK_TEXT(texts, expected); \
    texts[0] = '\0';             \
  } while (0)

static host *host_of(actor *self) { return (host *)(void *)self->world; }

static void note_item(actor *self) {
  char text[64] = "";
  lua_State *L = host_of(self)->L;
  int top = lua_gettop(L);
  int count = tide_lua_push_item(L, iter);
  CHECK_EQ(lua_gettop(L), top + count);
  for (int i = 1; i <= count; i++) {
    size_t used = strlen(text);
    snprintf(text + used, sizeof text - used, "%s%s", i > 1 ? " " : "",
             luaL_tolstring(L, top + i, NULL));
    lua_pop(L, 1);
  }
  lua_settop(L, top);
  note(text);
}

static void note_error(actor *self) {
  char text[160];
  lua_State *L = host_of(self)->L;
  tide_lua_push_error(L, iter);
  snprintf(text, sizeof text, "%s: %s", tide_error_kind(self->outcome),
           luaL_tolstring(L, -1, NULL));
  lua_pop(L, 2);
  note(text);
}

/* Takes all there is, then closes. */
static void c_taker(actor *self) {
  tide_item item;
  BEGIN;
  for (;;) {
    STEP(tide_iter_next(iter, &self->task, &item));
    if (self->outcome != TIDE_OK) break;
    CHECK(item.pointer == iter);
    note_item(self);
  }
  if (self->outcome == TIDE_EEOF)
    note("end");
  else
    note_error(self);
  STEP(tide_iter_close(iter, &self->task));
  if (self->outcome != TIDE_OK) note_error(self);
  END;
}

/* The value of the Lua expression as an iterator of C's. */
static void take_from(host *h, const char *expression) {
  char code[600];
  snprintf(code, sizeof code, "return %s", expression);
  host_do(h, code);
  int top = lua_gettop(h->L);
  iter = tide_lua_to_iter(h->L, -1);
  CHECK_EQ(lua_gettop(h->L), top);
  lua_settop(h->L, 0);
}

static void take_all_of(host *h, const char *expression) {
  take_from(h, expression);
  spawn(&h->w, "c", c_taker);
  settle(&h->w);
  tide_iter_free(iter);
}

static void c_takes_from_whatever_tide_iter_takes(void) {
  host h;
  open_with_counter(&h);
  take_all_of(&h, "{ 'a', 'b' }");
  CHECK_TEXTS("a, b, end");
  take_all_of(
      &h, "tide.generator(function(yield) for i = 1, 2 do sleep(1) yield(i, nil, i * i) end end)");
  CHECK_TEXTS("1 nil 1, 2 nil 4, end");
  take_all_of(&h, "(function() local q = tide.Queue() q:put_nowait(5) q:close() return q end)()");
  CHECK_TEXTS("5, end");
  take_all_of(&h, "coroutine.wrap(function() coroutine.yield(false) end)");
  CHECK_TEXTS("false, end");
  take_all_of(&h, "tide.iter { 1, 2, 3 }:map(function(x) sleep(1) return x * 2 end):buffer(2)");
  CHECK_TEXTS("2, 4, 6, end");
  take_all_of(&h, "counter(2)"); /* C, through Lua, from C */
  CHECK_TEXTS("1 n1, 2 n2, end");
  CHECK_EQ(closings, 1);
  host_close(&h);
}

static int to_iter(lua_State *L) {
  tide_lua_to_iter(L, 1);
  return 0;
}

static void what_tide_iter_does_not_take_is_a_bad_argument(void) {
  host h;
  host_open(&h);
  lua_pushcfunction(h.L, to_iter);
  lua_pushboolean(h.L, 1);
  CHECK_EQ(lua_pcall(h.L, 1, 0, 0), LUA_ERRRUN);
  CHECK(strstr(lua_tostring(h.L, -1), "expected, got boolean") != NULL);
  host_close(&h);
}

static void an_error_of_lua_has_a_number_and_is_there_itself(void) {
  static const struct {
    const char *code; /* raises */
    const char *text; /* what C sees */
    int number;
  } cases[] = {
      {"error('text', 0)", "failed: text", TIDE_EFAILED},
      {"error({}, 0)", NULL, TIDE_EFAILED},
      {"error(nil)", "failed: nil", TIDE_EFAILED},
      {"error(tide.error('mine', 'm'))", "failed: mine: m", TIDE_EFAILED},
      {"error(tide.error('closed', 'm'))", "closed: closed: m", TIDE_ECLOSED},
      {"error(tide.error('invalid_state', 'm'))", "invalid_state: invalid_state: m",
       TIDE_EINVALID_STATE},
      {"error(tide.error('os', 'm', { errno = 28 }))", "os: os: m", TIDE_OS(28)},
      {"tide.timeout(1, sleep, 2)", "timeout: timeout: the deadline passed", TIDE_ETIMEOUT},
      {"error('not enough memory', 0)", "limit: not enough memory", TIDE_ENOMEM},
      {"tide.current_task():cancel('why') sleep(1)", "cancelled: cancelled: cancelled",
       TIDE_ECANCELLED},
  };
  char code[200];
  host h;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    open_with_counter(&h);
    snprintf(check_state.context, sizeof check_state.context, "%s", cases[i].code);
    snprintf(code, sizeof code, "function() sleep(1) %s end", cases[i].code);
    take_from(&h, code);
    actor *a = spawn(&h.w, "c", c_taker);
    for (unsigned t = 0; a->outcome != cases[i].number && t < 100; t++)
      if (tide_loop_turn(h.w.loop, true) != TIDE_OK || actor_ended(a)) break;
    settle(&h.w);
    CHECK(actor_ended(a));
    if (cases[i].text != NULL) CHECK_TEXTS(cases[i].text);
    texts[0] = '\0';
    tide_iter_free(iter);
    host_close(&h);
  }
  check_state.context[0] = '\0';
}

/* One step. */
static void c_taker_of_one(actor *self) {
  tide_item item;
  BEGIN;
  STEP(tide_iter_next(iter, &self->task, &item));
  if (self->outcome == TIDE_OK)
    note_item(self);
  else
    note(tide_error_kind(self->outcome));
  END;
}

static void a_cancelled_step_cancels_luas_and_the_next_goes_on(void) {
  host h;
  open_with_counter(&h);
  take_from(&h, "tide.iter(function()\n"
                "  local _ <close> = closer(function(_, err) say(err and err.kind or 'left') end)\n"
                "  sleep(1)\n"
                "  return 'value'\n"
                "end)");
  actor *a = spawn(&h.w, "a", c_taker_of_one);
  turn(&h.w);
  turn(&h.w);
  tide_task_cancel(&a->task);
  settle(&h.w);
  CHECK_LUA_LOG(&h, "cancelled");
  CHECK(actor_failed_with(a, TIDE_ECANCELLED));
  spawn(&h.w, "b", c_taker_of_one);
  settle(&h.w);
  CHECK_TEXTS("cancelled, value");
  tide_iter_free(iter);
  host_close(&h);
}

static void a_step_whose_taker_was_killed_is_the_next_takers(void) {
  host h;
  open_with_counter(&h);
  take_from(&h, "tide.generator(function(yield) for i = 1, 3 do sleep(1) yield(i) end end)");
  for (int done = 0; done <= 1; done++) { /* while Lua's step is on its way; when it is done */
    actor *a = spawn(&h.w, "a", c_taker_of_one);
    turn(&h.w);
    actor_kill(a);
    if (done) settle(&h.w);
    spawn(&h.w, "b", c_taker_of_one);
    settle(&h.w);
  }
  spawn(&h.w, "c", c_taker);
  settle(&h.w);
  CHECK_TEXTS("1, 2, 3, end");
  tide_iter_free(iter);
  host_close(&h);
}

static void c_closer(actor *self) {
  BEGIN;
  STEP(tide_iter_close(iter, &self->task));
  note(self->outcome == TIDE_OK ? "closed" : tide_error_kind(self->outcome));
  if (self->outcome < TIDE_OK) note_error(self);
  END;
}

static const char generator[] =
    "tide.generator(function(yield)\n"
    "  local _ <close> = closer(function() sleep(1) say 'cleaned up' end)\n"
    "  for i = 1, 9 do sleep(1) yield(i) end\n"
    "end)";

static void closing_waits_for_luas_cleanup_also_in_a_cancelled_task(void) {
  host h;
  open_with_counter(&h);
  take_from(&h, generator);
  spawn(&h.w, "a", c_taker_of_one);
  settle(&h.w);
  tide_time before = tide_loop_now(h.w.loop);
  actor *b = spawn(&h.w, "b", c_closer);
  turn(&h.w);
  tide_task_cancel(&b->task);
  settle(&h.w);
  CHECK_EQ(tide_loop_now(h.w.loop) - before, 1000000000);
  CHECK_LUA_LOG(&h, "cleaned up");
  spawn(&h.w, "c", c_taker);
  settle(&h.w);
  CHECK_TEXTS("1, closed, end");
  tide_iter_free(iter);
  host_close(&h);
}

static void a_step_that_a_killed_task_left_is_cancelled_before_closing(void) {
  host h;
  open_with_counter(&h);
  take_from(&h, generator);
  actor *a = spawn(&h.w, "a", c_taker_of_one);
  turn(&h.w);
  turn(&h.w);
  actor_kill(a);
  spawn(&h.w, "b", c_closer);
  settle(&h.w);
  CHECK_TEXTS("closed");
  tide_iter_free(iter);
  host_close(&h);
}

static void an_error_of_luas_cleanup_is_closings(void) {
  host h;
  open_with_counter(&h);
  take_from(
      &h,
      "tide.iter(function() return 1 end, nil, nil, closer(function() error('cleanup', 0) end))");
  actor *a = spawn(&h.w, "a", c_closer);
  settle(&h.w);
  CHECK(actor_failed_with(a, TIDE_EFAILED));
  CHECK_TEXTS("failed, failed: cleanup");
  tide_iter_free(iter);
  host_close(&h);
}

static void a_second_task_of_cs_is_told(void) {
  host h;
  open_with_counter(&h);
  take_from(&h, "function() sleep(1) return 1 end");
  spawn(&h.w, "a", c_taker_of_one);
  actor *b = spawn(&h.w, "b", c_taker_of_one), *c = spawn(&h.w, "c", c_closer);
  settle(&h.w);
  CHECK(actor_failed_with(b, TIDE_EBUSY));
  CHECK(actor_failed_with(c, TIDE_EBUSY));
  CHECK_TEXTS("invalid_state, invalid_state, invalid_state: nil, 1");
  tide_iter_free(iter);
  host_close(&h);
}

static void freed_unclosed_it_is_left_to_the_collector_and_its_step_cancelled(void) {
  host h;
  open_with_counter(&h);
  take_from(&h, "tide.iter(function()\n"
                "  local _ <close> = closer(function(_, err) say(err.kind) end)\n"
                "  sleep(9)\n"
                "end)");
  actor *a = spawn(&h.w, "a", c_taker_of_one);
  turn(&h.w);
  turn(&h.w);
  actor_kill(a);
  tide_iter_free(iter);
  tide_time before = tide_loop_now(h.w.loop);
  settle(&h.w);
  CHECK_EQ(tide_loop_now(h.w.loop), before);
  CHECK_LUA_LOG(&h, "cancelled");
  take_from(&h, "counter(3)");
  tide_iter_free(iter);
  host_collect_garbage(&h);
  CHECK_EQ(frees, 1);
  host_close(&h);
}

static void the_state_may_go_before_the_iterator(void) {
  host h;
  for (unsigned turns = 0; turns < 3; turns++) { /* before a step; in it; when it is done */
    open_with_counter(&h);
    take_from(&h, "function() sleep(turns and 1 or 0) return 1 end");
    actor *a = spawn(&h.w, "a", c_taker_of_one);
    for (unsigned i = 0; i < turns; i++) turn(&h.w);
    host_close_state(&h);
    tide_iter_free(iter);
    a->task.state = TIDE_TASK_ENDED; /* it was dropped with the loop */
    host_close(&h);
    texts[0] = '\0';
  }
}

/* There and back: an iterator of C's over one of Lua's, for Lua. */

typedef struct relay {
  tide_iter iter;
  tide_iter *source; /* owned */
  tide_loop *loop;   /* whose memory it is */
} relay;

static int relay_next(tide_iter *self, tide_task *task, int outcome, tide_item *item) {
  (void)outcome;
  return tide_iter_next(tide_container(self, relay, iter)->source, task, item);
}

static int relay_close(tide_iter *self, tide_task *task, int outcome) {
  (void)outcome;
  return tide_iter_close(tide_container(self, relay, iter)->source, task);
}

static void relay_free(tide_iter *self) {
  relay *whole = tide_container(self, relay, iter);
  tide_iter_free(whole->source);
  tide_free(tide_loop_allocator(whole->loop), whole, sizeof *whole);
}

static const tide_iter_ops relay_ops = {
    .name = "relay", .next = relay_next, .close = relay_close, .free = relay_free};

static int push_relayed(lua_State *L, tide_iter *self, tide_item item) {
  (void)self;
  return tide_lua_push_item(L, item.pointer);
}

/* relay(x) -> HostIter over tide.iter(x) */
static int new_relay(lua_State *L) {
  tide_loop *loop = tide_lua_loop(L);
  tide_iter *source = tide_lua_to_iter(L, 1);
  relay *self = tide_alloc(tide_loop_allocator(loop), sizeof *self);
  if (self == NULL) {
    tide_iter_free(source);
    return luaL_error(L, "not enough memory");
  }
  *self = (relay){.source = source, .loop = loop};
  tide_iter_init(&self->iter, &relay_ops);
  tide_lua_push_iter(L, &self->iter, push_relayed);
  return 1;
}

static const char there_and_back[] =
    "run(function()\n"
    "  for a, b in tide.iter(relay(tide.generator(function(yield)\n"
    "    local _ <close> = closer(function() sleep(0) say 'cleaned up' end)\n"
    "    for i = 1, 5 do sleep(i % 2) yield(i, 'v') end\n"
    "  end))):map(function(x, v) return x * 2, v end):each() do\n"
    "    say(a, b)\n"
    "    if a == 6 then break end\n"
    "  end\n"
    "  local ok, err = pcall(relay(relay(function() sleep(0) tide.timeout(0.001, sleep, 1) end)))\n"
    "  say(tostring(ok), kind(err))\n"
    "  local queue = tide.Queue()\n"
    "  local it = relay(relay(queue))\n"
    "  say(tostring(tide.move_on_after(0.001, it)))\n"
    "  queue:put(7) queue:close()\n"
    "  say(it()) say(tostring(it()))\n"
    "end)";

static void open_with_relay(host *h) {
  open_with_counter(h);
  lua_register(h->L, "relay", new_relay);
  host_do(h, "tide.on_failure(function() end)");
}

static void lua_takes_from_c_which_takes_from_lua(void) {
  host h;
  open_with_relay(&h);
  host_do(&h, there_and_back);
  CHECK_LUA_LOG(&h, "2 v, 4 v, 6 v, cleaned up, false timeout, false, 7, nil");
  host_close(&h);
}

static void a_killed_task_may_be_inside_what_is_collected_at_that_moment(void) {
  host h;
  open_with_relay(&h);
  host_do(&h,
          "tide.on_failure(function(what, err) collectgarbage() collectgarbage() say(err) end)\n"
          "run(function()\n"
          "  local task = spawn(function()\n"
          "    local _ <close> = closer(function() error('in cleanup', 0) end)\n"
          "    relay(relay(function() sleep(1) return 1 end))()\n"
          "  end)\n"
          "  sleep(0) sleep(0)\n"
          "  task:kill()\n"
          "end)");
  CHECK_LUA_LOG(&h, "in cleanup");
  host_close(&h);
}

/* Blows: the victim takes from Lua's, another actor takes what it has left. */

static host blown;

static void victim_of_lua(actor *self) {
  tide_item item;
  BEGIN;
  for (;;) {
    STEP(tide_iter_next(iter, &self->task, &item));
    if (self->outcome != TIDE_OK) break;
    note_item(self);
    WAIT(tide_task_yield(&self->task));
    if (self->outcome != TIDE_OK) break;
  }
  END;
}

static void heir_of_lua(actor *self) {
  BEGIN;
  WAIT(tide_future_wait(&self->world->victim->task.future, &self->task, true));
  self->body = c_taker;
  self->at = 0;
  self->outcome = TIDE_OK;
  c_taker(self);
  return;
  END;
}

static bool play_on_lua(blow how, unsigned when) {
  snprintf(check_state.context, sizeof check_state.context, "blow %d at suspension %u", (int)how,
           when);
  open_with_counter(&blown);
  host_do(&blown,
          "queue = tide.Queue()\n"
          "spawn(function() for i = 1, 5 do queue:put(i) sleep(i % 3) end queue:close() end)");
  take_from(&blown, "tide.iter(queue):map(function(x) return x end)");
  world *w = &blown.w;
  w->blow = how;
  w->when = when;
  w->victim = spawn(w, "v", victim_of_lua);
  spawn(w, "h", heir_of_lua);
  settle(w);
  CHECK_TEXTS("1, 2, 3, 4, 5, end");
  tide_iter_free(iter);
  host_close(&blown);
  return w->struck;
}

static void who_takes_from_lua_may_be_struck_at_any_wait_and_nothing_is_lost(void) {
  for (blow how = 0; how < BLOWS; how++) {
    unsigned when = 1;
    while (play_on_lua(how, when)) when = check_next(when);
    CHECK(when > 1 || how >= READY_CANCEL);
  }
}

/* Shortages, at every so many points: the scenarios raise or succeed, and nothing is left. */

static void play_shortages(memory *(*of)(host *h), void (*open)(host *h), void (*play)(host *h),
                           unsigned stride) {
  host h;
  memory *supply;
  unsigned failing = 1;
  for (;;) {
    snprintf(check_state.context, sizeof check_state.context, "allocation %u fails", failing);
    texts[0] = '\0';
    open(&h);
    supply = of(&h);
    supply->fail_at = supply->allocations + failing;
    play(&h);
    check_all_ended(&h.w);
    bool failed = supply->allocations >= supply->fail_at;
    supply->fail_at = 0;
    host_close(&h);
    if (!failed) break;
    failing = check_next(failing) + stride - 1;
  }
  CHECK(failing > 1);
  texts[0] = '\0';
}

static memory *luas_of(host *h) { return &h->luas; }
static memory *cores_of(host *h) { return &h->w.memory; }

static void go_there_and_back(host *h) {
  if (luaL_dostring(h->L, there_and_back) != LUA_OK) lua_settop(h->L, 0);
}

static void memory_may_run_short_on_the_way_there_and_back(void) {
  play_shortages(luas_of, open_with_relay, go_there_and_back, 7);
  play_shortages(cores_of, open_with_relay, go_there_and_back, 1);
}

static int to_iter_kept(lua_State *L) {
  iter = tide_lua_to_iter(L, 1);
  return 0;
}

static void bare_taker(actor *self) {
  tide_item item;
  BEGIN;
  for (;;) {
    STEP(tide_iter_next(iter, &self->task, &item));
    if (self->outcome != TIDE_OK) break;
  }
  STEP(tide_iter_close(iter, &self->task));
  self->outcome = TIDE_OK;
  END;
}

static void take_bare(host *h) {
  lua_pushcfunction(h->L, to_iter_kept);
  lua_getglobal(h->L, "list");
  if (lua_pcall(h->L, 1, 0, 0) == LUA_OK) {
    spawn(&h->w, "c", bare_taker);
    settle(&h->w);
    tide_iter_free(iter);
  }
  lua_settop(h->L, 0);
}

static void open_with_list(host *h) {
  open_with_counter(h);
  host_do(h, "list = { 1, 2 } tide.on_failure(function() end)");
}

static void memory_of_lua_or_the_core_may_run_short_in_steps_of_c(void) {
  play_shortages(luas_of, open_with_list, take_bare, 1);
  play_shortages(cores_of, open_with_list, take_bare, 1);
}

int main(void) {
  RUN(c_takes_from_whatever_tide_iter_takes);
  RUN(what_tide_iter_does_not_take_is_a_bad_argument);
  RUN(an_error_of_lua_has_a_number_and_is_there_itself);
  RUN(a_cancelled_step_cancels_luas_and_the_next_goes_on);
  RUN(a_step_whose_taker_was_killed_is_the_next_takers);
  RUN(closing_waits_for_luas_cleanup_also_in_a_cancelled_task);
  RUN(a_step_that_a_killed_task_left_is_cancelled_before_closing);
  RUN(an_error_of_luas_cleanup_is_closings);
  RUN(a_second_task_of_cs_is_told);
  RUN(freed_unclosed_it_is_left_to_the_collector_and_its_step_cancelled);
  RUN(the_state_may_go_before_the_iterator);
  RUN(lua_takes_from_c_which_takes_from_lua);
  RUN(a_killed_task_may_be_inside_what_is_collected_at_that_moment);
  RUN(who_takes_from_lua_may_be_struck_at_any_wait_and_nothing_is_lost);
  RUN(memory_may_run_short_on_the_way_there_and_back);
  RUN(memory_of_lua_or_the_core_may_run_short_in_steps_of_c);
  return check_summary();
}
