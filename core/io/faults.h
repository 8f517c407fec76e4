/* faults.h: system calls that fail on demand, in builds for tests (TIDE_FAULTS). Internal to core.
 */
#ifndef TIDE_FAULTS_H
#define TIDE_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* The call sites of sys.c. */
typedef enum tide__site {
  TIDE__READ,
  TIDE__SEND,
  TIDE__SENDMSG,
  TIDE__WRITEV,
  TIDE__SOCKET,
  TIDE__SOCKETPAIR,
  TIDE__ACCEPT,
  TIDE__BIND,
  TIDE__LISTEN,
  TIDE__CONNECT,
  TIDE__SETSOCKOPT,
  TIDE__SHUTDOWN,
  TIDE__GETSOCKNAME,
  TIDE__GETPEERNAME,
  TIDE__LSTAT,
  TIDE__UNLINK,
  TIDE__SITES,
} tide__site;

#ifdef TIDE_FAULTS

/* One fault: the `at`th call at the site fails with `error`, and no other does. One per process. */
typedef struct tide__fault {
  tide__site site;
  unsigned at;    /* from 1; 0: none */
  int error;      /* an errno; 0: the call moves one byte only */
  unsigned calls; /* made at the site so far */
  bool cut;       /* the call at hand moves one byte only */
  bool all_cut;   /* every call does: the environment has TIDE_ONE_BYTE */
} tide__fault;

extern tide__fault tide__fault_now;

/* Counts the call. True: it is to fail, and errno is set. */
bool tide__fails(tide__site site);

/* How many of `size` bytes the call at hand may move. */
size_t tide__cut(size_t size);

/* Which of `*count` parts it may move: them, or one byte of the first that has any. */
const struct iovec *tide__cut_parts(const struct iovec *parts, size_t *count);

#else
#define tide__fails(site)             false
#define tide__cut(size)               (size)
#define tide__cut_parts(parts, count) (parts)
#endif

#endif
