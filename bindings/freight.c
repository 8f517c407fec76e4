/* freight.c: a count that outlives its state, by a reference for each message. */
#include "freight.h"

#include <stdint.h>
#include <stdlib.h>

#include "runtime.h"

struct tl_freight {
  size_t bytes;      /* atomic, as the next */
  size_t references; /* each message's; and the state's */
};

size_t tl_freight_room(const tl_runtime *rt) {
  size_t limit = tl_memory_most(rt);
  if (limit == SIZE_MAX || rt->freight == NULL) return limit;
  size_t bytes = __atomic_load_n(&rt->freight->bytes, __ATOMIC_RELAXED);
  return bytes < limit ? limit - bytes : 0;
}

bool tl_freight_add(tl_runtime *rt, size_t size, tl_freight **counted) {
  *counted = NULL;
  if (tl_memory_most(rt) == SIZE_MAX) return true;
  if (rt->freight == NULL) {
    rt->freight = malloc(sizeof *rt->freight);
    if (rt->freight == NULL) return false;
    *rt->freight = (tl_freight){.references = 1};
  }
  __atomic_fetch_add(&rt->freight->references, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&rt->freight->bytes, size, __ATOMIC_RELAXED);
  *counted = rt->freight;
  return true;
}

void tl_freight_remove(tl_freight *self, size_t size) {
  if (self == NULL) return;
  __atomic_fetch_sub(&self->bytes, size, __ATOMIC_RELAXED);
  if (__atomic_sub_fetch(&self->references, 1, __ATOMIC_ACQ_REL) == 0) free(self);
}

void tl_freight_end(tl_runtime *rt) {
  tl_freight_remove(rt->freight, 0);
  rt->freight = NULL;
}
