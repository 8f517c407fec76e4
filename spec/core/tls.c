/* tls.c: streams that are encrypted, both ends in one loop, over memory. */
#include "../../core/io/private.h"
#include "../certificate.h"
#include "io_memory.h"

static tide_tls_context *server, *client;

/* Where memory is short there may be none. (Less than what a server sends behind its handshake, for
 * sessions, would not do: nobody reads that here, and its reader waits for room.) */
static void make_contexts(world *w) {
  static const char *const protocols[] = {"h2", "http/1.1", NULL};
  tide_tls_failure failure;
  tide_tls_options options = {.server = true, .cert = certificate, .key = key, .alpn = protocols};
  server = client = NULL;
  tide_tls_context_new(&server, w->loop, &options, &failure);
  options = (tide_tls_options){.ca = certificate, .alpn = protocols + 1};
  tide_tls_context_new(&client, w->loop, &options, &failure);
}

static void drop_contexts(void) {
  tide_tls_context_unref(server);
  tide_tls_context_unref(client);
  server = client = NULL;
}

static void begin(void) {
  if (one.transport == NULL) return;
  if (server != NULL && client != NULL &&
      tide_tls_begin(&one, client, "localhost.", 443) == TIDE_OK &&
      tide_tls_begin(&other, server, NULL, 0) == TIDE_OK)
    return;
  tide_stream_close(&one);
  tide_stream_close(&other);
}

static void open_tls(world *w, size_t capacity) {
  open_memory(w, capacity);
  make_contexts(w);
  CHECK(server != NULL && client != NULL);
  begin();
  CHECK(tide_tls_is(&one) && tide_tls_is(&other));
}

static void close_tls(world *w) {
  drop_contexts();
  close_memory(w);
}

static void shaker(actor *self) {
  BEGIN;
  CALL(tide_tls_handshake(self->data, &self->task));
  say(self, "%d", self->script.outcome);
  END;
}

static void bytes_come_through(void) {
  static const size_t capacities[] = {1000, 3000, 100000};
  for (int i = 0; i < 3; i++) {
    world w;
    open_tls(&w, capacities[i]);
    spawn_writer(&w, 30000);
    spawn(&w, "r", reader);
    settle(&w);
    CHECK(strstr(w.log, "r -13 after 30000") != NULL);
    CHECK(tide_tls_is_agreed(&one) && tide_tls_is_agreed(&other));
    close_tls(&w);
  }
}

static void both_ends_tell_what_they_agreed_on(void) {
  world w;
  tide_tls_info info;
  tide_tls_peer *peer;
  open_tls(&w, 10000);
  CHECK_EQ(tide_tls_tell(&one, &info), TIDE_EINVALID_STATE);
  spawn(&w, "c", shaker)->data = &one;
  spawn(&w, "s", shaker)->data = &other;
  settle(&w);
  CHECK(strstr(w.log, "c 0") != NULL && strstr(w.log, "s 0") != NULL);
  CHECK_EQ(tide_tls_tell(&other, &info), TIDE_OK);
  CHECK_TEXT(info.version, "TLSv1.3");
  CHECK_TEXT(info.alpn, "http/1.1");
  CHECK_TEXT(info.server_name, "localhost");
  CHECK(!info.has_peer);
  CHECK_EQ(tide_tls_peer_new(&other, &peer), TIDE_EEOF);
  CHECK_EQ(tide_tls_peer_new(&one, &peer), TIDE_OK);
  CHECK_TEXT(peer->subject, "CN=faults");
  CHECK_EQ(peer->name_count, 1);
  CHECK_TEXT(peer->names[0], "localhost");
  tide_tls_peer_free(peer, w.loop);
  close_tls(&w);
}

static void who_is_not_believed_is_told_why(void) {
  world w;
  open_memory(&w, 10000);
  make_contexts(&w);
  tide_tls_begin(&one, client, "example.org", 443);
  tide_tls_begin(&other, server, NULL, 0);
  spawn(&w, "c", shaker)->data = &one;
  spawn(&w, "s", shaker)->data = &other;
  settle(&w);
  CHECK(strstr(w.log, "c -20") != NULL && strstr(w.log, "s -20") != NULL);
  CHECK_TEXT(tide_tls_failed(&one)->reason, "wrong_host");
  CHECK(strstr(tide_tls_failed(&one)->text, "localhost, and not for example.org") != NULL);
  CHECK(tide_tls_failed(&other) != NULL);
  CHECK(!tide_tls_is_agreed(&one));
  close_tls(&w);
}

static void a_stream_is_encrypted_once_and_while_nobody_is_inside(void) {
  world w;
  open_memory(&w, 10000);
  make_contexts(&w);
  actor *r = spawn(&w, "r", reader);
  turn(&w);
  CHECK_EQ(tide_tls_begin(&other, server, NULL, 0), TIDE_EBUSY);
  tide_task_cancel(&r->task);
  settle(&w);
  CHECK_EQ(tide_tls_begin(&one, client, "", 0), TIDE_EMISUSE);
  CHECK_EQ(tide_tls_begin(&one, client, "localhost", 0), TIDE_OK);
  CHECK_EQ(tide_tls_begin(&one, client, "localhost", 0), TIDE_EINVALID_STATE);
  CHECK_EQ(tide_tls_switch(&one, server), TIDE_EINVALID_STATE);
  tide_stream_close(&one);
  CHECK_EQ(tide_tls_begin(&one, client, "localhost", 0), TIDE_ECLOSED);
  close_tls(&w);
}

/* ---- everything at once */

static void stage_memory(world *w) {
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = pattern(i);
  one.transport = other.transport = NULL;
  if (tide_stream_memory_pair(&one, &other, w->loop, 3000) != TIDE_OK) return;
  tide_stream_set_marks(&one, 100, 200);
  make_contexts(w);
  begin();
}

static void stage_writer(world *w) {
  stage_memory(w);
  w->victim = spawn_writer(w, 5000);
  spawn(w, "r", reader);
}

static void stage_reader(world *w) {
  stage_memory(w);
  spawn_writer(w, 5000);
  w->victim = spawn(w, "r", reader);
}

static void stage_handshake(world *w) {
  stage_memory(w);
  w->victim = spawn(w, "c", shaker);
  w->victim->data = &one;
  spawn(w, "r", reader);
}

static void verify(world *w) {
  tide_stream_close(&one);
  settle(w);
  tide_stream_close(&other);
  settle(w);
  drop_contexts();
}

static void struck_at_any_wait_nothing_is_left_behind(void) {
  play_all_blows(&(scenario){.stage = stage_writer, .verify = verify});
  play_all_blows(&(scenario){.stage = stage_reader, .verify = verify});
  play_all_blows(&(scenario){.stage = stage_handshake, .verify = verify});
}

static void whichever_allocation_fails(void) {
  play_all_shortages(&(scenario){.stage = stage_writer, .verify = verify});
}

static void whichever_call_fails_and_a_byte_at_a_time(void) {
  static const tide_call calls[] = {TIDE_CALL_READ, TIDE_CALL_WRITE, TIDE_CALL_SHUTDOWN};
  for (int call = 0; call < 3; call++) {
    for (unsigned at = 1; at < 40; at++) {
      world w;
      tide_faults faults = {.call = calls[call], .at = at, .error = EIO, .one_byte = at % 2};
      open_tls(&w, 3000);
      tide_loop_set_faults(w.loop, &faults);
      spawn_writer(&w, 3000);
      spawn(&w, "r", reader);
      settle(&w);
      tide_loop_set_faults(w.loop, NULL);
      tide_stream_close(&one);
      settle(&w);
      close_tls(&w);
    }
  }
}

/* One that is closed while the other end takes nothing lingers beyond what else the loop has. */
static void the_loop_may_be_freed_while_it_lingers(void) {
  world w;
  open_tls(&w, 3000);
  spawn(&w, "c", shaker)->data = &one;
  spawn(&w, "s", shaker)->data = &other;
  settle(&w);
  spawn_writer(&w, 30000);
  turn(&w);
  tide_stream_close(&one);
  CHECK_EQ(tide_loop_lingering(w.loop), 1);
  tide_stream_close(&other);
  drop_contexts();
  turn(&w);
  world_close(&w);
}

int main(void) {
  world w;
  world_open(&w);
  make_contexts(&w);
  bool there = server != NULL && client != NULL;
  drop_contexts();
  world_close(&w);
  if (!there) return check_summary(); /* no OpenSSL */
  RUN(bytes_come_through);
  RUN(both_ends_tell_what_they_agreed_on);
  RUN(who_is_not_believed_is_told_why);
  RUN(a_stream_is_encrypted_once_and_while_nobody_is_inside);
  RUN(struck_at_any_wait_nothing_is_left_behind);
  RUN(whichever_allocation_fails);
  RUN(whichever_call_fails_and_a_byte_at_a_time);
  RUN(the_loop_may_be_freed_while_it_lingers);
  return check_summary();
}
