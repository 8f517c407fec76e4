/* timeout.c: a scope and its deadline, which go together. */
#include "timeout.h"

#include "private.h"

int tide_timeout_begin(tide_timeout *timeout, tide_task *task, tide_time span) {
  tide_scope_init(&timeout->scope, TIDE_SCOPE_TIMEOUT);
  tide_deadline_init(&timeout->deadline, &timeout->scope, task->loop);
  tide_scope_enter(&timeout->scope, task);
  int error = tide_deadline_set(&timeout->deadline, tide_loop_after(task->loop, span));
  if (error != TIDE_OK) tide_scope_exit(&timeout->scope);
  return error;
}

void tide__timeout_lose(tide_scope *scope) {
  tide_deadline_stop(&tide_container(scope, tide_timeout, scope)->deadline);
}

int tide_timeout_end(tide_timeout *timeout, int outcome) {
  bool mine = outcome == TIDE_ECANCELLED && tide_timeout_expired(timeout) &&
              tide_scope_catches(&timeout->scope) && timeout->scope.parent != NULL;
  tide_scope_exit(&timeout->scope);
  return mine ? TIDE_ETIMEOUT : outcome;
}

int tide__timeouts_unwind(tide_task *task, int error) {
  while (task->scope != &task->own) {
    if (task->scope->flags & TIDE_SCOPE_TIMEOUT)
      error = tide_timeout_end(tide_container(task->scope, tide_timeout, scope), error);
    else
      tide_scope_exit(task->scope);
  }
  return error;
}
