/* bound.h: binding sockets, and the files that unix ones leave. Internal to core. */
#ifndef TIDE_BOUND_H
#define TIDE_BOUND_H

#include "sys.h"

/* Binds a socket of that type. A unix path where a socket was left behind that nobody has is taken
 * over; `file` is then which file it is, or zeros. 0, or a negated errno. */
int tide__bound_bind(const tide_loop *loop, int fd, const tide_address *address, int type,
                     uint64_t file[2]);

/* Before it is closed: removes its file, if that is there still and the same. */
void tide__bound_remove(const tide_loop *loop, int fd, const uint64_t file[2]);

#endif
