/* message.h: what goes through a channel. */
#ifndef TIDE_MESSAGE_H
#define TIDE_MESSAGE_H

#include "../base/list.h"

TIDE_BEGIN_DECLS

typedef struct tide_message tide_message;

/* What is sent: owned by one party at a time, the sender, the channel, the receiver. Sender and
 * receiver agree about what is in it; it may be part of something larger. */
struct tide_message {
  tide_list link; /* in a channel */
  void *data;
  size_t size;                         /* of data, in bytes */
  void (*free)(tide_message *message); /* called by the last owner, in any thread; not NULL */
};

/* A message with a copy of those bytes, by the C library's allocator. NULL where memory is short.
 */
TIDE_API tide_message *tide_message_new(const void *data, size_t size);

/* Calls its `free`. */
TIDE_API void tide_message_free(tide_message *message);

TIDE_END_DECLS

#endif
