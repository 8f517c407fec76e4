/* letter.h: messages that are counted, who sends and receives them, and a channel for that. */
#ifndef TIDE_SPEC_LETTER_H
#define TIDE_SPEC_LETTER_H

#include "threads.h"

static tide_channel *channel;

typedef struct letter {
  tide_message message;
  int from;   /* which sender */
  int number; /* of its letters, from 1 */
} letter;

static int alive; /* atomic: letters not freed */

static inline void free_letter(tide_message *message) {
  free(tide_container(message, letter, message));
  __atomic_sub_fetch(&alive, 1, __ATOMIC_ACQ_REL);
}

static inline tide_message *write_letter(int from, int number) {
  letter *self = malloc(sizeof *self);
  if (self == NULL) abort();
  *self = (letter){.message.free = free_letter, .from = from, .number = number};
  add_one(&alive);
  return &self->message;
}

/* The number of a letter, which is gone then. */
static inline int read_letter(tide_message *message) {
  int number = tide_container(message, letter, message)->number;
  tide_message_free(message);
  return number;
}

/* `data`: the letter at hand. */
static inline void sender(actor *self) {
  BEGIN;
  for (self->i = 1; self->i <= (int)self->slot; self->i++) {
    self->data = write_letter(0, self->i);
    WAIT(tide_channel_send(channel, &self->task, self->data));
    if (self->outcome != TIDE_OK) {
      tide_message_free(self->data);
      say(self, "%d", self->outcome);
      break;
    }
  }
  END;
}

static inline void receiver(actor *self) {
  BEGIN;
  for (;;) {
    WAIT(tide_channel_recv(channel, &self->task));
    if (self->outcome != TIDE_OK) break;
    say(self, "%d", read_letter(self->task.wait.value.pointer));
  }
  say(self, "%d", self->outcome);
  END;
}

static inline actor *spawn_sender(world *w, const char *name, unsigned letters) {
  actor *self = spawn(w, name, sender);
  self->slot = letters;
  return self;
}

static inline void open_all(world *w, size_t capacity) {
  world_open(w);
  alive = 0;
  channel = tide_channel_new(capacity);
}

static inline void close_all(world *w) {
  tide_channel_unref(channel);
  for (int i = 0; i < 2; i++) turn(w); /* its ends leave */
  CHECK_EQ(flag_of(&alive), 0);
  world_close(w);
}

/* Who waits holds the loop: it settles only when all is over. */

static inline void go(world *w) {
  for (int i = 0; i < 20; i++) turn(w);
}

#endif
