/* lookup_none.c: in place of lookup.c where there was no c-ares to build with: nobody can be asked.
 */
#include <errno.h>

#include "lookup.h"

bool tide_dns_is_there(void) { return false; }

int tide_dns_set_resolv_conf(tide_loop *loop, const char *path) {
  (void)loop, (void)path;
  return TIDE_OS(ENOSYS);
}

int tide__lookup_join(tide_loop *loop, tide_wait *wait, const char *name, int kind) {
  (void)loop, (void)wait, (void)name, (void)kind;
  return TIDE_OS(ENOSYS);
}

void tide__lookup_leave(tide_wait *wait) { (void)wait; }
