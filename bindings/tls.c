/* tls.c: what lua/tide/tls.lua makes TLS of: contexts, and streams that go on over them. */
#include "tls.h"

#include <errno.h>
#include <string.h>

#include "class.h"
#include "net.h"
#include "owned.h"
#include "parts.h"
#include "runtime.h"
#include "value.h"
#include "wait.h"

enum { NAMES_MOST = 32 }; /* protocols of one context */

typedef struct tl_context {
  tide_tls_context *context; /* or NULL */
} tl_context;

typedef struct tl_peer {
  tide_tls_peer *peer; /* or NULL */
} tl_peer;

static void context_release(tl_runtime *rt, void *object) {
  tl_context *self = object;
  (void)rt;
  tide_tls_context_unref(self->context);
  self->context = NULL;
}

int tl_raise_tls(lua_State *L, const tl_runtime *rt, const tide_tls_failure *failure) {
  bool known = failure != NULL && *failure->reason != '\0';
  tl_error_push(L, rt, TIDE_ETLS, known ? failure->text : NULL);
  lua_pushstring(L, known ? failure->reason : "protocol");
  lua_setfield(L, -2, "reason");
  return lua_error(L);
}

static int raise_missing(lua_State *L, const tl_runtime *rt) {
  return tl_raise_message(L, rt, TIDE_OS(ENOSYS),
                          tide_tls_is_there()
                              ? "TLS is by OpenSSL 3 (libssl.so.3), which is not installed"
                              : "there is no TLS: tide was built without OpenSSL (libssl-dev)");
}

static int raise_load(lua_State *L, const tl_runtime *rt, int error,
                      const tide_tls_failure *failure) {
  if (error == TIDE_ETLS) return tl_raise_tls(L, rt, failure);
  if (error == TIDE_OS(ENOSYS)) return raise_missing(L, rt);
  if (!TIDE_IS_OS(error)) return tl_raise(L, rt, error);
  lua_pushfstring(L, "%s: %s", failure->text, tide_error_message(error));
  tl_error_push(L, rt, error, lua_tostring(L, -1));
  lua_pushstring(L, failure->text);
  lua_setfield(L, -2, "path");
  return lua_error(L);
}

/* The names in the list at 2, or none. */
static void read_names(lua_State *L, const char *names[NAMES_MOST + 1]) {
  int count = 0;
  names[0] = NULL;
  if (lua_isnil(L, 2)) return;
  for (; count < NAMES_MOST && lua_rawgeti(L, 2, count + 1) == LUA_TSTRING; count++) {
    names[count] = lua_tostring(L, -1); /* the list has it */
    lua_pop(L, 1);
  }
  names[count] = NULL;
}

static const char *text_field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  const char *text = lua_tostring(L, -1); /* the table has it */
  lua_pop(L, 1);
  return text;
}

static bool flag_field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  bool flag = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return flag;
}

/* tide.tls_context({server=, ca=, crl=, cert=, key=, password=, insecure=, verify_client=,
 * min_version=}, alpn | nil) -> context: what is in them was checked */
static int new_context(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  const char *names[NAMES_MOST + 1];
  tide_tls_failure failure = {"", ""};
  tl_loop(L, rt);
  const char *ask = text_field(L, "verify_client");
  tide_tls_options options = {
      .server = flag_field(L, "server"),
      .ca = text_field(L, "ca"),
      .crl = text_field(L, "crl"),
      .cert = text_field(L, "cert"),
      .key = text_field(L, "key"),
      .password = text_field(L, "password"),
      .insecure = flag_field(L, "insecure"),
      .ask = ask == NULL                   ? TIDE_TLS_NONE
             : strcmp(ask, "require") == 0 ? TIDE_TLS_REQUIRED
                                           : TIDE_TLS_OPTIONAL,
      .min_version = text_field(L, "min_version"),
      .alpn = names,
  };
  read_names(L, names);
  tl_context *self = tl_owned_new(L, rt, TL_TLS_CONTEXT, sizeof *self, 0);
  int error = tide_tls_context_new(&self->context, rt->loop, &options, &failure);
  return error == TIDE_OK ? 1 : raise_load(L, rt, error, &failure);
}

/* tide.file_stamp(path) -> number that changes where the file does; 0: there is none */
static int file_stamp(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  lua_pushinteger(L, (lua_Integer)tide_tls_file_stamp(rt->loop, luaL_checkstring(L, 1)));
  return 1;
}

/* tide.tls_begin(stream, context[, host[, port]]) */
static int begin(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  tide_stream *stream = tl_check(L, rt, 1, TL_STREAM);
  const tl_context *context = tl_check(L, rt, 2, TL_TLS_CONTEXT);
  const char *host = luaL_optstring(L, 3, NULL);
  uint16_t port = (uint16_t)luaL_optinteger(L, 4, 0);
  int error = tide_tls_begin(stream, context->context, host, port);
  if (error == TIDE_OK) return 0;
  if (error == TIDE_ETLS) {
    tide_tls_failure failure = {"protocol", "there were bytes before the handshake"};
    return tl_raise_tls(L, rt, &failure);
  }
  if (error == TIDE_EMISUSE) return tl_raise_message(L, rt, error, "not the name of a host");
  return tl_raise(L, rt, error);
}

/* tide.stream_host(stream) -> the host that it was connected to | nil */
static int stream_host(lua_State *L) {
  tl_check(L, tl_rt(L), 1, TL_STREAM);
  lua_getiuservalue(L, 1, 1);
  return 1;
}

/* A function of the stream at 1 alone, which waits. */
static int call(lua_State *L, const tl_recall *recall) {
  tl_runtime *rt = tl_rt(L);
  if (TL_UNLIKELY(tl_begin(L, rt) == NULL)) return tl_turn(L, rt);
  tide_stream *stream = tl_check(L, rt, 1, TL_STREAM);
  lua_settop(L, 1);
  return tl_call(L, rt, recall, stream);
}

static int try_handshake(lua_State *L, tl_runtime *rt, void *self) {
  int result = tide_tls_handshake(self, &rt->current->task);
  if (result == TIDE_PENDING) return TL_AGAIN;
  return result == TIDE_OK ? 0 : tl_raise_stream(L, rt, result);
}

/* tide.tls_handshake(stream) (waits) */
static int handshake(lua_State *L) {
  static const tl_recall recall = {.class = TL_STREAM, .attempt = try_handshake};
  return call(L, &recall);
}

static int try_hello(lua_State *L, tl_runtime *rt, void *self) {
  char name[256];
  int result = tide_tls_hello(self, &rt->current->task, name);
  if (result == TIDE_PENDING) return TL_AGAIN;
  if (result != TIDE_OK) return tl_raise_stream(L, rt, result);
  if (*name == '\0') return 0;
  lua_pushstring(L, name);
  return 1;
}

/* tide.tls_hello(stream) -> whom the client wants | nothing (waits) */
static int hello(lua_State *L) {
  static const tl_recall recall = {.class = TL_STREAM, .attempt = try_hello};
  return call(L, &recall);
}

/* tide.tls_switch(stream, context) */
static int switch_context(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  tide_stream *stream = tl_check(L, rt, 1, TL_STREAM);
  const tl_context *context = tl_check(L, rt, 2, TL_TLS_CONTEXT);
  int error = tide_tls_switch(stream, context->context);
  return error == TIDE_OK ? 0 : tl_raise(L, rt, error);
}

/* ---- stream:tls() */

static void set_text(lua_State *L, const char *name, const char *text) {
  if (text == NULL) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static void peer_release(tl_runtime *rt, void *object) {
  tl_peer *self = object;
  tide_tls_peer_free(self->peer, rt->loop);
  self->peer = NULL;
}

static void push_peer(lua_State *L, const tide_tls_peer *peer) {
  char digest[2 * sizeof peer->sha256 + 1];
  for (size_t i = 0; i < sizeof peer->sha256; i++)
    snprintf(digest + 2 * i, 3, "%02x", peer->sha256[i]);
  lua_createtable(L, 0, 7);
  set_text(L, "subject", peer->subject);
  set_text(L, "issuer", peer->issuer);
  set_text(L, "pem", peer->pem);
  set_text(L, "sha256", digest);
  tl_set_integer(L, "not_before", peer->not_before);
  tl_set_integer(L, "not_after", peer->not_after);
  lua_createtable(L, (int)peer->name_count, 0);
  for (size_t i = 0; i < peer->name_count; i++) {
    lua_pushstring(L, peer->names[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "names");
}

int tl_stream_tls(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  const tide_stream *stream = tl_check(L, rt, 1, TL_STREAM);
  tide_tls_info info;
  lua_settop(L, 1);
  if (!tide_tls_is_agreed(stream)) return 0;
  lua_createtable(L, 0, 6);
  tl_peer *place = tl_owned_new(L, rt, TL_TLS_PEER, sizeof *place, 0);
  if (tide_tls_tell(stream, &info) != TIDE_OK) return 0; /* a finalizer has closed it */
  if (info.has_peer && tide_tls_peer_new(stream, &place->peer) != TIDE_OK)
    return luaL_error(L, "not enough memory");
  lua_pushvalue(L, 2);
  set_text(L, "server_name", *info.server_name != '\0' ? info.server_name : NULL);
  set_text(L, "version", info.version);
  set_text(L, "cipher", info.cipher);
  set_text(L, "alpn", *info.alpn != '\0' ? info.alpn : NULL);
  tl_set_boolean(L, "resumed", info.resumed);
  if (place->peer == NULL) return 1;
  push_peer(L, place->peer);
  lua_setfield(L, -2, "peer");
  return 1;
}

/* ---- the Lua part */

void tl_tls_prepare(lua_State *L, const tl_runtime *rt, int index, const char *side,
                    const char *host, int position, const char *function) {
  tl_hook_push(L, rt, "tls_options");
  lua_pushvalue(L, index);
  lua_pushstring(L, side);
  lua_pushstring(L, host);
  lua_pushinteger(L, position);
  lua_pushstring(L, function);
  lua_call(L, 5, 1);
  lua_replace(L, index);
}

void tl_tls_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {{"tls_context", new_context},   {"tls_begin", begin},
                                       {"tls_handshake", handshake},   {"tls_hello", hello},
                                       {"tls_switch", switch_context}, {"file_stamp", file_stamp},
                                       {"stream_host", stream_host},   {NULL, NULL}};
  tl_class_new(L, rt, TL_TLS_CONTEXT, "TLS context", NULL, NULL);
  tl_owned_class(L, rt, TL_TLS_CONTEXT, context_release);
  tl_class_new(L, rt, TL_TLS_PEER, "TLS peer", NULL, NULL);
  tl_owned_class(L, rt, TL_TLS_PEER, peer_release);
  tl_functions(L, rt, functions);
}
