/* codec.h: what a message is: values as bytes, by encode.c, and back, by decode.c.
 *
 * A message is flat: the value, then the content of each table that was met, in the order in which
 * they were met; where a table is a value or a key, its number stands. So shared tables and cycles
 * need nothing of their own, and nothing here recurses, however deep tables are nested. In front is
 * how large each table will be: what is allocated to decode is in proportion to the bytes that
 * there are. Numbers are as this machine has them: messages stay in a process, or between its like.
 *
 *     message  count of tables, {kind, entries 1 .. n, other entries} of each, value, contents
 *     content  n values, then key and value of each other entry */
#ifndef TL_CODEC_H
#define TL_CODEC_H

#include "freight.h"
#include "tide.h"

enum {
  TL_TAG_NIL,
  TL_TAG_FALSE,
  TL_TAG_TRUE,
  TL_TAG_INTEGER,
  TL_TAG_FLOAT,
  TL_TAG_SHORT_STRING,
  TL_TAG_STRING,
  TL_TAG_TABLE,
  TL_TAG_CHANNEL,
  TL_TAG_POINTER
};

enum { TL_TABLE_PLAIN, TL_TABLE_ERROR };

typedef struct tl_table_shape {
  uint32_t kind;    /* TL_TABLE_... */
  uint32_t entries; /* 1 .. n: some may be nil */
  uint32_t others;  /* entries with another key */
} tl_table_shape;

/* A channel that a message names, by its number among them. */
typedef struct tl_named {
  tide_channel *channel;
} tl_named;

/* A message of ours, its bytes behind it. It has a reference to each channel. */
typedef struct tl_letter {
  tide_message message; /* first; its `free` is tl_letter_free */
  tl_freight *counted;  /* who is to be told of its end, or NULL */
  size_t size;          /* of all of it */
  uint32_t count;       /* of channels */
  tl_named channels[];
} tl_letter;

void tl_letter_free(tide_message *message);

#endif
