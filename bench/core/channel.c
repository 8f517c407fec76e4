/* Messages from a task in one thread's loop to one in another's, through a channel of 1,024; each
 * is allocated by the sender and freed by the receiver. channel [messages] */
#define _GNU_SOURCE
#include <pthread.h>
#include <tide.h>

#include "../limits/measure.h"

static tide_channel *channel;
static long messages, sum;

typedef struct side {
  tide_task task;
  tide_steps steps;
  long i;
  tide_message *message;
} side;

static void produce(tide_task *task, int outcome) {
  side *self = tide_container(task, side, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (self->i = 1; self->i <= messages; self->i++) {
    self->message = tide_message_new(&self->i, sizeof self->i);
    if (self->message == NULL) fail("no memory");
    TIDE_TRY(tide_channel_send(channel, task, self->message));
  }
  tide_channel_close(channel);
  TIDE_END;
}

static void consume(tide_task *task, int outcome) {
  side *self = tide_container(task, side, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (;;) {
    TIDE_TRY(tide_channel_recv(channel, task));
    self->message = task->wait.value.pointer;
    sum += *(const long *)self->message->data;
    tide_message_free(self->message);
  }
  TIDE_END;
}

static void *run(void *argument) {
  tide_loop *loop = tide_loop_new(NULL);
  side self = {.i = 0};
  if (loop == NULL) fail("no loop");
  tide_task_init(&self.task, loop, argument);
  tide_task_spawn(&self.task, tide_loop_background(loop));
  if (tide_loop_run(loop, NULL) != TIDE_OK) fail("the run failed");
  tide_loop_free(loop);
  return NULL;
}

int main(int argc, char **argv) {
  static tide_task_ops producer = {.step = produce}, consumer = {.step = consume};
  pthread_t thread;
  messages = argument(argc, argv, 1, 1000000);
  channel = tide_channel_new(1024);
  if (channel == NULL) fail("no channel");
  double began = wall_ns();
  if (pthread_create(&thread, NULL, run, &producer) != 0) fail("no thread");
  run(&consumer);
  printf("ns %.1f\n", (wall_ns() - began) / (double)messages);
  pthread_join(thread, NULL);
  tide_channel_unref(channel);
  if (sum != messages * (messages + 1) / 2) fail("the sum is wrong");
  return 0;
}
