/* linger.c: the end of streams, so that what was written arrives.
 *
 * First what is left is sent, as long as the other end takes something. Then the end is told, and
 * the descriptor stays open a little: closing a TCP socket that has unread input, or gets some
 * afterwards, makes the system drop what it has not sent and reset the connection. So what comes in
 * is read and dropped meanwhile. A unix socket loses nothing, but its peer would find ECONNRESET in
 * place of the end; there input can be shut out before the last of it is dropped.
 *
 * What cannot be sent must not look like all there was. A TCP connection is reset. A unix socket
 * says ECONNRESET to its peer where it is closed with unread input, and not otherwise: so it is
 * held, without its bytes, until there is some, or the peer has gone. */
#include "linger.h"

#include <errno.h>
#include <sys/socket.h>

#include "stream.h"
#include "sys.h"

enum {
  DROP_AT_ONCE = 16 * 1024, /* bytes */
  DROP_MOST = 64 * 1024,    /* after all was taken; and at one time */
};

static void set_at_stake(tide__outbox *self, bool at_stake) {
  if (at_stake != self->at_stake) self->shared->lingering_count += at_stake ? 1 : SIZE_MAX;
  self->at_stake = at_stake;
}

static bool is_sending(const tide__outbox *self) { return tide_buffer_size(&self->bytes) > 0; }

/* Who got a part of what was written must not take it for the whole. */
static void linger_finish(tide__outbox *self) {
  tide_loop *loop = self->own.loop;
  int fd = self->own.fd;
  bool complete = !is_sending(self);
  set_at_stake(self, false);
  tide__outbox_stop(self);
  tide__fd_leave(&self->input);
  tide_fd_term(&self->own);
  if (complete)
    tide__sys_close(fd);
  else
    tide__sys_abort(fd);
  tide__outbox_free(self, loop);
}

/* Reads what has come. TIDE_PENDING: that was all, for now; TIDE_ELIMIT: there is more than that;
 * TIDE_EEOF; TIDE_OS(...). */
static int drop_input(const tide_loop *loop, int fd, size_t most, size_t *dropped) {
  char nowhere[DROP_AT_ONCE];
  for (size_t from = *dropped; *dropped - from < most;) {
    ssize_t got = tide__sys_read(loop, fd, nowhere, sizeof nowhere);
    if (got == -EAGAIN) return TIDE_PENDING;
    if (got <= 0) return got == 0 ? TIDE_EEOF : TIDE_OS((int)-got);
    *dropped += (size_t)got;
  }
  return TIDE_ELIMIT;
}

/* Tells the end. TIDE_PENDING: more may come; else the descriptor may be closed. */
static int shut(const tide_loop *loop, int fd, bool is_tcp, size_t *dropped) {
  int error = tide__sys_shutdown(loop, fd, is_tcp ? SHUT_WR : SHUT_RDWR);
  if (error < 0) return TIDE_OS(-error);
  int result = drop_input(loop, fd, is_tcp ? DROP_MOST : SIZE_MAX, dropped);
  return result == TIDE_ELIMIT && tide__sys_untaken(fd) > 0 ? TIDE_PENDING : result;
}

static int wait_for_input(tide__outbox *self) {
  return tide__fd_wait(&self->own, &self->input, TIDE_READABLE);
}

/* Nothing but the other end's end is waited for now. */
static void part(tide__outbox *self) {
  set_at_stake(self, self->some_came);
  int error = self->own.reader == NULL ? wait_for_input(self) : TIDE_OK;
  if (error == TIDE_OK) error = tide__outbox_watch(self);
  if (error != TIDE_OK) linger_finish(self);
}

static void all_sent(tide__outbox *self) {
  size_t dropped = 0;
  bool is_socket = self->channel == TIDE__SOCKET_CHANNEL;
  int result = is_socket ? shut(self->own.loop, self->own.fd, self->is_tcp, &dropped) : TIDE_EEOF;
  if (dropped > 0) self->some_came = true;
  if (result == TIDE_PENDING)
    part(self);
  else
    linger_finish(self);
}

static void progress(tide__outbox *self, int error) {
  if (error != TIDE_OK)
    linger_finish(self);
  else if (!is_sending(self))
    all_sent(self);
}

/* TIDE_OK: the peer of a unix socket can be told only by what it sends. */
static int hold(tide__outbox *self) {
  self->held = true;
  set_at_stake(self, false);
  tide__outbox_stop(self);
  tide__outbox_unwatch(self);
  tide__fd_leave(&self->input);
  int error = tide__fd_overhear(&self->own, &self->input, TIDE_READABLE);
  if (error == TIDE_OK) tide_buffer_term(&self->bytes, &self->own.loop->allocator);
  return error;
}

static void linger_give_up(tide__outbox *self) {
  bool can_tell = self->is_tcp || self->channel != TIDE__SOCKET_CHANNEL;
  if (!is_sending(self) || can_tell || hold(self) != TIDE_OK) linger_finish(self);
}

static const tide__outbox_ops linger_ops = {.progress = progress, .stuck = linger_give_up};

static void input_came(tide_wait *wait, int outcome) {
  size_t dropped = 0;
  tide__outbox *self = tide_container(wait, tide__outbox, input);
  if (outcome == TIDE_OK && !self->held)
    outcome = drop_input(self->own.loop, self->own.fd, DROP_MOST, &dropped);
  if (dropped > 0) self->some_came = true;
  if (outcome == TIDE_EEOF && is_sending(self)) return;
  if (outcome != TIDE_PENDING && outcome != TIDE_ELIMIT) { /* also where it is held */
    linger_finish(self);
    return;
  }
  bool taken = !is_sending(self) && tide__sys_untaken(self->own.fd) == 0;
  if (taken) self->dropped += dropped;
  if (!is_sending(self)) set_at_stake(self, self->some_came);
  if (self->dropped >= DROP_MOST || wait_for_input(self) != TIDE_OK) linger_finish(self);
}

static const tide_wait_ops input_ops = {
    .name = "close", .abandon = tide__fd_leave, .ended = input_came};

static void adopt(tide__outbox *self, tide_loop *loop, int fd, bool is_tcp) {
  tide_list_remove(&self->link);
  tide_list_append(&self->shared->lingering, &self->link);
  tide_fd_init(&self->own, loop, fd);
  self->fd = self->wait.source = &self->own;
  self->ops = &linger_ops;
  self->is_tcp = is_tcp;
  self->input = (tide_wait){.ops = &input_ops, .source = &self->own};
}

static bool is_tcp_family(int family) { return family == AF_INET || family == AF_INET6; }

void tide__linger(tide_loop *loop, int fd, tide__outbox *self) {
  adopt(self, loop, fd, is_tcp_family(tide__sys_family(fd)));
  set_at_stake(self, true);
  int error = tide__outbox_start(self);
  if (error == TIDE_OK && self->channel == TIDE__SOCKET_CHANNEL) error = wait_for_input(self);
  bool patient = error == TIDE_OK && !tide__outbox_is_stuck(self);
  if (patient) error = tide__outbox_watch(self);
  if (error != TIDE_OK || !patient) linger_give_up(self);
}

void tide__part(tide_loop *loop, int fd, bool wrote) {
  size_t dropped = 0;
  int family = tide__sys_family(fd);
  bool is_tcp = is_tcp_family(family);
  if (family < 0 || (is_tcp && !wrote) || shut(loop, fd, is_tcp, &dropped) != TIDE_PENDING) {
    tide__sys_close(fd);
    return;
  }
  tide__outbox *self = tide__outbox_new(loop, NULL, TIDE__SOCKET_CHANNEL, &linger_ops);
  if (self == NULL) {
    tide__sys_close(fd);
    return;
  }
  adopt(self, loop, fd, is_tcp);
  if (loop->current != NULL) self->origin = tide_scope_outermost(&loop->current->own);
  self->some_came = dropped > 0;
  part(self);
}

/* The end of the loop, or of a run. */

void tide__linger_drop_all(tide__shared *shared) {
  tide_list *all = &shared->lingering;
  while (!tide_list_empty(all)) linger_finish(tide_container(all->next, tide__outbox, link));
}

size_t tide_loop_lingering(const tide_loop *loop) {
  const tide__shared *shared = tide__shared_find(loop);
  return shared != NULL ? shared->lingering_count : 0;
}

/* Whether it is of what is waited for: what came from inside that scope; NULL: from anywhere. */
static bool is_from(const tide__outbox *outbox, const tide_scope *origin) {
  return origin == NULL || outbox->origin == origin;
}

/* Whether something of a closed stream may still be lost. */
static bool is_any_at_stake(const tide__shared *shared, const tide_scope *origin) {
  if (origin == NULL || shared->lingering_count == 0) return shared->lingering_count > 0;
  const tide_list *link = shared->lingering.next;
  for (; link != &shared->lingering; link = link->next) {
    const tide__outbox *outbox = tide_container(link, tide__outbox, link);
    if (outbox->at_stake && outbox->origin == origin) return true;
  }
  return false;
}

/* Whether something can still be sent; looks after what is new. */
static bool is_anything_sent(tide__shared *shared, const tide_scope *origin) {
  bool any = is_any_at_stake(shared, origin);
  for (tide_list *link = shared->sending.next; link != &shared->sending; link = link->next) {
    tide__outbox *outbox = tide_container(link, tide__outbox, link);
    if (!is_from(outbox, origin)) continue;
    if (!outbox->stuck && !tide_timer_armed(&outbox->look))
      outbox->stuck = tide__outbox_watch(outbox) != TIDE_OK;
    if (!outbox->stuck) any = true;
  }
  return any;
}

static void leave_the_rest(tide__shared *shared, const tide_scope *origin) {
  for (tide_list *link = shared->sending.next; link != &shared->sending; link = link->next) {
    tide__outbox *outbox = tide_container(link, tide__outbox, link);
    if (is_from(outbox, origin)) tide__outbox_unwatch(outbox);
  }
  for (tide_list *link = shared->lingering.next, *next; link != &shared->lingering; link = next) {
    tide__outbox *outbox = tide_container(link, tide__outbox, link);
    next = link->next;
    if (is_from(outbox, origin) && !outbox->held && !outbox->at_stake) linger_finish(outbox);
  }
}

static void send_from(tide_loop *loop, const tide_scope *origin) {
  tide__shared *shared = tide__shared_find(loop);
  if (shared == NULL) return;
  int error = TIDE_OK;
  while (error == TIDE_OK && is_anything_sent(shared, origin))
    error = loop->turning ? tide__loop_poll(loop) : tide_loop_turn(loop, true);
  leave_the_rest(shared, origin);
}

void tide_loop_send_all(tide_loop *loop) { send_from(loop, NULL); }

void tide_group_send_all(tide_group *group) { send_from(group->loop, &group->scope); }
