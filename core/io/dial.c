/* dial.c: attempts to connect, beside each other. */
#include "dial.h"

#include "../sched/park.h"
#include "lookup.h"
#include "private.h"
#include "sys.h"

static const tide_time DELAY = 250 * 1000000;     /* RFC 8305, 8 */
static const tide_time UNIX_PAUSE = 10 * 1000000; /* until a full backlog is tried again */

static void give_up(tide_dial *self);

/* The end. Who waits for it is told last: it may be gone then. */
static void finish(tide_dial *self, int result) {
  self->result = result;
  give_up(self);
  while (!tide_list_empty(&self->waiters)) tide__park_wake(&self->waiters, result);
}

/* Attempts. */

/* It has ended. Whether it has won. */
static bool attempt_settle(tide_dial_attempt *self, int result) {
  self->result = result;
  if (result == TIDE_OK) self->dial->fd = tide_connect_take(&self->connect);
  tide_connect_term(&self->connect);
  if (result != TIDE_OK) return false;
  finish(self->dial, TIDE_OK);
  return true;
}

static void attempt_ready(tide_wait *wait, int outcome);

static const tide_wait_ops attempt_ops = {
    .name = "connect", .abandon = tide__fd_leave, .ended = attempt_ready};

/* TIDE_PENDING: it is waited for. */
static int attempt_look(tide_dial_attempt *self) {
  int result = tide__connect_look(&self->connect);
  if (result != TIDE_PENDING) return result;
  self->wait = (tide_wait){.ops = &attempt_ops, .source = &self->connect.fd};
  result = self->connect.result == -EAGAIN
               ? tide__fd_rest(&self->connect.fd, &self->wait, TIDE_WRITABLE, UNIX_PAUSE)
               : tide__fd_wait(&self->connect.fd, &self->wait, TIDE_WRITABLE);
  return result == TIDE_OK ? TIDE_PENDING : result;
}

static void set_port(tide_address *address, uint16_t port) {
  if (address->as.any.sa_family == AF_INET)
    address->as.ipv4.sin_port = htons(port);
  else if (address->as.any.sa_family == AF_INET6)
    address->as.ipv6.sin6_port = htons(port);
}

/* Where to connect from, to an address of that family; NULL: as the system chooses. */
static const tide_address *source_of(const tide_dial *self, sa_family_t family,
                                     tide_address *source) {
  if (family == AF_UNIX || (self->options.local == NULL && self->options.local_port == 0))
    return NULL;
  *source = self->from;
  if (self->options.local == NULL) {
    *source = (tide_address){.as.any.sa_family = family};
    source->length = family == AF_INET ? sizeof source->as.ipv4 : sizeof source->as.ipv6;
  }
  set_port(source, self->options.local_port);
  return source;
}

static int attempt_begin(tide_dial_attempt *self) {
  const tide_dial *dial = self->dial;
  tide_address address = self->connect.address, source;
  const tide_connect_options options = {
      .local = source_of(dial, address.as.any.sa_family, &source),
      .nagle = dial->options.nagle,
  };
  int error = tide_connect_start(&self->connect, dial->loop, &address, &options);
  return error == TIDE_OK ? attempt_look(self) : error;
}

/* Without a timer the next one begins when this one has failed. */
static void set_timer(tide_dial *self) {
  tide_time when = tide_loop_after(self->loop, self->options.delay);
  if (self->begun == self->count || tide_timer_armed(&self->timer)) return;
  if (tide_timer_start(&self->timer, self->loop, when) != TIDE_OK) return;
}

/* One has failed, or is slow: begins the next, and those after it as long as they fail at once. */
static void advance(tide_dial *self) {
  while (self->begun < self->count) {
    tide_dial_attempt *next = &self->attempts[self->begun++];
    int result = attempt_begin(next);
    if (result == TIDE_PENDING) {
      next->result = TIDE_PENDING;
      self->running++;
      set_timer(self);
      return;
    }
    if (attempt_settle(next, result)) return;
  }
  if (self->running == 0) finish(self, self->attempts[self->count - 1].result);
}

static void attempt_ready(tide_wait *wait, int outcome) {
  tide_dial_attempt *self = tide_container(wait, tide_dial_attempt, wait);
  tide_dial *dial = self->dial;
  self->connect.waited = true;
  int result = outcome == TIDE_OK ? attempt_look(self) : outcome;
  if (result == TIDE_PENDING) return;
  dial->running--;
  if (attempt_settle(self, result)) return;
  tide_timer_stop(&dial->timer, dial->loop);
  advance(dial);
}

static void delay_over(tide_timer *timer) { advance(tide_container(timer, tide_dial, timer)); }

/* Addresses. */

static bool is_wanted(const tide_dial *self, const tide_address *address) {
  return self->options.local == NULL || self->from.as.any.sa_family == address->as.any.sa_family;
}

/* The first from `at` on that is wanted, and whose family is that of the first of all, or not. */
static size_t find(const tide_dial *self, const tide_dns_answer *list, size_t at, bool same) {
  sa_family_t family = list->addresses[0].as.any.sa_family;
  for (; at < list->count; at++) {
    const tide_address *address = &list->addresses[at];
    if ((address->as.any.sa_family == family) == same && is_wanted(self, address)) break;
  }
  return at;
}

static void add_attempt(tide_dial *self, const tide_address *address) {
  tide_dial_attempt *attempt = &self->attempts[self->count++];
  *attempt = (tide_dial_attempt){.dial = self};
  attempt->connect = (tide_connect){.fd.fd = -1, .address = *address};
  set_port(&attempt->connect.address, self->port);
}

/* One to the first, then to one of each family in turn (RFC 8305, 4). */
static int make_attempts(tide_dial *self, const tide_dns_answer *list) {
  size_t at[] = {find(self, list, 0, true), find(self, list, 0, false)};
  self->room = list->count;
  self->attempts = tide_alloc(&self->loop->allocator, self->room * sizeof *self->attempts);
  if (self->attempts == NULL) return TIDE_ENOMEM;
  for (bool same = true; at[0] < list->count || at[1] < list->count; same = !same) {
    size_t *next = &at[same ? 0 : 1];
    if (*next == list->count) continue;
    add_attempt(self, &list->addresses[*next]);
    *next = find(self, list, *next + 1, same);
  }
  return self->count > 0 ? TIDE_OK : TIDE_OS(EAFNOSUPPORT); /* none is of the family of `from` */
}

static void begin(tide_dial *self, int error, const tide_dns_answer *list) {
  if (error == TIDE_OK) error = make_attempts(self, list);
  if (error == TIDE_OK)
    advance(self);
  else
    finish(self, error);
}

static void found(tide_dial *self, int outcome) {
  const tide_dns_answer *list = outcome == TIDE_OK ? self->lookup.value.pointer : NULL;
  if (outcome == TIDE_EDNS) self->code = (tide_dns_code)self->lookup.value.integer;
  begin(self, outcome, list);
  tide_dns_answer_drop(list);
}

static void lookup_ended(tide_wait *wait, int outcome) {
  tide_dial *self = tide_container(wait, tide_dial, lookup);
  self->looking = false;
  found(self, outcome);
}

static const tide_wait_ops lookup_ops = {
    .name = "connect", .abandon = tide__lookup_leave, .ended = lookup_ended};

static void look_up(tide_dial *self, const char *host) {
  self->lookup = (tide_wait){.ops = &lookup_ops};
  int result = tide__dns_start(self->loop, &self->lookup, host, self->options.family);
  self->looking = result == TIDE_PENDING;
  if (!self->looking) found(self, result);
}

static void connect_unix(tide_dial *self, const char *host) {
  tide_address address;
  const tide_dns_answer list = {.count = 1, .addresses = &address};
  int error = tide_address_parse(&address, host, 0);
  begin(self, error, error == TIDE_OK ? &list : NULL);
}

/* The whole. */

static void give_up(tide_dial *self) {
  if (self->looking) tide__lookup_leave(&self->lookup);
  self->looking = false;
  tide_timer_stop(&self->timer, self->loop);
  for (size_t i = 0; i < self->begun; i++) {
    tide_dial_attempt *at = &self->attempts[i];
    if (at->result != TIDE_PENDING) continue;
    tide__fd_leave(&at->wait);
    tide_connect_term(&at->connect);
    at->result = TIDE_ECANCELLED;
  }
  self->running = 0;
}

void tide_dial_start(tide_dial *self, tide_loop *loop, const char *host, uint16_t port,
                     const tide_dial_options *options) {
  *self = (tide_dial){.loop = loop, .port = port, .result = TIDE_PENDING, .fd = -1};
  if (options != NULL) self->options = *options;
  if (self->options.local != NULL) self->from = *self->options.local;
  if (self->options.delay == 0) self->options.delay = DELAY;
  tide_list_init(&self->waiters);
  tide_timer_init(&self->timer, delay_over);
  if (strncmp(host, "unix:", 5) == 0)
    connect_unix(self, host);
  else
    look_up(self, host);
}

static const tide_wait_ops wait_ops = {.name = "connect", .abandon = tide__wait_unlink};

int tide_dial_wait(tide_dial *self, tide_task *task) {
  if (!tide__wait_enter(task, &wait_ops, self)) return TIDE_PENDING;
  if (self->result != TIDE_PENDING) return tide__wait_over(task, self->result);
  if (!tide_list_empty(&self->waiters)) return tide__wait_over(task, TIDE_EBUSY);
  return tide__wait_park(task, &self->waiters);
}

int tide_dial_take(tide_dial *self) {
  int fd = self->fd;
  self->fd = -1;
  return fd;
}

void tide_dial_term(tide_dial *self) {
  if (self->loop == NULL) return;
  if (self->result == TIDE_PENDING) finish(self, TIDE_ECLOSED);
  int fd = tide_dial_take(self);
  if (fd >= 0) tide__sys_close(fd);
  tide_free(&self->loop->allocator, self->attempts, self->room * sizeof *self->attempts);
  self->attempts = NULL;
  self->count = self->begun = self->room = 0;
}
