/* Two scripts, each in a Lua state of its own, in one loop. They share a queue of orders, and a
 * channel of what comes of them; the one that works is unloaded while the other goes on. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <tide_lua.h>

static const char worker[] = "local tide = require 'tide'\n"
                             "tide.spawn(function()\n"
                             "  local _ <close> = tide.defer(print, 'worker: cleans up')\n"
                             "  for order in orders:iter() do\n"
                             "    channel:send { number = order.number }\n"
                             "  end\n"
                             "end)\n";

static const char customer[] =
    "local tide = require 'tide'\n"
    "local sum, count = 0, 0\n"
    "tide.spawn(function()\n"
    "  for n = 1, math.huge do\n"
    "    orders:put { number = n }\n"
    "    tide.sleep(0.01)\n"
    "  end\n"
    "end)\n"
    "tide.spawn(function()\n"
    "  for message in channel:iter() do sum, count = sum + message.number, count + 1 end\n"
    "end)\n"
    "tide.spawn(function()\n"
    "  tide.sleep(0.3)\n"
    "  print('customer: has all, and goes on:', sum == count * (count + 1) // 2 and count > 3)\n"
    "  print('customer: the rest waits:', orders:full())\n"
    "  finished()\n"
    "end)\n";

/* finished(): the program may end */
static int finished(lua_State *L) {
  tide_loop_stop(tide_lua_loop(L));
  return 0;
}

typedef struct plugin {
  lua_State *L;
  const char *script;
  tide_loop *loop;
  tide_channel *channel;
  tide_lua_queue *orders;
} plugin;

/* In protected mode. */
static int load(lua_State *L) {
  const plugin *self = lua_touserdata(L, 1);
  luaL_openlibs(L);
  tide_lua_open(L, self->loop, NULL);
  tide_lua_push_channel(L, self->channel);
  lua_setglobal(L, "channel");
  tide_lua_push_shared_queue(L, self->orders);
  lua_setglobal(L, "orders");
  lua_register(L, "finished", finished);
  if (luaL_dostring(L, self->script) != LUA_OK) lua_error(L);
  return 0;
}

static bool plugin_load(plugin *self) {
  self->L = luaL_newstate();
  if (self->L == NULL) return false;
  lua_pushcfunction(self->L, load);
  lua_pushlightuserdata(self->L, self);
  if (lua_pcall(self->L, 1, 0, 0) == LUA_OK) return true;
  fprintf(stderr, "%s\n", luaL_tolstring(self->L, -1, NULL));
  return false;
}

static void unloaded(lua_State *L, void *context) {
  (void)context;
  lua_close(L);
  printf("program: the worker is unloaded\n");
}

/* A task of the program's own: after a while it has the worker stopped. */
typedef struct unloader {
  tide_task task;
  tide_steps steps;
  plugin *plugin;
} unloader;

static void unload(tide_task *task, int outcome) {
  unloader *self = tide_container(task, unloader, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  TIDE_TRY(tide_task_sleep_until(task, tide_loop_after(task->loop, tide_time_from_seconds(0.1))));
  tide_lua_stop(self->plugin->L, tide_time_from_seconds(1), unloaded, NULL);
  TIDE_END;
}

int main(void) {
  static const tide_task_ops ops = {.name = "unloader", .step = unload};
  tide_loop *loop = tide_loop_new(NULL);
  tide_channel *channel = tide_channel_new(16);
  if (loop == NULL || channel == NULL) return 1;
  tide_lua_queue *orders = tide_lua_queue_new(loop, TIDE_FIFO, 8, NULL);
  if (orders == NULL) return 1;
  plugin first = {.script = worker, .loop = loop, .channel = channel, .orders = orders};
  plugin second = {.script = customer, .loop = loop, .channel = channel, .orders = orders};
  if (!plugin_load(&first) || !plugin_load(&second)) return 1;
  unloader u = {.plugin = &first};
  tide_task_init(&u.task, loop, &ops);
  tide_task_spawn(&u.task, tide_loop_background(loop));
  tide_loop_run(loop, NULL); /* until tide_loop_stop */
  tide_lua_close(second.L, 0);
  tide_channel_unref(channel);
  tide_lua_queue_unref(orders);
  tide_loop_free(loop);
  return 0;
}
