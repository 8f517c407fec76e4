/* shuffle.c: the shuffle of Rao and Sandelius: deal the cards into two heaps by tossing a coin for
 * each, shuffle the heaps in the same way, put one on the other. As uniform as that of Fisher and
 * Yates, which wants an array, and so memory that may be short. */
#include "shuffle.h"

/* The generator splitmix64. */
static uint64_t splitmix64(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static void deal(tide_list *list, tide_list heaps[2], uint64_t *state) {
  tide_list *link;
  while ((link = tide_list_shift(list)) != NULL)
    tide_list_append(&heaps[splitmix64(state) >> 63], link);
}

void tide__list_shuffle(tide_list *list, uint64_t *state) {
  if (list->next == list->prev) return; /* none, or one */
  tide_list heaps[2];
  for (int i = 0; i < 2; i++) tide_list_init(&heaps[i]);
  deal(list, heaps, state);
  for (int i = 0; i < 2; i++) {
    tide__list_shuffle(&heaps[i], state); /* about log2(n) deep */
    tide_list_splice(list, &heaps[i]);
  }
}
