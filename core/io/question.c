/* question.c: one question, put to one name server after the other until one knows. */
#include <sys/random.h>

#include "resolver.h"

struct tide__question {
  tide__names *names;
  const tide__asker *asker; /* NULL: nobody wants to know any more */
  void *context;
  unsigned char *bytes; /* the message; c-ares's */
  int length;
  int first;          /* with which server it has begun */
  int asked;          /* how many times it was asked */
  unsigned out;       /* of those, how many servers may still answer */
  tide_timer timer;   /* until when the last one is waited for; c-ares's own time is the real one */
  tide_dns_code code; /* what it ends with where nobody knows better */
};

enum { HEADER = 12 }; /* bytes of a message before its question (RFC 1035, 4.1.1) */

static void free_if_last(tide__question *self) {
  tide__names *names = self->names;
  tide__resolver *resolver = names->resolver;
  if (self->asker != NULL || self->out > 0) return;
  tide_timer_stop(&self->timer, resolver->loop);
  resolver->cares.ares_free_string(self->bytes);
  tide_free(&resolver->loop->allocator, self, sizeof *self);
  tide__names_unref(names);
}

/* Late answers are still to come, perhaps. */
static void end(tide__question *self, tide_dns_code code) {
  const tide__asker *asker = self->asker;
  void *context = self->context;
  tide__question_forget(self);
  asker->ended(context, code);
}

static unsigned char lower(unsigned char c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; }

/* Whether it is an answer, and to this. Names may come back in other letters. */
static bool answers(const tide__question *self, const unsigned char *answer, int length) {
  if (length < self->length || !(answer[2] & 0x80) || answer[4] != 0 || answer[5] != 1)
    return false;
  for (int i = HEADER; i < self->length; i++)
    if (lower(answer[i]) != lower(self->bytes[i])) return false;
  return true;
}

/* What the server said (RFC 1035, 4.1.1, RCODE). */
static tide_dns_code read_answer(tide__question *self, const unsigned char *answer, int length) {
  enum { NO_ERROR = 0, FORMAT_ERROR = 1, NAME_ERROR = 3, REFUSED = 5 };
  if (length < HEADER) return TIDE_DNS_FORMERR;
  int rcode = answer[3] & 0x0f;
  if (rcode == REFUSED) return TIDE_DNS_REFUSED;
  if (rcode == FORMAT_ERROR) return TIDE_DNS_FORMERR;
  if (rcode != NO_ERROR && rcode != NAME_ERROR) return TIDE_DNS_SERVFAIL;
  if (!answers(self, answer, length)) return TIDE_DNS_FORMERR;
  if (rcode == NAME_ERROR) return TIDE_DNS_NXDOMAIN;
  return self->asker->read(self->context, answer, length);
}

static bool is_final(tide_dns_code code) {
  return code == TIDE_DNS_OK || code == TIDE_DNS_NODATA || code == TIDE_DNS_NXDOMAIN;
}

static tide_dns_code code_of(tide__question *self, int status, const unsigned char *answer,
                             int length) {
  if (status == ARES_SUCCESS) return read_answer(self, answer, length);
  bool short_of_memory = status == ARES_ENOMEM || status == ARES_ECANCELLED;
  return short_of_memory ? TIDE_DNS_NOMEM : TIDE_DNS_TIMEOUT;
}

static void ask_next(tide__question *self);

/* One has not known, or not answered; what a server said says more than another one's silence. */
static void go_on(tide__question *self, tide_dns_code code) {
  if (code != TIDE_DNS_TIMEOUT || self->code == TIDE_DNS_OK) self->code = code;
  ask_next(self);
}

/* The answer of a server that was given up is welcome, and its failure nothing new. */
static void on_answer(void *context, int number, int status, const unsigned char *answer,
                      int length) {
  tide__question *self = context;
  self->out--;
  if (self->asker == NULL) {
    free_if_last(self);
    return;
  }
  tide_dns_code code = code_of(self, status, answer, length);
  if (is_final(code) || code == TIDE_DNS_NOMEM)
    end(self, code);
  else if (number == self->asked)
    go_on(self, code);
}

static void timed_out(tide_timer *timer) {
  go_on(tide_container(timer, tide__question, timer), TIDE_DNS_TIMEOUT);
}

static void ask_next(tide__question *self) {
  const tide__names *names = self->names;
  tide_loop *loop = names->resolver->loop;
  tide_timer_stop(&self->timer, loop);
  if (self->asked == names->count * names->tries) {
    end(self, self->code);
    return;
  }
  int at = (self->first + self->asked++) % names->count;
  if (tide_timer_start(&self->timer, loop, tide_loop_after(loop, names->timeout)) != TIDE_OK) {
    end(self, TIDE_DNS_NOMEM);
    return;
  }
  self->out++;
  tide__server_ask(names->servers[at], self->bytes, self->length, on_answer, self, self->asked);
}

tide_dns_code tide__question_ask(tide__question **question, tide__names *names, const char *name,
                                 int type, const tide__asker *asker, void *context) {
  tide__resolver *resolver = names->resolver;
  uint16_t id = 0;
  tide__question *self = tide_alloc(&resolver->loop->allocator, sizeof *self);
  if (self == NULL) return TIDE_DNS_NOMEM;
  *self = (tide__question){.asker = asker, .context = context};
  if (getrandom(&id, sizeof id, 0) < 0) id = (uint16_t)(uintptr_t)self;
  int status =
      resolver->cares.ares_create_query(name, 1, type, id, 1, &self->bytes, &self->length, 0);
  if (status != ARES_SUCCESS || names->count == 0) {
    if (status == ARES_SUCCESS) resolver->cares.ares_free_string(self->bytes);
    tide_free(&resolver->loop->allocator, self, sizeof *self);
    if (status == ARES_ENOMEM) return TIDE_DNS_NOMEM;
    return status == ARES_SUCCESS ? TIDE_DNS_TIMEOUT : TIDE_DNS_NXDOMAIN; /* no name can be so */
  }
  self->names = tide__names_ref(names);
  tide_timer_init(&self->timer, timed_out);
  if (names->rotates) self->first = names->next++ % names->count;
  *question = self;
  ask_next(self);
  return TIDE_DNS_OK;
}

void tide__question_forget(tide__question *self) {
  if (self == NULL) return;
  self->asker = NULL;
  tide_timer_stop(&self->timer, self->names->resolver->loop);
  free_if_last(self);
}
