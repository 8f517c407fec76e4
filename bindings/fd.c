/* fd.c: tide.fd: waiting for descriptors of other libraries. */
#include <limits.h>

#include "class.h"
#include "error.h"
#include "fd.h"
#include "owned.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"
#include "wait.h"

/* A wait for both directions: one task in a select. On the coroutine's stack. */
typedef struct tl_both {
  tide_select select; /* first */
  tide_case cases[2]; /* to read, to write */
} tl_both;

enum { READ = TIDE_READABLE, WRITE = TIDE_WRITABLE, BOTH = READ | WRITE };

static const char *name_of(int events) { return events == READ ? "r" : "w"; }

static int check_mode(lua_State *L, int index) {
  static const char *const names[] = {"r", "w", "rw", NULL};
  static const int modes[] = {READ, WRITE, BOTH};
  return modes[luaL_checkoption(L, index, NULL, names)];
}

static int check_number(lua_State *L, int index) {
  lua_Integer number = luaL_checkinteger(L, index);
  luaL_argcheck(L, number >= 0 && number <= INT_MAX, index, "not a descriptor");
  return (int)number;
}

/* A new object, on top. */
static tide_borrowed_fd *push_fd(lua_State *L, tl_runtime *rt, int number) {
  tide_borrowed_fd *self = tl_owned_new(L, rt, TL_FD, sizeof *self, 0);
  int error = tide_borrowed_fd_init(self, rt->loop, number);
  if (error == TIDE_OK) return self;
  lua_pushfstring(L, "descriptor %d: %s", number, tide_error_message(error));
  tl_raise_message(L, rt, error, lua_tostring(L, -1));
  return NULL;
}

/* Waiting. */

static int waited(lua_State *L, int status, lua_KContext events) {
  (void)status;
  tl_outcome(L, tl_rt(L));
  lua_pushstring(L, name_of((int)events));
  return 1;
}

/* With the record at 1. */
static int try_both(lua_State *L, tl_runtime *rt, void *record) {
  tl_both *self = record;
  int result = tide_select_wait(&self->select, &rt->current->task);
  if (result == TIDE_PENDING) return TL_AGAIN;
  if (result != TIDE_OK) return tl_raise_outcome(L, rt, result);
  lua_pushstring(L, name_of(self->select.chosen == 0 ? READ : WRITE));
  return 1;
}

/* Puts the record below all else where both are waited for. */
static void make_room(lua_State *L, int events) {
  if (events == BOTH)
    lua_newuserdatauv(L, sizeof(tl_both), 0);
  else
    lua_pushnil(L);
  lua_insert(L, 1);
}

static int wait_for_both(lua_State *L, tl_runtime *rt, tide_fd *fd) {
  static const tl_recall recall = {.class = TL_SELECT, .attempt = try_both};
  tl_both *self = lua_touserdata(L, 1);
  tide_case_fd(&self->cases[0], fd, READ);
  tide_case_fd(&self->cases[1], fd, WRITE);
  tide_select_init(&self->select, self->cases, 2);
  return tl_call(L, rt, &recall, self);
}

static int wait_for(lua_State *L, tl_runtime *rt, tide_fd *fd, int events) {
  if (events == BOTH) return wait_for_both(L, rt, fd);
  return tl_finish(L, rt, tide_fd_wait(fd, &rt->current->task, events), events, waited);
}

/* fd:wait("r"|"w"|"rw") -> "r" | "w" (waits) */
static int fd_wait(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  if (TL_UNLIKELY(tl_begin(L, rt) == NULL)) return tl_turn(L, rt);
  tide_borrowed_fd *self = tl_check(L, rt, 1, TL_FD);
  int events = check_mode(L, 2);
  make_room(L, events);
  return wait_for(L, rt, &self->fd, events);
}

/* tide.fd.wait(number, "r"|"w"|"rw") -> "r" | "w" (waits): with an object of its own, which is
 * closed however that is left */
static int wait_once(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  const tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL || tide_task_cancelled(&task->task))) return tl_turn(L, rt);
  int number = check_number(L, 1), events = check_mode(L, 2);
  make_room(L, events);
  tide_borrowed_fd *self = push_fd(L, rt, number);
  lua_toclose(L, -1);
  return wait_for(L, rt, &self->fd, events);
}

/* The rest. */

/* tide.fd.open(number) -> Fd */
static int fd_open(lua_State *L) {
  push_fd(L, tl_rt(L), check_number(L, 1));
  return 1;
}

static void fd_release(tl_runtime *rt, void *fd) {
  (void)rt;
  tide_borrowed_fd_term(fd);
}

/* fd:close(), __close */
static int fd_close(lua_State *L) {
  tide_borrowed_fd_term(tl_check(L, tl_rt(L), 1, TL_FD));
  return 0;
}

static int fd_tostring(lua_State *L) {
  const tide_borrowed_fd *self = tl_check(L, tl_rt(L), 1, TL_FD);
  if (self->fd.fd < 0)
    lua_pushliteral(L, "Fd(closed)");
  else
    lua_pushfstring(L, "Fd(%d)", self->fd.fd);
  return 1;
}

void tl_fd_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"wait", wait_once}, {"open", fd_open}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"wait", fd_wait},
                                     {"readable", tl_fd_readable},
                                     {"writable", tl_fd_writable},
                                     {"close", fd_close},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", fd_close}, {"__tostring", fd_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_FD, "Fd", methods, metamethods);
  tl_owned_class(L, rt, TL_FD, fd_release);
  lua_newtable(L);
  tl_functions(L, rt, functions);
  tl_constructor(L, rt, "Fd", TL_FD, NULL);
  lua_setfield(L, -2, "fd");
}
