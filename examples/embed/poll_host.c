/* tide beside a loop of the program's own, which polls descriptors: its standard input, and the one
 * that tells when there is something to do for tide. Each line becomes an item of a Queue that a
 * script reads, while another one keeps time. */
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <tide_lua.h>
#include <unistd.h>

enum { BUDGET = 2000000 }; /* nanoseconds a tick */

static const char script[] =
    "local tide = require 'tide'\n"
    "local ticks = 0\n"
    "local clock = tide.spawn(function() while true do tide.sleep(0.005) ticks = ticks + 1 end "
    "end)\n"
    "tide.spawn(function()\n"
    "  for line in tide.iter(lines):each() do\n"
    "    tide.sleep(0.01)\n"
    "    print('script: ' .. line:upper())\n"
    "  end\n"
    "  clock:cancel()\n"
    "  print('script: no more lines, the clock ' .. (ticks > 0 and 'went on' or 'stood still'))\n"
    "end)\n";

/* In protected mode: the state, its Queue `lines` of which the core's part is returned. */
static int open(lua_State *L) {
  luaL_openlibs(L);
  tide_lua_open(L, lua_touserdata(L, 1), NULL);
  tide_queue *lines = tide_lua_push_queue(L, TIDE_FIFO, 0);
  lua_setglobal(L, "lines");
  if (luaL_dostring(L, script) != LUA_OK) lua_error(L);
  lua_pushlightuserdata(L, lines);
  return 1;
}

/* In protected mode: gives a line to the script. */
static int put_line(lua_State *L) {
  tide_queue *lines = lua_touserdata(L, 1);
  uint32_t slot = tide_lua_queue_store(L, lines); /* takes the line on top */
  if (tide_queue_try_put(lines, slot, 0) != TIDE_OK) {
    tide_lua_queue_take(L, lines, slot);
    lua_pop(L, 1);
  }
  return 0;
}

static void give_lines(lua_State *L, tide_queue *lines, char *text) {
  for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    lua_pushcfunction(L, put_line);
    lua_pushlightuserdata(L, lines);
    lua_pushstring(L, line);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
  }
}

int main(void) {
  tide_loop *loop = tide_loop_new(NULL);
  lua_State *L = luaL_newstate();
  if (loop == NULL || L == NULL) return 1;
  lua_pushcfunction(L, open);
  lua_pushlightuserdata(L, loop);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
    return 1;
  }
  tide_queue *lines = lua_touserdata(L, -1);
  lua_pop(L, 1);
  struct pollfd watched[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                             {.fd = tide_loop_fd(loop), .events = POLLIN}};
  bool open_input = true;
  while (open_input || tide_loop_deadline(loop) != TIDE_NEVER) {
    if (poll(watched, 2, -1) < 0 && errno != EINTR) return 1;
    if (watched[0].revents != 0) {
      char text[4096];
      ssize_t got = read(STDIN_FILENO, text, sizeof text - 1);
      text[got > 0 ? got : 0] = '\0';
      give_lines(L, lines, text);
      if (got <= 0) {
        open_input = false;
        watched[0].fd = -1;
        tide_queue_close(lines, false);
      }
    }
    if (watched[1].revents != 0) tide_loop_tick(loop, BUDGET, NULL);
  }
  lua_close(L);
  tide_loop_free(loop);
  return 0;
}
