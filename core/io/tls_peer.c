/* tls_peer.c: what a certificate says. */
#include <string.h>
#include <time.h>

#include "tls_context.h"

/* Texts one behind the other, each with a zero at its end. */
typedef struct texts {
  const tide__openssl *openssl;
  BIO *bio;
  size_t names; /* how many the last of them are */
} texts;

static void end_text(const texts *self) { self->openssl->BIO_write(self->bio, "", 1); }

/* A name with a zero in it is nobody's. */
static void add_name(void *context, const char *text, size_t length) {
  texts *self = context;
  if (memchr(text, '\0', length) != NULL) return;
  self->openssl->BIO_write(self->bio, text, (int)length);
  end_text(self);
  self->names++;
}

static void collect(texts *self, const X509 *certificate) {
  const tide__openssl *o = self->openssl;
  o->X509_NAME_print_ex(self->bio, o->X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  end_text(self);
  o->X509_NAME_print_ex(self->bio, o->X509_get_issuer_name(certificate), 0, XN_FLAG_RFC2253);
  end_text(self);
  o->PEM_write_bio_X509(self->bio, certificate);
  end_text(self);
  tide__tls_names(o, certificate, self, add_name);
}

static int64_t seconds_of(const tide__openssl *o, const ASN1_TIME *time) {
  struct tm date = {0};
  return o->ASN1_TIME_to_tm(time, &date) == 1 ? (int64_t)timegm(&date) : 0;
}

/* The text at *at, which is moved behind it. */
static const char *next_text(const char **at) {
  const char *text = *at;
  *at += strlen(text) + 1;
  return text;
}

static int copy(const texts *self, const X509 *certificate, tide_tls_peer **peer) {
  const tide__openssl *o = self->openssl;
  char *bytes = NULL;
  long length = o->BIO_ctrl(self->bio, BIO_CTRL_INFO, 0, &bytes);
  size_t list = self->names * sizeof(char *), size = sizeof(tide_tls_peer) + list + (size_t)length;
  unsigned digest = sizeof(*peer)->sha256;
  if (length < 3) return TIDE_ENOMEM;
  tide_tls_peer *made = tide_alloc(&o->loop->allocator, size);
  if (made == NULL) return TIDE_ENOMEM;
  const char **names = (const char **)(made + 1);
  const char *at = memcpy((char *)names + list, bytes, (size_t)length);
  *made = (tide_tls_peer){.names = names, .name_count = self->names, .size = size};
  made->subject = next_text(&at);
  made->issuer = next_text(&at);
  made->pem = next_text(&at);
  for (size_t i = 0; i < self->names; i++) names[i] = next_text(&at);
  made->not_before = seconds_of(o, o->X509_get0_notBefore(certificate));
  made->not_after = seconds_of(o, o->X509_get0_notAfter(certificate));
  o->X509_digest(certificate, o->EVP_sha256(), made->sha256, &digest);
  *peer = made;
  return TIDE_OK;
}

int tide__tls_peer_of(const tide__openssl *openssl, const X509 *certificate, tide_tls_peer **peer) {
  texts all = {.openssl = openssl, .bio = openssl->BIO_new(openssl->BIO_s_mem())};
  if (all.bio == NULL) return TIDE_ENOMEM;
  collect(&all, certificate);
  int error = copy(&all, certificate, peer);
  openssl->BIO_free(all.bio);
  openssl->ERR_clear_error();
  return error;
}

void tide_tls_peer_free(tide_tls_peer *peer, tide_loop *loop) {
  if (peer != NULL) tide_free(&loop->allocator, peer, peer->size);
}
