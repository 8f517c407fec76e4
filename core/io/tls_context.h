/* tls_context.h: what connections with the same options share, and why they fail. Internal to core.
 */
#ifndef TIDE_TLS_CONTEXT_H
#define TIDE_TLS_CONTEXT_H

#include "openssl.h"
#include "tls.h"

enum { TIDE__SESSIONS = 64 }; /* of as many peers the session is kept */

/* The last session with a peer, to be resumed once: TLS 1.3 gives a new one each time. */
typedef struct tide__session {
  SSL_SESSION *session; /* or NULL: the place is free */
  char *peer;           /* whose it is, from malloc */
  uint64_t kept;        /* when: the count of all that were */
} tide__session;

struct tide_tls_context {
  size_t references;
  tide__openssl *openssl;
  SSL_CTX *ssl;
  unsigned char *alpn; /* the names in the form of RFC 7301, best first */
  size_t alpn_size;    /* their bytes */
  bool server;
  int verify; /* SSL_VERIFY_* */
  bool insecure;
  bool trusts; /* it has been told whom to trust */
  uint64_t kept;
  tide__session *sessions; /* TIDE__SESSIONS of a client's; NULL: none yet */
};

/* Keeps it in place of an older one. Takes it over: true, or it stays the caller's. */
bool tide__session_keep(tide_tls_context *context, const char *peer, SSL_SESSION *session);

/* Takes the one that there is, which is the caller's then; NULL: none. */
SSL_SESSION *tide__session_take(tide_tls_context *context, const char *peer);

/* tls_failure.c */

/* What OpenSSL's first error says. Empties its queue. */
void tide__tls_failure_of_queue(const tide__openssl *openssl, tide_tls_failure *failure);

/* What is wrong with a certificate, by X509_V_ERR_*; `host` is who was wanted, or NULL. */
void tide__tls_failure_of_certificate(const tide__openssl *openssl, int error,
                                      const X509 *certificate, const char *host,
                                      tide_tls_failure *failure);

void tide__tls_failure_set(tide_tls_failure *failure, const char *reason, const char *text);

/* Tells the names in a certificate's subjectAltName, in the order that they are in. */
void tide__tls_names(const tide__openssl *openssl, const X509 *certificate, void *context,
                     void (*name)(void *context, const char *text, size_t length));

/* tls_peer.c: as tide_tls_peer_new. */
int tide__tls_peer_of(const tide__openssl *openssl, const X509 *certificate, tide_tls_peer **peer);

#endif
