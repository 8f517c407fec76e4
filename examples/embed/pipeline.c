/* A pipeline in C: a producer, three workers and a collector, with bounded queues of pointers
 * between them. A slow one slows those before it; the whole is given a second and, what is left in
 * the pipe when that is over, is freed, each job once. No Lua anywhere. */
#include <stdio.h>
#include <stdlib.h>
#include <tide.h>

enum { WORKERS = 3, ROOM = 4 };

typedef struct job {
  int number;
  long square;
} job;

typedef struct stage {
  tide_task task;
  tide_steps steps;
  job *job; /* in hand; NULL: none */
  int count;
} stage;

static tide_queue todo, done;
static tide_group workers; /* when all of them have ended, nothing more comes */
static int made, freed;    /* jobs */

static tide_time ms(int64_t count) { return (tide_time)count * 1000000; }

static job *job_new(int number) {
  job *self = calloc(1, sizeof *self);
  if (self == NULL) abort();
  self->number = number;
  made++;
  return self;
}

static void job_free(void *pointer) {
  if (pointer == NULL) return;
  freed++;
  free(pointer);
}

static job *next_job(tide_queue *queue, const tide_task *task) {
  return tide_queue_get_pointer(queue, (uint32_t)task->wait.value.number);
}

/* Each stage gives back what it has in hand when it ends, in whatever way. */

static void produce(tide_task *task, int outcome) {
  stage *self = tide_container(task, stage, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (;;) {
    self->job = job_new(++self->count);
    TIDE_WAIT(tide_queue_put_pointer(&todo, task, (void **)&self->job, 0));
    if (self->steps.outcome != TIDE_OK) break;
  }
  job_free(self->job);
  printf("the producer has made %s jobs and ends: %s\n", self->count > 10 ? "many" : "few",
         tide_error_kind(self->steps.outcome));
  TIDE_END;
}

static void work(tide_task *task, int outcome) {
  stage *self = tide_container(task, stage, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  for (;;) {
    TIDE_WAIT(tide_queue_get(&todo, task));
    if (self->steps.outcome != TIDE_OK) break;
    self->job = next_job(&todo, task);
    TIDE_WAIT(tide_task_sleep_until(task, tide_loop_after(task->loop, ms(30)))); /* it is hard */
    if (self->steps.outcome != TIDE_OK) break;
    self->job->square = (long)self->job->number * self->job->number;
    TIDE_WAIT(tide_queue_put_pointer(&done, task, (void **)&self->job, 0));
    if (self->steps.outcome != TIDE_OK) break;
  }
  job_free(self->job);
  TIDE_END;
}

/* The body of the whole: opens the group, gives it a second, and takes what comes out. */
typedef struct director {
  tide_task task;
  tide_steps steps;
  tide_timeout timeout;
  stage stages[1 + WORKERS];
  job *job;
  long sum;
  int count;
} director;

static const tide_task_ops producer_ops = {.step = produce}, worker_ops = {.step = work};

static void start(director *self) {
  for (int i = 0; i < 1 + WORKERS; i++) {
    tide_task_init(&self->stages[i].task, self->task.loop, i == 0 ? &producer_ops : &worker_ops);
    tide_task_spawn(&self->stages[i].task, &workers);
  }
}

static void direct(tide_task *task, int outcome) {
  director *self = tide_container(task, director, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  tide_group_init(&workers, task->loop, 0, true);
  tide_group_enter(&workers, task);
  start(self);
  TIDE_TRY(tide_timeout_begin(&self->timeout, task, ms(1000)));
  for (;;) {
    TIDE_WAIT(tide_queue_get(&done, task));
    if (self->steps.outcome != TIDE_OK) break;
    self->job = next_job(&done, task);
    self->sum += self->job->square;
    self->count++;
    job_free(self->job);
  }
  self->steps.outcome = tide_timeout_end(&self->timeout, self->steps.outcome);
  printf("the director: %s, %d jobs are done, the sum of their squares is %ld\n",
         tide_error_kind(self->steps.outcome), self->count, self->sum);
  tide_group_cancel(&workers);
  TIDE_CALL(tide_group_wait(&workers, task));
  tide_group_exit(&workers);
  TIDE_LEAVE(tide_group_error(&workers));
  TIDE_END;
}

int main(void) {
  static const tide_task_ops ops = {.step = direct};
  static director self;
  tide_loop *loop = tide_loop_new(NULL);
  if (loop == NULL) return 1;
  tide_loop_set_virtual_clock(loop); /* so that it does not depend on the machine's speed */
  tide_queue_init_pointers(&todo, loop, TIDE_FIFO, ROOM, job_free);
  tide_queue_init_pointers(&done, loop, TIDE_FIFO, ROOM, job_free);
  tide_task_init(&self.task, loop, &ops);
  tide_task_spawn(&self.task, tide_loop_background(loop));
  int error = tide_loop_run(loop, &self.task.future);
  if (error == TIDE_OK) error = tide_future_error(&self.task.future);
  tide_queue_term(&todo);
  tide_queue_term(&done);
  tide_loop_free(loop);
  printf("%s\n", made == freed ? "every job was freed once" : "jobs were lost");
  return error == TIDE_OK && made == freed ? 0 : 1;
}
