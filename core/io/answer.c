/* answer.c: lists of addresses or records, in one block of memory each. */
#include "answer.h"

tide__answer *tide__answer_block(tide_loop *loop, size_t bytes) {
  tide__answer *self = tide_alloc(&loop->allocator, sizeof *self + bytes);
  if (self == NULL) return NULL;
  *self = (tide__answer){.loop = loop, .refs = 1, .size = sizeof *self + bytes};
  return self;
}

tide_dns_answer *tide__answer_new(tide_loop *loop, size_t addresses, tide_address **list) {
  tide__answer *self = tide__answer_block(loop, addresses * sizeof **list);
  if (self == NULL) return NULL;
  *list = (tide_address *)(void *)self->start;
  self->answer = (tide_dns_answer){.count = addresses, .addresses = *list};
  return &self->answer;
}

tide_dns_answer *tide__answer_of(tide_loop *loop, const tide_address *addresses, size_t count) {
  tide_address *list;
  tide_dns_answer *answer = tide__answer_new(loop, count, &list);
  if (answer != NULL) memcpy(list, addresses, count * sizeof *list);
  return answer;
}

static tide_address *append(tide_address *list, const tide_dns_answer *answer) {
  if (answer == NULL) return list;
  memcpy(list, answer->addresses, answer->count * sizeof *list);
  return list + answer->count;
}

tide_dns_answer *tide__answer_join(tide_loop *loop, const tide_dns_answer *one,
                                   const tide_dns_answer *other) {
  tide_address *list;
  size_t count = (one != NULL ? one->count : 0) + (other != NULL ? other->count : 0);
  tide_dns_answer *both = tide__answer_new(loop, count, &list);
  if (both == NULL) return NULL;
  append(append(list, one), other);
  tide__addresses_sort(loop, list, count);
  return both;
}

tide_dns_answer *tide__answer_ref(tide_dns_answer *answer) {
  ((tide__answer *)(void *)answer)->refs++;
  return answer;
}

void tide_dns_answer_drop(const tide_dns_answer *answer) {
  tide__answer *self = (tide__answer *)(uintptr_t)answer;
  if (self == NULL || --self->refs > 0) return;
  tide_free(&self->loop->allocator, self, self->size);
}
