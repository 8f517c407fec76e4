/* storm.c: tasks that use everything at random while others cancel and kill them at random.
 * Whatever happens, nothing is lost, held twice or left behind. */
#include "script.h"

enum { STORMS = 1000, SLOTS = 512 };

static struct shared {
  tide_lock lock;
  tide_condition condition;
  tide_rwlock rwlock;
  tide_semaphore semaphore;
  tide_event event;
  tide_queue queue;
  tide_group group;
  tide_future future;
  bool item[SLOTS]; /* by slot of the queue */
  int put, got;     /* items known to be */
  int unsure;       /* puts whose task was killed before it was told */
  int locked, reading, writing, permits_out;
} it;

/* What an actor holds; its `data` is one of these or NULL. */
static char lock_held, lock_lent, reading_held, writing_held, permit_held, put_pending;

static unsigned dice(unsigned sides) { return (unsigned)rand() % sides; }

static void drop(actor *self) {
  if (self->data == &lock_held) {
    it.locked--;
    CHECK_EQ(tide_lock_release(&it.lock, &self->task), TIDE_OK);
  } else if (self->data == &lock_lent) { /* killed in Condition.wait: it may hold it or not */
    tide_lock_release(&it.lock, &self->task);
  } else if (self->data == &reading_held || self->data == &writing_held) {
    bool write = self->data == &writing_held;
    *(write ? &it.writing : &it.reading) -= 1;
    CHECK_EQ(tide_rwlock_release(&it.rwlock, write), TIDE_OK);
  } else if (self->data == &permit_held) {
    it.permits_out--;
    CHECK_EQ(tide_semaphore_release(&it.semaphore, 1), TIDE_OK);
  }
  self->data = NULL;
}

/* What is done to a task that is killed. */
static void close_all(actor *self) {
  if (self->data == &put_pending && self->task.outcome != TIDE_OK)
    it.item[self->slot] = false; /* the queue took the slot back */
  else if (self->data == &put_pending)
    it.unsure++;
  tide_deadline_stop(&self->deadline);
  drop(self);
}

static int begin_put(actor *self) {
  if (tide_queue_reserve(&it.queue, &self->slot) != TIDE_OK) return TIDE_ENOMEM;
  CHECK(!it.item[self->slot]);
  it.item[self->slot] = true;
  int result = tide_queue_put(&it.queue, &self->task, self->slot, dice(4));
  if (result == TIDE_PENDING) self->data = &put_pending;
  if (result < 0) it.item[self->slot] = false;
  return result;
}

static void end_put(actor *self) {
  if (self->outcome == TIDE_OK) it.put++;
  if (self->outcome != TIDE_OK && self->data == &put_pending) {
    it.item[self->slot] = false;
    tide_queue_free(&it.queue, self->slot);
  }
  self->data = NULL;
}

static void end_get(actor *self) {
  if (self->outcome != TIDE_OK) return;
  uint32_t slot = (uint32_t)self->task.wait.value.number;
  CHECK(it.item[slot]);
  it.item[slot] = false;
  tide_queue_free(&it.queue, slot);
  it.got++;
}

static int rest(actor *self) {
  return dice(2) ? tide_task_yield(&self->task) : sleep_ms(self, dice(5));
}

static void open_scope(actor *self) {
  uint32_t flags = dice(3) == 0 ? TIDE_SCOPE_SHIELD : 0;
  enter_scope(self, flags, dice(6));
}

static int await_something(actor *self) {
  tide_future *captain = &self->world->actors[0].task.future;
  return tide_future_wait(dice(2) ? &it.future : captain, &self->task, dice(4) != 0);
}

static void sailor(actor *self) {
  unsigned what;
  BEGIN;
  for (; self->i < 12; self->i++) {
    if (self->outcome != TIDE_OK && dice(2)) break; /* else it goes on regardless */
    self->outcome = TIDE_OK;
    what = dice(9);
    if (what == 0) {
      WAIT(tide_lock_acquire(&it.lock, &self->task));
      if (self->outcome != TIDE_OK) continue;
      CHECK_EQ(it.locked++, 0);
      self->data = &lock_held;
      WAIT(rest(self));
      if (dice(2)) {
        it.locked--;
        self->data = &lock_lent;
        WAIT(tide_condition_wait(&it.condition, &self->task));
        CHECK(it.lock.owner == self->task.id);
        CHECK_EQ(it.locked++, 0);
        self->data = &lock_held;
      } else {
        CHECK_EQ(tide_condition_notify(&it.condition, &self->task, 1 + dice(2)), TIDE_OK);
      }
      drop(self);
    } else if (what == 1) {
      WAIT(tide_rwlock_acquire(&it.rwlock, &self->task, false));
      if (self->outcome != TIDE_OK) continue;
      it.reading++;
      CHECK_EQ(it.writing, 0);
      self->data = &reading_held;
      WAIT(rest(self));
      drop(self);
    } else if (what == 2) {
      WAIT(tide_rwlock_acquire(&it.rwlock, &self->task, true));
      if (self->outcome != TIDE_OK) continue;
      CHECK_EQ(it.writing++, 0);
      CHECK_EQ(it.reading, 0);
      self->data = &writing_held;
      WAIT(rest(self));
      drop(self);
    } else if (what == 3) {
      WAIT(tide_semaphore_acquire(&it.semaphore, &self->task, 1));
      if (self->outcome != TIDE_OK) continue;
      CHECK(++it.permits_out <= 2);
      self->data = &permit_held;
      WAIT(rest(self));
      drop(self);
    } else if (what == 4) {
      WAIT(begin_put(self));
      end_put(self);
    } else if (what == 5) {
      WAIT(tide_queue_get(&it.queue, &self->task));
      end_get(self);
    } else if (what == 6) {
      WAIT(tide_event_wait(&it.event, &self->task));
    } else if (what == 7) {
      open_scope(self);
      WAIT(rest(self));
      leave_scope(self);
    } else {
      WAIT(await_something(self));
    }
  }
  END;
}

/* The body of the group that most sailors are in. */
static void captain(actor *self) {
  BEGIN;
  for (int i = 0; i < 8; i++) {
    actor *child = spawn_in(self->world, &it.group, "child", sailor);
    child->close = close_all;
    tide_deadline_init(&child->deadline, &child->scope, self->world->loop);
  }
  tide_group_enter(&it.group, &self->task);
  WAIT(sleep_ms(self, 10));
  if (self->outcome != TIDE_OK) tide_group_cancel(&it.group);
  do WAIT(tide_group_wait(&it.group, &self->task));
  while (it.group.live > 0);
  tide_group_exit(&it.group);
  END;
}

static void strike_somebody(actor *self) {
  world *w = self->world;
  actor *victim = &w->actors[dice(w->count)];
  if (victim == self || actor_ended(victim)) return;
  switch (dice(8)) {
  case 0:
    actor_kill(victim);
    break;
  case 1:
    tide_task_uncancel(&victim->task);
    break;
  case 2:
    tide_loop_interrupt(w->loop, &victim->task, TIDE_EDEADLOCK);
    break;
  case 3:
    if (victim->scope.task != NULL && dice(4) == 0) leave_scope(victim);
    break;
  default:
    tide_task_cancel(&victim->task);
  }
}

static void weather(actor *self) {
  BEGIN;
  for (; self->i < 40; self->i++) {
    WAIT(dice(3) ? tide_task_yield(&self->task) : sleep_ms(self, 1));
    for (unsigned n = dice(3); n > 0; n--) strike_somebody(self);
    tide_event_set(&it.event);
    if (dice(3)) tide_event_clear(&it.event);
  }
  tide_event_set(&it.event);
  tide_queue_close(&it.queue, false);
  if (!tide_future_ended(&it.future)) tide_future_end(&it.future, TIDE_FUTURE_DONE);
  END;
}

static void set_sail(world *w, unsigned seed) {
  srand(seed);
  memset(&it, 0, sizeof it);
  tide_lock_init(&it.lock);
  tide_condition_init(&it.condition, &it.lock);
  tide_rwlock_init(&it.rwlock);
  tide_semaphore_init(&it.semaphore, 2, 2);
  tide_event_init(&it.event);
  tide_queue_init(&it.queue, w->loop, seed % 3, 1 + seed % 4);
  tide_group_init(&it.group, w->loop, seed % 5, true);
  tide_future_init(&it.future);
  spawn(w, "captain", captain);
  for (int i = 0; i < 13; i++) {
    actor *one = spawn(w, "one", sailor);
    one->close = close_all;
    tide_deadline_init(&one->deadline, &one->scope, w->loop);
  }
  spawn(w, "weather", weather);
}

/* Those whom nothing wakes any more (in Condition.wait, say) are cancelled; whoever still stays is
 * killed. */
static void bring_home(world *w) {
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
  CHECK(it.lock.owner == 0 && it.locked == 0);
  CHECK(it.reading == 0 && it.writing == 0 && it.rwlock.readers == 0 && !it.rwlock.writing);
  CHECK(it.permits_out == 0 && it.semaphore.permits == 2);
  tide_list *lists[] = {&it.lock.waiters,     &it.condition.waiters, &it.rwlock.waiters,
                        &it.event.waiters,    &it.queue.getters,     &it.queue.putters,
                        &it.future.waiters,   &it.group.queued,      &it.group.idle,
                        &it.semaphore.waiters};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) CHECK(tide_list_empty(lists[i]));
  CHECK_EQ(it.put + it.unsure, it.got + (int)it.queue.count);
  uint32_t slot;
  while (tide_queue_try_get(&it.queue, &slot) == TIDE_OK) {
    CHECK(it.item[slot]);
    it.item[slot] = false;
    tide_queue_free(&it.queue, slot);
  }
  for (int i = 0; i < SLOTS; i++) CHECK(!it.item[i]);
  CHECK_EQ(it.queue.fresh, it.queue.free_count);
}

static void after_any_storm_all_is_calm(void) {
  for (unsigned seed = 1; seed <= STORMS; seed++) {
    world w;
    snprintf(check_state.context, sizeof check_state.context, "storm %u", seed);
    world_open(&w);
    set_sail(&w, seed);
    bring_home(&w);
    check_calm();
    tide_queue_term(&it.queue);
    world_close(&w);
  }
}

int main(void) {
  RUN(after_any_storm_all_is_calm);
  return check_summary();
}
