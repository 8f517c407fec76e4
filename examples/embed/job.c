/* Work that blocks, made awaitable for scripts: sum(path) reads a file in a thread of the loop's
 * pool while other tasks go on. A timeout has the thread end soon, and does not wait for it. */
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <tide_lua.h>

typedef struct summing {
  tide_job job;   /* first */
  char path[256]; /* what the work needs is in the record: it knows nothing of Lua */
  long bytes;
  unsigned sum;
  int error; /* errno, or 0 */
  int stop;  /* atomic */
} summing;

/* In a thread of the pool. */
static void add_up(tide_job *job) {
  summing *self = tide_container(job, summing, job);
  FILE *file = fopen(self->path, "rb");
  if (file == NULL) {
    self->error = errno;
    return;
  }
  unsigned char piece[4096];
  for (size_t got; (got = fread(piece, 1, sizeof piece, file)) > 0; self->bytes += (long)got) {
    if (__atomic_load_n(&self->stop, __ATOMIC_RELAXED)) break;
    for (size_t i = 0; i < got; i++) self->sum += piece[i];
  }
  fclose(file);
}

/* In the loop's thread, meanwhile. */
static void stop(tide_job *job) {
  __atomic_store_n(&tide_container(job, summing, job)->stop, 1, __ATOMIC_RELAXED);
}

/* In the task, afterwards. */
static int push_sum(lua_State *L, tide_completion *completion) {
  const summing *self = tide_container(completion, summing, job.completion);
  if (self->error != 0) return tide_lua_raise(L, TIDE_OS(self->error), NULL);
  lua_pushinteger(L, self->sum);
  lua_pushinteger(L, self->bytes);
  return 2;
}

static int l_sum(lua_State *L) {
  static const tide_lua_ops ops = {.name = "sum", .push = push_sum, .interrupt = stop};
  const char *path = luaL_checkstring(L, 1);
  summing *self = tide_lua_begin_job(L, sizeof *self, add_up, &ops);
  snprintf(self->path, sizeof self->path, "%s", path);
  return tide_lua_wait_job(L, &self->job, NULL);
}

static const char script[] =
    "local tide = require 'tide'\n"
    "tide.run(function()\n"
    "  local path = os.tmpname()\n"
    "  local file <close> = io.open(path, 'w')\n"
    "  file:write 'abc'\n"
    "  file:flush()\n"
    "  print('sum, bytes:', sum(path))\n"
    "  os.remove(path)\n"
    "  local ok, err = pcall(sum, path)\n"
    "  print('removed:', ok, err.code)\n"
    "  local ticks, endless = 0, tide.spawn(pcall, tide.timeout, 0.05, sum, '/dev/zero')\n"
    "  while not endless:done() do tide.sleep(0.005) ticks = ticks + 1 end\n"
    "  ok, err = endless:await()\n"
    "  print('endless:', ok, err.kind, ticks > 2 and 'others went on')\n"
    "end)\n";

int main(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "tide", luaopen_tide, 0);
  lua_register(L, "sum", l_sum);
  int status = luaL_dostring(L, script);
  if (status != LUA_OK) fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return status;
}
