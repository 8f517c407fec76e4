/* freight.h: what a state whose memory is limited has in messages that are still there. They are
 * the C library's, and may be freed in any thread, when the state is closed already: so they are
 * counted apart from what Lua has, and may be as many bytes as that. */
#ifndef TL_FREIGHT_H
#define TL_FREIGHT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct tl_runtime tl_runtime;
typedef struct tl_freight tl_freight;

/* How many bytes the next message may have; SIZE_MAX: there is no limit. */
size_t tl_freight_room(const tl_runtime *rt);

/* A message of so many bytes is made: `*counted` is to be told of its end; NULL: nobody is. False:
 * there is no memory. */
bool tl_freight_add(tl_runtime *rt, size_t size, tl_freight **counted);

/* It is freed. From any thread. */
void tl_freight_remove(tl_freight *self, size_t size);

/* The state is being closed, and makes no more. */
void tl_freight_end(tl_runtime *rt);

#endif
