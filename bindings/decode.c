/* decode.c: values from bytes, whatever these are. */
#include <math.h>
#include <string.h>

#include "channel.h"
#include "class.h"
#include "codec.h"
#include "error.h"
#include "lent.h"
#include "runtime.h"
#include "tide_lua.h"

typedef struct decoder {
  tl_runtime *rt;
  const tl_letter *letter; /* whose bytes they are; NULL: they come from elsewhere */
  const char *next, *end;  /* what is left */
  uint32_t tables;
  int list; /* index of the list of tables */
  int flags;
} decoder;

static void malformed(lua_State *L, const decoder *self) {
  tl_raise_message(L, self->rt, TIDE_EMISUSE, "the bytes are no message");
}

static size_t left(const decoder *self) { return (size_t)(self->end - self->next); }

static void read_bytes(lua_State *L, decoder *self, void *to, size_t size) {
  if (size > left(self)) malformed(L, self);
  memcpy(to, self->next, size);
  self->next += size;
}

static void read_string(lua_State *L, decoder *self, size_t length) {
  if (length > left(self)) malformed(L, self);
  const char *text = self->next;
  self->next += length;
  lua_pushlstring(L, text, length);
}

static void push_table(lua_State *L, decoder *self) {
  uint32_t number;
  read_bytes(L, self, &number, sizeof number);
  if (number < 1 || number > self->tables) malformed(L, self);
  lua_rawgeti(L, self->list, number);
}

static void push_channel(lua_State *L, decoder *self) {
  uint32_t number;
  const tl_letter *from = self->letter;
  read_bytes(L, self, &number, sizeof number);
  if (from != NULL && number < from->count)
    tl_channel_push(L, self->rt, from->channels[number].channel);
  else
    malformed(L, self);
}

static void push_value(lua_State *L, decoder *self) {
  unsigned char tag, brief;
  size_t length;
  lua_Integer integer;
  lua_Number number;
  void *pointer;
  read_bytes(L, self, &tag, 1);
  switch (tag) {
  case TL_TAG_NIL:
    lua_pushnil(L);
    break;
  case TL_TAG_FALSE:
  case TL_TAG_TRUE:
    lua_pushboolean(L, tag == TL_TAG_TRUE);
    break;
  case TL_TAG_INTEGER:
    read_bytes(L, self, &integer, sizeof integer);
    lua_pushinteger(L, integer);
    break;
  case TL_TAG_FLOAT:
    read_bytes(L, self, &number, sizeof number);
    lua_pushnumber(L, number);
    break;
  case TL_TAG_SHORT_STRING:
    read_bytes(L, self, &brief, 1);
    read_string(L, self, brief);
    break;
  case TL_TAG_STRING:
    read_bytes(L, self, &length, sizeof length);
    read_string(L, self, length);
    break;
  case TL_TAG_TABLE:
    push_table(L, self);
    break;
  case TL_TAG_CHANNEL:
    push_channel(L, self);
    break;
  case TL_TAG_POINTER:
    if (!(self->flags & TIDE_LUA_POINTERS)) malformed(L, self);
    read_bytes(L, self, &pointer, sizeof pointer);
    lua_pushlightuserdata(L, pointer);
    break;
  default:
    malformed(L, self);
  }
}

/* Each entry takes a byte at least, each other one two. */
static void push_shaped(lua_State *L, decoder *self, const tl_table_shape *shape,
                        size_t *promised) {
  *promised += (size_t)shape->entries + 2 * (size_t)shape->others;
  if (*promised > left(self) || shape->kind > TL_TABLE_ERROR) malformed(L, self);
  lua_createtable(L, (int)shape->entries, (int)shape->others);
  if (shape->kind == TL_TABLE_PLAIN) return;
  tl_class_push(L, self->rt, TL_ERROR);
  lua_setmetatable(L, -2);
}

static void push_tables(lua_State *L, decoder *self) {
  tl_table_shape shape;
  size_t promised = 0;
  read_bytes(L, self, &self->tables, sizeof self->tables);
  if (self->tables > left(self) / sizeof shape) malformed(L, self);
  const char *shapes = self->next;
  self->next += self->tables * sizeof shape;
  lua_createtable(L, (int)self->tables, 0);
  self->list = lua_gettop(L);
  for (uint32_t i = 1; i <= self->tables; i++, shapes += sizeof shape) {
    memcpy(&shape, shapes, sizeof shape);
    push_shaped(L, self, &shape, &promised);
    lua_rawseti(L, self->list, i);
  }
}

static void check_key(lua_State *L, const decoder *self) {
  bool is_nan = lua_type(L, -1) == LUA_TNUMBER && isnan(lua_tonumber(L, -1));
  if (lua_isnil(L, -1) || is_nan) malformed(L, self);
}

/* Into the table on top. */
static void fill(lua_State *L, decoder *self, const tl_table_shape *shape) {
  for (uint32_t i = 1; i <= shape->entries; i++) {
    push_value(L, self);
    lua_rawseti(L, -2, i);
  }
  for (uint32_t i = 1; i <= shape->others; i++) {
    push_value(L, self);
    check_key(L, self);
    push_value(L, self);
    lua_rawset(L, -3);
  }
}

void tide_lua_decode(lua_State *L, const tide_message *message, int flags) {
  const char *data = message->data;
  decoder self = {
      .rt = tl_lent_runtime(L), .next = data, .end = data + message->size, .flags = flags};
  if (message->free == tl_letter_free)
    self.letter = tide_container(message, const tl_letter, message);
  tl_table_shape shape;
  push_tables(L, &self);
  push_value(L, &self);
  const char *shapes = data + sizeof self.tables;
  for (uint32_t i = 1; i <= self.tables; i++, shapes += sizeof shape) {
    memcpy(&shape, shapes, sizeof shape);
    lua_rawgeti(L, self.list, i);
    fill(L, &self, &shape);
    lua_pop(L, 1);
  }
  if (self.next != self.end) malformed(L, &self);
  lua_remove(L, self.list);
}
