/* channel.h: messages between threads: a bounded queue whose ends may be in different loops.
 *
 * A channel is made anywhere, counted, and used by any number of tasks, in any loops, and of hosts'
 * threads that have none. Who waits is served in order within a loop, the loops in turn; who comes
 * later does not overtake: what a waiting task has a right to is left for it, also while its loop
 * is busy. */
#ifndef TIDE_CHANNEL_H
#define TIDE_CHANNEL_H

#include "message.h"
#include "select.h"

TIDE_BEGIN_DECLS

/* (waits): see wait.h. */

typedef struct tide_channel tide_channel;

/* A channel that holds so many messages at most (one at least), with one reference. NULL where
 * memory is short; it is the C library's. */
TIDE_API tide_channel *tide_channel_new(size_t capacity);

/* One more reference, or one less, from any thread. With the last the channel goes, and frees the
 * messages in it: nobody may wait in it then, nor have been woken and not been stepped. */
TIDE_API tide_channel *tide_channel_ref(tide_channel *channel);
TIDE_API void tide_channel_unref(tide_channel *channel);

/* (waits) Until there is room for the message: TIDE_OK, and it is the channel's. TIDE_ECLOSED,
 * TIDE_ENOMEM: it is the caller's as before, as it is where the task was cancelled. Of a task that
 * is killed the message goes with the wait. Holds the loop meanwhile (tide_loop_hold). */
TIDE_API int tide_channel_send(tide_channel *channel, tide_task *task, tide_message *message);

/* (waits) Until there is a message: the caller's now, in task->wait.value.pointer. TIDE_EEOF: the
 * channel is closed, and all was taken. TIDE_ENOMEM. Holds the loop meanwhile. */
TIDE_API int tide_channel_recv(tide_channel *channel, tide_task *task);

/* The same without waiting, from any thread (but not from signal handlers). TIDE_EQUEUE_FULL,
 * TIDE_EQUEUE_EMPTY: somebody would have to wait, or others do. */
TIDE_API int tide_channel_try_send(tide_channel *channel, tide_message *message);
TIDE_API int tide_channel_try_recv(tide_channel *channel, tide_message **message);

/* Takes no more: who sends fails with TIDE_ECLOSED, now and later; what is in it can be received.
 * From any thread; harmless when repeated. */
TIDE_API void tide_channel_close(tide_channel *channel);

/* At the moment; from any thread. */
TIDE_API bool tide_channel_closed(tide_channel *channel);
TIDE_API size_t tide_channel_count(tide_channel *channel); /* messages in it */

/* Cases of select (select.h): that a message was received, in wait.value.pointer (TIDE_EEOF: as
 * above); that this one was sent. What was not sent is the caller's, but where its task is killed.
 */
TIDE_API void tide_case_recv(tide_case *self, tide_channel *channel);
TIDE_API void tide_case_send(tide_case *self, tide_channel *channel, tide_message *message);

TIDE_END_DECLS

#endif
