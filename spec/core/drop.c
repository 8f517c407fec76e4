/* drop.c: what becomes of tasks that the end of the loop finds. */
#include <stdlib.h>
#include <unistd.h>

#include "script.h"

typedef struct holder {
  tide_task task;   /* first */
  tide_steps steps; /* where it is */
  const char *name; /* in the log */
  char *held;       /* memory that nobody else gives back */
  int way;          /* how it waits */
  tide_group group; /* for a child */
  tide_timeout timeout;
  tide_scope scope;
  tide_select select;
  tide_case cases[2];
} holder;

enum { NEVER_WAITED, YIELD, QUEUE, SLEEP, FUTURE, FD, GROUP, LOCK, SELECT, TIMEOUT, WAYS };

static char said[400];
static tide_queue queue;
static tide_lock lock;
static tide_future future;
static tide_fd fd;
static tide_group outside;

static void hold_step(tide_task *task, int outcome);
static void hold_drop(tide_task *task);
static const tide_task_ops hold_ops = {.step = hold_step, .drop = hold_drop};

static holder *holder_new(tide_loop *loop, const char *name, int way) {
  holder *self = calloc(1, sizeof *self);
  CHECK(self != NULL);
  self->name = name;
  self->way = way;
  self->held = malloc(16);
  tide_task_init(&self->task, loop, &hold_ops);
  return self;
}

static holder *hold(tide_group *group, const char *name, int way) {
  holder *self = holder_new(group->loop, name, way);
  CHECK_EQ(tide_task_spawn(&self->task, group), TIDE_OK);
  return self;
}

static void hold_drop(tide_task *task) {
  holder *self = tide_container(task, holder, task);
  CHECK_EQ(task->state, TIDE_TASK_ENDED);
  CHECK_EQ(tide_future_error(&task->future), TIDE_ECANCELLED);
  if (self->way == GROUP) tide_group_exit(&self->group);
  if (self->way == LOCK && lock.owner == task->id)
    CHECK_EQ(tide_lock_release(&lock, task), TIDE_OK);
  size_t used = strlen(said);
  snprintf(said + used, sizeof said - used, "%s%s", used > 0 ? " " : "", self->name);
  free(self->held);
  memset(self, 0xee, sizeof *self);
  free(self);
}

static void hold_step(tide_task *task, int outcome) {
  holder *self = tide_container(task, holder, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  if (self->way == YIELD) TIDE_WAIT(tide_task_yield(task));
  if (self->way == QUEUE) TIDE_WAIT(tide_queue_get(&queue, task));
  if (self->way == SLEEP) TIDE_WAIT(tide_task_sleep_until(task, tide_loop_now(task->loop) + 9999));
  if (self->way == FUTURE) TIDE_WAIT(tide_future_wait(&future, task, false));
  if (self->way == FD) TIDE_WAIT(tide_fd_wait(&fd, task, TIDE_READABLE));
  if (self->way == GROUP) {
    tide_group_init(&self->group, task->loop, 0, true);
    tide_group_enter(&self->group, task);
    hold(&self->group, "child", YIELD);
    hold(&self->group, "other child", QUEUE);
    TIDE_CALL(tide_group_wait(&self->group, task));
  }
  if (self->way == LOCK) {
    TIDE_TRY(tide_lock_acquire(&lock, task));
    TIDE_WAIT(tide_future_wait(&future, task, true));
  }
  if (self->way == SELECT) {
    tide_case_get(&self->cases[0], &queue);
    tide_case_future(&self->cases[1], &future);
    tide_select_init(&self->select, self->cases, 2);
    TIDE_CALL(tide_select_wait(&self->select, task));
  }
  if (self->way == TIMEOUT) {
    TIDE_TRY(tide_timeout_begin(&self->timeout, task, 1000000000));
    tide_scope_init(&self->scope, TIDE_SCOPE_SHIELD);
    tide_scope_enter(&self->scope, task);
    TIDE_WAIT(tide_future_wait(&future, task, false));
  }
  CHECK(self == NULL); /* it is never stepped again */
  TIDE_END;
}

static void open_world(world *w, int fds[2]) {
  world_open(w);
  said[0] = '\0';
  CHECK_EQ(pipe(fds), 0);
  tide_queue_init(&queue, w->loop, TIDE_FIFO, 1);
  tide_lock_init(&lock);
  tide_future_init(&future);
  tide_fd_init(&fd, w->loop, fds[0]);
  tide_group_init(&outside, w->loop, 1, false);
}

static void close_world(world *w, const int fds[2]) {
  CHECK(tide_list_empty(&queue.getters));
  CHECK(tide_list_empty(&future.waiters));
  CHECK(fd.reader == NULL);
  tide_fd_term(&fd);
  close(fds[0]);
  close(fds[1]);
  CHECK_EQ(outside.live, 0);
  tide_queue_term(&queue);
  check_idle(w);
  CHECK(tide_list_empty(&w->loop->groups));
}

static void free_world(world *w) {
  tide_loop_free(w->loop);
  CHECK_EQ(w->memory.in_use, 0);
}

/* As the loop's end does it, with the loop there to be looked at. */
static void drop_tasks(world *w) { tide__tasks_drop(w->loop); }

static void each_that_waits_is_told_whatever_it_waits_for(void) {
  for (int way = NEVER_WAITED; way < WAYS; way++) {
    world w;
    int fds[2];
    open_world(&w, fds);
    hold(tide_loop_background(w.loop), "it", way);
    if (way != NEVER_WAITED) turn(&w);
    drop_tasks(&w);
    CHECK_TEXT(said, way == GROUP ? "other child child it" : "it");
    close_world(&w, fds);
    free_world(&w);
  }
}

static void those_that_others_spawned_come_first(void) {
  world w;
  int fds[2];
  open_world(&w, fds);
  hold(tide_loop_background(w.loop), "parent", GROUP);
  hold(tide_loop_background(w.loop), "lock", LOCK);
  hold(tide_loop_background(w.loop), "lock waiter", LOCK);
  turn(&w);
  turn(&w); /* a child is ready */
  drop_tasks(&w);
  CHECK_TEXT(said, "other child child lock waiter lock parent");
  close_world(&w, fds);
  free_world(&w);
}

static void those_in_a_group_that_is_in_no_other_are_found(void) {
  world w;
  int fds[2];
  open_world(&w, fds);
  hold(&outside, "running", QUEUE);
  hold(&outside, "queued", QUEUE); /* the limit holds it */
  holder *later = holder_new(w.loop, "later", QUEUE);
  CHECK_EQ(tide_task_spawn_at(&later->task, &outside, tide_loop_now(w.loop) + 5000), TIDE_OK);
  holder *after = holder_new(w.loop, "after", QUEUE);
  CHECK_EQ(tide_task_spawn_after(&after->task, &outside, &future), TIDE_OK);
  turn(&w);
  drop_tasks(&w);
  CHECK_TEXT(said, "after later queued running");
  close_world(&w, fds);
  free_world(&w);
}

static void what_one_was_handed_goes_back(void) {
  world w;
  int fds[2];
  uint32_t slot;
  open_world(&w, fds);
  hold(tide_loop_background(w.loop), "getter", QUEUE);
  turn(&w);
  CHECK_EQ(tide_queue_reserve(&queue, &slot), TIDE_OK);
  CHECK_EQ(tide_queue_try_put(&queue, slot, 0), TIDE_OK);
  drop_tasks(&w); /* it is ready, and was not stepped */
  CHECK_TEXT(said, "getter");
  CHECK_EQ(queue.count, 1);
  CHECK(tide_queue_drop(&queue, &slot));
  close_world(&w, fds);
  free_world(&w);
}

/* Without `drop`. */

static void waits_for_ever(actor *self) {
  BEGIN;
  WAIT(tide_future_wait(&future, &self->task, false));
  END;
}

static void ones_without_it_end_all_the_same(void) {
  world w;
  int fds[2];
  open_world(&w, fds);
  actor *a = spawn(&w, "a", waits_for_ever);
  hold(tide_loop_background(w.loop), "it", FUTURE);
  turn(&w);
  drop_tasks(&w);
  CHECK_TEXT(said, "it");
  CHECK_EQ(tide_future_error(&a->task.future), TIDE_ECANCELLED);
  CHECK_EQ(a->steps, 1);
  close_world(&w, fds);
  free_world(&w);
}

static void the_loops_end_does_this(void) {
  world w;
  int fds[2];
  open_world(&w, fds);
  tide_fd_term(&fd);
  close(fds[0]);
  close(fds[1]);
  hold(tide_loop_background(w.loop), "parent", GROUP);
  hold(&outside, "outside", SLEEP);
  turn(&w);
  tide_loop_free(w.loop);
  CHECK_TEXT(said, "other child child outside parent");
  CHECK_EQ(w.memory.in_use, 0);
}

static void a_hundred_thousand_are_dropped(void) {
  world w;
  int fds[2];
  open_world(&w, fds);
  static actor *keep;
  keep = spawn(&w, "a", waits_for_ever);
  for (int i = 0; i < 100000; i++) hold(tide_loop_background(w.loop), "", FUTURE);
  turn(&w);
  drop_tasks(&w);
  CHECK(actor_ended(keep));
  close_world(&w, fds);
  free_world(&w);
}

int main(void) {
  RUN(each_that_waits_is_told_whatever_it_waits_for);
  RUN(those_that_others_spawned_come_first);
  RUN(those_in_a_group_that_is_in_no_other_are_found);
  RUN(what_one_was_handed_goes_back);
  RUN(ones_without_it_end_all_the_same);
  RUN(the_loops_end_does_this);
  RUN(a_hundred_thousand_are_dropped);
  return check_summary();
}
