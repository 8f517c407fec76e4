/* shuffle.h: putting a list into an order that a number decides. */
#ifndef TIDE_SHUFFLE_H
#define TIDE_SHUFFLE_H

#include "list.h"

/* Puts the links into a random order, each of all orders as likely as the others. `state` is that
 * of the generator splitmix64, which goes on: any number, and the same one gives the same orders
 * everywhere. O(n log n); needs no memory. */
void tide__list_shuffle(tide_list *list, uint64_t *state);

#endif
