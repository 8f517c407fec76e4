/* future.c: ending futures and waiting for their end. */
#include "future.h"

#include "case.h"
#include "private.h"

void tide_future_init(tide_future *future) {
  *future = (tide_future){.state = TIDE_FUTURE_PENDING};
  tide_list_init(&future->waiters);
}

void tide__future_end(tide_future *future, tide_future_state state, int error) {
  future->state = (uint8_t)state;
  future->error = error;
  if (!tide_list_empty(&future->waiters)) future->observed = true;
  tide__park_wake_all(&future->waiters, TIDE_OK);
}

int tide__error_of(tide_future_state state) {
  if (state == TIDE_FUTURE_DONE) return TIDE_OK;
  return state == TIDE_FUTURE_CANCELLED ? TIDE_ECANCELLED : TIDE_EFAILED;
}

tide_future_state tide__state_of(int error) {
  if (error == TIDE_OK) return TIDE_FUTURE_DONE;
  return error == TIDE_ECANCELLED ? TIDE_FUTURE_CANCELLED : TIDE_FUTURE_FAILED;
}

int tide_future_end(tide_future *future, tide_future_state state) {
  if (tide_future_ended(future)) return TIDE_EINVALID_STATE;
  tide__future_end(future, state, tide__error_of(state));
  return TIDE_OK;
}

int tide_future_end_with(tide_future *future, int error) {
  if (tide_future_ended(future)) return TIDE_EINVALID_STATE;
  error = tide__error_given(error);
  tide__future_end(future, tide__state_of(error), error);
  return TIDE_OK;
}

bool tide_future_cancel(tide_future *future) {
  if (tide_future_ended(future)) return false;
  if (future->is_task)
    tide_task_cancel(tide_container(future, tide_task, future));
  else
    tide_future_end(future, TIDE_FUTURE_CANCELLED);
  return true;
}

static void await_forward(tide_wait *wait);

/* A future that is no task stays as it is, whoever waits for it. */
static bool hand_on(tide_wait *wait, int outcome) {
  return ((const tide_future *)wait->source)->is_task && tide__wait_forwards(wait, outcome);
}

static bool yes(const tide_wait *wait) {
  (void)wait;
  return true;
}

static tide_task *awaited(tide_wait *wait, const tide_task *last) {
  return last == NULL ? tide_container(wait->source, tide_task, future) : NULL;
}

static const tide_wait_ops await_ops = {
    .name = "await", .abandon = tide__wait_unlink, .cancel = hand_on, .forward = await_forward};

static const tide_wait_ops given_up_ops = {
    .name = "await",
    .abandon = tide__wait_unlink,
    .cancel = hand_on,
    .forward = await_forward,
    .given_up = yes,
    .awaits = awaited,
};

static void await_forward(tide_wait *wait) {
  if (tide__future_give_up(wait->source, wait))
    wait->ops = &given_up_ops;
  else
    tide__wait_release(wait);
}

static const tide_wait_ops shielded_await_ops = {
    .name = "shield",
    .abandon = tide__wait_unlink,
};

int tide_future_wait(tide_future *future, tide_task *task, bool shielded) {
  if (tide_future_ended(future)) future->observed = true;
  const tide_wait_ops *ops = shielded ? &shielded_await_ops : &await_ops;
  if (!tide__wait_enter(task, ops, future)) return TIDE_PENDING;
  if (future == &task->future) return tide__wait_over(task, TIDE_EINVALID_STATE);
  if (tide_future_ended(future)) return tide__wait_skip(task);
  return tide__wait_park(task, &future->waiters);
}

tide_future *tide_task_awaits(const tide_task *task) {
  const tide_wait *wait = &task->wait;
  if (tide_task_waits_for(task) == NULL) return NULL;
  bool is =
      wait->ops == &await_ops || wait->ops == &given_up_ops || wait->ops == &shielded_await_ops;
  return is ? wait->source : NULL;
}

/* As a case of select. */

static int await_attempt(tide_case *self) {
  tide_future *future = self->wait.source;
  if (future == &self->wait.task->future) return TIDE_EINVALID_STATE;
  if (!tide_future_ended(future)) return TIDE_PENDING;
  future->observed = true;
  return TIDE_OK;
}

static int await_park(tide_case *self) {
  tide_future *future = self->wait.source;
  tide_list_append(&future->waiters, &self->wait.in.link);
  return TIDE_OK;
}

static const tide_case_ops case_ops = {
    .wait = &shielded_await_ops, .attempt = await_attempt, .park = await_park};

void tide_case_future(tide_case *self, tide_future *future) {
  *self = (tide_case){.ops = &case_ops, .wait.source = future};
}
