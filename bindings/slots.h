/* slots.h: places in the table TL_LIVE for tasks and callbacks that the loop knows: there the
 * collector sees them. Filling and clearing one needs no memory. */
#ifndef TL_SLOTS_H
#define TL_SLOTS_H

#include "tide.h"

typedef struct tl_slots {
  int *free;           /* numbers of free slots */
  int count;           /* how many */
  int capacity;        /* the number of slots there are, and room in `free` */
  int enough;          /* free slots, beyond which the table is too large */
  tide_defer shrinker; /* makes it smaller when the turn is over */
} tl_slots;

void tl_slots_init(tl_slots *slots);
void tl_slots_term(tl_slots *slots, const tide_loop *loop);

static inline int tl_slots_used(const tl_slots *slots) { return slots->capacity - slots->count; }

#endif
