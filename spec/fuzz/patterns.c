/* patterns.c: the input is a subject and a pattern, and how they are used; bounded patterns must
 * give what Lua's own functions give. Both are short, so that no match takes long. */
#include "fuzz.h"

#include "../host/patterns.h"

enum { SUBJECT_MAX = 16, PATTERN_MAX = 20, CALLS_MAX = 1000 };

/* Letters that patterns have to do with, most of them. */
static char letter(void) {
  static const char usual[] = "aab()%%%[]^$.*+-?bf12wdsz_";
  unsigned byte = input_byte();
  return (char)(byte < 128 ? usual[byte % (sizeof usual - 1)] : byte * 2);
}

static size_t fill(char *text, unsigned most) {
  size_t length = input_below(most + 1);
  for (size_t i = 0; i < length; i++) text[i] = letter();
  return length;
}

static void run_input(void) {
  static lua_State *L; /* a new one now and then: one for each input would be most of the time */
  static int calls;
  char subject[SUBJECT_MAX], pattern[PATTERN_MAX];
  if (L == NULL) L = patterns_open();
  asked it = {.subject = subject, .pattern = pattern};
  it.replacement = input_byte();
  it.init = input_below(34) + 1;
  it.plain = input_below(10);
  it.most = input_below(68) + 1;
  it.subject_length = fill(subject, SUBJECT_MAX);
  it.pattern_length = fill(pattern, PATTERN_MAX);
  patterns_compare(L, &it);
  if (++calls % CALLS_MAX != 0) return;
  lua_close(L);
  L = NULL;
}
