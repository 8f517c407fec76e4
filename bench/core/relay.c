/* A relay in C: what comes from a connection goes back to it, by tide_stream_copy. Prints its port.
 * Its limit is the same on libev alone: limits/echo.c. */
#include <stdio.h>
#include <stdlib.h>
#include <tide.h>

#include "../limits/measure.h"

typedef struct relay {
  tide_task task;
  tide_steps steps;
  tide_stream stream;
  uint64_t copied;
} relay;

static void relay_step(tide_task *task, int outcome) {
  relay *self = tide_container(task, relay, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  TIDE_CALL(tide_stream_copy(&self->stream, &self->stream, task, UINT64_MAX, &self->copied));
  TIDE_END;
  tide_stream_close(&self->stream);
  free(self);
}

static void accept_step(tide_task *task, int outcome);
static const tide_task_ops relay_ops = {.step = relay_step}, accept_ops = {.step = accept_step};

typedef struct acceptor {
  tide_task task;
  tide_steps steps;
  tide_listener listener;
  relay *next;
} acceptor;

static void accept_step(tide_task *task, int outcome) {
  acceptor *self = tide_container(task, acceptor, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (;;) {
    self->next = calloc(1, sizeof *self->next);
    if (self->next == NULL) fail("no memory");
    TIDE_TRY_CALL(tide_listener_accept_stream(&self->listener, task, &self->next->stream));
    tide_task_init(&self->next->task, task->loop, &relay_ops);
    tide_task_spawn(&self->next->task, tide_loop_background(task->loop));
  }
  TIDE_END;
}

int main(void) {
  acceptor self = {.next = NULL};
  tide_address address;
  tide_loop *loop = tide_loop_new(NULL);
  if (loop == NULL || tide_address_parse(&address, "127.0.0.1", 0) != TIDE_OK) fail("no loop");
  if (tide_listener_open(&self.listener, loop, &address, NULL) != TIDE_OK ||
      tide_listener_address(&self.listener, &address) != TIDE_OK)
    fail("listen");
  printf("port %d\n", tide_address_port(&address));
  fflush(stdout);
  tide_task_init(&self.task, loop, &accept_ops);
  tide_task_spawn(&self.task, tide_loop_background(loop));
  return tide_loop_run(loop, &self.task.future) == TIDE_OK ? 0 : 1;
}
