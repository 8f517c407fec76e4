/* faults.c: system calls and allocations that fail on demand. */
#include <errno.h>
#include <sys/socket.h>

#include "../../core/io/sys.h"
#include "script.h"

static tide_loop *loop, *other;
static int ends[2];

static void open_all(void) {
  loop = tide_loop_new(NULL);
  other = tide_loop_new(NULL);
  CHECK_EQ(tide__sys_socketpair(loop, ends), 0);
}

static void close_all(void) {
  tide__sys_close(ends[0]);
  tide__sys_close(ends[1]);
  tide_loop_free(other);
  tide_loop_free(loop);
}

static ssize_t send_parts(tide_loop *by, size_t count) {
  const struct iovec parts[] = {{(char[]){""}, 0}, {(char[]){"abc"}, 3}, {(char[]){"de"}, 2}};
  uint8_t channel = TIDE__SOCKET_CHANNEL;
  return tide__sys_send(by, ends[0], parts + 3 - count, count, &channel);
}

static ssize_t read_some(tide_loop *by) {
  char room[8];
  return tide__sys_read(by, ends[1], room, sizeof room);
}

static void the_call_of_that_number_fails_and_no_other(void) {
  open_all();
  tide_faults faults = {.call = TIDE_CALL_READ, .at = 2, .error = ECONNRESET};
  tide_loop_set_faults(loop, &faults);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(send_parts(loop, 1), 2);
    CHECK_EQ(read_some(loop), i == 1 ? -ECONNRESET : i == 0 ? 2 : 4);
  }
  CHECK_EQ(faults.made, 3);
  tide_loop_set_faults(loop, NULL);
  close_all();
}

static void a_signal_is_seen_to_and_counts(void) {
  open_all();
  tide_faults faults = {.call = TIDE_CALL_WRITE, .at = 1, .error = EINTR};
  tide_loop_set_faults(loop, &faults);
  CHECK_EQ(send_parts(loop, 1), 2);
  CHECK_EQ(faults.made, 2);
  tide_loop_set_faults(loop, NULL);
  close_all();
}

static void one_call_or_all_move_one_byte(void) {
  open_all();
  tide_faults faults = {.call = TIDE_CALL_WRITE, .at = 2};
  tide_loop_set_faults(loop, &faults);
  CHECK_EQ(send_parts(loop, 3), 5);
  CHECK_EQ(send_parts(loop, 3), 1);
  CHECK_EQ(send_parts(loop, 3), 5);
  CHECK_EQ(send_parts(loop, 1), 2);
  faults = (tide_faults){.one_byte = true, .allocator = faults.allocator};
  CHECK_EQ(send_parts(loop, 3), 1);
  CHECK_EQ(send_parts(loop, 1), 1);
  CHECK_EQ(read_some(loop), 1);
  tide_loop_set_faults(loop, NULL);
  CHECK_EQ(read_some(loop), 8);
  close_all();
}

static void other_loops_are_left_alone(void) {
  open_all();
  tide_faults faults = {.call = TIDE_CALL_WRITE, .at = 1, .error = EPIPE};
  tide_loop_set_faults(loop, &faults);
  CHECK_EQ(send_parts(other, 1), 2);
  CHECK_EQ(faults.made, 0);
  CHECK_EQ(send_parts(loop, 1), -EPIPE);
  tide_loop_set_faults(loop, NULL);
  CHECK_EQ(send_parts(loop, 1), 2);
  close_all();
}

static void fire(tide_timer *timer) { (void)timer; }

static void an_allocation_fails(void) {
  tide_timer timers[200];
  int failed = 0;
  open_all();
  const tide_allocator before = *tide_loop_allocator(loop);
  tide_faults faults = {.call = TIDE_CALL_ALLOCATION, .at = 2};
  tide_loop_set_faults(loop, &faults);
  for (int i = 0; i < 200; i++) {
    tide_timer_init(&timers[i], fire);
    if (tide_timer_start(&timers[i], loop, TIDE_NEVER - 1) == TIDE_ENOMEM) failed++;
  }
  CHECK_EQ(failed, 1);
  CHECK(faults.made > 2);
  tide_loop_set_faults(loop, NULL);
  CHECK(tide_loop_allocator(loop)->resize == before.resize);
  for (int i = 0; i < 200; i++) tide_timer_stop(&timers[i], loop);
  close_all();
}

static void faults_take_the_place_of_others(void) {
  open_all();
  const tide_allocator before = *tide_loop_allocator(loop);
  tide_faults first = {.call = TIDE_CALL_WRITE, .at = 1, .error = EPIPE}, second = first;
  tide_loop_set_faults(loop, &first);
  tide_loop_set_faults(loop, &second);
  CHECK_EQ(send_parts(loop, 1), -EPIPE);
  CHECK_EQ(first.made, 0);
  tide_loop_set_faults(loop, NULL);
  CHECK(tide_loop_allocator(loop)->resize == before.resize);
  close_all();
}

static void calls_have_names(void) {
  CHECK_TEXT(tide_call_name(TIDE_CALL_READ), "read");
  CHECK_TEXT(tide_call_name(TIDE_CALL_UNLINK), "unlink");
  CHECK_TEXT(tide_call_name(TIDE_CALL_ALLOCATION), "allocation");
}

int main(void) {
  RUN(the_call_of_that_number_fails_and_no_other);
  RUN(a_signal_is_seen_to_and_counts);
  RUN(one_call_or_all_move_one_byte);
  RUN(other_loops_are_left_alone);
  RUN(an_allocation_fails);
  RUN(faults_take_the_place_of_others);
  RUN(calls_have_names);
  return check_summary();
}
