/* channel.c: Channel: values between tasks in different states, loops and threads. */
#include "channel.h"
#include "class.h"
#include "error.h"
#include "lent.h"
#include "owned.h"
#include "parts.h"
#include "runtime.h"
#include "task.h"
#include "tide_lua.h"
#include "value.h"
#include "wait.h"

enum { CAPACITY = 64 }; /* where none is given */

/* The object has a reference. Several may be of one channel. */
typedef struct tl_channel {
  tide_channel *channel; /* NULL: it was collected */
} tl_channel;

/* A finalizer may come across one that was collected before. */
tide_channel *tl_channel_check(lua_State *L, const tl_runtime *rt, int index) {
  const tl_channel *self = tl_check(L, rt, index, TL_CHANNEL);
  if (self->channel == NULL) tl_raise(L, rt, TIDE_ECLOSED);
  return self->channel;
}

static tide_channel *check_channel(lua_State *L, int index) {
  return tl_channel_check(L, tl_rt(L), index);
}

tide_channel *tl_channel_test(lua_State *L, const tl_runtime *rt, int index) {
  const tl_channel *self = tl_test(L, rt, index, TL_CHANNEL);
  return self != NULL ? self->channel : NULL;
}

void tl_channel_push(lua_State *L, tl_runtime *rt, tide_channel *channel) {
  tl_channel *self = tl_owned_new(L, rt, TL_CHANNEL, sizeof *self, 0);
  self->channel = tide_channel_ref(channel);
}

static void channel_release(tl_runtime *rt, void *object) {
  tl_channel *self = object;
  (void)rt;
  if (self->channel != NULL) tide_channel_unref(self->channel);
  self->channel = NULL;
}

/* For hosts. */

tide_channel *tide_lua_to_channel(lua_State *L, int index) {
  return tl_channel_check(L, tl_lent_runtime(L), lua_absindex(L, index));
}

void tide_lua_push_channel(lua_State *L, tide_channel *channel) {
  tl_channel_push(L, tl_lent_runtime(L), channel);
}

/* Messages. */

static int open_message(lua_State *L) {
  tide_lua_decode(L, lua_touserdata(L, 1), 0);
  return 1;
}

void tl_message_open(lua_State *L, tide_message *message) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_pushcfunction(L, open_message);
  lua_pushlightuserdata(L, message);
  int status = lua_pcall(L, 1, 1, 0);
  tide_message_free(message);
  if (status != LUA_OK) lua_error(L);
}

void tl_channel_check_value(lua_State *L) {
  luaL_checkany(L, 2);
  luaL_argcheck(L, !lua_isnil(L, 2), 2, "nil cannot be sent: it says that there is no more");
}

/* Of the value at 2. */
static tide_message *make_message(lua_State *L) {
  tl_channel_check_value(L);
  return tide_lua_encode(L, 2, 0, 0);
}

/* Sending. The message is this function's until it was sent. */

static int not_sent(lua_State *L, tl_runtime *rt, tide_message *message, int error) {
  tide_message_free(message);
  return tl_raise_outcome(L, rt, error);
}

static int sent(lua_State *L, int status, lua_KContext message) {
  tl_runtime *rt = tl_rt(L);
  (void)status;
  int outcome = tl_take_outcome(L, rt);
  return outcome == TIDE_OK ? 0 : not_sent(L, rt, (tide_message *)message, outcome);
}

/* channel:send(value) (waits) */
static int channel_send(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  const tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL || tide_task_cancelled(&task->task))) return tl_turn(L, rt);
  tide_channel *channel = check_channel(L, 1);
  tide_message *message = make_message(L); /* may collect: but nothing of this task's is taken */
  int result = tide_channel_send(channel, &rt->current->task, message);
  if (result == TIDE_PENDING) return tl_wait(L, (lua_KContext)message, sent);
  return result == TIDE_OK ? 0 : not_sent(L, rt, message, result);
}

/* channel:try_send(value) -> whether there was room */
static int channel_try_send(lua_State *L) {
  tide_channel *channel = check_channel(L, 1);
  tide_message *message = make_message(L);
  int result = tide_channel_try_send(channel, message);
  if (result != TIDE_OK && result != TIDE_EQUEUE_FULL)
    return not_sent(L, tl_rt(L), message, result);
  if (result == TIDE_EQUEUE_FULL) tide_message_free(message);
  lua_pushboolean(L, result == TIDE_OK);
  return 1;
}

/* Receiving. */

static int received(lua_State *L, tl_runtime *rt, int outcome) {
  if (outcome != TIDE_OK && outcome != TIDE_EEOF) return tl_raise_outcome(L, rt, outcome);
  if (outcome == TIDE_OK)
    tl_message_open(L, rt->current->task.wait.value.pointer);
  else
    lua_pushnil(L);
  return 1;
}

static int waited(lua_State *L, int status, lua_KContext ctx) {
  tl_runtime *rt = tl_rt(L);
  (void)status;
  (void)ctx;
  return received(L, rt, tl_take_outcome(L, rt));
}

/* channel:recv() -> value | nil where it is closed, and all was taken (waits) */
static int channel_recv(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_task *task = tl_begin(L, rt);
  if (TL_UNLIKELY(task == NULL)) return tl_turn(L, rt);
  int result = tide_channel_recv(check_channel(L, 1), &task->task);
  return result == TIDE_PENDING ? tl_wait(L, 0, waited) : received(L, rt, result);
}

/* channel:try_recv() -> value | nil where there is none */
static int channel_try_recv(lua_State *L) {
  tide_message *message;
  int result = tide_channel_try_recv(check_channel(L, 1), &message);
  if (result == TIDE_OK)
    tl_message_open(L, message);
  else if (result == TIDE_EQUEUE_EMPTY)
    lua_pushnil(L);
  else
    return tl_raise(L, tl_rt(L), result == TIDE_EEOF ? TIDE_ECLOSED : result);
  return 1;
}

/* for value in channel:iter() do */
static int channel_iter(lua_State *L) {
  check_channel(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, channel_recv, 1);
  lua_pushvalue(L, 1);
  return 2;
}

/* The rest. */

/* channel:close(), __close: nothing more can be sent, by nobody */
static int channel_close(lua_State *L) {
  tide_channel_close(check_channel(L, 1));
  return 0;
}

static int channel_closed(lua_State *L) {
  lua_pushboolean(L, tide_channel_closed(check_channel(L, 1)));
  return 1;
}

static int channel_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)tide_channel_count(check_channel(L, 1)));
  return 1;
}

/* Whether two objects are of one channel. */
static int channel_eq(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  const tide_channel *one = tl_channel_test(L, rt, 1);
  lua_pushboolean(L, one != NULL && one == tl_channel_test(L, rt, 2));
  return 1;
}

static int channel_tostring(lua_State *L) {
  tide_channel *channel = check_channel(L, 1);
  lua_pushfstring(L, "Channel(%I messages%s)", (lua_Integer)tide_channel_count(channel),
                  tide_channel_closed(channel) ? ", closed" : "");
  return 1;
}

/* tide.Channel([capacity]) */
static int new_channel(lua_State *L) {
  size_t capacity = lua_isnoneornil(L, 1) ? CAPACITY : tl_check_size(L, 1, 1);
  tl_channel *self = tl_owned_new(L, tl_rt(L), TL_CHANNEL, sizeof *self, 0);
  self->channel = tide_channel_new(capacity);
  return self->channel != NULL ? 1 : luaL_error(L, "not enough memory");
}

void tl_channel_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {{"send", channel_send},
                                     {"recv", channel_recv},
                                     {"try_send", channel_try_send},
                                     {"try_recv", channel_try_recv},
                                     {"sending", tl_channel_sending},
                                     {"iter", channel_iter},
                                     {"close", channel_close},
                                     {"closed", channel_closed},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", channel_close},
                                         {"__eq", channel_eq},
                                         {"__len", channel_len},
                                         {"__tostring", channel_tostring},
                                         {NULL, NULL}};
  tl_class_new(L, rt, TL_CHANNEL, "Channel", methods, metamethods);
  tl_owned_class(L, rt, TL_CHANNEL, channel_release);
  tl_constructor(L, rt, "Channel", TL_CHANNEL, new_channel);
}
