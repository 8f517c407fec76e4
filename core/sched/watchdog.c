/* watchdog.c: a timer of the loop's thread's CPU time, whose signal looks at which step it is. */
#include "watchdog.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "private.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid /* the C library has no name for it */
#endif

/* Between two looks. The system counts CPU time by ticks of its own, of 1 to 10 ms. */
static const struct timespec interval = {.tv_nsec = 2000000};

/* Written by the loop's thread alone: its signal handler, or with the timer stopped. */
typedef struct watchdog {
  tide__attachment attachment;
  tide_loop *loop;
  timer_t timer;
  int signo; /* 0: it has no timer */
  tide_slice_look seen;
} watchdog;

static void look(watchdog *self) {
  tide_time taken = tide_loop_look_at_slice(self->loop, &self->seen);
  const tide_lane *lane = tide_loop_running_lane(self->loop);
  tide_slice_limit *slice = lane != NULL ? lane->slice : NULL;
  if (slice != NULL && taken > 0 && taken >= slice->span) slice->over(slice, taken);
}

static void on_tick(int signo, siginfo_t *info, void *context) {
  int saved = errno;
  (void)signo, (void)context;
  if (info->si_code == SI_TIMER && info->si_value.sival_ptr != NULL) look(info->si_value.sival_ptr);
  errno = saved;
}

static int install_handler(int signo, struct sigaction *before) {
  struct sigaction action = {.sa_sigaction = on_tick, .sa_flags = SA_RESTART | SA_SIGINFO};
  sigfillset(&action.sa_mask);
  return sigaction(signo, &action, before);
}

static void set_timer(const watchdog *self, bool runs) {
  static const struct timespec never = {.tv_sec = 0};
  struct itimerspec when = {.it_value = runs ? interval : never,
                            .it_interval = runs ? interval : never};
  if (self->signo != 0) timer_settime(self->timer, 0, &when, NULL);
}

/* A signal that is on its way already must not find the record gone. */
static void delete_timer(watchdog *self) {
  static const struct timespec at_once = {.tv_sec = 0};
  sigset_t blocked, before;
  if (self->signo == 0) return;
  sigemptyset(&blocked);
  sigaddset(&blocked, self->signo);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  timer_delete(self->timer);
  while (sigtimedwait(&blocked, NULL, &at_once) > 0) continue;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  self->signo = 0;
}

static int create_timer(watchdog *self, int signo) {
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = signo;
  event.sigev_notify_thread_id = gettid();
  event.sigev_value.sival_ptr = self;
  struct sigaction before;
  if (install_handler(signo, &before) != 0) return TIDE_OS(errno);
  if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &self->timer) != 0) {
    int error = TIDE_OS(errno);
    sigaction(signo, &before, NULL);
    return error;
  }
  self->signo = signo;
  set_timer(self, self->loop->slices > 0);
  return TIDE_OK;
}

static void watchdog_term(tide__attachment *attachment, tide_loop *loop) {
  watchdog *self = tide_container(attachment, watchdog, attachment);
  delete_timer(self);
  tide_free(&loop->allocator, self, sizeof *self);
}

static watchdog *find(const tide_loop *loop) {
  tide__attachment *found = tide__attachment_find(loop, watchdog_term);
  return found != NULL ? tide_container(found, watchdog, attachment) : NULL;
}

static watchdog *find_or_make(tide_loop *loop) {
  watchdog *self = find(loop);
  if (self != NULL) return self;
  self = tide_alloc(&loop->allocator, sizeof *self);
  if (self == NULL) return NULL;
  *self = (watchdog){.attachment = {.term = watchdog_term}, .loop = loop};
  tide_list_append(&loop->attachments, &self->attachment.link);
  return self;
}

int tide_loop_set_watchdog(tide_loop *loop, int signo) {
  watchdog *self = signo != 0 ? find_or_make(loop) : find(loop);
  if (self == NULL) return signo != 0 ? TIDE_ENOMEM : TIDE_OK;
  int saved = errno;
  delete_timer(self);
  int error = signo != 0 ? create_timer(self, signo) : TIDE_OK;
  errno = saved;
  return error;
}

int tide_loop_watchdog(const tide_loop *loop) {
  const watchdog *self = find(loop);
  return self != NULL ? self->signo : 0;
}

/* The handler may run between any two of these lines. */
void tide_lane_set_slice(tide_lane *lane, tide_slice_limit *slice) {
  tide_loop *loop = lane->loop;
  uint32_t before = loop->slices;
  loop->slices += (slice != NULL) - (lane->slice != NULL);
  lane->slice = slice;
  const watchdog *self = find(loop);
  if (self != NULL && (before > 0) != (loop->slices > 0)) set_timer(self, loop->slices > 0);
}

tide_lane *tide_lane_visit(tide_lane *lane) {
  tide_loop *loop = lane->loop;
  tide_lane *before = loop->visited;
  loop->visits++;
  loop->visited = lane;
  return before;
}

void tide_lane_leave(tide_lane *lane, tide_lane *before) {
  lane->loop->visits++;
  lane->loop->visited = before;
}

tide_lane *tide_loop_running_lane(const tide_loop *loop) {
  return loop->visited != NULL ? loop->visited : loop->lane;
}

uint64_t tide_loop_slice(const tide_loop *loop) { return tide_loop_steps(loop) + loop->visits; }

tide_time tide_loop_look_at_slice(const tide_loop *loop, tide_slice_look *look) {
  uint64_t slice = tide_loop_slice(loop);
  tide_time now = tide_clock_thread();
  if (look->slice != slice) *look = (tide_slice_look){.slice = slice, .began = now};
  return now - look->began;
}
