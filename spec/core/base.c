/* base.c: time, errors and the allocator. */
#include <math.h>

#include "../../core/tide.h"
#include "check.h"

static void seconds_are_rounded_up_to_nanoseconds(void) {
  CHECK_EQ(tide_time_from_seconds(1), 1000000000);
  CHECK_EQ(tide_time_from_seconds(0.5), 500000000);
  CHECK_EQ(tide_time_from_seconds(1e-9), 1);
  CHECK_EQ(tide_time_from_seconds(1.5e-9), 2);
  CHECK_EQ(tide_time_from_seconds(1e-12), 1);
}

static void what_is_no_time_to_wait_is_zero(void) {
  CHECK_EQ(tide_time_from_seconds(0), 0);
  CHECK_EQ(tide_time_from_seconds(-1), 0);
  CHECK_EQ(tide_time_from_seconds(-HUGE_VAL), 0);
  CHECK_EQ(tide_time_from_seconds(nan("")), 0);
}

static void what_does_not_fit_is_never(void) {
  CHECK(tide_time_from_seconds(HUGE_VAL) == TIDE_NEVER);
  CHECK(tide_time_from_seconds(1e300) == TIDE_NEVER);
  CHECK(tide_time_from_seconds(1.7e10) < TIDE_NEVER);
  CHECK(isinf(tide_time_to_seconds(TIDE_NEVER)));
}

static void adding_times_stops_at_never(void) {
  CHECK_EQ(tide_time_add(1, 2), 3);
  CHECK(tide_time_add(TIDE_NEVER, 1) == TIDE_NEVER);
  CHECK(tide_time_add(1, TIDE_NEVER) == TIDE_NEVER);
  CHECK(tide_time_add(TIDE_NEVER - 1, 1) == TIDE_NEVER);
}

static void the_clock_does_not_go_back(void) {
  tide_time last = tide_clock_monotonic();
  for (int i = 0; i < 1000; i++) {
    tide_time now = tide_clock_monotonic();
    CHECK(now >= last);
    last = now;
  }
}

static void every_error_has_a_kind_and_a_message(void) {
#define HAS_BOTH(name, number, kind, message)            \
  CHECK_EQ(TIDE_E##name, -(number));                     \
  CHECK_TEXT(tide_error_kind(TIDE_E##name), kind);       \
  CHECK_TEXT(tide_error_message(TIDE_E##name), message); \
  CHECK(tide_error_code(TIDE_E##name) == NULL);
  TIDE_ERRORS(HAS_BOTH)
#undef HAS_BOTH
  CHECK_TEXT(tide_error_kind(-999), "unknown");
  CHECK_TEXT(tide_error_kind(TIDE_OK), "ok");
  CHECK_TEXT(tide_error_message(TIDE_OK), "no error");
}

static void errors_of_the_system_keep_their_number(void) {
  int error = TIDE_OS(2);
  CHECK(TIDE_IS_OS(error));
  CHECK(!TIDE_IS_OS(TIDE_ECLOSED));
  CHECK_EQ(TIDE_ERRNO(error), 2);
  CHECK_TEXT(tide_error_kind(error), "os");
  CHECK_TEXT(tide_error_code(error), "ENOENT");
  CHECK_TEXT(tide_error_message(error), "No such file or directory");
}

static void the_allocator_resizes_and_frees(void) {
  tide_allocator a = tide_allocator_default();
  char *block = tide_alloc(&a, 4);
  CHECK(block != NULL);
  memcpy(block, "abc", 4);
  block = tide_resize(&a, block, 4, 4000);
  CHECK_TEXT(block, "abc");
  tide_free(&a, block, 4000);
  tide_free(&a, NULL, 0);
}

int main(void) {
  RUN(seconds_are_rounded_up_to_nanoseconds);
  RUN(what_is_no_time_to_wait_is_zero);
  RUN(what_does_not_fit_is_never);
  RUN(adding_times_stops_at_never);
  RUN(the_clock_does_not_go_back);
  RUN(every_error_has_a_kind_and_a_message);
  RUN(errors_of_the_system_keep_their_number);
  RUN(the_allocator_resizes_and_frees);
  return check_summary();
}
