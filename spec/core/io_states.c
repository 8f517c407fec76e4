/* io_states.c: the table of stream.h: what each call does in each state of a stream, and in which
 * state it leaves it. */
#include "io_pair.h"

enum { LARGE = 1500007 }; /* more than any socket's buffer */

typedef enum state {
  QUIET,
  BUFFERED, /* with "abc" */
  READING,
  READ_ENDED,
  READ_BROKEN,
  BROKEN_BUFFERED, /* the same, with "abc" */
  READ_CLOSED,
  IDLE,
  SENDING,
  FULL,
  TAKEN,
  ENDING,
  WRITE_ENDED,
  WRITE_BROKEN,
  WRITE_CLOSED,
  STATES,
  WRITES = IDLE, /* the first one of the writing side */
} state;

static const char *const state_names[STATES] = {
    "quiet",   "buffered", "reading", "ended",  "broken", "broken, buffered", "closed", "idle",
    "sending", "full",     "taken",   "ending", "ended",  "broken",           "closed"};

static state reading_state(void) {
  if (tide_stream_closed(&ours)) return READ_CLOSED;
  if (ours.reader != NULL) return READING;
  bool some = tide_stream_buffered(&ours) > 0;
  if (ours.read_error == TIDE_EEOF) return READ_ENDED;
  if (ours.read_error != TIDE_OK) return some ? BROKEN_BUFFERED : READ_BROKEN;
  return some ? BUFFERED : QUIET;
}

static state writing_state(void) {
  if (tide_stream_closed(&ours)) return WRITE_CLOSED;
  if (ours.writer != NULL) return TAKEN;
  if (ours.write_error != TIDE_OK) return WRITE_BROKEN;
  size_t unsent = tide_stream_unsent(&ours);
  if (ours.write_closed) return unsent > 0 ? ENDING : WRITE_ENDED;
  if (unsent == 0) return IDLE;
  return unsent > ours.high_mark ? FULL : SENDING;
}

/* Calls. */

typedef enum call {
  READ,
  EXACTLY_TWO,
  EXACTLY_FIVE,
  UNTIL_B,
  UNTIL_LINE,
  UNTIL_LIMIT, /* a line of two bytes at most */
  ALL,
  ALL_LIMIT, /* one byte at most */
  WRITE,
  FLUSH,
  CLOSE_WRITE,
  CLOSE,
  CALLS,
} call;

static const char *const call_names[CALLS] = {
    "read",          "read_exactly(2)",  "read_exactly(5)",
    "read_until(b)", "read_until(line)", "read_until(line, 2)",
    "read_all",      "read_all(1)",      "write",
    "flush",         "close_write",      "close"};

static int make(call what, tide_task *task) {
  tide_slice out;
  switch (what) {
  case READ:
    return tide_stream_read(&ours, task, 100, &out);
  case EXACTLY_TWO:
    return tide_stream_read_exactly(&ours, task, 2, &out);
  case EXACTLY_FIVE:
    return tide_stream_read_exactly(&ours, task, 5, &out);
  case UNTIL_B:
    return tide_stream_read_until(&ours, task, slice_of("b"), 100, &out);
  case UNTIL_LINE:
    return tide_stream_read_until(&ours, task, slice_of("\n"), 100, &out);
  case UNTIL_LIMIT:
    return tide_stream_read_until(&ours, task, slice_of("\n"), 2, &out);
  case ALL:
    return tide_stream_read_all(&ours, task, 100, &out);
  case ALL_LIMIT:
    return tide_stream_read_all(&ours, task, 1, &out);
  case WRITE:
    return tide_stream_write(&ours, task, &(struct iovec){"x", 1}, 1);
  case FLUSH:
    return tide_stream_flush(&ours, task);
  case CLOSE_WRITE:
    return tide_stream_close_write(&ours);
  default:
    tide_stream_close(&ours);
    return TIDE_OK;
  }
}

/* Makes the call that self->i is, and once more whenever it says so; its first answer is kept. */

static int answer;
static bool answered;

static int make_and_note(actor *self) {
  int result = make((call)self->i, &self->task);
  if (!answered) answer = result;
  answered = true;
  return result;
}

static void caller(actor *self) {
  BEGIN;
  CALL(make_and_note(self));
  END;
}

static int answer_of(world *w, call what) {
  actor *self = spawn(w, "caller", caller);
  self->i = what;
  answered = false;
  turn(w);
  CHECK(answered);
  return answer;
}

/* Coming into the states. */

static void fill(world *w) {
  static char bytes[LARGE];
  actor a = {.world = w};
  tide_task_init(&a.task, w->loop, &actor_ops);
  CHECK_EQ(tide_stream_write(&ours, &a.task, &(struct iovec){bytes, LARGE}, 1), TIDE_OK);
}

/* The other end goes, so that this is no orderly end: over TCP it resets, a unix socket has unread
 * bytes. */
static void break_off(void) {
  const struct linger at_once = {.l_onoff = 1};
  CHECK_EQ(send(ours.own.fd.fd, "x", 1, MSG_NOSIGNAL), 1);
  setsockopt(theirs.own.fd.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  raw_close(&theirs);
}

static void turns(const world *w, int count) {
  while (count-- > 0) tide_loop_turn(w->loop, false);
}

static void come_into(world *w, state wanted) {
  switch (wanted) {
  case BUFFERED:
    raw_send(&theirs, "abc");
    answer_of(w, UNTIL_LIMIT);
    break;
  case READING:
    answer_of(w, READ);
    break;
  case READ_ENDED:
    CHECK_EQ(shutdown(theirs.own.fd.fd, SHUT_WR), 0);
    answer_of(w, READ);
    break;
  case READ_BROKEN:
  case BROKEN_BUFFERED:
    if (wanted == BROKEN_BUFFERED) raw_send(&theirs, "abc");
    answer_of(w, EXACTLY_FIVE);
    turns(w, 3);
    break_off();
    break;
  case SENDING:
    fill(w);
    tide_stream_set_marks(&ours, 0, UINT32_MAX);
    break;
  case FULL:
    fill(w);
    break;
  case TAKEN:
    fill(w);
    answer_of(w, FLUSH);
    break;
  case ENDING:
    fill(w);
    answer_of(w, CLOSE_WRITE);
    break;
  case WRITE_ENDED:
    answer_of(w, CLOSE_WRITE);
    break;
  case WRITE_BROKEN:
    break_off();
    answer_of(w, WRITE);
    break;
  case READ_CLOSED:
  case WRITE_CLOSED:
    answer_of(w, CLOSE);
    break;
  default:
    break;
  }
  turns(w, 3);
}

/* The table. */

typedef struct row {
  int answer;
  state next;
} row;

enum { ITS_ERROR = 100 }; /* the answer is what the system said */

enum { READS = WRITE, WRITE_CALLS = CLOSE - WRITE };

#define IN_ALL(...) __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__

/* In the order of the calls. */
static const row reads[WRITES][READS] = {
    [QUIET] = {IN_ALL({TIDE_PENDING, READING}, {TIDE_PENDING, READING})},
    [BUFFERED] = {{TIDE_OK, QUIET},
                  {TIDE_OK, BUFFERED},
                  {TIDE_PENDING, READING},
                  {TIDE_OK, BUFFERED},
                  {TIDE_PENDING, READING},
                  {TIDE_ELIMIT, BUFFERED},
                  {TIDE_PENDING, READING},
                  {TIDE_ELIMIT, BUFFERED}},
    [READING] = {IN_ALL({TIDE_EBUSY, READING}, {TIDE_EBUSY, READING})},
    [READ_ENDED] = {{TIDE_EEOF, READ_ENDED},
                    {TIDE_EEOF, READ_ENDED},
                    {TIDE_EEOF, READ_ENDED},
                    {TIDE_EEOF, READ_ENDED},
                    {TIDE_EEOF, READ_ENDED},
                    {TIDE_EEOF, READ_ENDED},
                    {TIDE_OK, READ_ENDED},
                    {TIDE_OK, READ_ENDED}},
    [READ_BROKEN] = {IN_ALL({ITS_ERROR, READ_BROKEN}, {ITS_ERROR, READ_BROKEN})},
    [BROKEN_BUFFERED] = {{TIDE_OK, READ_BROKEN},
                         {TIDE_OK, BROKEN_BUFFERED},
                         {ITS_ERROR, BROKEN_BUFFERED},
                         {TIDE_OK, BROKEN_BUFFERED},
                         {ITS_ERROR, BROKEN_BUFFERED},
                         {TIDE_ELIMIT, BROKEN_BUFFERED},
                         {ITS_ERROR, BROKEN_BUFFERED},
                         {TIDE_ELIMIT, BROKEN_BUFFERED}},
    [READ_CLOSED] = {IN_ALL({TIDE_ECLOSED, READ_CLOSED}, {TIDE_ECLOSED, READ_CLOSED})},
};

static const row writes[STATES][WRITE_CALLS] = {
    [IDLE] = {{TIDE_OK, IDLE}, {TIDE_OK, IDLE}, {TIDE_OK, WRITE_ENDED}},
    [SENDING] = {{TIDE_OK, SENDING}, {TIDE_PENDING, TAKEN}, {TIDE_OK, ENDING}},
    [FULL] = {{TIDE_PENDING, TAKEN}, {TIDE_PENDING, TAKEN}, {TIDE_OK, ENDING}},
    [TAKEN] = {{TIDE_PENDING, TAKEN}, {TIDE_PENDING, TAKEN}, {TIDE_EBUSY, TAKEN}},
    [ENDING] = {{TIDE_ECLOSED, ENDING}, {TIDE_PENDING, TAKEN}, {TIDE_OK, ENDING}},
    [WRITE_ENDED] = {{TIDE_ECLOSED, WRITE_ENDED}, {TIDE_OK, WRITE_ENDED}, {TIDE_OK, WRITE_ENDED}},
    [WRITE_BROKEN] = {{ITS_ERROR, WRITE_BROKEN},
                      {ITS_ERROR, WRITE_BROKEN},
                      {ITS_ERROR, WRITE_BROKEN}},
    [WRITE_CLOSED] = {{TIDE_ECLOSED, WRITE_CLOSED},
                      {TIDE_ECLOSED, WRITE_CLOSED},
                      {TIDE_ECLOSED, WRITE_CLOSED}},
};

static state state_of(bool writing) { return writing ? writing_state() : reading_state(); }

static row expected(state from, call what) {
  if (what == CLOSE) return (row){TIDE_OK, from < WRITES ? READ_CLOSED : WRITE_CLOSED};
  return from < WRITES ? reads[from][what] : writes[from][what - WRITE];
}

static void walk(void (*open)(world *w), state from, call what) {
  world w;
  bool writing = from >= WRITES;
  const row wanted = expected(from, what);
  snprintf(check_state.context, sizeof check_state.context, "%s: %s", state_names[from],
           call_names[what]);
  open(&w);
  come_into(&w, from);
  CHECK_EQ(state_of(writing), from);
  int got = answer_of(&w, what);
  if (wanted.answer == ITS_ERROR)
    CHECK(TIDE_IS_OS(got));
  else
    CHECK_EQ(got, wanted.answer);
  CHECK_EQ(state_of(writing), wanted.next);
  if (!tide_stream_closed(&theirs)) raw_close(&theirs); /* and so nothing lingers */
  tide_stream_close(&ours);
  turns(&w, 5);
  io_close(&w);
}

static void walk_all(void (*open)(world *w)) {
  for (state from = 0; from < STATES; from++) {
    for (call what = from < WRITES ? 0 : WRITE; what < (from < WRITES ? READS : CLOSE); what++)
      walk(open, from, what);
    walk(open, from, CLOSE);
  }
  check_state.context[0] = '\0';
}

static void each_call_in_each_state_of_a_unix_socket(void) { walk_all(open_pair); }

static void each_call_in_each_state_of_a_tcp_socket(void) { walk_all(open_tcp_pair); }

int main(void) {
  RUN(each_call_in_each_state_of_a_unix_socket);
  RUN(each_call_in_each_state_of_a_tcp_socket);
  return check_summary();
}
