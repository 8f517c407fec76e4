/* frame.h: waiting for the host's next frame. */
#ifndef TIDE_FRAME_H
#define TIDE_FRAME_H

#include "task.h"

TIDE_BEGIN_DECLS

/* (waits) Until tide_loop_frame is called the next time: task->wait.value.number is then what that
 * was given. Cancellable. A host that is going to call it holds the loop (tide_loop_hold), or
 * waiting for it is a deadlock. */
TIDE_API int tide_task_wait_frame(tide_task *task);

/* A frame of the host's is over, which took `span` nanoseconds of the host's time: all who wait in
 * tide_task_wait_frame get ready, in the order in which they came. Who waits anew waits for the
 * next. */
TIDE_API void tide_loop_frame(tide_loop *loop, tide_time span);

TIDE_END_DECLS

#endif
