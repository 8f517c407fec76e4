/* answer.h: what look-ups give. Internal to core. */
#ifndef TIDE_ANSWER_H
#define TIDE_ANSWER_H

#include "../sched/private.h"
#include "dns.h"

typedef struct tide__answer {
  tide_dns_answer answer; /* first */
  tide_loop *loop;
  unsigned refs;
  size_t size;         /* bytes of all */
  max_align_t start[]; /* the list, and the texts behind it */
} tide__answer;

/* One with so many bytes behind it. NULL where memory is short. */
tide__answer *tide__answer_block(tide_loop *loop, size_t bytes);

/* One of so many addresses, which are to be filled in; and of those that there are. The same. */
tide_dns_answer *tide__answer_new(tide_loop *loop, size_t addresses, tide_address **list);
tide_dns_answer *tide__answer_of(tide_loop *loop, const tide_address *addresses, size_t count);

/* One with the addresses of both, each of which may be NULL, in order. The same. */
tide_dns_answer *tide__answer_join(tide_loop *loop, const tide_dns_answer *one,
                                   const tide_dns_answer *other);

tide_dns_answer *tide__answer_ref(tide_dns_answer *answer);

/* order.c: into the order in which they are to be tried (RFC 6724, 6). */
void tide__addresses_sort(const tide_loop *loop, tide_address *list, size_t count);

#endif
