/* run.c: tide.run, run_forever, stop, time. */
#include "run.h"
#include "class.h"
#include "error.h"
#include "future.h"
#include "parts.h"
#include "reason.h"
#include "report.h"
#include "runtime.h"
#include "slots.h"
#include "stop.h"
#include "task.h"
#include "tide_lua.h"
#include "value.h"

enum { DEADLOCKS_MAX = 1000 }; /* that the root task may survive */

void tl_run_init(tl_run *run, tide_loop *loop) {
  *run = (tl_run){.running = false};
  tide_group_init(&run->group, loop, 0, false);
  tide_group_init(&run->outside, loop, 0, false);
  tide_group_init(&run->watchers, loop, 0, false);
  tide_group_init(&run->onlookers, loop, 0, false);
}

/* A task of C's own ends where it is, if it was begun. */
static void end_own(tide_task *task) {
  tide_task_detach(task);
  if (task->own.parent != NULL) tide_task_finish(task, TIDE_FUTURE_CANCELLED);
}

void tl_run_end(tl_run *run) {
  end_own(&run->drainer.task);
  end_own(&run->leaver.task);
}

void tl_run_groups(tl_run *run, tide_group *groups[TL_RUN_GROUPS]) {
  groups[0] = &run->group;
  groups[1] = &run->outside;
  groups[2] = &run->watchers;
  groups[3] = &run->onlookers;
}

void tl_run_leave_loop(tl_run *run) {
  tide_group *groups[TL_RUN_GROUPS];
  tl_run_groups(run, groups);
  for (int i = 0; i < TL_RUN_GROUPS; i++) tide_group_exit(groups[i]);
}

tide_group *tl_run_home_of(tl_run *run, tide_loop *loop) {
  const tide_task *current = tide_loop_current(loop);
  if (current == NULL) return &run->group;
  const tide_scope *scope = tide_scope_outermost(&current->own);
  bool outside = scope == &run->outside.scope || scope == &run->onlookers.scope ||
                 scope == &tide_loop_background(loop)->scope;
  return outside ? &run->outside : &run->group;
}

/* Cancels all that is in the group, and has the drainer wait for its end. */
static void begin_drain(tl_runtime *rt, tl_drainer *drainer, tide_group *group,
                        const tide_task_ops *ops) {
  drainer->rt = rt;
  drainer->group = group;
  tide_task_init(&drainer->task, rt->loop, ops);
  tide_task_spawn(&drainer->task, &rt->run.watchers);
  tide_group_cancel(group);
}

/* The group has ended: it may be used again, unless the host has stopped the state. */
static void end_drain(lua_State *L, tl_runtime *rt, tide_group *group) {
  if (rt->run.stopped) return;
  tl_reason_clear(L, rt, &group->scope);
  while (tide_scope_uncancel(&group->scope)) continue;
}

static void drainer_step(tide_task *task, int outcome) {
  const tl_drainer *self = tide_container(task, tl_drainer, task);
  (void)outcome;
  if (tide_group_wait(self->group, task) == TIDE_OK) tide_task_finish(task, TIDE_FUTURE_DONE);
}

static const tide_task_ops drainer_ops = {.name = "end of the run", .step = drainer_step};

/* Cancels and awaits all tasks of the group. The loop is not to go on for others' sake. */
static void await_all(lua_State *L, tl_runtime *rt, tide_group *group) {
  tide_future *drained = &rt->run.drainer.task.future;
  begin_drain(rt, &rt->run.drainer, group, &drainer_ops);
  while (!tide_future_ended(drained))
    if (tide_loop_run(rt->loop, drained) == TIDE_EDEADLOCK) tl_task_kill_all(L, rt, group);
}

/* The end of a run: of its tasks, of what they have written, and of what a callback spawns while
 * that is being sent. */
static void drain(lua_State *L, tl_runtime *rt, tide_group *group) {
  do {
    await_all(L, rt, group);
    tide_loop_turn(rt->loop, false); /* reports and done callbacks of the last ones */
    tide_group_send_all(group);
  } while (group->live > 0);
  end_drain(L, rt, group);
}

/* Leaving with a status: tide.exit. */

static tl_leaving *leaving_of(tl_run *run, const tide_group *group) {
  return group == &run->group ? &run->leaving : &run->leaving_outside;
}

/* All in the group has ended. What it was left with, if somebody left; the host is told. */
static tl_leaving have_left(tl_runtime *rt, const tide_group *group) {
  tl_leaving *leaving = leaving_of(&rt->run, group), left = *leaving;
  leaving->begun = false;
  if (left.begun && rt->options.on_exit != NULL)
    rt->options.on_exit(rt->main, left.status, rt->options.context);
  return left;
}

static void leaver_step(tide_task *task, int outcome) {
  tl_drainer *self = tide_container(task, tl_drainer, task);
  (void)outcome;
  if (tide_group_wait(self->group, task) != TIDE_OK) return;
  tide_task_finish(task, TIDE_FUTURE_DONE);
  end_drain(self->rt->L, self->rt, self->group);
  have_left(self->rt, self->group);
}

static const tide_task_ops leaver_ops = {.name = "tide.exit", .step = leaver_step};

/* Somebody else awaits the end of all outside, and tells it: the leaver would take back what that
 * one has cancelled, and may be the last to be stepped. */
static void dismiss_leaver(tl_run *run) {
  tide_task *task = &run->leaver.task;
  if (task->state == TIDE_TASK_READY || task->state == TIDE_TASK_WAITING) end_own(task);
}

void tl_run_leave(lua_State *L, tl_runtime *rt, int status) {
  tl_run *run = &rt->run;
  lua_pushliteral(L, "exit"); /* may collect, and a finalizer leave */
  tide_group *group = run->root != NULL ? &run->group : &run->outside;
  tl_leaving *leaving = leaving_of(run, group);
  if (!leaving->begun) { /* the first decides */
    tl_reason_set(L, rt, &group->scope, lua_gettop(L));
    *leaving = (tl_leaving){true, status};
    if (run->running)
      tide_group_cancel(group);
    else
      begin_drain(rt, &run->leaver, group, &leaver_ops);
  }
  lua_pop(L, 1);
  if (run->forever) tide_loop_stop(rt->loop);
}

/* What a run raises that was left. */
static int raise_exit(lua_State *L, const tl_runtime *rt, int status) {
  tl_error_push(L, rt, TIDE_ECANCELLED, NULL);
  lua_pushliteral(L, "exit");
  lua_setfield(L, -2, "reason");
  lua_pushinteger(L, status);
  lua_setfield(L, -2, "status");
  return lua_error(L);
}

static void check_idle(lua_State *L, const tl_runtime *rt) {
  if (rt->current != NULL)
    tl_raise_message(
        L, rt, TIDE_EALREADY_RUNNING,
        "this is a task already, as all of a script is that the program tide runs: call the "
        "function as it is");
  if (rt->run.running || tide_loop_turning(tl_loop(L, rt))) tl_raise(L, rt, TIDE_EALREADY_RUNNING);
  if (tide_loop_is_guest(rt->loop))
    tl_raise_message(L, rt, TIDE_EINVALID_STATE,
                     "the loop is a guest in the host's, which turns it: spawn tasks instead");
  luaL_checkstack(L, LUA_MINSTACK, NULL);
}

/* Raises nothing: `end` must follow. */
static void begin(lua_State *L, tl_runtime *rt) {
  rt->run.running = true;
  rt->L = L;
  tide_loop_update_now(rt->loop);
}

static void end(tl_runtime *rt) {
  tide_loop_rest(rt->loop);
  rt->run.running = rt->run.forever = false;
  rt->run.root = NULL;
  rt->L = rt->main;
  if (rt->stop != NULL) tl_stop_look(rt->stop);
}

/* In protected mode: makes the message of the error `deadlock`. */
static int describe_deadlock(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  tl_hook_push(L, rt, "deadlock");
  lua_pushstring(L, tide_error_message(TIDE_EDEADLOCK));
  lua_call(L, 1, 1);
  tl_hook_set(L, rt, "deadlock_message");
  return 0;
}

/* Takes note of who waits for what, while they still do. Without memory the error says less. False:
 * it is none any more, a finalizer that ran meanwhile has given somebody what to do. */
static bool note_deadlock(lua_State *L, const tl_runtime *rt) {
  lua_pushcfunction(L, describe_deadlock);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
  return tide_loop_deadline(rt->loop) == TIDE_NEVER;
}

void tl_deadlock(lua_State *L, tl_runtime *rt, tl_task *task) {
  note_deadlock(L, rt);
  tide_loop_interrupt(tl_loop(L, rt), &task->task, TIDE_EDEADLOCK);
}

/* Runs until the root task has ended. Where nothing can wake it, it is told so; where it does not
 * listen, or only to wait again for ever, all is killed, and the answer is true. */
static bool run_root(lua_State *L, tl_runtime *rt, tl_task *root) {
  for (int told = 0; !tide_future_ended(&root->task.future);) {
    if (tide_loop_run(rt->loop, &root->task.future) != TIDE_EDEADLOCK) continue;
    if (!note_deadlock(L, rt)) continue;
    tide_loop_interrupt(rt->loop, &root->task, TIDE_EDEADLOCK);
    if (++told > DEADLOCKS_MAX || tide_loop_deadline(rt->loop) == TIDE_NEVER) {
      tl_task_kill_all(L, rt, &rt->run.group);
      return true;
    }
  }
  return false;
}

/* tide.run(main, ...) -> results... */
static int run(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_check_callable(L, 1);
  check_idle(L, rt);
  tl_task *root = tl_task_spawn(L, rt, &rt->run.group, 0, 1);
  lua_replace(L, 1);
  lua_settop(L, 1);
  begin(L, rt);
  tl_told(&root->task.future); /* its failure is raised here */
  rt->run.root = root;
  bool deadlocked = run_root(L, rt, root);
  drain(L, rt, &rt->run.group);
  tl_leaving left = have_left(rt, &rt->run.group);
  tl_report_unseen(L, rt, root->task.id);
  end(rt);
  if (left.begun && root->task.future.state != TIDE_FUTURE_FAILED)
    return raise_exit(L, rt, left.status);
  if (deadlocked) return tl_raise(L, rt, TIDE_EDEADLOCK);
  if (root->task.future.state == TIDE_FUTURE_FAILED) {
    tl_failure_trace_push(L, &root->task.future, 1); /* for whoever prints it */
    lua_setfield(L, LUA_REGISTRYINDEX, "tide.traceback");
    lua_settop(L, 1);
  }
  return tl_result_push(L, rt, &root->task.future, 1);
}

/* tide.run_forever(): until tide.stop() */
static int run_forever(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  check_idle(L, rt);
  begin(L, rt);
  rt->run.forever = true;
  int error;
  do error = tide_loop_run(rt->loop, NULL);
  while (error == TIDE_EDEADLOCK && !note_deadlock(L, rt));
  dismiss_leaver(&rt->run);
  drain(L, rt, &rt->run.outside);
  tl_leaving left = have_left(rt, &rt->run.outside);
  tl_report_unseen(L, rt, 0);
  end(rt);
  if (left.begun) return raise_exit(L, rt, left.status);
  return error == TIDE_OK ? 0 : tl_raise(L, rt, error);
}

/* tide.stop(): ends run_forever, or cancels the main task of run */
static int stop(lua_State *L) {
  tl_runtime *rt = tl_rt(L);
  tl_loop(L, rt);
  if (rt->run.forever)
    tide_loop_stop(rt->loop);
  else if (rt->run.root != NULL)
    tide_task_cancel(&rt->run.root->task);
  return 0;
}

/* tide.running() -> boolean: whether a loop runs */
static int running(lua_State *L) {
  const tl_runtime *rt = tl_rt(L);
  lua_pushboolean(L, rt->run.running || (rt->loop != NULL && tide_loop_turning(rt->loop)));
  return 1;
}

/* tide.time() -> seconds */
static int time_(lua_State *L) {
  lua_pushnumber(L, tide_time_to_seconds(tide_loop_after(tl_loop(L, tl_rt(L)), 0)));
  return 1;
}

/* tide.on_failure(fn | nil) -> who was told before, or nil: who is told of failures that nobody
 * awaits */
static int on_failure(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  tl_hook_push(L, tl_rt(L), "report");
  lua_insert(L, 1);
  tl_hook_set(L, tl_rt(L), "report");
  return 1;
}

/* In protected mode: sets the string at 1 as the reason. */
static int set_reason(lua_State *L) {
  tl_runtime *rt = tl_runtime_find(L);
  lua_pushstring(L, lua_touserdata(L, 1));
  tl_reason_set(L, rt, &rt->run.root->task.own, -1);
  return 0;
}

/* The main task, which is to be cancelled for that reason; or NULL. */
static tide_task *main_to_cancel(lua_State *L, const char *reason) {
  tl_runtime *rt;
  if (tl_runtime_ask(L, &rt) != TIDE_OK || rt->run.root == NULL) return NULL;
  if (reason != NULL && lua_checkstack(rt->L, 2)) {
    lua_pushcfunction(rt->L, set_reason);
    lua_pushlightuserdata(rt->L, (void *)(uintptr_t)reason);
    if (lua_pcall(rt->L, 1, 0, 0) != LUA_OK) lua_pop(rt->L, 1); /* no memory: no reason */
  }
  return &rt->run.root->task;
}

bool tide_lua_cancel_main(lua_State *L, const char *reason) {
  tide_task *task = main_to_cancel(L, reason);
  return task != NULL && tide_task_cancel(task);
}

bool tide_lua_interrupt_main(lua_State *L, const char *reason) {
  tide_task *task = main_to_cancel(L, reason);
  return task != NULL && tide_task_cancel_through(task);
}

void tl_run_open(lua_State *L, tl_runtime *rt) {
  static const luaL_Reg functions[] = {
      {"run", run},    {"run_forever", run_forever}, {"stop", stop}, {"running", running},
      {"time", time_}, {"on_failure", on_failure},   {NULL, NULL}};
  tl_functions(L, rt, functions);
}
