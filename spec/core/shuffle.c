/* shuffle.c: orders that a seed decides. */
#include "../../core/base/shuffle.h"

#include "check.h"

enum { MANY = 100000 };

typedef struct card {
  tide_list link;
  int number;
} card;

static card cards[MANY];

static void fill(tide_list *list, int count) {
  tide_list_init(list);
  for (int i = 0; i < count; i++) {
    cards[i].number = i;
    tide_list_append(list, &cards[i].link);
  }
}

static int number_of(const tide_list *link) { return ((const card *)(const void *)link)->number; }

/* The order as a number: 0123 of four cards is 0123 in decimal. */
static int order(const tide_list *list) {
  int digits = 0;
  for (const tide_list *link = list->next; link != list; link = link->next)
    digits = digits * 10 + number_of(link);
  return digits;
}

static void none_and_one_stay_as_they_are(void) {
  tide_list list;
  uint64_t state = 1;
  fill(&list, 0);
  tide__list_shuffle(&list, &state);
  CHECK(tide_list_empty(&list));
  fill(&list, 1);
  tide__list_shuffle(&list, &state);
  CHECK_EQ(order(&list), 0);
  CHECK(list.next == &cards[0].link && list.prev == &cards[0].link);
  CHECK_EQ(state, 1);
}

static void the_same_seed_gives_the_same_orders(void) {
  tide_list list;
  int orders[2][20];
  for (int round = 0; round < 2; round++) {
    uint64_t state = 42;
    for (int i = 0; i < 20; i++) {
      fill(&list, 9);
      tide__list_shuffle(&list, &state);
      orders[round][i] = order(&list);
    }
  }
  CHECK(memcmp(orders[0], orders[1], sizeof orders[0]) == 0);
  CHECK(orders[0][0] != orders[0][1]);
}

/* So that a failing seed fails on every machine and in every version. */
static void the_orders_are_always_these(void) {
  tide_list list;
  uint64_t state = 1;
  fill(&list, 9);
  tide__list_shuffle(&list, &state);
  CHECK_EQ(order(&list), 438016725);
}

static void every_order_is_as_likely_as_the_others(void) {
  enum { ROUNDS = 24000, EXPECTED = ROUNDS / 24 };
  static int seen[3211];
  tide_list list;
  int orders = 0;
  uint64_t state = 7;
  for (int i = 0; i < ROUNDS; i++) {
    fill(&list, 4);
    tide__list_shuffle(&list, &state);
    seen[order(&list)]++;
  }
  for (int i = 0; i < 3211; i++) {
    if (seen[i] == 0) continue;
    CHECK(seen[i] > EXPECTED * 8 / 10 && seen[i] < EXPECTED * 12 / 10);
    orders++;
  }
  CHECK_EQ(orders, 24);
}

static void nothing_is_lost_from_a_long_list(void) {
  static char seen[MANY];
  tide_list list;
  uint64_t state = 3;
  fill(&list, MANY);
  tide__list_shuffle(&list, &state);
  int count = 0, moved = 0;
  for (const tide_list *link = list.next; link != &list; link = link->next) {
    CHECK(link->next->prev == link);
    CHECK(seen[number_of(link)]++ == 0);
    if (number_of(link) != count) moved++;
    count++;
  }
  CHECK_EQ(count, MANY);
  CHECK(moved > MANY - 20);
}

int main(void) {
  RUN(none_and_one_stay_as_they_are);
  RUN(the_same_seed_gives_the_same_orders);
  RUN(the_orders_are_always_these);
  RUN(every_order_is_as_likely_as_the_others);
  RUN(nothing_is_lost_from_a_long_list);
  return check_summary();
}
