/* openssl.c: opening the library. */
#include "openssl.h"

#include <dlfcn.h>
#include <errno.h>

#define LIBRARY "libssl.so.3" /* of all releases since 3.0; libcrypto.so.3 comes with it */

static void close_library(tide__openssl *self) {
  if (self->through != NULL) self->BIO_meth_free(self->through);
  if (self->library != NULL) dlclose(self->library);
}

static int open_library(tide__openssl *self) {
  self->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (self->library == NULL) return TIDE_OS(ENOSYS);
#define FIND(name) self->name = (__typeof__(name) *)dlsym(self->library, #name);
  TIDE__OPENSSL_MAP(FIND)
#undef FIND
#define IS_THERE(name) &&self->name != NULL
  if (!(true TIDE__OPENSSL_MAP(IS_THERE))) return TIDE_OS(ENOSYS);
#undef IS_THERE
  self->through = tide__tls_method(self);
  return self->through != NULL ? TIDE_OK : TIDE_ENOMEM;
}

tide__openssl *tide__openssl_ref(tide__openssl *self) {
  self->references++;
  return self;
}

void tide__openssl_unref(tide__openssl *self) {
  if (--self->references > 0) return;
  tide_loop *loop = self->loop;
  close_library(self);
  tide_free(&loop->allocator, self, sizeof *self);
}

static void term(tide__attachment *attachment, tide_loop *loop) {
  (void)loop;
  tide__openssl_unref(tide_container(attachment, tide__openssl, attachment));
}

int tide__openssl_of(tide_loop *loop, tide__openssl **openssl) {
  tide__attachment *found = tide__attachment_find(loop, term);
  if (found != NULL) {
    *openssl = tide_container(found, tide__openssl, attachment);
    return TIDE_OK;
  }
  tide__openssl *self = tide_alloc(&loop->allocator, sizeof *self);
  if (self == NULL) return TIDE_ENOMEM;
  *self = (tide__openssl){.attachment.term = term, .loop = loop, .references = 1};
  int error = open_library(self);
  if (error != TIDE_OK) {
    tide__openssl_unref(self);
    return error;
  }
  tide_list_append(&loop->attachments, &self->attachment.link);
  *openssl = self;
  return TIDE_OK;
}
