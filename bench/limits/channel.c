/* Limit of messages between threads: a ring of 1,024 pointers under a mutex, with a condition for
 * who waits on each side. Each message is allocated by one thread and freed by the other. channel
 * [messages] */
#define _GNU_SOURCE
#include <pthread.h>

#include "measure.h"

enum { SLOTS = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static long *ring[SLOTS];
static size_t first, count;
static long messages;

static void put(long *message) {
  pthread_mutex_lock(&lock);
  while (count == SLOTS) pthread_cond_wait(&not_full, &lock);
  ring[(first + count++) % SLOTS] = message;
  pthread_mutex_unlock(&lock);
  pthread_cond_signal(&not_empty);
}

static long *get(void) {
  pthread_mutex_lock(&lock);
  while (count == 0) pthread_cond_wait(&not_empty, &lock);
  long *message = ring[first];
  first = (first + 1) % SLOTS;
  count--;
  pthread_mutex_unlock(&lock);
  pthread_cond_signal(&not_full);
  return message;
}

static void *produce(void *argument) {
  for (long i = 1; i <= messages; i++) {
    long *message = malloc(sizeof *message);
    if (message == NULL) fail("no memory");
    *message = i;
    put(message);
  }
  return argument;
}

int main(int argc, char **argv) {
  messages = argument(argc, argv, 1, 1000000);
  long sum = 0;
  pthread_t thread;
  double began = wall_ns();
  if (pthread_create(&thread, NULL, produce, NULL) != 0) fail("no thread");
  for (long i = 0; i < messages; i++) {
    long *message = get();
    sum += *message;
    free(message);
  }
  printf("ns %.1f\n", (wall_ns() - began) / (double)messages);
  pthread_join(thread, NULL);
  if (sum != messages * (messages + 1) / 2) fail("the sum is wrong");
  return 0;
}
