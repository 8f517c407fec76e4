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

#include "../../core/io/faults.h"
#include "sweep.h"

enum { ERRORS_MAX = 8, SHORT = 0, END = -1 };

typedef struct site {
  const char *name;
  int errors[ERRORS_MAX]; /* what its calls may fail with, then END */
} site;

static const site sites[TIDE__SITES] = {
    [TIDE__READ] = {"read", {SHORT, EINTR, EAGAIN, ECONNRESET, ENOBUFS, ENOMEM, END}},
    [TIDE__SEND] = {"send", {SHORT, EINTR, EAGAIN, EPIPE, ECONNRESET, ENOBUFS, ENOMEM, END}},
    [TIDE__SENDMSG] = {"sendmsg", {SHORT, EINTR, EAGAIN, EPIPE, ECONNRESET, ENOBUFS, ENOMEM, END}},
    [TIDE__WRITEV] = {"writev", {SHORT, EINTR, EAGAIN, EPIPE, END}},
    [TIDE__SOCKET] = {"socket", {EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, END}},
    [TIDE__SOCKETPAIR] = {"socketpair", {EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, END}},
    [TIDE__ACCEPT] = {"accept4",
                      {EINTR, EAGAIN, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, END}},
    [TIDE__BIND] = {"bind", {EINTR, ENOBUFS, ENOMEM, END}},
    [TIDE__LISTEN] = {"listen", {EINTR, ENOBUFS, ENOMEM, END}},
    [TIDE__CONNECT] = {"connect", {EINTR, ECONNRESET, ENOBUFS, ENOMEM, END}},
    [TIDE__SETSOCKOPT] = {"setsockopt", {EINTR, ENOBUFS, ENOMEM, END}},
    [TIDE__SHUTDOWN] = {"shutdown", {EINTR, ENOBUFS, END}},
    [TIDE__GETSOCKNAME] = {"getsockname", {EINTR, ENOBUFS, END}},
    [TIDE__GETPEERNAME] = {"getpeername", {EINTR, ENOBUFS, END}},
    [TIDE__LSTAT] = {"lstat", {ENOMEM, END}},
    [TIDE__UNLINK] = {"unlink", {EINTR, ENOMEM, END}},
};

typedef struct scenario {
  const char *file;
  const char *name;
} scenario;

/* A point: a fault of one scenario. */
typedef struct fault_point {
  tide__site site;
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
  tide__fault_now = (tide__fault){
      .site = at->site, .at = at->at, .error = at->error, .all_cut = at->site == TIDE__SITES};
  int status = lua_pcall(L, arguments, 0, 0);
  bool failed = tide__fault_now.calls >= at->at;
  tide__fault_now = (tide__fault){.at = 0};
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
  if (++where->site < TIDE__SITES) where->error = sites[where->site].errors[0];
}

/* The last point: all reading and writing is by one byte. */
static void run_one_byte(const scenario *s, unsigned number) {
  const fault_point at = {.site = TIDE__SITES, .error = SHORT};
  snprintf(now->detail, sizeof now->detail, " (always one byte)");
  point_begin(number);
  run_point(s, &at);
  point_end();
}

static void run_scenario(const void *self, unsigned number, unsigned stride) {
  for (; where->site < TIDE__SITES; number += stride) {
    const fault_point at = *where;
    snprintf(now->detail, sizeof now->detail, " (%s, call %u: %s)", sites[at.site].name, at.at,
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
