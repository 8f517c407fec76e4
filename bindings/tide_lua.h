/* tide_lua.h: embedding tide in a program that hosts Lua 5.4.
 *
 * [-o, +p, x] is what a function pops and pushes, and what it raises, as in Lua's manual: `-`
 * nothing, `m` memory errors, `e` others too, `v` always: then in protected mode. All are for the
 * loop's thread; where nothing else is said, they may be called anywhere in it: outside of turns,
 * in a C function that a task calls, in a hook. Those that raise do so where tide is not loaded in
 * the state, and `closed` where that is being closed.
 *
 * Those that raise nothing, and push nothing, may be called with a full stack. The others assume,
 * as Lua's auxiliary library does, that there are five places; more they look for. While the loop
 * is turned tide uses a state's main thread, whose stack is to have LUA_MINSTACK places then. */
#ifndef TIDE_LUA_H
#define TIDE_LUA_H

#include <lua.h>

#include "tide.h"

TIDE_BEGIN_DECLS

/* Opens the module, as `require "tide"` does: pushes its table. Makes a loop for this Lua state
 * and replaces coroutine.*, pcall and xpcall by versions that tasks can wait in. Needs of Lua's
 * libraries base, package, coroutine, table, string and math. Raises Lua errors: call it in
 * protected mode. After an error all is as before, and it may be called again. [-0, +1, e] */
TIDE_API int luaopen_tide(lua_State *L);

/* Leaving with a status: who is told the one that tide.exit was called with, when all that ran has
 * ended. Called inside tide.run, where there is one, else inside the loop. It may stop the loop,
 * and not close the state. */
typedef void (*tide_lua_exit_fn)(lua_State *L, int status, void *context);

/* Told of a failure in the state that nobody awaits, with the error on top of L: what has failed
 * ("task 'x'"), and where it comes from, or NULL. In protected mode: what it raises is logged, and
 * the failure with it. It must not wait, and not close the state. */
typedef void (*tide_lua_failure_fn)(lua_State *L, const char *what, const char *traceback,
                                    void *context);

enum { /* names that are left to Lua's own functions: tide's are in the module in any case */
       TIDE_LUA_KEEP_PCALL = 1,
       TIDE_LUA_KEEP_XPCALL = 2,
       TIDE_LUA_KEEP_COROUTINE = 4,
       TIDE_LUA_KEEP_ALL = 7,
};

enum { TIDE_LUA_BOUNDED_PATTERNS = 1 };

/* What a state is like. All but `size` may be zero. */
typedef struct tide_lua_options {
  size_t size;   /* sizeof(tide_lua_options): it may have more in another tide */
  unsigned keep; /* of the above. In coroutines of Lua's own nothing can wait, and its pcall and
                    xpcall catch cancellation */
  /* What require may load: names, and "name.*" for all that begins with "name.", the last one NULL.
   * The list may go when tide is open. NULL: whatever it finds. With a list scripts have no
   * package.loadlib, no package.searchers, and no paths; what is in package.loaded they may
   * require, and of tide's own parts (tide.net, tide.fd, tide.testing) they have those that are in
   * the list. Functions that load code by themselves (dofile, loadfile, load) are the host's to
   * take away, and so is debug. */
  const char *const *modules;
  tide_lua_exit_fn on_exit;       /* or NULL: nobody is told */
  tide_lua_failure_fn on_failure; /* or NULL: the loop's log is (tide_loop_set_log). A function of
                                     the script's (tide.on_failure) is told besides */
  void *context;                  /* for both */
  /* TIDE_LUA_BOUNDED_PATTERNS: string.find, match, gmatch and gsub are tide's own, where the state
   * has them now, in the table `string` and as methods of strings. They do what Lua's do, and count
   * their steps, so that they end in the middle where a slice is over, or tide_lua_interrupt was
   * called: Lua's would go on, for as long as a pattern takes that goes back all the time. 0: they
   * are Lua's. */
  unsigned patterns;
  /* With that: how many steps one call of find, match, gsub, or of gmatch's iterator may take, with
   * or without a slice; with more it raises an error of kind `limit`, which pcall catches. A step
   * is a byte that is looked at, or a place that is gone back to: 1 to 10 ns. 0: no bound of its
   * own. */
  uint64_t pattern_steps;
} tide_lua_options;

/* The same with options, which are copied (NULL: as luaopen_tide), and in a loop that is the host's
 * (NULL: as luaopen_tide): pushes the module's table, which require finds then. The state's tasks
 * run while the host turns the loop, or while one of its states is in tide.run. Several states may
 * be in one loop: each has tasks, failure handlers and a seed of its own, and they take turns by
 * time (sched/lane.h); the clock, a virtual one too, is the loop's. lua_close takes all that is the
 * state's out of the loop, at any time but from a step of one of its tasks: a task of C's that
 * waits for something of the state's is told TIDE_ECLOSED, and what its streams have still to send
 * the loop sends. The loop is freed after its states. [-0, +1, e] */
TIDE_API void tide_lua_open(lua_State *L, tide_loop *loop, const tide_lua_options *options);

/* The same, as `require "tide.net"` does: pushes that part's table. For hosts that fill
 * package.preload; after luaopen_tide, require finds it. [-0, +1, e] */
TIDE_API int luaopen_tide_net(lua_State *L);

/* Where the memory of tide's C part is to come from, for this state: call it before luaopen_tide,
 * which makes the loop with it. The struct is copied; its context must outlive the state. Without
 * it: the C library's. The memory of Lua objects comes from the state's lua_Alloc in any case.
 * Raises `not enough memory`: call it in protected mode. [-0, +0, m] */
TIDE_API void tide_lua_set_allocator(lua_State *L, const tide_allocator *allocator);

/* The loop of this state, or NULL before luaopen_tide, and where Lua's stack is full and cannot
 * grow. Unless the host gave it, it belongs to the state and is freed by lua_close. [-0, +0, -] */
TIDE_API tide_loop *tide_lua_loop(lua_State *L);

/* Cancels the task that tide.run is running, with a string as the reason (copied), as task:cancel()
 * does. From the loop's thread. False where none runs. [-0, +0, -] */
TIDE_API bool tide_lua_cancel_main(lua_State *L, const char *reason);

/* The same, of all that the task has open: neither a shield nor pcall keeps it up. [-0, +0, -] */
TIDE_API bool tide_lua_interrupt_main(lua_State *L, const char *reason);

/* Whether tide.run's task has ended, and the others are being ended. From a signal handler too. */
typedef struct tl_runtime tide_lua_interrupter;
TIDE_API bool tide_lua_main_has_ended(const tide_lua_interrupter *interrupter);

/* What signal handlers know this state by, which cannot ask Lua. Valid until lua_close; NULL where
 * tide is not loaded, or Lua's stack is full and cannot grow. [-0, +0, -] */
TIDE_API tide_lua_interrupter *tide_lua_get_interrupter(lua_State *L);

/* Ends what runs in this state at the moment without waiting: the task is cancelled, with all that
 * it has open, and an error `cancelled` with that reason (a string that stays) is raised where its
 * code is; no pcall holds it. `<close>` variables run. Code that goes on all the same, in the same
 * step, is interrupted for good when this is called once more. Nothing happens where the loop
 * polls.
 *
 * To be called by a signal handler in the loop's thread, or from Lua. Not interrupted are
 * finalizers, what stays inside one C function but a match of bounded patterns, and a coroutine
 * that a function kept from before tide was loaded has resumed, until they are left. */
TIDE_API void tide_lua_interrupt(tide_lua_interrupter *interrupter, const char *reason);

/* Limits of what a state may use. They hold against mistakes; before Lua 5.4.8, in which bugs were
 * mended that a script can use, not against who means harm. */

typedef struct tide_lua_limits {
  size_t size; /* sizeof(tide_lua_limits): it may have more in another tide */
  /* Bytes, of Lua's memory (not of tide's C part, of which each object has little; but a stream has
   * what it has read ahead, and what it was given and has not sent); 0: no limit. What would be
   * more fails, as memory that is short does: an error of kind `limit`. 64 KiB more are for what
   * unwinds then, and for finalizers. Messages that the state has made and that are there still, in
   * whatever Channel or Queue, are counted by themselves, and may be as many bytes again. */
  size_t memory;
  /* Nanoseconds of CPU time between two waits; 0: no limit. What goes on for longer is ended some
   * 10 ms later: an error of kind `limit` is raised in it that nothing holds up, and then at each
   * of its instructions, cleanup included, until its task has failed with it, or its callback.
   * It needs a watchdog (tide_loop_set_watchdog), which is to be set before; without one a hook
   * counts instructions, in place of one of the host's own, which doubles the time of a busy loop.
   * Scripts have no debug.sethook, tide.raw.xpcall and tide.raw.coroutine from then on, and
   * setmetatable refuses __gc: so set it before they run. What stays within one function of C's
   * (a pattern that backtracks, unless patterns are bounded, a long string.rep, a sort without a
   * function) ends when that returns, and is told to the log if that was late. What the host calls
   * itself, outside of tasks and callbacks, is not looked at. */
  tide_time slice;
  /* Nanoseconds of CPU time in each second, on average; 0: no limit. Who is over it is not stepped
   * for a while (tide_lane_set_budget). */
  tide_time budget;
} tide_lua_limits;

/* Sets them, which are copied, in place of those before. From the loop's thread; not by a script
 * that would lift its own. TIDE_OK; TIDE_ECLOSED: tide is not open in the state; TIDE_ENOMEM, also
 * inside a finalizer; TIDE_EMISUSE: `size` is not set, or there is something that this tide does
 * not know; TIDE_EINVALID_STATE: a slice where the state has kept Lua's own xpcall or coroutine.
 * With an error those before hold.
 * [-0, +0, -] */
TIDE_API int tide_lua_set_limits(lua_State *L, const tide_lua_limits *limits);

/* Stopping and closing. */

/* Told that a state has been stopped, in a step of the loop that is none of the state's: nothing of
 * it runs any more. In a host's loop it may close the state. It must not raise. */
typedef void (*tide_lua_stop_fn)(lua_State *L, void *context);

/* Ends all that a state runs: cancels its tasks and callbacks (the reason is "stop"), kills those
 * that have not ended `grace` nanoseconds later by the loop's clock (0: at once; TIDE_NEVER: it
 * waits as long as they take), and calls `fn`, if not NULL, in a later turn of the loop, which the
 * host goes on turning; where the state is in tide.run, when that has returned. Tasks that are
 * spawned meanwhile, or after it, are cancelled when they begin. Streams that were closed are sent
 * on in the background. May be called from a task of the state, and in a hook. L is any of its
 * threads; `fn` gets the main one. TIDE_OK; TIDE_EALREADY_RUNNING: it is being stopped, and this
 * `fn` is not called; TIDE_ECLOSED: tide is not open in it; TIDE_ENOMEM. lua_close is safe at any
 * moment, also meanwhile: then `fn` is not called. [-0, +0, -] */
TIDE_API int tide_lua_stop(lua_State *L, tide_time grace, tide_lua_stop_fn fn, void *context);

/* The same, waits for it here, turning the loop, and closes the state (L is its main thread) by
 * lua_close. Where nothing can end by itself any more all is killed before its time; at once where
 * the clock is manual, which would stand still. TIDE_OK; the
 * state is not closed where it gives TIDE_EALREADY_RUNNING (inside a turn, in a function that the
 * state has called, or it is being stopped already) or TIDE_EINVALID_STATE (the loop is a guest in
 * the host's). [-0, +0, -] */
TIDE_API int tide_lua_close(lua_State *L, tide_time grace);

/* Leaving. */

/* Runs the `<close>` variables of tide.run's task, also of the one that calls this: they cannot
 * wait. For who ends the process there and then: nothing of it may run afterwards. [-0, +0, -] */
TIDE_API void tide_lua_unwind_main(lua_State *L);

/* Tasks of Lua's that a host starts. */

/* Spawns a task that calls the function below the topmost `nargs` values with these. Pushes the
 * Task. `group`: one of the host's own, or a script's TaskGroup (tide_lua_to_group); NULL: the one
 * that tide.spawn would take. A failure that nobody awaits is reported as any; in a supervised
 * group it cancels the others. It is first stepped in a turn to come. Raises `closed` where the
 * group takes nobody, `misuse` where it is of another loop or state. [-(nargs + 1), +1, e] */
TIDE_API void tide_lua_spawn(lua_State *L, int nargs, tide_group *group);

/* Told how a task has ended, between two steps, with what it left on top of L: `error` is TIDE_OK
 * and `count` the number of its results; or an error, and `count` 1, the error value. `count` is 0
 * where there was no memory for that (TIDE_ENOMEM), and where the state is being closed
 * (TIDE_ECLOSED; nothing of tide's may be called then). It need not tidy the stack, and must not
 * wait, nor close the state (tide_lua_stop may be called); what it raises is reported. L is the
 * state's, and need not be the thread in which the task was spawned. In a stop it is told of the
 * end as ever, before the host hears that the state has been stopped. */
typedef void (*tide_lua_done_fn)(lua_State *L, int error, int count, void *context);

/* The same, and pushes nothing: `done` is called, exactly once, when the task has ended, or the
 * state. That counts as awaiting it: a failure is not reported. Where this raises, it is not
 * called. NULL: nobody is told, and a failure is reported.
 * [-(nargs + 1), +0, e] */
TIDE_API void tide_lua_spawn_cb(lua_State *L, int nargs, tide_lua_done_fn done, void *context);

/* Cancels the Task, Future, TaskGroup or Scope at `index`, as its method `cancel` does; `reason` is
 * copied, or NULL. False where it has ended. [-0, +0, e] */
TIDE_API bool tide_lua_cancel(lua_State *L, int index, const char *reason);

/* A call of a Lua function, which may wait, by a task of C's. Nothing of it is the host's to touch.
 */
typedef struct tide_lua_call {
  tide_task *task; /* of Lua's, in which it runs; NULL: none, or none any more */
  int reference;   /* to that, in the registry; LUA_NOREF where there is none */
  tide_list link;  /* among those of the state */
} tide_lua_call;

/* (waits: sched/wait.h) Calls the function below the topmost `nargs` values with these, in a Lua
 * task of its own, until that has ended; then, where this gave TIDE_OK, or the outcome is TIDE_OK,
 * tide_lua_call_end is to be called. Who is cancelled cancels that task, and waits until it has
 * ended. With another outcome, which is TIDE_ECLOSED where the state was closed meanwhile, or where
 * `task` is killed: tide_lua_call_drop. Raises nothing:
 * TIDE_ENOMEM, TIDE_ECLOSED, TIDE_EFAILED (it is no function), TIDE_EMISUSE (the task is of another
 * loop): then nothing is to be dropped.
 * [-(nargs + 1), +0, -] */
TIDE_API int tide_lua_call_async(lua_State *L, int nargs, tide_lua_call *call, tide_task *task);

/* Pushes what the function returned, `*count` values; or the error it raised, one value, and gives
 * its number: that of its kind, TIDE_OS(errno), or TIDE_EFAILED; TIDE_EINVALID_STATE where it has
 * not ended, or was taken before. The call is over then. Raises nothing. Where the state has been
 * closed since it ended this gives TIDE_ECLOSED, `*count` is 0, and L is not looked at.
 * [-0, +*count, -] */
TIDE_API int tide_lua_call_end(lua_State *L, tide_lua_call *call, int *count);

/* The call's results are not wanted: it is cancelled. Harmless when repeated, and after lua_close.
 * [-0, +0, -] */
TIDE_API void tide_lua_call_drop(lua_State *L, tide_lua_call *call);

/* C functions that wait, for whatever calls back: a library's request, a device, another thread.
 *
 *     typedef struct enemy_wait { tide_completion completion; int id, enemy; } enemy_wait;
 *
 *     static int l_wait_for_enemy(lua_State *L) {
 *       double range = luaL_checknumber(L, 1);
 *       enemy_wait *w = tide_lua_begin(L, sizeof *w, &ops);
 *       w->id = host_when_enemy_comes(range, on_enemy, w);
 *       return tide_lua_wait(L, &w->completion);
 *     }
 *     static void on_enemy(void *context, int enemy) {
 *       enemy_wait *w = context;
 *       w->enemy = enemy;
 *       tide_completion_end(&w->completion, TIDE_OK);
 *     }
 *
 * The record has two owners, the waiting task and who calls back: sched/completion.h says who is to
 * call what. It is freed when neither needs it any more, so a callback that comes too late finds
 * it, and is what frees it. Its memory is the C library's. */

typedef struct tide_lua_ops {
  const char *name; /* what is waited for, as a script would call it; NULL: "completion" */
  /* As of tide_completion_ops: takes the registration back, where it can. NULL: it cannot. */
  tide_taken_back (*cancel)(tide_completion *self);
  /* Pushes what the function returns, and gives how many; may raise (tide_lua_raise): the record is
   * freed at the end of the turn then. In the task, once, where the record was completed with
   * TIDE_OK. Must not wait. NULL: it returns nothing. */
  int (*push)(lua_State *L, tide_completion *self);
  /* Gives back what else the record holds; the record goes behind it. In the loop's thread, or in
   * the caller's, where the loop went before. NULL: nothing. */
  void (*free)(tide_completion *self);
  /* Of a job alone: as of tide_job_ops, has the work end soon. NULL: nothing can be done. */
  void (*interrupt)(tide_job *job);
} tide_lua_ops;

/* For a C function that a task has called, first thing after it has looked at its arguments: a
 * record of so many bytes, zeros but for its first member, a tide_completion that has begun. From
 * here on nothing may raise until tide_lua_wait or tide_lua_fail, one of which must follow. `ops`
 * stays. Raises where the task cannot wait here, or memory is short; and `misuse` where that member
 * does not fit in. [-0, +0, e] */
TIDE_API void *tide_lua_begin(lua_State *L, size_t size, const tide_lua_ops *ops);

/* `return tide_lua_wait(L, &w->completion)`: suspends the task until the record was completed;
 * then the function returns what ops->push gives, or raises the error it was completed with. The
 * record may be gone as soon as this is called. Completed before already, it does not suspend.
 * [-0, +results, e] */
TIDE_API int tide_lua_wait(lua_State *L, tide_completion *completion);

/* `return tide_lua_fail(L, &w->completion, TIDE_OS(errno), NULL)`: nobody is going to call back:
 * frees the record, and raises the error; `message` NULL: that of the error. [-0, +0, v] */
TIDE_API int tide_lua_fail(lua_State *L, tide_completion *completion, int error,
                           const char *message);

/* The same for work that blocks or takes long, done by a thread of a pool (io/pool.h).
 *
 *     typedef struct sizing { tide_job job; char path[256]; off_t size; } sizing;
 *
 *     static int l_size(lua_State *L) {
 *       const char *path = luaL_checkstring(L, 1);
 *       sizing *s = tide_lua_begin_job(L, sizeof *s, find_size, &ops);
 *       snprintf(s->path, sizeof s->path, "%s", path);
 *       return tide_lua_wait_job(L, &s->job, NULL);
 *     }
 *
 * The work has the record and nothing of Lua's; ops->push gives its results, or raises its error.
 * Cancelled in the queue it never runs. While it runs the task does not wait for it: it is
 * interrupted, let go, and the record freed when it has ended. The end of the loop lets it go, too:
 * what the work uses besides the record must outlive it. */

/* A record of so many bytes, zeros but for its first member, a tide_job. What follows must be
 * tide_lua_wait_job, or tide_lua_fail of its completion; else as tide_lua_begin. [-0, +0, e] */
TIDE_API void *tide_lua_begin_job(lua_State *L, size_t size, void (*work)(tide_job *job),
                                  const tide_lua_ops *ops);

/* Gives the job to the pool, NULL: that of the loop, and suspends the task until it is done; then
 * as tide_lua_wait. Where it cannot be submitted, which raises the error of tide_job_submit, the
 * record is freed. */
TIDE_API int tide_lua_wait_job(lua_State *L, tide_job *job, tide_pool *pool);

/* Raises an error object of tide's, of that number's kind. `message` is copied; NULL: that of
 * the error. [-0, +0, v] */
TIDE_API int tide_lua_raise(lua_State *L, int error, const char *message);

/* Messages (sched/channel.h): values as bytes, for another state or thread.
 *
 * Copied are nil, booleans, numbers, strings, tables of these with what they share and their
 * cycles, Channels, and tide's error objects (but for fields with what cannot be copied). Anything
 * else raises `misuse`, and the message says where in the value it is; so does a table with a
 * metatable. */

enum { TIDE_LUA_POINTERS = 1 }; /* light userdata is copied too: as the pointer that it is */

/* Makes a message of the value at `index`: the caller's, to be sent, or freed by tide_message_free,
 * in any thread; its memory is the C library's. `max`: more bytes raise `limit`; 0: no bound. So
 * does what a state whose memory is limited may not have (tide_lua_limits). Calls nothing of Lua's;
 * O(values), and recurses for nothing. [-0, +0, e] */
TIDE_API tide_message *tide_lua_encode(lua_State *L, int index, int flags, size_t max);

/* Pushes the value that a message is of, which stays. Bytes that are no message raise `misuse`,
 * whatever they are; the memory it takes is in proportion to theirs. Pointers are refused without
 * TIDE_LUA_POINTERS, and Channels in bytes that tide_lua_encode has not made. [-0, +1, e] */
TIDE_API void tide_lua_decode(lua_State *L, const tide_message *message, int flags);

/* Pushes a Channel over that channel, with a reference of its own: the collector gives it back, or
 * lua_close. [-0, +1, e] */
TIDE_API void tide_lua_push_channel(lua_State *L, tide_channel *channel);

/* The channel of the Channel at `index`, whose reference it is: who keeps it takes one more.
 * [-0, +0, e] */
TIDE_API tide_channel *tide_lua_to_channel(lua_State *L, int index);

/* Objects that C and Lua share.
 *
 * They are Lua's, whoever made them: a pointer that one of these functions gave is good for as long
 * as the object is reachable in Lua, so who keeps it keeps a reference too (luaL_ref). It is freed
 * by the collector, or by lua_close; C never frees or terminates it. All functions of the core's
 * that do not begin or end an object may be called on it.
 *
 * When the state is closed, tasks of C's that wait in such an object, on a loop that goes on, are
 * told TIDE_ECLOSED at their next step, and touch it no more; they must not call on it again.
 *
 * Something of a host's that does not fit: an iterator (below), or a userdata of its own with
 * functions that wait. */

/* The core's part of the object at `index`; raises a bad argument for another one. [-0, +0, e] */
TIDE_API tide_task *tide_lua_to_task(lua_State *L, int index);
TIDE_API tide_future *tide_lua_to_future(lua_State *L, int index); /* a Task's too */
TIDE_API tide_lock *tide_lua_to_lock(lua_State *L, int index);
TIDE_API tide_rwlock *tide_lua_to_rwlock(lua_State *L, int index);
TIDE_API tide_semaphore *tide_lua_to_semaphore(lua_State *L, int index);
TIDE_API tide_event *tide_lua_to_event(lua_State *L, int index);
TIDE_API tide_condition *tide_lua_to_condition(lua_State *L, int index);
TIDE_API tide_barrier *tide_lua_to_barrier(lua_State *L, int index);
TIDE_API tide_queue *tide_lua_to_queue(lua_State *L, int index);
TIDE_API tide_group *tide_lua_to_group(lua_State *L, int index); /* to look at, cancel, spawn in */
TIDE_API tide_scope *tide_lua_to_scope(lua_State *L, int index); /* to look at, cancel */
TIDE_API tide_stream *tide_lua_to_stream(lua_State *L, int index);
TIDE_API tide_listener *tide_lua_to_listener(lua_State *L, int index);

/* Makes one and pushes it, as its constructor in Lua does; gives the core's part. A barrier of no
 * parties is `misuse`. [-0, +1, e] */
TIDE_API tide_future *tide_lua_push_future(lua_State *L);
TIDE_API tide_lock *tide_lua_push_lock(lua_State *L);
TIDE_API tide_rwlock *tide_lua_push_rwlock(lua_State *L);
TIDE_API tide_semaphore *tide_lua_push_semaphore(lua_State *L, size_t permits, size_t bound);
TIDE_API tide_event *tide_lua_push_event(lua_State *L);
TIDE_API tide_condition *tide_lua_push_condition(lua_State *L, int lock); /* of the Lock there */
TIDE_API tide_barrier *tide_lua_push_barrier(lua_State *L, size_t parties);
TIDE_API tide_queue *tide_lua_push_queue(lua_State *L, tide_queue_order order, size_t max);
TIDE_API tide_listener *tide_lua_push_listener(lua_State *L); /* closed: for tide_listener_open */

/* The same of what is opened around the further steps of the task that runs, as by tide.TaskGroup()
 * and tide.timeout(seconds): C functions that a task calls return it, for a `<close>` variable of
 * the caller's, or call lua_toclose. `max`: children that run at once, 0: all. `span`: nanoseconds
 * until it is cancelled, TIDE_NEVER: it is not. Raises where no task runs, or, a group, where it
 * cannot wait. [-0, +1, e] */
TIDE_API tide_group *tide_lua_push_group(lua_State *L, uint32_t max);
TIDE_API tide_scope *tide_lua_push_scope(lua_State *L, tide_time span);

/* The same of a stream over a descriptor, which it takes over as tide_stream_init does; not where
 * this raises, as it does for one that is not open (EBADF). [-0, +1, e] */
TIDE_API tide_stream *tide_lua_push_stream(lua_State *L, int fd);

/* Queues that several states of one loop share, and C with them. What one state puts, another gets,
 * so they carry no values, but what such functions make of them. */
typedef struct tide_lua_item_ops {
  /* Makes an item, not NULL, of the value at `index`, which is not nil; or raises. Must not wait.
   */
  void *(*read)(lua_State *L, int index);
  /* Pushes one value, not nil, that stands for the item; may raise. Must not wait. */
  void (*push)(lua_State *L, void *item);
  /* The item was pushed, or could not be, or nobody is going to get it. Must not call Lua, wait, or
   * touch the queue. NULL: there is nothing to do. */
  void (*drop)(void *item);
} tide_lua_item_ops;

typedef struct tide_lua_queue tide_lua_queue;

/* A queue in that loop, of at most `max` items (0: no limit), with one reference. `ops`, which
 * stays, NULL: its items are messages (tide_lua_encode), and what cannot be copied raises `misuse`.
 * NULL where memory is short; it is the loop's. */
TIDE_API tide_lua_queue *tide_lua_queue_new(tide_loop *loop, tide_queue_order order, size_t max,
                                            const tide_lua_item_ops *ops);

/* One more reference, or one less, in the loop's thread, and before the loop is freed. With the
 * last the queue goes, and drops what is in it: no task of C's may wait in it then. NULL is
 * ignored.
 */
TIDE_API tide_lua_queue *tide_lua_queue_ref(tide_lua_queue *queue);
TIDE_API void tide_lua_queue_unref(tide_lua_queue *queue);

/* The core's part, for tasks of C's: a queue of pointers to items (tide_queue_put_pointer,
 * tide_queue_get), of which who gets one is the owner. It is the same as long as the queue. */
TIDE_API tide_queue *tide_lua_queue_core(tide_lua_queue *queue);

/* Pushes a Queue over it, with a reference of its own: the collector gives it back, or lua_close.
 * Tasks of a state that is closed leave it, and others go on with it. It has what a Queue has, but
 * for take and putting. Raises `misuse` where the state is in another loop. [-0, +1, e] */
TIDE_API void tide_lua_push_shared_queue(lua_State *L, tide_lua_queue *queue);

/* The queue of the Queue at `index`, whose reference it is: who keeps it takes one more. Raises a
 * bad argument where it is none that is shared. [-0, +0, e] */
TIDE_API tide_lua_queue *tide_lua_to_shared_queue(lua_State *L, int index);

/* Pushes the object that C got that pointer of from this state, or nil; nil also where the state is
 * being closed, or its stack is full and cannot grow. [-0, +1, -] */
TIDE_API void tide_lua_push_lent(lua_State *L, const void *object);

/* Ends a Future (no Task) of Lua's with the topmost `count` values for results, or the topmost one
 * for an error. Whether it took: false where it was cancelled. Raises `invalid_state` where it has
 * ended, `misuse` where this state has not lent it. By tide_future_end it gets no value: nil, or an
 * error that says so.
 * [-count, +0, e], [-1, +0, e] */
TIDE_API bool tide_lua_set_result(lua_State *L, const tide_future *future, int count);
TIDE_API bool tide_lua_set_error(lua_State *L, const tide_future *future);

/* A Queue of Lua's, in C: the core's functions (sched/queue.h) deal with slots, whose values are
 * here. Takes a slot for the value on top, which is not nil, for tide_queue_put or _try_put. [-1,
 * +0, e] */
TIDE_API uint32_t tide_lua_queue_store(lua_State *L, tide_queue *queue);

/* Pushes the value of a slot, which is free then: of one that tide_queue_get or _try_get gave; or
 * that was not put, as the queue was full or closed (then before anything else is done with it), or
 * the wait cancelled. Nil: this state has not lent that queue, or is being closed; or its stack is
 * full and cannot grow: then the slot is not free. [-0, +1, -] */
TIDE_API void tide_lua_queue_take(lua_State *L, tide_queue *queue, uint32_t slot);

/* Iterators (sched/iter.h), from C to Lua and from Lua to C. */

/* Pushes the values of an item that `iter` has just given, and gives their number: one at least,
 * the first not nil. It takes over what the item stands for, and may raise. It must not wait. */
typedef int (*tide_lua_item_fn)(lua_State *L, tide_iter *iter, tide_item item);

/* Pushes an object over an iterator of C's: it is called for the values of the next step, or nil at
 * the end; has `close`, which waits; is a to-be-closed value; and tide.iter takes it. The iterator
 * is Lua's from now on: tide_iter_free is called when the object is collected, the state is closed,
 * or this raises; nobody is inside then, but it may not have been closed. [-0, +1, e] */
TIDE_API void tide_lua_push_iter(lua_State *L, tide_iter *iter, tide_lua_item_fn push);

/* Makes an iterator of the core, in the state's loop, of the Lua value at `index`: any that
 * tide.iter takes. Each step runs in a Lua task of its own; who is cancelled cancels that one and
 * waits until it has ended. What a task that was killed did not take, the next step gives.
 * `item.pointer` is the iterator, for tide_lua_push_item. An error is told by its number: that of
 * its kind, TIDE_OS(errno), TIDE_ENOMEM, or TIDE_EFAILED where it has none; and tide_lua_push_error
 * has the value.
 *
 * tide_iter_close closes the Lua iterator, whose cleanup may wait. The caller frees it by
 * tide_iter_free, before lua_close or after; unclosed it is left to the garbage collector. After
 * lua_close nothing else may be called. Its memory is from the loop's allocator. Raises a bad
 * argument and `not enough memory`: call it in protected mode. [-0, +0, e] */
TIDE_API tide_iter *tide_lua_to_iter(lua_State *L, int index);

/* Pushes the values of the item that such an iterator gave last, until it is called again; gives
 * their number. Raises `not enough memory`. [-0, +n, m] */
TIDE_API int tide_lua_push_item(lua_State *L, const tide_iter *iter);

/* Pushes the error that the last call on such an iterator failed with, until it is called again;
 * nil where there is none. Raises `not enough memory`. [-0, +1, m] */
TIDE_API void tide_lua_push_error(lua_State *L, const tide_iter *iter);

TIDE_END_DECLS

#endif
