/* circle.h: circles of tasks that wait for each other's ends, and would for ever. Internal to core.
 *
 * A task is *held* when its wait goes on although it is told to end: it has given up, or is at the
 * end of a group. A circle closes when the last of its tasks is held, so it is enough to look from
 * those that just came to be. */
#ifndef TIDE_CIRCLE_H
#define TIDE_CIRCLE_H

#include "task.h"

/* A task that was come to. */
typedef struct tide__place {
  tide_task *task;
  tide_task *last; /* which of those that it waits for was looked at last; NULL: none yet */
  size_t from;     /* the place from which it was come to */
} tide__place;

enum { TIDE__FEW_PLACES = 16 };

typedef struct tide__trail {
  tide__place *places; /* all that were come to: `few` or memory of its own */
  size_t count, room;
  tide__place few[TIDE__FEW_PLACES];
} tide__trail;

typedef struct tide__circles {
  const tide_allocator *memory;
  tide__trail ahead;  /* those for whose ends the first ones wait, and so on */
  tide__trail behind; /* the first ones; those who wait for their ends, and so on */
  size_t starts;      /* how many are the first ones */
  size_t at;          /* the place in `behind` whose waiters are looked at: */
  tide_list *list;    /* a list of them, */
  tide_list *link;    /* and the next one there */
  bool all_behind;    /* all were found who are behind: others are in no circle */
  bool blind;         /* they are not looked for any more */
} tide__circles;

void tide__circles_init(tide__circles *self, tide_loop *loop);

/* The task may be in a circle now, if it is held. */
void tide__circles_add(tide__circles *self, tide_task *task);

/* Ends one wait, that of somebody who has given up, of each circle in which the tasks added are.
 * Where there is no memory to look on, that of one who may be. O(n), where n is how many they wait
 * for, or how many wait for them, whichever is less: chains that grow at one end stay cheap. */
void tide__circles_open(tide__circles *self);

/* The same for one task, which has begun to wait. */
void tide__look_for_circle(tide_task *task);

#endif
