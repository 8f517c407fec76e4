/* tls_none.c: in place of tls.c where there was no OpenSSL to build with: nothing is encrypted. */
#include <errno.h>

#include "halves.h"
#include "private.h"
#include "tls.h"

bool tide_tls_is_there(void) { return false; }

uint64_t tide_tls_file_stamp(const tide_loop *loop, const char *path) {
  (void)loop, (void)path;
  return 0;
}

int tide_tls_context_new(tide_tls_context **context, tide_loop *loop,
                         const tide_tls_options *options, tide_tls_failure *failure) {
  (void)context, (void)loop, (void)options, (void)failure;
  return TIDE_OS(ENOSYS);
}

tide_tls_context *tide_tls_context_ref(tide_tls_context *context) { return context; }

void tide_tls_context_unref(tide_tls_context *context) { (void)context; }

int tide_tls_begin(tide_stream *stream, tide_tls_context *context, const char *host,
                   uint16_t port) {
  (void)stream, (void)context, (void)host, (void)port;
  return TIDE_OS(ENOSYS);
}

/* No stream is encrypted. */
static int nothing_here(tide_stream *stream, tide_task *task) {
  int result = tide__read_enter(stream, task);
  return result != TIDE_OK ? result : tide__read_finish(stream, task, TIDE_EINVALID_STATE);
}

int tide_tls_handshake(tide_stream *stream, tide_task *task) { return nothing_here(stream, task); }

int tide_tls_hello(tide_stream *stream, tide_task *task, char name[256]) {
  (void)name;
  return nothing_here(stream, task);
}

int tide_tls_switch(tide_stream *stream, tide_tls_context *context) {
  (void)stream, (void)context;
  return TIDE_EINVALID_STATE;
}

bool tide_tls_is(const tide_stream *stream) {
  (void)stream;
  return false;
}

bool tide_tls_is_agreed(const tide_stream *stream) {
  (void)stream;
  return false;
}

const tide_tls_failure *tide_tls_failed(const tide_stream *stream) {
  (void)stream;
  return NULL;
}

int tide_tls_tell(const tide_stream *stream, tide_tls_info *info) {
  (void)stream, (void)info;
  return TIDE_EINVALID_STATE;
}

int tide_tls_peer_new(const tide_stream *stream, tide_tls_peer **peer) {
  (void)stream, (void)peer;
  return TIDE_EINVALID_STATE;
}

void tide_tls_peer_free(tide_tls_peer *peer, tide_loop *loop) { (void)peer, (void)loop; }
