/* guest.c: a loop in a host's loop: libev's, or one that polls descriptors; frames, and time that
 * the host moves. */
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "rounder.h"

static const tide_time US = 1000, MS = 1000000, SECOND = 1000000000;

/* ---- tasks */

static void waiter_step(tide_task *task, int outcome) {
  rounder *self = tide_container(task, rounder, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  TIDE_TRY(tide_event_wait(self->event, task));
  self->rounds++;
  TIDE_END;
}

static void reader_step(tide_task *task, int outcome) {
  rounder *self = tide_container(task, rounder, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  TIDE_TRY(tide_fd_wait(self->fd, task, TIDE_READABLE));
  self->rounds++;
  TIDE_END;
}

static void framer_step(tide_task *task, int outcome) {
  rounder *self = tide_container(task, rounder, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (;;) {
    TIDE_TRY(tide_task_wait_frame(task));
    self->rounds++;
    self->seen += task->wait.value.number;
  }
  TIDE_END;
}

static const tide_task_ops waiters = {.name = "waiter", .step = waiter_step};
static const tide_task_ops readers = {.name = "reader", .step = reader_step};
static const tide_task_ops framers = {.name = "framer", .step = framer_step};

/* ---- in a libev loop of the host's */

typedef struct beat {
  ev_timer timer;
  int count;
  int most;
  tide_event *event; /* to be set at the last */
  tide_loop *let_go; /* to be released then */
} beat;

static void beaten(struct ev_loop *ev, ev_timer *timer, int events) {
  beat *self = (beat *)(void *)timer;
  (void)events;
  if (++self->count < self->most) return;
  ev_timer_stop(ev, timer);
  if (self->event != NULL) tide_event_set(self->event);
  if (self->let_go != NULL) tide_loop_release(self->let_go);
}

static void beat_start(beat *self, struct ev_loop *ev, double span, int most) {
  self->most = most;
  ev_timer_init(&self->timer, beaten, span, span);
  ev_timer_start(ev, &self->timer);
}

static void its_tasks_run_in_the_hosts_ev_run_which_ends_with_them(void) {
  struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
  int mine;
  ev_set_userdata(ev, &mine);
  tide_loop *loop = tide_loop_new_on(ev, NULL);
  CHECK(loop != NULL && tide_loop_is_guest(loop));
  rounder a = {.span = 3 * MS, .most = 5}, b = {.most = 1000};
  beat beats = {0};
  rounder_start(&a, loop, &sleepers);
  rounder_start(&b, loop, &yielders);
  beat_start(&beats, ev, 0.002, 4);
  tide_time began = tide_clock_monotonic();
  ev_run(ev, 0);
  CHECK(tide_clock_monotonic() - began >= 15 * MS);
  CHECK_EQ(a.rounds, 5);
  CHECK_EQ(b.rounds, 1000);
  CHECK_EQ(beats.count, 4);
  CHECK(ev_userdata(ev) == &mine);
  CHECK_EQ(tide_loop_get_stats(loop).timers, 0);
  ev_run(ev, 0); /* has nothing to wait for */
  tide_loop_free(loop);
  beats.count = 0;
  beat_start(&beats, ev, 0.001, 2);
  ev_run(ev, 0);
  CHECK_EQ(beats.count, 2);
  ev_loop_destroy(ev);
}

static void it_may_be_the_default_loop_and_hold_several(void) {
  struct ev_loop *ev = ev_default_loop(EVFLAG_AUTO);
  tide_loop *loops[3];
  rounder actors[3] = {0};
  for (int i = 0; i < 3; i++) {
    loops[i] = tide_loop_new_on(ev, NULL);
    actors[i] = (rounder){.span = (tide_time)(i + 1) * MS, .most = 3};
    rounder_start(&actors[i], loops[i], &sleepers);
  }
  ev_run(ev, 0);
  for (int i = 0; i < 3; i++) CHECK_EQ(actors[i].rounds, 3);
  for (int i = 0; i < 3; i++) tide_loop_free(loops[i]);
  ev_run(ev, 0);
  ev_loop_destroy(ev);
}

static void it_waits_for_descriptors_in_the_hosts_poll(void) {
  struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
  tide_loop *loop = tide_loop_new_on(ev, NULL);
  int ends[2];
  tide_fd fd;
  rounder a = {.fd = &fd}, b = {.span = 5 * MS, .most = 1};
  CHECK_EQ(pipe(ends), 0);
  tide_fd_init(&fd, loop, ends[0]);
  rounder_start(&a, loop, &readers);
  rounder_start(&b, loop, &sleepers);
  ev_run(ev, EVRUN_NOWAIT);
  CHECK_EQ(write(ends[1], "x", 1), 1);
  ev_run(ev, 0);
  CHECK_EQ(a.rounds, 1);
  CHECK_EQ(b.rounds, 1);
  tide_fd_term(&fd);
  tide_loop_free(loop);
  close(ends[0]);
  close(ends[1]);
  ev_loop_destroy(ev);
}

static void what_a_callback_of_the_hosts_has_woken_is_stepped(void) {
  struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
  tide_loop *loop = tide_loop_new_on(ev, NULL);
  tide_event event;
  tide_event_init(&event);
  rounder a = {.event = &event};
  beat beats = {.event = &event};
  rounder_start(&a, loop, &waiters);
  beat_start(&beats, ev, 0.001, 2);
  ev_run(ev, 0); /* the last that keeps it going is the callback */
  CHECK_EQ(a.rounds, 1);
  tide_loop_free(loop);
  ev_loop_destroy(ev);
}

static void it_goes_on_as_long_as_the_loop_is_held(void) {
  struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
  tide_loop *loop = tide_loop_new_on(ev, NULL);
  tide_event event;
  tide_event_init(&event);
  rounder a = {.event = &event};
  beat beats = {.let_go = loop};
  rounder_start(&a, loop, &waiters);
  tide_loop_hold(loop);
  beat_start(&beats, ev, 0.002, 5);
  ev_run(ev, 0);
  CHECK_EQ(beats.count, 5);
  CHECK(!tide_loop_held(loop));
  tide_event_set(&event);
  ev_run(ev, 0);
  CHECK_EQ(a.rounds, 1);
  tide_loop_free(loop);
  ev_loop_destroy(ev);
}

/* The longest time between two rounds of the host's loop. */
typedef struct rounds {
  ev_check check;
  tide_time last, longest;
  int count;
} rounds;

static void rounded(struct ev_loop *ev, ev_check *check, int events) {
  rounds *self = (rounds *)(void *)check;
  tide_time now = tide_clock_monotonic();
  (void)ev;
  (void)events;
  if (self->last != 0 && now - self->last > self->longest) self->longest = now - self->last;
  self->last = now;
  self->count++;
}

static void it_takes_a_share_of_each_round_of_the_hosts_loop(void) {
  enum { COUNT = 400 };
  static rounder actors[COUNT];
  struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
  tide_loop *loop = tide_loop_new_on(ev, NULL);
  rounds r = {.last = 0};
  memset(actors, 0, sizeof actors);
  ev_check_init(&r.check, rounded);
  ev_check_start(ev, &r.check);
  ev_unref(ev);
  for (int i = 0; i < COUNT; i++) {
    actors[i] = (rounder){.work = 50 * US, .most = 1};
    rounder_start(&actors[i], loop, &yielders);
  }
  ev_run(ev, 0);
  for (int i = 0; i < COUNT; i++) CHECK_EQ(actors[i].rounds, 1);
  CHECK(r.count >= COUNT / 5); /* 200 us, and one step, each */
  ev_ref(ev);
  ev_check_stop(ev, &r.check);
  tide_loop_free(loop);
  ev_loop_destroy(ev);
}

static void it_refuses_to_run_by_itself(void) {
  struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
  tide_loop *loop = tide_loop_new_on(ev, NULL);
  rounder a = {.most = 3};
  bool more = true;
  rounder_start(&a, loop, &yielders);
  CHECK_EQ(tide_loop_run(loop, NULL), TIDE_EINVALID_STATE);
  CHECK_EQ(tide_loop_turn(loop, true), TIDE_EINVALID_STATE);
  CHECK_EQ(tide_loop_fd(loop), TIDE_EINVALID_STATE);
  CHECK_EQ(a.rounds, 0);
  CHECK_EQ(tide_loop_turn(loop, false), TIDE_OK);
  CHECK_EQ(a.rounds, 1);
  CHECK_EQ(tide_loop_tick(loop, SECOND, &more), TIDE_OK);
  CHECK(more);
  ev_run(ev, 0);
  CHECK_EQ(a.rounds, 3);
  tide_loop_free(loop);
  ev_loop_destroy(ev);
}

static void it_leaves_nothing_behind_where_tasks_still_wait(void) {
  struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
  for (int i = 0; i < 100; i++) {
    tide_loop *loop = tide_loop_new_on(ev, NULL);
    rounder a = {.span = SECOND * 60, .most = 1}, b = {.most = 1000000};
    rounder_start(&a, loop, &sleepers);
    rounder_start(&b, loop, &yielders);
    tide_loop_hold(loop);
    for (int round = 0; round < i % 4; round++) ev_run(ev, EVRUN_NOWAIT);
    tide_loop_free(loop);
  }
  ev_run(ev, 0); /* nothing keeps it */
  ev_loop_destroy(ev);
}

/* Frees the guest in a callback of the host's. */
typedef struct freer {
  ev_timer timer;
  tide_loop *loop;
} freer;

static void free_guest(struct ev_loop *ev, ev_timer *timer, int events) {
  freer *self = (freer *)(void *)timer;
  (void)ev;
  (void)events;
  be_busy(3 * MS);
  tide_loop_free(self->loop);
}

static void it_may_be_freed_by_a_callback_of_the_hosts_in_the_round_that_would_wake_it(void) {
  for (int i = 0; i < 12; i++) {
    struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
    freer f = {.loop = tide_loop_new_on(ev, NULL)};
    rounder a = {.span = 2 * MS + (tide_time)(i % 3) * MS / 2, .most = 9};
    rounder_start(&a, f.loop, &sleepers);
    ev_timer_init(&f.timer, free_guest, 0.002, 0.);
    ev_set_priority(&f.timer, i < 6 ? EV_MAXPRI : EV_MINPRI);
    ev_timer_start(ev, &f.timer);
    ev_run(ev, EVRUN_NOWAIT);
    usleep(5000);  /* both are due in the same round */
    ev_run(ev, 0); /* nothing keeps it then */
    beat beats = {0};
    beat_start(&beats, ev, 0.001, 1);
    ev_run(ev, 0);
    CHECK_EQ(beats.count, 1); /* and it does wait for others */
    ev_loop_destroy(ev);
  }
}

static void it_takes_a_step_a_round_where_its_share_is_nothing(void) {
  struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
  tide_loop *loop = tide_loop_new_on(ev, NULL);
  rounder a = {.most = 20};
  tide_loop_set_share(loop, 0);
  rounder_start(&a, loop, &yielders);
  ev_run(ev, 0);
  CHECK_EQ(a.rounds, 20);
  tide_loop_free(loop);
  ev_loop_destroy(ev);
}

/* ---- posts */

typedef struct mail {
  tide_post post;
  tide_loop *loop;
  tide_event *event;
} mail;

static void delivered(tide_post *post) {
  mail *self = tide_container(post, mail, post);
  tide_event_set(self->event);
  tide_loop_release(self->loop);
}

static void *post_later(void *arg) {
  mail *self = arg;
  usleep(3000);
  tide_loop_post(self->loop, &self->post);
  return NULL;
}

static void it_is_woken_by_other_threads(void) {
  struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
  tide_loop *loop = tide_loop_new_on(ev, NULL);
  pthread_t thread;
  tide_event event;
  for (int i = 0; i < 5; i++) {
    tide_event_init(&event);
    rounder a = {.event = &event};
    mail m = {.loop = loop, .event = &event};
    tide_post_init(&m.post, delivered);
    rounder_start(&a, loop, &waiters);
    tide_loop_hold(loop);
    CHECK_EQ(pthread_create(&thread, NULL, post_later, &m), 0);
    ev_run(ev, 0);
    CHECK_EQ(a.rounds, 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
  }
  tide_loop_free(loop);
  ev_loop_destroy(ev);
}

/* ---- beside a loop that polls */

/* Polls, and ticks when the descriptor is readable, until the tasks have ended. How often it did.
 */
static int poll_until(tide_loop *loop, const rounder *last, int rounds_of_last) {
  struct pollfd watched = {.fd = tide_loop_fd(loop), .events = POLLIN};
  int ticks = 0;
  CHECK(watched.fd >= 0);
  while (last->rounds < rounds_of_last) {
    CHECK_EQ(poll(&watched, 1, 5000), 1);
    CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
    CHECK(++ticks < 1000);
  }
  return ticks;
}

static void its_descriptor_is_readable_when_a_deadline_has_come(void) {
  tide_loop *loop = tide_loop_new(NULL);
  rounder a = {.span = 10 * MS, .most = 3}, b = {.span = 4 * MS, .most = 2};
  rounder_start(&a, loop, &sleepers);
  rounder_start(&b, loop, &sleepers);
  tide_time began = tide_clock_monotonic();
  int ticks = poll_until(loop, &a, 3);
  CHECK(tide_clock_monotonic() - began >= 30 * MS);
  CHECK(ticks < 30); /* it sleeps in between */
  CHECK_EQ(b.rounds, 2);
  struct pollfd watched = {.fd = tide_loop_fd(loop), .events = POLLIN};
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  CHECK_EQ(poll(&watched, 1, 20), 0); /* there is nothing to do */
  tide_loop_free(loop);
}

static void its_descriptor_is_readable_when_tasks_are_ready_or_bytes_have_come(void) {
  tide_loop *loop = tide_loop_new(NULL);
  int ends[2];
  tide_fd fd;
  CHECK_EQ(pipe(ends), 0);
  tide_fd_init(&fd, loop, ends[0]);
  rounder a = {.most = 5}, b = {.fd = &fd};
  struct pollfd watched = {.fd = tide_loop_fd(loop), .events = POLLIN};
  rounder_start(&a, loop, &yielders);
  poll_until(loop, &a, 5);
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  CHECK_EQ(poll(&watched, 1, 0), 0);
  rounder_start(&b, loop, &readers); /* between two ticks */
  CHECK_EQ(poll(&watched, 1, 1000), 1);
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  CHECK_EQ(poll(&watched, 1, 20), 0);
  CHECK_EQ(write(ends[1], "x", 1), 1);
  poll_until(loop, &b, 1);
  tide_fd_term(&fd);
  close(ends[0]);
  close(ends[1]);
  tide_loop_free(loop);
}

static void its_descriptor_tells_of_calls_between_ticks_and_of_posts(void) {
  tide_loop *loop = tide_loop_new(NULL);
  struct pollfd watched = {.fd = tide_loop_fd(loop), .events = POLLIN};
  tide_event event;
  pthread_t thread;
  tide_event_init(&event);
  rounder a = {.event = &event};
  rounder_start(&a, loop, &waiters);
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  CHECK_EQ(poll(&watched, 1, 0), 0);
  tide_event_set(&event);
  poll_until(loop, &a, 1);
  for (int i = 0; i < 5; i++) {
    tide_event_init(&event);
    rounder b = {.event = &event};
    mail m = {.loop = loop, .event = &event};
    tide_post_init(&m.post, delivered);
    rounder_start(&b, loop, &waiters);
    tide_loop_hold(loop);
    CHECK_EQ(pthread_create(&thread, NULL, post_later, &m), 0);
    poll_until(loop, &b, 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
  }
  tide_loop_free(loop);
}

typedef struct opening {
  tide_post post;
  tide_watcher *watcher;
  tide_loop *loop;
} opening;

static void begin_to_watch(tide_post *post) {
  const opening *self = tide_container(post, opening, post);
  tide_watcher_set(self->watcher, self->loop, TIDE_READABLE);
}

static int readable;

static void note_readable(tide_watcher *watcher, int events) {
  (void)watcher;
  readable = events;
}

/* What a tick looks for last, after its poll, libev is told of by another one. */
static void its_descriptor_tells_of_what_a_tick_has_begun_to_watch_at_its_end(void) {
  tide_loop *loop = tide_loop_new(NULL);
  struct pollfd watched = {.fd = tide_loop_fd(loop), .events = POLLIN};
  tide_watcher watcher;
  int ends[2];
  CHECK_EQ(pipe(ends), 0);
  tide_watcher_init(&watcher, ends[0], note_readable);
  opening o = {.watcher = &watcher, .loop = loop};
  tide_post_init(&o.post, begin_to_watch);
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  tide_loop_post(loop, &o.post);
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  for (int i = 0; i < 10 && poll(&watched, 1, 10) == 1; i++)
    CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  CHECK_EQ(poll(&watched, 1, 0), 0);
  CHECK_EQ(write(ends[1], "!", 1), 1);
  CHECK_EQ(poll(&watched, 1, 5000), 1);
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  CHECK_EQ(readable, TIDE_READABLE);
  tide_watcher_set(&watcher, loop, 0);
  close(ends[0]);
  close(ends[1]);
  tide_loop_free(loop);
}

/* A descriptor that was closed is told of still where another process, or a duplicate, has it open:
 * libev puts an end to that by a new epoll. */
static void its_descriptor_stays_though_libev_gets_another(void) {
  struct epoll_event watched = {.events = EPOLLIN}, came;
  int gap = dup(0), host = epoll_create1(EPOLL_CLOEXEC), closed[2], ends[2];
  tide_loop *loop = tide_loop_new(NULL);
  tide_fd one, other;
  CHECK_EQ(epoll_ctl(host, EPOLL_CTL_ADD, tide_loop_fd(loop), &watched), 0);
  CHECK_EQ(pipe(closed), 0);
  CHECK_EQ(pipe(ends), 0);
  close(gap); /* a new one could have a number that is less */
  tide_fd_init(&one, loop, closed[0]);
  tide_fd_init(&other, loop, ends[0]);
  rounder a = {.fd = &one}, b = {.span = 2 * MS, .most = 20}, c = {.fd = &other};
  rounder_start(&a, loop, &readers);
  rounder_start(&b, loop, &sleepers);
  rounder_start(&c, loop, &readers);
  int duplicate = dup(closed[0]), ticks = 0;
  for (; b.rounds < 20; ticks++) {
    CHECK_EQ(epoll_wait(host, &came, 1, 1000), 1);
    CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
    if (ticks == 2) CHECK_EQ(write(closed[1], "x", 1), 1);
    if (a.rounds != 1 || closed[0] < 0) continue;
    tide_fd_term(&one);
    close(closed[0]);
    closed[0] = -1;
  }
  CHECK_EQ(a.rounds, 1);
  CHECK(ticks < 200);
  CHECK_EQ(write(ends[1], "x", 1), 1);
  for (int i = 0; i < 10 && c.rounds == 0; i++) {
    CHECK_EQ(epoll_wait(host, &came, 1, 1000), 1);
    CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  }
  CHECK_EQ(c.rounds, 1);
  tide_fd_term(&other);
  tide_loop_free(loop);
  CHECK_EQ(epoll_wait(host, &came, 1, 0), 0);
  close(host);
  close(duplicate);
  close(closed[1]);
  close(ends[0]);
  close(ends[1]);
}

static void where_descriptors_are_short_it_has_none(void) {
  tide_loop *loop = tide_loop_new(NULL);
  struct rlimit before, none;
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  none.rlim_cur = 0;
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  int got = tide_loop_fd(loop);
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  CHECK_EQ(got, TIDE_OS(EMFILE));
  CHECK(tide_loop_fd(loop) >= 0);
  tide_loop_free(loop);
}

/* ---- frames, and time of the host's own */

static void a_frame_wakes_who_waited_for_it(void) {
  tide_loop *loop = tide_loop_new(NULL);
  rounder actors[3] = {0};
  for (int i = 0; i < 3; i++) rounder_start(&actors[i], loop, &framers);
  CHECK_EQ(tide_loop_run(loop, NULL), TIDE_EDEADLOCK);
  for (int frame = 1; frame <= 10; frame++) {
    tide_loop_frame(loop, 16 * MS);
    CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
    for (int i = 0; i < 3; i++) CHECK_EQ(actors[i].rounds, frame);
    CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
    for (int i = 0; i < 3; i++) CHECK_EQ(actors[i].rounds, frame);
  }
  CHECK_EQ(actors[0].seen, 160 * MS);
  tide_task_cancel(&actors[1].task);
  tide_loop_frame(loop, 16 * MS);
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  CHECK_EQ(actors[1].rounds, 10);
  CHECK_EQ(actors[2].rounds, 11);
  tide_task_detach(&actors[2].task); /* is in the list */
  tide_task_finish(&actors[2].task, TIDE_FUTURE_CANCELLED);
  tide_loop_frame(loop, MS);
  tide_loop_free(loop);
}

static void a_manual_clock_moves_when_the_host_says(void) {
  tide_loop *loop = tide_loop_new(NULL);
  rounder a = {.span = 10 * MS, .most = 3}, b = {.span = 25 * MS, .most = 1};
  CHECK_EQ(tide_loop_advance(loop, MS), TIDE_EINVALID_STATE);
  tide_loop_set_manual_clock(loop);
  CHECK(tide_loop_clock_is_virtual(loop));
  tide_time began = tide_loop_now(loop);
  rounder_start(&a, loop, &sleepers);
  rounder_start(&b, loop, &sleepers);
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  CHECK_EQ(tide_loop_run(loop, NULL), TIDE_EDEADLOCK);
  CHECK_EQ(tide_loop_now(loop), began);
  CHECK_EQ(tide_loop_advance(loop, 9 * MS), TIDE_OK);
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  CHECK_EQ(a.rounds, 0);
  CHECK_EQ(tide_loop_advance(loop, MS), TIDE_OK);
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  CHECK_EQ(a.rounds, 1);
  CHECK_EQ(tide_loop_deadline(loop), began + 20 * MS);
  CHECK_EQ(tide_loop_advance(loop, 100 * MS), TIDE_OK);
  CHECK_EQ(tide_loop_tick(loop, MS, NULL), TIDE_OK);
  CHECK_EQ(a.rounds, 2);
  CHECK_EQ(b.rounds, 1);
  tide_time earlier = 2 * MS, later = 3 * MS; /* of a clock of the host's that was put back */
  CHECK_EQ(tide_loop_advance(loop, earlier - later), TIDE_EMISUSE);
  CHECK_EQ(tide_loop_advance(loop, TIDE_NEVER), TIDE_EMISUSE);
  CHECK_EQ(tide_loop_now(loop), began + 110 * MS);
  tide_loop_set_real_clock(loop);
  CHECK_EQ(tide_loop_run(loop, NULL), TIDE_OK);
  CHECK_EQ(a.rounds, 3);
  CHECK(tide_loop_now(loop) >= began + 110 * MS);
  tide_loop_free(loop);
}

static void where_descriptors_are_short_there_is_none_and_errno_is_as_before(void) {
  struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
  struct rlimit usual, none;
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
  none = usual;
  none.rlim_cur = 0;
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  errno = 4242;
  tide_loop *guest = tide_loop_new_on(ev, NULL);
  CHECK_EQ(errno, 4242);
  CHECK(guest == NULL);
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
  guest = tide_loop_new_on(ev, NULL);
  CHECK(guest != NULL);
  tide_loop_free(guest);
  ev_loop_destroy(ev);
}

int main(void) {
  RUN(where_descriptors_are_short_there_is_none_and_errno_is_as_before);
  RUN(its_tasks_run_in_the_hosts_ev_run_which_ends_with_them);
  RUN(it_may_be_the_default_loop_and_hold_several);
  RUN(it_waits_for_descriptors_in_the_hosts_poll);
  RUN(what_a_callback_of_the_hosts_has_woken_is_stepped);
  RUN(it_goes_on_as_long_as_the_loop_is_held);
  RUN(it_takes_a_share_of_each_round_of_the_hosts_loop);
  RUN(it_refuses_to_run_by_itself);
  RUN(it_leaves_nothing_behind_where_tasks_still_wait);
  RUN(it_may_be_freed_by_a_callback_of_the_hosts_in_the_round_that_would_wake_it);
  RUN(it_takes_a_step_a_round_where_its_share_is_nothing);
  RUN(it_is_woken_by_other_threads);
  RUN(its_descriptor_is_readable_when_a_deadline_has_come);
  RUN(its_descriptor_is_readable_when_tasks_are_ready_or_bytes_have_come);
  RUN(its_descriptor_tells_of_calls_between_ticks_and_of_posts);
  RUN(its_descriptor_tells_of_what_a_tick_has_begun_to_watch_at_its_end);
  RUN(its_descriptor_stays_though_libev_gets_another);
  RUN(where_descriptors_are_short_it_has_none);
  RUN(a_frame_wakes_who_waited_for_it);
  RUN(a_manual_clock_moves_when_the_host_says);
  return check_summary();
}
