/* stream.c: Stream. Its functions call the core's again after every wait, until they are done. */
#include <math.h>
#include <sys/uio.h>

#include "class.h"
#include "error.h"
#include "net.h"
#include "options.h"
#include "owned.h"
#include "parts.h"
#include "runtime.h"
#include "self.h"
#include "task.h"
#include "tls.h"
#include "value.h"
#include "wait.h"

enum {
  READ_SIZE = 64 * 1024,   /* of read() without a size */
  LINE_MAX_SIZE = 1 << 20, /* of read_line and read_until without a limit */
  PARTS_MAX = 16,          /* strings of one write that need not be joined */
};

static tide_stream *check_stream(lua_State *L) { return tl_check(L, tl_rt(L), 1, TL_STREAM); }

tide_stream *tl_stream_new(lua_State *L, tl_runtime *rt) {
  tide_stream *stream = tl_owned_new(L, rt, TL_STREAM, sizeof *stream, 1);
  tide_stream_init(stream, rt->loop, -1);
  return stream;
}

/* Of a method that waits: the stream at 1. NULL: it takes a turn first. */
static tide_stream *begin(lua_State *L, tl_runtime **rt) {
  *rt = tl_rt(L);
  return TL_UNLIKELY(tl_begin(L, *rt) == NULL) ? NULL : tl_self_cached(L, *rt, TL_STREAM);
}

static int push_slice(lua_State *L, const tide_stream *self, const tide_slice *slice) {
  lua_pushlstring(L, slice->data, slice->length);
  tide_stream_done(self);
  return 1;
}

/* Raises `eof`; what came before the end is err.partial. Copied first: making the error may collect
 * garbage, and a finalizer may close the stream. */
static int raise_eof(lua_State *L, const tl_runtime *rt, const tide_stream *self,
                     const tide_slice *partial) {
  push_slice(L, self, partial);
  tl_error_push(L, rt, TIDE_EEOF, NULL);
  lua_rotate(L, -2, 1);
  lua_setfield(L, -2, "partial");
  return lua_error(L);
}

static size_t check_size(lua_State *L, int index, size_t otherwise) {
  return lua_isnoneornil(L, index) ? otherwise : tl_check_count(L, index, 1);
}

/* The option `max` of those at `index`, the last argument. */
static size_t option_max(lua_State *L, int index, size_t otherwise) {
  if (lua_isnoneornil(L, index)) return otherwise;
  int max = tl_options(L, index, "max:size");
  if (!lua_isnil(L, max)) {
    double value = lua_tonumber(L, max);
    otherwise = value < (double)SIZE_MAX ? (size_t)value : SIZE_MAX;
  }
  lua_settop(L, index);
  return otherwise;
}

/* Puts the field `max` in the place of the options at `index`, the last argument: they may be
 * changed before the function is called again. */
static void take_max(lua_State *L, int index, size_t otherwise) {
  size_t max = option_max(L, index, otherwise);
  lua_settop(L, index - 1);
  lua_pushinteger(L, (lua_Integer)max);
}

/* Raises; who gets a failure of the system's finds in it the stream, which is at 1. */
int tl_raise_stream(lua_State *L, tl_runtime *rt, int result) {
  if (result == TIDE_ETLS) return tl_raise_tls(L, rt, tide_tls_failed(lua_touserdata(L, 1)));
  if (!TIDE_IS_OS(result)) return tl_raise_outcome(L, rt, result);
  tl_error_push(L, rt, result, NULL);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "stream");
  return lua_error(L);
}

/* Reading. Each attempt gives the number of its results, or TL_AGAIN where it waits. */

static int nothing_or(lua_State *L, tl_runtime *rt, int result) {
  if (result == TIDE_PENDING) return TL_AGAIN;
  if (result != TIDE_EEOF) return tl_raise_stream(L, rt, result);
  lua_pushnil(L);
  return 1;
}

static int read_at_most(lua_State *L, tl_runtime *rt, void *self, size_t max) {
  tide_slice slice;
  int result = tide_stream_read(self, &rt->current->task, max, &slice);
  return result == TIDE_OK ? push_slice(L, self, &slice) : nothing_or(L, rt, result);
}

static int try_read(lua_State *L, tl_runtime *rt, void *self) {
  return read_at_most(L, rt, self, check_size(L, 2, READ_SIZE));
}

/* What came, or `eof` with what came before the end. */
static int slice_or_eof(lua_State *L, tl_runtime *rt, const tide_stream *self, int result,
                        const tide_slice *slice) {
  if (result == TIDE_OK) return push_slice(L, self, slice);
  if (result == TIDE_PENDING) return TL_AGAIN;
  return result == TIDE_EEOF ? raise_eof(L, rt, self, slice) : tl_raise_stream(L, rt, result);
}

static int try_read_exactly(lua_State *L, tl_runtime *rt, void *self) {
  tide_slice slice;
  size_t count = tl_check_count(L, 2, 0);
  int result = tide_stream_read_exactly(self, &rt->current->task, count, &slice);
  return slice_or_eof(L, rt, self, result, &slice);
}

static int until(tl_runtime *rt, void *self, const tide_slice *separator, size_t max,
                 tide_slice *slice) {
  return tide_stream_read_until(self, &rt->current->task, *separator, max, slice);
}

static int try_read_until(lua_State *L, tl_runtime *rt, void *self) {
  tide_slice slice, separator;
  separator.data = lua_tolstring(L, 2, &separator.length);
  size_t max = (size_t)lua_tointeger(L, 3);
  return slice_or_eof(L, rt, self, until(rt, self, &separator, max, &slice), &slice);
}

/* Pushes a line without its end. */
static int push_line(lua_State *L, const tide_stream *self, const tide_slice *slice) {
  size_t length = slice->length;
  if (length > 0 && slice->data[length - 1] == '\n') length--;
  if (length > 0 && length < slice->length && slice->data[length - 1] == '\r') length--;
  lua_pushlstring(L, slice->data, length);
  tide_stream_done(self);
  return 1;
}

static int line_at_most(lua_State *L, tl_runtime *rt, void *self, size_t max) {
  tide_slice slice;
  const tide_slice newline = {.data = "\n", .length = 1};
  int result = until(rt, self, &newline, max, &slice);
  bool line = result == TIDE_OK || (result == TIDE_EEOF && slice.length > 0);
  return line ? push_line(L, self, &slice) : nothing_or(L, rt, result);
}

static int try_read_line(lua_State *L, tl_runtime *rt, void *self) {
  return line_at_most(L, rt, self, (size_t)lua_tointeger(L, 2));
}

static int try_read_all(lua_State *L, tl_runtime *rt, void *self) {
  tide_slice slice;
  size_t max = (size_t)lua_tointeger(L, 2);
  int result = tide_stream_read_all(self, &rt->current->task, max, &slice);
  return slice_or_eof(L, rt, self, result, &slice);
}

/* Iterators: the step's first argument is the stream; the limit is the second upvalue. */

static size_t limit(lua_State *L) { return (size_t)lua_tointeger(L, lua_upvalueindex(2)); }

static int try_chunk(lua_State *L, tl_runtime *rt, void *self) {
  return read_at_most(L, rt, self, limit(L));
}

/* The usual limit needs no upvalue. */
static int try_usual_chunk(lua_State *L, tl_runtime *rt, void *self) {
  return read_at_most(L, rt, self, READ_SIZE);
}

static int try_line(lua_State *L, tl_runtime *rt, void *self) {
  return line_at_most(L, rt, self, limit(L));
}

static int iterate(lua_State *L, lua_CFunction step, size_t max) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushinteger(L, (lua_Integer)max);
  lua_pushcclosure(L, step, 2);
  lua_pushvalue(L, 1);
  return 2;
}

/* Writing. */

static int done(lua_State *L, tl_runtime *rt, int result) {
  if (result == TIDE_PENDING) return TL_AGAIN;
  return result == TIDE_OK ? 0 : tl_raise_stream(L, rt, result);
}

static int try_write(lua_State *L, tl_runtime *rt, void *self) {
  struct iovec parts[PARTS_MAX];
  int count = lua_gettop(L) - 1;
  for (int i = 0; i < count; i++) {
    size_t length;
    const char *data = lua_tolstring(L, i + 2, &length);
    if (TL_UNLIKELY(data == NULL)) luaL_checkstring(L, i + 2);
    parts[i].iov_base = (void *)(uintptr_t)data;
    parts[i].iov_len = length;
  }
  return done(L, rt, tide_stream_write(self, &rt->current->task, parts, (size_t)count));
}

static int try_flush(lua_State *L, tl_runtime *rt, void *self) {
  return done(L, rt, tide_stream_flush(self, &rt->current->task));
}

/* What waits, as scripts call it. */

static int call(lua_State *L, const tl_recall *recall) {
  tl_runtime *rt;
  tide_stream *stream = begin(L, &rt);
  if (TL_UNLIKELY(stream == NULL)) return tl_turn(L, rt);
  return tl_call(L, rt, recall, stream);
}

/* stream:read([max]) -> string | nil at the end (waits) */
static int stream_read(lua_State *L) {
  static const tl_recall recall = {.class = TL_STREAM, .attempt = try_read};
  return call(L, &recall);
}

/* stream:read_exactly(n) -> string (waits) */
static int stream_read_exactly(lua_State *L) {
  static const tl_recall recall = {.class = TL_STREAM, .attempt = try_read_exactly};
  return call(L, &recall);
}

/* stream:read_until(separator[, {max=}]) -> string with the separator (waits) */
static int stream_read_until(lua_State *L) {
  static const tl_recall recall = {.class = TL_STREAM, .attempt = try_read_until};
  tl_runtime *rt;
  tide_stream *stream = begin(L, &rt);
  if (TL_UNLIKELY(stream == NULL)) return tl_turn(L, rt);
  luaL_checkstring(L, 2);
  luaL_argcheck(L, lua_rawlen(L, 2) > 0, 2, "must not be empty");
  take_max(L, 3, LINE_MAX_SIZE);
  return tl_call(L, rt, &recall, stream);
}

/* stream:read_line([{max=}]) -> string without its end | nil at the end (waits) */
static int stream_read_line(lua_State *L) {
  static const tl_recall recall = {.class = TL_STREAM, .attempt = try_read_line};
  tl_runtime *rt;
  tide_stream *stream = begin(L, &rt);
  if (TL_UNLIKELY(stream == NULL)) return tl_turn(L, rt);
  take_max(L, 2, LINE_MAX_SIZE);
  return tl_call(L, rt, &recall, stream);
}

/* stream:read_all([{max=}]) -> string (waits) */
static int stream_read_all(lua_State *L) {
  static const tl_recall recall = {.class = TL_STREAM, .attempt = try_read_all};
  tl_runtime *rt;
  tide_stream *stream = begin(L, &rt);
  if (TL_UNLIKELY(stream == NULL)) return tl_turn(L, rt);
  take_max(L, 2, SIZE_MAX);
  return tl_call(L, rt, &recall, stream);
}

static int next_chunk(lua_State *L) {
  static const tl_recall recall = {.class = TL_STREAM, .attempt = try_chunk};
  return call(L, &recall);
}

static int next_usual_chunk(lua_State *L) {
  static const tl_recall recall = {.class = TL_STREAM, .attempt = try_usual_chunk};
  return call(L, &recall);
}

static int next_line(lua_State *L) {
  static const tl_recall recall = {.class = TL_STREAM, .attempt = try_line};
  return call(L, &recall);
}

/* for data in stream:chunks([max]) do */
static int stream_chunks(lua_State *L) {
  check_stream(L);
  size_t max = check_size(L, 2, READ_SIZE);
  return iterate(L, max == READ_SIZE ? next_usual_chunk : next_chunk, max);
}

/* for line in stream:lines([{max=}]) do */
static int stream_lines(lua_State *L) {
  check_stream(L);
  return iterate(L, next_line, option_max(L, 2, LINE_MAX_SIZE));
}

/* stream:write(s, ...) (waits) */
static int stream_write(lua_State *L) {
  static const tl_recall recall = {.class = TL_STREAM, .attempt = try_write};
  tl_runtime *rt;
  tide_stream *stream = begin(L, &rt);
  if (TL_UNLIKELY(stream == NULL)) return tl_turn(L, rt);
  int count = lua_gettop(L);
  if (count - 1 > PARTS_MAX) {
    for (int i = 2; i <= count; i++) luaL_checkstring(L, i);
    lua_concat(L, count - 1);
  }
  return tl_call(L, rt, &recall, stream);
}

/* stream:flush() (waits) */
static int stream_flush(lua_State *L) {
  static const tl_recall recall = {.class = TL_STREAM, .attempt = try_flush};
  return call(L, &recall);
}

/* What does not wait. */

static int stream_close_write(lua_State *L) {
  int result = tide_stream_close_write(check_stream(L));
  return result == TIDE_OK ? 0 : tl_raise(L, tl_rt(L), result);
}

/* stream:close(), __close */
static int stream_close(lua_State *L) {
  tide_stream_close(check_stream(L));
  return 0;
}

static void stream_release(tl_runtime *rt, void *stream) {
  (void)rt;
  tide_stream_close(stream);
}

static int stream_closed(lua_State *L) {
  lua_pushboolean(L, tide_stream_closed(check_stream(L)));
  return 1;
}

/* Seconds, or 0 for false: the option `keepalive` at `index`, of the argument at `position`. */
unsigned tl_check_keepalive(lua_State *L, int index, int position) {
  lua_Number seconds = lua_tonumber(L, index);
  bool off = lua_isboolean(L, index) && !lua_toboolean(L, index);
  bool fine = off || (lua_type(L, index) == LUA_TNUMBER && seconds >= 1 && seconds <= 32767);
  luaL_argcheck(L, fine, position, "field 'keepalive' must be false, or 1 to 32767 seconds");
  return off ? 0 : (unsigned)ceil(seconds);
}

static void must_be(lua_State *L, int result) {
  if (result != TIDE_OK) tl_raise(L, tl_rt(L), result);
}

/* stream:set{nodelay=, keepalive=seconds|false, low=, high=}: the last two in unsent bytes */
static int stream_set(lua_State *L) {
  enum { NODELAY, KEEPALIVE, LOW, HIGH };
  tide_stream *stream = check_stream(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  int option = tl_options(L, 2, "nodelay:flag keepalive:any low:integer high:integer");
  lua_Integer low = luaL_optinteger(L, option + LOW, stream->low_mark);
  lua_Integer high = luaL_optinteger(L, option + HIGH, stream->high_mark);
  luaL_argcheck(L, low >= 0, 2, "field 'low' must not be negative");
  luaL_argcheck(L, high <= UINT32_MAX, 2, "field 'high' must be below 4 GiB");
  luaL_argcheck(L, low <= high, 2, "field 'low' must not be above the high mark");
  bool kept = !lua_isnil(L, option + KEEPALIVE);
  unsigned keepalive = kept ? tl_check_keepalive(L, option + KEEPALIVE, 2) : 0;
  if (!lua_isnil(L, option + NODELAY))
    must_be(L, tide_stream_set_nodelay(stream, lua_toboolean(L, option + NODELAY) != 0));
  if (kept) must_be(L, tide_stream_set_keepalive(stream, keepalive));
  tide_stream_set_marks(stream, (uint32_t)low, (uint32_t)high);
  return 0;
}

/* stream:statistics() -> {unread=, unsent=, reading=, writing=, closed=}, the first two in bytes */
static int stream_statistics(lua_State *L) {
  const tide_stream *stream = check_stream(L);
  lua_createtable(L, 0, 5);
  tl_set_integer(L, "unread", (lua_Integer)tide_buffer_size(&stream->input));
  tl_set_integer(L, "unsent", (lua_Integer)tide_stream_unsent(stream));
  tl_set_boolean(L, "reading", stream->reader != NULL);
  tl_set_boolean(L, "writing", stream->writer != NULL);
  tl_set_boolean(L, "closed", tide_stream_closed(stream));
  return 1;
}

static int push_address(lua_State *L, int result, const tide_address *address) {
  return result == TIDE_OK ? tl_address_push(L, address) : tl_raise(L, tl_rt(L), result);
}

/* stream:address() -> host, port; or one value for a unix socket */
static int stream_address(lua_State *L) {
  tide_address address;
  int result = tide_stream_local_address(check_stream(L), &address);
  return push_address(L, result, &address);
}

/* stream:peer() -> as address, of the other end */
static int stream_peer(lua_State *L) {
  tide_address address;
  int result = tide_stream_peer_address(check_stream(L), &address);
  return push_address(L, result, &address);
}

static int stream_tostring(lua_State *L) {
  char text[TIDE_ADDRESS_TEXT];
  tide_address address;
  const tide_stream *stream = check_stream(L);
  if (tide_stream_closed(stream)) {
    lua_pushliteral(L, "Stream(closed)");
  } else if (tide_stream_peer_address(stream, &address) == TIDE_OK) {
    tide_address_format(&address, text);
    lua_pushfstring(L, "Stream(%s)", text);
  } else {
    lua_pushliteral(L, "Stream(not connected)");
  }
  return 1;
}

void tl_stream_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg methods[] = {{"read", stream_read},
                                     {"read_exactly", stream_read_exactly},
                                     {"read_until", stream_read_until},
                                     {"read_line", stream_read_line},
                                     {"read_all", stream_read_all},
                                     {"chunks", stream_chunks},
                                     {"lines", stream_lines},
                                     {"write", stream_write},
                                     {"flush", stream_flush},
                                     {"close_write", stream_close_write},
                                     {"close", stream_close},
                                     {"closed", stream_closed},
                                     {"readable", tl_stream_readable},
                                     {"set", stream_set},
                                     {"address", stream_address},
                                     {"peer", stream_peer},
                                     {"statistics", stream_statistics},
                                     {"tls", tl_stream_tls},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", stream_close}, {"__tostring", stream_tostring}, {NULL, NULL}};
  tl_class_new(L, rt, TL_STREAM, "Stream", methods, metamethods);
  tl_owned_class(L, rt, TL_STREAM, stream_release);
  tl_class_push(L, rt, TL_STREAM);
  lua_getfield(L, -1, "__index");
  lua_setfield(L, -3, "stream_methods");
  lua_pop(L, 1);
}
