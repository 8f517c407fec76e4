/* signals.c: SIGINT and SIGTERM in the program: they cancel what waits, by way of a pipe that the
 * loop watches, and interrupt what does not. */
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "tide.h"
#include "tide_lua.h"

/* Seconds that code may go on without a wait: what was running when the first signal came, and what
 * has begun since, cleanup above all. SIGURG tells that they are over: it does no harm to a process
 * that has no handler for it any more. */
enum { TICK = SIGURG };
static const struct timespec patience = {.tv_nsec = 500000000}, long_patience = {.tv_sec = 5};

static struct {
  tide_watcher watcher;         /* of the pipe */
  tide_loop *loop;              /* the state's */
  lua_State *L;                 /* whose main is cancelled */
  tide_lua_interrupter *target; /* the same, for signal handlers */
  pthread_t thread;             /* the loop's */
  timer_t timer;                /* sends TICK */
  int pipe[2];                  /* a byte for each signal */
  volatile sig_atomic_t first;  /* the first signal, or 0 */
  volatile sig_atomic_t last;   /* the last one */
  volatile sig_atomic_t count;  /* how many came */
  volatile int seen;            /* of those, by the loop */
  volatile uint64_t step;       /* of the loop's, that was under way when the watch began */
} self;

static const char *name_of(int number) { return number == SIGTERM ? "SIGTERM" : "SIGINT"; }

static void watch_steps(struct timespec span) {
  struct itimerspec when = {.it_value = span, .it_interval = long_patience};
  self.step = tide_loop_steps(self.loop);
  timer_settime(self.timer, 0, &when, NULL);
}

/* Handlers only run in the loop's thread: what they touch is its. */
static bool is_elsewhere(int number) {
  if (pthread_equal(pthread_self(), self.thread)) return false;
  pthread_kill(self.thread, number);
  return true;
}

static void on_signal(int number) {
  int saved = errno;
  if (is_elsewhere(number)) return;
  self.count++;
  if (self.count > 2 || tide_lua_main_has_ended(self.target)) _exit(128 + number);
  self.last = number;
  if (self.first == 0) self.first = number;
  if (write(self.pipe[1], "!", 1) < 0) _exit(128 + number);
  if (self.count == 1)
    watch_steps(patience);
  else
    tide_lua_interrupt(self.target, name_of(number));
  errno = saved;
}

static void on_tick(int number) {
  int saved = errno;
  if (is_elsewhere(number)) return;
  if (self.first != 0) {
    if (self.step == tide_loop_steps(self.loop))
      tide_lua_interrupt(self.target, name_of(self.last));
    else
      watch_steps(self.seen == 0 ? patience : long_patience);
  }
  errno = saved;
}

/* The loop has come to wait: for cleanup there is more time. */
static void signal_came(tide_watcher *watcher, int events) {
  char byte;
  (void)watcher, (void)events;
  if (read(self.pipe[0], &byte, 1) != 1) return;
  if (++self.seen == 1)
    tide_lua_cancel_main(self.L, name_of(self.first));
  else
    tide_lua_interrupt_main(self.L, name_of(self.last));
  watch_steps(long_patience);
}

int tide_signals_catch(lua_State *L) {
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = TICK};
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  struct sigaction tick = {.sa_handler = on_tick}; /* a call that blocks is to end */
  sigfillset(&action.sa_mask);
  sigfillset(&tick.sa_mask);
  if (pipe2(self.pipe, O_CLOEXEC | O_NONBLOCK) != 0) return -1;
  if (timer_create(CLOCK_MONOTONIC, &event, &self.timer) != 0) {
    close(self.pipe[0]);
    close(self.pipe[1]);
    return -1;
  }
  self.L = L;
  self.loop = tide_lua_loop(L);
  self.target = tide_lua_get_interrupter(L);
  self.thread = pthread_self();
  tide_watcher_init(&self.watcher, self.pipe[0], signal_came);
  tide_watcher_set(&self.watcher, self.loop, TIDE_READABLE);
  tide_loop_release(self.loop); /* a signal that may come is nothing to wait for */
  tide_loop_set_signals(self.loop, true);
  sigaction(TICK, &tick, NULL);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  return 0;
}

void tide_signals_release(void) {
  if (self.loop == NULL) return;
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  timer_delete(self.timer);
  signal(TICK, SIG_DFL);
  tide_loop_hold(self.loop);
  tide_watcher_set(&self.watcher, self.loop, 0);
  close(self.pipe[0]);
  close(self.pipe[1]);
  self.loop = NULL;
}

int tide_signals_first(void) { return self.first; }
