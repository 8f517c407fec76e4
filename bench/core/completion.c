/* A task that waits for what another one completes, again and again. completion completion [times]:
 * a tide_completion. completion future [times]: a tide_future, beside which it is measured. */
#include <string.h>
#include <tide.h>

#include "../limits/measure.h"

typedef struct work {
  tide_task waiter, ender;
  tide_steps waits, ends;
  tide_future future;
  tide_completion completion;
  long left; /* waits still to come */
  bool by_future;
} work;

static const tide_completion_ops completion_ops = {.name = "work"};

static void wait_for_all(tide_task *task, int outcome) {
  work *self = tide_container(task, work, waiter);
  TIDE_BEGIN(task, &self->waits, outcome);
  while (self->left-- > 0) {
    if (self->by_future) {
      tide_future_init(&self->future);
      TIDE_TRY(tide_future_wait(&self->future, task, false));
    } else {
      tide_completion_init(&self->completion, task->loop, &completion_ops);
      TIDE_TRY(tide_completion_wait(&self->completion, task));
      tide_completion_drop(&self->completion);
    }
  }
  TIDE_END;
}

static void end_all(tide_task *task, int outcome) {
  work *self = tide_container(task, work, ender);
  TIDE_BEGIN(task, &self->ends, outcome);
  while (self->left >= 0) {
    if (self->by_future)
      tide_future_end(&self->future, TIDE_FUTURE_DONE);
    else
      tide_completion_end(&self->completion, TIDE_OK);
    TIDE_TRY(tide_task_yield(task));
  }
  TIDE_END;
}

static const tide_task_ops waiter_ops = {.step = wait_for_all}, ender_ops = {.step = end_all};

int main(int argc, char **argv) {
  long times = argument(argc, argv, 2, 5000000);
  work self = {.left = times, .by_future = argc > 1 && strcmp(argv[1], "future") == 0};
  tide_loop *loop = tide_loop_new(NULL);
  if (loop == NULL) fail("no loop");
  tide_task_init(&self.waiter, loop, &waiter_ops);
  tide_task_init(&self.ender, loop, &ender_ops);
  tide_task_spawn(&self.waiter, tide_loop_background(loop));
  tide_task_spawn(&self.ender, tide_loop_background(loop));
  double began = cpu_ns();
  if (tide_loop_run(loop, NULL) != TIDE_OK) fail("the run failed");
  printf("ns %.1f\n", (cpu_ns() - began) / (double)times);
  tide_loop_free(loop);
  return 0;
}
