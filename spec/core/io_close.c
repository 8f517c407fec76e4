/* io_close.c: closing a stream that has unsent bytes, or in which somebody waits; the end of the
 * loop. */
#include "io_write.h"

static void write_more_than_is_sent(world *w) {
  actor a = {.world = w};
  tide_task_init(&a.task, w->loop, &actor_ops);
  CHECK_EQ(write_large(&a), TIDE_OK);
}

static void closing_it_ends_the_writers_wait(void) {
  world w;
  open_pair(&w);
  actor *a = spawn(&w, "a", writer);
  turns(&w, 2);
  tide_stream_close(&ours);
  CHECK_EQ(tide_loop_lingering(w.loop), 1);
  CHECK_EQ(drain_all(&w, 0), LARGE);
  CHECK_EQ(tide_loop_lingering(w.loop), 0);
  CHECK(actor_failed_with(a, TIDE_ECLOSED));
  close_pair(&w);
}

static void unsent_bytes_outlive_their_stream(void) {
  world w;
  open_pair(&w);
  write_more_than_is_sent(&w);
  tide_stream_close(&ours);
  memset(&ours, 0xee, sizeof ours); /* its owner may free it */
  CHECK_EQ(tide_loop_lingering(w.loop), 1);
  size_t seen = 0;
  while (tide_loop_lingering(w.loop) > 0) {
    seen += drain(&w, seen);
    CHECK_EQ(tide_loop_turn(w.loop, false), TIDE_OK);
  }
  seen += drain(&w, seen);
  drain(&w, seen);
  CHECK_LOG(&w, "end");
  CHECK_EQ(seen, LARGE);
  tide_stream_close(&theirs);
  io_close(&w);
}

static void unsent_bytes_are_given_up_after_five_seconds(void) {
  world w;
  open_pair(&w);
  write_more_than_is_sent(&w);
  tide_stream_close(&ours);
  tide_time when = after_ms(&w, 5000);
  while (tide_loop_lingering(w.loop) > 0) {
    CHECK(tide_loop_now(w.loop) < when);
    CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  }
  CHECK_EQ(tide_loop_now(w.loop), when);
  tide_stream_close(&theirs);
  io_close(&w);
}

static void unsent_bytes_are_given_up_where_the_other_end_is_closed(void) {
  world w;
  open_pair(&w);
  write_more_than_is_sent(&w);
  tide_stream_close(&ours);
  tide_stream_close(&theirs);
  tide_time before = tide_loop_now(w.loop);
  settle(&w);
  CHECK_EQ(tide_loop_now(w.loop), before);
  CHECK_EQ(tide_loop_lingering(w.loop), 0);
  io_close(&w);
}

static void unsent_bytes_end_with_the_loop(void) {
  world w;
  open_pair(&w);
  write_more_than_is_sent(&w);
  tide_stream_close(&ours);
  tide_stream_close(&theirs);
  CHECK_EQ(tide_loop_lingering(w.loop), 1);
  tide_loop_free(w.loop);
  CHECK_EQ(w.memory.in_use, 0);
  CHECK_EQ(count_descriptors(), descriptors_before);
}

/* Only its deadline may have no room. */
static void closing_needs_no_memory(void) {
  for (unsigned nth = 1; nth <= 2; nth++) {
    world w;
    open_pair(&w);
    snprintf(check_state.context, sizeof check_state.context, "allocation %u", nth);
    write_more_than_is_sent(&w);
    w.memory.fail_at = w.memory.allocations + nth;
    tide_stream_close(&ours);
    CHECK_EQ(tide_loop_lingering(w.loop), nth > 1);
    tide_stream_close(&theirs);
    settle(&w);
    io_close(&w);
  }
}

/* A killed task lets go of the descriptor without a trace. */
static void closing_a_stream_twice_is_harmless(void) {
  world w;
  open_pair(&w);
  tide_stream_close(&ours);
  int other = dup(0); /* takes the number of the descriptor that was closed */
  tide_stream_close(&ours);
  CHECK(fcntl(other, F_GETFD) >= 0);
  close(other);
  close_pair(&w);
}

int main(void) {
  large = patterned(0, LARGE);
  RUN(closing_it_ends_the_writers_wait);
  RUN(unsent_bytes_outlive_their_stream);
  RUN(unsent_bytes_are_given_up_after_five_seconds);
  RUN(unsent_bytes_are_given_up_where_the_other_end_is_closed);
  RUN(unsent_bytes_end_with_the_loop);
  RUN(closing_needs_no_memory);
  RUN(closing_a_stream_twice_is_harmless);
  free(large);
  return check_summary();
}
