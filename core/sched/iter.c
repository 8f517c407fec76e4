/* iter.c: who is inside an iterator, and when it is over.
 *
 * The place of who waits inside is a scope: it goes with its task, however that ends, so that a
 * task that was killed leaves nothing behind. While closing it is a shield as well. */
#include "iter.h"

#include "private.h"

void tide_iter_init(tide_iter *iter, const tide_iter_ops *ops) {
  *iter = (tide_iter){.ops = ops};
  tide_scope_init(&iter->place, 0);
}

static void iter_enter(tide_iter *iter, tide_task *task, uint32_t flags) {
  tide_scope_init(&iter->place, TIDE_SCOPE_ITER | flags);
  tide_scope_enter(&iter->place, task);
}

void tide_iter_leave(tide_iter *iter, tide_task *task) {
  if (iter->place.task == task) tide_scope_exit(&iter->place);
}

/* What the wait of the task, which is inside, ended with. TIDE_PENDING: its call begins. */
static int go_on(tide_iter *iter, tide_task *task, bool closing) {
  if (task == NULL || iter->place.task != task) return TIDE_PENDING;
  tide_iter_leave(iter, task);
  return iter->closing == closing ? task->outcome : TIDE_PENDING;
}

/* The wait of a step before its source was asked. */
static void no_abandon(tide_wait *wait) { (void)wait; }
static const tide_wait_ops step_ops = {.name = "iter", .abandon = no_abandon};

static bool asked(const tide_iter *iter, const tide_task *task) {
  return task->wait.ops != &step_ops || task->wait.source != iter;
}

/* Another task is inside. Where this one is cancelled, or has had enough for one turn, it is told
 * in the next, without being inside. */
static const tide_wait_ops busy_ops = {.name = "iter", .abandon = no_abandon};

static int refuse(tide_iter *iter, tide_task *task, bool cancellable) {
  if (cancellable && !tide__wait_enter(task, &busy_ops, iter)) return TIDE_PENDING;
  task->wait.ops = &busy_ops;
  task->wait.source = iter;
  int result = tide__wait_over(task, TIDE_EBUSY);
  if (result != TIDE_PENDING) task->wait.ops = NULL;
  return result;
}

/* What the task is told that was refused a turn ago; TIDE_PENDING: it was not. */
static int was_refused(const tide_iter *iter, tide_task *task) {
  if (task == NULL || task->wait.ops != &busy_ops || task->wait.source != iter) return TIDE_PENDING;
  task->wait.ops = NULL;
  return task->outcome;
}

/* Whether a step may begin: TIDE_OK; TIDE_PENDING, where the task is cancelled, or has had enough
 * for one turn; TIDE_EBUSY; TIDE_EEOF. */
static int iter_begin(tide_iter *iter, tide_task *task) {
  if (iter->place.task != NULL) return refuse(iter, task, true);
  if (!tide__wait_enter(task, &step_ops, iter)) return TIDE_PENDING;
  if (iter->over) return tide__wait_over(task, TIDE_EEOF);
  return task->streak < UINT8_MAX ? TIDE_OK : tide__wait_skip(task);
}

/* Asks the source. A step that needed no waiting counts as a wait that needed none. */
static int ask(tide_iter *iter, tide_task *task, int outcome, tide_item *item) {
  uint8_t streak = task->streak;
  int result = iter->ops->next(iter, task, outcome, item);
  if (result == TIDE_OK) {
    if (outcome == TIDE_PENDING && task->streak == streak) task->streak++;
  } else if (result != TIDE_PENDING && result != TIDE_ECANCELLED && result != TIDE_EBUSY) {
    iter->over = true;
  }
  return result;
}

int tide_iter_next(tide_iter *iter, tide_task *task, tide_item *item) {
  int outcome = go_on(iter, task, false), result = was_refused(iter, task);
  if (result != TIDE_PENDING) return result;
  result = TIDE_OK;
  if (outcome == TIDE_PENDING || !asked(iter, task)) {
    result = outcome < TIDE_OK ? outcome : iter_begin(iter, task);
    outcome = TIDE_PENDING;
  }
  if (result == TIDE_OK) result = ask(iter, task, outcome, item);
  if (result == TIDE_PENDING && iter->place.task == NULL) {
    iter->closing = false;
    iter_enter(iter, task, 0);
  }
  return result;
}

/* Counts as a wait, but for callers that are no task. Not cancellable, as all of closing. */
static int nothing_to_close(tide_iter *iter, tide_task *task) {
  if (task == NULL) return TIDE_OK;
  task->wait.ops = &step_ops;
  task->wait.source = iter;
  return tide__wait_skip(task);
}

int tide_iter_close(tide_iter *iter, tide_task *task) {
  int outcome = go_on(iter, task, true), refused = was_refused(iter, task);
  if (refused != TIDE_PENDING) return refused;
  if (outcome == TIDE_PENDING) {
    if (iter->closed) return nothing_to_close(iter, task);
    if (iter->place.task != NULL && iter->ops->close != NULL)
      return task != NULL ? refuse(iter, task, false) : TIDE_EBUSY;
    iter->closed = iter->over = true;
    if (iter->ops->close == NULL || task == NULL) return TIDE_OK;
  }
  iter->closing = true;
  iter_enter(iter, task, TIDE_SCOPE_SHIELD);
  int result = iter->ops->close(iter, task, outcome);
  if (result != TIDE_PENDING) tide_iter_leave(iter, task);
  return result;
}

void tide_iter_free(tide_iter *iter) {
  tide_scope_exit(&iter->place); /* of a task that is being killed */
  if (iter->ops->free != NULL) iter->ops->free(iter);
}
