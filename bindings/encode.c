/* encode.c: values as bytes. */
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "class.h"
#include "codec.h"
#include "error.h"
#include "lent.h"
#include "runtime.h"
#include "tide_lua.h"

void tl_letter_free(tide_message *message) {
  tl_letter *self = tide_container(message, tl_letter, message);
  for (uint32_t i = 0; i < self->count; i++) tide_channel_unref(self->channels[i].channel);
  tl_freight_remove(self->counted, self->size);
  free(self);
}

/* Bytes that grow, of the C library's: a message may be freed in another thread. */
typedef struct bytes {
  char *data;
  size_t size, room;
} bytes;

typedef struct encoder {
  tl_runtime *rt;
  bytes content, shapes;
  bytes channels;  /* named: those of the objects that were met, which keep them */
  uint32_t tables; /* met so far */
  uint32_t at;     /* which one the content is of that is being written; 0: none, the value */
  int flags;
  size_t max;   /* bytes, or SIZE_MAX */
  bool limited; /* by the memory of the state */
} encoder;

enum { VALUE = 2, SEEN, LIST, PARENTS, KEYS }; /* on the stack of encode: the encoder is at 1 */

static void grow(lua_State *L, bytes *self, size_t size) {
  size_t room = self->room > 0 ? self->room * 2 : 128;
  while (room - self->size < size) room *= 2;
  char *grown = realloc(self->data, room);
  if (grown == NULL) {
    luaL_error(L, "not enough memory");
    return;
  }
  self->data = grown;
  self->room = room;
}

static void append(lua_State *L, const encoder *self, bytes *to, const void *data, size_t size) {
  if (size > self->max - self->content.size - self->shapes.size)
    tl_raise_message(L, self->rt, TIDE_ELIMIT,
                     self->limited ? "the state has all the messages that it may have"
                                   : "the message is too large");
  if (to->data == NULL || size > to->room - to->size) grow(L, to, size);
  if (to->data == NULL) return;
  memcpy(to->data + to->size, data, size);
  to->size += size;
}

static void write_tag(lua_State *L, encoder *self, int tag) {
  char byte = (char)tag;
  append(L, self, &self->content, &byte, 1);
}

static void write_tagged(lua_State *L, encoder *self, int tag, const void *data, size_t size) {
  write_tag(L, self, tag);
  append(L, self, &self->content, data, size);
}

/* What cannot be copied, and where it is. */

enum { STEPS_SHOWN = 12, KEY_SHOWN = 40 };

/* Replaces the key on top by the text of that step. */
static void step_text(lua_State *L) {
  if (lua_type(L, -1) == LUA_TSTRING) {
    size_t length;
    const char *key = lua_tolstring(L, -1, &length);
    size_t letters = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    bool is_name = letters == length && length > 0 && (key[0] < '0' || key[0] > '9');
    if (length > KEY_SHOWN)
      lua_pushfstring(L, "[a string of %I bytes]", (lua_Integer)length);
    else
      lua_pushfstring(L, is_name ? ".%s" : "[\"%s\"]", key);
  } else if (lua_isnumber(L, -1) || lua_isboolean(L, -1)) {
    lua_pushfstring(L, "[%s]", luaL_tolstring(L, -1, NULL));
    lua_remove(L, -2);
  } else {
    lua_pushfstring(L, "[a %s]", luaL_typename(L, -1));
  }
  lua_remove(L, -2);
}

/* Pushes the way to the table of that number. */
static void push_path(lua_State *L, uint32_t number) {
  int steps = 0;
  lua_pushliteral(L, "");
  for (; number > 1 && steps < STEPS_SHOWN; steps++) {
    lua_rawgeti(L, KEYS, number);
    step_text(L);
    lua_insert(L, -2);
    lua_concat(L, 2);
    lua_rawgeti(L, PARENTS, number);
    number = (uint32_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
  lua_pushstring(L, number > 1 ? "value..." : "value");
  lua_insert(L, -2);
  lua_concat(L, 2);
}

/* Of the value on top; under it is its key, where it is in a table. */
static void refuse(lua_State *L, const encoder *self, const char *what) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  int top = lua_gettop(L);
  bool is_key = self->at > 0 && lua_rawequal(L, top, top - 1);
  push_path(L, self->at);
  if (self->at > 0 && !is_key) {
    lua_pushvalue(L, top - 1);
    step_text(L);
    lua_concat(L, 2);
  }
  lua_pushfstring(L, "a message cannot have %s: %s %s", what, is_key ? "a key of" : "it is",
                  lua_tostring(L, -1));
  tl_raise_message(L, self->rt, TIDE_EMISUSE, lua_tostring(L, -1));
}

/* Values. */

static bool is_error(lua_State *L, const encoder *self, int index) {
  return tl_is_error(L, self->rt, index);
}

/* Whether the table on top has a metatable that is not an error's. */
static bool is_foreign(lua_State *L, const encoder *self) {
  if (!lua_getmetatable(L, -1)) return false;
  lua_pop(L, 1);
  return !is_error(L, self, lua_gettop(L));
}

static bool can_copy(lua_State *L, const encoder *self) {
  switch (lua_type(L, -1)) {
  case LUA_TFUNCTION:
  case LUA_TTHREAD:
    return false;
  case LUA_TUSERDATA:
    return tl_channel_test(L, self->rt, -1) != NULL;
  case LUA_TLIGHTUSERDATA:
    return (self->flags & TIDE_LUA_POINTERS) != 0;
  case LUA_TTABLE:
    return !is_foreign(L, self);
  default:
    return true;
  }
}

/* The number of the table on top, under which is its key where it is in one. */
static uint32_t number_of(lua_State *L, encoder *self) {
  lua_pushvalue(L, -1);
  if (lua_rawget(L, SEEN) != LUA_TNIL) {
    uint32_t number = (uint32_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return number;
  }
  lua_pop(L, 1);
  if (is_foreign(L, self)) refuse(L, self, "a table with a metatable");
  uint32_t number = ++self->tables;
  lua_pushvalue(L, -1);
  lua_pushinteger(L, number);
  lua_rawset(L, SEEN);
  lua_pushvalue(L, -1);
  lua_rawseti(L, LIST, number);
  lua_pushinteger(L, self->at);
  lua_rawseti(L, PARENTS, number);
  if (self->at > 0) {
    lua_pushvalue(L, -2);
    lua_rawseti(L, KEYS, number);
  }
  return number;
}

static void write_string(lua_State *L, encoder *self) {
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  unsigned char brief = (unsigned char)length;
  if (length <= UINT8_MAX)
    write_tagged(L, self, TL_TAG_SHORT_STRING, &brief, 1);
  else
    write_tagged(L, self, TL_TAG_STRING, &length, sizeof length);
  append(L, self, &self->content, text, length);
}

/* Of what cannot be copied, on top. */
static void refuse_value(lua_State *L, const encoder *self) {
  lua_pushfstring(L, "a %s", luaL_typename(L, -1));
  lua_insert(L, -3);
  refuse(L, self, lua_tostring(L, -3));
}

static void write_object(lua_State *L, encoder *self) {
  tl_named object = {.channel = tl_channel_test(L, self->rt, lua_gettop(L))};
  if (object.channel == NULL) {
    refuse_value(L, self);
    return;
  }
  uint32_t number = (uint32_t)(self->channels.size / sizeof object);
  append(L, self, &self->channels, &object, sizeof object);
  write_tagged(L, self, TL_TAG_CHANNEL, &number, sizeof number);
}

/* The value on top, which stays. */
static void write_value(lua_State *L, encoder *self) {
  lua_Integer integer;
  lua_Number number;
  uint32_t table;
  const void *pointer;
  switch (lua_type(L, -1)) {
  case LUA_TNIL:
    write_tag(L, self, TL_TAG_NIL);
    break;
  case LUA_TBOOLEAN:
    write_tag(L, self, lua_toboolean(L, -1) ? TL_TAG_TRUE : TL_TAG_FALSE);
    break;
  case LUA_TNUMBER:
    integer = lua_tointeger(L, -1);
    number = lua_tonumber(L, -1);
    if (lua_isinteger(L, -1))
      write_tagged(L, self, TL_TAG_INTEGER, &integer, sizeof integer);
    else
      write_tagged(L, self, TL_TAG_FLOAT, &number, sizeof number);
    break;
  case LUA_TSTRING:
    write_string(L, self);
    break;
  case LUA_TTABLE:
    table = number_of(L, self);
    write_tagged(L, self, TL_TAG_TABLE, &table, sizeof table);
    break;
  case LUA_TLIGHTUSERDATA:
    if (!(self->flags & TIDE_LUA_POINTERS)) refuse(L, self, "light userdata");
    pointer = lua_touserdata(L, -1);
    write_tagged(L, self, TL_TAG_POINTER, &pointer, sizeof pointer);
    break;
  case LUA_TUSERDATA:
    write_object(L, self);
    break;
  default:
    refuse_value(L, self);
  }
}

/* Whether the key under the top is one of those that are written by their order. */
static bool is_entry(lua_State *L, const tl_table_shape *shape) {
  lua_Integer key = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
  return key >= 1 && key <= (lua_Integer)shape->entries;
}

/* How many entries from 1 on are written by their order: up to the length, which is a power of two
 * of the like where a few keys are far apart. So there may be holes, but not more than this and
 * half of what is there. */
enum { FEW_HOLES = 16 };

static uint32_t write_entries(lua_State *L, encoder *self, int table) {
  lua_Unsigned length = lua_rawlen(L, table);
  uint32_t last = length < UINT32_MAX / 4 ? (uint32_t)length : UINT32_MAX / 4, holes = 0;
  for (uint32_t i = 1; i <= last; i++) {
    lua_pushinteger(L, i);
    if (lua_rawgeti(L, table, i) == LUA_TNIL && ++holes > FEW_HOLES + i / 2) last = i;
    write_value(L, self);
    lua_pop(L, 2);
  }
  return last;
}

/* The table on top. An error leaves behind what cannot go: the task or stream that it is about. */
static void write_content(lua_State *L, encoder *self) {
  tl_table_shape shape = {.kind =
                              is_error(L, self, lua_gettop(L)) ? TL_TABLE_ERROR : TL_TABLE_PLAIN};
  int table = lua_gettop(L);
  if (shape.kind == TL_TABLE_PLAIN) shape.entries = write_entries(L, self, table);
  for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
    if (is_entry(L, &shape) || (shape.kind == TL_TABLE_ERROR && !can_copy(L, self))) continue;
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -1); /* a key is its own key */
    write_value(L, self);
    lua_pop(L, 2);
    write_value(L, self);
    shape.others++;
  }
  append(L, self, &self->shapes, &shape, sizeof shape);
}

/* In protected mode. Nothing here collects garbage once it has begun to look at tables: a finalizer
 * could change them. */
static int encode(lua_State *L) {
  encoder *self = lua_touserdata(L, 1);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  for (int i = SEEN; i <= KEYS; i++) lua_newtable(L);
  lua_pushvalue(L, VALUE);
  write_value(L, self);
  lua_pop(L, 1);
  while (self->at < self->tables) {
    lua_rawgeti(L, LIST, ++self->at);
    write_content(L, self);
    lua_pop(L, 1);
  }
  return 0;
}

static char *put(char *to, const bytes *what) {
  if (what->size > 0) memcpy(to, what->data, what->size);
  return to + what->size;
}

/* Puts it together. NULL: there is no memory. */
static tide_message *seal(const encoder *self) {
  size_t front = sizeof(tl_letter) + self->channels.size;
  size_t size = sizeof self->tables + self->shapes.size + self->content.size;
  tl_letter *sealed = malloc(front + size);
  if (sealed == NULL) return NULL;
  sealed->size = front + size;
  if (!tl_freight_add(self->rt, sealed->size, &sealed->counted)) {
    free(sealed);
    return NULL;
  }
  sealed->count = (uint32_t)(self->channels.size / sizeof sealed->channels[0]);
  char *data = put((char *)sealed->channels, &self->channels);
  for (uint32_t i = 0; i < sealed->count; i++) tide_channel_ref(sealed->channels[i].channel);
  sealed->message = (tide_message){.data = data, .size = size, .free = tl_letter_free};
  tide_list_init(&sealed->message.link);
  memcpy(data, &self->tables, sizeof self->tables);
  put(put(data + sizeof self->tables, &self->shapes), &self->content);
  return &sealed->message;
}

tide_message *tide_lua_encode(lua_State *L, int index, int flags, size_t max) {
  encoder self = {.rt = tl_lent_runtime(L), .flags = flags, .max = max > 0 ? max : SIZE_MAX / 2};
  size_t room = tl_freight_room(self.rt);
  self.limited = room < self.max;
  if (self.limited) self.max = room;
  index = lua_absindex(L, index);
  lua_pushcfunction(L, encode);
  lua_pushlightuserdata(L, &self);
  lua_pushvalue(L, index);
  int status = lua_pcall(L, 2, 0, 0);
  tide_message *message = status == LUA_OK ? seal(&self) : NULL;
  free(self.content.data);
  free(self.shapes.data);
  free(self.channels.data);
  if (status != LUA_OK) lua_error(L);
  if (message == NULL) luaL_error(L, "not enough memory");
  return message;
}
