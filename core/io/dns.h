/* dns.h: names of hosts, and what else the Domain Name System knows.
 *
 * Names are looked up as glibc does: the hosts file first, then the name servers of resolv.conf,
 * with its search domains; both are read again when they have changed. Equal look-ups that are
 * under way share one question. It needs c-ares, which is loaded for the first look-up. */
#ifndef TIDE_DNS_H
#define TIDE_DNS_H

#include "../sched/task.h"
#include "address.h"

TIDE_BEGIN_DECLS

/* (waits): see sched/wait.h. */

/* Whether tide was built with c-ares: else only what needs not be asked for is known, and all else
 * fails with TIDE_OS(ENOSYS). */
TIDE_API bool tide_dns_is_there(void);

/* What TIDE_EDNS means. X(identifier, name, message) */
#define TIDE_DNS_CODES(X)                                    \
  X(NODATA, "NODATA", "the name has no such records")        \
  X(NXDOMAIN, "NXDOMAIN", "there is no such name")           \
  X(SERVFAIL, "SERVFAIL", "the name server failed")          \
  X(REFUSED, "REFUSED", "the name server refused to answer") \
  X(TIMEOUT, "TIMEOUT", "no name server answered")           \
  X(FORMERR, "FORMERR", "the name server's answer could not be read")

typedef enum tide_dns_code {
  TIDE_DNS_OK,
#define TIDE_DNS_CODE(identifier, name, message) TIDE_DNS_##identifier,
  TIDE_DNS_CODES(TIDE_DNS_CODE)
#undef TIDE_DNS_CODE
      TIDE_DNS_NOMEM, /* internal to core */
} tide_dns_code;

/* "NXDOMAIN", and what that means, without a full stop. Never NULL; static memory. */
TIDE_API const char *tide_dns_code_name(tide_dns_code code);
TIDE_API const char *tide_dns_code_message(tide_dns_code code);

/* Types of records that tide_dns_query knows. X(identifier, name, number), as the registry of the
 * IANA has them. */
#define TIDE_DNS_TYPES(X) \
  X(A, "A", 1)            \
  X(NS, "NS", 2)          \
  X(CNAME, "CNAME", 5)    \
  X(SOA, "SOA", 6)        \
  X(PTR, "PTR", 12)       \
  X(MX, "MX", 15)         \
  X(TXT, "TXT", 16)       \
  X(AAAA, "AAAA", 28)     \
  X(SRV, "SRV", 33)       \
  X(CAA, "CAA", 257)

typedef enum tide_dns_type {
#define TIDE_DNS_TYPE(identifier, name, number) TIDE_DNS_##identifier = (number),
  TIDE_DNS_TYPES(TIDE_DNS_TYPE)
#undef TIDE_DNS_TYPE
} tide_dns_type;

/* The type of that name ("MX"), or 0. */
TIDE_API tide_dns_type tide_dns_type_of(const char *name);

/* One record. Texts end with a zero, and are the answer's. */
typedef struct tide_dns_record {
  const char *text; /* A, AAAA: the address; NS, CNAME, PTR, MX, SRV: the name; SOA: of the server;
                       CAA: the tag; TXT: its strings, joined */
  const char *more; /* SOA: the mailbox, as a name; CAA: the value; else NULL */
  size_t size;      /* bytes of `text` */
  size_t more_size; /* of `more` */
  uint32_t numbers[5]; /* MX: preference; SRV: priority, weight, port; CAA: flags; SOA: serial,
                          refresh, retry, expire, minimum */
  uint32_t ttl;        /* seconds that it may be kept */
} tide_dns_record;

/* What was found. Counted: look-ups that shared a question share it. In the loop's thread alone. */
typedef struct tide_dns_answer tide_dns_answer;
struct tide_dns_answer {
  size_t count;
  const tide_address *addresses;  /* of tide_dns_resolve, with port 0; else NULL */
  const tide_dns_record *records; /* of tide_dns_query; else NULL */
};

/* Lets go of one. NULL is ignored. Before the loop is freed. */
TIDE_API void tide_dns_answer_drop(const tide_dns_answer *answer);

/* The file that is read in place of /etc/resolv.conf in this loop, from the next look-up on. The
 * path is copied; NULL: that one again. TIDE_OK, TIDE_ENOMEM, TIDE_OS(ENOSYS). */
TIDE_API int tide_dns_set_resolv_conf(tide_loop *loop, const char *path);

/* (waits) The addresses of a host: `family` is AF_INET, AF_INET6, or AF_UNSPEC for both, in the
 * order in which they are to be tried (RFC 6724). Numeric addresses come back as they are;
 * "localhost" and names under it are the loopback addresses, and never asked for (RFC 6761). A dot
 * at the end: the name is complete, and not searched for. Where one family has an answer and the
 * other is silent, that is waited for 50 ms more.
 *
 * TIDE_OK: task->wait.value.pointer is a tide_dns_answer, the caller's to drop, with one address at
 * least. TIDE_EDNS: task->wait.value.integer is the tide_dns_code. TIDE_ENOMEM; TIDE_OS(ENOSYS):
 * c-ares is not there. Cancelled, it leaves others who ask the same alone. */
TIDE_API int tide_dns_resolve(tide_task *task, const char *host, int family);

/* (waits) The records of a name, which is complete and not searched for. As tide_dns_resolve. */
TIDE_API int tide_dns_query(tide_task *task, const char *name, tide_dns_type type);

/* (waits) The names (PTR) of a numeric IPv4 or IPv6 address. The same; TIDE_EMISUSE: it is none. */
TIDE_API int tide_dns_reverse(tide_task *task, const char *address);

TIDE_END_DECLS

#endif
