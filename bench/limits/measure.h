/* What every limit needs: CPU time, time, resident memory, a numeric argument, a Lua state that
 * reports its errors. */
#ifndef TIDE_BENCH_MEASURE_H
#define TIDE_BENCH_MEASURE_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Ends the program: a benchmark that failed half-way has no figure to print. */
static inline void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(EXIT_FAILURE);
}

/* CPU time of this process so far, in nanoseconds. */
static inline double cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Time that has passed, in nanoseconds. */
static inline double wall_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Resident memory of this process, in bytes. */
static inline double resident_bytes(void) {
  FILE *statm = fopen("/proc/self/statm", "r");
  long pages = 0;
  if (statm == NULL || fscanf(statm, "%*d %ld", &pages) != 1) fail("cannot read /proc/self/statm");
  fclose(statm);
  return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* The argument at index as a positive number, or fallback where it is absent. */
static inline long argument(int argc, char **argv, int index, long fallback) {
  long value = index < argc ? strtol(argv[index], NULL, 10) : fallback;
  if (value <= 0) fail("arguments are positive numbers");
  return value;
}

/* A new state with the standard libraries; the caller closes it. */
static inline lua_State *new_state(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) fail("no memory for a Lua state");
  luaL_openlibs(L);
  return L;
}

/* Runs source with nargs arguments from the top of the stack and leaves its one result there. */
static inline void run_source(lua_State *L, const char *source, int nargs) {
  if (luaL_loadstring(L, source) != LUA_OK) fail(lua_tostring(L, -1));
  lua_insert(L, -nargs - 1);
  if (lua_pcall(L, nargs, 1, 0) != LUA_OK) fail(lua_tostring(L, -1));
}

#endif
