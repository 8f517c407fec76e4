/* Limit of work done by threads: a bare pool of 2, a queue under a mutex and a condition, whose
 * completions are put into a list and told by an eventfd that libev watches. So many jobs are out
 * at a time; each does nothing. job [out at a time] [jobs] */
#define _GNU_SOURCE
#include <ev.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "measure.h"

enum { THREADS = 2 };

typedef struct job {
  struct job *next;
} job;

typedef struct list {
  job *first, **end;
} list;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER;
static list queue, done;
static int over, bell;
static long left;

static void put(list *self, job *one) {
  one->next = NULL;
  *self->end = one;
  self->end = &one->next;
}

static job *take(list *self) {
  job *one = self->first;
  if (one == NULL) return NULL;
  self->first = one->next;
  if (one->next == NULL) self->end = &self->first;
  return one;
}

static void *work(void *argument) {
  static const uint64_t once = 1;
  pthread_mutex_lock(&lock);
  for (;;) {
    while (queue.first == NULL && !over) pthread_cond_wait(&wanted, &lock);
    job *one = take(&queue);
    if (one == NULL) break;
    pthread_mutex_unlock(&lock);
    /* here it would work */
    pthread_mutex_lock(&lock);
    int was_empty = done.first == NULL;
    put(&done, one);
    if (!was_empty) continue;
    pthread_mutex_unlock(&lock);
    if (write(bell, &once, sizeof once) < 0) fail("cannot write");
    pthread_mutex_lock(&lock);
  }
  pthread_mutex_unlock(&lock);
  return argument;
}

static void submit(job *one) {
  pthread_mutex_lock(&lock);
  put(&queue, one);
  pthread_mutex_unlock(&lock);
  pthread_cond_signal(&wanted);
}

static job *take_done(void) {
  pthread_mutex_lock(&lock);
  job *one = take(&done);
  pthread_mutex_unlock(&lock);
  return one;
}

static long out;

static void came(struct ev_loop *ev, ev_io *io, int events) {
  uint64_t times;
  (void)events;
  if (read(io->fd, &times, sizeof times) < 0) return;
  for (job *one; (one = take_done()) != NULL;) {
    out--;
    if (left-- > 0) {
      out++;
      submit(one);
    }
  }
  if (out == 0) ev_break(ev, EVBREAK_ALL);
}

int main(int argc, char **argv) {
  long at_a_time = argument(argc, argv, 1, 1), jobs = argument(argc, argv, 2, 100000);
  job *all = calloc((size_t)at_a_time, sizeof *all);
  pthread_t threads[THREADS];
  struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
  ev_io io;
  queue.end = &queue.first;
  done.end = &done.first;
  bell = eventfd(0, EFD_NONBLOCK);
  ev_io_init(&io, came, bell, EV_READ);
  ev_io_start(ev, &io);
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, work, NULL) != 0) fail("no thread");
  left = jobs - at_a_time;
  double began = wall_ns();
  for (long i = 0; i < at_a_time; i++, out++) submit(&all[i]);
  ev_run(ev, 0);
  printf("ns %.1f\n", (wall_ns() - began) / (double)jobs);
  pthread_mutex_lock(&lock);
  over = 1;
  pthread_mutex_unlock(&lock);
  pthread_cond_broadcast(&wanted);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  free(all);
  return 0;
}
