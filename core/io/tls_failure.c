/* tls_failure.c: OpenSSL's errors in tide's words. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "tls_context.h"

enum reason {
#define NUMBER(identifier, name) identifier,
  TIDE_TLS_REASONS(NUMBER)
#undef NUMBER
      OTHER
};

static const char *name_of(enum reason reason) {
  static const char *const names[] = {
#define NAME(identifier, name) name,
      TIDE_TLS_REASONS(NAME)
#undef NAME
  };
  return names[reason];
}

void tide__tls_failure_set(tide_tls_failure *failure, const char *reason, const char *text) {
  snprintf(failure->reason, sizeof failure->reason, "%s", reason);
  snprintf(failure->text, sizeof failure->text, "%s", text);
}

/* One of the reasons, or OpenSSL's word as one: "no shared cipher" is no_shared_cipher. */
static void set_reason(tide_tls_failure *failure, enum reason reason, const char *word) {
  snprintf(failure->reason, sizeof failure->reason, "%s", reason == OTHER ? word : name_of(reason));
  for (char *at = failure->reason; *at != '\0'; at++)
    if (!isalnum((unsigned char)*at)) *at = '_';
}

/* Of the library's own reasons (SSL_R_*): alerts of the other end's among them. */
static enum reason reason_of(int code) {
  switch (code) {
  case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    return EXPIRED;
  case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    return REVOKED;
  case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    return UNKNOWN_CA;
  case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
  case SSL_R_UNSUPPORTED_PROTOCOL:
  case SSL_R_WRONG_SSL_VERSION:
  case SSL_R_VERSION_TOO_LOW:
  case SSL_R_VERSION_TOO_HIGH:
  case SSL_R_NO_PROTOCOLS_AVAILABLE:
    return VERSION;
  case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
  case SSL_R_SSLV3_ALERT_NO_CERTIFICATE:
  case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    return NO_CERTIFICATE;
  case SSL_R_WRONG_VERSION_NUMBER:
  case SSL_R_HTTP_REQUEST:
  case SSL_R_HTTPS_PROXY_REQUEST:
  case SSL_R_UNEXPECTED_MESSAGE:
  case SSL_R_BAD_RECORD_TYPE:
  case SSL_R_RECORD_TOO_SMALL:
  case SSL_R_PACKET_LENGTH_TOO_LONG:
  case SSL_R_UNKNOWN_PROTOCOL:
    return PROTOCOL;
  case SSL_R_UNEXPECTED_EOF_WHILE_READING:
    return TRUNCATED;
  default:
    return OTHER;
  }
}

/* What there is to say besides OpenSSL's word. */
static const char *hint_of(int code) {
  switch (code) {
  case SSL_R_WRONG_VERSION_NUMBER:
    return ": the other end does not speak TLS";
  case SSL_R_HTTP_REQUEST:
    return ": the other end speaks HTTP without TLS";
  case SSL_R_UNEXPECTED_EOF_WHILE_READING:
    return ": the other end has not said that this is all";
  default:
    return "";
  }
}

void tide__tls_failure_of_queue(const tide__openssl *o, tide_tls_failure *failure) {
  unsigned long error = o->ERR_get_error();
  const char *word = error != 0 ? o->ERR_reason_error_string(error) : NULL;
  o->ERR_clear_error();
  if (word == NULL) word = "unknown error";
  int code = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
  enum reason reason = reason_of(code);
  snprintf(failure->text, sizeof failure->text, "%s%s", word, hint_of(code));
  set_reason(failure, reason, word);
}

/* ---- certificates */

static enum reason reason_of_certificate(int error) {
  switch (error) {
  case X509_V_ERR_CERT_HAS_EXPIRED:
    return EXPIRED;
  case X509_V_ERR_CERT_NOT_YET_VALID:
    return NOT_YET_VALID;
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    return SELF_SIGNED;
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    return UNKNOWN_CA;
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    return WRONG_HOST;
  case X509_V_ERR_CERT_REVOKED:
    return REVOKED;
  default:
    return OTHER;
  }
}

void tide__tls_names(const tide__openssl *o, const X509 *certificate, void *context,
                     void (*name)(void *context, const char *text, size_t length)) {
  GENERAL_NAMES *all = o->X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  const OPENSSL_STACK *list = (const OPENSSL_STACK *)all;
  for (int i = 0; all != NULL && i < o->OPENSSL_sk_num(list); i++) {
    const GENERAL_NAME *at = o->OPENSSL_sk_value(list, i);
    char text[INET6_ADDRSTRLEN];
    if (at->type != GEN_DNS && at->type != GEN_IPADD && at->type != GEN_EMAIL &&
        at->type != GEN_URI)
      continue;
    const char *bytes = (const char *)o->ASN1_STRING_get0_data(at->d.ia5);
    int length = o->ASN1_STRING_length(at->d.ia5);
    if (at->type != GEN_IPADD) {
      name(context, bytes, (size_t)length);
    } else if (length == 4 || length == 16) {
      inet_ntop(length == 4 ? AF_INET : AF_INET6, bytes, text, sizeof text);
      name(context, text, strlen(text));
    }
  }
  if (all != NULL) o->GENERAL_NAMES_free(all);
}

typedef struct line {
  char text[160];
  size_t size;
} line;

static void add(void *context, const char *text, size_t length) {
  line *self = context;
  if (self->size >= sizeof self->text - 1) return;
  int count = snprintf(self->text + self->size, sizeof self->text - self->size, "%s%.*s",
                       self->size > 0 ? ", " : "", (int)length, text);
  self->size += (size_t)count;
}

/* When it began or ends to be valid, as "2026-11-30 12:00:00 UTC". */
static void add_date(const tide__openssl *o, const ASN1_TIME *time, char *text, size_t size) {
  struct tm date = {0};
  *text = '\0';
  if (o->ASN1_TIME_to_tm(time, &date) == 1) strftime(text, size, "%Y-%m-%d %H:%M:%S UTC", &date);
}

static void subject_of(const tide__openssl *o, const X509 *certificate, char *text, size_t size) {
  BIO *bio = o->BIO_new(o->BIO_s_mem());
  char *bytes = NULL;
  long length = 0;
  *text = '\0';
  if (bio == NULL) return;
  o->X509_NAME_print_ex(bio, o->X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  length = o->BIO_ctrl(bio, BIO_CTRL_INFO, 0, &bytes);
  if (length > 0) snprintf(text, size, "%.*s", (int)length, bytes);
  o->BIO_free(bio);
}

void tide__tls_failure_of_certificate(const tide__openssl *o, int error, const X509 *certificate,
                                      const char *host, tide_tls_failure *failure) {
  char subject[96] = "", date[32];
  line names = {0};
  const char *word = o->X509_verify_cert_error_string(error);
  enum reason reason = reason_of_certificate(error);
  if (certificate != NULL) subject_of(o, certificate, subject, sizeof subject);
  if (certificate != NULL) tide__tls_names(o, certificate, &names, add);
  set_reason(failure, reason, word);
  if (reason == WRONG_HOST) {
    snprintf(failure->text, sizeof failure->text, "the certificate is for %s, and not for %s",
             names.size > 0 ? names.text : "no name", host != NULL ? host : "this host");
  } else if ((reason == EXPIRED || reason == NOT_YET_VALID) && certificate != NULL) {
    add_date(o,
             reason == EXPIRED ? o->X509_get0_notAfter(certificate)
                               : o->X509_get0_notBefore(certificate),
             date, sizeof date);
    snprintf(failure->text, sizeof failure->text, "the certificate of %s is valid %s %s", subject,
             reason == EXPIRED ? "until" : "from", date);
  } else {
    snprintf(failure->text, sizeof failure->text, "the certificate of %s: %s", subject, word);
  }
}
