/* dns.c: looking names up, and connecting to them. The name server is in the same loop. */
#include <arpa/inet.h>
#include <unistd.h>

#include "../../core/io/private.h"
#include "../../core/io/sys.h"
#include "script.h"

/* Answers what the first letters of a name say: "two", "nx", "lo", and "silent" not at all. */
static struct server {
  tide_watcher watcher;
  tide_loop *loop;
  int fd;
  unsigned asked;
  char path[64]; /* of resolv.conf */
} server;

enum { HEADER = 12, TYPE_A = 1, TYPE_AAAA = 28 };

static size_t add_record(uint8_t *at, int type, const void *data, uint8_t size) {
  const uint8_t head[] = {0xc0, HEADER, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, size};
  memcpy(at, head, sizeof head);
  memcpy(at + sizeof head, data, size);
  return sizeof head + size;
}

/* Makes the question an answer, and gives its length; 0: there is none. */
static size_t answer(uint8_t *bytes, size_t length) {
  const char *name = (const char *)bytes + HEADER + 1;
  int type = bytes[length - 3];
  bool loopback = strncmp(name, "lo", 2) == 0;
  if (strncmp(name, "silent", 6) == 0) return 0;
  bytes[2] = 0x81;
  bytes[3] = strncmp(name, "nx", 2) == 0 ? 0x83 : 0x80;
  if (bytes[3] == 0x83) return length;
  static const uint8_t four[2][4] = {{192, 0, 2, 1}, {192, 0, 2, 2}}, local[4] = {127, 0, 0, 1};
  if (type == TYPE_A && loopback) {
    bytes[7] = 1;
    return length + add_record(bytes + length, type, local, 4);
  }
  if (type == TYPE_A) {
    bytes[7] = 2;
    length += add_record(bytes + length, type, four[0], 4);
    return length + add_record(bytes + length, type, four[1], 4);
  }
  if (type != TYPE_AAAA) return length;
  bytes[7] = 1;
  const struct in6_addr *six = loopback ? &in6addr_loopback : &in6addr_any;
  return length + add_record(bytes + length, type, six, 16);
}

static void serve(tide_watcher *watcher, int events) {
  uint8_t bytes[512];
  struct sockaddr_in from;
  socklen_t size = sizeof from;
  (void)watcher;
  (void)events;
  ssize_t length;
  while ((length = recvfrom(server.fd, bytes, 200, MSG_DONTWAIT, (struct sockaddr *)&from, &size)) >
         0) {
    server.asked++;
    size_t said = answer(bytes, (size_t)length);
    if (said > 0) CHECK_EQ(sendto(server.fd, bytes, said, 0, (struct sockaddr *)&from, size), said);
  }
}

static void open_server(tide_loop *loop) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  server = (struct server){.loop = loop, .fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  CHECK_EQ(bind(server.fd, (struct sockaddr *)&address, size), 0);
  CHECK_EQ(getsockname(server.fd, (struct sockaddr *)&address, &size), 0);
  snprintf(server.path, sizeof server.path, "/tmp/tide-dns-%d", (int)getpid());
  FILE *file = fopen(server.path, "we");
  CHECK(file != NULL);
  fprintf(file, "nameserver [127.0.0.1]:%d\noptions timeout:1 attempts:1\n",
          ntohs(address.sin_port));
  fclose(file);
  tide_watcher_init(&server.watcher, server.fd, serve);
  tide__watcher_set(&server.watcher, loop, TIDE_READABLE);
}

/* Whatever is under way comes to its end. */
static void close_server(world *w) {
  for (int i = 0; i < 10000 && w->loop->timers.count > 0; i++) tide_loop_turn(w->loop, true);
  tide__watcher_set(&server.watcher, w->loop, 0);
  close(server.fd);
  unlink(server.path);
}

static void open_named(world *w) {
  world_open(w);
  open_server(w->loop);
  CHECK_EQ(tide_dns_set_resolv_conf(w->loop, server.path), TIDE_OK);
}

static void close_named(world *w) {
  close_server(w);
  world_close(w);
}

/* Looks its name up, and says what came. */
static void resolver(actor *self) {
  BEGIN;
  WAIT(tide_dns_resolve(&self->task, self->name, AF_UNSPEC));
  if (self->outcome == TIDE_OK) {
    const tide_dns_answer *found = self->task.wait.value.pointer;
    say(self, "%d addresses", (int)found->count);
    tide_dns_answer_drop(found);
  } else if (self->outcome == TIDE_EDNS) {
    say(self, "%s", tide_dns_code_name((tide_dns_code)self->task.wait.value.integer));
  } else {
    say(self, "%d", self->outcome);
  }
  self->outcome = TIDE_OK;
  END;
}

static void names_are_looked_up(void) {
  world w;
  open_named(&w);
  spawn(&w, "two.test", resolver);
  spawn(&w, "nx.test", resolver);
  spawn(&w, "127.0.0.1", resolver);
  spawn(&w, "localhost", resolver);
  spawn(&w, "x.invalid", resolver);
  settle(&w);
  CHECK_LOG(&w, "127.0.0.1 1 addresses, localhost 2 addresses, x.invalid NXDOMAIN, "
                "two.test 3 addresses, nx.test NXDOMAIN");
  CHECK_EQ(server.asked, 4);
  close_named(&w);
}

static void equal_look_ups_share_a_question(void) {
  world w;
  open_named(&w);
  for (int i = 0; i < 20; i++) spawn(&w, "two.test", resolver);
  settle(&w);
  CHECK_EQ(server.asked, 2);
  close_named(&w);
}

static void a_silent_server_is_waited_for_as_long_as_it_says(void) {
  world w;
  open_named(&w);
  tide_time began = tide_loop_now(w.loop);
  spawn(&w, "silent.test", resolver);
  settle(&w);
  CHECK_LOG(&w, "silent.test TIMEOUT");
  CHECK_EQ(tide_loop_now(w.loop) - began, tide_time_from_seconds(1));
  close_named(&w);
}

static void who_is_gone_keeps_nothing_alive(void) {
  world w;
  open_named(&w);
  actor *one = spawn(&w, "silent.test", resolver), *other = spawn(&w, "silent.test", resolver);
  turn(&w);
  turn(&w);
  tide_task_cancel(&one->task);
  turn(&w);
  CHECK_EQ(w.loop->holds, 1);
  actor_kill(other);
  CHECK_EQ(w.loop->holds, 0);
  settle(&w);
  close_named(&w);
}

static void stage_look_up(world *w) {
  open_server(w->loop);
  if (tide_dns_set_resolv_conf(w->loop, server.path) != TIDE_OK) return;
  w->victim = spawn(w, "two.test", resolver);
  spawn(w, "two.test", resolver);
}

static void verify_nothing_is_left(world *w) { close_server(w); }

static const scenario look_up = {.stage = stage_look_up, .verify = verify_nothing_is_left};

static void struck_at_any_wait_nothing_is_left(void) { play_all_blows(&look_up); }

static void without_memory_it_says_so(void) { play_all_shortages(&look_up); }

/* Each call in turn fails, with what it usually fails with. */
static void play_all_faults(const scenario *play) {
  static const struct {
    tide_call call;
    int error;
  } sorts[] = {{TIDE_CALL_SOCKET, EMFILE},     {TIDE_CALL_CONNECT, ENETUNREACH},
               {TIDE_CALL_READ, ECONNREFUSED}, {TIDE_CALL_WRITE, ENOBUFS},
               {TIDE_CALL_STAT, EACCES},       {TIDE_CALL_GETSOCKNAME, ENOBUFS}};
  for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++) {
    tide_faults faults = {.call = sorts[i].call, .error = sorts[i].error};
    do {
      world w;
      faults.made = 0;
      faults.at++;
      snprintf(check_state.context, sizeof check_state.context, "%s %u fails",
               tide_call_name(faults.call), faults.at);
      world_open(&w);
      tide_loop_set_faults(w.loop, &faults);
      play->stage(&w);
      settle(&w);
      play->verify(&w);
      tide_loop_set_faults(w.loop, NULL);
      world_close(&w);
    } while (faults.made >= faults.at);
    CHECK(faults.at > 1 || faults.call == TIDE_CALL_STAT);
  }
  check_state.context[0] = '\0';
}

static void whichever_call_fails_nothing_is_left(void) { play_all_faults(&look_up); }

/* Connecting. */

static tide_listener listener;
static tide_address address;
static tide_dial dial;

static void dialer_close(actor *self) {
  (void)self;
  tide_dial_term(&dial);
}

/* Connects to its name. */
static void dialer(actor *self) {
  self->close = dialer_close;
  BEGIN;
  tide_dial_start(&dial, self->task.loop, self->name, tide_address_port(&address), NULL);
  WAIT(tide_dial_wait(&dial, &self->task));
  say(self, "%d of %d", self->outcome, (int)dial.count);
  tide_dial_term(&dial);
  tide_dial_term(&dial);
  self->outcome = TIDE_OK;
  END;
}

static void stage_dial(world *w) {
  CHECK_EQ(tide_address_parse(&address, "127.0.0.1", 0), TIDE_OK);
  listener.fd.fd = -1;
  int error = tide_listener_open(&listener, w->loop, &address, NULL);
  if (error == TIDE_OK) tide_listener_address(&listener, &address);
  open_server(w->loop);
  if (tide_dns_set_resolv_conf(w->loop, server.path) != TIDE_OK) return;
  w->victim = spawn(w, "lo.test", dialer);
}

static void verify_dial(world *w) {
  tide_listener_close(&listener);
  close_server(w);
}

static const scenario dialing = {.stage = stage_dial, .verify = verify_dial};

static void all_addresses_of_a_name_are_tried(void) {
  world w;
  world_open(&w);
  stage_dial(&w);
  settle(&w);
  CHECK_LOG(&w, "lo.test 0 of 2"); /* nobody listens on ::1 */
  tide_listener_close(&listener);
  spawn(&w, "lo.test", dialer);
  settle(&w);
  char expected[40];
  snprintf(expected, sizeof expected, "lo.test %d of 2", TIDE_OS(ECONNREFUSED));
  CHECK_LOG(&w, expected);
  spawn(&w, "nx.test", dialer);
  settle(&w);
  snprintf(expected, sizeof expected, "nx.test %d of 0", TIDE_EDNS);
  CHECK_LOG(&w, expected);
  close_named(&w);
}

static void a_dial_struck_at_any_wait_leaves_nothing(void) { play_all_blows(&dialing); }

static void a_dial_without_memory_says_so(void) { play_all_shortages(&dialing); }

static void whichever_call_fails_a_dial_leaves_nothing(void) { play_all_faults(&dialing); }

/* The loop goes while questions are under way. */
static void the_loop_may_end_at_any_moment(void) {
  for (int turns = 0; turns < 6; turns++) {
    world w;
    open_named(&w);
    spawn(&w, "silent.test", resolver);
    spawn(&w, "two.test", resolver);
    for (int i = 0; i < turns; i++) turn(&w);
    tide__watcher_set(&server.watcher, w.loop, 0);
    close(server.fd);
    unlink(server.path);
    tide_loop_free(w.loop);
    CHECK_EQ(w.memory.in_use, 0);
  }
}

int main(void) {
  if (!tide_dns_is_there()) return 0;
  RUN(names_are_looked_up);
  RUN(equal_look_ups_share_a_question);
  RUN(a_silent_server_is_waited_for_as_long_as_it_says);
  RUN(who_is_gone_keeps_nothing_alive);
  RUN(struck_at_any_wait_nothing_is_left);
  RUN(without_memory_it_says_so);
  RUN(whichever_call_fails_nothing_is_left);
  RUN(all_addresses_of_a_name_are_tried);
  RUN(a_dial_struck_at_any_wait_leaves_nothing);
  RUN(a_dial_without_memory_says_so);
  RUN(whichever_call_fails_a_dial_leaves_nothing);
  RUN(the_loop_may_end_at_any_moment);
  return check_summary();
}
