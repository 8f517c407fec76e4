/* queue_pointers.c: queues that keep pointers, each of which one party owns at any time. */
#include "script.h"

enum { THINGS = 64 };

/* Things with an owner: who has one frees it. */
typedef struct thing {
  int number;
  bool alive;
} thing;

static thing things[THINGS];
static int made, dropped;
static tide_queue queue;

static thing *thing_new(void) {
  CHECK(made < THINGS);
  things[made] = (thing){.number = made, .alive = true};
  return &things[made++];
}

static void thing_free(void *pointer) {
  thing *self = pointer;
  CHECK(self->alive);
  self->alive = false;
}

static void thing_drop(void *pointer) {
  dropped++;
  thing_free(pointer);
}

static void open_queue(world *w, tide_queue_order order, size_t max) {
  made = dropped = 0;
  tide_queue_init_pointers(&queue, w->loop, order, max, thing_drop);
}

static void close_queue(void) {
  tide_queue_term(&queue);
  for (int i = 0; i < made; i++) CHECK(!things[i].alive);
}

/* What a task that is killed has in hand. */
static void put_down(actor *self) {
  if (self->data != NULL) thing_free(self->data);
  self->data = NULL;
}

static void putter(actor *self) {
  BEGIN;
  self->close = put_down;
  for (; self->i > 0; self->i--) {
    self->data = thing_new();
    WAIT(tide_queue_put_pointer(&queue, &self->task, &self->data, -self->i));
    if (self->script.outcome != TIDE_OK) {
      say(self, "%d", self->script.outcome);
      put_down(self);
      TIDE_LEAVE(self->script.outcome);
    }
    CHECK(self->data == NULL);
  }
  END;
}

static void getter(actor *self) {
  BEGIN;
  self->close = put_down;
  for (; self->i > 0; self->i--) {
    TRY(tide_queue_get(&queue, &self->task));
    self->data = tide_queue_get_pointer(&queue, (uint32_t)self->task.wait.value.number);
    say(self, "%d", ((thing *)self->data)->number);
    put_down(self);
    tide_queue_task_done(&queue);
  }
  END;
}

static actor *spawn_with(world *w, const char *name, void (*body)(actor *), int count) {
  actor *self = spawn(w, name, body);
  self->i = count;
  return self;
}

static void they_come_out_in_the_order_of_the_queue(void) {
  static const char *const logs[] = {"b 0, b 1, b 2, b 3", "b 3, b 2, b 1, b 0",
                                     "b 0, b 1, b 2, b 3"};
  for (int order = TIDE_FIFO; order <= TIDE_PRIORITY; order++) {
    world w;
    world_open(&w);
    open_queue(&w, (tide_queue_order)order, 0);
    spawn_with(&w, "a", putter, 4);
    settle(&w);
    spawn_with(&w, "b", getter, 4);
    settle(&w);
    CHECK_LOG(&w, logs[order]);
    CHECK_EQ(queue.unfinished, 0);
    CHECK_EQ(dropped, 0);
    close_queue();
    world_close(&w);
  }
}

static void one_that_waits_to_be_put_is_its_putters_still(void) {
  world w;
  world_open(&w);
  open_queue(&w, TIDE_FIFO, 1);
  actor *a = spawn_with(&w, "a", putter, 2);
  turn(&w);
  CHECK(a->data == &things[1]);
  uint32_t slot;
  CHECK_EQ(tide_queue_try_get(&queue, &slot), TIDE_OK);
  CHECK(a->data == NULL); /* it is the queue's, though its task has not been stepped */
  thing_free(tide_queue_get_pointer(&queue, slot));
  settle(&w);
  close_queue();
  CHECK_EQ(dropped, 1);
  world_close(&w);
}

static void a_closed_one_takes_none_and_who_waits_keeps_his(void) {
  world w;
  world_open(&w);
  open_queue(&w, TIDE_FIFO, 1);
  spawn_with(&w, "a", putter, 2);
  spawn_with(&w, "b", putter, 2);
  turn(&w);
  tide_queue_close(&queue, false);
  CHECK_EQ(tide_queue_taken(&queue), 1);
  settle(&w);
  void *late = thing_new();
  CHECK_EQ(tide_queue_try_put_pointer(&queue, &late, 0), TIDE_ECLOSED);
  thing_free(late);
  CHECK_LOG(&w, "a -4, b -4");
  close_queue();
  CHECK_EQ(dropped, 1);
  world_close(&w);
}

static void closed_at_once_it_drops_what_is_in_it(void) {
  world w;
  world_open(&w);
  open_queue(&w, TIDE_LIFO, 0);
  spawn_with(&w, "a", putter, 3);
  settle(&w);
  tide_queue_close(&queue, true);
  CHECK_EQ(dropped, 3);
  CHECK_EQ(queue.count, 0);
  close_queue();
  CHECK_EQ(dropped, 3);
  world_close(&w);
}

static void one_got_by_a_task_that_is_killed_then_is_dropped(void) {
  world w;
  world_open(&w);
  open_queue(&w, TIDE_FIFO, 0);
  actor *b = spawn_with(&w, "b", getter, 1);
  turn(&w);
  void *pointer = thing_new();
  CHECK_EQ(tide_queue_try_put_pointer(&queue, &pointer, 0), TIDE_OK);
  tide_queue_close(&queue, true);
  CHECK_EQ(dropped, 0);
  actor_kill(b);
  CHECK_EQ(dropped, 1);
  settle(&w);
  close_queue();
  world_close(&w);
}

static void try_put_says_when_it_is_full(void) {
  world w;
  world_open(&w);
  open_queue(&w, TIDE_FIFO, 1);
  void *one = thing_new(), *other = thing_new();
  CHECK_EQ(tide_queue_try_put_pointer(&queue, &one, 0), TIDE_OK);
  CHECK(one == NULL);
  CHECK_EQ(tide_queue_try_put_pointer(&queue, &other, 0), TIDE_EQUEUE_FULL);
  CHECK(other != NULL);
  thing_free(other);
  close_queue();
  world_close(&w);
}

static void one_without_a_drop_function_leaves_them_alone(void) {
  world w;
  world_open(&w);
  made = 0;
  tide_queue_init_pointers(&queue, w.loop, TIDE_FIFO, 0, NULL);
  void *pointer = thing_new();
  CHECK_EQ(tide_queue_try_put_pointer(&queue, &pointer, 0), TIDE_OK);
  tide_queue_term(&queue);
  CHECK(things[0].alive);
  world_close(&w);
}

static void it_grows_and_shrinks_with_what_is_in_it(void) {
  enum { MANY = 5000 };
  static int numbers[MANY];
  for (int order = TIDE_FIFO; order <= TIDE_PRIORITY; order++) {
    world w;
    uint32_t slot;
    world_open(&w);
    tide_queue_init_pointers(&queue, w.loop, (tide_queue_order)order, 0, NULL);
    for (int round = 0; round < 3; round++) {
      for (int i = 0; i < MANY; i++) {
        void *pointer = &numbers[i];
        CHECK_EQ(tide_queue_try_put_pointer(&queue, &pointer, i), TIDE_OK);
      }
      for (int i = 0; i < MANY; i++) {
        int expected = order == TIDE_LIFO ? MANY - 1 - i : i;
        CHECK_EQ(tide_queue_try_get(&queue, &slot), TIDE_OK);
        CHECK(tide_queue_get_pointer(&queue, slot) == &numbers[expected]);
      }
      CHECK_EQ(queue.capacity, 1024);
    }
    tide_queue_term(&queue);
    world_close(&w);
  }
}

/* As cases of select. */

static tide_case cases[2];
static tide_select choice;
static tide_event event;

static void chooser(actor *self) {
  BEGIN;
  self->close = put_down;
  self->data = thing_new();
  TRY(tide_case_put_pointer(&cases[0], &queue, &self->data, 0));
  tide_case_event(&cases[1], &event);
  tide_select_init(&choice, cases, 2);
  CALL(tide_select_wait(&choice, &self->task));
  if (self->script.outcome != TIDE_OK || choice.chosen != 0)
    tide_queue_free(&queue, (uint32_t)cases[0].wait.value.number);
  say(self, "%d %u %s", self->script.outcome, choice.chosen, self->data == NULL ? "put" : "kept");
  put_down(self);
  END;
}

static void select_puts_one_or_leaves_it_where_it_is(void) {
  for (int way = 0; way < 3; way++) {
    world w;
    uint32_t slot;
    world_open(&w);
    tide_event_init(&event);
    open_queue(&w, TIDE_FIFO, 1);
    if (way > 0) spawn_with(&w, "a", putter, 1);
    spawn(&w, "b", chooser);
    turn(&w);
    if (way == 1 && tide_queue_try_get(&queue, &slot) == TIDE_OK)
      thing_free(tide_queue_get_pointer(&queue, slot));
    if (way == 2) tide_event_set(&event);
    settle(&w);
    CHECK_LOG(&w, way == 2 ? "b 0 1 kept" : "b 0 0 put");
    CHECK_EQ(tide_queue_taken(&queue), 1);
    close_queue();
    world_close(&w);
  }
}

/* Everything at once. */

static void stage(world *w) {
  open_queue(w, TIDE_FIFO, 1);
  spawn_with(w, "a", putter, 3);
  w->victim = spawn_with(w, "victim", putter, 4);
  spawn_with(w, "b", getter, 3);
}

static void stage_getter(world *w) {
  open_queue(w, TIDE_FIFO, 1);
  w->victim = spawn_with(w, "victim", getter, 3);
  spawn_with(w, "a", putter, 3);
}

static void close_late(actor *self) {
  BEGIN;
  TRY(sleep_ms(self, 100));
  tide_queue_close(&queue, true);
  END;
}

static void stage_closer(world *w) {
  stage(w);
  spawn(w, "closer", close_late);
}

static void verify(world *w) {
  for (unsigned i = 0; i < w->count; i++)
    if (!actor_ended(&w->actors[i])) actor_kill(&w->actors[i]);
  CHECK_EQ(tide_queue_taken(&queue), queue.count);
  close_queue();
}

static void struck_anywhere_each_is_freed_once(void) {
  play_all_blows(&(scenario){.stage = stage, .verify = verify});
  play_all_blows(&(scenario){.stage = stage_getter, .verify = verify});
  play_all_blows(&(scenario){.stage = stage_closer, .verify = verify});
}

static void without_memory_each_is_freed_once(void) {
  play_all_shortages(&(scenario){.stage = stage_closer, .verify = verify});
}

int main(void) {
  RUN(they_come_out_in_the_order_of_the_queue);
  RUN(one_that_waits_to_be_put_is_its_putters_still);
  RUN(a_closed_one_takes_none_and_who_waits_keeps_his);
  RUN(closed_at_once_it_drops_what_is_in_it);
  RUN(one_got_by_a_task_that_is_killed_then_is_dropped);
  RUN(try_put_says_when_it_is_full);
  RUN(one_without_a_drop_function_leaves_them_alone);
  RUN(it_grows_and_shrinks_with_what_is_in_it);
  RUN(select_puts_one_or_leaves_it_where_it_is);
  RUN(struck_anywhere_each_is_freed_once);
  RUN(without_memory_each_is_freed_once);
  return check_summary();
}
