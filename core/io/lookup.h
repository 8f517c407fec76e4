/* lookup.h: what is asked of name servers, for a wait. Internal to core. */
#ifndef TIDE_LOOKUP_H
#define TIDE_LOOKUP_H

#include "dns.h"

/* Looks a name up for a wait, whose ops are set (their `abandon` is tide__lookup_leave), and which
 * is in the look-up where this is TIDE_PENDING. `kind`: a family; or -type, of records. Else as
 * tide_dns_resolve. */
int tide__lookup_join(tide_loop *loop, tide_wait *wait, const char *name, int kind);
void tide__lookup_leave(tide_wait *wait);

/* dns.c: the same for a host, of which something may be known without asking. */
int tide__dns_start(tide_loop *loop, tide_wait *wait, const char *host, int family);

/* dns.c: the outcome of a wait: it gets the answer, with a reference, or why there is none. */
int tide__dns_tell(tide_wait *wait, tide_dns_code code, tide_dns_answer *answer);

#endif
