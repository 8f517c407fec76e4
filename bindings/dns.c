/* dns.c: tide.dns: resolve, query, reverse. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "class.h"
#include "error.h"
#include "net.h"
#include "options.h"
#include "owned.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"
#include "wait.h"

/* At 1 while a function waits: where its answer goes, so that nothing that raises can lose it. */
typedef struct tl_answer {
  const tide_dns_answer *answer; /* or NULL */
} tl_answer;

static void answer_release(tl_runtime *rt, void *object) {
  tl_answer *self = object;
  (void)rt;
  tide_dns_answer_drop(self->answer);
  self->answer = NULL;
}

static int answer_close(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  answer_release(rt, tl_check(L, rt, 1, TL_ANSWER));
  return 0;
}

int tl_raise_dns(lua_State *L, const tl_runtime *rt, tide_dns_code code, const char *name) {
  lua_pushfstring(L, "%s: %s", name, tide_dns_code_message(code));
  tl_error_push(L, rt, TIDE_EDNS, lua_tostring(L, -1));
  lua_pushstring(L, tide_dns_code_name(code));
  lua_setfield(L, -2, "code");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "name");
  return lua_error(L);
}

int tl_raise_no_dns(lua_State *L, const tl_runtime *rt) {
  return tl_raise_message(L, rt, TIDE_OS(ENOSYS),
                          "names are looked up by c-ares (libcares.so.2), which is not installed");
}

/* Raises what the look-up of the name at 2 has come to. */
static int raise_failed(lua_State *L, tl_runtime *rt, int result) {
  const char *name = lua_tostring(L, 2);
  if (result == TIDE_EDNS)
    return tl_raise_dns(L, rt, (tide_dns_code)rt->current->task.wait.value.integer, name);
  if (result == TIDE_OS(ENOSYS)) return tl_raise_no_dns(L, rt);
  if (result == TIDE_EMISUSE)
    return luaL_argerror(L, 1, lua_pushfstring(L, "not a numeric address: '%s'", name));
  return tl_raise_outcome(L, rt, result);
}

/* What a list has for each of the answer. */

static void push_address(lua_State *L, const tide_address *address) {
  char text[TIDE_ADDRESS_TEXT];
  tide_address_host(address, text);
  lua_pushstring(L, text);
}

static void set_text(lua_State *L, const char *name, const char *text, size_t size) {
  lua_pushlstring(L, text, size);
  lua_setfield(L, -2, name);
}

static void set_numbers(lua_State *L, const tide_dns_record *record, const char *const *names) {
  for (int i = 0; names[i] != NULL; i++) {
    lua_pushinteger(L, record->numbers[i]);
    lua_setfield(L, -2, names[i]);
  }
}

static void push_record(lua_State *L, const tide_dns_record *record, tide_dns_type type) {
  static const char *const mx[] = {"preference", NULL}, *const caa[] = {"flags", NULL};
  static const char *const srv[] = {"priority", "weight", "port", NULL};
  static const char *const soa[] = {"serial", "refresh", "retry", "expire", "minimum", NULL};
  bool plain = false;
  lua_createtable(L, 0, 4);
  switch (type) {
  case TIDE_DNS_MX:
    set_numbers(L, record, mx);
    set_text(L, "exchange", record->text, record->size);
    break;
  case TIDE_DNS_SRV:
    set_numbers(L, record, srv);
    set_text(L, "target", record->text, record->size);
    break;
  case TIDE_DNS_SOA:
    set_numbers(L, record, soa);
    set_text(L, "mname", record->text, record->size);
    set_text(L, "rname", record->more, record->more_size);
    break;
  case TIDE_DNS_CAA:
    set_numbers(L, record, caa);
    set_text(L, "tag", record->text, record->size);
    set_text(L, "value", record->more, record->more_size);
    break;
  default:
    plain = true;
  }
  if (plain) lua_pushlstring(L, record->text, record->size);
}

static int push_list(lua_State *L, const tide_dns_answer *answer, tide_dns_type type) {
  lua_createtable(L, (int)answer->count, 0);
  for (size_t i = 0; i < answer->count; i++) {
    if (answer->addresses != NULL)
      push_address(L, &answer->addresses[i]);
    else
      push_record(L, &answer->records[i], type);
    lua_rawseti(L, 3, (lua_Integer)i + 1);
    lua_settop(L, 3);
  }
  return 1;
}

/* With the answer's place at 1, and the name at 2. */
static int ended(lua_State *L, int status, lua_KContext type) {
  tl_runtime *rt = tl_rt(L);
  tl_answer *self = lua_touserdata(L, 1);
  (void)status;
  int result = tl_take_outcome(L, rt);
  if (TL_UNLIKELY(result != TIDE_OK)) return raise_failed(L, rt, result);
  self->answer = rt->current->task.wait.value.pointer;
  lua_settop(L, 2);
  return push_list(L, self->answer, (tide_dns_type)type);
}

static int finish(lua_State *L, tl_runtime *rt, int result, tide_dns_type type) {
  if (result != TIDE_OK && result != TIDE_PENDING) return raise_failed(L, rt, result);
  return tl_finish(L, rt, result, (lua_KContext)type, ended);
}

/* The name at `index`, alone on the stack behind the answer's place. */
static const char *prepare(lua_State *L, tl_runtime *rt, int index) {
  size_t length;
  const char *name = luaL_checklstring(L, index, &length);
  luaL_argcheck(L, length > 0, index, "an empty name");
  luaL_argcheck(L, strlen(name) == length, index, "the name has a NUL");
  lua_pushvalue(L, index);
  tl_owned_new(L, rt, TL_ANSWER, sizeof(tl_answer), 0);
  lua_replace(L, 1);
  lua_copy(L, -1, 2);
  lua_settop(L, 2);
  lua_toclose(L, 1);
  return name;
}

/* dns.resolve(host[, {family="inet"|"inet6"}]) -> list of addresses (waits) */
static int dns_resolve(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  int family = AF_UNSPEC;
  if (TL_UNLIKELY(tl_begin(L, rt) == NULL)) return tl_turn(L, rt);
  luaL_checkstring(L, 1);
  int option = tl_options(L, 2, "family:inet|inet6");
  if (!lua_isnil(L, option))
    family = strcmp(lua_tostring(L, option), "inet") == 0 ? AF_INET : AF_INET6;
  const char *name = prepare(L, rt, 1);
  return finish(L, rt, tide_dns_resolve(&rt->current->task, name, family), TIDE_DNS_A);
}

/* dns.query(name, type) -> list of strings or tables (waits) */
static int dns_query(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  if (TL_UNLIKELY(tl_begin(L, rt) == NULL)) return tl_turn(L, rt);
  luaL_checkstring(L, 1);
  tide_dns_type type = tide_dns_type_of(luaL_checkstring(L, 2));
  if (type == 0)
    return luaL_argerror(L, 2,
                         lua_pushfstring(L, "not a type of records: '%s'", lua_tostring(L, 2)));
  const char *name = prepare(L, rt, 1);
  return finish(L, rt, tide_dns_query(&rt->current->task, name, type), type);
}

/* dns.reverse(address) -> list of names (waits) */
static int dns_reverse(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  if (TL_UNLIKELY(tl_begin(L, rt) == NULL)) return tl_turn(L, rt);
  const char *address = prepare(L, rt, 1);
  return finish(L, rt, tide_dns_reverse(&rt->current->task, address), TIDE_DNS_PTR);
}

/* What require calls where there is nothing to ask with. */
static int refuse(lua_State *L) {
  return luaL_error(L, "there is no tide.dns: tide was built without c-ares (libc-ares-dev)");
}

static void open_without(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, refuse);
  lua_setfield(L, -2, "tide.dns");
  lua_pop(L, 1);
}

void tl_dns_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {
      {"resolve", dns_resolve}, {"query", dns_query}, {"reverse", dns_reverse}, {NULL, NULL}};
  static const luaL_Reg answer[] = {{"__close", answer_close}, {NULL, NULL}};
  tl_class_new(L, rt, TL_ANSWER, "answer", NULL, answer);
  tl_owned_class(L, rt, TL_ANSWER, answer_release);
  if (!tide_dns_is_there()) {
    open_without(L);
    return;
  }
  lua_newtable(L);
  tl_functions(L, rt, functions);
  lua_setfield(L, -2, "dns");
}
