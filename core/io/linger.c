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

#include "descriptor.h"
#include "stream.h"

enum {
  DROP_AT_ONCE = 16 * 1024, /* bytes */
  DROP_MOST = 64 * 1024,    /* after all was taken; and at one time */
};

static void set_at_stake(tide__outbox *self, bool at_stake) {
  if (at_stake != self->at_stake) self->shared->lingering_count += at_stake ? 1 : SIZE_MAX;
  self->at_stake = at_stake;
}

static bool is_sending(const tide__outbox *self) { return tide_buffer_size(&self->bytes) > 0; }

static void leave_input(tide_wait *wait) {
  tide__outbox *self = tide_container(wait, tide__outbox, input);
  if (self->reading) self->transport->ops->leave(self->transport, wait);
  self->reading = false;
}

/* Who got a part of what was written must not take it for the whole. */
static void linger_finish(tide__outbox *self) {
  set_at_stake(self, false);
  tide__outbox_stop(self);
  leave_input(&self->input);
  self->transport->ops->close(self->transport, is_sending(self));
  tide__outbox_free(self);
}

/* Reads what has come. TIDE_PENDING: that was all, for now; TIDE_ELIMIT: there is more than that;
 * TIDE_EEOF; TIDE_OS(...). */
static int drop_input(tide_transport *transport, size_t most, size_t *dropped) {
  char nowhere[DROP_AT_ONCE];
  for (size_t from = *dropped; *dropped - from < most;) {
    size_t got = 0;
    int result = tide__transport_read(transport, nowhere, sizeof nowhere, &got);
    if (result != TIDE_OK) return result;
    *dropped += got;
  }
  return TIDE_ELIMIT;
}

/* Tells the end. TIDE_PENDING: more may come; else the descriptor may be closed. */
static int shut(tide_transport *transport, tide_farewell farewell, size_t *dropped) {
  bool both = farewell == TIDE_FAREWELL_SHUT;
  int error = transport->ops->end(transport, both);
  if (error != TIDE_OK) return error;
  int result = drop_input(transport, both ? SIZE_MAX : DROP_MOST, dropped);
  return result == TIDE_ELIMIT && transport->ops->untaken(transport) > 0 ? TIDE_PENDING : result;
}

static int wait_for_input(tide__outbox *self, int more) {
  int error = self->transport->ops->wait(self->transport, &self->input, TIDE_READABLE | more);
  self->reading = error == TIDE_OK;
  return error;
}

/* Nothing but the other end's end is waited for now. */
static void part(tide__outbox *self) {
  set_at_stake(self, self->some_came);
  int error = self->reading ? TIDE_OK : wait_for_input(self, 0);
  if (error == TIDE_OK) error = tide__outbox_watch(self);
  if (error != TIDE_OK) linger_finish(self);
}

static void all_sent(tide__outbox *self) {
  size_t dropped = 0;
  int result = self->farewell != TIDE_FAREWELL_NONE
                   ? shut(self->transport, (tide_farewell)self->farewell, &dropped)
                   : TIDE_EEOF;
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
  leave_input(&self->input);
  int error = wait_for_input(self, TIDE_UNAWAITED);
  if (error == TIDE_OK) tide_buffer_term(&self->bytes, &self->shared->loop->allocator);
  return error;
}

static void linger_give_up(tide__outbox *self) {
  bool can_tell = self->farewell != TIDE_FAREWELL_SHUT;
  if (!is_sending(self) || can_tell || hold(self) != TIDE_OK) linger_finish(self);
}

static const tide__outbox_ops linger_ops = {.progress = progress, .stuck = linger_give_up};

static void input_came(tide_wait *wait, int outcome) {
  size_t dropped = 0;
  tide__outbox *self = tide_container(wait, tide__outbox, input);
  self->reading = false;
  if (outcome == TIDE_OK && !self->held) outcome = drop_input(self->transport, DROP_MOST, &dropped);
  if (dropped > 0) self->some_came = true;
  if (outcome == TIDE_EEOF && is_sending(self)) return;
  if (outcome != TIDE_PENDING && outcome != TIDE_ELIMIT) { /* also where it is held */
    linger_finish(self);
    return;
  }
  bool taken = !is_sending(self) && self->transport->ops->untaken(self->transport) == 0;
  if (taken) self->dropped += dropped;
  if (!is_sending(self)) set_at_stake(self, self->some_came);
  if (self->dropped >= DROP_MOST || wait_for_input(self, 0) != TIDE_OK) linger_finish(self);
}

static const tide_wait_ops input_ops = {
    .name = "close", .abandon = leave_input, .ended = input_came};

static void adopt(tide__outbox *self, tide_transport *transport, tide_farewell farewell) {
  tide_list_remove(&self->link);
  tide_list_append(&self->shared->lingering, &self->link);
  self->transport = tide__transport_move(transport, &self->own);
  self->stream = NULL;
  self->ops = &linger_ops;
  self->farewell = (uint8_t)farewell;
  self->input = (tide_wait){.ops = &input_ops, .source = self};
}

void tide__linger(tide_transport *transport, tide__outbox *self) {
  adopt(self, transport, transport->ops->farewell(transport));
  set_at_stake(self, true);
  int error = tide__outbox_start(self);
  if (error == TIDE_OK && self->farewell != TIDE_FAREWELL_NONE) error = wait_for_input(self, 0);
  bool patient = error == TIDE_OK && !tide__outbox_is_stuck(self);
  if (patient) error = tide__outbox_watch(self);
  if (error != TIDE_OK || !patient) linger_give_up(self);
}

/* Whether it is to stay for a while, having been told the end. */
static bool must_linger(tide_transport *transport, tide_farewell farewell, bool wrote,
                        size_t *dropped) {
  bool nothing = !wrote && !transport->ops->tells;
  if (farewell == TIDE_FAREWELL_NONE || (farewell == TIDE_FAREWELL_LINGER && nothing)) return false;
  return shut(transport, farewell, dropped) == TIDE_PENDING;
}

void tide__part(tide_loop *loop, tide_transport *transport, bool wrote) {
  size_t dropped = 0;
  tide_farewell farewell = transport->ops->farewell(transport);
  tide__outbox *self = must_linger(transport, farewell, wrote, &dropped)
                           ? tide__outbox_new(loop, NULL, &linger_ops)
                           : NULL;
  if (self == NULL) {
    transport->ops->close(transport, false);
    return;
  }
  adopt(self, transport, farewell);
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
