/* run.h: what is being run in a state, and the groups of its tasks that belong to no other. */
#ifndef TL_RUN_H
#define TL_RUN_H

#include "tide_lua.h"

typedef struct tl_runtime tl_runtime;
typedef struct tl_task tl_task;

/* A task of C's that awaits the last task of a group. */
typedef struct tl_drainer {
  tide_task task;    /* first */
  tide_group *group; /* whose end it awaits */
  tl_runtime *rt;    /* whose */
} tl_drainer;

/* tide.exit was called for the tasks of a group, which have not ended yet, with that status. */
typedef struct tl_leaving {
  bool begun;
  int status;
} tl_leaving;

typedef struct tl_run {
  bool running;         /* the loop is being run, by tide.run or run_forever */
  bool forever;         /* ... by run_forever */
  bool stopped;         /* by the host (stop.c): the groups stay cancelled */
  tl_task *root;        /* the task of tide.run, or NULL */
  tide_group group;     /* tide.run's: the root, and what is spawned while it runs */
  tide_group outside;   /* what is spawned outside of tide.run, also by what runs in here */
  tide_group watchers;  /* done callbacks: they outlive a run; what they spawn is in `group` */
  tide_group onlookers; /* the same of those made outside; what they spawn is outside too */
  tl_drainer drainer;   /* at the end of a run; one of the watchers */
  tl_drainer leaver;    /* the same, of tide.exit outside of runs */
  tl_leaving leaving;   /* what runs by tide.run ... */
  tl_leaving leaving_outside; /* ... and what was spawned outside: each may be left, by itself */
} tl_run;

/* Nothing is being run. */
void tl_run_init(tl_run *run, tide_loop *loop);

tide_group *tl_run_home_of(tl_run *run, tide_loop *loop);

/* Its own tasks are taken out of what they wait for, and end. */
void tl_run_end(tl_run *run);

/* All groups in which tasks of the state may be, but for hosts' own. */
enum { TL_RUN_GROUPS = 4 };
void tl_run_groups(tl_run *run, tide_group *groups[TL_RUN_GROUPS]);

/* Its groups leave the loop; all their tasks have ended. */
void tl_run_leave_loop(tl_run *run);

/* The group of a task or callback that is made here: the run's, or that of what runs at the moment
 * where this was made outside of the run. O(depth) while there is anything of that kind. */
static inline tide_group *tl_run_home(tl_run *run, tide_loop *loop) {
  if (run->root == NULL) return &run->outside;
  bool alone = run->outside.live == 0 && run->onlookers.live == 0;
  return alone ? &run->group : tl_run_home_of(run, loop);
}

/* The same of a done callback. */
static inline tide_group *tl_run_watchers(tl_run *run, tide_loop *loop) {
  return tl_run_home(run, loop) == &run->group ? &run->watchers : &run->onlookers;
}

/* The run is left with that status: cancels what is in it. */
void tl_run_leave(lua_State *L, tl_runtime *rt, int status);

/* Tells the task, which waits, that nothing can wake any; the error says who waits. */
void tl_deadlock(lua_State *L, tl_runtime *rt, tl_task *task);

#endif
