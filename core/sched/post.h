/* post.h: what other threads, and signal handlers, give a loop to do. */
#ifndef TIDE_POST_H
#define TIDE_POST_H

#include "loop.h"

TIDE_BEGIN_DECLS

typedef struct tide_post tide_post;
typedef struct tide_port tide_port;

/* Something to be done once in the loop's thread. Its owner's, who keeps it until one of its
 * functions is called: these may free it, or post it anew. */
struct tide_post {
  tide_post *next;              /* in the loop's inbox */
  void (*run)(tide_post *post); /* in the loop's thread, from a poll; may do as much as `ready` of
                                   a watcher may */
  void (*dropped)(tide_post *post); /* in place of it, from tide_loop_free, which came before; NULL:
                                       nobody is told */
  int on_its_way;                   /* it was posted, and is not yet run or dropped */
};

/* `dropped` may be set afterwards. */
TIDE_API void tide_post_init(tide_post *post, void (*run)(tide_post *post));

/* From any thread, and from signal handlers: takes no lock and no memory, and leaves errno alone.
 * The loop wakes up where it polls. What one thread posts is run in the order in which it was
 * posted; all that was posted before a poll, in that poll. To post one again that is on its way
 * (to the same loop) is harmless: it runs once, after this.
 *
 * That something is to be posted is no reason for the loop to wait: who will post has it held
 * (tide_loop_hold, in its own thread), until `run` lets it go. What has been posted is.
 *
 * The loop must be there until the call returns. Who cannot know that has a port. TIDE_OK; or,
 * only from what tide_loop_free calls, TIDE_ECLOSED, as with a port. */
TIDE_API int tide_loop_post(tide_loop *loop, tide_post *post);

/* The way to a loop for threads that may outlive it. In the loop's thread; counted: the caller has
 * one reference. Keeps up to two descriptors when the loop has gone. Never NULL. */
TIDE_API tide_port *tide_port_new(tide_loop *loop);

/* The same as tide_loop_post; TIDE_ECLOSED where the loop has been freed: then neither function is
 * called, and the post is the caller's as before. */
TIDE_API int tide_port_post(tide_port *port, tide_post *post);

/* One more reference, or one less: from any thread. What a port needs comes from the C library's
 * allocator, as the last reference may go anywhere. */
TIDE_API tide_port *tide_port_ref(tide_port *port);
TIDE_API void tide_port_unref(tide_port *port);

TIDE_END_DECLS

#endif
