/* model.h: what the tasks of program.c share, and what must be true of it. */
#ifndef TIDE_SPEC_FUZZ_MODEL_H
#define TIDE_SPEC_FUZZ_MODEL_H

#include "fuzz.h"

enum {
  TASKS = 6,      /* besides those that they spawn */
  CHILDREN = 6,   /* at most, in all */
  OPERATIONS = 8, /* of one task */
  ITEMS = 256,    /* put at most; also bounds the slots */
  PERMITS = 2,
  CASES = 4, /* of a select, at most; and members of a join */
};

/* What a task holds, or is about to. */
typedef enum holding { NOTHING, LOCK, LENT, READING, WRITING, PERMIT, PUTTING, AGAIN } holding;

static char holdings[AGAIN + 1]; /* actor.data points at one of these */

typedef struct item {
  uint8_t producer; /* which actor put it */
  uint16_t number;  /* its how-manieth */
  bool here;        /* in the queue, or on its way into or out of it */
} item;

static struct model {
  tide_lock lock, again; /* the other one is re-entrant */
  tide_condition condition;
  tide_rwlock rwlock;
  tide_semaphore semaphore;
  tide_event event;
  tide_barrier barrier;
  tide_queue queue;
  tide_queue_iter items_of_queue;
  tide_interval interval;
  tide_iter numbers; /* a few, whose steps and whose closing wait */
  int number;        /* the last of them */
  tide_future future;
  tide_group group;             /* open in one task at a time */
  actor *group_owner;           /* in which, or NULL */
  item items[ITEMS];            /* by slot */
  int puts[ACTORS];             /* begun, by actor */
  int last[ACTORS + 1][ACTORS]; /* number of the item got last, by consumer and producer */
  int put, got;                 /* items known to be */
  int unsure;                   /* puts whose task was killed before it was told */
  int returned;                 /* tasks that were killed: items they had been given went back */
  int locked, reading, writing, children, again_held;
  size_t permits_out;
  int future_ends; /* times that ending it succeeded */
} it;

/* What a task of them needs besides what an actor has. */
static struct more {
  unsigned verb;      /* verbs.h: what it does, */
  int at;             /* and where in that it is */
  int outcome;        /* of the verb's last wait */
  int rounds;         /* left to it */
  bool leaves;        /* it does not go on with the step that it waits in */
  size_t permits;     /* while it holds some */
  tide_select select; /* and what that needs: */
  tide_case cases[CASES];
  uint8_t kinds[CASES];  /* of the cases */
  uint32_t slots[CASES]; /* of those that put */
  bool selecting;        /* it is in the select */
  tide_join *join;       /* of the loop's memory, or NULL */
  tide_iter *iter;       /* in which it is */
} more[ACTORS];

static void hold(actor *self, holding what) { self->data = &holdings[what]; }

static holding held(const actor *self) {
  return self->data == NULL ? NOTHING : (holding)((char *)self->data - holdings);
}

static unsigned number_of(const actor *self) { return (unsigned)(self - self->world->actors); }

static struct more *more_of(const actor *self) { return &more[number_of(self)]; }

static void got_it(actor *self, holding what) {
  hold(self, what);
  if (what == LOCK) CHECK_EQ(it.locked++, 0);
  if (what == AGAIN) CHECK_EQ(it.again_held++, 0);
  if (what == READING) it.reading++;
  if (what == WRITING) CHECK_EQ(it.writing++, 0);
  if (what == PERMIT) CHECK((it.permits_out += more_of(self)->permits) <= PERMITS);
  if (what == READING) CHECK_EQ(it.writing, 0);
  if (what == WRITING) CHECK_EQ(it.reading, 0);
}

static void let_go(actor *self) {
  switch (held(self)) {
  case LOCK:
    it.locked--;
    CHECK_EQ(tide_lock_release(&it.lock, &self->task), TIDE_OK);
    break;
  case LENT: /* killed in a condition's wait: it may have the lock or not */
    tide_lock_release(&it.lock, &self->task);
    break;
  case AGAIN:
    it.again_held--;
    while (tide_lock_release(&it.again, &self->task) == TIDE_OK) continue;
    break;
  case READING:
    it.reading--;
    CHECK_EQ(tide_rwlock_release(&it.rwlock, false), TIDE_OK);
    break;
  case WRITING:
    it.writing--;
    CHECK_EQ(tide_rwlock_release(&it.rwlock, true), TIDE_OK);
    break;
  case PERMIT:
    it.permits_out -= more_of(self)->permits;
    CHECK_EQ(tide_semaphore_release(&it.semaphore, more_of(self)->permits), TIDE_OK);
    break;
  default:
    break;
  }
  hold(self, NOTHING);
}

/* Items. */

/* The slot that the next put takes. TIDE_OK or an error. A queue that was closed with `immediate`
 * tells nobody of the items that it drops when a task is killed. */
static int new_item(uint32_t *slot) {
  if (tide_queue_reserve(&it.queue, slot) != TIDE_OK) return TIDE_ENOMEM;
  if (*slot >= ITEMS) return TIDE_EQUEUE_FULL;
  CHECK(!it.items[*slot].here || it.queue.discarding);
  return TIDE_OK;
}

static void note_item(const actor *self, uint32_t slot) {
  unsigned producer = number_of(self);
  it.items[slot] =
      (item){.producer = (uint8_t)producer, .number = (uint16_t)++it.puts[producer], .here = true};
}

static int begin_put(actor *self) {
  int result = new_item(&self->slot);
  if (result != TIDE_OK) return result;
  result = tide_queue_put(&it.queue, &self->task, self->slot, input_below(4));
  if (result < 0) return result;
  note_item(self, self->slot);
  if (result == TIDE_PENDING) hold(self, PUTTING);
  return result;
}

static void drop_item(uint32_t slot) {
  it.items[slot].here = false;
  tide_queue_free(&it.queue, slot);
}

static void end_put(actor *self) {
  if (self->outcome == TIDE_OK) it.put++;
  if (self->outcome != TIDE_OK && held(self) == PUTTING) drop_item(self->slot);
  hold(self, NOTHING);
}

/* Order is kept by a FIFO queue as long as no item has come back to it. `consumer` is an actor's
 * number: between two of them an item that was handed over may be overtaken by one that is taken.
 */
static void take(unsigned consumer, uint32_t slot) {
  const item *one = &it.items[slot];
  CHECK(slot < ITEMS && one->here);
  if (it.queue.order == TIDE_FIFO && it.returned == 0) {
    CHECK(one->number > it.last[consumer][one->producer]);
    it.last[consumer][one->producer] = one->number;
  }
  drop_item(slot);
  it.got++;
}

/* Of a queue that was closed with `immediate`. */
static void drop_all(void) {
  uint32_t slot;
  while (tide_queue_drop(&it.queue, &slot)) it.items[slot].here = false;
}

static void end_future(void) {
  bool ended = tide_future_ended(&it.future);
  int answer = tide_future_end(&it.future, TIDE_FUTURE_DONE);
  CHECK_EQ(answer, ended ? TIDE_EINVALID_STATE : TIDE_OK);
  it.future_ends += answer == TIDE_OK;
}

static tide_future *any_future(const actor *self) {
  unsigned which = input_below(self->world->count + 1);
  return which == self->world->count ? &it.future : &self->world->actors[which].task.future;
}

/* Time. */

static int rest(actor *self) {
  unsigned ms = input_below(4);
  return ms == 0 ? tide_task_yield(&self->task) : sleep_ms(self, ms);
}

/* What there is when all have ended. */
static void check_calm(void) {
  uint32_t slot;
  tide_list *lists[] = {&it.lock.waiters,      &it.condition.waiters, &it.rwlock.waiters,
                        &it.semaphore.waiters, &it.event.waiters,     &it.queue.getters,
                        &it.queue.putters,     &it.queue.joiners,     &it.future.waiters,
                        &it.barrier.waiters,   &it.again.waiters};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) CHECK(tide_list_empty(lists[i]));
  CHECK(it.lock.owner == 0 && it.locked == 0);
  CHECK(it.again.owner == 0 && it.again_held == 0);
  CHECK(it.reading == 0 && it.writing == 0 && it.rwlock.readers == 0 && !it.rwlock.writing);
  CHECK(it.permits_out == 0 && it.semaphore.permits == PERMITS);
  CHECK(it.barrier.waiting == 0);
  CHECK(it.items_of_queue.iter.place.task == NULL && it.interval.iter.place.task == NULL);
  CHECK(it.numbers.place.task == NULL);
  CHECK(it.future_ends <= 1 && it.group_owner == NULL);
  CHECK(it.queue.discarding || it.put + it.unsure == it.got + (int)it.queue.count);
  while (tide_queue_try_get(&it.queue, &slot) == TIDE_OK) take(ACTORS, slot);
  for (int i = 0; i < ITEMS; i++) CHECK(!it.items[i].here || it.queue.discarding);
}

#endif
