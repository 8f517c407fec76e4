/* linger.h: unsent bytes of closed streams, sent on for a while. Internal to core. */
#ifndef TIDE_LINGER_H
#define TIDE_LINGER_H

#include "outbox.h"

/* Takes over the descriptor `fd`, watched by nobody, and the outbox, in nobody's wait; closes the
 * one and frees the other when all is sent, when that fails, or after some seconds. */
void tide__linger(tide_loop *loop, int fd, tide__outbox *outbox);

#endif
