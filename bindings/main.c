/* main.c: the program tide: runs a script as the root task. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "signals.h"
#include "text.h"
#include "tide.h"
#include "tide_lua.h"

static const char usage[] =
    "usage: tide [options] [script [args...]]\n"
    "  tide script.lua args...   run a script; it may wait at top level\n"
    "  tide -e 'code' args...    run code\n"
    "  tide -                    run standard input, as tide < script.lua does\n"
    "  tide -v                   print the versions\n"
    "  tide -h                   print this\n";

/* Leaving. */

static bool leaving; /* tide.exit was called ... */
static int status_left_with;

static void note_exit(lua_State *L, int status, void *context) {
  (void)L, (void)context;
  leaving = true;
  status_left_with = status;
}

/* os.exit([status[, close]]): as Lua's, whose chunk runs in no task: with `close` the script's
 * <close> variables run. */
static int os_exit(lua_State *L) {
  int status = lua_isboolean(L, 1) ? (lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE)
                                   : (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
  if (lua_toboolean(L, 2)) {
    tide_lua_unwind_main(L);
    tide_signals_release(); /* the handlers look at the state */
    lua_close(L);
  }
  exit(status);
}

static void set_os_exit(lua_State *L) {
  if (lua_getglobal(L, "os") == LUA_TTABLE) {
    lua_pushcfunction(L, os_exit);
    lua_setfield(L, -2, "exit");
  }
  lua_pop(L, 1);
}

/* What is reported. A failure that a function of the script's was told of is its business. */

static void log_to_stderr(void *context, tide_log_kind kind, const char *text) {
  (void)context;
  if (kind != TIDE_LOG_HANDLED) fprintf(stderr, "tide: %s\n", text);
}

/* The module is on top. */
static bool begin_debugging(lua_State *L) {
  const char *wanted = getenv("TIDE_DEBUG");
  if (wanted == NULL || wanted[0] == '\0' || strcmp(wanted, "0") == 0) return true;
  lua_getfield(L, -1, "debug");
  lua_pushboolean(L, 1);
  return lua_pcall(L, 1, 0, 0) == LUA_OK;
}

/* Scripts. */

static void set_arguments(lua_State *L, char **argv, int script, int argc) {
  lua_createtable(L, argc - script, script + 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}

/* The message and, where there is one, the traceback of the error on top. */
static void print_error(lua_State *L) {
  lua_pushvalue(L, -1);
  const char *message = tl_text_of(L);
  lua_getfield(L, LUA_REGISTRYINDEX, "tide.traceback");
  const char *traceback = lua_tostring(L, -1);
  fprintf(stderr, "tide: %s\n", message);
  if (traceback != NULL) fprintf(stderr, "%s\n", traceback);
  lua_pop(L, 2);
}

/* Whether the error on top is `cancelled`, as the function tide.is at `is` sees it: what the signal
 * or tide.exit made of the root task. Any other error is news, also after these. */
static bool is_cancelled(lua_State *L, int is) {
  lua_pushvalue(L, is);
  lua_pushvalue(L, -2);
  lua_pushliteral(L, "cancelled");
  bool cancelled = lua_pcall(L, 2, 1, 0) == LUA_OK && lua_toboolean(L, -1);
  lua_pop(L, 1);
  return cancelled;
}

/* Makes of the chunk and the module on top: tide.is, whose index is returned, tide.run, chunk. */
static int put_run(lua_State *L) {
  lua_getfield(L, -1, "is");
  lua_insert(L, -3);
  lua_getfield(L, -1, "run");
  lua_replace(L, -2);
  lua_insert(L, -2);
  return lua_gettop(L) - 2;
}

/* Runs the chunk on top with the arguments after `script` as the root task. The exit status. */
static int run_chunk(lua_State *L, char **argv, int script, int argc) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "tide");
  if (lua_pcall(L, 1, 1, 0) != LUA_OK || !begin_debugging(L)) {
    print_error(L);
    return EXIT_FAILURE;
  }
  if (tide_signals_catch(L) != 0) {
    perror("tide: signals");
    return EXIT_FAILURE;
  }
  set_os_exit(L);
  int is = put_run(L);
  int count = argc - script - 1 > 0 ? argc - script - 1 : 0;
  luaL_checkstack(L, count, "too many arguments");
  for (int i = 0; i < count; i++) lua_pushstring(L, argv[script + 1 + i]);
  int status = lua_pcall(L, count + 1, 0, 0);
  tide_signals_release();
  int signal = tide_signals_first();
  if (status != LUA_OK && !((signal != 0 || leaving) && is_cancelled(L, is))) print_error(L);
  if (leaving) return status_left_with;
  if (signal != 0) return 128 + signal;
  return status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

typedef struct options {
  const char *code; /* of -e, or NULL */
  int script;       /* index in argv of what names the script; its arguments follow */
  int done;         /* nothing is to be run: exit with `status` */
  int status;       /* then */
} options;

static options parse(int argc, char **argv) {
  options o = {.code = NULL, .script = 1};
  const char *first = argc > 1 ? argv[1] : NULL;
  if (first == NULL && !isatty(STDIN_FILENO)) {
    o.script = 0; /* a script from standard input, without arguments */
  } else if (first != NULL && strcmp(first, "-v") == 0) {
    printf("tide %s (%s)\n", TIDE_VERSION, LUA_RELEASE);
    o.done = 1;
  } else if (first != NULL && strcmp(first, "-h") == 0) {
    fputs(usage, stdout);
    o.done = 1;
  } else if (first != NULL && strcmp(first, "-e") == 0 && argc > 2) {
    o.code = argv[2];
    o.script = 2;
  } else if (first == NULL || (first[0] == '-' && first[1] != '\0')) {
    bool bare = first != NULL && strcmp(first, "-e") == 0;
    if (bare) fputs("tide: -e needs the code to run\n", stderr);
    if (first != NULL && !bare) fprintf(stderr, "tide: unknown option '%s'\n", first);
    fputs(usage, stderr);
    o.done = 1;
    o.status = 2;
  }
  return o;
}

static int load(lua_State *L, const options *o, char **argv) {
  if (o->code != NULL) return luaL_loadbuffer(L, o->code, strlen(o->code), "=(command line)");
  const char *path = o->script != 0 ? argv[o->script] : NULL;
  return luaL_loadfile(L, path != NULL && strcmp(path, "-") != 0 ? path : NULL);
}

/* Lua's memory: a slab, which knows what malloc cannot, that Lua remembers sizes. Not where a
 * sanitizer watches the heap. */
static tide_slab *new_slab(void) {
#if defined(__SANITIZE_ADDRESS__)
  return NULL;
#else
  return tide_slab_new();
#endif
}

/* Large strings come and go with each collection: memory that malloc would give back to the system
 * after one, it would fault in again, page by page, before the next. */
static void keep_heap(void) {
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
  mallopt(M_TRIM_THRESHOLD, 32 << 20);
  mallopt(M_TOP_PAD, 1 << 20);
#endif
}

static int panic(lua_State *L) {
  fprintf(stderr, "tide: unprotected error: %s\n", luaL_tolstring(L, -1, NULL));
  return 0; /* Lua aborts */
}

static void warn(void *state, const char *message, int more) {
  bool *begun = state;
  fprintf(stderr, "%s%s%s", *begun ? "" : "Lua warning: ", message, more ? "" : "\n");
  *begun = more != 0;
}

static lua_State *new_state(tide_slab *slab) {
  static bool warning_begun;
  if (slab == NULL) return luaL_newstate();
  lua_State *L = lua_newstate(tide_slab_resize, slab);
  if (L == NULL) return NULL;
  lua_atpanic(L, panic);
  lua_setwarnf(L, warn, &warning_begun);
  return L;
}

int main(int argc, char **argv) {
  options o = parse(argc, argv);
  if (o.done) return o.status;
  keep_heap();
  tide_slab *slab = new_slab();
  lua_State *L = new_state(slab);
  if (L == NULL) {
    fputs("tide: not enough memory\n", stderr);
    return EXIT_FAILURE;
  }
  luaL_openlibs(L);
  static const tide_lua_options manner = {.size = sizeof manner, .on_exit = note_exit};
  tide_lua_open(L, NULL, &manner);
  tide_loop_set_log(tide_lua_loop(L), log_to_stderr, NULL);
  lua_pop(L, 1);
  set_arguments(L, argv, o.script, argc);
  int status = EXIT_FAILURE;
  if (load(L, &o, argv) == LUA_OK)
    status = run_chunk(L, argv, o.script, argc);
  else
    fprintf(stderr, "tide: %s\n", lua_tostring(L, -1));
  lua_close(L);
  tide_slab_free(slab);
  return status;
}
