/* linger.h: the end of streams, so that what was written arrives. Internal to core. */
#ifndef TIDE_LINGER_H
#define TIDE_LINGER_H

#include "outbox.h"

/* Both take over the transport, in which nobody waits, and close it, at once or later. One that is
 * a descriptor moves. */

/* Sends on what is in the outbox, in nobody's wait, which is freed. */
void tide__linger(tide_transport *transport, tide__outbox *outbox);

/* All was sent. Where `wrote` anything was, the other end gets time to take it. */
void tide__part(tide_loop *loop, tide_transport *transport, bool wrote);

#endif
