/* completion.c: who has come first, the result or the giving up; and who is the last to go. */
#include "completion.h"

#include "case.h"
#include "port.h"
#include "private.h"

/* Its state is one number, so that each step is one: what has come first, the result or the giving
 * up, and who still has a half. Before either has come both have. */
enum {
  WAITER = 1, /* has its half */
  CALLER = 2, /* the same */
  HALVES = WAITER | CALLER,
  POSTED = 4,    /* the result is on its way to the loop's thread */
  ENDED = 8,     /* it is there, and the caller's half gone */
  GIVEN_UP = 16, /* whatever comes is too late */
  PENDING = HALVES,
};

static uint8_t state_of(const tide_completion *self) {
  return __atomic_load_n(&self->state, __ATOMIC_ACQUIRE);
}

static bool move_on(tide_completion *self, uint8_t from, uint8_t to) {
  return __atomic_compare_exchange_n(&self->state, &from, to, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE);
}

bool tide_completion_ended(const tide_completion *self) { return state_of(self) & ENDED; }

bool tide__completion_is_wanted(const tide_completion *self) { return state_of(self) & WAITER; }

bool tide__completion_has_come(const tide_completion *self) {
  return state_of(self) & (POSTED | ENDED);
}

static void free_if_last(tide_completion *self, uint8_t left) {
  if ((left & HALVES) == 0 && self->ops->free != NULL) self->ops->free(self);
}

/* Who sees that the other half is gone is alone with it. */
static void give_half(tide_completion *self, uint8_t half) {
  uint8_t state = state_of(self), left = state & (uint8_t)~half;
  if (left & HALVES) left = __atomic_and_fetch(&self->state, (uint8_t)~half, __ATOMIC_ACQ_REL);
  free_if_last(self, left);
}

/* The waiter wants to go. True: it may; false: it gets a result, now or later. */
static bool give_up(tide_completion *self, bool for_good) {
  if (state_of(self) != PENDING) return state_of(self) & GIVEN_UP;
  tide_taken_back answer = self->ops->cancel != NULL ? self->ops->cancel(self) : TIDE_TOO_LATE;
  if (answer == TIDE_KEPT && !for_good) return false;
  bool taken_back = answer == TIDE_TAKEN_BACK;
  if (!move_on(self, PENDING, taken_back ? GIVEN_UP | WAITER : GIVEN_UP | HALVES))
    return false; /* it was completed meanwhile */
  if (taken_back) tide__port_give_back(self->port);
  return true;
}

void tide_completion_drop(tide_completion *self) {
  if (state_of(self) == (ENDED | WAITER)) { /* as most are: nothing is left to be settled */
    free_if_last(self, ENDED);
    return;
  }
  give_up(self, true);
  give_half(self, WAITER);
}

/* Waiting. */

static const char *name_of(const tide_wait *wait) {
  const tide_completion *self = wait->source;
  if (self->ops->name != NULL) return self->ops->name;
  return self->ops->tell != NULL ? self->ops->tell(self) : "completion";
}

static void leave(tide_wait *wait) {
  tide_completion *self = wait->source;
  if (self->waiter != wait) return;
  self->waiter = NULL;
  tide_loop_release(wait->task->loop);
}

static void park(tide_completion *self, tide_wait *wait) {
  self->waiter = wait;
  tide_loop_hold(wait->task->loop);
}

/* Of a wait whose half has gone, or that never had it. */
static const tide_wait_ops gone_ops = {.name = "completion", .abandon = tide__wait_unlink};

static void arrive(tide_completion *self);

static bool wait_cancelled(tide_wait *wait, int outcome) {
  tide_completion *self = wait->source;
  if (outcome != TIDE_ECANCELLED) return false;
  self->waiter = NULL; /* where the hook completes it, both are there until that has returned */
  bool gone = give_up(self, false);
  self->waiter = wait;
  if (!gone) {
    if (tide_completion_ended(self)) arrive(self);
    return true;
  }
  leave(wait);
  wait->ops = &gone_ops;
  tide__wait_end(wait, outcome);
  give_half(self, WAITER);
  return true;
}

/* The task was killed, before the result or with it. */
static void wait_rejected(tide_wait *wait, int outcome) {
  (void)outcome;
  tide_completion_drop(wait->source);
}

static const tide_wait_ops wait_ops = {
    .tell = name_of, .abandon = leave, .cancel = wait_cancelled, .reject = wait_rejected};

/* The result was TIDE_ECANCELLED, or will be. */
static void end_cancelled(tide_completion *self, tide_task *task) {
  task->wait.ops = &gone_ops;
  give_half(self, WAITER);
}

int tide_completion_wait(tide_completion *self, tide_task *task) {
  tide_wait *wait = &task->wait;
  wait->ops = &gone_ops;
  if (self->waiter != NULL) return tide__wait_over(task, TIDE_EBUSY);
  wait->ops = &wait_ops;
  wait->source = self;
  if (tide_task_cancelled(task) && give_up(self, false)) {
    end_cancelled(self, task);
    tide__task_wake(task, TIDE_ECANCELLED);
    return TIDE_PENDING;
  }
  if (!tide_completion_ended(self)) {
    park(self, wait);
    return tide__task_park(task);
  }
  int result = self->result;
  if (result == TIDE_ECANCELLED) end_cancelled(self, task);
  return tide__wait_over(task, result);
}

/* Completing. */

static void arrive(tide_completion *self) {
  tide_wait *wait = self->waiter;
  if (wait == NULL) return;
  leave(wait);
  bool own = wait->ops == &wait_ops;
  tide_task *task = wait->task;
  tide__wait_end(wait, self->result);
  if (own && self->result == TIDE_ECANCELLED) end_cancelled(self, task);
}

/* The waiter has its half, and lives in this thread: it is there until this returns. */
int tide_completion_end(tide_completion *self, int result) {
  result = tide__error_given(result);
  if (move_on(self, PENDING, ENDED | WAITER)) {
    tide__port_give_back(self->port);
    self->result = result;
    arrive(self);
    return TIDE_OK;
  }
  uint8_t state = state_of(self);
  if (state & (POSTED | ENDED)) return TIDE_EINVALID_STATE;
  if ((state & CALLER) && move_on(self, state, state & (uint8_t)~CALLER)) {
    tide__port_give_back(self->port);
    free_if_last(self, state & WAITER);
  }
  return TIDE_ECANCELLED;
}

/* In the loop's thread, which alone changes what is on its way. While the loop is freed its tasks
 * are left as they are. */
static void come_in(tide_post *post, bool wakes) {
  tide_completion *self = tide_container(post, tide_completion, post);
  if (self->ops->came != NULL) self->ops->came(self);
  uint8_t state = state_of(self), left = state & WAITER;
  tide__port_give_back(self->port);
  __atomic_store_n(&self->state, (state & GIVEN_UP) | ENDED | left, __ATOMIC_RELEASE);
  if (wakes && !(state & GIVEN_UP)) arrive(self);
  free_if_last(self, left);
}

static void run(tide_post *post) { come_in(post, true); }
static void dropped(tide_post *post) { come_in(post, false); }

/* Once it is on its way it may be gone. */
static int send(tide_completion *self, int answer) {
  tide_port *port = self->port;
  int sent = tide_port_post(port, &self->post);
  if (sent == TIDE_OK) return answer;
  tide__port_give_back(port);
  give_half(self, CALLER);
  return sent;
}

int tide__completion_post(tide_completion *self, int result) {
  if (move_on(self, PENDING, POSTED | HALVES)) {
    self->result = tide__error_given(result);
    return send(self, TIDE_OK);
  }
  uint8_t state = state_of(self);
  while ((state & CALLER) && !(state & POSTED)) {
    if (move_on(self, state, state | POSTED)) return send(self, TIDE_ECANCELLED);
    state = state_of(self);
  }
  return state & (POSTED | ENDED) ? TIDE_EINVALID_STATE : TIDE_ECANCELLED;
}

/* With it the port may go, which is in use to the end. */
int tide_completion_post(tide_completion *self, int result) {
  tide_port *port = tide_port_ref(self->port);
  int answer = tide__completion_post(self, result);
  tide_port_unref(port);
  return answer;
}

void tide_completion_init(tide_completion *self, tide_loop *loop, const tide_completion_ops *ops) {
  *self = (tide_completion){.ops = ops, .port = tide__port_lend(loop), .state = PENDING};
  tide_post_init(&self->post, run);
  self->post.dropped = dropped;
}

/* As a case of select. */

static int completion_attempt(tide_case *self) {
  const tide_completion *completion = self->wait.source;
  if (completion->waiter != NULL) return TIDE_EBUSY;
  return tide_completion_ended(completion) ? completion->result : TIDE_PENDING;
}

/* Another case of the same select may be of it, too. */
static int completion_park(tide_case *self) {
  tide_completion *completion = self->wait.source;
  if (completion->waiter != NULL) return TIDE_EBUSY;
  park(completion, &self->wait);
  return TIDE_OK;
}

static const tide_wait_ops case_wait_ops = {.name = "completion", .abandon = leave};
static const tide_case_ops case_ops = {
    .wait = &case_wait_ops, .attempt = completion_attempt, .park = completion_park};

void tide_case_completion(tide_case *self, tide_completion *completion) {
  *self = (tide_case){.ops = &case_ops, .wait.source = completion};
}
