/* list.c: what an intrusive ring promises. */
#include "../../core/base/list.h"

#include "check.h"

typedef struct item {
  char name;
  tide_list link;
} item;

static tide_list ring, other;
static item items[5];

static void fresh(void) {
  tide_list_init(&ring);
  tide_list_init(&other);
  for (int i = 0; i < 5; i++) {
    items[i].name = (char)('a' + i);
    tide_list_init(&items[i].link);
  }
}

/* The names in it; read backwards they must be the same. */
static const char *names(const tide_list *head) {
  static char text[8];
  size_t n = 0, back = 0;
  for (const tide_list *l = head->next; l != head; l = l->next)
    text[n++] = tide_container(l, item, link)->name;
  text[n] = '\0';
  for (const tide_list *l = head->prev; l != head; l = l->prev)
    CHECK_EQ(text[n - ++back], tide_container(l, item, link)->name);
  CHECK_EQ(back, n);
  return text;
}

static void a_fresh_ring_is_empty(void) {
  fresh();
  CHECK(tide_list_empty(&ring));
  CHECK(tide_list_shift(&ring) == NULL);
  CHECK_TEXT(names(&ring), "");
}

static void append_keeps_the_order_and_prepend_goes_in_front(void) {
  fresh();
  tide_list_append(&ring, &items[1].link);
  tide_list_append(&ring, &items[2].link);
  tide_list_prepend(&ring, &items[0].link);
  CHECK_TEXT(names(&ring), "abc");
}

static void a_link_goes_in_before_any_other(void) {
  fresh();
  tide_list_append(&ring, &items[0].link);
  tide_list_append(&ring, &items[2].link);
  tide_list_insert_before(&items[2].link, &items[1].link);
  CHECK_TEXT(names(&ring), "abc");
}

static void shift_takes_the_first(void) {
  fresh();
  tide_list_append(&ring, &items[0].link);
  tide_list_append(&ring, &items[1].link);
  CHECK(tide_list_shift(&ring) == &items[0].link);
  CHECK_TEXT(names(&ring), "b");
  CHECK(tide_list_empty(&items[0].link));
}

static void removing_twice_is_harmless(void) {
  fresh();
  for (int i = 0; i < 3; i++) tide_list_append(&ring, &items[i].link);
  tide_list_remove(&items[1].link);
  tide_list_remove(&items[1].link);
  CHECK_TEXT(names(&ring), "ac");
  tide_list_remove(&items[0].link);
  tide_list_remove(&items[2].link);
  CHECK(tide_list_empty(&ring));
}

static void splice_moves_all_to_the_end(void) {
  fresh();
  tide_list_append(&ring, &items[0].link);
  for (int i = 1; i < 4; i++) tide_list_append(&other, &items[i].link);
  tide_list_splice(&ring, &other);
  CHECK_TEXT(names(&ring), "abcd");
  CHECK(tide_list_empty(&other));
}

static void splice_works_with_empty_rings(void) {
  fresh();
  tide_list_splice(&ring, &other);
  CHECK(tide_list_empty(&ring));
  tide_list_append(&other, &items[0].link);
  tide_list_splice(&ring, &other);
  CHECK_TEXT(names(&ring), "a");
  tide_list_splice(&ring, &other);
  CHECK_TEXT(names(&ring), "a");
}

int main(void) {
  RUN(a_fresh_ring_is_empty);
  RUN(append_keeps_the_order_and_prepend_goes_in_front);
  RUN(a_link_goes_in_before_any_other);
  RUN(shift_takes_the_first);
  RUN(removing_twice_is_harmless);
  RUN(splice_moves_all_to_the_end);
  RUN(splice_works_with_empty_rings);
  return check_summary();
}
