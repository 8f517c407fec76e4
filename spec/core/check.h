/* check.h: the smallest harness. A test is a function; a check that fails ends it. One line for
 * each test, and the exit status is 1 if any failed. */
#ifndef TIDE_SPEC_CHECK_H
#define TIDE_SPEC_CHECK_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct check_state {
  int tests;           /* run so far */
  int failures;        /* of those */
  char context[160];   /* where in a series of cases a check is; printed where it fails */
  jmp_buf end_of_test; /* where a failed check goes */
} check_state;

static inline _Noreturn void check_fail(const char *file, int line, const char *what) {
  printf("# %s:%d: %s%s%s\n", file, line, what, *check_state.context ? " in " : "",
         check_state.context);
  longjmp(check_state.end_of_test, 1);
}

static inline void check_equal(const char *file, int line, const char *text, long long a,
                               long long b) {
  char what[300];
  if (a == b) return;
  snprintf(what, sizeof what, "%s: %lld is not %lld", text, a, b);
  check_fail(file, line, what);
}

static inline void check_text(const char *file, int line, const char *text, const char *a,
                              const char *b) {
  char what[900];
  if (strcmp(a, b) == 0) return;
  snprintf(what, sizeof what, "%s:\n#   got  '%.400s'\n#   want '%.400s'", text, a, b);
  check_fail(file, line, what);
}

#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) check_fail(__FILE__, __LINE__, #condition); \
  } while (0)

/* Integers of any kind; strings. */
#define CHECK_EQ(a, b)   check_equal(__FILE__, __LINE__, #a " == " #b, (long long)(a), (long long)(b))
#define CHECK_TEXT(a, b) check_text(__FILE__, __LINE__, #a, a, b)

/* How thorough specs are that repeat or try many points: TIDE_SWEEP "quick" makes them less so, as
 * under valgrind, which is after each kind of access, not after numbers. */
static inline int check_quick(void) {
  const char *sweep = getenv("TIDE_SWEEP");
  return sweep != NULL && strcmp(sweep, "quick") == 0;
}

/* How often to repeat what is done `count` times: a twentieth of them. */
static inline int check_many(int count) {
  if (!check_quick()) return count;
  return count > 20 ? count / 20 : 1;
}

/* The point of a sweep that comes after this one: further and further ahead. */
static inline unsigned check_next(unsigned point) {
  return point + 1 + (check_quick() ? point / 4 : 0);
}

static inline void check_run(const char *name, void (*test)(void)) {
  volatile int failed = 0;
  check_state.tests++;
  check_state.context[0] = '\0';
  if (setjmp(check_state.end_of_test) == 0)
    test();
  else
    failed = 1;
  check_state.failures += failed;
  printf("%s %d - ", failed ? "not ok" : "ok", check_state.tests);
  for (const char *c = name; *c != '\0'; c++) putchar(*c == '_' ? ' ' : *c);
  putchar('\n');
  fflush(stdout);
}

/* Runs a test; its name, with blanks for underscores, says what it expects. */
#define RUN(test) check_run(#test, test)

/* The last line of main. */
static inline int check_summary(void) {
  printf("1..%d\n# %d failed\n", check_state.tests, check_state.failures);
  return check_state.failures != 0;
}

#endif
