/* buffer.h: bytes in a row, appended at the end and consumed from the front. */
#ifndef TIDE_BUFFER_H
#define TIDE_BUFFER_H

#include "alloc.h"
#include "config.h"

TIDE_BEGIN_DECLS

/* All zero: empty, and without memory. */
typedef struct tide_buffer {
  char *data;      /* the memory: the buffer's own, or borrowed */
  size_t start;    /* where in it the first byte is */
  size_t end;      /* behind the last byte */
  size_t capacity; /* of the memory; 0 where it is borrowed or there is none */
} tide_buffer;

static inline size_t tide_buffer_size(const tide_buffer *buffer) {
  return buffer->end - buffer->start;
}

/* The first byte; NULL where there is no memory. */
static inline char *tide_buffer_bytes(const tide_buffer *buffer) {
  return buffer->data != NULL ? buffer->data + buffer->start : NULL;
}

/* Makes room for `room` bytes at `data + end`. The bytes may move; borrowed ones are copied into
 * memory of the buffer's own. TIDE_OK or TIDE_ENOMEM, which changes nothing. */
TIDE_API int tide_buffer_reserve(tide_buffer *buffer, const tide_allocator *a, size_t room);

/* Room must have been reserved. */
TIDE_API void tide_buffer_append(tide_buffer *buffer, const void *bytes, size_t size);

/* Drops the first `size` bytes, of which there must be as many. They stay readable until the next
 * call on the buffer. */
static inline void tide_buffer_consume(tide_buffer *buffer, size_t size) { buffer->start += size; }

/* Makes an empty buffer without memory stand for bytes of somebody else's. */
static inline void tide_buffer_borrow(tide_buffer *buffer, char *bytes, size_t size) {
  buffer->data = bytes;
  buffer->start = 0;
  buffer->end = size;
  buffer->capacity = 0;
}

static inline bool tide_buffer_borrowed(const tide_buffer *buffer) {
  return buffer->capacity == 0 && buffer->data != NULL;
}

/* Empties the buffer and frees its memory. */
TIDE_API void tide_buffer_term(tide_buffer *buffer, const tide_allocator *a);

TIDE_END_DECLS

#endif
