/* task.c: the life of a task, and the two waits that need no source: yield and sleep. */
#include "task.h"

#include "private.h"

void tide_task_init(tide_task *task, tide_loop *loop, const tide_task_ops *ops) {
  tide_future_init(&task->future);
  task->future.is_task = true;
  tide_scope_init(&task->own, 0);
  task->own.task = task;
  task->scope = &task->own;
  task->ops = ops;
  task->loop = loop;
  task->wait = (tide_wait){.task = task};
  tide_list_init(&task->wait.in.link);
  task->id = 0;
  task->outcome = TIDE_OK;
  task->state = TIDE_TASK_NEW;
  task->streak = 0;
  task->started = task->branched = false;
  task->user = 0;
}

static inline void make_ready(tide_task *task, tide_lane *lane, int outcome) {
  task->outcome = outcome;
  task->state = TIDE_TASK_READY;
  task->streak = 0;
  tide_list_append(&lane->ready, &task->wait.in.link);
}

void tide__task_wake(tide_task *task, int outcome) {
  tide_lane *lane = task->ops->lane != NULL ? task->ops->lane : &task->loop->own;
  make_ready(task, lane, outcome);
  if (__builtin_expect(tide_list_empty(&lane->link), 0)) tide__lane_activate(lane);
}

static void join_group(tide_task *task, tide_group *group) {
  task->id = ++task->loop->last_id;
  task->loop->live++;
  tide__scope_attach(&task->own, &group->scope);
  tide__group_add(group);
}

int tide_task_spawn(tide_task *task, tide_group *group) {
  if (!tide_group_open(group)) return TIDE_ECLOSED;
  join_group(task, group);
  tide__group_admit(group, task);
  return TIDE_OK;
}

/* All scopes but its own are left. */
static void finish(tide_task *task, tide_future_state state, int error) {
  tide_group *group = tide_container(task->own.parent, tide_group, scope);
  task->loop->live--;
  task->state = TIDE_TASK_ENDED;
  tide_scope_exit(&task->own);
  task->scope = &task->own;
  tide__future_end(&task->future, state, error);
  tide__group_remove(group, state == TIDE_FUTURE_FAILED ? error : TIDE_OK);
}

void tide_task_finish(tide_task *task, tide_future_state state) {
  tide__timeouts_unwind(task, TIDE_OK);
  finish(task, state, tide__error_of(state));
}

void tide_task_finish_with(tide_task *task, int error) {
  error = tide__timeouts_unwind(task, tide__error_given(error));
  finish(task, tide__state_of(error), error);
}

bool tide_task_cancel(tide_task *task) {
  if (task->state == TIDE_TASK_ENDED) return false;
  tide_scope_cancel(&task->own, task->loop);
  return true;
}

bool tide_task_cancel_through(tide_task *task) {
  if (task->state == TIDE_TASK_ENDED) return false;
  for (tide_scope *scope = &task->own; (scope = tide_scope_next(&task->own, scope)) != NULL;)
    if (scope->task == task) tide_scope_cancel(scope, task->loop);
  return tide_task_cancel(task);
}

void tide_task_uncancel(tide_task *task) { tide_scope_uncancel(&task->own); }

void tide__task_interrupt(tide_task *task, int outcome) {
  if (task->state != TIDE_TASK_WAITING) return;
  tide_wait *wait = &task->wait;
  if (wait->ops->cancel != NULL && wait->ops->cancel(wait, outcome)) return;
  wait->ops->abandon(wait);
  tide__task_wake(task, outcome);
}

void tide_task_detach(tide_task *task) {
  tide_wait *wait = &task->wait;
  if (task->state != TIDE_TASK_READY && task->state != TIDE_TASK_WAITING) return;
  if (task->state == TIDE_TASK_WAITING) {
    wait->ops->abandon(wait);
    task->outcome = TIDE_ECANCELLED;
  } else {
    tide_list_remove(&wait->in.link);
  }
  if (wait->ops != NULL && wait->ops->reject != NULL) wait->ops->reject(wait, task->outcome);
  task->state = TIDE_TASK_RUNNING;
}

/* Waits that need no waiting. */

bool tide__wait_enter(tide_task *task, const tide_wait_ops *ops, void *source) {
  task->wait.ops = ops;
  task->wait.source = source;
  if (!tide_scope_cancelled(task->scope)) return true;
  tide__task_wake(task, TIDE_ECANCELLED);
  return false;
}

int tide__wait_over(tide_task *task, int outcome) {
  if (++task->streak != 0) return outcome; /* eight bits: the 256th in a row takes a turn */
  tide__task_wake(task, outcome);
  return TIDE_PENDING;
}

int tide__wait_try(tide_task *task, const tide_wait_ops *ops, void *source) {
  return tide__wait_enter(task, ops, source) ? tide__wait_skip(task) : TIDE_PENDING;
}

void tide__wait_charge(tide_task *task, size_t bytes) {
  size_t streak = task->streak + bytes / TIDE__BYTES_PER_WAIT;
  task->streak = streak < UINT8_MAX ? (uint8_t)streak : UINT8_MAX;
}

static void no_abandon(tide_wait *wait) { (void)wait; }

static const tide_wait_ops yield_ops = {.name = "sleep", .abandon = no_abandon};

bool tide__task_yielded(const tide_task *task) {
  return task->wait.ops == &yield_ops && task->outcome == TIDE_OK;
}

/* As a wake, but its lane is the one that is being stepped, and stays among those with tasks. */
int tide_task_yield(tide_task *task) {
  task->wait.ops = &yield_ops;
  make_ready(task, task->loop->lane, tide_task_cancelled(task) ? TIDE_ECANCELLED : TIDE_OK);
  return TIDE_PENDING;
}

static void deadline_came(tide_timer *timer) {
  tide_wait *wait = tide_container(timer, tide_wait, in.timer);
  tide__wait_end(wait, TIDE_OK);
}

void tide__wait_stop(tide_wait *wait) { tide_timer_stop(&wait->in.timer, wait->task->loop); }

static const tide_wait_ops sleep_ops = {.name = "sleep", .abandon = tide__wait_stop};

int tide__wait_start(tide_wait *wait, tide_time when) {
  tide_timer_init(&wait->in.timer, deadline_came);
  return tide_timer_start(&wait->in.timer, wait->task->loop, when);
}

int tide__wait_park_until(tide_task *task, tide_time when) {
  int error = tide__wait_start(&task->wait, when);
  if (error != TIDE_OK) return error;
  return tide__task_park(task);
}

static const tide_wait_ops endless_ops = {.name = "sleep", .abandon = tide__wait_unlink};

static int sleep_endless(tide_task *task) {
  if (!tide__wait_enter(task, &endless_ops, NULL)) return TIDE_PENDING;
  return tide__wait_park(task, &task->loop->endless);
}

int tide_task_sleep_until(tide_task *task, tide_time when) {
  if (tide__time_has_come(task->loop, when)) return tide_task_yield(task);
  if (when == TIDE_NEVER) return sleep_endless(task);
  if (!tide__wait_enter(task, &sleep_ops, NULL)) return TIDE_PENDING;
  return tide__wait_park_until(task, when);
}

/* Starting later. The wait is nobody's: when it ends, the group is asked whether the task may
 * begin. */

static void start(tide_wait *wait, int outcome) {
  tide_task *task = tide_container(wait, tide_task, wait);
  (void)outcome;
  wait->task = task;
  tide__group_unhold(wait->source);
  tide__group_admit(wait->source, task);
}

static void leave_start(tide_wait *wait) {
  wait->task = tide_container(wait, tide_task, wait);
  tide__group_unhold(wait->source);
}

static void leave_start_at(tide_wait *wait) {
  leave_start(wait);
  tide__wait_stop(wait);
}

static void leave_start_after(tide_wait *wait) {
  leave_start(wait);
  tide__wait_unlink(wait);
}

static const tide_wait_ops at_ops = {.name = "sleep", .abandon = leave_start_at, .ended = start};
static const tide_wait_ops after_ops = {
    .name = "add_done_callback", .abandon = leave_start_after, .ended = start};

/* The task is live, parked, and will ask to begin. */
static void start_later(tide_task *task, tide_group *group, const tide_wait_ops *ops) {
  task->wait.ops = ops;
  task->wait.source = group;
  task->wait.task = NULL;
  join_group(task, group);
  tide__group_hold(group);
}

int tide_task_spawn_at(tide_task *task, tide_group *group, tide_time when) {
  if (!tide_group_open(group)) return TIDE_ECLOSED;
  if (tide_scope_cancelled(&group->scope) || tide__time_has_come(task->loop, when))
    return tide_task_spawn(task, group);
  int error = tide__wait_park_until(task, when);
  if (error != TIDE_PENDING) return error;
  start_later(task, group, &at_ops);
  return TIDE_OK;
}

int tide_task_spawn_after(tide_task *task, tide_group *group, tide_future *future) {
  if (!tide_group_open(group)) return TIDE_ECLOSED;
  if (tide_future_ended(future)) future->observed = true;
  if (tide_future_ended(future) || tide_scope_cancelled(&group->scope))
    return tide_task_spawn(task, group);
  tide__wait_park(task, &future->waiters);
  start_later(task, group, &after_ops);
  return TIDE_OK;
}

const char *tide_task_waits_for(const tide_task *task) {
  if (task->state != TIDE_TASK_WAITING) return NULL;
  const tide_wait_ops *ops = task->wait.ops;
  return ops->name != NULL ? ops->name : ops->tell(&task->wait);
}

tide_time tide_task_waited(const tide_task *task) {
  if (task->state != TIDE_TASK_WAITING) return 0;
  uint32_t now = (uint32_t)(task->loop->now >> TIDE_PARKED_SHIFT);
  return (tide_time)(now - task->future.parked) << TIDE_PARKED_SHIFT;
}

/* A line of the cache, or less. */
enum { LINE = 64 };

const tide_task *tide_task_fetch_ahead(const tide_loop *loop) {
  const tide_list *batch = &loop->lane->batch, *next = batch->next;
  if (next == batch) return NULL;
  if (next->next != batch) {
    const tide_task *second = tide_container(next->next, tide_task, wait.in.link);
    for (size_t at = 0; at < sizeof *second; at += LINE)
      __builtin_prefetch((const char *)second + at);
  }
  return tide_container(next, tide_task, wait.in.link);
}
