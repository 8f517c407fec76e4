/* tide beside a loop that waits for events of its own and can watch no descriptor, as SDL's does:
 * here a condition variable and a few events. tide's thread posts an event when there is something
 * to do, and the loop ticks. A keyboard, another thread, types meanwhile. */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <tide_lua.h>
#include <time.h>

enum { BUDGET = 2000000, KEYS = 4 }; /* nanoseconds a tick; keys that are typed */

typedef enum event { TICK = 1, KEY } event;

/* The events of the program's loop: what SDL_PushEvent and SDL_WaitEvent would be. */
typedef struct events {
  pthread_mutex_t lock;
  pthread_cond_t came;
  event waiting[64];
  int count;
} events;

static void push(events *self, event what) {
  pthread_mutex_lock(&self->lock);
  if (self->count < 64) self->waiting[self->count++] = what;
  pthread_cond_signal(&self->came);
  pthread_mutex_unlock(&self->lock);
}

static event wait_for_event(events *self) {
  pthread_mutex_lock(&self->lock);
  while (self->count == 0) pthread_cond_wait(&self->came, &self->lock);
  event first = self->waiting[0];
  for (int i = 1; i < self->count; i++) self->waiting[i - 1] = self->waiting[i];
  self->count--;
  pthread_mutex_unlock(&self->lock);
  return first;
}

static void wake(void *context) { push(context, TICK); } /* in tide's thread */

static void *type_keys(void *context) {
  for (int i = 0; i < KEYS; i++) {
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    push(context, KEY);
  }
  return NULL;
}

static const char script[] =
    "local tide = require 'tide'\n"
    "local blinks = 0\n"
    "local cursor = tide.spawn(function() while true do tide.sleep(0.005) blinks = blinks + 1 end "
    "end)\n"
    "key = tide.Event()\n"
    "tide.spawn(function()\n"
    "  for i = 1, 4 do key:wait() key:clear() print('script: key', i) end\n"
    "  cursor:cancel()\n"
    "  print('script: the cursor ' .. (blinks > 4 and 'blinked' or 'stood still'))\n"
    "end)\n";

/* In protected mode: the state, whose event `key` is returned. */
static int open(lua_State *L) {
  luaL_openlibs(L);
  tide_lua_open(L, lua_touserdata(L, 1), NULL);
  if (luaL_dostring(L, script) != LUA_OK) lua_error(L);
  lua_getglobal(L, "key");
  lua_pushlightuserdata(L, tide_lua_to_event(L, -1)); /* good while `key` is a global */
  return 1;
}

int main(void) {
  events all = {.lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER};
  pthread_t keyboard;
  tide_loop *loop = tide_loop_new(NULL);
  lua_State *L = luaL_newstate();
  if (loop == NULL || L == NULL) return 1;
  lua_pushcfunction(L, open);
  lua_pushlightuserdata(L, loop);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
    return 1;
  }
  tide_event *key = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (tide_loop_guest_start(loop, wake, &all) != TIDE_OK) return 1;
  if (pthread_create(&keyboard, NULL, type_keys, &all) != 0) return 1;
  for (int keys = 0; keys < KEYS || tide_loop_deadline(loop) != TIDE_NEVER;) {
    if (wait_for_event(&all) == KEY) {
      keys++;
      tide_event_set(key);
    }
    tide_loop_tick(loop, BUDGET, NULL);
  }
  pthread_join(keyboard, NULL);
  tide_loop_guest_stop(loop);
  lua_close(L);
  tide_loop_free(loop);
  return 0;
}
