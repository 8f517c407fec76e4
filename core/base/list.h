/* list.h: an intrusive doubly linked ring; the head is a link like the others. */
#ifndef TIDE_LIST_H
#define TIDE_LIST_H

#include "config.h"

typedef struct tide_list {
  struct tide_list *next; /* the first, seen from a head; the link itself when alone */
  struct tide_list *prev; /* the last, seen from a head */
} tide_list;

static inline void tide_list_init(tide_list *head) {
  head->next = head;
  head->prev = head;
}

static inline bool tide_list_empty(const tide_list *head) { return head->next == head; }

static inline void tide_list_insert_before(tide_list *place, tide_list *link) {
  link->prev = place->prev;
  link->next = place;
  place->prev->next = link;
  place->prev = link;
}

static inline void tide_list_append(tide_list *head, tide_list *link) {
  tide_list_insert_before(head, link);
}

static inline void tide_list_prepend(tide_list *head, tide_list *link) {
  tide_list_insert_before(head->next, link);
}

/* Takes `link` out of its ring and leaves it alone, so that a second removal is harmless. */
static inline void tide_list_remove(tide_list *link) {
  link->prev->next = link->next;
  link->next->prev = link->prev;
  tide_list_init(link);
}

/* Takes the first link out of the ring, or gives NULL where it is empty. */
static inline tide_list *tide_list_shift(tide_list *head) {
  tide_list *first = head->next;
  if (first == head) return NULL;
  tide_list_remove(first);
  return first;
}

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void tide_list_splice(tide_list *to, tide_list *from) {
  if (tide_list_empty(from)) return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  tide_list_init(from);
}

/* How many links there are besides the head. O(n). */
static inline size_t tide_list_length(const tide_list *head) {
  size_t length = 0;
  for (const tide_list *link = head->next; link != head; link = link->next) length++;
  return length;
}

#endif
