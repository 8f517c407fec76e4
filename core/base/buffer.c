/* buffer.c: room for bytes. */
#include "buffer.h"

#include <string.h>

#include "error.h"

/* Capacities stop here while that suffices: C libraries map larger blocks anew each time. */
static const size_t COMFORTABLE = 120 * 1024;

static size_t grown(size_t capacity, size_t needed) {
  size_t doubled = capacity > SIZE_MAX / 2 ? SIZE_MAX : capacity * 2;
  if (doubled > COMFORTABLE && needed <= COMFORTABLE) return COMFORTABLE;
  return doubled > needed ? doubled : needed;
}

/* Bytes move to the front where they are fewer than what was consumed, and so once at most. */
static bool compact(tide_buffer *buffer, size_t room) {
  size_t size = tide_buffer_size(buffer);
  if (size > buffer->start || buffer->capacity - size < room) return false;
  if (size > 0) memcpy(buffer->data, buffer->data + buffer->start, size);
  buffer->start = 0;
  buffer->end = size;
  return true;
}

static int move(tide_buffer *buffer, const tide_allocator *a, size_t capacity) {
  size_t size = tide_buffer_size(buffer);
  char *data = tide_alloc(a, capacity);
  if (data == NULL) return TIDE_ENOMEM;
  if (size > 0) memcpy(data, buffer->data + buffer->start, size);
  tide_buffer_term(buffer, a);
  *buffer = (tide_buffer){.data = data, .end = size, .capacity = capacity};
  return TIDE_OK;
}

static int extend(tide_buffer *buffer, const tide_allocator *a, size_t capacity) {
  char *data = tide_resize(a, buffer->data, buffer->capacity, capacity);
  if (data == NULL) return TIDE_ENOMEM;
  buffer->data = data;
  buffer->capacity = capacity;
  return TIDE_OK;
}

int tide_buffer_reserve(tide_buffer *buffer, const tide_allocator *a, size_t room) {
  size_t size = tide_buffer_size(buffer);
  if (room > SIZE_MAX - size) return TIDE_ENOMEM;
  if (size + room == 0) return TIDE_OK;
  if (buffer->capacity > 0) {
    if (buffer->capacity - buffer->end >= room || compact(buffer, room)) return TIDE_OK;
    if (buffer->start == 0) return extend(buffer, a, grown(buffer->capacity, size + room));
  }
  return move(buffer, a, grown(buffer->capacity, size + room));
}

void tide_buffer_append(tide_buffer *buffer, const void *bytes, size_t size) {
  if (size == 0) return;
  memcpy(buffer->data + buffer->end, bytes, size);
  buffer->end += size;
}

void tide_buffer_term(tide_buffer *buffer, const tide_allocator *a) {
  if (buffer->capacity > 0) tide_free(a, buffer->data, buffer->capacity);
  *buffer = (tide_buffer){0};
}
