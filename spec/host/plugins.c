/* plugins.c: a host loads, runs and unloads plugins, a thousand times: what they waited for, made
 * and were given goes with them, and a neighbour that shares a channel with them goes on. */
#include <fcntl.h>

#include "states.h"

static const tide_time SECOND = 1000000000;

/* C functions that plugins wait in: enemy(n) until the host says that one has come. */

typedef struct enemy_wait {
  tide_completion completion; /* first */
  tide_list link;             /* among those that wait, or alone */
  int enemy;                  /* who came */
} enemy_wait;

static tide_list waits; /* of all plugins */
static int records;     /* that were made and not freed */

static tide_taken_back forget(tide_completion *completion) {
  tide_list_remove(&((enemy_wait *)(void *)completion)->link);
  return TIDE_TAKEN_BACK;
}

static int push(lua_State *L, tide_completion *completion) {
  lua_pushinteger(L, ((enemy_wait *)(void *)completion)->enemy);
  return 1;
}

static void count_down(tide_completion *completion) {
  (void)completion;
  records--;
}

static int l_enemy(lua_State *L) {
  static const tide_lua_ops ops = {
      .name = "enemy", .cancel = forget, .push = push, .free = count_down};
  int enemy = (int)luaL_checkinteger(L, 1);
  enemy_wait *self = tide_lua_begin(L, sizeof *self, &ops);
  self->enemy = enemy;
  tide_list_append(&waits, &self->link);
  records++;
  return tide_lua_wait(L, &self->completion);
}

static void enemies_come(void) {
  while (!tide_list_empty(&waits)) {
    enemy_wait *first = tide_container(waits.next, enemy_wait, link);
    tide_list_remove(&first->link);
    tide_completion_end(&first->completion, TIDE_OK);
  }
}

/* The host. */

typedef struct plugin {
  lua_State *L;  /* NULL: none is loaded */
  memory memory; /* the state's */
  int told;      /* ends of its hooks that the host has heard of */
  int begun;     /* those that it has called */
} plugin;

static tide_loop *loop;
static tide_channel *channel; /* from plugins to the neighbour */
static plugin it;

static void *plugin_alloc(void *context, void *block, size_t old_size, size_t new_size) {
  return memory_resize(context, block, block == NULL ? 0 : old_size, new_size);
}

static void unloaded(lua_State *L, void *context) {
  plugin *self = context;
  self->L = NULL;
  lua_close(L);
}

/* quit(): a plugin unloads itself */
static int l_quit(lua_State *L) {
  lua_pushinteger(L, tide_lua_stop(L, SECOND, unloaded, &it));
  return 1;
}

static int open_plugin(lua_State *L) {
  luaL_openlibs(L);
  tide_lua_open(L, loop, NULL);
  lua_setglobal(L, "tide");
  tide_lua_push_channel(L, channel);
  lua_setglobal(L, "channel");
  lua_register(L, "enemy", l_enemy);
  lua_register(L, "quit", l_quit);
  if (luaL_loadstring(L, lua_touserdata(L, 1)) != LUA_OK) return lua_error(L);
  tide_lua_spawn(L, 0, NULL);
  return 0;
}

static void load_plugin(const char *code) {
  it.L = lua_newstate(plugin_alloc, &it.memory);
  CHECK(it.L != NULL);
  lua_pushcfunction(it.L, open_plugin);
  lua_pushlightuserdata(it.L, (void *)(uintptr_t)code);
  if (lua_pcall(it.L, 1, 0, 0) != LUA_OK)
    check_text(__FILE__, __LINE__, "an error", luaL_tolstring(it.L, -1, NULL), "");
}

static void hook_ended(lua_State *L, int error, int count, void *context) {
  (void)L;
  (void)error;
  (void)count;
  ((plugin *)context)->told++;
}

/* In protected mode: the plugin's hook, if it has one. */
static int call_hook(lua_State *L) {
  if (lua_getglobal(L, "on_event") == LUA_TNIL) return 0;
  lua_pushinteger(L, 1);
  tide_lua_spawn_cb(L, 1, hook_ended, &it);
  it.begun++;
  return 0;
}

static void send_event(void) {
  lua_pushcfunction(it.L, call_hook);
  CHECK_EQ(lua_pcall(it.L, 0, 0, 0), LUA_OK);
}

static const char *const plugins[] = {
    /* well-behaved */
    "function on_event(n) tide.sleep(0.1) channel:send(n) end\n"
    "local q = tide.Queue(1)\n"
    "tide.spawn(function() for i in q:iter() do channel:send(i) end end)\n"
    "while true do q:put(enemy(3)) end",
    /* waits in cleanup */
    "tide.on_failure(function() end)\n"
    "function on_event() tide.shield(tide.sleep, 0.2) error 'no' end\n"
    "local _ <close> = setmetatable({}, { __close = function() tide.shield(tide.sleep, 0.5) end "
    "})\n"
    "enemy(1)",
    /* does not go by itself */
    "tide.on_failure(function() end)\n"
    "while true do tide.raw.pcall(tide.shield, tide.sleep, 1000) end",
    /* has descriptors, callbacks, timeouts and a group */
    "local a, b = tide.net.pair()\n"
    "a:write(('x'):rep(1000))\n"
    "call, handle = tide.callback(function() end) call()\n"
    "tide.spawn(tide.await_callback, function(done) late = done end)\n"
    "tide.TaskGroup(function(g)\n"
    "  g:spawn(tide.timeout, 50, b.read_until, b, 'y')\n"
    "  g:spawn(enemy, 2)\n"
    "  g:spawn(function() for _ in tide.interval(0.1):each() do call() end end)\n"
    "end)",
    /* unloads itself */
    "function on_event() quit() tide.sleep(9) end\n"
    "tide.sleep(100)",
};

enum { PLUGINS = sizeof plugins / sizeof plugins[0] };

static int count_descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

/* Loads it, has it run for some turns, and unloads it: by a stop, or all at once. */
static void load_and_unload(int round) {
  it.told = it.begun = 0;
  load_plugin(plugins[round % PLUGINS]);
  for (int i = 0; i < round % 11 && it.L != NULL; i++) {
    if (i % 3 == 1) send_event();
    if (i % 4 == 3) enemies_come();
    tide_loop_turn(loop, true);
  }
  if (round % 7 == 6 && it.L != NULL) {
    lua_close(it.L);
    it.L = NULL;
  } else if (it.L != NULL) {
    int error = tide_lua_stop(it.L, SECOND, unloaded, &it);
    CHECK(error == TIDE_OK || error == TIDE_EALREADY_RUNNING);
    CHECK_EQ(tide_lua_stop(it.L, SECOND, unloaded, &it), TIDE_EALREADY_RUNNING);
  }
  for (int i = 0; i < 1000 && it.L != NULL; i++) tide_loop_turn(loop, true);
  CHECK(it.L == NULL);
  CHECK_EQ(it.memory.in_use, 0);
  CHECK_EQ(it.told, it.begun);
  CHECK_EQ(records, 0);
  CHECK(tide_list_empty(&waits));
}

static void a_thousand_come_and_go_and_leave_nothing(void) {
  memory cores = {0};
  const tide_allocator allocator = {.resize = memory_resize, .context = &cores};
  size_t first = 0;
  int descriptors = 0;
  tide_list_init(&waits);
  loop = tide_loop_new(&allocator);
  channel = tide_channel_new(4);
  CHECK(loop != NULL && channel != NULL);
  tide_loop_set_virtual_clock(loop);
  lua_State *other = state_new(loop);
  tide_lua_push_channel(other, channel);
  lua_setglobal(other, "channel");
  run_code(other,
           "got, frames = 0, 0\n"
           "tide.spawn(function() while channel:recv() do got = got + 1 end end)\n"
           "tide.spawn(function() while true do tide.sleep(0.05) frames = frames + 1 end end)");
  for (int round = 0; round < 1000; round++) {
    lua_Integer frames = number(other, "frames");
    snprintf(check_state.context, sizeof check_state.context, "round %d", round);
    load_and_unload(round);
    for (int i = 0; i < 5; i++) tide_loop_turn(loop, true);
    CHECK(number(other, "frames") > frames);
    if (round == 100) {
      first = cores.in_use;
      descriptors = count_descriptors();
    }
    if (round > 100 && round % PLUGINS == 0) CHECK(cores.in_use <= first + 1000);
    if (round > 100) CHECK(count_descriptors() <= descriptors + 1);
  }
  CHECK(number(other, "got") > 0);
  CHECK_EQ(tide_lua_close(other, SECOND), TIDE_OK);
  tide_channel_unref(channel);
  tide_loop_send_all(loop);
  tide_loop_free(loop);
  CHECK_EQ(cores.in_use, 0);
}

int main(void) {
  RUN(a_thousand_come_and_go_and_leave_nothing);
  return check_summary();
}
