/* fuzz.h: what the fuzzers have in common: the input, byte by byte, and what a failed check does.
 * A fuzzer defines run_input. */
#ifndef TIDE_SPEC_FUZZ_H
#define TIDE_SPEC_FUZZ_H

#include <stdint.h>

#include "../core/io.h"

static struct input {
  const uint8_t *bytes;
  size_t size;
  size_t at; /* how many were taken */
} input;

/* The next byte; 0 at the end. */
static inline unsigned input_byte(void) {
  return input.at < input.size ? input.bytes[input.at++] : 0;
}

/* A number below `count`. */
static inline unsigned input_below(unsigned count) { return input_byte() % count; }

static void run_input(void);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  input = (struct input){.bytes = bytes, .size = size};
  if (setjmp(check_state.end_of_test) != 0) {
    fflush(stdout);
    abort();
  }
  run_input();
  return 0;
}

#endif
