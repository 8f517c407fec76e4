/* message.c: messages that are copies of bytes. */
#include "message.h"

#include <stdlib.h>
#include <string.h>

static void free_block(tide_message *message) { free(message); }

tide_message *tide_message_new(const void *data, size_t size) {
  tide_message *message = malloc(sizeof *message + size);
  if (message == NULL) return NULL;
  *message = (tide_message){.data = message + 1, .size = size, .free = free_block};
  if (size > 0) memcpy(message->data, data, size);
  return message;
}

void tide_message_free(tide_message *message) { message->free(message); }
