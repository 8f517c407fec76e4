/* log.c: what a host is told. */
#include <errno.h>
#include <unistd.h>

#include "script.h"

typedef struct heard {
  int times;
  tide_log_kind kind;
  char text[4096];
} heard;

static void hear(void *context, tide_log_kind kind, const char *text) {
  heard *self = context;
  self->times++;
  self->kind = kind;
  snprintf(self->text, sizeof self->text, "%s", text);
  errno = ENOENT;
}

static void a_host_is_told_all_as_texts(void) {
  world w;
  heard h = {0};
  world_open_real(&w);
  tide_loop_set_log(w.loop, hear, &h);
  errno = EAGAIN;
  tide_log_write(tide_loop_log(w.loop), TIDE_LOG_DEBUG, "%d and %s", 1, "two");
  CHECK_EQ(errno, EAGAIN);
  CHECK_EQ(h.times, 1);
  CHECK_EQ(h.kind, TIDE_LOG_DEBUG);
  check_text(__FILE__, __LINE__, "text", h.text, "1 and two");
  tide_loop_set_log(w.loop, NULL, NULL);
  tide_log_write(tide_loop_log(w.loop), TIDE_LOG_DEBUG, "nobody hears");
  CHECK_EQ(h.times, 1);
  world_close(&w);
}

static void however_long_they_are(void) {
  world w;
  heard h = {0};
  char long_text[4000];
  world_open_real(&w);
  tide_loop_set_log(w.loop, hear, &h);
  for (size_t length = 500; length < sizeof long_text; length += 3) {
    memset(long_text, 'x', length);
    long_text[length] = '\0';
    tide_log_write(tide_loop_log(w.loop), TIDE_LOG_FAILURE, "%s", long_text);
    CHECK(strcmp(h.text, long_text) == 0);
    if (length == 530) length = 3900;
  }
  world_close(&w);
}

/* What goes to stderr meanwhile. */
static size_t stderr_of(const tide_log *log, tide_log_kind kind, char *text, size_t size) {
  int ends[2], kept = dup(STDERR_FILENO);
  CHECK_EQ(pipe(ends), 0);
  dup2(ends[1], STDERR_FILENO);
  tide_log_write(log, kind, "%s failed", "it");
  fflush(stderr);
  dup2(kept, STDERR_FILENO);
  close(kept);
  close(ends[1]);
  ssize_t length = read(ends[0], text, size - 1);
  close(ends[0]);
  text[length > 0 ? length : 0] = '\0';
  return length > 0 ? (size_t)length : 0;
}

static void without_a_host_failures_alone_go_to_stderr(void) {
  world w;
  char text[100];
  world_open_real(&w);
  CHECK(stderr_of(tide_loop_log(w.loop), TIDE_LOG_FAILURE, text, sizeof text) > 0);
  check_text(__FILE__, __LINE__, "stderr", text, "tide: it failed\n");
  CHECK_EQ(stderr_of(tide_loop_log(w.loop), TIDE_LOG_HANDLED, text, sizeof text), 0);
  CHECK_EQ(stderr_of(tide_loop_log(w.loop), TIDE_LOG_DEBUG, text, sizeof text), 0);
  CHECK_EQ(stderr_of(tide_loop_log(w.loop), TIDE_LOG_LIMIT, text, sizeof text), 0);
  world_close(&w);
}

int main(void) {
  RUN(a_host_is_told_all_as_texts);
  RUN(however_long_they_are);
  RUN(without_a_host_failures_alone_go_to_stderr);
  return check_summary();
}
