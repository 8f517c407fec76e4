/* tls.h: streams that are encrypted: TLS 1.2 and 1.3 (RFC 5246, RFC 8446), by OpenSSL 3.
 *
 * A context is a set of options with what they name loaded: certificates, keys, who is trusted. A
 * stream goes on over TLS from tide_tls_begin on: all of stream.h holds for it. The library is
 * loaded with the first context, and what it needs memory for comes from the C library. Functions
 * are called in the loop's thread. */
#ifndef TIDE_TLS_H
#define TIDE_TLS_H

#include "stream.h"

TIDE_BEGIN_DECLS

/* (waits): see sched/wait.h. */

/* What TIDE_ETLS means. X(identifier, name) */
#define TIDE_TLS_REASONS(X)           \
  X(EXPIRED, "expired")               \
  X(NOT_YET_VALID, "not_yet_valid")   \
  X(SELF_SIGNED, "self_signed")       \
  X(UNKNOWN_CA, "unknown_ca")         \
  X(WRONG_HOST, "wrong_host")         \
  X(REVOKED, "revoked")               \
  X(VERSION, "version")               \
  X(NO_CERTIFICATE, "no_certificate") \
  X(PROTOCOL, "protocol")             \
  X(TRUNCATED, "truncated")

/* Why it has failed. */
typedef struct tide_tls_failure {
  char reason[48]; /* one of those names, or OpenSSL's word for it: "no_shared_cipher" */
  char text[256];  /* what was met and what was wanted, without a full stop */
} tide_tls_failure;

/* A server's interest in its clients' certificates. */
typedef enum tide_tls_ask { TIDE_TLS_NONE, TIDE_TLS_OPTIONAL, TIDE_TLS_REQUIRED } tide_tls_ask;

/* Texts are looked at while the context is made, and copied where they are needed for longer.
 * Where a file may be named PEM text may stand as well: what begins with "-----BEGIN" or has a line
 * that does. NULL, or 0: what is said in brackets. */
typedef struct tide_tls_options {
  bool server;          /* for the side that is connected to */
  const char *ca;       /* a file, or a directory as c_rehash makes it: who is trusted [the
                           system's; a server: nobody] */
  const char *crl;      /* a file: which certificates are revoked [none] */
  const char *cert;     /* a file: the certificate, and those between it and a root [none] */
  const char *key;      /* a file: its private key [in that of the certificate] */
  const char *password; /* of the key [none] */
  bool insecure;        /* a client: believes everybody */
  tide_tls_ask ask;     /* a server: whether clients must have a certificate, of `ca` */
  const char *const
      *alpn; /* which protocols are spoken (RFC 7301), best first, up to NULL [none] */
  const char *min_version; /* "1.2" or "1.3" ["1.2"] */
} tide_tls_options;

typedef struct tide_tls_context tide_tls_context;

/* Loads what the options name, which blocks as reading files does. TIDE_OK; TIDE_ETLS: `failure`
 * says what is wrong with it; TIDE_OS(errno): a file cannot be read, `failure->text` is its name;
 * TIDE_OS(ENOSYS): OpenSSL is not there; TIDE_EMISUSE: the version; TIDE_ENOMEM. To be let go of
 * before the loop is freed. */
TIDE_API int tide_tls_context_new(tide_tls_context **context, tide_loop *loop,
                                  const tide_tls_options *options, tide_tls_failure *failure);
TIDE_API tide_tls_context *tide_tls_context_ref(tide_tls_context *context);
TIDE_API void tide_tls_context_unref(tide_tls_context *context); /* NULL is ignored */

/* From now on the stream is encrypted: the first read or write, or tide_tls_handshake, begins it.
 * `host`: a client: whom it wants to talk to, a name (whose final dot is dropped) or an address;
 * NULL: whoever has a certificate that is trusted. With `port` and the context it says which
 * session is resumed. The stream keeps the context, and has one that was `tls` already in it.
 * TIDE_OK; TIDE_ECLOSED; TIDE_EBUSY: a task is inside a function of the stream;
 * TIDE_EINVALID_STATE: there are unsent bytes, or it is encrypted already; TIDE_ETLS: there are
 * unread bytes, which came before (response injection); TIDE_EMISUSE: no name; TIDE_ENOMEM. */
TIDE_API int tide_tls_begin(tide_stream *stream, tide_tls_context *context, const char *host,
                            uint16_t port);

/* (waits) Until both ends have agreed. Called again, as what reads, and with its errors besides.
 * Where it fails, by TIDE_ETLS or TIDE_EEOF or an error of the system, so does the stream, for
 * good. TIDE_EINVALID_STATE: it is not encrypted. */
TIDE_API int tide_tls_handshake(tide_stream *stream, tide_task *task);

/* (waits) A server, before the handshake: until the client has said whom it wants to talk to (RFC
 * 6066), which `name` has then; "": it does not say. Called again, and fails, as
 * tide_tls_handshake, which goes on from there. TIDE_EINVALID_STATE: it is a client's end, or has
 * been asked. */
TIDE_API int tide_tls_hello(tide_stream *stream, tide_task *task, char name[256]);

/* After that: the server goes on by another context, which the stream keeps. TIDE_OK, TIDE_ENOMEM,
 * TIDE_EINVALID_STATE. */
TIDE_API int tide_tls_switch(tide_stream *stream, tide_tls_context *context);

/* Why a function of the stream has given TIDE_ETLS; valid until the stream is closed. NULL: none
 * has. */
TIDE_API const tide_tls_failure *tide_tls_failed(const tide_stream *stream);

/* Whether the stream is encrypted; whether both ends have agreed. */
TIDE_API bool tide_tls_is(const tide_stream *stream);
TIDE_API bool tide_tls_is_agreed(const tide_stream *stream);

/* What they have agreed on. The first two texts are there for as long as the program is. */
typedef struct tide_tls_info {
  const char *version;   /* "TLSv1.3" */
  const char *cipher;    /* as OpenSSL names it: "TLS_AES_256_GCM_SHA384" */
  char alpn[256];        /* "": none */
  char server_name[256]; /* what the client asked for (RFC 6066); "": nothing */
  bool resumed;          /* a session from before goes on */
  bool has_peer;         /* the other end has shown a certificate: tide_tls_peer */
} tide_tls_info;

/* TIDE_OK; TIDE_ECLOSED; TIDE_EINVALID_STATE: it is not encrypted, or not agreed yet. */
TIDE_API int tide_tls_tell(const tide_stream *stream, tide_tls_info *info);

/* The other end's certificate. */
typedef struct tide_tls_peer {
  const char *subject, *issuer;  /* in the form of RFC 2253 */
  int64_t not_before, not_after; /* seconds since 1970, UTC */
  unsigned char sha256[32];      /* of the certificate as it was sent */
  const char *pem;               /* itself */
  const char *const *names;      /* whose it is, by subjectAltName: hosts and addresses */
  size_t name_count;             /* how many */
  size_t size;                   /* bytes of all this, in one block */
} tide_tls_peer;

/* A copy, to be freed in the loop's thread. TIDE_OK; TIDE_ENOMEM; errors of tide_tls_tell;
 * TIDE_EEOF: it has shown none. */
TIDE_API int tide_tls_peer_new(const tide_stream *stream, tide_tls_peer **peer);
TIDE_API void tide_tls_peer_free(tide_tls_peer *peer, tide_loop *loop); /* NULL is ignored */

/* A number that is another one where the file is another, or has changed; 0: there is none. */
TIDE_API uint64_t tide_tls_file_stamp(const tide_loop *loop, const char *path);

/* Whether tide was built with OpenSSL's headers. */
TIDE_API bool tide_tls_is_there(void);

TIDE_END_DECLS

#endif
