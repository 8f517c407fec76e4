/* One task that makes a descriptor readable and waits for it, N times: guest run|libev|poll [N].
 * In tide_loop_run; in a host's libev loop (tide_loop_new_on); in a host's own loop, which polls
 * tide_loop_fd and calls tide_loop_tick. */
#define _GNU_SOURCE
#include <ev.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <tide.h>

#include "../limits/measure.h"

typedef struct ringer {
  tide_task task;
  tide_steps steps;
  tide_fd bell;
  long left;
} ringer;

static ringer it;

static void step(tide_task *task, int outcome) {
  ringer *self = tide_container(task, ringer, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (; self->left > 0; self->left--) {
    uint64_t count = 1;
    if (write(self->bell.fd, &count, sizeof count) != sizeof count) fail("cannot ring");
    TIDE_WAIT(tide_fd_wait(&self->bell, task, TIDE_READABLE));
    if (read(self->bell.fd, &count, sizeof count) != sizeof count) fail("it did not ring");
  }
  TIDE_END;
}

static void run_polled(tide_loop *loop) {
  struct pollfd polled = {.fd = tide_loop_fd(loop), .events = POLLIN};
  if (polled.fd < 0) fail("no descriptor");
  while (!tide_future_ended(&it.task.future)) {
    if (poll(&polled, 1, -1) != 1) fail("poll failed");
    if (tide_loop_tick(loop, 1000000, NULL) != TIDE_OK) fail("the tick failed");
  }
}

int main(int argc, char **argv) {
  static const tide_task_ops ops = {.name = "ringer", .step = step};
  const char *which = argc > 1 ? argv[1] : "run";
  struct ev_loop *ev = strcmp(which, "libev") == 0 ? ev_loop_new(0) : NULL;
  tide_loop *loop = ev != NULL ? tide_loop_new_on(ev, NULL) : tide_loop_new(NULL);
  long count = it.left = argument(argc, argv, 2, 1000000);
  if (loop == NULL) fail("no memory");
  tide_fd_init(&it.bell, loop, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  tide_task_init(&it.task, loop, &ops);
  tide_task_spawn(&it.task, tide_loop_background(loop));
  double began = cpu_ns();
  if (ev != NULL)
    ev_run(ev, 0);
  else if (strcmp(which, "poll") == 0)
    run_polled(loop);
  else if (tide_loop_run(loop, &it.task.future) != TIDE_OK)
    fail("the run failed");
  if (it.left != 0) fail("it did not ring so often");
  printf("ns %.1f\n", (cpu_ns() - began) / (double)count);
  close(it.bell.fd);
  tide_fd_term(&it.bell);
  tide_loop_free(loop);
  if (ev != NULL) ev_loop_destroy(ev);
  return 0;
}
