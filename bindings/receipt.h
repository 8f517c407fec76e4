/* receipt.h: Queue.take, whose items go back if their taker fails. */
#ifndef TL_RECEIPT_H
#define TL_RECEIPT_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

int tl_queue_take_with_receipt(lua_State *L); /* the method */

/* The item of the receipt at `index` is done; raises where it is none of the queue's, or was used.
 */
void tl_receipt_done(lua_State *L, tl_runtime *rt, int index, const tide_queue *owner);

#endif
