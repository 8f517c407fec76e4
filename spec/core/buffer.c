/* buffer.c: bytes in a row. */
#include "script.h"

static memory heap;
static const tide_allocator allocator = {.resize = memory_resize, .context = &heap};

static void put(tide_buffer *buffer, const char *text) {
  CHECK_EQ(tide_buffer_reserve(buffer, &allocator, strlen(text)), TIDE_OK);
  tide_buffer_append(buffer, text, strlen(text));
}

#define CHECK_HOLDS(buffer, text)                                      \
  do {                                                                 \
    CHECK_EQ(tide_buffer_size(buffer), strlen(text));                  \
    CHECK(memcmp(tide_buffer_bytes(buffer), text, strlen(text)) == 0); \
  } while (0)

static void bytes_leave_in_the_order_they_came(void) {
  tide_buffer buffer = {0};
  put(&buffer, "one");
  put(&buffer, "two");
  CHECK_HOLDS(&buffer, "onetwo");
  tide_buffer_consume(&buffer, 4);
  CHECK_HOLDS(&buffer, "wo");
  put(&buffer, "three");
  CHECK_HOLDS(&buffer, "wothree");
  tide_buffer_term(&buffer, &allocator);
  CHECK_EQ(heap.in_use, 0);
}

static void an_empty_buffer_has_no_memory(void) {
  tide_buffer buffer = {0};
  CHECK_EQ(tide_buffer_reserve(&buffer, &allocator, 0), TIDE_OK);
  CHECK(buffer.data == NULL);
  CHECK(tide_buffer_bytes(&buffer) == NULL);
  tide_buffer_term(&buffer, &allocator);
}

static void a_queue_of_constant_length_needs_constant_memory(void) {
  tide_buffer buffer = {0};
  put(&buffer, "0123456789");
  for (int i = 0; i < 1000; i++) {
    put(&buffer, "0123456789");
    tide_buffer_consume(&buffer, 10);
    CHECK_HOLDS(&buffer, "0123456789");
  }
  CHECK(buffer.capacity <= 40);
  tide_buffer_term(&buffer, &allocator);
}

static void bytes_that_would_overlap_themselves_are_moved_well(void) {
  tide_buffer buffer = {0};
  CHECK_EQ(tide_buffer_reserve(&buffer, &allocator, 20), TIDE_OK);
  put(&buffer, "0123456789abcdefgh");
  tide_buffer_consume(&buffer, 4);
  put(&buffer, "vwxyz");
  CHECK_HOLDS(&buffer, "456789abcdefghvwxyz");
  tide_buffer_term(&buffer, &allocator);
}

static void borrowed_bytes_are_copied_before_others_follow(void) {
  char lent[] = "lent";
  tide_buffer buffer = {0};
  tide_buffer_borrow(&buffer, lent, 4);
  CHECK(tide_buffer_borrowed(&buffer));
  tide_buffer_consume(&buffer, 1);
  put(&buffer, "!");
  CHECK(!tide_buffer_borrowed(&buffer));
  CHECK_HOLDS(&buffer, "ent!");
  CHECK_TEXT(lent, "lent");
  tide_buffer_term(&buffer, &allocator);
  tide_buffer_borrow(&buffer, lent, 4);
  tide_buffer_term(&buffer, &allocator);
  CHECK_EQ(heap.in_use, 0);
}

static void a_shortage_changes_nothing(void) {
  tide_buffer buffer = {0};
  put(&buffer, "kept");
  heap.fail_at = heap.allocations + 1;
  CHECK_EQ(tide_buffer_reserve(&buffer, &allocator, 1000), TIDE_ENOMEM);
  CHECK_EQ(tide_buffer_reserve(&buffer, &allocator, SIZE_MAX), TIDE_ENOMEM);
  CHECK_HOLDS(&buffer, "kept");
  tide_buffer_term(&buffer, &allocator);
}

static void growing_it_stays_below_what_is_mapped_page_by_page(void) {
  tide_buffer buffer = {0};
  for (size_t size = 0; size + 1000 <= 120 * 1024; size += 1000) {
    CHECK_EQ(tide_buffer_reserve(&buffer, &allocator, 1000), TIDE_OK);
    buffer.end += 1000;
    CHECK(buffer.capacity < 128 * 1024);
  }
  tide_buffer_term(&buffer, &allocator);
}

int main(void) {
  RUN(bytes_leave_in_the_order_they_came);
  RUN(an_empty_buffer_has_no_memory);
  RUN(a_queue_of_constant_length_needs_constant_memory);
  RUN(bytes_that_would_overlap_themselves_are_moved_well);
  RUN(borrowed_bytes_are_copied_before_others_follow);
  RUN(a_shortage_changes_nothing);
  RUN(growing_it_stays_below_what_is_mapped_page_by_page);
  return check_summary();
}
