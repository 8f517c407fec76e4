/* Limit of a short sleep: clock_nanosleep for 100 us; the median of the times it takes.
 * nap [sleeps] */
#define _GNU_SOURCE
#include "measure.h"

static int compare(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return (difference > 0) - (difference < 0);
}

static double real_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char **argv) {
  long sleeps = argument(argc, argv, 1, 1000);
  double *took = calloc((size_t)sleeps, sizeof *took);
  const struct timespec span = {.tv_nsec = 100000};
  if (took == NULL) fail("no memory for the times");
  for (long i = 0; i < sleeps; i++) {
    double began = real_ns();
    clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL);
    took[i] = real_ns() - began;
  }
  qsort(took, (size_t)sleeps, sizeof *took, compare);
  printf("ns %.1f\n", took[sleeps / 2]);
  free(took);
  return 0;
}
