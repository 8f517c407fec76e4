/* datagram.c: net.udp, Datagram. */
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "class.h"
#include "error.h"
#include "net.h"
#include "options.h"
#include "owned.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"
#include "wait.h"

enum {
  DATA = 2,
  HOST = 3,
  PORT = 4,
  ADDRESS = 5
}; /* on the stack of sendto; of connect less one */

static tide_datagram *check_datagram(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_DATAGRAM); }

static void datagram_release(tl_runtime *rt, void *object) {
  (void)rt;
  tide_datagram_close(object);
}

static int raise_of(lua_State *L, const tl_runtime *rt, int error) {
  if (error == TIDE_ECANCELLED) return tl_raise_outcome(L, (tl_runtime *)(uintptr_t)rt, error);
  return tl_raise(L, rt, error);
}

/* net.udp([{host=, port=, family="inet"|"inet6", reuseport=, broadcast=, ttl=}]) -> Datagram;
 * net.udp("unix:/path") */
static int net_udp(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tide_address address;
  tide_datagram_options options = {0};
  const char *host = "0.0.0.0";
  tl_loop(L, rt);
  lua_settop(L, 1);
  bool is_path = lua_type(L, 1) == LUA_TSTRING;
  int option = tl_options(L, is_path ? 2 : 1,
                          "host:string port:port family:inet|inet6 reuseport:flag broadcast:flag "
                          "ttl:count");
  if (!lua_isnil(L, option + 2) && strcmp(lua_tostring(L, option + 2), "inet6") == 0) host = "::";
  if (!lua_isnil(L, option)) host = lua_tostring(L, option);
  if (is_path) host = lua_tostring(L, 1);
  options.reuseport = lua_toboolean(L, option + 3);
  options.broadcast = lua_toboolean(L, option + 4);
  lua_Integer ttl = lua_tointeger(L, option + 5);
  luaL_argcheck(L, ttl <= 255, 1, "field 'ttl' must be at most 255");
  options.ttl = (int)ttl;
  tl_address_parse(L, rt, host, (uint16_t)lua_tointeger(L, option + 1), &address);
  tide_datagram *self = tl_owned_new(L, rt, TL_DATAGRAM, sizeof *self, 0);
  self->fd.fd = -1;
  int error = tide_datagram_open(self, rt->loop, &address, &options);
  return error == TIDE_OK ? 1 : tl_raise_address(L, rt, error, &address);
}

/* Addresses, which may have to be looked up: then what follows is called again behind that. */

static int check_target(lua_State *L, int index) {
  const char *host = luaL_checkstring(L, index);
  if (strncmp(host, "unix:", 5) == 0) return 0;
  lua_Integer port = luaL_checkinteger(L, index + 1);
  luaL_argcheck(L, port >= 0 && port <= UINT16_MAX, index + 1, "not a port (0 to 65535)");
  return (int)port;
}

static void set_port(tide_address *address, int port) {
  if (address->as.any.sa_family == AF_INET)
    address->as.ipv4.sin_port = htons((uint16_t)port);
  else if (address->as.any.sa_family == AF_INET6)
    address->as.ipv6.sin6_port = htons((uint16_t)port);
}

/* The address that is put at `index`, a userdata, is to be of the host below it, with that port;
 * then `recall` is tried. */
typedef struct tl_target {
  tide_address address; /* first */
  const tl_recall *recall;
  int port;
} tl_target;

static int go_on(lua_State *L, tl_runtime *rt, tl_target *target) {
  set_port(&target->address, target->port);
  return tl_call(L, rt, target->recall, lua_touserdata(L, 1));
}

static int found(lua_State *L, tl_runtime *rt, tl_target *target, int result, int host) {
  const tide_wait *wait = &rt->current->task.wait;
  if (result == TIDE_EDNS)
    return tl_raise_dns(L, rt, (tide_dns_code)wait->value.integer, lua_tostring(L, host));
  if (result == TIDE_OS(ENOSYS)) return tl_raise_no_dns(L, rt);
  if (result != TIDE_OK) return raise_of(L, rt, result);
  const tide_dns_answer *answer = wait->value.pointer;
  target->address = answer->addresses[0];
  tide_dns_answer_drop(answer);
  return go_on(L, rt, target);
}

static int looked_up(lua_State *L, int status, lua_KContext index) {
  tl_runtime *rt = tl_rt(L);
  if (status == LUA_YIELD) lua_pop(L, 1);
  int result = tl_take_outcome(L, rt);
  return found(L, rt, lua_touserdata(L, (int)index), result, HOST);
}

/* With the target at `index`, and the host at HOST or before. */
static int with_target(lua_State *L, tl_runtime *rt, int host, tl_target *target) {
  const tide_datagram *self = lua_touserdata(L, 1);
  const char *name = lua_tostring(L, host);
  int error = tide_address_parse(&target->address, name, (uint16_t)target->port);
  if (error == TIDE_OK) return go_on(L, rt, target);
  if (error != TIDE_EDNS) return tl_raise(L, rt, error);
  int family = self->family == AF_INET6 ? AF_UNSPEC : self->family;
  int result = tide_dns_resolve(&rt->current->task, name, family);
  if (result == TIDE_PENDING) return tl_wait(L, lua_gettop(L), looked_up);
  return found(L, rt, target, result, host);
}

/* Sending. */

static int try_sendto(lua_State *L, tl_runtime *rt, void *self) {
  size_t size;
  const char *data = lua_tolstring(L, DATA, &size);
  const tl_target *target = lua_touserdata(L, ADDRESS);
  int result = tide_datagram_send(self, &rt->current->task, data, size, &target->address);
  if (result == TIDE_PENDING) return TL_AGAIN;
  return result == TIDE_OK ? 0 : tl_raise_address(L, rt, result, &target->address);
}

/* datagram:sendto(data, host, port) (waits) */
static int datagram_sendto(lua_State *L) {
  static const tl_recall recall = {.class = TL_DATAGRAM, .attempt = try_sendto};
  tl_runtime *rt = tl_rt(L);
  if (TL_UNLIKELY(tl_begin(L, rt) == NULL)) return tl_turn(L, rt);
  check_datagram(L);
  luaL_checkstring(L, DATA);
  int port = check_target(L, HOST);
  lua_settop(L, PORT);
  tl_target *target = lua_newuserdatauv(L, sizeof *target, 0);
  target->recall = &recall;
  target->port = port;
  return with_target(L, rt, HOST, target);
}

static int try_send(lua_State *L, tl_runtime *rt, void *self) {
  size_t size;
  const char *data = lua_tolstring(L, DATA, &size);
  int result = tide_datagram_send(self, &rt->current->task, data, size, NULL);
  if (result == TIDE_PENDING) return TL_AGAIN;
  return result == TIDE_OK ? 0 : raise_of(L, rt, result);
}

/* datagram:send(data) (waits) */
static int datagram_send(lua_State *L) {
  static const tl_recall recall = {.class = TL_DATAGRAM, .attempt = try_send};
  tl_runtime *rt = tl_rt(L);
  if (TL_UNLIKELY(tl_begin(L, rt) == NULL)) return tl_turn(L, rt);
  tide_datagram *self = check_datagram(L);
  luaL_checkstring(L, DATA);
  lua_settop(L, DATA);
  return tl_call(L, rt, &recall, self);
}

/* Receiving: how many bytes at most is at 2, whether to say from whom at 3. */

static int try_receive(lua_State *L, tl_runtime *rt, void *self) {
  char buffer[TIDE_DATAGRAM_MOST];
  tide_address from;
  size_t size = (size_t)lua_tointeger(L, 2);
  int result = tide_datagram_receive(self, &rt->current->task, buffer, &size, &from);
  if (result == TIDE_PENDING) return TL_AGAIN;
  if (result != TIDE_OK) return raise_of(L, rt, result);
  lua_pushlstring(L, buffer, size);
  return lua_toboolean(L, 3) ? 1 + tl_address_push(L, &from) : 1;
}

static int receive(lua_State *L, bool from) {
  static const tl_recall recall = {.class = TL_DATAGRAM, .attempt = try_receive};
  tl_runtime *rt = tl_rt(L);
  if (TL_UNLIKELY(tl_begin(L, rt) == NULL)) return tl_turn(L, rt);
  tide_datagram *self = check_datagram(L);
  int option = tl_options(L, 2, "max:count");
  lua_Integer most = luaL_optinteger(L, option, TIDE_DATAGRAM_MOST);
  lua_settop(L, 1);
  lua_pushinteger(L, most < TIDE_DATAGRAM_MOST ? most : TIDE_DATAGRAM_MOST);
  lua_pushboolean(L, from);
  return tl_call(L, rt, &recall, self);
}

/* datagram:recvfrom{max=65535} -> data, host, port (waits) */
static int datagram_recvfrom(lua_State *L) { return receive(L, true); }

/* datagram:recv{max=65535} -> data (waits) */
static int datagram_recv(lua_State *L) { return receive(L, false); }

/* Connecting. */

static int try_connect(lua_State *L, tl_runtime *rt, void *self) {
  const tl_target *target = lua_touserdata(L, ADDRESS);
  int error = tide_datagram_connect(self, &target->address);
  return error == TIDE_OK ? 0 : tl_raise_address(L, rt, error, &target->address);
}

/* datagram:connect(host, port) (waits) */
static int datagram_connect(lua_State *L) {
  static const tl_recall recall = {.class = TL_DATAGRAM, .attempt = try_connect};
  tl_runtime *rt = tl_rt(L);
  const tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL || tide_task_cancelled(&task->task))) return tl_turn(L, rt);
  check_datagram(L);
  int port = check_target(L, 2);
  lua_settop(L, 3);
  lua_pushnil(L); /* where sendto has its data */
  lua_insert(L, DATA);
  tl_target *target = lua_newuserdatauv(L, sizeof *target, 0);
  target->recall = &recall;
  target->port = port;
  return with_target(L, rt, HOST, target);
}

/* Groups. */

static unsigned check_interface(lua_State *L, int index) {
  if (lua_isnil(L, index)) return 0;
  if (lua_isinteger(L, index)) return (unsigned)lua_tointeger(L, index);
  unsigned number = if_nametoindex(luaL_checkstring(L, index));
  if (number == 0) luaL_error(L, "field 'interface': there is no '%s'", lua_tostring(L, index));
  return number;
}

static int change_group(lua_State *L,
                        int (*change)(tide_datagram *, const tide_address *, unsigned)) {
  tl_runtime *rt = tl_rt(L);
  tide_address group;
  tide_datagram *self = check_datagram(L);
  const char *host = luaL_checkstring(L, 2);
  int option = tl_options(L, 3, "interface:any");
  unsigned interface = check_interface(L, option);
  tl_address_parse(L, rt, host, 0, &group);
  int error = change(self, &group, interface);
  return error == TIDE_OK ? 0 : tl_raise_address(L, rt, error, &group);
}

/* datagram:join(group[, {interface=}]), datagram:leave(group[, {interface=}]) */
static int datagram_join(lua_State *L) { return change_group(L, tide_datagram_join); }
static int datagram_leave(lua_State *L) { return change_group(L, tide_datagram_leave); }

/* The rest. */

/* datagram:address() -> host, port | "unix:/path" */
static int datagram_address(lua_State *L) {
  tide_address address;
  int error = tide_datagram_address(check_datagram(L), &address);
  return error == TIDE_OK ? tl_address_push(L, &address) : tl_raise(L, tl_rt(L), error);
}

/* datagram:close(), __close */
static int datagram_close(lua_State *L) {
  tide_datagram_close(check_datagram(L));
  return 0;
}

static int datagram_tostring(lua_State *L) {
  char text[TIDE_ADDRESS_TEXT];
  tide_address address;
  if (tide_datagram_address(check_datagram(L), &address) != TIDE_OK) {
    lua_pushliteral(L, "Datagram(closed)");
    return 1;
  }
  tide_address_format(&address, text);
  lua_pushfstring(L, "Datagram(%s)", text);
  return 1;
}

void tl_datagram_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"udp", net_udp}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"sendto", datagram_sendto},   {"recvfrom", datagram_recvfrom},
                                     {"connect", datagram_connect}, {"send", datagram_send},
                                     {"recv", datagram_recv},       {"join", datagram_join},
                                     {"leave", datagram_leave},     {"address", datagram_address},
                                     {"close", datagram_close},     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", datagram_close}, {"__tostring", datagram_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_DATAGRAM, "Datagram", methods, metamethods);
  tl_owned_class(L, rt, TL_DATAGRAM, datagram_release);
  tl_functions(L, rt, functions);
  tl_constructor(L, rt, "Datagram", TL_DATAGRAM, NULL);
}
