/* Limit of a TCP server: echo on libev, one ev_io per connection, one read and one write per event.
 * Prints its port. With the argument `lua`: the least that a server in Lua can do. Each connection
 * has a coroutine of a Lua function, which gets what was read as a string and gives it to a
 * function that writes it; nothing else: no buffers, no errors, no cancellation. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "measure.h"

static const char ECHO[] =
    "local receive, send, client = ... "
    "while true do local data = receive(client) if not data then return end send(client, data) end";

typedef struct client {
  ev_io io;      /* first */
  lua_State *co; /* the connection's coroutine; NULL without Lua */
  int reference; /* what keeps it alive */
} client;

static lua_State *lua; /* NULL without Lua */
static char buffer[65536];

static void close_client(struct ev_loop *loop, ev_io *io) {
  client *self = (client *)io;
  ev_io_stop(loop, io);
  close(io->fd);
  if (self->co != NULL) luaL_unref(lua, LUA_REGISTRYINDEX, self->reference);
  free(self);
}

/* A short write closes the connection: with one message in flight the socket's buffer never fills.
 */
static void on_readable(struct ev_loop *loop, ev_io *io, int revents) {
  (void)revents;
  ssize_t got = read(io->fd, buffer, sizeof buffer);
  if (got <= 0 || write(io->fd, buffer, (size_t)got) != got) close_client(loop, io);
}

/* In Lua. */

static int received(lua_State *L, int status, lua_KContext ctx) {
  const client *self = (client *)ctx;
  (void)status;
  ssize_t got = read(self->io.fd, buffer, sizeof buffer);
  if (got <= 0) return 0;
  lua_pushlstring(L, buffer, (size_t)got);
  return 1;
}

static int receive(lua_State *L) {
  return lua_yieldk(L, 0, (lua_KContext)lua_touserdata(L, 1), received);
}

static int send_all(lua_State *L) {
  size_t length;
  const client *self = lua_touserdata(L, 1);
  const char *data = luaL_checklstring(L, 2, &length);
  if (write(self->io.fd, data, length) != (ssize_t)length) return luaL_error(L, "a short write");
  return 0;
}

static void resume(struct ev_loop *loop, ev_io *io, int arguments) {
  int results;
  if (lua_resume(((client *)io)->co, lua, arguments, &results) != LUA_YIELD) close_client(loop, io);
}

static void on_readable_in_lua(struct ev_loop *loop, ev_io *io, int revents) {
  (void)revents;
  resume(loop, io, 0);
}

static void start_in_lua(struct ev_loop *loop, client *self) {
  self->co = lua_newthread(lua);
  self->reference = luaL_ref(lua, LUA_REGISTRYINDEX);
  lua_pushvalue(lua, 1);
  lua_xmove(lua, self->co, 1);
  lua_pushcfunction(self->co, receive);
  lua_pushcfunction(self->co, send_all);
  lua_pushlightuserdata(self->co, self);
  resume(loop, &self->io, 3);
}

static void open_lua(void) {
  lua = new_state();
  if (luaL_loadstring(lua, ECHO) != LUA_OK) fail(lua_tostring(lua, -1));
}

/* Connections. */

static void serve(struct ev_loop *loop, int fd) {
  int on = 1;
  client *self = calloc(1, sizeof *self);
  if (self == NULL) fail("no memory");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ev_io_init(&self->io, lua != NULL ? on_readable_in_lua : on_readable, fd, EV_READ);
  ev_io_start(loop, &self->io);
  if (lua != NULL) start_in_lua(loop, self);
}

static void on_connection(struct ev_loop *loop, ev_io *listener, int revents) {
  int fd;
  (void)revents;
  while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
    serve(loop, fd);
}

/* A listening socket on a free port of the loopback; prints the port. */
static int listen_on_loopback(void) {
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, SOMAXCONN) < 0)
    fail("listen");
  if (getsockname(fd, (struct sockaddr *)&address, &length) < 0) fail("getsockname");
  printf("port %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

int main(int argc, char **argv) {
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  ev_io listener;
  if (loop == NULL) fail("ev_loop_new");
  if (argc > 1 && strcmp(argv[1], "lua") == 0) open_lua();
  ev_io_init(&listener, on_connection, listen_on_loopback(), EV_READ);
  ev_io_start(loop, &listener);
  ev_run(loop, 0);
  return 0;
}
