/* verbs.h: what tasks of program.c do in more than one wait, or to others: select, join, barriers,
 * iterators, adopting, spawning later.
 *
 * A verb is called again, whatever the outcome of its wait, until it returns something else than
 * TIDE_PENDING: the last outcome. Its state is in the task's `more`. */
#ifndef TIDE_SPEC_FUZZ_VERBS_H
#define TIDE_SPEC_FUZZ_VERBS_H

#include "model.h"

/* Around a verb's body. */
#define RESUME                    \
  struct more *x = more_of(self); \
  switch (x->at) {                \
  default:
#define DONE \
  }          \
  return x->outcome

/* Calls a waiting function; x->outcome says how it went. */
#define AWAIT(call)                    \
  do {                                 \
    x->outcome = (call);               \
    if (x->outcome == TIDE_PENDING) {  \
      x->at = __LINE__;                \
      return TIDE_PENDING;             \
    case __LINE__:                     \
      x->outcome = self->task.outcome; \
    }                                  \
  } while (0)

/* The same of those that are called again. */
#define AWAIT_AGAIN(call)                  \
  for (;;) {                               \
    x->outcome = (call);                   \
    if (x->outcome != TIDE_PENDING) break; \
    x->at = __LINE__;                      \
    return TIDE_PENDING;                   \
  case __LINE__:                           \
    x->outcome = self->task.outcome;       \
    if (x->outcome != TIDE_OK) break;      \
  }

/* The same of those that are called again whatever the outcome, unless the task leaves. A step may
 * have been given something by a wait that ended well. */
#define AWAIT_STEP(call)                                   \
  for (;;) {                                               \
    x->outcome = (call);                                   \
    if (x->outcome != TIDE_PENDING) break;                 \
    x->at = __LINE__;                                      \
    return TIDE_PENDING;                                   \
  case __LINE__:                                           \
    if (x->leaves && self->task.outcome != TIDE_OK) break; \
  }

/* Select. */

enum { GET, PUT, EVENT, WITH_LOCK, WITH_PERMIT, READ, WRITE, FUTURE, CHILDLESS, TIME, KINDS };

/* Makes one case; a put that cannot be is a time. */
static void make_case(actor *self, unsigned i, unsigned kind) {
  struct more *x = more_of(self);
  tide_case *one = &x->cases[i];
  if (kind == PUT && new_item(&x->slots[i]) != TIDE_OK) kind = TIME;
  if (kind == CHILDLESS && it.group_owner == NULL) kind = TIME;
  x->kinds[i] = (uint8_t)kind;
  if (kind == GET) tide_case_get(one, &it.queue);
  if (kind == EVENT) tide_case_event(one, &it.event);
  if (kind == WITH_LOCK) tide_case_lock(one, &it.lock);
  if (kind == WITH_PERMIT) tide_case_semaphore(one, &it.semaphore);
  if (kind == READ || kind == WRITE) tide_case_rwlock(one, &it.rwlock, kind == WRITE);
  if (kind == FUTURE) tide_case_future(one, any_future(self));
  if (kind == CHILDLESS) tide_case_group(one, &it.group);
  if (kind == TIME) tide_case_at(one, after_ms(self->world, input_below(6)));
  if (kind != PUT) return;
  tide_case_put(one, &it.queue, x->slots[i], input_below(4));
  note_item(self, x->slots[i]);
}

static void begin_select(actor *self) {
  struct more *x = more_of(self);
  unsigned count = 1 + input_below(CASES);
  for (unsigned i = 0; i < count; i++) make_case(self, i, input_below(KINDS));
  tide_select_init(&x->select, x->cases, count);
  x->selecting = true;
}

/* The items of cases that did not happen are the task's again. */
static void withdraw(actor *self, uint32_t but) {
  struct more *x = more_of(self);
  for (uint32_t i = 0; i < x->select.count; i++)
    if (i != but && x->kinds[i] == PUT) drop_item(x->slots[i]);
}

/* Takes what the select has given. */
static void end_select(actor *self) {
  static const holding given[KINDS] = {
      [WITH_LOCK] = LOCK, [WITH_PERMIT] = PERMIT, [READ] = READING, [WRITE] = WRITING};
  struct more *x = more_of(self);
  uint32_t chosen = x->outcome == TIDE_OK ? x->select.chosen : UINT32_MAX;
  x->selecting = false;
  withdraw(self, chosen);
  if (x->outcome != TIDE_OK) return;
  CHECK(chosen < x->select.count);
  unsigned kind = x->kinds[chosen];
  const tide_case *one = &x->cases[chosen];
  if (kind == GET) take(number_of(self), (uint32_t)one->wait.value.number);
  if (kind == PUT) it.put++;
  if (kind == FUTURE) CHECK(tide_future_ended(one->wait.source));
  if (kind == TIME) CHECK(tide_loop_now(self->world->loop) >= one->wait.value.number);
  x->permits = 1;
  if (given[kind] != NOTHING) got_it(self, given[kind]);
}

/* Of a task that was killed in it: the queue has taken back what was not put. */
static void kill_select(actor *self) {
  struct more *x = more_of(self);
  bool over = self->task.outcome == TIDE_OK && x->select.over;
  x->selecting = false;
  for (uint32_t i = 0; i < x->select.count; i++) {
    if (x->kinds[i] != PUT) continue;
    if (over && i == x->select.chosen)
      it.unsure++;
    else
      it.items[x->slots[i]].here = false;
  }
}

static int verb_select(actor *self) {
  RESUME;
  begin_select(self);
  AWAIT_AGAIN(tide_select_wait(&x->select, &self->task));
  end_select(self);
  AWAIT(rest(self));
  let_go(self);
  DONE;
}

static int verb_select_try(actor *self) {
  struct more *x = more_of(self);
  begin_select(self);
  x->outcome = tide_select_try(&x->select, &self->task);
  end_select(self);
  let_go(self);
  return TIDE_OK;
}

/* Join. */

static void free_join(actor *self) {
  struct more *x = more_of(self);
  if (x->join == NULL) return;
  tide_join_term(x->join);
  tide_free(tide_loop_allocator(self->world->loop), x->join, tide_join_size(CASES));
  x->join = NULL;
}

static bool begin_join(actor *self) {
  struct more *x = more_of(self);
  unsigned how = input_byte(), count = 1 + input_below(CASES);
  x->join = tide_alloc(tide_loop_allocator(self->world->loop), tide_join_size(CASES));
  CHECK(x->join != NULL);
  tide_join_init(x->join, self->world->loop, CASES, how & 1);
  x->join->force = how & 2;
  for (unsigned i = 0; i < count; i++) {
    tide_future *future = any_future(self);
    if (future != &self->task.future) tide_join_add(x->join, future);
  }
  x->rounds = CASES + 2;
  if (how % 5 != 4) return false;
  tide_join_hold(x->join);
  return true;
}

static int verb_join(actor *self) {
  uint32_t index;
  RESUME;
  if (begin_join(self)) { /* it is held, in a shield */
    tide_scope_init(&self->scope, TIDE_SCOPE_SHIELD);
    tide_scope_enter(&self->scope, &self->task);
  }
  do {
    while (tide_join_take(x->join, &index))
      CHECK(tide_future_ended(x->join->members[index].future));
    AWAIT(tide_join_wait(x->join, &self->task));
  } while (x->outcome == TIDE_OK && --x->rounds > 0);
  if (x->join->held) tide_scope_exit(&self->scope);
  free_join(self);
  DONE;
}

/* Iterators. */

static int numbers_next(tide_iter *iter, tide_task *task, int outcome, tide_item *item) {
  (void)iter;
  if (outcome == TIDE_PENDING)
    return tide_task_sleep_until(task, tide_loop_now(task->loop) + 1000000);
  if (outcome != TIDE_OK) return outcome;
  if (it.number == 9) return TIDE_EEOF;
  item->number = (uint64_t)++it.number;
  return TIDE_OK;
}

static int numbers_close(tide_iter *iter, tide_task *task, int outcome) {
  (void)iter;
  return outcome == TIDE_PENDING ? tide_task_yield(task) : outcome;
}

static const tide_iter_ops numbers_ops = {
    .name = "numbers", .next = numbers_next, .close = numbers_close};

static tide_iter *any_iter(void) {
  tide_iter *all[] = {&it.numbers, &it.interval.iter, &it.items_of_queue.iter};
  return all[input_below(3)];
}

/* A step that is gone on with, or left. */
static int verb_next(actor *self) {
  tide_item item;
  RESUME;
  x->iter = any_iter();
  x->leaves = input_below(4) == 0;
  AWAIT_STEP(tide_iter_next(x->iter, &self->task, &item));
  tide_iter_leave(x->iter, &self->task);
  if (x->outcome == TIDE_OK && x->iter == &it.items_of_queue.iter)
    take(number_of(self), (uint32_t)item.number);
  if (x->outcome == TIDE_OK && x->iter == &it.numbers) CHECK_EQ(item.number, it.number);
  if (x->outcome == TIDE_PENDING) x->outcome = TIDE_ECANCELLED; /* it was left */
  DONE;
}

static int verb_close(actor *self) {
  RESUME;
  x->iter = any_iter();
  x->leaves = false;
  AWAIT_STEP(tide_iter_close(x->iter, &self->task));
  DONE;
}

/* Others that wait. */

static int verb_barrier(actor *self) {
  RESUME;
  AWAIT(tide_barrier_wait(&it.barrier, &self->task));
  if (x->outcome == TIDE_OK) CHECK(self->task.wait.value.number - 1 < it.barrier.parties);
  DONE;
}

static int verb_permits(actor *self) {
  RESUME;
  x->permits = 1 + input_below(PERMITS + 1);
  AWAIT(tide_semaphore_acquire(&it.semaphore, &self->task, x->permits));
  if (x->outcome != TIDE_OK) return x->outcome;
  got_it(self, PERMIT);
  AWAIT(rest(self));
  let_go(self);
  DONE;
}

static int verb_lock_twice(actor *self) {
  RESUME;
  AWAIT(tide_lock_acquire(&it.again, &self->task));
  if (x->outcome != TIDE_OK) return x->outcome;
  got_it(self, AGAIN);
  AWAIT(tide_lock_acquire(&it.again, &self->task));
  AWAIT(rest(self));
  let_go(self);
  DONE;
}

static int verb_queue_join(actor *self) {
  RESUME;
  AWAIT(tide_queue_join(&it.queue, &self->task));
  DONE;
}

static int verb_wait_few(actor *self) {
  RESUME;
  x->rounds = (int)input_below(3);
  if (it.group_owner == NULL) return TIDE_OK;
  AWAIT_AGAIN(tide_group_wait_few(&it.group, &self->task, (uint32_t)x->rounds));
  DONE;
}

/* What is done to others, and does not wait. */

static void strike_barrier(void) {
  unsigned how = input_below(4);
  if (how == 0) tide_barrier_abort(&it.barrier);
  if (how > 1) tide_barrier_reset(&it.barrier);
}

/* A child of the group's becomes one of the background's, or the reverse. */
static void adopt(const actor *self) {
  actor *child = &self->world->actors[input_below(self->world->count)];
  if (!child->task.started || actor_ended(child) || it.group_owner == NULL) return;
  tide_group *background = tide_loop_background(self->world->loop);
  bool inside = child->task.own.parent == &it.group.scope;
  if (!inside && (child == it.group_owner || !tide_group_open(&it.group))) return;
  tide_group_adopt(inside ? background : &it.group, &child->task);
}

static void runner(actor *self);
static void close_all(actor *self);

static actor *new_child(const actor *self) {
  if (it.children >= CHILDREN || self->world->count >= ACTORS - 1) return NULL;
  it.children++;
  actor *child = actor_new(self->world, "child", runner);
  child->close = close_all;
  return child;
}

/* In the group, where it is open, or the background: at a time, or behind a future. */
static void spawn_later(const actor *self) {
  bool in_group = input_below(2) && it.group_owner != NULL && tide_group_open(&it.group);
  tide_group *group = in_group ? &it.group : tide_loop_background(self->world->loop);
  tide_future *future = input_below(2) ? any_future(self) : NULL;
  actor *child = new_child(self);
  if (child == NULL) return;
  tide_time when = after_ms(self->world, input_below(6));
  int result = future != NULL ? tide_task_spawn_after(&child->task, group, future)
                              : tide_task_spawn_at(&child->task, group, when);
  CHECK_EQ(result, TIDE_OK);
}

static void interrupt(const actor *self) {
  actor *victim = &self->world->actors[input_below(self->world->count)];
  unsigned how = input_below(3);
  if (actor_ended(victim)) return;
  if (how == 0)
    tide_task_cancel_through(&victim->task);
  else
    tide_loop_interrupt(self->world->loop, &victim->task,
                        how == 1 ? TIDE_EDEADLOCK : TIDE_ECANCELLED);
}

/* Rarely: what was closed stays so. */
static void close_something(void) {
  unsigned what = input_below(16);
  if (what == 0) tide_semaphore_close(&it.semaphore);
  if (what == 1) tide_queue_close(&it.queue, true);
  if (what == 1) drop_all();
  if (what == 2 && tide_future_cancel(&it.future)) it.future_ends++;
  if (what > 2) tide_queue_task_done(&it.queue);
}

static int verb_others(actor *self) {
  switch (input_below(5)) {
  case 0:
    strike_barrier();
    break;
  case 1:
    adopt(self);
    break;
  case 2:
    spawn_later(self);
    break;
  case 3:
    interrupt(self);
    break;
  default:
    close_something();
  }
  return TIDE_OK;
}

/* An item that was got goes back. */
static int verb_give_back(actor *self) {
  uint32_t slot;
  (void)self;
  if (tide_queue_try_get(&it.queue, &slot) != TIDE_OK) return TIDE_OK;
  it.returned++;
  if (tide_queue_give_back(&it.queue, slot)) return TIDE_OK;
  drop_item(slot);
  it.got++;
  return TIDE_OK;
}

/* The verbs of the bytes from 16 on. */
static int (*const verbs[16])(actor *self) = {
    verb_select,     verb_select,   verb_select, verb_select_try, verb_join,    verb_join,
    verb_next,       verb_next,     verb_close,  verb_barrier,    verb_permits, verb_lock_twice,
    verb_queue_join, verb_wait_few, verb_others, verb_give_back,
};

/* Of a task that is killed. */
static void kill_verb(actor *self) {
  if (more_of(self)->selecting) kill_select(self);
  free_join(self);
}

#endif
