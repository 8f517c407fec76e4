/* select.c: parking one task in several sources at once. */
#include "select.h"

#include "case.h"
#include "private.h"

void tide_select_init(tide_select *select, tide_case *cases, uint32_t count) {
  *select = (tide_select){.cases = cases, .count = count};
  for (uint32_t i = 0; i < count; i++) cases[i].wait.ops = cases[i].ops->wait;
}

/* Takes all cases out of their sources but the one given. */
static void leave_all(tide_select *select, const tide_case *but) {
  select->leaving = true;
  for (uint32_t i = 0; i < select->count; i++) {
    tide_case *other = &select->cases[i];
    if (other != but) other->wait.ops->abandon(&other->wait);
  }
  select->leaving = false;
}

static void select_leave(tide_wait *wait) { leave_all(wait->source, NULL); }

/* The task will not see what was chosen. */
static void select_reject(tide_wait *wait, int outcome) {
  const tide_select *select = wait->source;
  for (uint32_t i = 0; i < select->count; i++) {
    tide_wait *own = &select->cases[i].wait;
    bool won = outcome == TIDE_OK && select->over && i == select->chosen;
    if (own->ops->reject != NULL) own->ops->reject(own, won ? TIDE_OK : TIDE_ECANCELLED);
  }
}

static const tide_wait_ops select_ops = {
    .name = "select", .abandon = select_leave, .reject = select_reject};

void tide__select_end(tide_wait *wait, int outcome) {
  tide_case *self = tide_container(wait, tide_case, wait);
  tide_select *select = wait->task->wait.source;
  if (select->leaving) { /* it got what another case, which has left already, stood in the way of */
    if (wait->ops->reject != NULL) wait->ops->reject(wait, outcome);
    return;
  }
  leave_all(select, self);
  select->chosen = (uint32_t)(self - select->cases);
  select->over = outcome == TIDE_OK && !self->ops->again;
  tide__task_wake(wait->task, outcome);
}

/* TIDE_OK or an error: of the first case that need not wait. */
static int attempt_all(tide_select *select, tide_task *task) {
  for (uint32_t i = 0; i < select->count; i++) {
    tide_case *self = &select->cases[i];
    self->wait.task = task;
    int result = self->ops->attempt(self);
    if (result == TIDE_PENDING) continue;
    select->chosen = i;
    return result;
  }
  return TIDE_PENDING;
}

static int park_all(tide_select *select, tide_task *task) {
  for (uint32_t i = 0; i < select->count; i++) {
    int error = select->cases[i].ops->park(&select->cases[i]);
    if (error == TIDE_OK) continue;
    select->chosen = i;
    while (i-- > 0) select->cases[i].wait.ops->abandon(&select->cases[i].wait);
    return error;
  }
  return tide__task_park(task);
}

int tide_select_try(tide_select *select, tide_task *task) {
  if (tide_task_cancelled(task) || task->streak == UINT8_MAX) return TIDE_PENDING;
  int result = attempt_all(select, task);
  if (result != TIDE_PENDING) task->streak++;
  return result;
}

int tide_select_wait(tide_select *select, tide_task *task) {
  if (select->over) return TIDE_OK;
  if (!tide__wait_enter(task, &select_ops, select)) return TIDE_PENDING;
  int result = attempt_all(select, task);
  if (result == TIDE_PENDING) result = park_all(select, task);
  if (result == TIDE_PENDING) return result;
  select->over = result == TIDE_OK;
  return tide__wait_over(task, result);
}

/* A time. */

static int attempt_at(tide_case *self) {
  bool come = tide__time_has_come(self->wait.task->loop, self->wait.value.number);
  return come ? TIDE_OK : TIDE_PENDING;
}

static int park_at(tide_case *self) {
  return tide__wait_start(&self->wait, self->wait.value.number);
}

static const tide_wait_ops at_wait = {.name = "after", .abandon = tide__wait_stop};
static const tide_case_ops at_ops = {.wait = &at_wait, .attempt = attempt_at, .park = park_at};

void tide_case_at(tide_case *self, tide_time when) {
  *self = (tide_case){.ops = &at_ops, .wait.value.number = when};
}
