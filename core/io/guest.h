/* guest.h: a loop beside another one that can watch no descriptor: a thread waits in its place.
 *
 * Who can watch one (poll, epoll, GLib, Qt) watches tide_loop_fd, and needs no thread. Others, such
 * as SDL's loop of events, can be woken by any thread: `wake` posts an event of theirs, and they
 * call tide_loop_tick when that comes. The thread polls that descriptor, and touches nothing of the
 * loop's. */
#ifndef TIDE_GUEST_H
#define TIDE_GUEST_H

#include "../sched/loop.h"

TIDE_BEGIN_DECLS

/* Has the host's loop call tide_loop_tick in the loop's thread. Called in another thread, or by a
 * tick that leaves tasks ready, at its end. It must not block for long, and not call on the loop
 * but by tide_loop_post. */
typedef void (*tide_wake_fn)(void *context);

/* From now on `wake` is called when there is something to do for tide_loop_tick, where it was not
 * called already since the last one; at once for the first time. The thread waits only while a tick
 * has left nothing ready. TIDE_OK; TIDE_EALREADY_RUNNING: it was started before; TIDE_ENOMEM;
 * TIDE_EINVALID_STATE (see tide_loop_fd); TIDE_OS(errno): no thread or descriptor can be had. */
TIDE_API int tide_loop_guest_start(tide_loop *loop, tide_wake_fn wake, void *context);

/* `wake` is not called any more when this returns. Not from inside `wake`. Harmless when it was not
 * started; tide_loop_free does it too. */
TIDE_API void tide_loop_guest_stop(tide_loop *loop);

TIDE_END_DECLS

#endif
