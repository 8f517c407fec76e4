/* A game's main loop: sixty frames a second, of which scripts get two milliseconds each. Three
 * hundred characters are tasks of Lua's, written straight-line; SIGHUP reloads the script while the
 * game goes on. At the end it prints how long the scripts took in each frame.
 *
 *     game_loop [frames [script]] */
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tide_lua.h>
#include <time.h>

enum { FRAME = 16666667, BUDGET = 2000000, BUCKETS = 12 }; /* nanoseconds; of the histogram */

static const char characters[] = "local tide = require 'tide'\n"
                                 "local random = math.random\n"
                                 "world = world or { steps = 0, meetings = 0 }\n"
                                 "local meeting = tide.Semaphore(1)\n"
                                 "local function walk(seconds)\n"
                                 "  local left = seconds\n"
                                 "  while left > 0 do\n"
                                 "    left = left - tide.frame()\n"
                                 "    world.steps = world.steps + 1\n"
                                 "  end\n"
                                 "end\n"
                                 "local function character()\n"
                                 "  while true do\n"
                                 "    walk(random() * 0.5)\n"
                                 "    if tide.move_on_after(0.2, meeting.acquire, meeting) then\n"
                                 "      tide.sleep(0.01)\n"
                                 "      meeting:release()\n"
                                 "      world.meetings = world.meetings + 1\n"
                                 "    end\n"
                                 "  end\n"
                                 "end\n"
                                 "for i = 1, 300 do tide.spawn(character) end\n";

/* ---- the scripts */

typedef struct game {
  tide_loop *loop;
  lua_State *scripts;
  const char *file;  /* NULL: what is above */
  lua_Integer steps; /* of all characters, of scripts that have been unloaded too */
  int reloads;
} game;

/* In protected mode. */
static int load(lua_State *L) {
  const game *self = lua_touserdata(L, 1);
  luaL_openlibs(L);
  tide_lua_open(L, self->loop, NULL);
  int status = self->file != NULL ? luaL_loadfile(L, self->file) : luaL_loadstring(L, characters);
  if (status != LUA_OK) return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

/* A script that does not load leaves the game with the old one. */
static lua_State *new_scripts(game *self) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return NULL;
  lua_pushcfunction(L, load);
  lua_pushlightuserdata(L, self);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return L;
  fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return NULL;
}

static void add_steps(game *self, lua_State *L) {
  if (lua_getglobal(L, "world") == LUA_TTABLE) {
    lua_getfield(L, -1, "steps");
    self->steps += lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void unloaded(lua_State *L, void *context) {
  add_steps(context, L);
  lua_close(L);
}

/* The old ones end in the background, within half a second; the new ones run already. */
static void reload(game *self) {
  lua_State *fresh = new_scripts(self);
  if (fresh == NULL) return;
  if (self->scripts != NULL)
    tide_lua_stop(self->scripts, tide_time_from_seconds(0.5), unloaded, self);
  self->scripts = fresh;
  self->reloads++;
}

/* ---- the frames */

static volatile sig_atomic_t reload_wanted;

static void on_hangup(int signo) {
  (void)signo;
  reload_wanted = 1;
}

static tide_time now(void) { return tide_clock_monotonic(); }

static void wait_until(tide_time when) {
  struct timespec at = {(time_t)(when / 1000000000), (long)(when % 1000000000)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void print_histogram(const int *frames, int count) {
  printf("time of the scripts in %d frames:\n", count);
  for (int i = 0; i < BUCKETS; i++)
    if (frames[i] > 0)
      printf("  %4.2f ms%s  %d\n", i * 0.25, i == BUCKETS - 1 ? " or more" : "", frames[i]);
}

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 120, histogram[BUCKETS] = {0};
  game self = {.loop = tide_loop_new(NULL), .file = argc > 2 ? argv[2] : NULL};
  if (self.loop == NULL) return 1;
  signal(SIGHUP, on_hangup);
  tide_loop_hold(self.loop); /* there will be frames */
  reload(&self);
  if (self.scripts == NULL) return 1;
  tide_time begun = now(), longest = 0;
  for (int frame = 0; frame < count; frame++) {
    tide_time before = now();
    if (reload_wanted) {
      reload_wanted = 0;
      reload(&self);
    }
    tide_loop_frame(self.loop, FRAME);
    tide_loop_tick(self.loop, BUDGET, NULL);
    tide_time span = now() - before;
    int bucket = (int)(span / 250000);
    histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    if (span > longest) longest = span;
    /* ... what else the game does, and draws ... */
    wait_until(begun + (tide_time)(frame + 1) * FRAME);
  }
  tide_loop_release(self.loop);
  add_steps(&self, self.scripts);
  tide_lua_close(self.scripts, 0);
  print_histogram(histogram, count);
  printf("longest %.2f ms, %lld steps, %d reloads\n", (double)longest / 1e6, (long long)self.steps,
         self.reloads - 1);
  tide_loop_free(self.loop);
  return 0;
}
