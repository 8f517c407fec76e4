/* io_listener.c: listening and connecting, over TCP and unix sockets. */
#include <netinet/tcp.h>

#include "io_listener.h"

static bool path_exists(void) {
  struct stat status;
  return lstat(path + 5, &status) == 0;
}

static int option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  CHECK_EQ(getsockopt(fd, level, name, &value, &length), 0);
  return value;
}

/* Meeting. */

static void check_meeting(const char *host) {
  world w;
  snprintf(check_state.context, sizeof check_state.context, "%s", host);
  open_listener(&w, host);
  actor *a = accept_times(&w, 1), *c = connect_once(&w);
  finish(&w, a);
  finish(&w, c);
  CHECK_EQ(a->outcome, TIDE_OK);
  CHECK_EQ(c->outcome, TIDE_OK);
  int fd = tide_connect_take(&attempt);
  CHECK(fd >= 0);
  CHECK_EQ(tide_connect_take(&attempt), -1);
  close(fd);
  close_listener(&w);
}

static void tasks_meet_over_every_kind_of_socket(void) {
  check_meeting("127.0.0.1");
  check_meeting("::1");
  check_meeting("unix:@tide-spec");
  check_meeting(unix_path());
  CHECK(!path_exists());
}

static tide_stream accepted;

/* Accepts a stream and gives back what comes from it. */
static void stream_acceptor(actor *self) {
  static uint64_t copied;
  BEGIN;
  copied = 0;
  CALL(tide_listener_accept_stream(&listener, &self->task, &accepted));
  say(self, "%d", self->script.outcome);
  if (self->script.outcome != TIDE_OK) TIDE_LEAVE(TIDE_OK);
  CALL(tide_stream_copy(&accepted, &accepted, &self->task, 5, &copied));
  tide_stream_close(&accepted);
  TIDE_LEAVE(self->script.outcome);
  END;
}

static void a_connection_is_accepted_as_a_stream(void) {
  world w;
  char bytes[8];
  open_listener(&w, "127.0.0.1");
  actor *a = spawn(&w, "a", stream_acceptor);
  actor *c = connect_once(&w);
  finish(&w, c);
  int fd = tide_connect_take(&attempt);
  CHECK_EQ(send(fd, "hello", 5, MSG_NOSIGNAL), 5);
  finish(&w, a);
  CHECK(strstr(w.log, "a 0") != NULL);
  CHECK_EQ(recv(fd, bytes, sizeof bytes, 0), 5);
  close(fd);
  for (int i = 0; i < 20; i++) turn(&w);
  memset(&accepted, 0xee, sizeof accepted);
  actor *b = spawn(&w, "b", stream_acceptor); /* one that fails leaves the stream alone */
  turn(&w);
  tide_listener_close(&listener);
  finish(&w, b);
  CHECK(strstr(w.log, "b -4") != NULL);
  CHECK_EQ(accepted.high_mark, 0xeeeeeeee);
  close_listener(&w);
}

static void small_writes_are_not_held_back(void) {
  world w;
  int fd = -1;
  actor task = {0};
  open_listener(&w, "127.0.0.1");
  tide_task_init(&task.task, w.loop, &actor_ops);
  actor *c = connect_once(&w);
  finish(&w, c);
  listener.drained = false;
  CHECK_EQ(tide_listener_accept(&listener, &task.task, &fd), TIDE_OK);
  CHECK_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
  CHECK_EQ(option(attempt.fd.fd, IPPROTO_TCP, TCP_NODELAY), 1);
  close(fd);
  close_listener(&w);
}

static void small_writes_are_held_back_where_that_is_asked_for(void) {
  world w;
  io_open(&w);
  parse("127.0.0.1", 0);
  tide_listen_options on = {.nagle = true, .reuseport = true, .backlog = 1};
  CHECK_EQ(tide_listener_open(&listener, w.loop, &address, &on), TIDE_OK);
  CHECK_EQ(tide_listener_address(&listener, &address), TIDE_OK);
  tide_connect_options there = {.nagle = true};
  CHECK_EQ(tide_connect_start(&attempt, w.loop, &address, &there), TIDE_OK);
  CHECK_EQ(option(listener.fd.fd, IPPROTO_TCP, TCP_NODELAY), 0);
  CHECK_EQ(option(attempt.fd.fd, IPPROTO_TCP, TCP_NODELAY), 0);
  tide_listener other;
  CHECK_EQ(tide_listener_open(&other, w.loop, &address, &on), TIDE_OK);
  tide_listener_close(&other);
  close_listener(&w);
}

static void it_knows_where_it_is(void) {
  world w;
  tide_address here, there;
  tide_stream stream;
  open_listener(&w, "127.0.0.1");
  CHECK(tide_address_port(&address) > 0);
  actor *c = connect_once(&w);
  finish(&w, c);
  tide_stream_init(&stream, w.loop, tide_connect_take(&attempt));
  CHECK_EQ(tide_stream_peer_address(&stream, &there), TIDE_OK);
  CHECK_EQ(tide_address_port(&there), tide_address_port(&address));
  CHECK_EQ(tide_stream_local_address(&stream, &here), TIDE_OK);
  CHECK(tide_address_port(&here) != tide_address_port(&address));
  tide_stream_close(&stream);
  close_listener(&w);
  CHECK_EQ(tide_listener_address(&listener, &address), TIDE_ECLOSED);
}

static void one_may_connect_from_a_given_address(void) {
  world w;
  open_listener(&w, "127.0.0.1");
  tide_address from, here;
  CHECK_EQ(tide_address_parse(&from, "127.0.0.2", 0), TIDE_OK);
  tide_connect_options options = {.local = &from};
  CHECK_EQ(tide_connect_start(&attempt, w.loop, &address, &options), TIDE_OK);
  actor *c = spawn(&w, "c", connector);
  finish(&w, c);
  here.length = sizeof here.as;
  CHECK_EQ(getsockname(attempt.fd.fd, &here.as.any, &here.length), 0);
  CHECK_EQ(here.as.ipv4.sin_addr.s_addr, from.as.ipv4.sin_addr.s_addr);
  close_listener(&w);
}

/* Refusals. */

static void an_address_in_use_is_refused(void) {
  world w;
  tide_listener other;
  open_listener(&w, "127.0.0.1");
  CHECK_EQ(tide_listener_open(&other, w.loop, &address, NULL), TIDE_OS(EADDRINUSE));
  tide_listener_close(&other);
  close_listener(&w);
  open_listener(&w, unix_path());
  CHECK_EQ(tide_listener_open(&other, w.loop, &address, NULL), TIDE_OS(EADDRINUSE));
  CHECK(path_exists());
  close_listener(&w);
}

static void an_address_of_others_is_refused(void) {
  world w;
  io_open(&w);
  parse("192.0.2.1", 80); /* for documentation: nobody has it */
  CHECK_EQ(tide_listener_open(&listener, w.loop, &address, NULL), TIDE_OS(EADDRNOTAVAIL));
  close_listener(&w);
}

static void connecting_where_nobody_listens_fails(void) {
  world w;
  open_listener(&w, "127.0.0.1");
  tide_listener_close(&listener);
  actor *c = connect_once(&w);
  finish(&w, c);
  CHECK(actor_failed_with(c, TIDE_OS(ECONNREFUSED)));
  close_listener(&w);
  open_listener(&w, unix_path());
  tide_listener_close(&listener);
  c = connect_once(&w);
  finish(&w, c);
  CHECK(actor_failed_with(c, TIDE_OS(ENOENT)));
  close_listener(&w);
}

/* Files of unix sockets. */

static void a_socket_left_behind_is_taken_over(void) {
  world w;
  io_open(&w);
  parse(unix_path(), 0);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_EQ(bind(fd, &address.as.any, address.length), 0);
  close(fd);
  CHECK(path_exists());
  CHECK_EQ(tide_listener_open(&listener, w.loop, &address, NULL), TIDE_OK);
  actor *c = connect_once(&w);
  finish(&w, c);
  CHECK_EQ(c->outcome, TIDE_OK);
  close_listener(&w);
  CHECK(!path_exists());
}

static void other_files_are_left_alone(void) {
  world w;
  io_open(&w);
  parse(unix_path(), 0);
  close(open(path + 5, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  CHECK_EQ(tide_listener_open(&listener, w.loop, &address, NULL), TIDE_OS(EADDRINUSE));
  CHECK(path_exists());
  unlink(path + 5);
  CHECK_EQ(tide_listener_open(&listener, w.loop, &address, NULL), TIDE_OK);
  unlink(path + 5);
  tide_listener successor;
  CHECK_EQ(tide_listener_open(&successor, w.loop, &address, NULL), TIDE_OK);
  tide_listener_close(&listener);
  CHECK(path_exists()); /* it is the successor's */
  tide_listener_close(&successor);
  CHECK(!path_exists());
  close_listener(&w);
}

/* Who waits. */

static void only_one_task_accepts(void) {
  world w;
  open_listener(&w, "127.0.0.1");
  actor *first = accept_times(&w, 1), *second = accept_times(&w, 1);
  turn(&w);
  turn(&w);
  CHECK_TEXT(tide_task_waits_for(&first->task), "Listener.accept");
  CHECK(actor_failed_with(second, TIDE_EBUSY));
  actor *c = connect_once(&w);
  finish(&w, first);
  finish(&w, c);
  CHECK_EQ(first->outcome, TIDE_OK);
  close_listener(&w);
}

static void closing_it_ends_the_wait(void) {
  world w;
  open_listener(&w, "127.0.0.1");
  actor *a = accept_times(&w, 1);
  turn(&w);
  tide_listener_close(&listener);
  tide_listener_close(&listener);
  finish(&w, a);
  CHECK(actor_failed_with(a, TIDE_ECLOSED));
  a = accept_times(&w, 1);
  finish(&w, a);
  CHECK(actor_failed_with(a, TIDE_ECLOSED));
  close_listener(&w);
}

/* A cancelled accept leaves the connection to the next. */
static void a_cancelled_accept_takes_nobody(void) {
  for (blow how = 0; how < BLOWS; how++) {
    world w;
    open_listener(&w, "127.0.0.1");
    snprintf(check_state.context, sizeof check_state.context, "blow %d", (int)how);
    w.victim = accept_times(&w, 1);
    w.blow = how;
    w.when = 1;
    turn(&w);
    turn(&w);
    actor *c = connect_once(&w);
    finish(&w, c);
    for (int i = 0; i < 5; i++) turn(&w);
    CHECK(w.struck);
    bool took = w.victim->outcome == TIDE_OK;
    if (!actor_ended(w.victim)) actor_kill(w.victim);
    w.victim = NULL;
    w.log[0] = '\0';
    if (took) close(tide_connect_take(&attempt));
    if (took) connect_once(&w);
    actor *next = accept_times(&w, 1);
    finish(&w, next);
    CHECK_EQ(next->outcome, TIDE_OK);
    finish(&w, &w.actors[w.count - 1]);
    for (int i = 0; i < 5; i++) turn(&w);
    close_listener(&w);
  }
}

/* The end of it, in each state that a task can be in: it may be freed at once. */

static void check_end_of_listener(void (*body)(actor *self), bool kill) {
  world w;
  open_listener(&w, "127.0.0.1");
  actor *a = spawn(&w, "a", body);
  a->i = 1;
  turn(&w);
  CHECK_EQ(a->task.state, TIDE_TASK_WAITING);
  close_and_free_listener();
  if (kill) actor_kill(a);
  settle(&w);
  CHECK(actor_failed_with(a, kill ? TIDE_ECANCELLED : TIDE_ECLOSED));
  listener = (tide_listener){.fd.fd = -1};
  close_listener(&w);
}

static void it_may_be_freed_once_closed(void) {
  check_end_of_listener(acceptor, false);
  check_end_of_listener(acceptor, true);
  check_end_of_listener(chooser, false);
  check_end_of_listener(chooser, true);
}

static void connect_until_ready(world *w, const actor *self) {
  CHECK_EQ(tide_connect_start(&attempt, w->loop, &address, NULL), TIDE_OK);
  for (int i = 0; i < SOON && self->task.state == TIDE_TASK_WAITING; i++) turn(w);
  CHECK_EQ(self->task.state, TIDE_TASK_READY);
}

static void it_may_be_freed_once_closed_though_somebody_has_come(void) {
  for (int how = 0; how < 4; how++) {
    world w;
    bool choose = how & 1, kill = how & 2;
    snprintf(check_state.context, sizeof check_state.context, "way %d", how);
    open_listener(&w, "127.0.0.1");
    actor *a = spawn(&w, "a", choose ? chooser : acceptor);
    a->i = 1;
    turn(&w);
    connect_until_ready(&w, a);
    close_and_free_listener();
    if (kill) actor_kill(a);
    settle(&w);
    if (choose && !kill)
      CHECK_LOG(&w, "a chose 1"); /* it has the connection */
    else
      CHECK(actor_failed_with(a, kill ? TIDE_ECANCELLED : TIDE_ECLOSED));
    listener = (tide_listener){.fd.fd = -1};
    close_listener(&w);
  }
}

static void a_cancelled_select_takes_nobody(void) {
  world w;
  open_listener(&w, "127.0.0.1");
  actor *a = spawn(&w, "a", chooser);
  turn(&w);
  actor *b = accept_times(&w, 1);
  turn(&w);
  CHECK(actor_failed_with(b, TIDE_EBUSY));
  tide_task_cancel(&a->task);
  actor *c = connect_once(&w);
  finish(&w, a);
  finish(&w, c);
  CHECK(actor_failed_with(a, TIDE_ECANCELLED));
  CHECK(listener.chooser == NULL && listener.fd.reader == NULL);
  b = accept_times(&w, 1);
  finish(&w, b);
  CHECK_EQ(b->outcome, TIDE_OK);
  close_listener(&w);
}

/* One killed with the connection in its hands closes it: nobody else would. */
static void a_connection_for_a_task_that_is_killed_is_closed(void) {
  world w;
  open_listener(&w, "127.0.0.1");
  actor *a = spawn(&w, "a", chooser);
  turn(&w);
  connect_until_ready(&w, a);
  int before = count_descriptors();
  actor_kill(a);
  CHECK_EQ(count_descriptors(), before - 1);
  close_listener(&w);
}

static void one_listener_is_one_case_of_a_select(void) {
  world w;
  open_listener(&w, "127.0.0.1");
  actor a = {.world = &w};
  tide_task_init(&a.task, w.loop, &actor_ops);
  tide_case_accept(&chosen_from[0], &listener);
  tide_case_accept(&chosen_from[1], &listener);
  tide_select_init(&choice, chosen_from, 2);
  CHECK_EQ(tide_select_wait(&choice, &a.task), TIDE_EBUSY);
  CHECK(listener.chooser == NULL && listener.fd.reader == NULL);
  close_listener(&w);
}

static void an_attempt_may_be_freed_once_closed_though_it_was_about_to_succeed(void) {
  for (int kill = 0; kill < 2; kill++) {
    world w;
    open_listener(&w, "127.0.0.1");
    actor *c = connect_once(&w);
    for (int i = 0; i < SOON && (c->steps == 0 || c->task.state == TIDE_TASK_WAITING); i++)
      turn(&w);
    if (c->task.state == TIDE_TASK_READY) { /* else it did not need to wait */
      tide_connect_term(&attempt);
      memset(&attempt, 0xee, sizeof attempt);
      if (kill) actor_kill(c);
      settle(&w);
      CHECK(actor_failed_with(c, kill ? TIDE_ECANCELLED : TIDE_ECLOSED));
      attempt = (tide_connect){.fd.fd = -1};
    }
    close_listener(&w);
  }
}

static void cancelling_ends_an_attempt(void) {
  world w;
  io_open(&w);
  parse("192.0.2.1", 80); /* nobody answers */
  actor *c = NULL;
  if (tide_connect_start(&attempt, w.loop, &address, NULL) == TIDE_OK)
    c = spawn(&w, "c", connector);
  turn(&w);
  turn(&w);
  if (c != NULL && !actor_ended(c)) { /* where there is no route, it has failed */
    CHECK_TEXT(tide_task_waits_for(&c->task), "connect");
    tide_task_cancel(&c->task);
    finish(&w, c);
    CHECK(actor_failed_with(c, TIDE_ECANCELLED));
    c = spawn(&w, "c", connector);
    turn(&w);
    tide_connect_term(&attempt);
    finish(&w, c);
    CHECK(actor_failed_with(c, TIDE_ECLOSED));
  }
  tide_connect_term(&attempt);
  io_close(&w);
}

int main(void) {
  RUN(tasks_meet_over_every_kind_of_socket);
  RUN(a_connection_is_accepted_as_a_stream);
  RUN(small_writes_are_not_held_back);
  RUN(small_writes_are_held_back_where_that_is_asked_for);
  RUN(it_knows_where_it_is);
  RUN(one_may_connect_from_a_given_address);
  RUN(an_address_in_use_is_refused);
  RUN(an_address_of_others_is_refused);
  RUN(connecting_where_nobody_listens_fails);
  RUN(a_socket_left_behind_is_taken_over);
  RUN(other_files_are_left_alone);
  RUN(only_one_task_accepts);
  RUN(closing_it_ends_the_wait);
  RUN(a_cancelled_accept_takes_nobody);
  RUN(it_may_be_freed_once_closed);
  RUN(it_may_be_freed_once_closed_though_somebody_has_come);
  RUN(a_cancelled_select_takes_nobody);
  RUN(a_connection_for_a_task_that_is_killed_is_closed);
  RUN(one_listener_is_one_case_of_a_select);
  RUN(an_attempt_may_be_freed_once_closed_though_it_was_about_to_succeed);
  RUN(cancelling_ends_an_attempt);
  return check_summary();
}
