/* program.c: the input is a program for a few tasks that use everything; a model says what must
 * come of it. Time is virtual.
 *
 * Each task takes its next operation from the input when it gets to it, so the input also says who
 * does what when. What must hold: a queue gives each item once, those of one producer in order; a
 * lock has one holder, a semaphore no more than its permits; a future ends once; cancelled means
 * that it did not happen; in the end no task, item, deadline or byte is left. */
#include "verbs.h"

/* Of a task that is killed. */
static void close_all(actor *self) {
  if (held(self) == PUTTING && self->task.outcome == TIDE_OK) it.unsure++;
  if (held(self) == PUTTING && self->task.outcome != TIDE_OK) it.items[self->slot].here = false;
  kill_verb(self);
  let_go(self);
  tide_deadline_stop(&self->deadline);
  if (it.group_owner == self) {
    tide_group_exit(&it.group);
    it.group_owner = NULL;
  }
}

/* Time. */

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

static void spawn_child(const actor *self) {
  if (it.group_owner == NULL || !tide_group_open(&it.group)) return;
  actor *child = new_child(self);
  if (child != NULL) CHECK_EQ(tide_task_spawn(&child->task, &it.group), TIDE_OK);
}

static void open_group(actor *self) {
  unsigned max = input_below(3);
  tide_group_init(&it.group, self->world->loop, max, input_below(2));
  tide_group_enter(&it.group, &self->task);
  it.group_owner = self;
  spawn_child(self);
  spawn_child(self);
}

static void runner(actor *self) {
  unsigned what;
  BEGIN;
  for (; self->i < OPERATIONS; self->i++) {
    what = input_byte();
    if (what == 0) break;
    if (self->outcome != TIDE_OK && what & 0x80) break; /* else it goes on regardless */
    what &= 0x1F;
    if (what >= 16) {
      more_of(self)->verb = what - 16;
      more_of(self)->at = 0;
      STEP(verbs[more_of(self)->verb](self));
    } else if (what == 0) {
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
      more_of(self)->permits = 1;
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

/* How the run ends. */
typedef struct ending {
  bool early; /* after so many turns, all at once, and not when all has settled: */
  unsigned turns;
  bool killed;   /* tasks are killed, or only taken out of the loop, which is then freed */
  bool backward; /* the last one first */
} ending;

static ending read_ending(void) {
  unsigned byte = input_byte();
  return (ending){byte != 0, byte & 31, byte & 32, byte & 64};
}

static ending stage(world *w) {
  memset(&it, 0, sizeof it);
  memset(more, 0, sizeof more);
  tide_lock_init(&it.lock);
  tide_rlock_init(&it.again);
  tide_condition_init(&it.condition, &it.lock);
  tide_rwlock_init(&it.rwlock);
  tide_semaphore_init(&it.semaphore, PERMITS, PERMITS);
  tide_event_init(&it.event);
  tide_barrier_init(&it.barrier, 2);
  tide_queue_order order = input_below(3);
  tide_queue_init(&it.queue, w->loop, order, input_below(4));
  tide_queue_iter_init(&it.items_of_queue, &it.queue);
  tide_interval_init(&it.interval, w->loop, 2000000);
  tide_iter_init(&it.numbers, &numbers_ops);
  tide_future_init(&it.future);
  ending end = read_ending();
  unsigned tasks = 1 + input_below(TASKS);
  for (unsigned i = 0; i < tasks; i++) spawn(w, "task", runner)->close = close_all;
  return end;
}

static void free_all(world *w) {
  for (unsigned i = 0; i < w->count; i++) free_join(&w->actors[i]);
  tide_iter_free(&it.numbers);
  tide_iter_free(&it.interval.iter);
  tide_iter_free(&it.items_of_queue.iter);
  tide_queue_term(&it.queue);
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

static void end_early(world *w, ending end) {
  for (unsigned i = 0; i < end.turns; i++) tide_loop_turn(w->loop, false);
  it.returned++; /* perhaps, as above */
  for (unsigned i = 0; i < w->count; i++) {
    actor *one = &w->actors[end.backward ? w->count - 1 - i : i];
    if (actor_ended(one)) continue;
    if (end.killed)
      actor_kill(one);
    else
      tide_task_detach(&one->task);
  }
}

static void run_input(void) {
  world w;
  world_open(&w);
  ending end = stage(&w);
  if (end.early)
    end_early(&w, end);
  else
    end_all(&w);
  bool ended = !end.early || end.killed;
  if (ended) check_calm();
  free_all(&w);
  if (ended) {
    world_close(&w);
  } else {
    tide_loop_free(w.loop);
    CHECK_EQ(w.memory.in_use, 0);
  }
}
