/* never_waits.c: functions that wait, where they need not: each call counts, also one that fails,
 * so that a task which makes nothing but such calls takes a turn for each 256 of them. All are here
 * that the headers mark (waits), but for tide_task_yield, tide_task_sleep_until and
 * tide_task_wait_frame, which always wait, and tide_completion_wait and tide_job_wait, which tell
 * once what has come. */
#include "script.h"

enum { CALLS = 600 };

/* What is in a state in which nobody has to wait for it. */

static tide_queue closed_queue, empty_queue;
static tide_future done;
static tide_event set_event;
static tide_lock lock;
static tide_rwlock rwlock;
static tide_semaphore semaphore;
static tide_condition condition;
static tide_barrier broken_barrier;
static tide_group group;
static tide_join *join;
static tide_iter over, busy;
static tide_task user; /* of the busy one */
static tide_stream stream;
static tide_listener listener;
static tide_connect connector;
static tide_fd fd;
static tide_slice slice;
static tide_channel *channel;
static tide_message *message;
static void *pointer;
static tide_case cases[1];
static tide_select choice;

static int put_closed(tide_task *task) {
  uint32_t slot;
  CHECK_EQ(tide_queue_reserve(&closed_queue, &slot), TIDE_OK);
  int result = tide_queue_put(&closed_queue, task, slot, 0);
  if (result == TIDE_PENDING) tide_queue_free(&closed_queue, slot); /* it was taken */
  return result;
}

static int get_closed(tide_task *task) { return tide_queue_get(&closed_queue, task); }
static int join_queue(tide_task *task) { return tide_queue_join(&empty_queue, task); }
static int await_done(tide_task *task) { return tide_future_wait(&done, task, false); }
static int await_itself(tide_task *task) { return tide_future_wait(&task->future, task, true); }
static int see(tide_task *task) { return tide_event_wait(&set_event, task); }

static int lock_again(tide_task *task) {
  tide_lock_try(&lock, task);
  return tide_lock_acquire(&lock, task);
}

static int lock_free(tide_task *task) {
  tide_lock_release(&lock, task);
  return tide_lock_acquire(&lock, task);
}

static int read_free(tide_task *task) { return tide_rwlock_acquire(&rwlock, task, false); }
static int take_permit(tide_task *task) { return tide_semaphore_acquire(&semaphore, task, 1); }
static int wait_without_lock(tide_task *task) { return tide_condition_wait(&condition, task); }
static int meet(tide_task *task) { return tide_barrier_wait(&broken_barrier, task); }
static int leave_group(tide_task *task) { return tide_group_wait(&group, task); }
static int few_of_group(tide_task *task) { return tide_group_wait_few(&group, task, 0); }

static int group_from_inside(tide_task *task) {
  return tide_group_wait(tide_loop_background(task->loop), task);
}

static int join_nothing(tide_task *task) { return tide_join_wait(join, task); }
static int step_over(tide_task *task) { return tide_iter_next(&over, task, &(tide_item){0}); }

static int close_closed(tide_task *task) { return tide_iter_close(&over, task); }

static int close_never(tide_iter *iter, tide_task *task, int outcome) {
  (void)iter, (void)task;
  return outcome;
}

static const tide_iter_ops busy_ops = {.close = close_never};

static int step_busy(tide_task *task) { return tide_iter_next(&busy, task, &(tide_item){0}); }
static int close_busy(tide_task *task) { return tide_iter_close(&busy, task); }

static int select_closed(tide_task *task) {
  tide_case_get(&cases[0], &closed_queue);
  tide_select_init(&choice, cases, 1);
  return tide_select_wait(&choice, task);
}

static int select_set(tide_task *task) {
  tide_case_event(&cases[0], &set_event);
  tide_select_init(&choice, cases, 1);
  return tide_select_wait(&choice, task);
}

static int read_closed(tide_task *task) { return tide_stream_read(&stream, task, 1, &slice); }

static int read_exactly_closed(tide_task *task) {
  return tide_stream_read_exactly(&stream, task, 1, &slice);
}

static int read_until_closed(tide_task *task) {
  const tide_slice newline = {.data = "\n", .length = 1};
  return tide_stream_read_until(&stream, task, newline, 1, &slice);
}

static int read_all_closed(tide_task *task) {
  return tide_stream_read_all(&stream, task, 1, &slice);
}

static int write_closed(tide_task *task) { return tide_stream_write(&stream, task, NULL, 0); }
static int flush_closed(tide_task *task) { return tide_stream_flush(&stream, task); }
static int accept_closed(tide_task *task) {
  return tide_listener_accept(&listener, task, &(int){0});
}
static int accept_stream_closed(tide_task *task) {
  tide_stream accepted;
  return tide_listener_accept_stream(&listener, task, &accepted);
}
static int copy_closed(tide_task *task) {
  static uint64_t copied;
  return tide_stream_copy(&stream, &stream, task, 1, &copied);
}
static int put_pointer_closed(tide_task *task) {
  return tide_queue_put_pointer(&closed_queue, task, &pointer, 0);
}
static int send_closed(tide_task *task) { return tide_channel_send(channel, task, message); }
static int recv_closed(tide_task *task) { return tide_channel_recv(channel, task); }
static int connect_closed(tide_task *task) { return tide_connect_wait(&connector, task); }
static tide_datagram datagram;
static int receive_closed(tide_task *task) {
  size_t size = 0;
  return tide_datagram_receive(&datagram, task, NULL, &size, NULL);
}
static int send_to_closed(tide_task *task) {
  return tide_datagram_send(&datagram, task, "", 0, NULL);
}
static tide_dial dial;
static int dial_over(tide_task *task) { return tide_dial_wait(&dial, task); }
static int resolve_nothing(tide_task *task) { return tide_dns_resolve(task, "x.invalid", 0); }
static int query_nothing(tide_task *task) { return tide_dns_query(task, "", TIDE_DNS_MX); }
static int reverse_nothing(tide_task *task) { return tide_dns_reverse(task, "host"); }
static int shake_hands_closed(tide_task *task) { return tide_tls_handshake(&stream, task); }
static int hello_closed(tide_task *task) {
  static char name[256];
  return tide_tls_hello(&stream, task, name);
}
static int fd_closed(tide_task *task) { return tide_fd_wait(&fd, task, TIDE_READABLE); }

typedef struct form {
  const char *name;
  int (*call)(tide_task *task);
  int result; /* of each call */
} form;

static const form forms[] = {
    {"tide_queue_put", put_closed, TIDE_ECLOSED},
    {"tide_queue_get", get_closed, TIDE_ECLOSED},
    {"tide_queue_join", join_queue, TIDE_OK},
    {"tide_future_wait", await_done, TIDE_OK},
    {"tide_future_wait", await_itself, TIDE_EINVALID_STATE},
    {"tide_event_wait", see, TIDE_OK},
    {"tide_lock_acquire", lock_again, TIDE_EINVALID_STATE},
    {"tide_lock_acquire", lock_free, TIDE_OK},
    {"tide_rwlock_acquire", read_free, TIDE_OK},
    {"tide_semaphore_acquire", take_permit, TIDE_OK},
    {"tide_condition_wait", wait_without_lock, TIDE_EINVALID_STATE},
    {"tide_barrier_wait", meet, TIDE_EBROKEN_BARRIER},
    {"tide_group_wait", leave_group, TIDE_OK},
    {"tide_group_wait", group_from_inside, TIDE_EINVALID_STATE},
    {"tide_group_wait_few", few_of_group, TIDE_OK},
    {"tide_join_wait", join_nothing, TIDE_EINVALID_STATE},
    {"tide_iter_next", step_over, TIDE_EEOF},
    {"tide_iter_next", step_busy, TIDE_EBUSY},
    {"tide_iter_close", close_closed, TIDE_OK},
    {"tide_iter_close", close_busy, TIDE_EBUSY},
    {"tide_select_wait", select_closed, TIDE_ECLOSED},
    {"tide_select_wait", select_set, TIDE_OK},
    {"tide_stream_read", read_closed, TIDE_ECLOSED},
    {"tide_stream_read_exactly", read_exactly_closed, TIDE_ECLOSED},
    {"tide_stream_read_until", read_until_closed, TIDE_ECLOSED},
    {"tide_stream_read_all", read_all_closed, TIDE_ECLOSED},
    {"tide_stream_write", write_closed, TIDE_ECLOSED},
    {"tide_stream_flush", flush_closed, TIDE_ECLOSED},
    {"tide_listener_accept", accept_closed, TIDE_ECLOSED},
    {"tide_listener_accept_stream", accept_stream_closed, TIDE_ECLOSED},
    {"tide_stream_copy", copy_closed, TIDE_ECLOSED},
    {"tide_queue_put_pointer", put_pointer_closed, TIDE_ECLOSED},
    {"tide_channel_send", send_closed, TIDE_ECLOSED},
    {"tide_channel_recv", recv_closed, TIDE_EEOF},
    {"tide_connect_wait", connect_closed, TIDE_ECLOSED},
    {"tide_fd_wait", fd_closed, TIDE_ECLOSED},
    {"tide_datagram_receive", receive_closed, TIDE_ECLOSED},
    {"tide_datagram_send", send_to_closed, TIDE_ECLOSED},
    {"tide_tls_handshake", shake_hands_closed, TIDE_ECLOSED},
    {"tide_tls_hello", hello_closed, TIDE_ECLOSED},
    {"tide_dial_wait", dial_over, TIDE_EDNS},
    {"tide_dns_resolve", resolve_nothing, TIDE_EDNS},
    {"tide_dns_query", query_nothing, TIDE_EMISUSE},
    {"tide_dns_reverse", reverse_nothing, TIDE_EMISUSE},
};

static void prepare(world *w) {
  tide_queue_init(&closed_queue, w->loop, TIDE_FIFO, 0);
  tide_queue_init(&empty_queue, w->loop, TIDE_FIFO, 0);
  tide_queue_close(&closed_queue, false);
  tide_future_init(&done);
  tide_future_end(&done, TIDE_FUTURE_DONE);
  tide_event_init(&set_event);
  tide_event_set(&set_event);
  tide_lock_init(&lock);
  tide_rwlock_init(&rwlock);
  tide_semaphore_init(&semaphore, CALLS, SIZE_MAX);
  tide_condition_init(&condition, &lock);
  tide_barrier_init(&broken_barrier, 2);
  tide_barrier_abort(&broken_barrier);
  tide_group_init(&group, w->loop, 0, true);
  join = tide_alloc(&w->loop->allocator, tide_join_size(0));
  tide_join_init(join, w->loop, 0, false);
  tide_iter_init(&over, NULL);
  over.over = over.closed = true;
  tide_iter_init(&busy, &busy_ops);
  busy.place.task = &user;
  tide_stream_init(&stream, w->loop, -1);
  listener = (tide_listener){.fd.fd = -1};
  tide_fd_init(&connector.fd, w->loop, -1);
  tide_fd_init(&fd, w->loop, -1);
  datagram = (tide_datagram){.fd.fd = -1};
  tide_dial_start(&dial, w->loop, "x.invalid", 80, NULL);
  channel = tide_channel_new(1);
  tide_channel_close(channel);
  message = tide_message_new("", 0);
  pointer = &fd;
}

static void unmake(world *w) {
  tide_dial_term(&dial);
  tide_message_free(message);
  tide_channel_unref(channel);
  tide_free(&w->loop->allocator, join, tide_join_size(0));
  tide_queue_term(&closed_queue);
  tide_queue_term(&empty_queue);
}

/* Calls one form again and again; where it is suspended the outcome is the same. */
static void caller(actor *self) {
  BEGIN;
  for (; self->i < CALLS; self->i++) {
    WAIT(((const form *)self->data)->call(&self->task));
    if (self->outcome != TIDE_OK) CHECK_EQ(self->outcome, ((const form *)self->data)->result);
  }
  self->outcome = TIDE_OK;
  END;
}

static void each_takes_a_turn_for_256_calls_also_one_that_fails(void) {
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    world w;
    world_open(&w);
    prepare(&w);
    actor *a = spawn(&w, forms[i].name, caller);
    a->data = (void *)(uintptr_t)&forms[i];
    settle(&w);
    if (a->suspensions < 2) fprintf(stderr, "form %zu, of %s\n", i, forms[i].name);
    CHECK(a->suspensions >= 2);
    CHECK(actor_ended(a));
    unmake(&w);
    world_close(&w);
  }
}

/* In a cancelled scope each is told so, one turn later, but for the end of a group and the closing
 * of an iterator, which cannot be cancelled. */
static bool is_cancellable(const form *self) {
  return strcmp(self->name, "tide_group_wait") != 0 && strcmp(self->name, "tide_iter_close") != 0;
}

static void cancelled_caller(actor *self) {
  BEGIN;
  tide_task_cancel(&self->task);
  for (; self->i < 3; self->i++) {
    WAIT(((const form *)self->data)->call(&self->task));
    CHECK_EQ(self->outcome, TIDE_ECANCELLED);
  }
  END;
}

static void in_a_cancelled_scope_each_fails_a_turn_later(void) {
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    if (!is_cancellable(&forms[i])) continue;
    world w;
    world_open(&w);
    prepare(&w);
    actor *a = spawn(&w, forms[i].name, cancelled_caller);
    a->data = (void *)(uintptr_t)&forms[i];
    settle(&w);
    CHECK(a->suspensions >= 2); /* an iterator says it when it is called again */
    unmake(&w);
    world_close(&w);
  }
}

int main(void) {
  RUN(each_takes_a_turn_for_256_calls_also_one_that_fails);
  RUN(in_a_cancelled_scope_each_fails_a_turn_later);
  return check_summary();
}
