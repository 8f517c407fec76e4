/* circle.c: looking for circles, in both directions at once: ahead, along what is waited for, and
 * behind, along who waits. What ends first decides: either all was seen that is ahead, or only what
 * is behind need be looked at. */
#include "circle.h"

#include <string.h>

#include "private.h"

static const size_t NOWHERE = SIZE_MAX;

static bool is_held(const tide_task *task) {
  return task->state == TIDE_TASK_WAITING && task->wait.ops->awaits != NULL;
}

static void trail_init(tide__trail *self) {
  self->places = self->few;
  self->count = 0;
  self->room = TIDE__FEW_PLACES;
}

static void trail_term(tide__trail *self, const tide_allocator *memory) {
  if (self->places == self->few) return;
  tide_free(memory, self->places, self->room * sizeof *self->places);
}

static bool make_room(tide__trail *self, const tide_allocator *memory) {
  if (self->count < self->room) return true;
  tide__place *places = tide_alloc(memory, 2 * self->room * sizeof *places);
  if (places == NULL) return false;
  memcpy(places, self->places, self->count * sizeof *places);
  trail_term(self, memory);
  self->places = places;
  self->room *= 2;
  return true;
}

/* The new place, whose task gets the flags. NOWHERE: no memory. */
static size_t step_onto(tide__circles *self, tide__trail *trail, tide_task *task, size_t from,
                        uint32_t flags) {
  if (!make_room(trail, self->memory)) return NOWHERE;
  task->own.flags |= flags;
  trail->places[trail->count] = (tide__place){.task = task, .from = from};
  return trail->count++;
}

void tide__circles_init(tide__circles *self, tide_loop *loop) {
  *self = (tide__circles){.memory = &loop->allocator};
  trail_init(&self->ahead);
  trail_init(&self->behind);
}

/* It may be in a circle, and there is no memory to see. */
static void let_go(tide_task *task) {
  if (task->wait.ops->forward != NULL || task->wait.ops->lets_go) tide__wait_release(&task->wait);
}

void tide__circles_add(tide__circles *self, tide_task *task) {
  if (!is_held(task)) return;
  if (step_onto(self, &self->behind, task, NOWHERE, TIDE_SCOPE_BEHIND) == NOWHERE)
    let_go(task);
  else
    self->starts++;
}

/* Behind. */

/* Goes on to the next list of waiters: of a task's future, then of the group that it is a child of.
 * False: there is none. */
static bool next_list(tide__circles *self) {
  const tide__place *places = self->behind.places;
  tide_list *of_future = &places[self->at].task->future.waiters;
  tide_list *of_group = tide__group_waiters(places[self->at].task);
  if (self->list == NULL)
    self->list = of_future;
  else if (self->list == of_future && of_group != NULL)
    self->list = of_group;
  else if (++self->at < self->behind.count)
    self->list = &places[self->at].task->future.waiters;
  else
    return false;
  self->link = self->list->next;
  return true;
}

static tide_task *waiter_at(tide_list *link) {
  const tide_wait *wait = tide_container(link, tide_wait, in.link);
  if (wait->task != NULL) return wait->task;
  return wait->ops->waiter != NULL ? wait->ops->waiter(wait) : NULL;
}

/* Looks at one of those who wait. */
static void look_behind(tide__circles *self) {
  if (self->blind || self->all_behind) return;
  if (self->link == self->list) {
    self->all_behind = !next_list(self);
    return;
  }
  tide_task *task = waiter_at(self->link);
  self->link = self->link->next;
  if (task == NULL || !is_held(task) || (task->own.flags & TIDE_SCOPE_BEHIND)) return;
  self->blind = step_onto(self, &self->behind, task, NOWHERE, TIDE_SCOPE_BEHIND) == NOWHERE;
}

/* Ahead. */

/* Whether the task may be in a circle, as far as is known. */
static bool is_suspect(const tide__circles *self, const tide_task *task) {
  return !self->all_behind || (task->own.flags & TIDE_SCOPE_BEHIND);
}

/* The place on the path from `first` up to `at` of the wait that is to end: the last of who gave
 * up, for those are told; else one that lets go. The ends of groups stay. NOWHERE: there is none.
 */
static size_t find_end(const tide__trail *trail, size_t at, const tide_task *first) {
  size_t found = NOWHERE;
  for (bool inside = true; inside && at != NOWHERE; at = trail->places[at].from) {
    const tide_task *task = trail->places[at].task;
    if (task->wait.ops->forward != NULL) return at;
    if (task->wait.ops->lets_go && found == NOWHERE) found = at;
    inside = task != first;
  }
  return found;
}

/* Those on the path from `first` up to `at` wait in a circle, or may: one of them is let go. What
 * comes after it on the path may have to be looked at again. Where to go on. */
static size_t open_circle(tide__circles *self, size_t at, const tide_task *first) {
  const tide__place *places = self->ahead.places;
  size_t end = find_end(&self->ahead, at, first);
  size_t from = places[end != NOWHERE ? end : at].from;
  for (; at != from; at = places[at].from)
    places[at].task->own.flags &= ~(uint32_t)(TIDE_SCOPE_SEEN | TIDE_SCOPE_ON_PATH);
  if (end == NOWHERE) return from;
  tide__wait_release(&places[end].task->wait);
  if (!self->all_behind) self->blind = true; /* the lists have changed */
  return from;
}

/* Looks at the next that the one at that place waits for. Where to go on. */
static size_t look_ahead(tide__circles *self, size_t at) {
  static const uint32_t flags = TIDE_SCOPE_SEEN | TIDE_SCOPE_ON_PATH;
  tide__place *here = &self->ahead.places[at];
  tide_task *next = NULL;
  if (is_suspect(self, here->task))
    next = here->task->wait.ops->awaits(&here->task->wait, here->last);
  here->last = next;
  if (next == NULL) {
    here->task->own.flags &= ~(uint32_t)TIDE_SCOPE_ON_PATH;
    return here->from;
  }
  if (next->own.flags & TIDE_SCOPE_ON_PATH) return open_circle(self, at, next);
  if (!is_held(next) || (next->own.flags & TIDE_SCOPE_SEEN) || !is_suspect(self, next)) return at;
  size_t there = step_onto(self, &self->ahead, next, at, flags);
  return there != NOWHERE ? there : open_circle(self, at, NULL);
}

static void look_from(tide__circles *self, tide_task *start) {
  if (!is_held(start) || (start->own.flags & TIDE_SCOPE_SEEN)) return;
  size_t at = step_onto(self, &self->ahead, start, NOWHERE, TIDE_SCOPE_SEEN | TIDE_SCOPE_ON_PATH);
  if (at == NOWHERE) let_go(start);
  while (at != NOWHERE) {
    look_behind(self);
    at = look_ahead(self, at);
  }
}

static void forget(tide__circles *self, tide__trail *trail) {
  for (size_t i = 0; i < trail->count; i++)
    trail->places[i].task->own.flags &=
        ~(uint32_t)(TIDE_SCOPE_SEEN | TIDE_SCOPE_ON_PATH | TIDE_SCOPE_BEHIND);
  trail_term(trail, self->memory);
}

void tide__circles_open(tide__circles *self) {
  for (size_t i = 0; i < self->starts; i++) look_from(self, self->behind.places[i].task);
  forget(self, &self->ahead);
  forget(self, &self->behind);
}

void tide__look_for_circle(tide_task *task) {
  tide__circles circles;
  tide__circles_init(&circles, task->loop);
  tide__circles_add(&circles, task);
  tide__circles_open(&circles);
}
