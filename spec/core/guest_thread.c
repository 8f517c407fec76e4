/* guest_thread.c: a loop beside one that watches no descriptors: a thread wakes the host. */
#include <errno.h>

#include "rounder.h"
#include "threads.h"

static const tide_time MS = 1000000;

/* A host: wakes are counted, and awaited. */
typedef struct host {
  tide_loop *loop;
  int wakes; /* by any thread */
} host;

static int threads_at_first; /* a sanitizer has one of its own */

static void wake(void *context) { add_one(&((host *)context)->wakes); }

static int wakes_of(const host *h) { return __atomic_load_n(&h->wakes, __ATOMIC_ACQUIRE); }

static void await_wake(host *h, int number) {
  for (int i = 0; i < 100000 && wakes_of(h) < number; i++) pause_us(100);
  CHECK_EQ(wakes_of(h), number);
}

static void open_host(host *h) {
  *h = (host){.loop = tide_loop_new(NULL)};
  CHECK(h->loop != NULL);
  CHECK_EQ(tide_loop_guest_start(h->loop, wake, h), TIDE_OK);
}

static void close_host(host *h) {
  tide_loop_free(h->loop);
  CHECK_EQ(count_threads(), threads_at_first);
}

/* Ticks when it was woken, until that has come true. */
#define TICK_UNTIL(h, condition)                                 \
  for (int seen_ = wakes_of(h) - 1; !(condition);) {             \
    while (wakes_of(h) == seen_) pause_us(50);                   \
    seen_ = wakes_of(h);                                         \
    CHECK_EQ(tide_loop_tick((h)->loop, 10 * MS, NULL), TIDE_OK); \
  }

static void begin(rounder *self, host *h, const tide_task_ops *ops, tide_time span, int most) {
  *self = (rounder){.span = span, .most = most};
  rounder_start(self, h->loop, ops);
}

static void a_host_is_woken_for_deadlines(void) {
  host h;
  rounder a;
  open_host(&h);
  await_wake(&h, 1); /* for the first tick */
  begin(&a, &h, &sleepers, 2 * MS, 20);
  TICK_UNTIL(&h, a.rounds == 20);
  CHECK(wakes_of(&h) < 100);
  close_host(&h);
}

static void once_for_all_until_it_ticks(void) {
  host h;
  rounder a;
  open_host(&h);
  await_wake(&h, 1);
  begin(&a, &h, &sleepers, MS, 1);
  pause_us(20000);
  CHECK_EQ(wakes_of(&h), 1);
  CHECK_EQ(tide_loop_tick(h.loop, 10 * MS, NULL), TIDE_OK);
  await_wake(&h, 2);
  pause_us(20000);
  CHECK_EQ(wakes_of(&h), 2);
  CHECK_EQ(tide_loop_tick(h.loop, 10 * MS, NULL), TIDE_OK);
  CHECK_EQ(a.rounds, 1);
  pause_us(20000);
  CHECK_EQ(wakes_of(&h), 2); /* there is nothing to do */
  close_host(&h);
}

static void what_a_tick_leaves_is_gone_on_with(void) {
  host h;
  rounder a;
  open_host(&h);
  begin(&a, &h, &yielders, 0, 50);
  TICK_UNTIL(&h, tide_future_ended(&a.task.future));
  close_host(&h);
}

static void what_is_begun_between_two_ticks_wakes_it(void) {
  host h;
  rounder a;
  open_host(&h);
  await_wake(&h, 1);
  CHECK_EQ(tide_loop_tick(h.loop, MS, NULL), TIDE_OK);
  begin(&a, &h, &sleepers, MS, 1);
  await_wake(&h, 2);
  TICK_UNTIL(&h, a.rounds == 1);
  close_host(&h);
}

/* Posts. */

typedef struct letter {
  tide_post post;
  int *count;
} letter;

static void read_letter(tide_post *post) { ++*tide_container(post, letter, post)->count; }

enum { LETTERS = 300 };

typedef struct writer {
  tide_loop *loop;
  letter letters[LETTERS];
  int done;
} writer;

static void *write_letters(void *argument) {
  writer *self = argument;
  for (int i = 0; i < LETTERS; i++) {
    tide_loop_post(self->loop, &self->letters[i].post);
    if (i % 3 == 0) pause_us(i % 50);
  }
  raise_flag(&self->done);
  return NULL;
}

static void posts_of_other_threads_wake_it(void) {
  static writer writers[3];
  host h;
  crew all = {.count = 0};
  int read = 0;
  open_host(&h);
  for (int i = 0; i < 3; i++) {
    writers[i] = (writer){.loop = h.loop};
    for (int k = 0; k < LETTERS; k++) {
      writers[i].letters[k].count = &read;
      tide_post_init(&writers[i].letters[k].post, read_letter);
    }
    start(&all, write_letters, &writers[i]);
  }
  TICK_UNTIL(&h, read == 3 * LETTERS);
  join_all(&all);
  close_host(&h);
}

/* Its end. */

static void it_may_be_stopped_and_started_at_any_moment(void) {
  host h;
  rounder a;
  open_host(&h);
  CHECK_EQ(tide_loop_guest_start(h.loop, wake, &h), TIDE_EALREADY_RUNNING);
  begin(&a, &h, &sleepers, MS / 10, 1000000);
  for (int i = 0; i < 100; i++) {
    if (i % 3 == 0) pause_us(i * 10);
    if (i % 2 == 0) CHECK_EQ(tide_loop_tick(h.loop, MS / 10, NULL), TIDE_OK);
    tide_loop_guest_stop(h.loop);
    tide_loop_guest_stop(h.loop);
    int before = wakes_of(&h);
    if (i % 5 == 0) {
      CHECK_EQ(tide_loop_tick(h.loop, MS, NULL), TIDE_OK);
      pause_us(2000);
      CHECK_EQ(wakes_of(&h), before);
    }
    CHECK_EQ(tide_loop_guest_start(h.loop, wake, &h), TIDE_OK);
  }
  CHECK_EQ(count_threads(), threads_at_first + 1);
  tide_task_cancel(&a.task);
  TICK_UNTIL(&h, tide_future_ended(&a.task.future));
  close_host(&h);
}

static void where_no_thread_can_be_had_it_says_so(void) {
  static const struct {
    tide_call call;
    int error;
  } shortages[] = {{TIDE_CALL_THREAD, EAGAIN}, {TIDE_CALL_EVENTFD, EMFILE}};
  host h = {.loop = tide_loop_new(NULL)};
  CHECK(tide_loop_fd(h.loop) >= 0); /* which the loop keeps */
  int fds = count_fds();
  for (size_t i = 0; i < 2; i++) {
    tide_faults faults = {.call = shortages[i].call, .at = 1, .error = shortages[i].error};
    tide_loop_set_faults(h.loop, &faults);
    CHECK_EQ(tide_loop_guest_start(h.loop, wake, &h), TIDE_OS(shortages[i].error));
    tide_loop_set_faults(h.loop, NULL);
    CHECK_EQ(count_fds(), fds);
    CHECK_EQ(count_threads(), threads_at_first);
  }
  CHECK_EQ(wakes_of(&h), 0);
  CHECK_EQ(tide_loop_guest_start(h.loop, wake, &h), TIDE_OK);
  await_wake(&h, 1);
  close_host(&h);
}

static void *nothing(void *argument) { return argument; }

int main(void) {
  crew first = {.count = 0};
  start(&first, nothing, NULL); /* with which a sanitizer starts its own */
  join_all(&first);
  threads_at_first = count_threads();
  RUN(a_host_is_woken_for_deadlines);
  RUN(once_for_all_until_it_ticks);
  RUN(what_a_tick_leaves_is_gone_on_with);
  RUN(what_is_begun_between_two_ticks_wakes_it);
  RUN(posts_of_other_threads_wake_it);
  RUN(it_may_be_stopped_and_started_at_any_moment);
  RUN(where_no_thread_can_be_had_it_says_so);
  return check_summary();
}
