/* channel_ends.c: channels whose loops, tasks and threads come and go. */
#include "letter.h"

/* A loop goes, and another takes over what it would have got. */
static void a_loop_that_goes_loses_nothing(void) {
  for (int round = 0; round < 60; round++) {
    world here, there;
    world_open(&here);
    world_open(&there);
    alive = 0;
    channel = tide_channel_new(4);
    spawn(&here, "a", receiver);
    spawn(&there, "b", receiver);
    turn(&here);
    turn(&there);
    for (int i = 1; i <= 2; i++) tide_channel_try_send(channel, write_letter(0, i));
    if (round % 2) turn(&here);
    tide_loop_free(here.loop);
    go(&there); /* b waits on */
    tide_channel_close(channel);
    go(&there);
    CHECK_EQ(here.memory.in_use, 0);
    CHECK_EQ(flag_of(&alive), 0);
    CHECK(actor_failed_with(&there.actors[0], TIDE_EEOF));
    tide_channel_unref(channel);
    if (round % 3) turn(&there);
    world_close(&there);
  }
}

/* The channel's last reference goes in one thread, while a loop with an end of it goes in another.
 */

static tide_channel *contested;

static void *free_loop(void *loop) {
  tide_loop_free(loop);
  return NULL;
}

static void a_channel_and_a_loop_may_go_at_once(void) {
  for (int round = 0; round < 200; round++) {
    world w;
    crew one = {.count = 0};
    world_open(&w);
    alive = 0;
    channel = contested = tide_channel_new(2);
    spawn(&w, "a", receiver);
    turn(&w);
    tide_channel_try_send(channel, write_letter(0, 1));
    turn(&w);
    tide_channel_close(channel);
    if (round % 2) turn(&w);
    go(&w);
    start(&one, free_loop, w.loop);
    tide_channel_unref(contested);
    join_all(&one);
    CHECK_EQ(flag_of(&alive), 0);
    CHECK_EQ(w.memory.in_use, 0);
  }
}

/* Senders wait in a loop that goes: what they have not sent goes with them. */
static void a_loop_that_goes_takes_what_its_senders_have_not_sent(void) {
  for (int woken = 0; woken < 2; woken++) {
    world here, there;
    tide_message *message;
    world_open(&here);
    world_open(&there);
    alive = 0;
    channel = tide_channel_new(1);
    for (int i = 0; i < 3; i++) spawn_sender(&here, "a", 2);
    actor *b = spawn_sender(&there, "b", 1);
    turn(&here);
    turn(&there);
    CHECK_EQ(flag_of(&alive), 5);
    if (woken) { /* the end is poked, and will not look */
      CHECK_EQ(tide_channel_try_recv(channel, &message), TIDE_OK);
      read_letter(message);
    }
    tide_loop_free(here.loop);
    CHECK_EQ(flag_of(&alive), woken ? 1 : 2); /* what was sent, and b's */
    if (!woken) {
      CHECK_EQ(tide_channel_try_recv(channel, &message), TIDE_OK);
      read_letter(message);
    }
    go(&there);
    CHECK(actor_failed_with(b, TIDE_OK));
    CHECK_EQ(tide_channel_count(channel), 1);
    tide_channel_unref(channel);
    go(&there);
    CHECK_EQ(flag_of(&alive), 0);
    CHECK_EQ(here.memory.in_use, 0);
    world_close(&there);
  }
}

static void *close_late(void *argument) {
  pause_us(*(int *)argument);
  tide_channel_close(channel);
  return NULL;
}

static void senders_of_two_loops_hear_that_another_thread_has_closed_it(void) {
  for (int round = 0; round < 40; round++) {
    world here, there;
    crew one = {.count = 0};
    int late = round * 10;
    world_open_real(&here);
    world_open_real(&there);
    alive = 0;
    channel = tide_channel_new(2);
    for (int i = 0; i < 4; i++) {
      spawn_sender(&here, "a", 3);
      spawn_sender(&there, "b", 3);
    }
    start(&one, close_late, &late);
    CHECK_EQ(tide_loop_run(here.loop, NULL), TIDE_OK);
    CHECK_EQ(tide_loop_run(there.loop, NULL), TIDE_OK);
    join_all(&one);
    for (int i = 0; i < 4; i++) {
      CHECK_EQ(here.actors[i].outcome, TIDE_ECLOSED);
      CHECK_EQ(there.actors[i].outcome, TIDE_ECLOSED);
    }
    CHECK_EQ(flag_of(&alive), (int)tide_channel_count(channel));
    tide_channel_unref(channel);
    go(&here);
    go(&there);
    CHECK_EQ(flag_of(&alive), 0);
    world_close(&here);
    world_close(&there);
  }
}

/* Who has sent, and who was given a message and has not seen it, is killed, while the channel is
 * used by another thread. */

static void *send_and_receive(void *argument) {
  for (int i = 0; !flag_of(argument); i++) {
    tide_message *message = write_letter(1, i);
    if (tide_channel_try_send(channel, message) != TIDE_OK) tide_message_free(message);
    if (tide_channel_try_recv(channel, &message) == TIDE_OK) tide_message_free(message);
  }
  return NULL;
}

static void tasks_may_be_killed_while_another_thread_sends_and_receives(void) {
  for (int round = 0; round < 100; round++) {
    world w;
    crew one = {.count = 0};
    int over = 0;
    world_open(&w);
    alive = 0;
    channel = tide_channel_new(2);
    for (int i = 0; i < 6; i++) {
      if (i % 2)
        spawn_sender(&w, "s", 50);
      else
        spawn(&w, "r", receiver);
    }
    start(&one, send_and_receive, &over);
    for (int i = 0; i < round % 10; i++) turn(&w);
    for (int i = 0; i < 6; i++) {
      if (i % 2 && !actor_ended(&w.actors[i])) tide_task_cancel(&w.actors[i].task);
      if (i % 2 == 0 && !actor_ended(&w.actors[i])) actor_kill(&w.actors[i]);
      if (round % 3 == 0) turn(&w);
    }
    go(&w);
    raise_flag(&over);
    join_all(&one);
    tide_channel_close(channel);
    go(&w);
    close_all(&w);
  }
}

static void a_hundred_thousand_messages_leave_nothing_behind(void) {
  world w;
  open_all(&w, 64);
  actor *s = spawn_sender(&w, "s", 100000);
  tide_message *message;
  int got = 0;
  turn(&w);
  size_t before = w.memory.in_use;
  for (; !actor_ended(s) || tide_channel_count(channel) > 0; turn(&w))
    while (tide_channel_try_recv(channel, &message) == TIDE_OK)
      CHECK_EQ(read_letter(message), ++got);
  CHECK_EQ(got, 100000);
  CHECK(w.memory.in_use <= before + 1000);
  close_all(&w);
}

/* A loop has an end of each channel that somebody has waited in, until that goes. */
static void channels_that_go_leave_their_loops(void) {
  world w;
  open_all(&w, 1);
  size_t before = 0;
  for (int i = 0; i < 1000; i++) {
    tide_channel *first = channel;
    channel = tide_channel_new(1);
    actor *r = spawn(&w, "r", receiver);
    turn(&w);
    tide_channel_close(channel);
    turn(&w);
    turn(&w);
    CHECK(actor_ended(r));
    tide_channel_unref(channel);
    turn(&w);
    channel = first;
    w.count = 0;
    w.log[0] = '\0';
    if (i == 10) before = w.memory.in_use;
  }
  CHECK_EQ(w.memory.in_use, before);
  close_all(&w);
}

int main(void) {
  RUN(a_loop_that_goes_loses_nothing);
  RUN(a_loop_that_goes_takes_what_its_senders_have_not_sent);
  RUN(senders_of_two_loops_hear_that_another_thread_has_closed_it);
  RUN(tasks_may_be_killed_while_another_thread_sends_and_receives);
  RUN(a_channel_and_a_loop_may_go_at_once);
  RUN(a_hundred_thousand_messages_leave_nothing_behind);
  RUN(channels_that_go_leave_their_loops);
  return check_summary();
}
