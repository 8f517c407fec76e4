/* faults.c: which system call fails; empty but in builds for tests. */
#include "faults.h"

#ifdef TIDE_FAULTS

#include <errno.h>
#include <stdlib.h>

tide__fault tide__fault_now;

__attribute__((constructor)) static void read_environment(void) {
  tide__fault_now.all_cut = getenv("TIDE_ONE_BYTE") != NULL;
}

bool tide__fails(tide__site site) {
  tide__fault *fault = &tide__fault_now;
  fault->cut = false;
  if (fault->at == 0 || fault->site != site || ++fault->calls != fault->at) return false;
  fault->cut = fault->error == 0;
  errno = fault->error;
  return fault->error != 0;
}

size_t tide__cut(size_t size) {
  bool cut = tide__fault_now.cut || tide__fault_now.all_cut;
  return cut && size > 1 ? 1 : size;
}

const struct iovec *tide__cut_parts(const struct iovec *parts, size_t *count) {
  static _Thread_local struct iovec one;
  if (tide__cut(2) == 2) return parts;
  for (; *count > 1 && parts->iov_len == 0; --*count) parts++;
  one = (struct iovec){.iov_base = parts->iov_base, .iov_len = tide__cut(parts->iov_len)};
  *count = 1;
  return &one;
}

#endif
