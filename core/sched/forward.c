/* forward.c: cancellation goes on from who waits to what is waited for.
 *
 * A wait that hands it on does not end at once: it has *given up*, and ends with what it waits for.
 * Where tasks that have given up wait for each other in a circle, none would ever end; so after
 * each round of handing on such circles are looked for, and one wait of each ends at once. */
#include <string.h>

#include "private.h"

bool tide__wait_forwards(tide_wait *wait, int outcome) {
  if (outcome != TIDE_ECANCELLED) return false;
  if (wait->task->own.flags & TIDE_SCOPE_HANDS_ON) return true; /* it is in the list */
  tide_loop *loop = wait->task->loop;
  wait->task->own.flags |= TIDE_SCOPE_HANDS_ON;
  wait->value.pointer = NULL;
  if (loop->forwards == NULL)
    loop->forwards = wait;
  else
    loop->last_forward->value.pointer = wait;
  loop->last_forward = wait;
  return true;
}

void tide__wait_release(tide_wait *wait) {
  wait->ops->abandon(wait);
  tide__task_wake(wait->task, wait->ops->lets_go ? TIDE_OK : TIDE_ECANCELLED);
}

bool tide__future_give_up(tide_future *future, const tide_wait *self) {
  if (!future->is_task) return false;
  for (tide_list *link = future->waiters.next; link != &future->waiters; link = link->next) {
    const tide_wait *other = tide_container(link, tide_wait, in.link);
    if (other == self) continue;
    if (other->ops->given_up == NULL || !other->ops->given_up(other)) return false;
  }
  tide_future_cancel(future);
  return true;
}

/* Circles. */

/* A task that was come to, and will end only after others. */
typedef struct place {
  tide_task *task;
  tide_task *last; /* which of those was looked at last; NULL: none yet */
  size_t from;     /* the place from which it was come to, or NOWHERE */
} place;

static const size_t NOWHERE = SIZE_MAX;

enum { FEW = 16 };

typedef struct walk {
  const tide_allocator *memory;
  place *places; /* all that were come to: `few` or memory of its own */
  size_t count, room;
  place few[FEW];
} walk;

static void begin_walk(walk *self, const tide_loop *loop) {
  self->memory = &loop->allocator;
  self->places = self->few;
  self->count = 0;
  self->room = FEW;
}

static void free_places(walk *self) {
  if (self->places != self->few)
    tide_free(self->memory, self->places, self->room * sizeof *self->places);
}

static bool make_room(walk *self) {
  if (self->count < self->room) return true;
  place *places = tide_alloc(self->memory, 2 * self->room * sizeof *places);
  if (places == NULL) return false;
  memcpy(places, self->places, self->count * sizeof *places);
  free_places(self);
  self->places = places;
  self->room *= 2;
  return true;
}

/* Whether the wait may end so that no circle is left. */
static bool can_end(const tide_wait *wait) {
  return wait->ops->forward != NULL || wait->ops->lets_go;
}

/* Whether the task's wait goes on although it is told to end. */
static bool is_held(const tide_task *task) {
  return task->state == TIDE_TASK_WAITING && task->wait.ops->awaits != NULL;
}

/* The new place. NOWHERE: no memory. */
static size_t step_onto(walk *self, tide_task *task, size_t from) {
  if (!make_room(self)) return NOWHERE;
  task->own.flags |= TIDE_SCOPE_SEEN | TIDE_SCOPE_ON_PATH;
  self->places[self->count] = (place){.task = task, .from = from};
  return self->count++;
}

/* The place on the path from `first` up to `at` of the wait that is to end: the last of who gave
 * up, for those are told; else one that lets go. The ends of groups stay. NOWHERE: there is none.
 */
static size_t find_end(const walk *self, size_t at, const tide_task *first) {
  size_t found = NOWHERE;
  for (bool inside = true; inside && at != NOWHERE; at = self->places[at].from) {
    const tide_task *task = self->places[at].task;
    if (task->wait.ops->forward != NULL) return at;
    if (task->wait.ops->lets_go && found == NOWHERE) found = at;
    inside = task != first;
  }
  return found;
}

/* Those on the path from `first` up to `at` wait in a circle, or may: one of them is let go. What
 * comes after it on the path may have to be looked at again. Where to go on. */
static size_t open_circle(walk *self, size_t at, const tide_task *first) {
  size_t end = find_end(self, at, first);
  size_t from = self->places[end != NOWHERE ? end : at].from;
  for (; at != from; at = self->places[at].from)
    self->places[at].task->own.flags &= ~(uint32_t)(TIDE_SCOPE_SEEN | TIDE_SCOPE_ON_PATH);
  if (end != NOWHERE) tide__wait_release(&self->places[end].task->wait);
  return from;
}

/* Looks at all for whose ends the task waits, and for whose those do. */
static void look_from(walk *self, tide_task *start) {
  if (start->own.flags & TIDE_SCOPE_SEEN) return;
  size_t at = step_onto(self, start, NOWHERE);
  if (at == NOWHERE && can_end(&start->wait)) tide__wait_release(&start->wait);
  while (at != NOWHERE) {
    place *here = &self->places[at];
    tide_task *next = here->task->wait.ops->awaits(&here->task->wait, here->last);
    here->last = next;
    if (next == NULL) {
      here->task->own.flags &= ~(uint32_t)TIDE_SCOPE_ON_PATH;
      at = here->from;
    } else if (next->own.flags & TIDE_SCOPE_ON_PATH) {
      at = open_circle(self, at, next);
    } else if (is_held(next) && !(next->own.flags & TIDE_SCOPE_SEEN)) {
      size_t there = step_onto(self, next, at);
      at = there != NOWHERE ? there : open_circle(self, at, NULL);
    }
  }
}

static void end_walk(walk *self) {
  for (size_t i = 0; i < self->count; i++)
    self->places[i].task->own.flags &= ~(uint32_t)(TIDE_SCOPE_SEEN | TIDE_SCOPE_ON_PATH);
  free_places(self);
}

void tide__cancel_forward(tide_loop *loop) {
  if (loop->forwarding || loop->forwards == NULL) return;
  walk circles;
  begin_walk(&circles, loop);
  loop->forwarding = true;
  for (tide_wait *wait = loop->forwards; wait != NULL; wait = wait->value.pointer)
    wait->ops->forward(wait);
  for (tide_wait *wait = loop->forwards; wait != NULL; wait = wait->value.pointer) {
    wait->task->own.flags &= ~(uint32_t)TIDE_SCOPE_HANDS_ON;
    if (is_held(wait->task)) look_from(&circles, wait->task);
  }
  end_walk(&circles);
  loop->forwards = NULL;
  loop->forwarding = false;
}

void tide__look_for_circle(tide_task *task) {
  walk circles;
  begin_walk(&circles, task->loop);
  look_from(&circles, task);
  end_walk(&circles);
}
