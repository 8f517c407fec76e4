/* channel.h: what the codec and select.c need of Channels, and the reverse. */
#ifndef TL_CHANNEL_H
#define TL_CHANNEL_H

#include <lua.h>

#include "tide.h"

typedef struct tl_runtime tl_runtime;

/* The core's channel of the Channel at `index`, or NULL: it is none, or was collected. */
tide_channel *tl_channel_test(lua_State *L, const tl_runtime *rt, int index);

/* The same; raises for what is no Channel, and `closed` where the collector has taken it. */
tide_channel *tl_channel_check(lua_State *L, const tl_runtime *rt, int index);

/* Raises where the value at 2 is missing, or nil, which cannot be sent. [-0, +0, v] */
void tl_channel_check_value(lua_State *L);

int tl_channel_sending(lua_State *L); /* select.c: Channel.sending */

/* Pushes a Channel, which has a reference of its own. [-0, +1, m] */
void tl_channel_push(lua_State *L, tl_runtime *rt, tide_channel *channel);

/* Pushes what the message says, which is gone then in any case. [-0, +1, m] */
void tl_message_open(lua_State *L, tide_message *message);

#endif
