/* tide.h: the public interface of the core, which knows nothing of Lua. */
#ifndef TIDE_H
#define TIDE_H

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/slab.h"
#include "io/address.h"
#include "io/connect.h"
#include "io/fd.h"
#include "io/listener.h"
#include "io/stream.h"
#include "sched/barrier.h"
#include "sched/branch.h"
#include "sched/condition.h"
#include "sched/event.h"
#include "sched/future.h"
#include "sched/group.h"
#include "sched/interval.h"
#include "sched/iter.h"
#include "sched/join.h"
#include "sched/lock.h"
#include "sched/loop.h"
#include "sched/queue.h"
#include "sched/queue_iter.h"
#include "sched/rwlock.h"
#include "sched/scope.h"
#include "sched/select.h"
#include "sched/semaphore.h"
#include "sched/task.h"

#endif
