/* resolver.h: what the system says of name servers, and questions to them. Internal to core. */
#ifndef TIDE_RESOLVER_H
#define TIDE_RESOLVER_H

#include <sys/stat.h>

#include "cares.h"
#include "dns.h"

typedef struct tide__resolver tide__resolver;

/* What resolv.conf(5) said when it was read. Counted: questions that are under way go on with it
 * when it has changed. */
typedef struct tide__names {
  tide__resolver *resolver;
  unsigned refs;       /* of the resolver, of questions and look-ups */
  tide_list link;      /* among all of the resolver's */
  ares_channel system; /* as c-ares has read it */
  tide__server **servers;
  int count;         /* of those */
  int tries;         /* how often each is asked */
  tide_time timeout; /* how long each is waited for */
  int ndots;         /* with so many dots a name is first asked for as it is */
  bool rotates;      /* questions begin with each server in turn */
  int next;          /* with which the next one begins */
  char **domains;    /* where else a name is looked for; c-ares's */
  int domain_count;
  struct ares_options options; /* c-ares's: what `domains` is in */
} tide__names;

/* One per loop. */
struct tide__resolver {
  tide__attachment attachment;
  tide_loop *loop;
  tide__cares cares;
  tide__names *names;     /* the present one, or NULL */
  char *path;             /* of resolv.conf, where it is not the system's; or NULL */
  struct stat file;       /* resolv.conf when that was read; all zero: it was not there */
  tide_list all;          /* tide__names */
  tide_defer free_unused; /* those without a reference */
  tide_list lookups;      /* lookup.c: under way */
};

/* The loop's, made when first asked for. TIDE_OK, TIDE_ENOMEM, TIDE_OS(ENOSYS): there is no c-ares.
 */
int tide__resolver_of(tide__resolver **resolver, tide_loop *loop);

/* Reads that file from now on; NULL: the system's. TIDE_OK, TIDE_ENOMEM. */
int tide__resolver_set_file(tide__resolver *resolver, const char *path);

/* What resolv.conf says now, with a reference for the caller. TIDE_OK, TIDE_ENOMEM. */
int tide__names_of(tide__names **names, tide__resolver *resolver);
tide__names *tide__names_ref(tide__names *names);
void tide__names_unref(tide__names *names);

/* A question is put to one server after the other, until one knows. */
typedef struct tide__question tide__question;

/* Who has asked. */
typedef struct tide__asker {
  /* Reads an answer, whose header says that it is one. TIDE_DNS_OK, TIDE_DNS_NODATA; or
   * TIDE_DNS_FORMERR, TIDE_DNS_NOMEM: the next server is asked. */
  tide_dns_code (*read)(void *context, const unsigned char *answer, int length);
  /* That was it: what `read` said in the end, or why nobody has answered. */
  void (*ended)(void *context, tide_dns_code code);
} tide__asker;

/* Asks for records of that type (RFC 1035, 3.2.2) of a name that is not searched for. `ended` is
 * called once, later or before this returns. */
tide_dns_code tide__question_ask(tide__question **question, tide__names *names, const char *name,
                                 int type, const tide__asker *asker, void *context);

/* Nobody wants to know any more: `asker` is not called again. NULL is ignored. */
void tide__question_forget(tide__question *self);

/* lookup.c: the loop ends. */
void tide__lookups_drop(tide__resolver *resolver);

#endif
