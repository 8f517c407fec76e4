/* Several loops in threads, in C: three workers count primes, each with a loop of its own. What is
 * to be done comes to them through one channel, what they found goes back through another. A worker
 * that has ended says so by a post to the first loop, which also checks the sum by a job in its
 * pool. Loops share nothing but what is shown here. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <tide.h>

enum { WORKERS = 3, PIECES = 16, PIECE = 6250 };

static bool is_prime(long number) {
  for (long i = 2; i * i <= number; i++)
    if (number % i == 0) return false;
  return number > 1;
}

static long count_primes(long from, long to) {
  long count = 0;
  for (; from < to; from++) count += is_prime(from);
  return count;
}

/* What the channels carry: a message is somebody's at any time, and the last one frees it. */
typedef struct piece {
  tide_message message;
  long from, primes;
} piece;

static void piece_free(tide_message *message) { free(tide_container(message, piece, message)); }

static piece *piece_new(long from) {
  piece *self = malloc(sizeof *self);
  if (self == NULL) abort();
  *self = (piece){.message = {.free = piece_free}, .from = from};
  return self;
}

static tide_channel *todo, *found;

/* The workers. */

typedef struct worker {
  tide_task task;
  tide_steps steps;
  piece *piece;  /* in hand */
  tide_post bye; /* to the first loop, when this one has ended */
  tide_port *to;
  pthread_t thread;
} worker;

static void work(tide_task *task, int outcome) {
  worker *self = tide_container(task, worker, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (;;) {
    TIDE_WAIT(tide_channel_recv(todo, task));
    if (self->steps.outcome != TIDE_OK) break; /* TIDE_EEOF: closed, and empty */
    self->piece = tide_container(task->wait.value.pointer, piece, message);
    self->piece->primes = count_primes(self->piece->from, self->piece->from + PIECE);
    TIDE_WAIT(tide_channel_send(found, task, &self->piece->message));
    if (self->steps.outcome == TIDE_OK) continue; /* the channel's now */
    tide_message_free(&self->piece->message);
    break;
  }
  TIDE_END;
}

static void *run_worker(void *argument) {
  static const tide_task_ops ops = {.name = "worker", .step = work};
  worker *self = argument;
  tide_loop *loop = tide_loop_new(NULL);
  if (loop == NULL) abort();
  tide_task_init(&self->task, loop, &ops);
  tide_task_spawn(&self->task, tide_loop_background(loop));
  tide_loop_run(loop, NULL);
  tide_loop_free(loop);
  tide_port_post(self->to, &self->bye); /* TIDE_ECLOSED, had that loop gone */
  tide_port_unref(self->to);
  return NULL;
}

/* The first loop, in the main thread. */

static tide_loop *first;
static int at_work;

/* In that thread: each worker that is to come holds the loop. */
static void said_bye(tide_post *post) {
  (void)post;
  if (--at_work == 0) tide_channel_close(found);
  tide_loop_release(first);
}

typedef struct sender {
  tide_task task;
  tide_steps steps;
  piece *piece; /* in hand */
  long i;
} sender;

static void send_all(tide_task *task, int outcome) {
  sender *self = tide_container(task, sender, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (self->i = 0; self->i < PIECES; self->i++) {
    self->piece = piece_new(self->i * PIECE);
    TIDE_WAIT(tide_channel_send(todo, task, &self->piece->message));
    if (self->steps.outcome == TIDE_OK) continue;
    tide_message_free(&self->piece->message);
    break;
  }
  tide_channel_close(todo);
  TIDE_END;
}

typedef struct collector {
  tide_task task;
  tide_steps steps;
  tide_job check;
  long pieces, primes;
  long checked; /* what the job says */
} collector;

/* In a thread of the pool. */
static void check(tide_job *job) {
  collector *self = tide_container(job, collector, check);
  self->checked = count_primes(0, PIECES * PIECE);
}

static void collect(tide_task *task, int outcome) {
  collector *self = tide_container(task, collector, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  tide_job_init(&self->check, task->loop, check, NULL);
  TIDE_TRY(tide_job_submit(&self->check, tide_loop_pool(task->loop)));
  for (;;) {
    TIDE_WAIT(tide_channel_recv(found, task));
    if (self->steps.outcome != TIDE_OK) break;
    piece *came = tide_container(task->wait.value.pointer, piece, message);
    self->pieces++;
    self->primes += came->primes;
    tide_message_free(&came->message);
  }
  printf("%d threads found %ld primes in %ld pieces\n", WORKERS, self->primes, self->pieces);
  TIDE_TRY(tide_job_wait(&self->check, task));
  printf("a job found %ld\n", self->checked);
  TIDE_END;
}

int main(void) {
  static const tide_task_ops sends = {.name = "sender", .step = send_all};
  static const tide_task_ops collects = {.name = "collector", .step = collect};
  static worker workers[WORKERS];
  static sender sending;
  static collector collecting;
  first = tide_loop_new(NULL);
  todo = tide_channel_new(2);
  found = tide_channel_new(2);
  if (first == NULL || todo == NULL || found == NULL) return 1;
  for (int i = 0; i < WORKERS; i++) {
    workers[i].to = tide_port_new(first);
    tide_post_init(&workers[i].bye, said_bye);
    if (pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) != 0) abort();
    tide_loop_hold(first);
    at_work++;
  }
  tide_task_init(&sending.task, first, &sends);
  tide_task_init(&collecting.task, first, &collects);
  tide_task_spawn(&sending.task, tide_loop_background(first));
  tide_task_spawn(&collecting.task, tide_loop_background(first));
  int error = tide_loop_run(first, &collecting.task.future);
  for (int i = 0; i < WORKERS; i++) pthread_join(workers[i].thread, NULL);
  tide_loop_free(first);
  tide_channel_unref(todo);
  tide_channel_unref(found);
  printf("all have said bye: %s\n", at_work == 0 ? "yes" : "no");
  return error == TIDE_OK ? 0 : 1;
}
