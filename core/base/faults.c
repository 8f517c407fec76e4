/* faults.c: which call fails. */
#include "faults.h"

#include <errno.h>

/* Kept out of the functions that make the calls. */
#define COLD __attribute__((cold, noinline))

static const char *const names[] = {
#define NAME(identifier, name) [TIDE_CALL_##identifier] = (name),
    TIDE_CALL_MAP(NAME)
#undef NAME
        [TIDE_CALL_ALLOCATION] = "allocation",
};

const char *tide_call_name(tide_call call) { return names[call]; }

COLD bool tide_faults_strike(tide_faults *faults, tide_call call) {
  faults->cut = false;
  if (faults->at == 0 || faults->call != call || ++faults->made != faults->at) return false;
  faults->cut = faults->error == 0;
  errno = faults->error;
  return faults->error != 0;
}

COLD size_t tide_faults_cut(const tide_faults *faults, size_t size) {
  return (faults->cut || faults->one_byte) && size > 1 ? 1 : size;
}

static void *resize(void *context, void *block, size_t old_size, size_t new_size) {
  tide_faults *faults = context;
  bool asks = new_size > old_size && faults->call == TIDE_CALL_ALLOCATION && faults->at != 0;
  if (asks && ++faults->made == faults->at) return NULL;
  return tide_resize(&faults->allocator, block, old_size, new_size);
}

tide_allocator tide_faults_allocator(tide_faults *faults) {
  return (tide_allocator){.resize = resize, .context = faults};
}
