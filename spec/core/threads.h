/* threads.h: other threads, for the specs of what crosses them. They check nothing: a check that
 * fails leaves the test, and only the test's own thread can. */
#ifndef TIDE_SPEC_THREADS_H
#define TIDE_SPEC_THREADS_H

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "script.h"

typedef struct crew {
  pthread_t threads[16];
  unsigned count;
} crew;

static inline void start(crew *self, void *(*work)(void *), void *argument) {
  CHECK(self->count < 16);
  CHECK_EQ(pthread_create(&self->threads[self->count++], NULL, work, argument), 0);
}

static inline void join_all(crew *self) {
  for (unsigned i = 0; i < self->count; i++) CHECK_EQ(pthread_join(self->threads[i], NULL), 0);
  self->count = 0;
}

static inline void pause_us(long us) {
  nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

/* Flags between threads. */
static inline void raise_flag(int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELEASE); }
static inline int flag_of(const int *flag) { return __atomic_load_n(flag, __ATOMIC_ACQUIRE); }
static inline void add_one(int *number) { __atomic_add_fetch(number, 1, __ATOMIC_ACQ_REL); }

static inline void await_flag(const int *flag) {
  while (!flag_of(flag)) pause_us(50);
}

/* The entries of a folder such as /proc/self/fd. */
static inline int count_entries(const char *path) {
  DIR *directory = opendir(path);
  CHECK(directory != NULL);
  int count = 0;
  for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
    count += entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

static inline int count_threads(void) { return count_entries("/proc/self/task"); }
static inline int count_fds(void) { return count_entries("/proc/self/fd"); }

/* Turns of a loop with nothing else to do until that has come true. */
#define TURN_UNTIL(loop, condition)                   \
  for (int turns_ = 0; !(condition); turns_++) {      \
    CHECK(turns_ < 10000000);                         \
    CHECK_EQ(tide_loop_turn((loop), false), TIDE_OK); \
  }

#endif
