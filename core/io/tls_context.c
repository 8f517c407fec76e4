/* tls_context.c: options, and what they name, as OpenSSL wants it. */
#include "tls_context.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "sys.h"

/* As Mozilla's "intermediate" configuration, version 5.7; the suites of TLS 1.3 are OpenSSL's own,
 * which are the same. */
static const char ciphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305";

enum { FILE_MOST = 16 * 1024 * 1024 }; /* bytes of a file of certificates */

/* ---- files, or text in place of them */

typedef struct text {
  char *bytes; /* owned, where `size` is not 0 */
  size_t size;
  BIO *bio; /* reads them */
} text;

static bool is_text(const char *named) { return strstr(named, "-----BEGIN") != NULL; }

static int read_all(const tide_loop *loop, int fd, char *bytes, size_t size) {
  for (size_t at = 0; at < size;) {
    ssize_t got = tide__sys_read(loop, fd, bytes + at, size - at);
    if (got < 0) return TIDE_OS((int)-got);
    if (got == 0) return TIDE_OS(EIO); /* it has become shorter meanwhile */
    at += (size_t)got;
  }
  return TIDE_OK;
}

static int load_file(const tide_loop *loop, const char *path, text *file) {
  struct stat status;
  int error = tide__sys_stat(loop, path, &status);
  if (error < 0) return TIDE_OS(-error);
  if (!S_ISREG(status.st_mode)) return TIDE_OS(S_ISDIR(status.st_mode) ? EISDIR : EINVAL);
  if (status.st_size > FILE_MOST) return TIDE_OS(EFBIG);
  int fd = tide__sys_open(loop, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
  if (fd < 0) return TIDE_OS(-fd);
  size_t size = (size_t)status.st_size;
  file->bytes = tide_alloc(&loop->allocator, size + 1);
  if (file->bytes != NULL) file->size = size + 1;
  error = file->bytes != NULL ? read_all(loop, fd, file->bytes, size) : TIDE_ENOMEM;
  tide__sys_close(fd);
  return error;
}

/* Nothing of a key is left in memory that is somebody else's afterwards. */
static void text_close(const tide__openssl *o, text *file) {
  if (file->bio != NULL) o->BIO_free(file->bio);
  if (file->size == 0) return;
  explicit_bzero(file->bytes, file->size);
  tide_free(&o->loop->allocator, file->bytes, file->size);
}

/* To be closed in any case. */
static int text_open(const tide__openssl *o, const char *named, text *file,
                     tide_tls_failure *failure) {
  const char *bytes = named;
  size_t size = strlen(named);
  *file = (text){0};
  if (!is_text(named)) {
    snprintf(failure->text, sizeof failure->text, "%s", named);
    int error = load_file(o->loop, named, file);
    if (error != TIDE_OK) return error;
    bytes = file->bytes;
    size = file->size - 1;
  }
  file->bio = o->BIO_new_mem_buf(bytes, (int)size);
  return file->bio != NULL ? TIDE_OK : TIDE_ENOMEM;
}

/* ---- what is in them */

static int told(const tide__openssl *o, tide_tls_failure *failure, const char *what,
                const char *named) {
  tide__tls_failure_of_queue(o, failure);
  char why[sizeof failure->text];
  snprintf(why, sizeof why, "%s", failure->text);
  snprintf(failure->text, sizeof failure->text, "%s%s%.120s: %.80s", what,
           is_text(named) ? "" : " in ", is_text(named) ? "" : named, why);
  return TIDE_ETLS;
}

/* Calls `take` with each certificate. TIDE_ETLS where there is none, or one that cannot be read. */
static int each_certificate(tide_tls_context *self, const char *named, tide_tls_failure *failure,
                            bool (*take)(tide_tls_context *self, X509 *certificate, int number)) {
  const tide__openssl *o = self->openssl;
  text file;
  int count = 0, error = text_open(o, named, &file, failure);
  while (error == TIDE_OK) {
    X509 *certificate = o->PEM_read_bio_X509(file.bio, NULL, NULL, NULL);
    if (certificate == NULL) break;
    if (!take(self, certificate, count++)) error = TIDE_ETLS;
    o->X509_free(certificate);
  }
  if (error == TIDE_ETLS) error = told(o, failure, "a certificate", named);
  bool at_end = ERR_GET_REASON(o->ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (error == TIDE_OK && (count == 0 || !at_end))
    error = told(o, failure, "no certificate", named);
  o->ERR_clear_error();
  text_close(o, &file);
  return error;
}

static bool take_trusted(tide_tls_context *self, X509 *certificate, int number) {
  const tide__openssl *o = self->openssl;
  (void)number;
  if (self->server && !o->SSL_CTX_add_client_CA(self->ssl, certificate)) return false;
  return o->X509_STORE_add_cert(o->SSL_CTX_get_cert_store(self->ssl), certificate) == 1;
}

/* The first is the server's or client's own, the others lead from it to a root. */
static bool take_own(tide_tls_context *self, X509 *certificate, int number) {
  const tide__openssl *o = self->openssl;
  if (number == 0) return o->SSL_CTX_use_certificate(self->ssl, certificate) == 1;
  return o->SSL_CTX_ctrl(self->ssl, SSL_CTRL_CHAIN_CERT, 1, certificate) == 1;
}

static int use_trusted(tide_tls_context *self, const tide_tls_options *options,
                       tide_tls_failure *failure) {
  const tide__openssl *o = self->openssl;
  struct stat status;
  if (options->ca == NULL) {
    self->trusts = !options->server;
    if (options->server || o->SSL_CTX_set_default_verify_paths(self->ssl) == 1) return TIDE_OK;
    return TIDE_ENOMEM;
  }
  self->trusts = true;
  bool directory = !is_text(options->ca) && tide__sys_stat(o->loop, options->ca, &status) == 0 &&
                   S_ISDIR(status.st_mode);
  if (!directory) return each_certificate(self, options->ca, failure, take_trusted);
  return o->SSL_CTX_load_verify_dir(self->ssl, options->ca) == 1 ? TIDE_OK : TIDE_ENOMEM;
}

static int use_revoked(tide_tls_context *self, const char *named, tide_tls_failure *failure) {
  const tide__openssl *o = self->openssl;
  X509_STORE *store = o->SSL_CTX_get_cert_store(self->ssl);
  text file;
  int count = 0, error = text_open(o, named, &file, failure);
  while (error == TIDE_OK) {
    X509_CRL *list = o->PEM_read_bio_X509_CRL(file.bio, NULL, NULL, NULL);
    if (list == NULL) break;
    if (o->X509_STORE_add_crl(store, list) != 1) error = TIDE_ENOMEM;
    o->X509_CRL_free(list);
    count++;
  }
  if (error == TIDE_OK && count == 0) error = told(o, failure, "no revocation list", named);
  if (error == TIDE_OK) o->X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
  o->ERR_clear_error();
  text_close(o, &file);
  return error;
}

/* pem_password_cb(3ssl): never asks at the terminal. */
static int tell_password(char *room, int size, int writing, void *password) {
  size_t length = password != NULL ? strlen(password) : 0;
  (void)writing;
  if (length == 0 || length > (size_t)size) return -1;
  const char *from = password; /* no zero belongs to it */
  for (size_t i = 0; i < length; i++) room[i] = from[i];
  return (int)length;
}

static int use_key(tide_tls_context *self, const tide_tls_options *options,
                   tide_tls_failure *failure) {
  const tide__openssl *o = self->openssl;
  const char *named = options->key != NULL ? options->key : options->cert;
  text file;
  int error = text_open(o, named, &file, failure);
  EVP_PKEY *key = NULL;
  void *password = (void *)(uintptr_t)options->password;
  if (error == TIDE_OK) {
    key = o->PEM_read_bio_PrivateKey(file.bio, NULL, tell_password, password);
    if (key == NULL) error = told(o, failure, "no key", named);
  }
  if (error == TIDE_OK && (o->SSL_CTX_use_PrivateKey(self->ssl, key) != 1 ||
                           o->SSL_CTX_check_private_key(self->ssl) != 1))
    error = told(o, failure, "the certificate does not fit the key", named);
  if (key != NULL) o->EVP_PKEY_free(key);
  o->ERR_clear_error();
  text_close(o, &file);
  return error;
}

static int use_own(tide_tls_context *self, const tide_tls_options *options,
                   tide_tls_failure *failure) {
  if (options->cert == NULL && options->key != NULL) {
    tide__tls_failure_set(failure, "no_certificate", "a key without a certificate");
    return TIDE_ETLS;
  }
  if (options->cert == NULL && options->server) {
    tide__tls_failure_set(failure, "no_certificate", "a server needs a certificate and its key");
    return TIDE_ETLS;
  }
  if (options->cert == NULL) return TIDE_OK;
  int error = each_certificate(self, options->cert, failure, take_own);
  return error == TIDE_OK ? use_key(self, options, failure) : error;
}

/* ---- protocols above (RFC 7301) */

static size_t alpn_length(const char *const *names) {
  size_t size = 0;
  for (; *names != NULL; names++) {
    size_t length = strlen(*names);
    if (length == 0 || length > 255) return 0;
    size += 1 + length;
  }
  return size <= UINT16_MAX ? size : 0;
}

static int choose_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *length,
                       const unsigned char *offered, unsigned size, void *context) {
  const tide_tls_context *self = context;
  unsigned char *found;
  (void)ssl;
  int result = self->openssl->SSL_select_next_proto(&found, length, self->alpn,
                                                    (unsigned)self->alpn_size, offered, size);
  *chosen = found;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int use_alpn(tide_tls_context *self, const char *const *names) {
  const tide__openssl *o = self->openssl;
  if (names == NULL || *names == NULL) return TIDE_OK;
  size_t size = alpn_length(names), at = 0;
  if (size == 0) return TIDE_EMISUSE;
  self->alpn = tide_alloc(&o->loop->allocator, size);
  if (self->alpn == NULL) return TIDE_ENOMEM;
  self->alpn_size = size;
  for (; *names != NULL; names++) {
    size_t length = strlen(*names);
    self->alpn[at] = (unsigned char)length;
    memcpy(self->alpn + at + 1, *names, length);
    at += 1 + length;
  }
  if (self->server)
    o->SSL_CTX_set_alpn_select_cb(self->ssl, choose_alpn, self);
  else if (o->SSL_CTX_set_alpn_protos(self->ssl, self->alpn, (unsigned)size) != 0)
    return TIDE_ENOMEM;
  return TIDE_OK;
}

/* ---- sessions */

static void drop(const tide__openssl *o, tide__session *session) {
  if (session->session != NULL) o->SSL_SESSION_free(session->session);
  free(session->peer);
  *session = (tide__session){0};
}

static tide__session *find(const tide_tls_context *self, const char *peer) {
  for (int i = 0; self->sessions != NULL && i < TIDE__SESSIONS; i++)
    if (self->sessions[i].session != NULL && strcmp(self->sessions[i].peer, peer) == 0)
      return &self->sessions[i];
  return NULL;
}

static tide__session *oldest(const tide_tls_context *self) {
  tide__session *found = self->sessions;
  for (int i = 0; i < TIDE__SESSIONS; i++)
    if (self->sessions[i].kept < found->kept) found = &self->sessions[i];
  return found;
}

bool tide__session_keep(tide_tls_context *self, const char *peer, SSL_SESSION *session) {
  const tide__openssl *o = self->openssl;
  if (self->sessions == NULL) self->sessions = calloc(TIDE__SESSIONS, sizeof *self->sessions);
  char *copy = self->sessions != NULL ? strdup(peer) : NULL;
  if (copy == NULL) return false;
  tide__session *place = find(self, peer);
  if (place == NULL) place = oldest(self);
  drop(o, place);
  *place = (tide__session){.session = session, .peer = copy, .kept = ++self->kept};
  return true;
}

SSL_SESSION *tide__session_take(tide_tls_context *self, const char *peer) {
  tide__session *place = find(self, peer);
  if (place == NULL) return NULL;
  SSL_SESSION *session = place->session;
  place->session = NULL;
  drop(self->openssl, place);
  if (self->openssl->SSL_SESSION_is_resumable(session)) return session;
  self->openssl->SSL_SESSION_free(session);
  return NULL;
}

/* ---- contexts */

static void free_context(tide_tls_context *self) {
  tide__openssl *o = self->openssl;
  for (int i = 0; self->sessions != NULL && i < TIDE__SESSIONS; i++) drop(o, &self->sessions[i]);
  free(self->sessions);
  if (self->ssl != NULL) o->SSL_CTX_free(self->ssl);
  if (self->alpn != NULL) tide_free(&o->loop->allocator, self->alpn, self->alpn_size);
  tide_free(&o->loop->allocator, self, sizeof *self);
  tide__openssl_unref(o);
}

/* 0: there is no such version. */
static long version_of(const char *name) {
  if (name == NULL || strcmp(name, "1.2") == 0) return TLS1_2_VERSION;
  return strcmp(name, "1.3") == 0 ? TLS1_3_VERSION : 0;
}

static bool set_manners(tide_tls_context *self, const tide_tls_options *options) {
  const tide__openssl *o = self->openssl;
  static const unsigned char id[] = "tide";
  long kept =
      self->server ? SSL_SESS_CACHE_OFF : SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE;
  int verify = SSL_VERIFY_NONE;
  if (!self->server && !options->insecure) verify = SSL_VERIFY_PEER;
  if (self->server && options->ask != TIDE_TLS_NONE) verify = SSL_VERIFY_PEER;
  if (options->ask == TIDE_TLS_REQUIRED) verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  self->verify = verify;
  o->SSL_CTX_set_verify(self->ssl, verify, tide__tls_verify);
  if (self->server) o->SSL_CTX_set_client_hello_cb(self->ssl, tide__tls_hello, NULL);
  if (!self->server) o->SSL_CTX_sess_set_new_cb(self->ssl, tide__tls_session);
  o->SSL_CTX_ctrl(self->ssl, SSL_CTRL_SET_SESS_CACHE_MODE, kept, NULL);
  o->SSL_CTX_ctrl(self->ssl, SSL_CTRL_SET_READ_AHEAD, 1, NULL);
  o->SSL_CTX_ctrl(self->ssl, SSL_CTRL_MODE,
                  SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                      SSL_MODE_RELEASE_BUFFERS,
                  NULL);
  o->SSL_CTX_set_options(self->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  return o->SSL_CTX_ctrl(self->ssl, SSL_CTRL_SET_MIN_PROTO_VERSION,
                         version_of(options->min_version), NULL) == 1 &&
         o->SSL_CTX_set_cipher_list(self->ssl, ciphers) == 1 &&
         o->SSL_CTX_set_session_id_context(self->ssl, id, sizeof id - 1) == 1;
}

static int fill(tide_tls_context *self, const tide_tls_options *options,
                tide_tls_failure *failure) {
  const tide__openssl *o = self->openssl;
  self->ssl = o->SSL_CTX_new(o->TLS_method());
  if (self->ssl == NULL || !set_manners(self, options)) return TIDE_ENOMEM;
  int error = use_own(self, options, failure);
  if (error == TIDE_OK) error = use_trusted(self, options, failure);
  if (error == TIDE_OK && options->crl != NULL) error = use_revoked(self, options->crl, failure);
  if (error == TIDE_OK && options->ask != TIDE_TLS_NONE && !self->trusts) {
    tide__tls_failure_set(failure, "unknown_ca", "no authority is named that clients may be of");
    error = TIDE_ETLS;
  }
  return error == TIDE_OK ? use_alpn(self, options->alpn) : error;
}

int tide_tls_context_new(tide_tls_context **context, tide_loop *loop,
                         const tide_tls_options *options, tide_tls_failure *failure) {
  tide__openssl *o;
  tide__tls_failure_set(failure, "", "");
  if (version_of(options->min_version) == 0) return TIDE_EMISUSE;
  int error = tide__openssl_of(loop, &o);
  if (error != TIDE_OK) return error;
  tide_tls_context *self = tide_alloc(&loop->allocator, sizeof *self);
  if (self == NULL) return TIDE_ENOMEM;
  *self = (tide_tls_context){
      .references = 1,
      .openssl = tide__openssl_ref(o),
      .server = options->server,
      .insecure = options->insecure,
  };
  o->ERR_clear_error();
  error = fill(self, options, failure);
  o->ERR_clear_error();
  if (error == TIDE_OK)
    *context = self;
  else
    free_context(self);
  return error;
}

tide_tls_context *tide_tls_context_ref(tide_tls_context *context) {
  context->references++;
  return context;
}

void tide_tls_context_unref(tide_tls_context *context) {
  if (context != NULL && --context->references == 0) free_context(context);
}

uint64_t tide_tls_file_stamp(const tide_loop *loop, const char *path) {
  struct stat status;
  if (tide__sys_stat(loop, path, &status) < 0) return 0;
  const uint64_t facts[] = {(uint64_t)status.st_dev, (uint64_t)status.st_ino,
                            (uint64_t)status.st_size, (uint64_t)status.st_mtim.tv_sec,
                            (uint64_t)status.st_mtim.tv_nsec};
  uint64_t stamp = 14695981039346656037u; /* FNV-1a, by eight bytes */
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
    stamp = (stamp ^ facts[i]) * 1099511628211u;
  return stamp | 1;
}

bool tide_tls_is_there(void) { return true; }
