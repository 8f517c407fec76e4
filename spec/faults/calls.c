/* calls.c: sweeps the scenarios while a system call fails: at each call site of core/io the first
 * call, the second ..., with each error that it may give.
 *
 *     calls FILE...
 *
 * Passing: the scenario fails or succeeds, and must succeed where the error is none of the caller's
 * business (EINTR, EAGAIN, a connection that is gone before it was accepted, a short count);
 * nothing crashes, hangs or leaks; the next task runs. */
#include <errno.h>
#include <signal.h>

#include "sweep.h"

enum { ERRORS_MAX = 8, SHORT = 0, END = -1 };

typedef struct site {
  int errors[ERRORS_MAX]; /* what its calls may fail with, then END */
} site;

static const site sites[TIDE_CALLS] = {
    [TIDE_CALL_READ] = {{SHORT, EINTR, EAGAIN, ECONNRESET, ENOBUFS, ENOMEM, END}},
    [TIDE_CALL_WRITE] = {{SHORT, EINTR, EAGAIN, EPIPE, ECONNRESET, ENOBUFS, ENOMEM, END}},
    [TIDE_CALL_SOCKET] = {{EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, END}},
    [TIDE_CALL_SOCKETPAIR] = {{EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, END}},
    [TIDE_CALL_ACCEPT] = {{EINTR, EAGAIN, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, END}},
    [TIDE_CALL_BIND] = {{EINTR, ENOBUFS, ENOMEM, END}},
    [TIDE_CALL_LISTEN] = {{EINTR, ENOBUFS, ENOMEM, END}},
    [TIDE_CALL_CONNECT] = {{EINTR, ECONNRESET, ENOBUFS, ENOMEM, END}},
    [TIDE_CALL_SETSOCKOPT] = {{EINTR, ENOBUFS, ENOMEM, END}},
    [TIDE_CALL_SHUTDOWN] = {{EINTR, ENOBUFS, END}},
    [TIDE_CALL_GETSOCKNAME] = {{EINTR, ENOBUFS, END}},
    [TIDE_CALL_GETPEERNAME] = {{EINTR, ENOBUFS, END}},
    [TIDE_CALL_OPEN] = {{EINTR, EMFILE, ENFILE, ENOMEM, END}},
    [TIDE_CALL_STAT] = {{ENOMEM, END}},
    [TIDE_CALL_LSTAT] = {{ENOMEM, END}},
    [TIDE_CALL_UNLINK] = {{EINTR, ENOMEM, END}},
    [TIDE_CALL_EVENTFD] = {{EMFILE, ENFILE, ENOMEM, END}},
    [TIDE_CALL_THREAD] = {{EAGAIN, END}},
};

typedef struct scenario {
  const char *file;
  const char *name;
} scenario;

/* A point: a fault of one scenario. */
typedef struct fault_point {
  tide_call site;
  int error;
  unsigned at; /* which call at the site */
  int index;   /* of the error, among those of the site */
} fault_point;

static fault_point *where; /* in memory shared with the parent: a child goes on after a crash */

enum { CALLS_MAX = 120 }; /* at one site */

static bool is_nobodys_business(int error) {
  return error == SHORT || error == EINTR || error == EAGAIN || error == ECONNABORTED;
}

static void check_error(lua_State *L, int error, bool failed) {
  bool late = kept_waiting(L);
  if (!failed || late || is_nobodys_business(error))
    point_failed("%s", luaL_tolstring(L, -1, NULL));
}

/* False: there were not so many calls at this site. */
static bool run_point(const scenario *s, const fault_point *at) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  int arguments = push_scenario(L, s->file, s->name);
  tide_loop *loop = tide_lua_loop(L);
  tide_faults faults = {.call = at->site,
                        .at = at->site == TIDE_CALLS ? 0 : at->at,
                        .error = at->error,
                        .one_byte = at->site == TIDE_CALLS};
  tide_loop_set_faults(loop, &faults);
  int status = lua_pcall(L, arguments, 0, 0);
  bool failed = faults.made >= at->at;
  tide_loop_set_faults(loop, NULL);
  if (status != LUA_OK) check_error(L, at->error, failed);
  check_next_task(L);
  lua_close(L);
  return failed;
}

/* The next error of the site, at the first call; or the first of the next site. */
static void next_error(void) {
  where->at = 1;
  where->error = sites[where->site].errors[++where->index];
  if (where->error != END) return;
  where->index = 0;
  if (++where->site < TIDE_CALLS) where->error = sites[where->site].errors[0];
}

/* The last point: all reading and writing is by one byte. */
static void run_one_byte(const scenario *s, unsigned number) {
  const fault_point at = {.site = TIDE_CALLS, .error = SHORT};
  snprintf(now->detail, sizeof now->detail, " (always one byte)");
  point_begin(number);
  run_point(s, &at);
  point_end();
}

static void run_scenario(const void *self, unsigned number, unsigned stride) {
  for (; where->site < TIDE_CALLS; number += stride) {
    const fault_point at = *where;
    snprintf(now->detail, sizeof now->detail, " (%s, call %u: %s)", tide_call_name(at.site), at.at,
             at.error == SHORT ? "one byte" : strerror(at.error));
    point_begin(number);
    where->at++; /* for a successor */
    bool failed = run_point(self, &at);
    point_end();
    if (failed && at.at < CALLS_MAX) continue;
    if (!failed) now->points--; /* it was none */
    next_error();
  }
  run_one_byte(self, number);
}

static void sweep_scenario(const char *file, const char *name) {
  char title[120];
  const scenario s = {.file = file, .name = name};
  snprintf(title, sizeof title, "%s %s", stem(file), name);
  *where = (fault_point){.site = 0, .error = sites[0].errors[0], .at = 1};
  sweep(title, run_scenario, &s, 1);
}

int main(int argc, char **argv) {
  const char *only = getenv("SCENARIO"); /* the one to sweep; NULL: all */
  sweep_open();
  where = shared_memory(sizeof *where);
  for (int i = 1; i < argc; i++) {
    const scenario_list *list = scenarios_of(argv[i]);
    for (int j = 0; j < list->count; j++)
      if (only == NULL || strcmp(only, list->names[j]) == 0)
        sweep_scenario(argv[i], list->names[j]);
  }
  printf("system calls: %u points, %u failed\n", now->points, now->failed);
  return now->failed == 0 ? 0 : 1;
}
