/* faults.h: system calls and allocations that fail on demand, for tests of what then happens.
 *
 * A loop that was given faults (tide_loop_set_faults) asks them before each of its system calls and
 * allocations. Without any it costs a look at a pointer. */
#ifndef TIDE_FAULTS_H
#define TIDE_FAULTS_H

#include <stdbool.h>
#include <sys/uio.h>

#include "alloc.h"

TIDE_BEGIN_DECLS

/* X(identifier, name): the calls that input and output, posts and pools make. All that write are
 * "write", whatever the system calls them. */
#define TIDE_CALL_MAP(X)        \
  X(READ, "read")               \
  X(WRITE, "write")             \
  X(SOCKET, "socket")           \
  X(SOCKETPAIR, "socketpair")   \
  X(ACCEPT, "accept")           \
  X(BIND, "bind")               \
  X(LISTEN, "listen")           \
  X(CONNECT, "connect")         \
  X(SETSOCKOPT, "setsockopt")   \
  X(SHUTDOWN, "shutdown")       \
  X(GETSOCKNAME, "getsockname") \
  X(GETPEERNAME, "getpeername") \
  X(OPEN, "open")               \
  X(STAT, "stat")               \
  X(LSTAT, "lstat")             \
  X(UNLINK, "unlink")           \
  X(EVENTFD, "eventfd")         \
  X(THREAD, "pthread_create")

typedef enum tide_call {
#define TIDE_CALL(identifier, name) TIDE_CALL_##identifier,
  TIDE_CALL_MAP(TIDE_CALL)
#undef TIDE_CALL
      TIDE_CALLS,                    /* how many */
  TIDE_CALL_ALLOCATION = TIDE_CALLS, /* no system call: the loop asks for memory */
} tide_call;

/* "read", "write", ..., "allocation". */
TIDE_API const char *tide_call_name(tide_call call);

typedef struct tide_faults {
  tide_call call;           /* of what sort the call is that fails */
  unsigned at;              /* which one: from 1; 0: none */
  int error;                /* with that errno; 0: it moves one byte only. Of no meaning for
                               allocations */
  bool one_byte;            /* every call that moves bytes moves one */
  unsigned made;            /* calls of that sort so far: at least `at` where it was struck */
  bool cut;                 /* the call at hand moves one byte only */
  tide_allocator allocator; /* the loop's own, while this is in its place */
} tide_faults;

/* Counts the call. True: it is to fail, and errno is set. */
TIDE_API bool tide_faults_strike(tide_faults *faults, tide_call call);

/* How many of `size` bytes the call at hand may move. */
TIDE_API size_t tide_faults_cut(const tide_faults *faults, size_t size);

/* An allocator over the one in `faults`. */
TIDE_API tide_allocator tide_faults_allocator(tide_faults *faults);

TIDE_END_DECLS

#endif
