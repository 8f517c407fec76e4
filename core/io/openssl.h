/* openssl.h: OpenSSL 3, loaded when a connection is first encrypted. Internal to core.
 *
 * It is opened by dlopen, so that who encrypts nothing neither needs it nor pays for it. What its
 * headers have as macros over SSL_ctrl and SSL_CTX_ctrl is called by those. (Manual pages: those of
 * section 3ssl, by the names below.) */
#ifndef TIDE_OPENSSL_H
#define TIDE_OPENSSL_H

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "../sched/private.h"

/* X(function): what is used of it. */
#define TIDE__OPENSSL_MAP(X)          \
  X(ASN1_STRING_get0_data)            \
  X(ASN1_STRING_length)               \
  X(ASN1_TIME_to_tm)                  \
  X(BIO_clear_flags)                  \
  X(BIO_ctrl)                         \
  X(BIO_free)                         \
  X(BIO_meth_free)                    \
  X(BIO_meth_new)                     \
  X(BIO_meth_set_ctrl)                \
  X(BIO_meth_set_read)                \
  X(BIO_meth_set_write)               \
  X(BIO_new)                          \
  X(BIO_new_mem_buf)                  \
  X(BIO_s_mem)                        \
  X(BIO_set_flags)                    \
  X(BIO_set_init)                     \
  X(BIO_up_ref)                       \
  X(BIO_write)                        \
  X(ERR_clear_error)                  \
  X(ERR_get_error)                    \
  X(ERR_peek_last_error)              \
  X(ERR_reason_error_string)          \
  X(EVP_PKEY_free)                    \
  X(EVP_sha256)                       \
  X(GENERAL_NAMES_free)               \
  X(OPENSSL_sk_num)                   \
  X(OPENSSL_sk_value)                 \
  X(PEM_read_bio_PrivateKey)          \
  X(PEM_read_bio_X509)                \
  X(PEM_read_bio_X509_CRL)            \
  X(PEM_write_bio_X509)               \
  X(SSL_CIPHER_get_name)              \
  X(SSL_CTX_add_client_CA)            \
  X(SSL_CTX_check_private_key)        \
  X(SSL_CTX_ctrl)                     \
  X(SSL_CTX_free)                     \
  X(SSL_CTX_get_cert_store)           \
  X(SSL_CTX_load_verify_dir)          \
  X(SSL_CTX_new)                      \
  X(SSL_CTX_sess_set_new_cb)          \
  X(SSL_CTX_set_alpn_protos)          \
  X(SSL_CTX_set_alpn_select_cb)       \
  X(SSL_CTX_set_cipher_list)          \
  X(SSL_CTX_set_client_hello_cb)      \
  X(SSL_CTX_set_default_verify_paths) \
  X(SSL_CTX_set_options)              \
  X(SSL_CTX_set_session_id_context)   \
  X(SSL_CTX_set_verify)               \
  X(SSL_CTX_use_PrivateKey)           \
  X(SSL_CTX_use_certificate)          \
  X(SSL_SESSION_free)                 \
  X(SSL_SESSION_is_resumable)         \
  X(SSL_client_hello_get0_ext)        \
  X(SSL_ctrl)                         \
  X(SSL_do_handshake)                 \
  X(SSL_free)                         \
  X(SSL_get0_alpn_selected)           \
  X(SSL_get0_param)                   \
  X(SSL_get0_peer_certificate)        \
  X(SSL_get_current_cipher)           \
  X(SSL_get_error)                    \
  X(SSL_get_servername)               \
  X(SSL_has_pending)                  \
  X(SSL_get_version)                  \
  X(SSL_is_init_finished)             \
  X(SSL_new)                          \
  X(SSL_peek_ex)                      \
  X(SSL_read_ex)                      \
  X(SSL_select_next_proto)            \
  X(SSL_session_reused)               \
  X(SSL_set0_rbio)                    \
  X(SSL_set0_wbio)                    \
  X(SSL_set1_host)                    \
  X(SSL_set_SSL_CTX)                  \
  X(SSL_set_accept_state)             \
  X(SSL_set_connect_state)            \
  X(SSL_set_hostflags)                \
  X(SSL_set_session)                  \
  X(SSL_set_verify)                   \
  X(SSL_shutdown)                     \
  X(SSL_write_ex)                     \
  X(TLS_method)                       \
  X(X509_CRL_free)                    \
  X(X509_NAME_print_ex)               \
  X(X509_STORE_CTX_get_current_cert)  \
  X(X509_STORE_CTX_get_error)         \
  X(X509_STORE_add_cert)              \
  X(X509_STORE_add_crl)               \
  X(X509_STORE_set_flags)             \
  X(X509_VERIFY_PARAM_set1_ip_asc)    \
  X(X509_digest)                      \
  X(X509_free)                        \
  X(X509_get0_notAfter)               \
  X(X509_get0_notBefore)              \
  X(X509_get_ext_d2i)                 \
  X(X509_get_issuer_name)             \
  X(X509_get_subject_name)            \
  X(X509_verify_cert_error_string)

/* A loop's, and of the contexts and connections in it. */
typedef struct tide__openssl {
  tide__attachment attachment; /* in the loop's list */
  tide_loop *loop;             /* whose it is */
  size_t references;           /* the loop's, while it is there, and one of each of those */
  void *library;               /* as dlopen gave it; NULL: not open */
  BIO_METHOD *through;         /* what a connection reads and writes by: tls.c's */
#define TIDE__OPENSSL_MEMBER(name)                              \
  __typeof__(name) *name; /* NOLINT(bugprone-macro-parentheses) \
                           */
  TIDE__OPENSSL_MAP(TIDE__OPENSSL_MEMBER)
#undef TIDE__OPENSSL_MEMBER
} tide__openssl;

/* The loop's, opened when it is first asked for. TIDE_OK; TIDE_ENOMEM; TIDE_OS(ENOSYS): it is not
 * there, or of another major version. */
int tide__openssl_of(tide_loop *loop, tide__openssl **openssl);

/* One reference more, or fewer: with the last it goes. Connections that linger go after what else
 * the loop has. */
tide__openssl *tide__openssl_ref(tide__openssl *self);
void tide__openssl_unref(tide__openssl *self);

/* tls.c: makes `through`. NULL where memory is short. */
BIO_METHOD *tide__tls_method(const tide__openssl *openssl);

/* tls.c: what OpenSSL calls, of contexts. */
int tide__tls_verify(int fine, X509_STORE_CTX *chain);
int tide__tls_session(SSL *ssl, SSL_SESSION *session);
int tide__tls_hello(SSL *ssl, int *alert, void *context);

#endif
