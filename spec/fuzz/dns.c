/* dns.c: the input is the type that was asked for, and what a name server answers. What is read of
 * it is whole: so many records, each with its texts. */
#include <stdint.h>
#include <stdlib.h>

#include "../../core/io/records.h"

static tide__cares cares;
static tide_loop *loop;

/* Reads all that there is, so that the sanitizers see it. */
static size_t add_up(const tide_dns_answer *answer) {
  size_t sum = 0;
  for (size_t i = 0; i < answer->count; i++) {
    if (answer->addresses != NULL) {
      sum += answer->addresses[i].length;
      continue;
    }
    const tide_dns_record *one = &answer->records[i];
    if (one->text == NULL || one->text[one->size] != '\0') abort();
    if (one->more != NULL && one->more[one->more_size] != '\0') abort();
    for (size_t at = 0; at < one->size; at++) sum += (unsigned char)one->text[at];
  }
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
#define NUMBER(identifier, name, number) number,
  static const int types[] = {TIDE_DNS_TYPES(NUMBER)};
#undef NUMBER
  if (loop == NULL) loop = tide_loop_new(NULL);
  if (cares.library == NULL && tide__cares_open(&cares) != TIDE_OK) abort();
  if (size == 0) return 0;
  int type = types[bytes[0] % (sizeof types / sizeof types[0])];
  bool addresses = (type == TIDE_DNS_A || type == TIDE_DNS_AAAA) && (bytes[0] & 0x80);
  tide_dns_answer *answer = NULL;
  tide_dns_code code =
      tide__records_read(&answer, &cares, loop, bytes + 1, (int)size - 1, type, addresses);
  if ((code == TIDE_DNS_OK) != (answer != NULL)) abort();
  if (answer == NULL) return 0;
  if (answer->count == 0 || add_up(answer) == SIZE_MAX) abort();
  tide_dns_answer_drop(answer);
  return 0;
}
