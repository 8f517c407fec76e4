/* records.h: reading what name servers answer. Internal to core. */
#ifndef TIDE_RECORDS_H
#define TIDE_RECORDS_H

#include "cares.h"
#include "dns.h"

/* The records of that type in a message, for one who drops it. TIDE_DNS_OK; TIDE_DNS_NODATA: there
 * are none; TIDE_DNS_FORMERR; TIDE_DNS_NOMEM. `addresses`: of A and AAAA, as addresses. */
tide_dns_code tide__records_read(tide_dns_answer **answer, const tide__cares *cares,
                                 tide_loop *loop, const unsigned char *bytes, int length, int type,
                                 bool addresses);

#endif
