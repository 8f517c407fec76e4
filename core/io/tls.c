/* tls.c: TLS as a transport over another one.
 *
 * OpenSSL reads and writes below by a BIO of ours, which never waits: where below is nothing, or no
 * room, OpenSSL says what it wants, and the stream's wait is for that, whichever of the two it is:
 * a read may have to write first, and a write to read.
 *
 * What it has begun to send it must be given again: how much that is, is kept, for the stream may
 * have put the same bytes elsewhere, or more behind them. */
#include "tls.h"

#include <errno.h>
#include <string.h>

#include "descriptor.h"
#include "halves.h"
#include "private.h"
#include "tls_context.h"

enum { READER, WRITER, SIDES };
enum { RECORD = 16 * 1024 }; /* bytes of a record at most (RFC 8446, 5.1) */

typedef struct tls {
  tide_transport transport; /* first */
  tide_transport *below;    /* owned */
  tide_descriptor own;      /* that, where it is a descriptor */
  tide_tls_context *context;
  SSL *ssl;
  char *peer;                /* "port host" of who is wanted, from malloc; NULL: anybody */
  const char *host;          /* in that */
  uint8_t needs[SIDES];      /* what the last call of a side wants: TIDE_READABLE or _WRITABLE */
  tide_wait *places[SIDES];  /* the stream's waits, to read and to write */
  tide_wait waits[SIDES];    /* this one's, below: until it is readable, and writable */
  uint8_t pending[SIDES];    /* whether those are: the events that were asked for, or 0 */
  tide_defer retry[SIDES];   /* a side tries again, though below has said nothing */
  size_t begun;              /* bytes that it has begun to send, and is to be given again */
  int error;                 /* of below, which OpenSSL only knows as a failure; or TIDE_OK */
  int over;                  /* why nothing more can be read, or TIDE_OK */
  char *wanted;              /* whom the client wants to talk to, from malloc; NULL: not known */
  bool asks;                 /* a server: the handshake stops where that is known */
  bool told;                 /* below has said that it can be read, and was not */
  bool moved;                /* the call at hand has read something below */
  bool dry;                  /* the last read has taken all that was below */
  bool failed;               /* OpenSSL has given up */
  bool withdrawn;            /* the stream is closed */
  bool ending;               /* the end is to be told, and below has no room for it yet */
  bool ending_both;          /* the same: and nothing will be read */
  bool ended;                /* it was told */
  tide_tls_failure *failure; /* why it has failed; NULL: it has not, or memory was short */
} tls;

static tls *tls_of(const tide_transport *transport) {
  return tide_container(transport, tls, transport);
}

static const tide__openssl *lib(const tls *self) { return self->context->openssl; }

/* ---- below: what OpenSSL reads and writes by
 *
 * A BIO is opaque, and what it belongs to could be had from the library alone, for which there is
 * no room in these calls: so who calls OpenSSL says so to them, in this thread, for that long. */

static _Thread_local tls *calling;

static tls *enter(tls *self) {
  tls *outer = calling; /* one that this one is below of */
  calling = self;
  self->error = TIDE_OK;
  self->moved = false;
  lib(self)->ERR_clear_error();
  return outer;
}

static void leave(tls *outer) { calling = outer; }

/* Whether a read below would find nothing, as far as that is known. While it is waited for what was
 * read last says nothing of what comes. */
static bool is_below_drained(const tls *self) {
  return !self->told && self->pending[READER] == 0 && self->below->ops->drained != NULL &&
         self->below->ops->drained(self->below);
}

/* A call has moved nothing: OpenSSL is told to call again, or that it failed. */
static int moved_nothing(tls *self, BIO *bio, int result, int retry) {
  if (result == TIDE_PENDING)
    lib(self)->BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
  else
    self->error = result;
  return result == TIDE_EEOF ? 0 : -1;
}

static int bio_read(BIO *bio, char *buffer, int size) {
  tls *self = calling;
  size_t got = 0;
  lib(self)->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  if (size <= 0) return 0;
  int result = is_below_drained(self)
                   ? TIDE_PENDING
                   : tide__transport_read(self->below, buffer, (size_t)size, &got);
  self->told = false;
  if (result == TIDE_OK) {
    self->dry = false;
    self->moved = true;
  }
  return result == TIDE_OK ? (int)got : moved_nothing(self, bio, result, BIO_FLAGS_READ);
}

static int bio_write(BIO *bio, const char *bytes, int size) {
  tls *self = calling;
  size_t sent = 0;
  struct iovec part = {(char *)(uintptr_t)bytes, (size_t)size};
  lib(self)->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  if (size <= 0) return 0;
  int result = tide__transport_write(self->below, &part, 1, part.iov_len, &sent);
  return result == TIDE_OK ? (int)sent : moved_nothing(self, bio, result, BIO_FLAGS_WRITE);
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  if (command == BIO_CTRL_EOF) return calling->error == TIDE_EEOF;
  return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tide__tls_method(const tide__openssl *o) {
  BIO_METHOD *method = o->BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tide");
  if (method == NULL) return NULL;
  if (o->BIO_meth_set_read(method, bio_read) == 1 &&
      o->BIO_meth_set_write(method, bio_write) == 1 && o->BIO_meth_set_ctrl(method, bio_ctrl) == 1)
    return method;
  o->BIO_meth_free(method);
  return NULL;
}

/* ---- what OpenSSL answers */

/* A place for why it has failed: what was there first stays. NULL: memory is short. */
static tide_tls_failure *place_for_failure(tls *self) {
  if (self->failure != NULL && *self->failure->reason != '\0') return NULL;
  if (self->failure == NULL)
    self->failure = tide_alloc(&lib(self)->loop->allocator, sizeof *self->failure);
  return self->failure;
}

/* Of a certificate that is not believed, before OpenSSL fails for it (SSL_CTX_set_verify(3ssl)). */
int tide__tls_verify(int fine, X509_STORE_CTX *chain) {
  tls *self = calling;
  const tide__openssl *o = lib(self);
  tide_tls_failure *failure = fine ? NULL : place_for_failure(self);
  if (failure != NULL)
    tide__tls_failure_of_certificate(o, o->X509_STORE_CTX_get_error(chain),
                                     o->X509_STORE_CTX_get_current_cert(chain), self->host,
                                     failure);
  return fine;
}

/* The first name of the extension server_name (RFC 6066, 3), as it came, or nothing. */
static size_t name_in(const unsigned char *bytes, size_t size, char *name) {
  enum { HEAD = 5 }; /* of a list: its length, a name's type and length */
  size_t length = size > HEAD ? (size_t)bytes[3] << 8 | bytes[4] : 0;
  bool whole = length > 0 && length <= size - HEAD && length < 256 && bytes[2] == 0;
  if (!whole || memchr(bytes + HEAD, '\0', length) != NULL) return 0;
  memcpy(name, bytes + HEAD, length);
  return length;
}

/* The client has said who it wants (SSL_CTX_set_client_hello_cb(3ssl)): who asked for that is told,
 * and the handshake goes on when this is called again. */
int tide__tls_hello(SSL *ssl, int *alert, void *context) {
  tls *self = calling;
  const unsigned char *bytes = NULL;
  size_t size = 0, length = 0;
  (void)context;
  if (!self->asks || self->wanted != NULL) return SSL_CLIENT_HELLO_SUCCESS;
  *alert = SSL_AD_INTERNAL_ERROR;
  self->wanted = malloc(256);
  if (self->wanted == NULL) return SSL_CLIENT_HELLO_ERROR;
  if (lib(self)->SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) == 1)
    length = name_in(bytes, size, self->wanted);
  self->wanted[length] = '\0';
  return SSL_CLIENT_HELLO_RETRY;
}

static int fail(tls *self) {
  tide_tls_failure *failure = place_for_failure(self);
  self->failed = true;
  if (failure != NULL) tide__tls_failure_of_queue(lib(self), failure);
  lib(self)->ERR_clear_error();
  return TIDE_ETLS;
}

/* What a call of that side has come to, which returned `result`, not above 0. */
static int answer(tls *self, int side, int result) {
  switch (lib(self)->SSL_get_error(self->ssl, result)) {
  case SSL_ERROR_WANT_READ:
    self->needs[side] = TIDE_READABLE;
    return TIDE_PENDING;
  case SSL_ERROR_WANT_WRITE:
    self->needs[side] = TIDE_WRITABLE;
    return TIDE_PENDING;
  case SSL_ERROR_WANT_CLIENT_HELLO_CB:
    return TIDE_OK; /* who asks is told */
  case SSL_ERROR_ZERO_RETURN:
    return TIDE_EEOF;
  default:
    if (self->error == TIDE_OK || self->error == TIDE_EEOF) return fail(self);
    self->failed = true;
    return self->error;
  }
}

/* ---- reading and writing */

/* One side's call has read what the other side waits for: the end of the handshake, or bytes behind
 * it. That one tries again at the end of the turn, and not from inside of this call. */
static void let_retry(tls *self, int side) {
  if (!self->moved || self->places[side] == NULL || self->needs[side] != TIDE_READABLE) return;
  tide_defer_start(&self->retry[side], lib(self)->loop);
}

/* Whether what below has accepted arrives, whatever comes in. */
static bool is_safe(const tls *self) {
  return self->below->ops->farewell(self->below) == TIDE_FAREWELL_NONE;
}

static int tls_read(tide_transport *transport, void *buffer, size_t size, size_t *got) {
  tls *self = tls_of(transport);
  const tide__openssl *o = lib(self);
  if (self->ending && self->withdrawn) { /* that comes first */
    self->needs[READER] = TIDE_WRITABLE;
    return TIDE_PENDING;
  }
  self->needs[READER] = TIDE_READABLE;
  if (self->withdrawn && self->ended && is_safe(self)) return TIDE_EEOF; /* nobody needs it */
  bool raw = self->withdrawn && (self->failed || o->SSL_is_init_finished(self->ssl));
  if (raw) return tide__transport_read(self->below, buffer, size, got); /* to be dropped */
  if (self->over != TIDE_OK) return self->over;
  size_t total = 0;
  int result = TIDE_OK;
  tls *outer = enter(self);
  while (total < size && result == TIDE_OK) {
    size_t count = 0;
    int done = o->SSL_read_ex(self->ssl, (char *)buffer + total, size - total, &count);
    total += count;
    if (done != 1)
      result = answer(self, READER, done);
    else if (is_below_drained(self) && o->SSL_has_pending(self->ssl) == 0)
      result = TIDE_PENDING;
  }
  leave(outer);
  self->dry = result == TIDE_PENDING && self->needs[READER] == TIDE_READABLE;
  if (result != TIDE_OK && result != TIDE_PENDING) self->over = result;
  let_retry(self, WRITER);
  *got = total;
  return total > 0 ? TIDE_OK : result;
}

static bool tls_drained(const tide_transport *transport) {
  const tls *self = tls_of(transport);
  return self->dry && is_below_drained(self);
}

/* The next piece of the parts, behind the first `at` bytes: of one of them, or some small ones in
 * `room`, RECORD bytes. */
static struct iovec next_piece(const struct iovec *parts, size_t count, size_t at, char *room) {
  for (; at >= parts->iov_len; parts++, count--) at -= parts->iov_len;
  char *from = (char *)parts->iov_base + at;
  size_t size = parts->iov_len - at;
  if (count == 1 || size >= RECORD) return (struct iovec){from, size};
  memcpy(room, from, size);
  for (parts++, count--; count > 0 && size < RECORD; parts++, count--) {
    size_t more = parts->iov_len < RECORD - size ? parts->iov_len : RECORD - size;
    if (more > 0) memcpy(room + size, parts->iov_base, more);
    size += more;
  }
  return (struct iovec){room, size};
}

/* The other end's last word, where it has closed the connection with one: in TLS 1.3 it may refuse
 * a certificate after this end's handshake. */
static int look_for_alert(tls *self, int error) {
  size_t count = 0;
  char byte;
  if (error != TIDE_OS(EPIPE) && error != TIDE_OS(ECONNRESET)) return error;
  self->error = TIDE_OK;
  int done = lib(self)->SSL_peek_ex(self->ssl, &byte, 1, &count);
  int result = done == 1 ? TIDE_OK : answer(self, READER, done);
  return result == TIDE_ETLS ? result : error;
}

static int tls_write(tide_transport *transport, const struct iovec *parts, size_t count,
                     size_t *sent) {
  tls *self = tls_of(transport);
  size_t total = 0, taken = 0;
  char room[RECORD];
  int result = TIDE_OK;
  for (size_t i = 0; i < count; i++) total += parts[i].iov_len;
  if (self->failed) return self->over != TIDE_OK ? self->over : TIDE_ETLS;
  tls *outer = enter(self);
  while (*sent < total && result == TIDE_OK) {
    struct iovec piece = next_piece(parts, count, *sent, room);
    size_t size = self->begun > 0 ? self->begun : piece.iov_len < RECORD ? piece.iov_len : RECORD;
    int done = lib(self)->SSL_write_ex(self->ssl, piece.iov_base, size, &taken);
    self->begun = 0;
    if (done == 1) {
      *sent += taken;
      continue;
    }
    result = answer(self, WRITER, done);
    if (result == TIDE_PENDING) self->begun = size;
    if (result != TIDE_PENDING) result = look_for_alert(self, result);
  }
  leave(outer);
  let_retry(self, READER);
  if (result == TIDE_PENDING && *sent > 0) return TIDE_OK;
  return result;
}

/* ---- waiting */

static void tell_end(tls *self);

/* Below can do something. Who is told may close all this: so that comes last. */
static void came(tide_wait *wait, int outcome) {
  tls *self = wait->source;
  int event = wait == &self->waits[READER] ? READER : WRITER;
  tide_wait *woken[SIDES] = {NULL, NULL};
  self->pending[event] = 0;
  if (event == READER) self->told = true;
  if (event == WRITER && self->ending) tell_end(self);
  for (int side = 0; side < SIDES; side++) {
    if (self->needs[side] != (event == READER ? TIDE_READABLE : TIDE_WRITABLE)) continue;
    woken[side] = self->places[side];
    self->places[side] = NULL;
  }
  for (int side = 0; side < SIDES; side++) tide_transport_wake(&woken[side], outcome);
}

static void leave_below(tide_wait *wait) {
  tls *self = wait->source;
  self->pending[wait == &self->waits[READER] ? READER : WRITER] = 0;
  self->below->ops->leave(self->below, wait);
}

static void retry_reader(tide_defer *defer) {
  tls *self = tide_container(defer, tls, retry[READER]);
  tide_transport_wake(&self->places[READER], TIDE_OK);
}

static void retry_writer(tide_defer *defer) {
  tls *self = tide_container(defer, tls, retry[WRITER]);
  tide_transport_wake(&self->places[WRITER], TIDE_OK);
}

static const tide_wait_ops below_ops = {.name = "TLS", .abandon = leave_below, .ended = came};

static int wait_below(tls *self, int events) {
  int which = events & TIDE_READABLE ? READER : WRITER;
  if (self->pending[which] == events) return TIDE_OK;
  if (self->pending[which] != 0) {
    if (events & TIDE_UNAWAITED) return TIDE_OK; /* it is awaited already */
    leave_below(&self->waits[which]);
  }
  self->waits[which] = (tide_wait){.ops = &below_ops, .source = self};
  int error = self->below->ops->wait(self->below, &self->waits[which], events);
  if (error == TIDE_OK) self->pending[which] = (uint8_t)events;
  return error;
}

static int tls_wait(tide_transport *transport, tide_wait *wait, int events) {
  tls *self = tls_of(transport);
  int side = events & TIDE_READABLE ? READER : WRITER;
  if (self->places[side] != NULL) return TIDE_EBUSY;
  int error = wait_below(self, self->needs[side] | (events & TIDE_UNAWAITED));
  if (error != TIDE_OK) return error;
  self->places[side] = wait;
  return TIDE_OK;
}

static bool tls_waited(const tide_transport *transport, int events) {
  return tls_of(transport)->places[events & TIDE_READABLE ? READER : WRITER] != NULL;
}

/* Below is waited for only as long as somebody does so here. */
static void tls_leave(tide_transport *transport, tide_wait *wait) {
  tls *self = tls_of(transport);
  for (int side = 0; side < SIDES; side++) {
    if (self->places[side] != wait) continue;
    int other = 1 - side, which = self->needs[side] == TIDE_READABLE ? READER : WRITER;
    bool shared = self->places[other] != NULL && self->needs[other] == self->needs[side];
    self->places[side] = NULL;
    if (!shared && self->pending[which] != 0 && !(which == WRITER && self->ending))
      leave_below(&self->waits[which]);
  }
}

/* ---- the end */

/* Tells the end, as far as below takes it: it goes on by itself then. */
static void tell_end(tls *self) {
  const tide__openssl *o = lib(self);
  int result = TIDE_OK;
  if (!self->failed && o->SSL_is_init_finished(self->ssl)) {
    tls *outer = enter(self);
    int done = o->SSL_shutdown(self->ssl);
    uint8_t needs = self->needs[WRITER];
    if (done < 0) result = answer(self, WRITER, done);
    self->needs[WRITER] = needs;
    leave(outer);
  }
  self->ending =
      result == TIDE_PENDING && wait_below(self, TIDE_WRITABLE | TIDE_UNAWAITED) == TIDE_OK;
  self->ended = true;
  if (!self->ending) self->below->ops->end(self->below, self->ending_both);
}

static int tls_end(tide_transport *transport, bool both) {
  tls *self = tls_of(transport);
  self->ending_both = both;
  if (!self->ended) tell_end(self);
  return self->failed && self->error != TIDE_OK ? self->error : TIDE_OK;
}

/* As below, which is never done at once: this end's may have to wait for room. */
static tide_farewell tls_farewell(const tide_transport *transport) {
  const tls *self = tls_of(transport);
  return is_safe(self) ? TIDE_FAREWELL_LINGER : self->below->ops->farewell(self->below);
}

static size_t tls_untaken(const tide_transport *transport) {
  const tls *self = tls_of(transport);
  return self->below->ops->untaken(self->below) + (self->ending ? 1 : 0);
}

static void tls_withdraw(tide_transport *transport) {
  tls *self = tls_of(transport);
  self->withdrawn = true;
  tide_transport_wake(&self->places[READER], TIDE_ECLOSED);
  tide_transport_wake(&self->places[WRITER], TIDE_ECLOSED);
}

static void tls_free(tls *self) {
  const tide_allocator *a = &lib(self)->loop->allocator;
  tide_tls_context *context = self->context;
  if (self->ssl != NULL) lib(self)->SSL_free(self->ssl);
  if (self->failure != NULL) tide_free(a, self->failure, sizeof *self->failure);
  free(self->peer);
  free(self->wanted);
  tide_free(a, self, sizeof *self);
  tide_tls_context_unref(context);
}

static void tls_close(tide_transport *transport, bool reset) {
  tls *self = tls_of(transport);
  if (!reset && !self->ended) tell_end(self);
  for (int which = 0; which < SIDES; which++)
    if (self->pending[which] != 0) leave_below(&self->waits[which]);
  tide_defer_cancel(&self->retry[READER]);
  tide_defer_cancel(&self->retry[WRITER]);
  self->below->ops->close(self->below, reset);
  tls_free(self);
}

static const tide_descriptor *tls_descriptor(const tide_transport *transport) {
  const tls *self = tls_of(transport);
  return tide__transport_descriptor(self->below);
}

static const tide_transport_ops tls_ops = {
    .name = "TLS",
    .read = tls_read,
    .drained = tls_drained,
    .write = tls_write,
    .short_is_pending = true,
    .insists = true,
    .tells = true,
    .wait = tls_wait,
    .waited = tls_waited,
    .leave = tls_leave,
    .end = tls_end,
    .farewell = tls_farewell,
    .untaken = tls_untaken,
    .withdraw = tls_withdraw,
    .close = tls_close,
    .descriptor = tls_descriptor,
};

/* ---- beginning */

static tls *find(const tide_stream *stream) {
  const tide_transport *transport = stream->transport;
  return transport != NULL && transport->ops == &tls_ops ? tls_of(transport) : NULL;
}

/* A session has come, to be resumed by a later connection: 1, where it is kept
 * (SSL_CTX_sess_set_new_cb(3ssl)). */
int tide__tls_session(SSL *ssl, SSL_SESSION *session) {
  tls *self = calling;
  (void)ssl;
  return self->peer != NULL && tide__session_keep(self->context, self->peer, session);
}

static bool is_address(const char *host) {
  tide_address address;
  return tide__address_read(&address, host, 0);
}

/* Who is wanted: the name is sent (RFC 6066), but not an address, and looked for in the
 * certificate.
 */
static int want(tls *self, const char *host, uint16_t port) {
  const tide__openssl *o = lib(self);
  size_t length = strlen(host), size = length + sizeof "65535 ";
  if (length > 0 && host[length - 1] == '.') length--;
  if (length == 0 || length > 255) return TIDE_EMISUSE;
  self->peer = malloc(size);
  if (self->peer == NULL) return TIDE_ENOMEM;
  int at = snprintf(self->peer, size, "%u ", port);
  memcpy(self->peer + at, host, length);
  self->peer[(size_t)at + length] = '\0';
  self->host = self->peer + at;
  if (is_address(self->host))
    return o->X509_VERIFY_PARAM_set1_ip_asc(o->SSL_get0_param(self->ssl), self->host) == 1
               ? TIDE_OK
               : TIDE_EMISUSE;
  o->SSL_set_hostflags(self->ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  void *name = self->peer + at;
  bool set =
      o->SSL_set1_host(self->ssl, self->host) == 1 &&
      o->SSL_ctrl(self->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) == 1;
  return set ? TIDE_OK : TIDE_EMISUSE;
}

static void resume(tls *self) {
  SSL_SESSION *session = tide__session_take(self->context, self->peer);
  if (session == NULL) return;
  lib(self)->SSL_set_session(self->ssl, session);
  lib(self)->SSL_SESSION_free(session);
}

static int prepare(tls *self, const char *host, uint16_t port) {
  const tide__openssl *o = lib(self);
  self->ssl = o->SSL_new(self->context->ssl);
  BIO *bio = self->ssl != NULL ? o->BIO_new(o->through) : NULL;
  if (bio == NULL) return TIDE_ENOMEM;
  o->BIO_set_init(bio, 1);
  o->BIO_up_ref(bio); /* one for each direction */
  o->SSL_set0_rbio(self->ssl, bio);
  o->SSL_set0_wbio(self->ssl, bio);
  if (self->context->server) {
    o->SSL_set_accept_state(self->ssl);
    return TIDE_OK;
  }
  o->SSL_set_connect_state(self->ssl);
  int error = host != NULL ? want(self, host, port) : TIDE_OK;
  if (error == TIDE_OK && host != NULL) resume(self);
  return error;
}

static int may_begin(const tide_stream *stream) {
  if (tide_stream_closed(stream)) return TIDE_ECLOSED;
  if (stream->reader != NULL || stream->writer != NULL ||
      stream->transport->ops->waited(stream->transport, TIDE_READABLE))
    return TIDE_EBUSY;
  if (find(stream) != NULL || stream->output != NULL || stream->write_closed)
    return TIDE_EINVALID_STATE;
  if (stream->read_error != TIDE_OK) return stream->read_error;
  if (stream->write_error != TIDE_OK) return stream->write_error;
  return tide_stream_buffered(stream) > 0 ? TIDE_ETLS : TIDE_OK;
}

int tide_tls_begin(tide_stream *stream, tide_tls_context *context, const char *host,
                   uint16_t port) {
  int error = may_begin(stream);
  if (error != TIDE_OK) return error;
  tide_loop *loop = tide__loop_of(stream);
  tls *self = tide_alloc(&loop->allocator, sizeof *self);
  if (self == NULL) return TIDE_ENOMEM;
  *self = (tls){
      .transport.ops = &tls_ops,
      .context = tide_tls_context_ref(context),
      .needs = {TIDE_READABLE, TIDE_WRITABLE},
  };
  tide_defer_init(&self->retry[READER], retry_reader);
  tide_defer_init(&self->retry[WRITER], retry_writer);
  error = prepare(self, host, port);
  lib(self)->ERR_clear_error();
  if (error != TIDE_OK) {
    tls_free(self);
    return error;
  }
  self->below = tide__transport_move(stream->transport, &self->own);
  if (stream->transport == &stream->own.transport) tide__descriptor_init(&stream->own, loop, -1);
  stream->transport = &self->transport;
  return TIDE_OK;
}

static int agree(tls *self) {
  tls *outer = enter(self);
  int done = lib(self)->SSL_do_handshake(self->ssl);
  int result = done == 1 ? TIDE_OK : answer(self, READER, done);
  leave(outer);
  if (result != TIDE_OK && result != TIDE_PENDING) self->over = result;
  let_retry(self, WRITER);
  return result;
}

/* Gets on with the handshake, as a call that reads. */
static int go_on(tide_stream *stream, tide_task *task, tls *self) {
  int result = self->over != TIDE_OK ? self->over : agree(self);
  if (result == TIDE_PENDING) result = tide__read_park(stream, task);
  if (result != TIDE_OK && result != TIDE_PENDING)
    stream->read_error = stream->write_error = result;
  return tide__read_finish(stream, task, result);
}

int tide_tls_handshake(tide_stream *stream, tide_task *task) {
  int result = tide__read_enter(stream, task);
  if (result != TIDE_OK) return result;
  tls *self = find(stream);
  if (self == NULL) return tide__read_finish(stream, task, TIDE_EINVALID_STATE);
  self->asks = false;
  return go_on(stream, task, self);
}

int tide_tls_hello(tide_stream *stream, tide_task *task, char name[256]) {
  int result = tide__read_enter(stream, task);
  if (result != TIDE_OK) return result;
  tls *self = find(stream);
  bool asked = self == NULL || !self->context->server || self->wanted != NULL ||
               lib(self)->SSL_is_init_finished(self->ssl);
  if (asked) return tide__read_finish(stream, task, TIDE_EINVALID_STATE);
  self->asks = true;
  result = go_on(stream, task, self);
  if (result == TIDE_OK) snprintf(name, 256, "%s", self->wanted != NULL ? self->wanted : "");
  return result;
}

int tide_tls_switch(tide_stream *stream, tide_tls_context *context) {
  tls *self = find(stream);
  bool can = self != NULL && self->wanted != NULL && context->server && !self->failed &&
             !lib(self)->SSL_is_init_finished(self->ssl);
  if (!can) return TIDE_EINVALID_STATE;
  const tide__openssl *o = lib(self);
  if (o->SSL_set_SSL_CTX(self->ssl, context->ssl) == NULL) return TIDE_ENOMEM;
  o->SSL_set_verify(self->ssl, context->verify, tide__tls_verify);
  tide_tls_context *before = self->context;
  self->context = tide_tls_context_ref(context);
  tide_tls_context_unref(before);
  return TIDE_OK;
}

/* ---- what is known of it */

bool tide_tls_is(const tide_stream *stream) { return find(stream) != NULL; }

bool tide_tls_is_agreed(const tide_stream *stream) {
  const tls *self = find(stream);
  return self != NULL && !self->failed && lib(self)->SSL_is_init_finished(self->ssl);
}

const tide_tls_failure *tide_tls_failed(const tide_stream *stream) {
  const tls *self = find(stream);
  return self != NULL && self->failed ? self->failure : NULL;
}

static int look_at(const tide_stream *stream, const tls **self) {
  if (tide_stream_closed(stream)) return TIDE_ECLOSED;
  *self = find(stream);
  return tide_tls_is_agreed(stream) ? TIDE_OK : TIDE_EINVALID_STATE;
}

int tide_tls_tell(const tide_stream *stream, tide_tls_info *info) {
  const tls *self;
  const unsigned char *alpn = NULL;
  unsigned length = 0;
  int error = look_at(stream, &self);
  if (error != TIDE_OK) return error;
  const tide__openssl *o = lib(self);
  *info = (tide_tls_info){
      .version = o->SSL_get_version(self->ssl),
      .cipher = o->SSL_CIPHER_get_name(o->SSL_get_current_cipher(self->ssl)),
      .resumed = o->SSL_session_reused(self->ssl) == 1,
      .has_peer = o->SSL_get0_peer_certificate(self->ssl) != NULL,
  };
  const char *name = o->SSL_get_servername(self->ssl, TLSEXT_NAMETYPE_host_name);
  if (name != NULL) snprintf(info->server_name, sizeof info->server_name, "%s", name);
  o->SSL_get0_alpn_selected(self->ssl, &alpn, &length);
  if (alpn != NULL) memcpy(info->alpn, alpn, length);
  return TIDE_OK;
}

int tide_tls_peer_new(const tide_stream *stream, tide_tls_peer **peer) {
  const tls *self;
  int error = look_at(stream, &self);
  if (error != TIDE_OK) return error;
  X509 *certificate = lib(self)->SSL_get0_peer_certificate(self->ssl);
  return certificate != NULL ? tide__tls_peer_of(lib(self), certificate, peer) : TIDE_EEOF;
}
