/* How long a program takes from its start to its end, with nothing to do. start PROGRAM [count]: it
 * is run with "-e ''" so many times, one after the other; the median. */
#define _GNU_SOURCE
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "measure.h"

static int compare(const void *a, const void *b) {
  double one = *(const double *)a, other = *(const double *)b;
  return one < other ? -1 : one > other;
}

static double run(char **command) {
  pid_t child;
  int status;
  double began = wall_ns();
  if (posix_spawnp(&child, command[0], NULL, NULL, command, environ) != 0) fail("it did not start");
  if (waitpid(child, &status, 0) != child || status != 0) fail("it failed");
  return wall_ns() - began;
}

int main(int argc, char **argv) {
  if (argc < 2) fail("which program?");
  char flag[] = "-e", code[] = "";
  char *command[] = {argv[1], flag, code, NULL};
  long count = argument(argc, argv, 2, 200);
  double *took = malloc((size_t)count * sizeof *took);
  if (took == NULL) fail("no memory for the times");
  for (long i = 0; i < count; i++) took[i] = run(command);
  qsort(took, (size_t)count, sizeof *took, compare);
  printf("ns %.1f\n", took[count / 2]);
  free(took);
  return 0;
}
