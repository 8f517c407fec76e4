/* frame.c: one list of all who wait for the next frame. */
#include "frame.h"

#include "park.h"
#include "private.h"

static const tide_wait_ops frame_ops = {.name = "frame", .abandon = tide__wait_unlink};

int tide_task_wait_frame(tide_task *task) {
  if (!tide__wait_enter(task, &frame_ops, NULL)) return TIDE_PENDING;
  return tide__wait_park(task, &task->loop->frames);
}

void tide_loop_frame(tide_loop *loop, tide_time span) {
  tide_wait *wait;
  while ((wait = tide__park_first(&loop->frames)) != NULL) {
    wait->value.number = span;
    tide__park_wake(&loop->frames, TIDE_OK);
  }
}
