/* descriptor.h: making the transport of a descriptor. Internal to core. */
#ifndef TIDE_DESCRIPTOR_H
#define TIDE_DESCRIPTOR_H

#include "transport.h"

/* Takes over the descriptor, in non-blocking mode; -1: it is closed. */
void tide__descriptor_init(tide_descriptor *self, tide_loop *loop, int fd);

/* Nobody waits in it. One that is a descriptor goes on in `room`; any other stays where it is. */
tide_transport *tide__transport_move(tide_transport *self, tide_descriptor *room);

#endif
