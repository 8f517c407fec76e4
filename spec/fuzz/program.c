/* program.c: the input is a program for a few tasks that use everything; a model says what must
 * come of it. Time is virtual.
 *
 * Each task takes its next operation from the input when it gets to it, so the input also says who
 * does what when. What must hold: a queue gives each item once, those of one producer in order; a
 * lock has one holder, a semaphore no more than its permits; a future ends once; cancelled means
 * that it did not happen; in the end no task, item, deadline or byte is left. */
#include "fuzz.h"

enum {
  TASKS = 6,      /* besides those that they spawn */
  CHILDREN = 6,   /* at most, in all */
  OPERATIONS = 8, /* of one task */
  ITEMS = 256,    /* put at most; also bounds the slots */
  PERMITS = 2,
};

/* What a task holds, or is about to. */
typedef enum holding { NOTHING, LOCK, LENT, READING, WRITING, PERMIT, PUTTING } holding;

static char holdings[PUTTING + 1]; /* actor.data points at one of these */

typedef struct item {
  uint8_t producer; /* which actor put it */
  uint16_t number;  /* its how-manieth */
  bool here;        /* in the queue, or on its way into or out of it */
} item;

static struct model {
  tide_lock lock;
  tide_condition condition;
  tide_rwlock rwlock;
  tide_semaphore semaphore;
  tide_event event;
  tide_queue queue;
  tide_future future;
  tide_group group;             /* open in one task at a time */
  actor *group_owner;           /* in which, or NULL */
  item items[ITEMS];            /* by slot */
  int puts[ACTORS];             /* begun, by actor */
  int last[ACTORS + 1][ACTORS]; /* number of the item got last, by consumer and producer */
  int put, got;                 /* items known to be */
  int unsure;                   /* puts whose task was killed before it was told */
  int returned;                 /* tasks that were killed: items they had been given went back */
  int locked, reading, writing, permits_out, children;
  int future_ends; /* times that ending it succeeded */
} it;

static void hold(actor *self, holding what) { self->data = &holdings[what]; }

static holding held(const actor *self) {
  return self->data == NULL ? NOTHING : (holding)((char *)self->data - holdings);
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
  case READING:
    it.reading--;
    CHECK_EQ(tide_rwlock_release(&it.rwlock, false), TIDE_OK);
    break;
  case WRITING:
    it.writing--;
    CHECK_EQ(tide_rwlock_release(&it.rwlock, true), TIDE_OK);
    break;
  case PERMIT:
    it.permits_out--;
    CHECK_EQ(tide_semaphore_release(&it.semaphore, 1), TIDE_OK);
    break;
  default:
    break;
  }
  hold(self, NOTHING);
}

/* Of a task that is killed. */
static void close_all(actor *self) {
  if (held(self) == PUTTING && self->task.outcome == TIDE_OK) it.unsure++;
  if (held(self) == PUTTING && self->task.outcome != TIDE_OK) it.items[self->slot].here = false;
  let_go(self);
  tide_deadline_stop(&self->deadline);
  if (it.group_owner == self) {
    tide_group_exit(&it.group);
    it.group_owner = NULL;
  }
}

/* Items. */

static unsigned number_of(const actor *self) { return (unsigned)(self - self->world->actors); }

static int begin_put(actor *self) {
  unsigned producer = number_of(self);
  if (tide_queue_reserve(&it.queue, &self->slot) != TIDE_OK) return TIDE_ENOMEM;
  if (self->slot >= ITEMS) return TIDE_EQUEUE_FULL;
  CHECK(!it.items[self->slot].here);
  int result = tide_queue_put(&it.queue, &self->task, self->slot, input_below(4));
  if (result < 0) return result;
  it.items[self->slot] =
      (item){.producer = (uint8_t)producer, .number = (uint16_t)++it.puts[producer], .here = true};
  if (result == TIDE_PENDING) hold(self, PUTTING);
  return result;
}

static void end_put(actor *self) {
  if (self->outcome == TIDE_OK) it.put++;
  if (self->outcome != TIDE_OK && held(self) == PUTTING) {
    it.items[self->slot].here = false;
    tide_queue_free(&it.queue, self->slot);
  }
  hold(self, NOTHING);
}

/* Order is kept by a FIFO queue as long as no item has come back to it. `consumer` is an actor's
 * number: between two of them an item that was handed over may be overtaken by one that is taken.
 */
static void take(unsigned consumer, uint32_t slot) {
  item *one = &it.items[slot];
  CHECK(slot < ITEMS && one->here);
  one->here = false;
  if (it.queue.order == TIDE_FIFO && it.returned == 0) {
    CHECK(one->number > it.last[consumer][one->producer]);
    it.last[consumer][one->producer] = one->number;
  }
  tide_queue_free(&it.queue, slot);
  it.got++;
}

/* Time. */

static int rest(actor *self) {
  unsigned ms = input_below(4);
  return ms == 0 ? tide_task_yield(&self->task) : sleep_ms(self, ms);
}

static void open_scope(actor *self) {
  uint32_t flags = input_below(3) == 0 ? TIDE_SCOPE_SHIELD : 0;
  enter_scope(self, flags, input_below(5));
}

/* What one task does to another, or to what they share. */

static void strike_one(actor *self) {
  world *w = self->world;
  actor *victim = &w->actors[input_below(w->count)];
  unsigned how = input_below(4);
  if (victim == self || actor_ended(victim)) return;
  if (how == 0) {
    it.returned++; /* perhaps: what it is about to get goes back */
    actor_kill(victim);
  } else if (how == 1) {
    tide_task_uncancel(&victim->task);
  } else {
    tide_task_cancel(&victim->task);
  }
}

static void end_future(void) {
  bool ended = tide_future_ended(&it.future);
  int answer = tide_future_end(&it.future, TIDE_FUTURE_DONE);
  CHECK_EQ(answer, ended ? TIDE_EINVALID_STATE : TIDE_OK);
  it.future_ends += answer == TIDE_OK;
}

static tide_future *any_future(actor *self) {
  unsigned which = input_below(self->world->count + 1);
  return which == self->world->count ? &it.future : &self->world->actors[which].task.future;
}

static int await_one(actor *self) {
  tide_future *future = any_future(self);
  return tide_future_wait(future, &self->task, input_below(2));
}

static void strike_queue(const actor *self) {
  uint32_t slot;
  switch (input_below(8)) {
  case 0:
    tide_queue_close(&it.queue, false);
    break;
  case 1:
  case 2:
    if (tide_queue_try_get(&it.queue, &slot) == TIDE_OK) take(number_of(self), slot);
    break;
  default:
    break;
  }
}

static void strike_event(void) {
  if (input_below(2))
    tide_event_set(&it.event);
  else
    tide_event_clear(&it.event);
}

/* The tasks. */

static void runner(actor *self);

static void spawn_child(actor *self) {
  if (it.children >= CHILDREN || self->world->count >= ACTORS - 1) return;
  if (it.group_owner == NULL || !tide_group_open(&it.group)) return;
  it.children++;
  spawn_in(self->world, &it.group, "child", runner)->close = close_all;
}

static void open_group(actor *self) {
  unsigned max = input_below(3);
  tide_group_init(&it.group, self->world->loop, max, input_below(2));
  tide_group_enter(&it.group, &self->task);
  it.group_owner = self;
  spawn_child(self);
  spawn_child(self);
}

static void got_it(actor *self, holding what) {
  hold(self, what);
  if (what == LOCK) CHECK_EQ(it.locked++, 0);
  if (what == READING) it.reading++;
  if (what == WRITING) CHECK_EQ(it.writing++, 0);
  if (what == PERMIT) CHECK(++it.permits_out <= PERMITS);
  if (what == READING) CHECK_EQ(it.writing, 0);
  if (what == WRITING) CHECK_EQ(it.reading, 0);
}

static void runner(actor *self) {
  unsigned what;
  BEGIN;
  for (; self->i < OPERATIONS; self->i++) {
    what = input_byte();
    if (what == 0) break;
    if (self->outcome != TIDE_OK && what & 0x80) break; /* else it goes on regardless */
    what &= 0x0F;
    if (what == 0) {
      WAIT(rest(self));
    } else if (what == 1) {
      WAIT(tide_lock_acquire(&it.lock, &self->task));
      if (self->outcome != TIDE_OK) continue;
      got_it(self, LOCK);
      WAIT(rest(self));
      let_go(self);
    } else if (what == 2) {
      WAIT(tide_lock_acquire(&it.lock, &self->task));
      if (self->outcome != TIDE_OK) continue;
      CHECK_EQ(it.locked, 0);
      hold(self, LENT);
      WAIT(tide_condition_wait(&it.condition, &self->task));
      CHECK(it.lock.owner == self->task.id);
      got_it(self, LOCK);
      let_go(self);
    } else if (what == 3) {
      WAIT(tide_rwlock_acquire(&it.rwlock, &self->task, false));
      if (self->outcome != TIDE_OK) continue;
      got_it(self, READING);
      WAIT(rest(self));
      let_go(self);
    } else if (what == 4) {
      WAIT(tide_rwlock_acquire(&it.rwlock, &self->task, true));
      if (self->outcome != TIDE_OK) continue;
      got_it(self, WRITING);
      WAIT(rest(self));
      let_go(self);
    } else if (what == 5) {
      WAIT(tide_semaphore_acquire(&it.semaphore, &self->task, 1));
      if (self->outcome != TIDE_OK) continue;
      got_it(self, PERMIT);
      WAIT(rest(self));
      let_go(self);
    } else if (what == 6 || what == 7) {
      WAIT(begin_put(self));
      end_put(self);
    } else if (what == 8) {
      WAIT(tide_queue_get(&it.queue, &self->task));
      if (self->outcome == TIDE_OK) take(number_of(self), (uint32_t)self->task.wait.value.number);
    } else if (what == 9) {
      WAIT(tide_event_wait(&it.event, &self->task));
    } else if (what == 10) {
      open_scope(self);
      WAIT(rest(self));
      leave_scope(self);
    } else if (what == 11) {
      WAIT(await_one(self));
    } else if (what == 12) {
      if (it.group_owner != NULL) continue;
      open_group(self);
      WAIT(rest(self));
      do WAIT(tide_group_wait(&it.group, &self->task));
      while (it.group.live > 0);
      tide_group_exit(&it.group);
      it.group_owner = NULL;
    } else if (what == 13) {
      strike_one(self);
    } else if (what == 14) {
      strike_queue(self);
      strike_event();
    } else {
      if (input_below(2)) end_future();
      spawn_child(self);
      WAIT(tide_lock_acquire(&it.lock, &self->task));
      if (self->outcome != TIDE_OK) continue;
      CHECK_EQ(tide_condition_notify(&it.condition, &self->task, 1 + input_below(2)), TIDE_OK);
      CHECK_EQ(tide_lock_release(&it.lock, &self->task), TIDE_OK);
    }
  }
  END;
}

/* The run. */

static void stage(world *w) {
  memset(&it, 0, sizeof it);
  tide_lock_init(&it.lock);
  tide_condition_init(&it.condition, &it.lock);
  tide_rwlock_init(&it.rwlock);
  tide_semaphore_init(&it.semaphore, PERMITS, PERMITS);
  tide_event_init(&it.event);
  tide_queue_order order = input_below(3);
  tide_queue_init(&it.queue, w->loop, order, input_below(4));
  tide_future_init(&it.future);
  unsigned tasks = 1 + input_below(TASKS);
  for (unsigned i = 0; i < tasks; i++) spawn(w, "task", runner)->close = close_all;
}

/* Whom nothing wakes any more is cancelled; who stays regardless is killed. */
static void end_all(world *w) {
  tide_scope *all = &tide_loop_background(w->loop)->scope;
  settle(w);
  tide_scope_cancel(all, w->loop);
  settle(w);
  for (unsigned i = 0; i < w->count; i++)
    if (!actor_ended(&w->actors[i])) actor_kill(&w->actors[i]);
  settle(w);
  tide_scope_uncancel(all);
}

static void check_calm(void) {
  uint32_t slot;
  tide_list *lists[] = {&it.lock.waiters,      &it.condition.waiters, &it.rwlock.waiters,
                        &it.semaphore.waiters, &it.event.waiters,     &it.queue.getters,
                        &it.queue.putters,     &it.future.waiters};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) CHECK(tide_list_empty(lists[i]));
  CHECK(it.lock.owner == 0 && it.locked == 0);
  CHECK(it.reading == 0 && it.writing == 0 && it.rwlock.readers == 0 && !it.rwlock.writing);
  CHECK(it.permits_out == 0 && it.semaphore.permits == PERMITS);
  CHECK(it.future_ends <= 1 && it.group_owner == NULL);
  CHECK_EQ(it.put + it.unsure, it.got + (int)it.queue.count);
  while (tide_queue_try_get(&it.queue, &slot) == TIDE_OK) take(ACTORS, slot);
  for (int i = 0; i < ITEMS; i++) CHECK(!it.items[i].here);
}

static void run_input(void) {
  world w;
  world_open(&w);
  stage(&w);
  end_all(&w);
  check_calm();
  tide_queue_term(&it.queue);
  world_close(&w);
}
