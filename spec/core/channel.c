/* channel.c: messages within a loop and between threads, in order, none lost and none twice,
 * however the ends go. */
#include "letter.h"

/* In one loop. */

static void what_is_sent_is_received_in_order(void) {
  for (size_t capacity = 0; capacity < 4; capacity++) {
    world w;
    open_all(&w, capacity);
    spawn(&w, "r", receiver);
    spawn_sender(&w, "s", 5);
    go(&w);
    CHECK_LOG(&w, "r 1, r 2, r 3, r 4, r 5");
    tide_channel_close(channel);
    go(&w);
    CHECK_LOG(&w, "r -13");
    close_all(&w);
  }
}

static void senders_wait_while_it_is_full(void) {
  world w;
  tide_message *message;
  open_all(&w, 2);
  actor *a = spawn_sender(&w, "a", 3), *b = spawn_sender(&w, "b", 1);
  turn(&w);
  CHECK_TEXT(tide_task_waits_for(&a->task), "Channel.send");
  CHECK(tide_loop_held(w.loop));
  CHECK_EQ(tide_channel_count(channel), 2);
  tide_message *mine = write_letter(1, 9);
  CHECK_EQ(tide_channel_try_send(channel, mine), TIDE_EQUEUE_FULL);
  static const int expected[] = {1, 2, 3, 1};
  for (int i = 0; i < 4; i++) {
    CHECK_EQ(tide_channel_try_recv(channel, &message), TIDE_OK);
    CHECK_EQ(read_letter(message), expected[i]);
    turn(&w);
    turn(&w);
    if (i < 1) CHECK_EQ(tide_channel_try_send(channel, mine), TIDE_EQUEUE_FULL); /* b's */
  }
  CHECK_EQ(tide_channel_try_recv(channel, &message), TIDE_EQUEUE_EMPTY);
  CHECK_EQ(tide_channel_try_send(channel, mine), TIDE_OK);
  CHECK(actor_ended(a) && actor_ended(b));
  close_all(&w); /* with one in it */
}

static void who_waits_is_not_overtaken(void) {
  world w;
  tide_message *message;
  open_all(&w, 4);
  actor *r = spawn(&w, "r", receiver);
  turn(&w);
  CHECK_TEXT(tide_task_waits_for(&r->task), "Channel.recv");
  CHECK_EQ(tide_channel_try_send(channel, write_letter(0, 1)), TIDE_OK);
  CHECK_EQ(tide_channel_try_recv(channel, &message), TIDE_EQUEUE_EMPTY);
  CHECK_EQ(tide_channel_try_send(channel, write_letter(0, 2)), TIDE_OK);
  CHECK_EQ(tide_channel_try_recv(channel, &message), TIDE_OK); /* one is left for it */
  CHECK_EQ(read_letter(message), 1);
  go(&w);
  CHECK_LOG(&w, "r 2");
  tide_channel_close(channel);
  go(&w);
  close_all(&w);
}

static void closed_it_is_emptied_and_takes_no_more(void) {
  world w;
  tide_message *message;
  open_all(&w, 1);
  spawn_sender(&w, "a", 2);
  turn(&w);
  tide_channel_close(channel);
  tide_channel_close(channel);
  CHECK(tide_channel_closed(channel));
  go(&w);
  CHECK_LOG(&w, "a -4");
  spawn_sender(&w, "b", 1);
  go(&w);
  CHECK_LOG(&w, "b -4");
  spawn(&w, "r", receiver);
  go(&w);
  CHECK_LOG(&w, "r 1, r -13");
  CHECK_EQ(tide_channel_try_recv(channel, &message), TIDE_EEOF);
  tide_message *mine = write_letter(1, 1);
  CHECK_EQ(tide_channel_try_send(channel, mine), TIDE_ECLOSED);
  tide_message_free(mine);
  close_all(&w);
}

static void a_message_may_be_a_copy_of_bytes(void) {
  tide_message *message = tide_message_new("abc", 4);
  CHECK_TEXT(message->data, "abc");
  CHECK_EQ(message->size, 4);
  tide_message_free(message);
  message = tide_message_new(NULL, 0);
  CHECK_EQ(message->size, 0);
  tide_message_free(message);
}

static void memory_may_be_short(void) {
  world w;
  open_all(&w, 1);
  actor *r = spawn(&w, "r", receiver);
  w.memory.fail_at = w.memory.allocations + 1;
  go(&w);
  CHECK_LOG(&w, "r -14");
  CHECK_EQ(r->outcome, TIDE_ENOMEM);
  close_all(&w);
}

/* Struck. */

static int received; /* by whoever is not struck */

static void victim_sender(actor *self) {
  BEGIN;
  for (self->i = 1; self->i <= 3; self->i++) {
    self->data = write_letter(0, self->i);
    WAIT(tide_channel_send(channel, &self->task, self->data));
    if (self->outcome != TIDE_OK) {
      tide_message_free(self->data);
      break;
    }
  }
  END;
}

static void count_all(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 50));
  for (;;) {
    TRY(tide_channel_recv(channel, &self->task));
    read_letter(self->task.wait.value.pointer);
    received++;
    TRY(sleep_ms(self, 10));
  }
  END;
}

static void closer(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 1000));
  tide_channel_close(channel);
  END;
}

static void stage_sender(world *w) {
  received = alive = 0;
  channel = tide_channel_new(1);
  w->victim = spawn(w, "victim", victim_sender);
  spawn(w, "other", count_all);
  spawn(w, "closer", closer);
}

static void victim_receiver(actor *self) {
  BEGIN;
  for (;;) {
    TRY(tide_channel_recv(channel, &self->task));
    read_letter(self->task.wait.value.pointer);
    received++;
  }
  END;
}

static void stage_receiver(world *w) {
  received = alive = 0;
  channel = tide_channel_new(1);
  w->victim = spawn(w, "victim", victim_receiver);
  spawn_sender(w, "sender", 3);
  spawn(w, "other", count_all);
  spawn(w, "closer", closer);
}

static void verify_receiver(world *w) {
  CHECK_EQ(received, 3); /* what the victim was given comes back */
  tide_channel_unref(channel);
  turn(w);
  CHECK_EQ(flag_of(&alive), 0);
}

static void verify_sender(world *w) {
  CHECK(received <= 3);
  tide_channel_unref(channel);
  turn(w);
  CHECK_EQ(flag_of(&alive), 0);
}

static void struck_at_any_point_nothing_is_lost(void) {
  play_all_blows(&(scenario){.stage = stage_sender, .verify = verify_sender});
  play_all_blows(&(scenario){.stage = stage_receiver, .verify = verify_receiver});
}

/* Select. */

static tide_channel *second;

static void selector(actor *self) {
  static tide_case cases[3];
  static tide_select select;
  BEGIN;
  for (self->i = 0; self->i < 4; self->i++) {
    if (self->data == NULL) self->data = write_letter(7, 7);
    tide_case_recv(&cases[0], channel);
    tide_case_recv(&cases[1], channel); /* the same: one of the two */
    tide_case_send(&cases[2], second, self->data);
    tide_select_init(&select, cases, 3);
    CALL(tide_select_wait(&select, &self->task));
    if (self->outcome != TIDE_OK) break;
    if (select.chosen == 2) self->data = NULL;
    say(self, "%u %d", select.chosen,
        select.chosen < 2 ? read_letter(cases[select.chosen].wait.value.pointer) : 0);
  }
  if (self->data != NULL) tide_message_free(self->data);
  END;
}

static void select_receives_or_sends_once(void) {
  world w;
  tide_message *message;
  open_all(&w, 4);
  second = tide_channel_new(1);
  CHECK_EQ(tide_channel_try_send(second, write_letter(1, 1)), TIDE_OK);
  actor *a = spawn(&w, "a", selector);
  turn(&w);
  CHECK_TEXT(tide_task_waits_for(&a->task), "select");
  tide_channel_try_send(channel, write_letter(0, 1));
  tide_channel_try_send(channel, write_letter(0, 2));
  go(&w);
  CHECK_LOG(&w, "a 0 1, a 0 2");
  tide_channel_try_recv(second, &message);
  read_letter(message);
  go(&w);
  CHECK_LOG(&w, "a 2 0");
  tide_channel_close(second);
  go(&w);
  CHECK_EQ(a->outcome, TIDE_ECLOSED);
  tide_channel_unref(second);
  close_all(&w);
}

/* Between threads. */

enum { THREADS = 3, EACH = 3000 };

typedef struct side {
  tide_channel *in, *out;
  int number;  /* of the thread */
  int failed;  /* something was not as it should be */
  int got;     /* letters */
  bool closes; /* it is in a hurry */
} side;

typedef struct client {
  tide_task task;
  tide_steps steps;
  side *side;
  int i;
  int last[THREADS];
  tide_message *message;
} client;

static void send_all(tide_task *task, int outcome) {
  client *self = tide_container(task, client, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (self->i = 1; self->i <= EACH; self->i++) {
    if (self->side->closes && self->i == EACH / 2) tide_channel_close(self->side->out);
    self->message = write_letter(self->side->number, self->i);
    TIDE_WAIT(tide_channel_send(self->side->out, task, self->message));
    if (self->steps.outcome != TIDE_OK) {
      tide_message_free(self->message);
      break;
    }
  }
  TIDE_END;
}

static void receive_all(tide_task *task, int outcome) {
  client *self = tide_container(task, client, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (;;) {
    TIDE_WAIT(tide_channel_recv(self->side->in, task));
    if (self->steps.outcome != TIDE_OK) break;
    const letter *came = tide_container(task->wait.value.pointer, letter, message);
    if (came->number <= self->last[came->from]) self->side->failed++;
    self->last[came->from] = came->number;
    self->side->got++;
    read_letter(task->wait.value.pointer);
    if (self->side->closes && self->side->got == EACH / 2) tide_channel_close(self->side->in);
  }
  if (self->steps.outcome != TIDE_EEOF) self->side->failed++;
  TIDE_END;
}

static void *run_side(void *argument) {
  static const tide_task_ops sends = {.step = send_all}, receives = {.step = receive_all};
  side *self = argument;
  client sending = {.side = self}, receiving = {.side = self};
  tide_loop *loop = tide_loop_new(NULL);
  if (loop == NULL) abort();
  tide_task_init(&sending.task, loop, &sends);
  tide_task_init(&receiving.task, loop, &receives);
  if (self->out != NULL) tide_task_spawn(&sending.task, tide_loop_background(loop));
  if (self->in != NULL) tide_task_spawn(&receiving.task, tide_loop_background(loop));
  if (tide_loop_run(loop, NULL) != TIDE_OK) self->failed++;
  tide_loop_free(loop);
  if (self->in != NULL) tide_channel_unref(self->in);
  if (self->out != NULL) tide_channel_unref(self->out);
  return NULL;
}

/* Senders in three threads, receivers in as many. */
static void play_threads(size_t capacity, bool closes) {
  static side sides[2 * THREADS];
  crew all = {.count = 0}, readers = {.count = 0};
  int got = 0;
  alive = 0;
  tide_channel *shared = tide_channel_new(capacity);
  for (int i = 0; i < 2 * THREADS; i++) {
    tide_channel *mine = tide_channel_ref(shared);
    sides[i] = i < THREADS ? (side){.out = mine, .number = i, .closes = closes}
                           : (side){.in = mine, .closes = closes};
    start(i < THREADS ? &all : &readers, run_side, &sides[i]);
  }
  join_all(&all);
  tide_channel_close(shared);
  join_all(&readers);
  for (int i = 0; i < 2 * THREADS; i++) {
    got += sides[i].got;
    CHECK_EQ(sides[i].failed, 0);
  }
  if (!closes) CHECK_EQ(got, THREADS * EACH);
  tide_channel_unref(shared);
  CHECK_EQ(flag_of(&alive), 0);
}

static void threads_send_and_receive_each_in_order(void) {
  play_threads(1, false);
  play_threads(64, false);
}

static void it_may_be_closed_from_both_ends_at_once(void) {
  for (int i = 0; i < 5; i++) play_threads(8, true);
}

/* Hosts' threads, which have no loop. */
static void *send_by_force(void *argument) {
  side *self = argument;
  for (int i = 1; i <= EACH; i++) {
    tide_message *message = write_letter(self->number, i);
    while (tide_channel_try_send(self->out, message) == TIDE_EQUEUE_FULL) sched_yield();
  }
  tide_channel_unref(self->out);
  return NULL;
}

static void threads_without_a_loop_try(void) {
  world w;
  crew two = {.count = 0};
  static side sides[2];
  world_open_real(&w);
  alive = 0;
  channel = tide_channel_new(16);
  for (int i = 0; i < 2; i++) {
    sides[i] = (side){.out = tide_channel_ref(channel), .number = i};
    start(&two, send_by_force, &sides[i]);
  }
  received = 0;
  actor *a = spawn(&w, "a", victim_receiver);
  TURN_UNTIL(w.loop, received == 2 * EACH);
  join_all(&two);
  tide_channel_close(channel);
  CHECK_EQ(tide_loop_run(w.loop, &a->task.future), TIDE_OK);
  close_all(&w);
}

int main(void) {
  RUN(what_is_sent_is_received_in_order);
  RUN(senders_wait_while_it_is_full);
  RUN(who_waits_is_not_overtaken);
  RUN(closed_it_is_emptied_and_takes_no_more);
  RUN(a_message_may_be_a_copy_of_bytes);
  RUN(memory_may_be_short);
  RUN(struck_at_any_point_nothing_is_lost);
  RUN(select_receives_or_sends_once);
  RUN(threads_send_and_receive_each_in_order);
  RUN(it_may_be_closed_from_both_ends_at_once);
  RUN(threads_without_a_loop_try);
  return check_summary();
}
