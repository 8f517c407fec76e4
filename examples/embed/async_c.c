/* A C library with callbacks, from a thread of its own, made awaitable for scripts: resolve(name)
 * waits, others run meanwhile, and a timeout takes the request back. */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tide_lua.h>
#include <unistd.h>

/* ---- the library: slow_lookup calls back from a thread, unless it was taken back before */

typedef void (*lookup_fn)(void *context, int answer);

typedef struct lookup {
  pthread_mutex_t lock;
  lookup_fn fn; /* NULL: taken back, or called */
  void *context;
  char name[64];
} lookup;

static void *look_up(void *arg) {
  lookup *self = arg;
  usleep(strcmp(self->name, "slow") == 0 ? 200000 : 10000);
  pthread_mutex_lock(&self->lock);
  lookup_fn fn = self->fn;
  self->fn = NULL;
  pthread_mutex_unlock(&self->lock);
  if (fn != NULL) fn(self->context, (int)strlen(self->name));
  pthread_mutex_destroy(&self->lock);
  free(self);
  return NULL;
}

static lookup *slow_lookup(const char *name, lookup_fn fn, void *context) {
  lookup *self = calloc(1, sizeof *self);
  pthread_t thread;
  if (self == NULL) return NULL;
  *self = (lookup){.fn = fn, .context = context};
  pthread_mutex_init(&self->lock, NULL);
  snprintf(self->name, sizeof self->name, "%s", name);
  if (pthread_create(&thread, NULL, look_up, self) != 0) {
    free(self);
    return NULL;
  }
  pthread_detach(thread);
  return self;
}

/* ---- the same for scripts */

typedef struct request {
  tide_completion completion; /* first */
  int answer;
} request;

/* In the library's thread. */
static void on_answer(void *context, int answer) {
  request *self = context;
  self->answer = answer;
  tide_completion_post(&self->completion, TIDE_OK);
}

static int push_answer(lua_State *L, tide_completion *completion) {
  lua_pushinteger(L, tide_container(completion, request, completion)->answer);
  return 1;
}

/* Without `cancel`: what is under way is left to itself, and its late answer frees the record. */
static int l_resolve(lua_State *L) {
  static const tide_lua_ops ops = {.name = "resolve", .push = push_answer};
  const char *name = luaL_checkstring(L, 1);
  request *self = tide_lua_begin(L, sizeof *self, &ops);
  if (slow_lookup(name, on_answer, self) == NULL)
    return tide_lua_fail(L, &self->completion, TIDE_ENOMEM, "no thread for the lookup");
  return tide_lua_wait(L, &self->completion);
}

static const char script[] = "local tide = require 'tide'\n"
                             "tide.run(function()\n"
                             "  local results = tide.gather {\n"
                             "    function() return resolve 'one' end,\n"
                             "    function() return resolve 'three' end,\n"
                             "  }\n"
                             "  print('both:', results[1], results[2])\n"
                             "  local ok, err = pcall(tide.timeout, 0.02, resolve, 'slow')\n"
                             "  print('slow:', ok, err.kind)\n"
                             "  tide.sleep(0.25) -- its answer comes too late, and harms nobody\n"
                             "end)\n";

int main(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "tide", luaopen_tide, 0);
  lua_register(L, "resolve", l_resolve);
  int status = luaL_dostring(L, script);
  if (status != LUA_OK) fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return status;
}
