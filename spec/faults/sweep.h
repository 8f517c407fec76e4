/* sweep.h: what the sweeps of faults have in common: a scenario of Lua's in a state of its own, one
 * point at a time, and a count of what failed.
 *
 * A scenario is a function in a table that a file of this folder returns, by name; it is the root
 * task of a tide.run. A point is one run of it with one fault. A child process does the points of
 * one series, so that a crash or a hang at one of them is a failure and not the end of the sweep.
 */
#ifndef TIDE_SPEC_FAULTS_SWEEP_H
#define TIDE_SPEC_FAULTS_SWEEP_H

#include <dirent.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../bindings/error.h"
#include "../../bindings/runtime.h"
#include "../../bindings/task.h"
#include "../../bindings/tide_lua.h"

enum {
  SECONDS_PER_POINT = 60, /* after those it hangs */
  SECONDS_TO_END = 10,    /* of virtual time, for a scenario that waits for what does not come */
};

/* What the child tells its parent, in memory that both have. */
typedef struct progress {
  unsigned point;   /* the one at hand */
  unsigned points;  /* swept so far */
  unsigned failed;  /* of those */
  bool complete;    /* the series has come to its end */
  char where[160];  /* the series */
  char detail[120]; /* more about the point */
} progress;

static progress *now;

/* One series of points, in a child: from `point` on, every `stride`th. */
typedef void (*series_fn)(const void *series, unsigned point, unsigned stride);

/* Says why the point at hand has failed. */
__attribute__((format(printf, 1, 2))) static inline void point_failed(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("FAILED %s, point %u%s: ", now->where, now->point, now->detail);
  vprintf(format, arguments);
  putchar('\n');
  fflush(stdout);
  va_end(arguments);
  now->failed++;
}

/* Zeros that a process has together with its children. */
static inline void *shared_memory(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) exit(2);
  return memory;
}

static inline void sweep_open(void) { now = shared_memory(sizeof *now); }

/* What the scenarios' failures print is of no interest. */
static inline void drop_stderr(void) {
  if (freopen("/dev/null", "w", stderr) == NULL) exit(2);
}

/* Sanitizers then speak on standard output. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "log_path=stdout"; }

/* Waits for the child. False: it did not get to the end of its series. */
static inline bool child_ended(pid_t child) {
  int status;
  if (waitpid(child, &status, 0) != child) exit(2);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && now->complete) return true;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
    point_failed("hangs");
  else if (WIFSIGNALED(status))
    point_failed("crashes: %s", strsignal(WTERMSIG(status)));
  else
    point_failed("exit status %d", WEXITSTATUS(status));
  return false;
}

/* Sweeps a series from a point on; after a crash it goes on with the next one. */
static inline void sweep_from(const char *where, series_fn run, const void *series, unsigned first,
                              unsigned stride) {
  unsigned before = now->points;
  snprintf(now->where, sizeof now->where, "%s", where);
  now->point = 0;
  now->detail[0] = '\0';
  for (int crashes = 0; crashes < 3; crashes++) {
    unsigned from = now->point == 0 ? first : now->point + stride;
    now->complete = false;
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) exit(2);
    if (child == 0) {
      drop_stderr();
      run(series, from, stride);
      now->complete = true;
      exit(0); /* looks for leaks */
    }
    if (child_ended(child) || now->complete) break;
  }
  if (getenv("VERBOSE") != NULL) printf("%-60s %6u\n", where, now->points - before);
}

static inline void sweep(const char *where, series_fn run, const void *series, unsigned stride) {
  sweep_from(where, run, series, 1, stride);
}

/* Of each point, in the child. */

static int descriptors_before;

static inline int count_descriptors(void) {
  int count = 0;
  DIR *directory = opendir("/proc/self/fd");
  if (directory == NULL) return 0;
  while (readdir(directory) != NULL) count++;
  closedir(directory);
  return count;
}

static inline void point_begin(unsigned point) {
  now->point = point;
  now->points++;
  descriptors_before = count_descriptors();
  alarm(SECONDS_PER_POINT);
}

static inline void point_end(void) {
  alarm(0);
  int more = count_descriptors() - descriptors_before;
  if (more != 0) point_failed("%d descriptors are left", more);
}

/* States. */

/* Puts the file's table of scenarios on top. */
static inline void load_scenarios(lua_State *L, const char *file) {
  if (luaL_dofile(L, file) == LUA_OK && lua_istable(L, -1)) return;
  printf("%s: %s\n", file, lua_tostring(L, -1));
  exit(2);
}

/* Memory that is counted: all that a state and its loop have. */

static size_t in_use; /* bytes, Lua's and the core's */

static inline void *resize(void *context, void *block, size_t old_size, size_t new_size) {
  (void)context;
  if (block == NULL) old_size = 0; /* from Lua: what it is for */
  in_use += new_size - old_size;
  if (new_size != 0) return realloc(block, new_size);
  free(block);
  return NULL;
}

/* Libraries, and that memory for tide. It may raise. */
static inline void open_counted(lua_State *L) {
  const tide_allocator allocator = {.resize = resize};
  luaL_openlibs(L);
  tide_lua_set_allocator(L, &allocator);
}

/* The state is closed: nothing is left of its memory. */
static inline void check_memory(void) {
  if (in_use != 0) point_failed("%zu bytes are left", in_use);
  in_use = 0;
}

static inline int open_module(lua_State *L) {
  luaL_requiref(L, "tide", luaopen_tide, 0);
  return 1;
}

/* Pushes a function and its arguments: tide.run(tide.timeout, SECONDS_TO_END, the scenario), in
 * virtual time, so that a peer that falls silent costs nothing. Returns how many arguments. */
static inline int push_scenario(lua_State *L, const char *file, const char *name) {
  lua_pushcfunction(L, open_module);
  lua_call(L, 0, 1);
  tide_loop_set_virtual_clock(tl_runtime_find(L)->loop);
  lua_getfield(L, -1, "run");
  lua_getfield(L, -2, "timeout");
  lua_remove(L, -3);
  lua_pushinteger(L, SECONDS_TO_END);
  load_scenarios(L, file);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
  return 3;
}

/* Whether the error on top says that somebody was kept waiting: until the time was over or, under a
 * shield that the end of the time does not reach, until nothing could happen any more. */
static inline bool kept_waiting(lua_State *L) {
  const tl_runtime *rt = tl_runtime_find(L);
  return tl_error_is(L, rt, -1, "timeout") || tl_error_is(L, rt, -1, "deadlock");
}

/* Whatever happened: the same loop runs the next task, and nothing is left of the one before. */
static const char next_task[] =
    "local tide = require 'tide'\n"
    "local sum = 0\n"
    "tide.run(function()\n"
    "  local q = tide.Queue(1)\n"
    "  tide.TaskGroup(function(g)\n"
    "    g:spawn(function() for i = 1, 3 do q:put(i) tide.sleep(0) end q:close() end)\n"
    "    for i in q:iter() do sum = sum + i end\n"
    "  end)\n"
    "  sum = sum + tide.timeout(10, function() return tide.spawn(math.abs, -4):await() end)\n"
    "end)\n"
    "assert(sum == 10)\n"
    "for _, q in ipairs(queues or {}) do while not q:empty() do q:get_nowait() end end\n"
    "collectgarbage() collectgarbage()\n"
    "assert(items == nil or next(items) == nil, 'a queue keeps what is not in it')\n"
    "local stats = tide.stats()\n"
    "for _, what in ipairs { 'tasks', 'handles', 'ready', 'timers', 'watching' } do\n"
    "  assert(stats[what] == 0, stats[what] .. ' ' .. what .. ' are left')\n"
    "end\n";

static inline void check_runtime(lua_State *L) {
  const tl_runtime *rt = tl_runtime_find(L);
  const tl_run *run = &rt->run;
  unsigned live = tide_loop_background(rt->loop)->live + run->group.live + run->outside.live;
  if (tl_slots_used(&rt->slots) != 0) point_failed("%d slots are left", tl_slots_used(&rt->slots));
  if (rt->reports.first != 0) point_failed("a failure was not reported");
  if (rt->reason_count != 0) point_failed("%d reasons are left", rt->reason_count);
  if (live != 0 || run->watchers.live != 0) point_failed("tasks are counted as live");
  if (rt->current != NULL || rt->nesting != NULL || run->running || run->root != NULL)
    point_failed("the runtime believes that it runs");
}

static inline void check_next_task(lua_State *L) {
  lua_settop(L, 0);
  if (luaL_dostring(L, next_task) != LUA_OK) {
    point_failed("the next task: %s", luaL_tolstring(L, -1, NULL));
    lua_settop(L, 0);
    return;
  }
  check_runtime(L);
}

/* Names of the scenarios in a file; valid until the next call. */
typedef struct scenario_list {
  int count;
  char names[64][40];
} scenario_list;

static inline const scenario_list *scenarios_of(const char *file) {
  static scenario_list list;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "tide", luaopen_tide, 0);
  load_scenarios(L, file);
  list.count = 0;
  for (lua_pushnil(L); lua_next(L, -2) != 0 && list.count < 64; lua_pop(L, 1))
    snprintf(list.names[list.count++], sizeof list.names[0], "%s", lua_tostring(L, -2));
  lua_close(L);
  return &list;
}

/* A file's name without folder and ending. */
static inline const char *stem(const char *file) {
  static char name[64];
  const char *slash = strrchr(file, '/');
  snprintf(name, sizeof name, "%s", slash != NULL ? slash + 1 : file);
  char *dot = strrchr(name, '.');
  if (dot != NULL) *dot = '\0';
  return name;
}

#endif
