/* lookup.c: look-ups: the search for a host through name servers and domains, and who waits for it.
 */
#include "lookup.h"

#include <netdb.h>
#include <stdio.h>
#include <strings.h>

#include "../sched/park.h"
#include "answer.h"
#include "records.h"
#include "resolver.h"

enum { NAME_MOST = 1024 }; /* bytes of a name as it is written, with its end (RFC 1035: 255) */

/* A look-up: of a host's addresses, for which up to two questions are under way at a time, or of
 * one type of records. */

static const tide_time PATIENCE = 50 * 1000000; /* for the second family, when the first has come */

typedef struct lookup lookup;

typedef struct part {
  lookup *lookup;
  tide__question *question; /* under way, or NULL */
  int type;                 /* 0: not wanted */
  tide_dns_code code;       /* how it has ended */
  tide_dns_answer *answer;  /* or NULL */
} part;

struct lookup {
  tide_list link;    /* among the resolver's */
  tide_list waiters; /* tide_wait */
  tide__resolver *resolver;
  tide__names *names;
  int kind;           /* what is looked up: a family, or -type */
  part parts[2];      /* records alone have one */
  tide_timer timer;   /* until when the second part is waited for */
  int candidate;      /* of the names that are tried in turn */
  bool asking;        /* questions are being asked: what ends meanwhile is looked at after */
  tide_defer begin;   /* asks, at the end of the turn */
  tide_dns_code code; /* what candidates so far have come to; TIDE_DNS_OK: none */
  char name[];        /* as it was asked for */
};

static void lookup_free(lookup *self) {
  tide_loop *loop = self->resolver->loop;
  tide_list_remove(&self->link);
  tide_defer_cancel(&self->begin);
  tide_timer_stop(&self->timer, loop);
  for (int i = 0; i < 2; i++) {
    tide__question_forget(self->parts[i].question);
    tide_dns_answer_drop(self->parts[i].answer);
  }
  tide__names_unref(self->names);
  tide_free(&loop->allocator, self, sizeof *self + strlen(self->name) + 1);
}

/* Waiting for it. */

void tide__lookup_leave(tide_wait *wait) {
  lookup *self = wait->source;
  tide__wait_unlink(wait);
  tide_loop_release(self->resolver->loop);
  if (tide_list_empty(&self->waiters)) lookup_free(self);
}

static void finish(lookup *self, tide_dns_code code, tide_dns_answer *answer) {
  tide_loop *loop = self->resolver->loop;
  tide_list waiters;
  tide_list_init(&waiters);
  tide_list_splice(&waiters, &self->waiters);
  lookup_free(self);
  while (!tide_list_empty(&waiters)) {
    tide_wait *wait = tide_container(tide_list_shift(&waiters), tide_wait, in.link);
    tide_loop_release(loop);
    tide__wait_end(wait, tide__dns_tell(wait, code, answer));
  }
  tide_dns_answer_drop(answer);
}

/* The names that are tried in turn (resolv.conf(5): search, ndots). */

static int dots_of(const char *name) {
  int dots = 0;
  for (; *name != '\0'; name++) dots += *name == '.';
  return dots;
}

static bool is_complete(const lookup *self) {
  size_t length = strlen(self->name);
  return self->kind < 0 || length == 0 || self->name[length - 1] == '.';
}

/* The one that is to be tried now; false: there is none left. */
static bool candidate_name(const lookup *self, char name[NAME_MOST]) {
  const tide__names *names = self->names;
  bool complete = is_complete(self), first = complete || dots_of(self->name) >= names->ndots;
  int at = self->candidate - (first ? 1 : 0);
  const char *domain = "";
  if (at >= 0 && complete) return false;
  if (at >= names->domain_count + (first ? 0 : 1)) return false;
  if (at >= 0 && at < names->domain_count) domain = names->domains[at];
  if (strcmp(domain, ".") == 0) domain = "";
  bool fits = (size_t)snprintf(name, NAME_MOST, *domain != '\0' ? "%s.%s" : "%s", self->name,
                               domain) < NAME_MOST;
  if (!fits) *name = '\0';
  return true;
}

/* Asking. */

static void ask(lookup *self);

static bool is_settled(const part *self) { return self->question == NULL; }

static bool has_answer(const lookup *self) {
  return self->parts[0].answer != NULL || self->parts[1].answer != NULL;
}

/* The worse of what the parts have ended with: what is not known is no absence. */
static tide_dns_code code_of(const lookup *self) {
  tide_dns_code code = TIDE_DNS_NXDOMAIN;
  for (int i = 0; i < 2; i++) {
    const part *at = &self->parts[i];
    if (at->type == 0 || at->code == TIDE_DNS_NXDOMAIN) continue;
    if (code == TIDE_DNS_NXDOMAIN || at->code != TIDE_DNS_NODATA) code = at->code;
  }
  return code;
}

static void found(lookup *self) {
  part *parts = self->parts;
  tide_dns_answer *answer = parts[0].answer;
  if (self->kind < 0) {
    parts[0].answer = NULL;
  } else {
    answer = tide__answer_join(self->resolver->loop, parts[0].answer, parts[1].answer);
  }
  finish(self, answer != NULL ? TIDE_DNS_OK : TIDE_DNS_NOMEM, answer);
}

/* As in glibc: the first answer that says more than that the name is not there. */
static void note(lookup *self, tide_dns_code code) {
  if (self->code == TIDE_DNS_OK || self->code == TIDE_DNS_NXDOMAIN) self->code = code;
}

/* All parts that are waited for have ended. */
static void settle(lookup *self) {
  if (has_answer(self)) {
    found(self);
    return;
  }
  tide_dns_code code = code_of(self);
  if (code == TIDE_DNS_NOMEM) {
    finish(self, code, NULL);
    return;
  }
  note(self, code);
  self->candidate++;
  if (code == TIDE_DNS_TIMEOUT)
    self->candidate = INT32_MAX / 2; /* others would not be answered either */
  ask(self);
}

static void patience_ends(tide_timer *timer) { found(tide_container(timer, lookup, timer)); }

/* What is to be done now that something has come. */
static void look(lookup *self) {
  bool one = is_settled(&self->parts[0]), other = is_settled(&self->parts[1]);
  if (self->asking || (!one && !other)) return;
  if (one && other) {
    settle(self);
  } else if (has_answer(self) && !tide_timer_armed(&self->timer)) {
    tide_loop *loop = self->resolver->loop;
    if (tide_timer_start(&self->timer, loop, tide_loop_after(loop, PATIENCE)) != TIDE_OK)
      found(self);
  }
}

static tide_dns_code part_read(void *context, const unsigned char *bytes, int length) {
  part *self = context;
  const lookup *owner = self->lookup;
  return tide__records_read(&self->answer, &owner->resolver->cares, owner->resolver->loop, bytes,
                            length, self->type, owner->kind >= 0);
}

static void part_ended(void *context, tide_dns_code code) {
  part *self = context;
  self->question = NULL;
  self->code = code;
  look(self->lookup);
}

static const tide__asker asker = {.read = part_read, .ended = part_ended};

/* Asks for the candidates in turn, until one is under way, or none is left. */
static void ask(lookup *self) {
  char name[NAME_MOST];
  if (!candidate_name(self, name)) {
    finish(self, self->code, NULL);
    return;
  }
  tide_timer_stop(&self->timer, self->resolver->loop);
  self->asking = true;
  for (int i = 0; i < 2; i++) {
    part *at = &self->parts[i];
    if (at->type == 0) continue;
    tide_dns_code code =
        *name == '\0' ? TIDE_DNS_NXDOMAIN
                      : tide__question_ask(&at->question, self->names, name, at->type, &asker, at);
    if (code != TIDE_DNS_OK) at->code = code;
  }
  self->asking = false;
  look(self);
}

static void begin(tide_defer *defer) { ask(tide_container(defer, lookup, begin)); }

static bool is_equal(const lookup *self, const char *name, int kind) {
  return self->kind == kind && strcasecmp(self->name, name) == 0;
}

static lookup *find(const tide__resolver *resolver, const char *name, int kind) {
  const tide_list *list = &resolver->lookups;
  for (tide_list *link = list->next; link != list; link = link->next) {
    lookup *at = tide_container(link, lookup, link);
    if (is_equal(at, name, kind)) return at;
  }
  return NULL;
}

static lookup *lookup_new(tide__resolver *resolver, tide__names *names, const char *name,
                          int kind) {
  size_t size = strlen(name) + 1;
  lookup *self = tide_alloc(&resolver->loop->allocator, sizeof *self + size);
  if (self == NULL) return NULL;
  *self = (lookup){.resolver = resolver, .names = tide__names_ref(names), .kind = kind};
  memcpy(self->name, name, size);
  tide_list_init(&self->waiters);
  tide_timer_init(&self->timer, patience_ends);
  tide_defer_init(&self->begin, begin);
  if (kind != AF_INET6) self->parts[0].type = kind < 0 ? -kind : TIDE_DNS_A;
  if (kind == AF_INET6 || kind == AF_UNSPEC) self->parts[1].type = TIDE_DNS_AAAA;
  self->parts[0].lookup = self->parts[1].lookup = self;
  tide_list_append(&resolver->lookups, &self->link);
  return self;
}

/* The hosts file's addresses of one family: how many of them were put into `list`. */
static size_t hosts_of(tide__names *names, const char *name, int family, tide_address *list,
                       size_t most) {
  const tide__cares *cares = &names->resolver->cares;
  struct hostent *host = NULL;
  size_t count = 0;
  if (cares->ares_gethostbyname_file(names->system, name, family, &host) != ARES_SUCCESS) return 0;
  for (char **at = host->h_addr_list; *at != NULL && count < most; at++) {
    tide_address *address = &list[count++];
    *address = (tide_address){.as.any.sa_family = (sa_family_t)family};
    if (family == AF_INET) {
      memcpy(&address->as.ipv4.sin_addr, *at, sizeof address->as.ipv4.sin_addr);
      address->length = sizeof address->as.ipv4;
    } else {
      memcpy(&address->as.ipv6.sin6_addr, *at, sizeof address->as.ipv6.sin6_addr);
      address->length = sizeof address->as.ipv6;
    }
  }
  cares->ares_free_hostent(host);
  return count;
}

/* TIDE_DNS_NODATA: the file does not know it. */
static tide_dns_code look_into_hosts(tide__names *names, const char *name, int family,
                                     tide_dns_answer **answer) {
  enum { MOST = 16 }; /* of each family */
  tide_address list[2 * MOST];
  char plain[NAME_MOST];
  size_t count = 0, length = strlen(name);
  if (length >= sizeof plain) return TIDE_DNS_NODATA;
  memcpy(plain, name, length + 1);
  if (length > 0 && plain[length - 1] == '.') plain[length - 1] = '\0';
  if (family != AF_INET) count += hosts_of(names, plain, AF_INET6, list, MOST);
  if (family != AF_INET6) count += hosts_of(names, plain, AF_INET, list + count, MOST);
  if (count == 0) return TIDE_DNS_NODATA;
  tide__addresses_sort(names->resolver->loop, list, count);
  *answer = tide__answer_of(names->resolver->loop, list, count);
  return *answer != NULL ? TIDE_DNS_OK : TIDE_DNS_NOMEM;
}

bool tide_dns_is_there(void) { return true; }

int tide_dns_set_resolv_conf(tide_loop *loop, const char *path) {
  tide__resolver *resolver;
  int error = tide__resolver_of(&resolver, loop);
  return error == TIDE_OK ? tide__resolver_set_file(resolver, path) : error;
}

/* Joins the look-up, or begins it. The wait's ops are set. */
static int join(tide__resolver *resolver, tide__names *names, tide_wait *wait, const char *name,
                int kind) {
  lookup *self = find(resolver, name, kind);
  if (self == NULL) self = lookup_new(resolver, names, name, kind);
  if (self == NULL) return TIDE_ENOMEM;
  if (tide_list_empty(&self->waiters)) tide_defer_start(&self->begin, resolver->loop);
  wait->source = self;
  tide_list_append(&self->waiters, &wait->in.link);
  tide_loop_hold(resolver->loop);
  return TIDE_PENDING;
}

int tide__lookup_join(tide_loop *loop, tide_wait *wait, const char *name, int kind) {
  tide__resolver *resolver;
  tide__names *names;
  tide_dns_answer *answer = NULL;
  int error = tide__resolver_of(&resolver, loop);
  if (error == TIDE_OK) error = tide__names_of(&names, resolver);
  if (error != TIDE_OK) return error;
  tide_dns_code code = kind >= 0 ? look_into_hosts(names, name, kind, &answer) : TIDE_DNS_NODATA;
  error = code == TIDE_DNS_NODATA ? join(resolver, names, wait, name, kind)
                                  : tide__dns_tell(wait, code, answer);
  tide_dns_answer_drop(answer);
  tide__names_unref(names);
  return error;
}

void tide__lookups_drop(tide__resolver *resolver) {
  while (!tide_list_empty(&resolver->lookups)) {
    lookup *self = tide_container(resolver->lookups.next, lookup, link);
    while (!tide_list_empty(&self->waiters)) tide_list_shift(&self->waiters);
    lookup_free(self);
  }
}
