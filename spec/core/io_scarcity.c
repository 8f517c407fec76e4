/* io_scarcity.c: listeners and connections where descriptors are scarce, or a backlog is full. */
#include <sys/resource.h>

#include "io_listener.h"

/* A unix listener whose backlog is full: how many are in it, the last of them refused. */
static int open_full_listener(world *w, int others[3]) {
  int count = 0;
  io_open(w);
  parse(unix_path(), 0);
  CHECK_EQ(tide_listener_open(&listener, w->loop, &address, &(tide_listen_options){.backlog = 1}),
           TIDE_OK);
  do {
    others[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(count < 3);
  } while (connect(others[count++], &address.as.any, address.length) == 0);
  CHECK_EQ(errno, EAGAIN);
  return count;
}

static void a_full_backlog_is_tried_again(void) {
  world w;
  int others[3];
  int count = open_full_listener(&w, others);
  tide_listener second;
  CHECK_EQ(tide_listener_open(&second, w.loop, &address, NULL), TIDE_OS(EADDRINUSE));
  actor *c = connect_once(&w);
  tide_time began = tide_loop_now(w.loop);
  for (int i = 0; i < 4; i++) CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  CHECK(!actor_ended(c));
  CHECK(tide_loop_now(w.loop) > began);
  turn(&w);
  CHECK_EQ(c->task.state, TIDE_TASK_WAITING);
  tide_connect_term(&attempt);
  turn(&w);
  CHECK(actor_failed_with(c, TIDE_ECLOSED));
  c = connect_once(&w);
  turn(&w);
  actor *a = accept_times(&w, 3);
  for (int i = 0; i < 20 && !actor_ended(c); i++) tide_loop_turn(w.loop, true);
  CHECK_EQ(c->outcome, TIDE_OK);
  CHECK(actor_ended(c));
  finish(&w, a);
  while (count-- > 0) close(others[count]);
  close_listener(&w);
}

static void let_the_rest_end(world *w, const actor *self) {
  for (int turns = 0; self->task.state == TIDE_TASK_WAITING; turns++) {
    CHECK(turns < SOON);
    CHECK_EQ(tide_loop_turn(w->loop, true), TIDE_OK);
  }
  CHECK_EQ(self->task.state, TIDE_TASK_READY);
}

/* Killed or cancelled between the end of a rest and the next try: nothing leads to the task, whose
 * memory may be gone when the attempt is closed. */
static void an_attempt_that_was_about_to_be_made_again_forgets_its_task(void) {
  for (int kill = 0; kill < 2; kill++) {
    world w;
    int others[3];
    int count = open_full_listener(&w, others);
    actor *c = connect_once(&w);
    turn(&w);
    let_the_rest_end(&w, c);
    if (kill)
      actor_kill(c);
    else
      tide_task_cancel(&c->task);
    settle(&w);
    CHECK(actor_failed_with(c, TIDE_ECANCELLED));
    CHECK(attempt.waiter == NULL);
    while (count-- > 0) close(others[count]);
    close_listener(&w);
  }
}

/* Leaves no descriptor to be had. */
static rlim_t exhaust(void) {
  struct rlimit limit;
  int lowest = dup(0);
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlim_t before = limit.rlim_cur;
  close(lowest);
  limit.rlim_cur = (rlim_t)lowest;
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  return before;
}

static void restore(rlim_t before) {
  struct rlimit limit;
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = before;
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* `body` is in an accept that waits for descriptors. */
static actor *starve_in(world *w, rlim_t *before, void (*body)(actor *self)) {
  open_listener(w, "127.0.0.1");
  actor *a = spawn(w, "a", body), *c = connect_once(w);
  a->i = 1;
  *before = exhaust();
  finish(w, c);
  for (int i = 0; i < 5; i++) turn(w);
  CHECK_EQ(a->task.state, TIDE_TASK_WAITING);
  return a;
}

static actor *starve(world *w, rlim_t *before) { return starve_in(w, before, acceptor); }

static void without_descriptors_it_waits_and_tries_again(void) {
  world w;
  rlim_t before;
  actor *a = starve(&w, &before);
  unsigned steps = a->steps;
  tide_time began = tide_loop_now(w.loop);
  CHECK_EQ(w.loop->holds, 0); /* it would spin */
  while (a->steps < steps + 10) CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  CHECK((tide_loop_now(w.loop) - began) / 100000000 >= 10); /* ten times a second */
  restore(before);
  settle(&w);
  CHECK_EQ(a->outcome, TIDE_OK);
  close_listener(&w);
}

static void waiting_for_descriptors_can_be_cancelled(void) {
  world w;
  rlim_t before;
  actor *a = starve(&w, &before);
  tide_task_cancel(&a->task);
  restore(before);
  settle(&w);
  CHECK(actor_failed_with(a, TIDE_ECANCELLED));
  a = accept_times(&w, 1); /* at once: somebody is there */
  settle(&w);
  CHECK_EQ(a->outcome, TIDE_OK);
  close_listener(&w);
}

/* After such a wait the next is for connections again. */
static void waiting_goes_on_as_usual_afterwards(void) {
  world w;
  rlim_t before;
  actor *a = starve(&w, &before);
  a->i = 1; /* one more */
  restore(before);
  let_the_rest_end(&w, a);
  for (int i = 0; i < 5; i++) turn(&w);
  CHECK_LOG(&w, "c connected, a accepted");
  CHECK(!actor_ended(a));
  tide_task_cancel(&a->task);
  settle(&w);
  CHECK(actor_failed_with(a, TIDE_ECANCELLED));
  CHECK(listener.fd.reader == NULL);
  close_listener(&w);
}

static void closing_it_ends_the_wait_for_descriptors(void) {
  world w;
  rlim_t before;
  actor *a = starve(&w, &before);
  tide_listener_close(&listener);
  restore(before);
  turn(&w);
  CHECK(actor_failed_with(a, TIDE_ECLOSED));
  close_listener(&w);
}

/* Accepts nobody, takes back that it was cancelled, and sleeps. */
static void acceptor_who_goes_on(actor *self) {
  int fd = -1;
  BEGIN;
  CALL(tide_listener_accept(&listener, &self->task, &fd));
  CHECK_EQ(self->outcome, TIDE_ECANCELLED);
  tide_task_uncancel(&self->task);
  WAIT(sleep_ms(self, 1000));
  END;
}

/* Cancelled between the end of a rest and the next try. */
static void closing_it_does_not_end_what_its_acceptor_does_next(void) {
  world w;
  rlim_t before;
  actor *a = starve_in(&w, &before, acceptor_who_goes_on);
  let_the_rest_end(&w, a);
  tide_task_cancel(&a->task);
  turn(&w);
  turn(&w);
  restore(before);
  CHECK_TEXT(tide_task_waits_for(&a->task), "sleep");
  tide_listener_close(&listener);
  settle(&w);
  CHECK_EQ(a->outcome, TIDE_OK);
  close_listener(&w);
}

static void a_select_without_descriptors_tries_again(void) {
  world w;
  rlim_t before;
  actor *a = starve_in(&w, &before, chooser);
  tide_time began = tide_loop_now(w.loop);
  CHECK_EQ(w.loop->holds, 0);
  for (int i = 0; i < 10; i++) CHECK_EQ(tide_loop_turn(w.loop, true), TIDE_OK);
  CHECK_EQ(a->task.state, TIDE_TASK_WAITING);
  CHECK((tide_loop_now(w.loop) - began) / 100000000 >= 9);
  restore(before);
  settle(&w);
  CHECK_LOG(&w, "c connected, a chose 1");
  close_listener(&w);
}

static void a_select_without_descriptors_is_told_of_the_end(void) {
  for (int kill = 0; kill < 2; kill++) {
    world w;
    rlim_t before;
    actor *a = starve_in(&w, &before, chooser);
    close_and_free_listener();
    restore(before);
    if (kill) actor_kill(a);
    turn(&w);
    CHECK(actor_failed_with(a, kill ? TIDE_ECANCELLED : TIDE_ECLOSED));
    settle(&w);
    listener = (tide_listener){.fd.fd = -1};
    close_listener(&w);
  }
}

static void without_descriptors_nothing_is_opened(void) {
  world w;
  tide_stream one, other;
  io_open(&w);
  parse("127.0.0.1", 0);
  rlim_t before = exhaust();
  int opened = tide_listener_open(&listener, w.loop, &address, NULL);
  int started = tide_connect_start(&attempt, w.loop, &address, NULL);
  int paired = tide_stream_pair(&one, &other, w.loop);
  restore(before);
  CHECK_EQ(opened, TIDE_OS(EMFILE));
  CHECK_EQ(started, TIDE_OS(EMFILE));
  CHECK_EQ(paired, TIDE_OS(EMFILE));
  close_listener(&w);
}

/* valgrind has limits of its own: it accepts a connection, and then says that there was no
 * descriptor for it. */
static bool under_valgrind(void) {
  const char *preloaded = getenv("LD_PRELOAD");
  return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

int main(void) {
  RUN(a_full_backlog_is_tried_again);
  RUN(an_attempt_that_was_about_to_be_made_again_forgets_its_task);
  if (under_valgrind()) return check_summary();
  RUN(without_descriptors_it_waits_and_tries_again);
  RUN(waiting_for_descriptors_can_be_cancelled);
  RUN(waiting_goes_on_as_usual_afterwards);
  RUN(closing_it_ends_the_wait_for_descriptors);
  RUN(closing_it_does_not_end_what_its_acceptor_does_next);
  RUN(a_select_without_descriptors_tries_again);
  RUN(a_select_without_descriptors_is_told_of_the_end);
  RUN(without_descriptors_nothing_is_opened);
  return check_summary();
}
