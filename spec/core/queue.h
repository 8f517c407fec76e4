/* queue.h: a queue whose items are ints, and tasks that put and get them. */
#ifndef TIDE_SPEC_QUEUE_H
#define TIDE_SPEC_QUEUE_H

#include "script.h"

enum { SLOTS = 8192 };

static tide_queue queue;
static int values[SLOTS]; /* by slot; 0: cleared */

static inline void open_queue(world *w, tide_queue_order order, size_t max) {
  world_open(w);
  tide_queue_init(&queue, w->loop, order, max);
  memset(values, 0, sizeof values);
}

/* Every slot but those of items in the queue has been given back, and cleared. */
static inline void check_slots(void) {
  size_t kept = 0;
  for (int i = 0; i < SLOTS; i++) kept += values[i] != 0;
  CHECK_EQ(kept, queue.count);
  CHECK_EQ(tide_queue_taken(&queue), queue.count);
  CHECK(tide_list_empty(&queue.getters));
  CHECK(tide_list_empty(&queue.putters));
  CHECK(tide_list_empty(&queue.joiners));
}

static inline void close_queue(world *w) {
  check_slots();
  tide_queue_term(&queue);
  world_close(w);
}

static inline int reserve(int value) {
  uint32_t slot;
  CHECK_EQ(tide_queue_reserve(&queue, &slot), TIDE_OK);
  CHECK_EQ(values[slot], 0);
  values[slot] = value;
  return (int)slot;
}

static inline int try_put_with(int value, double priority) {
  int slot = reserve(value);
  int error = tide_queue_try_put(&queue, (uint32_t)slot, priority);
  if (error != TIDE_OK) values[slot] = 0;
  return error;
}

static inline int try_put(int value) { return try_put_with(value, value); }

static bool gave_back; /* memory, with the last item that was taken out */

static inline int take_out(uint32_t slot) {
  int value = values[slot];
  CHECK(value != 0);
  values[slot] = 0;
  gave_back = tide_queue_free(&queue, slot);
  return value;
}

static inline int try_get(void) {
  uint32_t slot;
  int error = tide_queue_try_get(&queue, &slot);
  return error == TIDE_OK ? take_out(slot) : error;
}

/* In a script: puts `value`; self->outcome says how it went. The owner's duties on failure. */
#define PUT(value)                                  \
  do {                                              \
    self->slot = (uint32_t)reserve(value);          \
    self->data = NULL;                              \
    WAIT(put_wait(self));                           \
    if (self->outcome != TIDE_OK) put_failed(self); \
    self->data = NULL;                              \
  } while (0)

static inline int put_wait(actor *self) {
  int result = tide_queue_put(&queue, &self->task, self->slot, values[self->slot]);
  if (result == TIDE_PENDING) self->data = self; /* the slot is the queue's */
  return result;
}

static inline void put_failed(actor *self) {
  values[self->slot] = 0;
  if (self->data != NULL) tide_queue_free(&queue, self->slot);
}

#define GET(value)                                                                           \
  do {                                                                                       \
    WAIT(tide_queue_get(&queue, &self->task));                                               \
    value = self->outcome == TIDE_OK ? take_out((uint32_t)self->task.wait.value.number) : 0; \
  } while (0)

static inline void getter(actor *self) {
  int value;
  BEGIN;
  GET(value);
  say(self, "%d", value != 0 ? value : self->outcome);
  END;
}

/* Puts its i, then says so. */
static inline void putter(actor *self) {
  BEGIN;
  PUT(self->i);
  say(self, self->outcome == TIDE_OK ? "put" : "%d", self->outcome);
  END;
}

static inline actor *spawn_putter(world *w, const char *name, int value) {
  actor *self = spawn(w, name, putter);
  self->i = value;
  return self;
}

#endif
