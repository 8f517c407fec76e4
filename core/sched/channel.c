/* channel.c: messages under a lock; who waits for them is in its own loop, and is told by a post.
 */
#include "channel.h"

#include <pthread.h>

#include "case.h"
#include "park.h"
#include "port.h"
#include "private.h"

/* What of a channel is in one loop: its tasks that wait. Made by the first of these; until the
 * channel or the loop goes. */
typedef struct end {
  tide_channel *channel; /* whose it is */
  tide_loop *loop;       /* where it is */
  tide_port *port;       /* the way there */
  tide_list link;        /* among the channel's; under its lock, as the following */
  size_t receiving;      /* how many are in `receivers` */
  size_t sending;        /* the same of `senders` */
  bool poked;            /* it will look, or is looking, what it can give them */
  unsigned references;   /* its loop's; and one while it is poked */
  struct end *next;      /* of those that are to be poked */
  tide_post poke;        /* has it look */
  tide_list home;        /* among the loop's; its thread's, as the following */
  tide_list receivers;   /* waits, in order */
  tide_list senders;     /* the same; value.pointer: the message */
} end;

struct tide_channel {
  pthread_mutex_t lock; /* of all that is here, but the references */
  uint32_t references;  /* atomic */
  size_t parts;         /* that need the memory: the ends; and one for all references */
  tide_list messages;   /* in order */
  size_t count;         /* how many */
  size_t capacity;      /* there should be no more: but a killed receiver's come back */
  size_t receiving;     /* who waits, in all ends */
  size_t sending;       /* the same */
  bool closed;          /* nothing more comes */
  bool dead;            /* there is no reference any more */
  tide_list ends;       /* where somebody waits or has waited, whose turn it is first */
};

/* What a loop has of all channels. */
typedef struct ends {
  tide__attachment attachment; /* in the loop's list */
  tide_list all;               /* of them */
} ends;

/* Messages. */

static void put(tide_channel *channel, tide_message *message) {
  tide_list_append(&channel->messages, &message->link);
  channel->count++;
}

static tide_message *take(tide_channel *channel) {
  channel->count--;
  return tide_container(tide_list_shift(&channel->messages), tide_message, link);
}

/* Locking. */

static void lock(tide_channel *channel) { pthread_mutex_lock(&channel->lock); }

static void unlock(tide_channel *channel) {
  bool last = channel->parts == 0;
  const tide_allocator a = tide_allocator_default();
  pthread_mutex_unlock(&channel->lock);
  if (!last) return;
  pthread_mutex_destroy(&channel->lock);
  tide_free(&a, channel, sizeof *channel);
}

static void unref_end(end *self) {
  if (--self->references > 0) return;
  const tide_allocator a = tide_allocator_default();
  tide_port_unref(self->port);
  self->channel->parts--;
  tide_free(&a, self, sizeof *self);
}

/* Poking. Who changes something under the lock notes which ends should look, and pokes them when it
 * has let go of the lock. */

static void note(tide_channel *channel, end *self, end **pokes) {
  self->poked = true;
  self->references++;
  self->next = *pokes;
  *pokes = self;
  tide_list_remove(&self->link); /* the others are first the next time */
  tide_list_append(&channel->ends, &self->link);
}

/* How many of those that wait could be served now. */

static size_t servable_receivers(const tide_channel *channel) {
  return channel->closed ? channel->receiving : channel->count;
}

static size_t servable_senders(const tide_channel *channel) {
  if (channel->closed) return channel->sending;
  return channel->count < channel->capacity ? channel->capacity - channel->count : 0;
}

/* Sees that so many are in ends that look. */
static end *find_pokes(tide_channel *channel) {
  if (channel->receiving == 0 && channel->sending == 0) return NULL;
  size_t receivers = servable_receivers(channel), senders = servable_senders(channel);
  end *pokes = NULL;
  for (tide_list *link = channel->ends.next; link != &channel->ends; link = link->next) {
    const end *self = tide_container(link, end, link);
    if (!self->poked) continue;
    receivers -= receivers < self->receiving ? receivers : self->receiving;
    senders -= senders < self->sending ? senders : self->sending;
  }
  for (tide_list *link = channel->ends.next, *next; link != &channel->ends; link = next) {
    end *self = tide_container(link, end, link);
    next = link->next;
    bool is_due = (self->receiving > 0 && receivers > 0) || (self->sending > 0 && senders > 0);
    if (self->poked || !is_due) continue;
    receivers -= receivers < self->receiving ? receivers : self->receiving;
    senders -= senders < self->sending ? senders : self->sending;
    note(channel, self, &pokes);
  }
  return pokes;
}

static void serve(end *self);

static void did_not_look(end *self) {
  tide_channel *channel = self->channel;
  lock(channel);
  self->poked = false;
  unref_end(self);
  unlock(channel);
}

/* Once it is posted the end may be gone. */
static void poke(end *self) {
  tide_port *port = tide_port_ref(self->port);
  if (tide_port_post(port, &self->poke) != TIDE_OK) did_not_look(self);
  tide_port_unref(port);
}

/* Those in the loop `here`, whose thread this is, look at once. */
static void poke_all(end *pokes, const tide_loop *here) {
  while (pokes != NULL) {
    end *self = pokes;
    pokes = self->next;
    if (self->loop == here)
      serve(self);
    else
      poke(self);
  }
}

static void unlock_and_poke(tide_channel *channel, const tide_loop *here) {
  end *pokes = find_pokes(channel);
  unlock(channel);
  poke_all(pokes, here);
}

/* Ends. */

/* Takes out the next wait that can be over; NULL: there is none. */
static tide_wait *next_over(end *self, int *outcome) {
  tide_channel *channel = self->channel;
  tide_wait *receiver = tide__park_first(&self->receivers);
  tide_wait *sender = tide__park_first(&self->senders);
  bool receives = receiver != NULL && (channel->count > 0 || channel->closed);
  bool sends = sender != NULL && (channel->count < channel->capacity || channel->closed);
  if (receives) {
    *outcome = channel->count > 0 ? TIDE_OK : TIDE_EEOF;
    if (*outcome == TIDE_OK) receiver->value.pointer = take(channel);
    self->receiving--;
    channel->receiving--;
  } else if (sends) {
    *outcome = channel->closed ? TIDE_ECLOSED : TIDE_OK;
    if (*outcome == TIDE_OK) put(channel, sender->value.pointer);
    self->sending--;
    channel->sending--;
  }
  tide_wait *over = receives ? receiver : sends ? sender : NULL;
  if (over != NULL) tide_list_remove(&over->in.link);
  return over;
}

/* Its loop's reference is to go. */
static void leave_lists(end *self) {
  tide_list_remove(&self->home);
  tide_list_remove(&self->link);
}

/* It was poked, and looks, in its loop's thread. One by one: a wait that is over may take others
 * out of their lists. */
static void serve(end *self) {
  tide_channel *channel = self->channel;
  int outcome;
  lock(channel);
  for (tide_wait *wait; (wait = next_over(self, &outcome)) != NULL; lock(channel)) {
    pthread_mutex_unlock(&channel->lock); /* it stays: this end is a part of it */
    tide_loop_release(self->loop);
    tide__wait_end(wait, outcome);
  }
  self->poked = false;
  if (channel->dead) {
    leave_lists(self);
    self->references--;
  }
  unref_end(self);
  unlock_and_poke(channel, NULL);
}

static void look(tide_post *post) { serve(tide_container(post, end, poke)); }
static void dropped(tide_post *post) { did_not_look(tide_container(post, end, poke)); }

static void term(tide__attachment *attachment, tide_loop *loop) {
  ends *self = tide_container(attachment, ends, attachment);
  for (tide_list *link; (link = tide_list_shift(&self->all)) != NULL;) {
    end *one = tide_container(link, end, home);
    tide_channel *channel = one->channel;
    lock(channel);
    leave_lists(one);
    unref_end(one);
    unlock_and_poke(channel, NULL);
  }
  tide_free(&loop->allocator, self, sizeof *self);
}

static ends *ends_of(tide_loop *loop) {
  tide__attachment *found = tide__attachment_find(loop, term);
  if (found != NULL) return tide_container(found, ends, attachment);
  ends *self = tide_alloc(&loop->allocator, sizeof *self);
  if (self == NULL) return NULL;
  *self = (ends){.attachment.term = term};
  tide_list_init(&self->all);
  tide_list_append(&loop->attachments, &self->attachment.link);
  return self;
}

/* Under the lock. */
static end *find_end(const tide_channel *channel, const tide_loop *loop) {
  for (tide_list *link = channel->ends.next; link != &channel->ends; link = link->next) {
    end *self = tide_container(link, end, link);
    if (self->loop == loop) return self;
  }
  return NULL;
}

/* The same, in the loop's thread; made where there is none. NULL: memory is short. */
static end *end_of(tide_channel *channel, tide_loop *loop) {
  end *self = find_end(channel, loop);
  if (self != NULL) return self;
  ends *all = ends_of(loop);
  if (all == NULL) return NULL;
  const tide_allocator a = tide_allocator_default(); /* as the channel */
  self = tide_alloc(&a, sizeof *self);
  if (self == NULL) return NULL;
  *self = (end){.channel = channel, .loop = loop, .references = 1};
  self->port = tide_port_new(loop);
  tide_post_init(&self->poke, look);
  self->poke.dropped = dropped;
  tide_list_init(&self->receivers);
  tide_list_init(&self->senders);
  tide_list_append(&channel->ends, &self->link);
  tide_list_append(&all->all, &self->home);
  channel->parts++;
  return self;
}

/* Channels. */

tide_channel *tide_channel_new(size_t capacity) {
  const tide_allocator a = tide_allocator_default(); /* whose thread frees it is open */
  tide_channel *channel = tide_alloc(&a, sizeof *channel);
  if (channel == NULL) return NULL;
  *channel = (tide_channel){.references = 1, .parts = 1, .capacity = capacity > 0 ? capacity : 1};
  pthread_mutex_init(&channel->lock, NULL);
  tide_list_init(&channel->messages);
  tide_list_init(&channel->ends);
  return channel;
}

tide_channel *tide_channel_ref(tide_channel *channel) {
  __atomic_fetch_add(&channel->references, 1, __ATOMIC_RELAXED);
  return channel;
}

/* Each end leaves its loop in that one's thread. */
static end *note_all(tide_channel *channel) {
  end *pokes = NULL;
  for (tide_list *link = channel->ends.next, *next; link != &channel->ends; link = next) {
    end *self = tide_container(link, end, link);
    next = link->next;
    if (!self->poked) note(channel, self, &pokes);
  }
  return pokes;
}

void tide_channel_unref(tide_channel *channel) {
  if (__atomic_sub_fetch(&channel->references, 1, __ATOMIC_ACQ_REL) > 0) return;
  tide_list left;
  tide_list_init(&left);
  lock(channel);
  channel->dead = channel->closed = true;
  tide_list_splice(&left, &channel->messages);
  channel->count = 0;
  channel->parts--;
  end *pokes = note_all(channel);
  unlock(channel);
  for (tide_list *link; (link = tide_list_shift(&left)) != NULL;)
    tide_message_free(tide_container(link, tide_message, link));
  poke_all(pokes, NULL);
}

void tide_channel_close(tide_channel *channel) {
  lock(channel);
  channel->closed = true;
  unlock_and_poke(channel, NULL);
}

bool tide_channel_closed(tide_channel *channel) {
  lock(channel);
  bool closed = channel->closed;
  unlock(channel);
  return closed;
}

size_t tide_channel_count(tide_channel *channel) {
  lock(channel);
  size_t count = channel->count;
  unlock(channel);
  return count;
}

/* Sending and receiving, under the lock: TIDE_OK, TIDE_PENDING, or an error. Who waits already has
 * a right to what is there. */

static int send_now(tide_channel *channel, tide_message *message) {
  if (channel->closed) return TIDE_ECLOSED;
  if (servable_senders(channel) <= channel->sending) return TIDE_PENDING;
  put(channel, message);
  return TIDE_OK;
}

static int receive_now(tide_channel *channel, tide_message **message) {
  if (channel->count > channel->receiving) {
    *message = take(channel);
    return TIDE_OK;
  }
  return channel->closed && channel->count == 0 ? TIDE_EEOF : TIDE_PENDING;
}

int tide_channel_try_send(tide_channel *channel, tide_message *message) {
  lock(channel);
  int result = send_now(channel, message);
  unlock_and_poke(channel, NULL);
  return result == TIDE_PENDING ? TIDE_EQUEUE_FULL : result;
}

int tide_channel_try_recv(tide_channel *channel, tide_message **message) {
  lock(channel);
  int result = receive_now(channel, message);
  unlock_and_poke(channel, NULL);
  return result == TIDE_PENDING ? TIDE_EQUEUE_EMPTY : result;
}

/* Waiting. */

static void stop_receiving(tide_wait *wait);
static void stop_sending(tide_wait *wait);

/* The task was killed with a message that it has not seen: it is the first again. */
static void return_received(tide_wait *wait, int outcome) {
  tide_channel *channel = wait->source;
  tide_message *message = wait->value.pointer;
  if (outcome != TIDE_OK) return;
  lock(channel);
  tide_list_prepend(&channel->messages, &message->link);
  channel->count++;
  unlock_and_poke(channel, NULL);
}

static void free_unsent(tide_wait *wait, int outcome) {
  if (outcome != TIDE_OK) tide_message_free(wait->value.pointer);
}

static const tide_wait_ops receive_ops = {
    .name = "Channel.recv", .abandon = stop_receiving, .reject = return_received};
static const tide_wait_ops send_ops = {
    .name = "Channel.send", .abandon = stop_sending, .reject = free_unsent};

static void stop_receiving(tide_wait *wait) {
  tide_channel *channel = wait->source;
  tide_loop *loop = wait->task->loop;
  lock(channel);
  tide_list_remove(&wait->in.link);
  find_end(channel, loop)->receiving--;
  channel->receiving--;
  unlock_and_poke(channel, NULL);
  tide_loop_release(loop);
}

static void stop_sending(tide_wait *wait) {
  tide_channel *channel = wait->source;
  tide_loop *loop = wait->task->loop;
  lock(channel);
  tide_list_remove(&wait->in.link);
  find_end(channel, loop)->sending--;
  channel->sending--;
  unlock_and_poke(channel, NULL);
  tide_loop_release(loop);
}

static int do_now(tide_channel *channel, tide_wait *wait) {
  if (wait->ops == &send_ops) return send_now(channel, wait->value.pointer);
  tide_message *message = NULL;
  int result = receive_now(channel, &message);
  wait->value.pointer = message;
  return result;
}

/* Puts the wait into its loop's end. */
static int park(tide_channel *channel, tide_wait *wait) {
  end *self = end_of(channel, wait->task->loop);
  if (self == NULL) return TIDE_ENOMEM;
  bool sends = wait->ops == &send_ops;
  tide_list_append(sends ? &self->senders : &self->receivers, &wait->in.link);
  *(sends ? &self->sending : &self->receiving) += 1;
  *(sends ? &channel->sending : &channel->receiving) += 1;
  tide_loop_hold(self->loop);
  return TIDE_PENDING;
}

/* Does it, or where that has to wait, parks. */
static int do_or_park(tide_channel *channel, tide_wait *wait) {
  lock(channel);
  int result = do_now(channel, wait);
  bool done = result != TIDE_PENDING;
  if (!done) result = park(channel, wait);
  unlock_and_poke(channel, done ? wait->task->loop : NULL);
  return result;
}

static int call(tide_channel *channel, tide_task *task, const tide_wait_ops *ops) {
  if (!tide__wait_enter(task, ops, channel)) return TIDE_PENDING;
  int result = do_or_park(channel, &task->wait);
  return result == TIDE_PENDING ? tide__task_park(task) : tide__wait_over(task, result);
}

int tide_channel_send(tide_channel *channel, tide_task *task, tide_message *message) {
  task->wait.value.pointer = message;
  return call(channel, task, &send_ops);
}

int tide_channel_recv(tide_channel *channel, tide_task *task) {
  task->wait.value.pointer = NULL;
  return call(channel, task, &receive_ops);
}

/* As cases of select. */

static int case_attempt(tide_case *self) {
  tide_channel *channel = self->wait.source;
  lock(channel);
  int result = do_now(channel, &self->wait);
  unlock_and_poke(channel, self->wait.task->loop);
  return result;
}

/* It may have become possible since it was attempted: then the end is poked. */
static int case_park(tide_case *self) {
  tide_channel *channel = self->wait.source;
  lock(channel);
  int result = park(channel, &self->wait);
  unlock_and_poke(channel, NULL);
  return result == TIDE_PENDING ? TIDE_OK : result;
}

static const tide_case_ops receive_case = {
    .wait = &receive_ops, .attempt = case_attempt, .park = case_park};
static const tide_case_ops send_case = {
    .wait = &send_ops, .attempt = case_attempt, .park = case_park};

void tide_case_recv(tide_case *self, tide_channel *channel) {
  *self = (tide_case){.ops = &receive_case, .wait.source = channel};
}

void tide_case_send(tide_case *self, tide_channel *channel, tide_message *message) {
  *self = (tide_case){.ops = &send_case, .wait.source = channel, .wait.value.pointer = message};
}
