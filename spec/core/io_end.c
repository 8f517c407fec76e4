/* io_end.c: what was written arrives, or its reader is told that it did not. `ours` is closed; the
 * spec is at the other end, `there`, a raw descriptor. */
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "../../core/io/sys.h"
#include "io.h"

enum { LARGE = 3000007 };

static tide_stream ours;
static int here, there; /* `here` is the descriptor of ours, open as long as that lingers */
static char *large;
static size_t seen;

static void open_tcp(world *w) {
  int pair[2];
  io_open(w);
  open_tcp_sockets(pair);
  tide_stream_init(&ours, w->loop, here = pair[0]);
  there = pair[1];
  seen = 0;
}

static void open_unix(world *w) {
  int pair[2];
  io_open(w);
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
  tide_stream_init(&ours, w->loop, here = pair[0]);
  there = pair[1];
  seen = 0;
}

typedef void opener(world *w);
static opener *const both[] = {open_tcp, open_unix};

static void accept_bytes(world *w, size_t size) {
  actor a = {.world = w};
  struct iovec part = {large, size};
  tide_task_init(&a.task, w->loop, &actor_ops);
  CHECK_EQ(tide_stream_write(&ours, &a.task, &part, 1), TIDE_OK);
}

/* Reads at most `most` bytes there. What recv() gives, or the negated errno. */
static ssize_t take(size_t most) {
  static char bytes[1 << 20];
  ssize_t got = recv(there, bytes, most < sizeof bytes ? most : sizeof bytes, MSG_DONTWAIT);
  if (got < 0) return -errno;
  check_pattern(bytes, seen, (size_t)got);
  seen += (size_t)got;
  return got;
}

/* What is on its way within the system has come, however busy that is. */
static void let_come(void) { poll(&(struct pollfd){.fd = there, .events = POLLIN}, 1, 100); }

/* Bytes that the system has sent, and whose acknowledgement it has not seen. */
static int in_flight(void) {
  int unsent = 0;
  if (ioctl(here, SIOCOUTQNSD, &unsent) < 0) return 0; /* no TCP */
  return (int)tide__sys_untaken(here) - unsent;
}

/* Until the system knows at this end that of `before` bytes some were taken, and has sent on and
 * been told of all that it can. Takes no virtual time. */
static void let_acknowledge(world *w, size_t before) {
  int i = 0;
  while (tide__sys_untaken(here) >= before && i++ < 30000) usleep(1000);
  for (int round = 0; round < 3; round++) {
    while (in_flight() > 0 && i++ < 30000) usleep(1000);
    turn(w);
  }
  CHECK(i < 30000);
}

/* Turns, and takes all that comes, until the end: 0, or a negated errno. */
static ssize_t take_all(world *w) {
  ssize_t got;
  for (int idle = 0; (got = take(SIZE_MAX)) > 0 || got == -EAGAIN; idle = got > 0 ? 0 : idle + 1) {
    CHECK(idle < 5000);
    tide_loop_turn(w->loop, false);
    if (idle > 100) usleep(1000);
  }
  return got;
}

static void close_there(world *w) {
  close(there);
  settle(w);
  io_close(w);
}

/* Lets virtual time pass where nothing else happens. */
static void ticker(actor *self) {
  BEGIN;
  while (self->i-- > 0) WAIT(sleep_ms(self, 100));
  END;
}

static void pass(world *w, unsigned ms) {
  actor *a = spawn(w, "t", ticker);
  a->i = (int)(ms / 100);
  CHECK_EQ(tide_loop_run(w->loop, &a->task.future), TIDE_OK);
  w->count--;
}

/* Slow readers. */

static void a_slow_reader_gets_all(void) {
  for (int i = 0; i < 2; i++) {
    world w;
    ssize_t got = -EAGAIN;
    both[i](&w);
    accept_bytes(&w, LARGE);
    tide_stream_close(&ours);
    memset(&ours, 0xee, sizeof ours);
    tide_time began = tide_loop_now(w.loop);
    while (tide_loop_lingering(w.loop) > 0 && tide_loop_now(w.loop) - began < 20000000000u) {
      let_come();
      got = take(50000);
      CHECK(got > 0 || got == -EAGAIN);
      pass(&w, 400);
    }
    CHECK(tide_loop_now(w.loop) - began >= 20000000000u);
    CHECK_EQ(take_all(&w), 0);
    CHECK_EQ(seen, LARGE);
    close_there(&w);
  }
}

static void who_takes_nothing_for_five_seconds_is_given_up(void) {
  for (int i = 0; i < 2; i++) {
    world w;
    both[i](&w);
    accept_bytes(&w, LARGE);
    tide_stream_close(&ours);
    pass(&w, 3000);
    size_t before = tide__sys_untaken(here);
    CHECK(take(SIZE_MAX) > 0);
    let_acknowledge(&w, before);
    pass(&w, 4500);
    CHECK_EQ(tide_loop_lingering(w.loop), 1);
    pass(&w, 2500);
    CHECK_EQ(tide_loop_lingering(w.loop), 0);
    CHECK(w.memory.in_use < 100000);
    ssize_t got;
    while ((got = take(SIZE_MAX)) > 0) turn(&w);
    CHECK_EQ(got, i == 0 ? -ECONNRESET : -EAGAIN);
    if (i == 1) CHECK_EQ(write(there, "?", 1), 1); /* nothing else can tell it */
    if (i == 1) CHECK_EQ(take_all(&w), -ECONNRESET);
    CHECK(seen < LARGE);
    close_there(&w);
  }
}

static void one_that_was_given_up_ends_with_its_peer(void) {
  world w;
  open_unix(&w);
  accept_bytes(&w, LARGE);
  tide_stream_close(&ours);
  pass(&w, 6000);
  int before = count_descriptors();
  close(there);
  settle(&w); /* it is no reason to wait, but seen */
  CHECK_EQ(count_descriptors(), before - 2);
  io_close(&w);
}

/* Unread input. */

/* Room to send in and input come in the same poll then, and the first to be told ends it all. */
static void a_peer_that_resets_ends_it_at_once(void) {
  world w;
  open_tcp(&w);
  accept_bytes(&w, LARGE);
  tide_loop_turn(w.loop, false);
  tide_stream_close(&ours);
  CHECK_EQ(tide_loop_lingering(w.loop), 1);
  setsockopt(there, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
  close(there);
  settle(&w);
  CHECK_EQ(tide_loop_lingering(w.loop), 0);
  io_close(&w);
}

static void send_there(size_t size) {
  char *bytes = calloc(1, size);
  size_t sent = 0;
  while (sent < size) {
    ssize_t n = send(there, bytes, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0) break;
    sent += (size_t)n;
  }
  free(bytes);
}

static void a_reply_arrives_whatever_was_not_read(void) {
  static const size_t replies[] = {100, 300000, LARGE};
  for (unsigned i = 0; i < 6; i++) {
    world w;
    size_t size = replies[i / 2];
    snprintf(check_state.context, sizeof check_state.context, "%d: %zu", i % 2, size);
    both[i % 2](&w);
    send_there(50000);
    accept_bytes(&w, size);
    tide_stream_close(&ours);
    if (i % 2 == 0) send_there(5000);
    CHECK_EQ(take_all(&w), 0);
    CHECK_EQ(seen, size);
    if (i % 2 == 0) send_there(5000);
    close_there(&w);
  }
}

static void what_comes_later_is_dropped_for_two_seconds(void) {
  world w;
  open_tcp(&w);
  accept_bytes(&w, 10);
  tide_stream_close(&ours);
  let_acknowledge(&w, 1);
  pass(&w, 1500);
  send_there(1000);
  CHECK_EQ(tide_loop_lingering(w.loop), 0);
  turn(&w);
  CHECK_EQ(tide_loop_lingering(w.loop), 1); /* more may come, and destroy the reply */
  CHECK_EQ(w.loop->timers.count, 1);
  pass(&w, 1700); /* it was known a second after the beginning that all was taken */
  CHECK_EQ(w.loop->timers.count, 0);
  CHECK_EQ(tide_loop_lingering(w.loop), 0);
  close_there(&w);
}

static void no_more_than_so_much_is_dropped(void) {
  world w;
  open_tcp(&w);
  accept_bytes(&w, 10);
  tide_stream_close(&ours);
  for (int i = 0; i < 1000 && w.loop->timers.count > 0; i++) {
    send_there(30000);
    turn(&w);
    usleep(100);
  }
  CHECK_EQ(w.loop->timers.count, 0);
  close_there(&w);
}

static void where_nothing_was_written_nothing_is_waited_for(void) {
  world w;
  open_tcp(&w);
  send_there(10);
  int before = count_descriptors();
  tide_stream_close(&ours);
  CHECK_EQ(count_descriptors(), before - 1);
  close_there(&w);
}

static void the_end_of_a_unix_socket_is_seen_at_once(void) {
  world w;
  open_unix(&w);
  send_there(100000);
  int before = count_descriptors();
  tide_stream_close(&ours);
  CHECK_EQ(count_descriptors(), before - 1);
  CHECK_EQ(take(10), 0);
  close_there(&w);
}

/* The end of a loop, or of a run. */

static void drainer(actor *self) {
  BEGIN;
  while (seen < LARGE) {
    take(SIZE_MAX);
    WAIT(sleep_ms(self, 1));
  }
  END;
}

static void send_all_sends_what_open_streams_have(void) {
  for (int closed = 0; closed < 2; closed++) {
    world w;
    open_unix(&w);
    accept_bytes(&w, LARGE);
    spawn(&w, "d", drainer);
    if (closed) tide_stream_close(&ours);
    tide_loop_send_all(w.loop);
    CHECK_EQ(tide_loop_lingering(w.loop), 0);
    if (!closed) CHECK_EQ(tide_stream_unsent(&ours), 0);
    settle(&w);
    CHECK_EQ(seen, LARGE);
    tide_stream_close(&ours);
    close_there(&w);
  }
}

static void send_all_gives_up_after_five_seconds_and_so_does_close_then(void) {
  world w;
  open_tcp(&w);
  accept_bytes(&w, LARGE);
  tide_time began = tide_loop_now(w.loop);
  tide_loop_send_all(w.loop);
  CHECK_EQ((tide_loop_now(w.loop) - began) / 1000000000u, 5);
  CHECK(tide_stream_unsent(&ours) > 0);
  CHECK_EQ(w.loop->timers.count, 0);
  tide_loop_send_all(w.loop);
  CHECK_EQ((tide_loop_now(w.loop) - began) / 1000000000u, 5);
  tide_stream_close(&ours);
  CHECK_EQ(tide_loop_lingering(w.loop), 0);
  CHECK_EQ(take_all(&w), -ECONNRESET);
  close_there(&w);
}

static void writer(actor *self) {
  BEGIN;
  CALL_OR_END(tide_stream_write(&ours, &self->task,
                                &(struct iovec){.iov_base = large, .iov_len = LARGE}, 1));
  END;
}

static void a_groups_send_all_sends_what_its_tasks_wrote(void) {
  for (int closed = 0; closed < 2; closed++) {
    world w;
    tide_group other;
    open_unix(&w);
    tide_group_init(&other, w.loop, 0, false);
    spawn(&w, "w", writer);
    turn(&w);
    spawn(&w, "d", drainer);
    if (closed) tide_stream_close(&ours);
    tide_group_send_all(&other);
    CHECK_EQ(seen, 0);
    tide_group_send_all(tide_loop_background(w.loop));
    CHECK(tide_stream_closed(&ours) || tide_stream_unsent(&ours) == 0);
    CHECK_EQ(tide_loop_lingering(w.loop), 0);
    settle(&w);
    CHECK_EQ(seen, LARGE);
    tide_stream_close(&ours);
    close_there(&w);
  }
}

static void sender(actor *self) {
  BEGIN;
  accept_bytes(self->world, LARGE);
  shutdown(there, SHUT_RDWR);
  tide_loop_send_all(self->world->loop);
  say(self, "unsent: %zu", tide_stream_unsent(&ours));
  END;
}

static void send_all_may_be_called_in_a_step(void) {
  world w;
  open_unix(&w);
  spawn(&w, "a", sender);
  settle(&w);
  CHECK_LOG(&w, "a unsent: 0");
  tide_stream_close(&ours);
  close_there(&w);
}

static void nothing_is_sent_where_nothing_was_written(void) {
  world w;
  open_tcp(&w);
  tide_loop_send_all(w.loop);
  accept_bytes(&w, 10);
  tide_stream_close(&ours);
  tide_loop_send_all(w.loop); /* nothing is at stake: the descriptor need not wait for the end */
  CHECK_EQ(w.loop->timers.count, 0);
  CHECK_EQ(take_all(&w), 0);
  close_there(&w);
}

int main(void) {
  large = patterned(0, LARGE);
  RUN(a_slow_reader_gets_all);
  RUN(who_takes_nothing_for_five_seconds_is_given_up);
  RUN(one_that_was_given_up_ends_with_its_peer);
  RUN(a_peer_that_resets_ends_it_at_once);
  RUN(a_reply_arrives_whatever_was_not_read);
  RUN(what_comes_later_is_dropped_for_two_seconds);
  RUN(no_more_than_so_much_is_dropped);
  RUN(where_nothing_was_written_nothing_is_waited_for);
  RUN(the_end_of_a_unix_socket_is_seen_at_once);
  RUN(send_all_sends_what_open_streams_have);
  RUN(send_all_gives_up_after_five_seconds_and_so_does_close_then);
  RUN(a_groups_send_all_sends_what_its_tasks_wrote);
  RUN(send_all_may_be_called_in_a_step);
  RUN(nothing_is_sent_where_nothing_was_written);
  free(large);
  return check_summary();
}
