/* call.h: calls of Lua functions by tasks of C's. */
#ifndef TL_CALL_H
#define TL_CALL_H

#include "tide.h"

/* The state is being closed: who waits in one hears of it, and takes no result out of it. */
void tl_calls_end(tide_list *calls);

#endif
