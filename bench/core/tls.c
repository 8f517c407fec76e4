/* Encrypted round trips, and handshakes, with both ends in one process, over a socket pair: CPU
 * time each. tls echo|handshake raw|tide [bytes] [count]: raw is OpenSSL on libev, whose sockets
 * have room for what is in flight; tide is two streams and a task for each. */
#define _GNU_SOURCE
#include <ev.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <tide.h>

#include "../../spec/certificate.h"
#include "../limits/measure.h"

enum { ROOM = 65536 };

static size_t size;  /* bytes of a message */
static long count;   /* how often */
static bool shaking; /* handshakes are counted */
static char message[ROOM], buffer[ROOM];

/* ---- OpenSSL on libev */

typedef struct end {
  ev_io io; /* first */
  SSL *ssl;
  size_t got; /* of the answer */
  bool client;
  bool agreed;
} end;

static SSL_CTX *contexts[2]; /* a server's and a client's */
static end ends[2];
static long done;
static ev_timer next; /* the next pair, once nobody is inside of this one */

static void load(SSL_CTX *server, SSL_CTX *client) {
  BIO *one = BIO_new_mem_buf(certificate, -1), *other = BIO_new_mem_buf(key, -1);
  X509 *x509 = PEM_read_bio_X509(one, NULL, NULL, NULL);
  EVP_PKEY *pkey = PEM_read_bio_PrivateKey(other, NULL, NULL, NULL);
  if (SSL_CTX_use_certificate(server, x509) != 1 || SSL_CTX_use_PrivateKey(server, pkey) != 1)
    fail("cannot use the certificate");
  X509_STORE_add_cert(SSL_CTX_get_cert_store(client), x509);
  X509_free(x509);
  EVP_PKEY_free(pkey);
  BIO_free(one);
  BIO_free(other);
}

static void make_contexts(void) {
  for (int i = 0; i < 2; i++) {
    contexts[i] = SSL_CTX_new(TLS_method());
    SSL_CTX_set_mode(contexts[i], SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(contexts[i], 1);
  }
  SSL_CTX_set_verify(contexts[1], SSL_VERIFY_PEER, NULL);
  load(contexts[0], contexts[1]);
}

static void open_ends(struct ev_loop *ev);

static void close_ends(struct ev_loop *ev) {
  for (int i = 0; i < 2; i++) {
    ev_io_stop(ev, &ends[i].io);
    SSL_shutdown(ends[i].ssl);
    SSL_free(ends[i].ssl);
    close(ends[i].io.fd);
  }
}

static void send_message(end *self, const char *bytes, size_t length) {
  if (SSL_write(self->ssl, bytes, (int)length) != (int)length) fail("cannot write");
}

/* Both have agreed: the next pair, or the first message. */
static void agreed(struct ev_loop *ev, end *self) {
  self->agreed = true;
  if (!shaking) {
    if (self->client) send_message(self, message, size);
    return;
  }
  if (ends[0].agreed && ends[1].agreed) ev_timer_start(ev, &next);
}

static void on_next(struct ev_loop *ev, ev_timer *timer, int events) {
  (void)timer, (void)events;
  close_ends(ev);
  if (++done == count)
    ev_break(ev, EVBREAK_ALL);
  else
    open_ends(ev);
}

/* The client has the whole answer. */
static void answered(struct ev_loop *ev, end *self) {
  self->got = 0;
  if (++done == count)
    ev_break(ev, EVBREAK_ALL);
  else
    send_message(self, message, size);
}

static void on_readable(struct ev_loop *ev, ev_io *io, int events) {
  end *self = (end *)io;
  (void)events;
  if (!self->agreed) {
    int result = SSL_do_handshake(self->ssl);
    if (result == 1)
      agreed(ev, self);
    else if (SSL_get_error(self->ssl, result) != SSL_ERROR_WANT_READ)
      fail("no handshake");
    if (result != 1 || shaking) return;
  }
  for (int got; (got = SSL_read(self->ssl, buffer, sizeof buffer)) > 0;) {
    if (!self->client) {
      send_message(self, buffer, (size_t)got);
    } else if ((self->got += (size_t)got) == size) {
      answered(ev, self);
    }
  }
}

static void open_ends(struct ev_loop *ev) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0) fail("pair");
  for (int i = 0; i < 2; i++) {
    ends[i] = (end){.ssl = SSL_new(contexts[i]), .client = i == 1};
    SSL_set_fd(ends[i].ssl, fds[i]);
    ev_io_init(&ends[i].io, on_readable, fds[i], EV_READ);
    ev_io_start(ev, &ends[i].io);
  }
  SSL_set_accept_state(ends[0].ssl);
  SSL_set_connect_state(ends[1].ssl);
  SSL_set_tlsext_host_name(ends[1].ssl, "localhost");
  if (!shaking) SSL_set1_host(ends[1].ssl, "localhost");
  SSL_do_handshake(ends[1].ssl);
}

static void run_raw(void) {
  struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
  ev_timer_init(&next, on_next, 0, 0);
  open_ends(ev);
  ev_run(ev, 0);
}

/* ---- tide */

typedef struct actor {
  tide_task task;
  tide_steps steps;
  tide_stream *stream;
  tide_slice slice;
  struct iovec part;
  long left;
} actor;

static tide_loop *loop;
static tide_tls_context *sides[2]; /* a server's and a client's */
static tide_stream streams[2];

static void serve(tide_task *task, int outcome) {
  actor *self = tide_container(task, actor, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (;;) {
    TIDE_TRY_CALL(tide_stream_read(self->stream, task, ROOM, &self->slice));
    self->part = (struct iovec){(char *)(uintptr_t)self->slice.data, self->slice.length};
    TIDE_TRY_CALL(tide_stream_write(self->stream, task, &self->part, 1));
  }
  TIDE_END;
}

static void ask(tide_task *task, int outcome) {
  actor *self = tide_container(task, actor, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (; self->left > 0; self->left--) {
    self->part = (struct iovec){message, size};
    TIDE_TRY_CALL(tide_stream_write(self->stream, task, &self->part, 1));
    TIDE_TRY_CALL(tide_stream_read_exactly(self->stream, task, size, &self->slice));
  }
  TIDE_END;
}

static void shake(tide_task *task, int outcome) {
  actor *self = tide_container(task, actor, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  TIDE_TRY_CALL(tide_tls_handshake(self->stream, task));
  TIDE_END;
}

static const tide_task_ops serve_ops = {.name = "server", .step = serve};
static const tide_task_ops ask_ops = {.name = "client", .step = ask};
static const tide_task_ops shake_ops = {.name = "handshake", .step = shake};

static void open_streams(void) {
  if (tide_stream_pair(&streams[0], &streams[1], loop) != TIDE_OK ||
      tide_tls_begin(&streams[0], sides[0], NULL, 0) != TIDE_OK ||
      tide_tls_begin(&streams[1], sides[1], shaking ? NULL : "localhost", 0) != TIDE_OK)
    fail("cannot open the streams");
}

static void spawn(actor *self, int side, const tide_task_ops *ops) {
  *self = (actor){.stream = &streams[side], .left = count};
  tide_task_init(&self->task, loop, ops);
  tide_task_spawn(&self->task, tide_loop_background(loop));
}

static void finish(actor *self) {
  if (tide_loop_run(loop, &self->task.future) != TIDE_OK ||
      tide_future_error(&self->task.future) != TIDE_OK)
    fail("the task failed");
}

static void run_tide(void) {
  static actor actors[2];
  if (!shaking) {
    open_streams();
    spawn(&actors[0], 0, &serve_ops);
    spawn(&actors[1], 1, &ask_ops);
    finish(&actors[1]);
    return;
  }
  for (long i = 0; i < count; i++) {
    open_streams();
    spawn(&actors[0], 0, &shake_ops);
    spawn(&actors[1], 1, &shake_ops);
    finish(&actors[1]);
    finish(&actors[0]);
    tide_stream_close(&streams[0]);
    tide_stream_close(&streams[1]);
  }
}

static void make_sides(void) {
  tide_tls_failure failure;
  tide_tls_options options = {.server = true, .cert = certificate, .key = key};
  loop = tide_loop_new(NULL);
  if (loop == NULL || tide_tls_context_new(&sides[0], loop, &options, &failure) != TIDE_OK)
    fail("no context");
  options = (tide_tls_options){.ca = certificate};
  if (tide_tls_context_new(&sides[1], loop, &options, &failure) != TIDE_OK) fail("no context");
}

int main(int argc, char **argv) {
  shaking = argc > 1 && strcmp(argv[1], "handshake") == 0;
  bool raw = argc > 2 && strcmp(argv[2], "raw") == 0;
  size = (size_t)argument(argc, argv, 3, 64);
  count = argument(argc, argv, 4, 100000);
  if (size > ROOM) fail("a message is too long");
  signal(SIGPIPE, SIG_IGN); /* the second end tells its end to nobody */
  if (raw)
    make_contexts();
  else
    make_sides();
  double began = cpu_ns();
  if (raw)
    run_raw();
  else
    run_tide();
  printf("ns %.1f\n", (cpu_ns() - began) / (double)count);
  return 0;
}
