/* loop.c: polling, clocks, watchers; the one file that knows libev. Turns are in turn.c. */
#include "loop.h"

#include <errno.h>
#include <ev.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "alarm.h"
#include "private.h"

static const tide_time SHARE = 200000;    /* of each lane in a turn, in a new loop */
static const tide_time LAG_MAX = 1000000; /* of the clock, where a relative time begins */
static const tide_time SECOND = 1000000000;
static const tide_time LONGEST_POLL = 3600 * 1000000000ull; /* where nothing is known to come */

/* libev compares its own reading of the clock, taken a little before ours, and rounds up to whole
 * milliseconds. Polls shorter than this have an alarm of our own as well. */
static const double ALARM_SLACK = 1e-6;
static const tide_time SHORT_POLL = 10 * 1000000;

/* A loop with much to do is not woken for each deadline: it may miss the next by as many times what
 * it did last has taken. */
enum { PATIENCE = 8 };

typedef struct loop_with_alarm {
  tide_loop loop;    /* first: this is what the others see */
  ev_timer alarm;    /* the next deadline, while the poll blocks */
  tide__alarm exact; /* the same, where that is soon */
  ev_prepare turn;   /* of a guest: called before the host's loop polls */
  bool kept;         /* of a guest: there is something for which the host's loop is to go on */
  int inner;         /* libev's descriptor, which is in that of tide_loop_fd */
  ev_fork renewing;  /* libev is going to make another one ... */
  ev_check renewed;  /* ... and has */
} loop_with_alarm;

static loop_with_alarm *whole_of(tide_loop *loop) { return (loop_with_alarm *)loop; }

static void alarm_rang(struct ev_loop *ev, ev_timer *alarm, int events) {
  (void)events;
  ev_timer_stop(ev, alarm);
}

/* A loop over libev's, or NULL. */
static tide_loop *new_over(struct ev_loop *ev, bool guest, tide_allocator a) {
  loop_with_alarm *whole = tide_alloc(&a, sizeof *whole);
  if (whole == NULL) return NULL;
  tide_loop *loop = &whole->loop;
  whole->kept = false;
  tide_time now = tide_clock_monotonic();
  *loop = (tide_loop){
      .ev = ev,
      .guest = guest,
      .hosted = guest,
      .polled_by = -1,
      .allocator = a,
      .now = now,
      .polled = now,
      .checked = now,
      .wary = TIDE__WARY_TURNS,
      .share = SHARE,
      .steps_end = TIDE_NEVER,
      .tick_end = TIDE_NEVER,
  };
  ev_timer_init(&whole->alarm, alarm_rang, 0., 0.);
  tide_list_init(&loop->endless);
  tide_list_init(&loop->active);
  tide_list_init(&loop->aside);
  tide__lane_init(&loop->own, loop);
  tide_list_init(&loop->deferred);
  tide_list_init(&loop->before_poll);
  tide_list_init(&loop->frames);
  tide_list_init(&loop->idle);
  tide_list_init(&loop->groups);
  tide_list_init(&loop->attachments);
  tide_group_init(&loop->background, loop, 0, false);
  if (tide__alarm_init(&whole->exact, loop)) return loop;
  tide_free(&a, whole, sizeof *whole);
  return NULL;
}

tide_loop *tide_loop_new(const tide_allocator *allocator) {
  tide_allocator a = allocator != NULL ? *allocator : tide_allocator_default();
  int before = errno;
  struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
  tide_loop *loop = ev != NULL ? new_over(ev, false, a) : NULL;
  if (ev != NULL && loop == NULL) ev_loop_destroy(ev);
  errno = before;
  return loop;
}

/* A guest in a loop of the host's. None of its watchers keeps the host's loop going, but what it
 * has to do: so libev's count of references has one for that, and none for them. */

static void guest_keep(tide_loop *loop) {
  loop_with_alarm *whole = whole_of(loop);
  if (!whole->kept) ev_ref(loop->ev);
  whole->kept = true;
}

static void guest_let_go(tide_loop *loop) {
  loop_with_alarm *whole = whole_of(loop);
  if (whole->kept) ev_unref(loop->ev);
  whole->kept = false;
}

/* A timer that ends the host's poll has ended it; libev has stopped it. */
static void guest_woke(struct ev_loop *ev, ev_timer *alarm, int events) {
  (void)alarm;
  (void)events;
  ev_ref(ev);
}

/* It may have ended the poll already, and not be told yet. */
static void stop_guest_alarm(loop_with_alarm *whole) {
  if (ev_is_active(&whole->alarm) || ev_is_pending(&whole->alarm)) ev_ref(whole->loop.ev);
  ev_timer_stop(whole->loop.ev, &whole->alarm);
}

static void start_guest_alarm(loop_with_alarm *whole, double seconds) {
  ev_timer_set(&whole->alarm, seconds, 0.);
  ev_timer_start(whole->loop.ev, &whole->alarm);
  ev_unref(whole->loop.ev);
}

static void close_descriptor(loop_with_alarm *whole);
static tide_time next_turn(const tide_loop *loop);
static tide_time by_real_clock(const tide_loop *loop, tide_time when);
static void set_exact_alarm(tide_loop *loop, tide_time when);

/* The host's poll is to end when there is something to do. */
static void plan_next_turn(loop_with_alarm *whole) {
  tide_loop *loop = &whole->loop;
  bool busy = tide__ready(loop) || !tide_list_empty(&loop->deferred);
  tide_time next = next_turn(loop);
  stop_guest_alarm(whole);
  if (busy) {
    start_guest_alarm(whole, 0.);
  } else if (next < TIDE_NEVER) {
    tide_time when = by_real_clock(loop, next), now = loop->checked;
    if (when > now) set_exact_alarm(loop, when);
    start_guest_alarm(whole, when > now ? tide_time_to_seconds(when - now) + ALARM_SLACK : 0.);
  }
  if (busy || loop->timers.count > 0 || loop->holds > 0)
    guest_keep(loop);
  else
    guest_let_go(loop);
}

/* The host's loop is going to poll. Not where the host runs it inside a step. */
static void guest_turn(struct ev_loop *ev, ev_prepare *turn, int events) {
  loop_with_alarm *whole = turn->data;
  tide_loop *loop = &whole->loop;
  (void)ev;
  (void)events;
  if (loop->turning) return;
  tide_loop_update_now(loop);
  tide__timers_fire(loop, loop->now);
  tide_loop_tick(loop, loop->share > 0 ? loop->share : 1, NULL);
  plan_next_turn(whole);
}

static void leave_host(loop_with_alarm *whole) {
  struct ev_loop *ev = whole->loop.ev;
  stop_guest_alarm(whole);
  ev_ref(ev);
  ev_prepare_stop(ev, &whole->turn);
  guest_let_go(&whole->loop);
}

tide_loop *tide_loop_new_on(struct ev_loop *ev, const tide_allocator *allocator) {
  int before = errno;
  tide_loop *loop = new_over(ev, true, allocator != NULL ? *allocator : tide_allocator_default());
  errno = before;
  if (loop == NULL) return NULL;
  loop_with_alarm *whole = whole_of(loop);
  ev_set_cb(&whole->alarm, guest_woke);
  ev_prepare_init(&whole->turn, guest_turn);
  whole->turn.data = whole;
  ev_prepare_start(ev, &whole->turn);
  ev_unref(ev);
  return loop;
}

bool tide_loop_is_guest(const tide_loop *loop) { return loop->guest; }

static void free_attachments(tide_loop *loop) {
  while (!tide_list_empty(&loop->attachments)) {
    tide_list *last = loop->attachments.prev;
    tide_list_remove(last);
    tide__attachment *attachment = tide_container(last, tide__attachment, link);
    attachment->term(attachment, loop);
  }
}

void tide_loop_free(tide_loop *loop) {
  if (loop == NULL) return;
  int before = errno;
  loop->ending = true;
  tide__tasks_drop(loop);
  free_attachments(loop);
  tide__alarm_term(&whole_of(loop)->exact, loop);
  tide__port_close(loop->port);
  tide_allocator a = loop->allocator;
  tide_heap_term(&loop->timers, &a);
  close_descriptor(whole_of(loop));
  if (loop->guest)
    leave_host(whole_of(loop));
  else
    ev_loop_destroy(loop->ev);
  tide_free(&a, loop, sizeof(loop_with_alarm));
  errno = before;
}

const tide_allocator *tide_loop_allocator(const tide_loop *loop) { return &loop->allocator; }

void tide_loop_set_faults(tide_loop *loop, tide_faults *faults) {
  if (loop->faults != NULL) loop->allocator = loop->faults->allocator;
  loop->faults = faults;
  if (faults == NULL) return;
  faults->allocator = loop->allocator;
  loop->allocator = tide_faults_allocator(faults);
}

/* The clock. */

tide_time tide_loop_now(const tide_loop *loop) { return loop->now; }

void tide_loop_update_now(tide_loop *loop) {
  if (!loop->virtual_clock) loop->now = tide_clock_monotonic() + loop->ahead;
}

tide_time tide_loop_after(tide_loop *loop, tide_time span) {
  if (!loop->virtual_clock) {
    tide_time now = tide_clock_monotonic() + loop->ahead;
    if (now - loop->now > LAG_MAX) loop->now = now;
  }
  return tide_time_add(loop->now, span);
}

void tide_loop_set_virtual_clock(tide_loop *loop) {
  loop->manual_clock = false;
  if (loop->virtual_clock) return;
  loop->virtual_clock = true;
  loop->now += SECOND - 1 - (loop->now + SECOND - 1) % SECOND;
}

void tide_loop_set_real_clock(tide_loop *loop) {
  if (loop->virtual_clock) loop->ahead = loop->now - tide_clock_monotonic();
  loop->virtual_clock = loop->manual_clock = false;
}

void tide_loop_set_manual_clock(tide_loop *loop) {
  loop->virtual_clock = loop->manual_clock = true;
}

int tide_loop_advance(tide_loop *loop, tide_time span) {
  if (!loop->manual_clock) return TIDE_EINVALID_STATE;
  if (span > TIDE_NEVER / 2) return TIDE_EMISUSE;
  loop->now = tide_time_add(loop->now, span);
  tide__timers_fire(loop, loop->now);
  return TIDE_OK;
}

bool tide_loop_clock_is_virtual(const tide_loop *loop) { return loop->virtual_clock; }

void tide_loop_set_autojump_threshold(tide_loop *loop, tide_time span) { loop->threshold = span; }

tide_time tide_loop_autojump_threshold(const tide_loop *loop) { return loop->threshold; }

void tide_loop_hold(tide_loop *loop) {
  loop->holds++;
  if (loop->hosted) tide__host_wake(loop);
}

void tide_loop_release(tide_loop *loop) { loop->holds--; }

bool tide_loop_held(const tide_loop *loop) { return loop->holds > 0; }

void tide_loop_set_signals(tide_loop *loop, bool allowed) { loop->signals = allowed; }

bool tide_loop_signals(const tide_loop *loop) { return loop->signals; }

void tide_loop_set_log(tide_loop *loop, tide_log_fn fn, void *context) {
  loop->log = (tide_log){.fn = fn, .context = context};
}

const tide_log *tide_loop_log(const tide_loop *loop) { return &loop->log; }

void tide_loop_set_seed(tide_loop *loop, uint64_t seed) { loop->own.seed = seed; }

uint64_t tide_loop_seed(const tide_loop *loop) { return loop->own.seed; }

void tide_loop_set_share(tide_loop *loop, tide_time span) { loop->share = span; }

/* What it does, and what it holds. */

tide_task *tide_loop_current(const tide_loop *loop) { return loop->current; }

tide_group *tide_loop_background(tide_loop *loop) { return &loop->background; }

void tide_loop_interrupt(tide_loop *loop, tide_task *task, int outcome) {
  tide__task_interrupt(task, outcome);
  tide__cancel_forward(loop);
}

bool tide_loop_turning(const tide_loop *loop) { return loop->turning; }

void tide_loop_stop(tide_loop *loop) {
  loop->stopping = true;
  loop->rolling = false;
}

tide_time tide_loop_deadline(const tide_loop *loop) {
  if (tide__ready(loop)) return loop->now;
  if (!tide_list_empty(&loop->deferred)) return loop->now;
  return loop->timers.count > 0 ? loop->timers.entries[0].key : TIDE_NEVER;
}

uint64_t tide_loop_turns(const tide_loop *loop) { return loop->turns; }

uint64_t tide_loop_steps(const tide_loop *loop) { return loop->steps + loop->stride - loop->left; }

tide_loop_stats tide_loop_get_stats(const tide_loop *loop) {
  tide_time present =
      loop->turning && loop->left < loop->stride ? tide_clock_monotonic() - loop->checked : 0;
  return (tide_loop_stats){
      .turns = loop->turns,
      .steps = tide_loop_steps(loop),
      .longest_slice = present > loop->longest ? present : loop->longest,
      .ready = tide__ready_count(loop),
      .timers = (uint32_t)loop->timers.count,
      .watching = loop->holds,
  };
}

/* Deferred work. */

void tide_defer_init(tide_defer *defer, void (*run)(tide_defer *defer)) {
  tide_list_init(&defer->link);
  defer->run = run;
}

void tide_defer_start(tide_defer *defer, tide_loop *loop) {
  if (tide_list_empty(&defer->link)) tide_list_append(&loop->deferred, &defer->link);
}

void tide_defer_cancel(tide_defer *defer) { tide_list_remove(&defer->link); }

void tide__defer_to_poll(tide_defer *defer, tide_loop *loop) {
  if (tide_list_empty(&defer->link)) tide_list_append(&loop->before_poll, &defer->link);
}

void tide__run_deferred(tide_list *list) {
  tide_list *link;
  while ((link = tide_list_shift(list)) != NULL) {
    tide_defer *defer = tide_container(link, tide_defer, link);
    defer->run(defer);
  }
}

/* Watchers. */

typedef struct interest {
  ev_io io;        /* its data: the function to be called */
  tide_loop *loop; /* where it watches */
  bool holds;      /* it is counted in loop->holds */
} interest;

_Static_assert(sizeof(interest) <= sizeof(tide_watcher), "tide_watcher is too small for libev's");

static void set_hold(interest *self, tide_loop *loop, bool holds) {
  if (self->holds == holds) return;
  self->holds = holds;
  if (holds)
    tide_loop_hold(loop);
  else
    tide_loop_release(loop);
}

static void watcher_ready(struct ev_loop *ev, ev_io *io, int events) {
  tide_loop *loop = ((interest *)(void *)io)->loop;
  loop->stirred = true;
  if (events & EV_ERROR) { /* libev has stopped it */
    if (loop->guest) ev_ref(ev);
    set_hold((interest *)(void *)io, loop, false);
  }
  void (*ready)(tide_watcher *, int);
  *(void **)(void *)&ready = io->data;
  ready((tide_watcher *)(void *)io, (events & EV_READ ? TIDE_READABLE : 0) |
                                        (events & EV_WRITE ? TIDE_WRITABLE : 0) |
                                        (events & EV_ERROR ? TIDE_UNWATCHED : 0));
}

void tide_watcher_init(tide_watcher *watcher, int fd, void (*ready)(tide_watcher *, int)) {
  interest *self = (interest *)(void *)watcher;
  ev_io_init(&self->io, watcher_ready, fd, 0);
  self->io.data = *(void **)(void *)&ready;
  self->holds = false;
}

void tide_watcher_set(tide_watcher *watcher, tide_loop *loop, int events) {
  tide__watcher_set(watcher, loop, events);
  set_hold((interest *)(void *)watcher, loop, events != 0);
}

void tide__watcher_set(tide_watcher *watcher, tide_loop *loop, int events) {
  ev_io *io = (ev_io *)(void *)watcher;
  int mask = (events & TIDE_READABLE ? EV_READ : 0) | (events & TIDE_WRITABLE ? EV_WRITE : 0);
  if (ev_is_active(io) && (io->events & (EV_READ | EV_WRITE)) == mask) return;
  if (loop->guest && ev_is_active(io)) ev_ref(loop->ev);
  ev_io_stop(loop->ev, io);
  if (mask == 0) return;
  ((interest *)(void *)io)->loop = loop;
  ev_io_modify(io, mask); /* ev_io_set costs a system call even where nothing changes */
  ev_io_start(loop->ev, io);
  loop->changed = true;
  if (loop->hosted) tide__host_wake(loop);
  if (loop->guest) ev_unref(loop->ev); /* what it is waited for with holds the loop */
}

/* Polling. */

/* Waits in libev for an event, at most so long. */
static void poll_for(tide_loop *loop, tide_time span) {
  ev_timer *alarm = &whole_of(loop)->alarm;
  ev_timer_set(alarm, tide_time_to_seconds(span) + ALARM_SLACK, 0.);
  ev_timer_start(loop->ev, alarm);
  ev_run(loop->ev, EVRUN_ONCE);
  ev_timer_stop(loop->ev, alarm);
}

/* For a deadline by the real clock, which is ahead of the last reading. */
static void set_exact_alarm(tide_loop *loop, tide_time when) {
  tide_time soonest = loop->checked + (loop->checked - loop->polled) * PATIENCE;
  if (when - loop->checked < SHORT_POLL)
    tide__alarm_set(&whole_of(loop)->exact, when > soonest ? when : soonest);
}

/* When `when`, by the loop's clock, is by the real one. */
static tide_time by_real_clock(const tide_loop *loop, tide_time when) {
  tide_time behind = 0 - loop->ahead; /* where virtual time went slower */
  return loop->ahead > TIDE_NEVER / 2 ? tide_time_add(when, behind) : when - loop->ahead;
}

/* When the loop has to be turned next, by the real clock, if nothing comes before. */
static tide_time next_turn(const tide_loop *loop) {
  tide_time next = loop->timers.count > 0 ? loop->timers.entries[0].key : TIDE_NEVER;
  if (loop->virtual_clock) return loop->manual_clock ? TIDE_NEVER : next;
  if (tide__idle_due(loop) < next) next = tide__idle_due(loop);
  return next;
}

/* The same until the next deadline. Where there is none the alarm is set all the same: libev waits
 * only where it has a watcher, and what is outside need not have one. libev counts from the end of
 * the last poll. */
static void poll_blocking(tide_loop *loop) {
  tide_time next = next_turn(loop);
  tide_time when = next < TIDE_NEVER ? by_real_clock(loop, next) : loop->polled + LONGEST_POLL;
  if (when > loop->checked) set_exact_alarm(loop, when);
  poll_for(loop, when > loop->polled ? when - loop->polled : 0);
}

/* Whether the last poll found nothing. What came may have woken no task: bytes that are sent in the
 * background. */
static bool is_quiet(const tide_loop *loop) { return !loop->stirred && !tide__ready(loop); }

/* Whether that holds for as long as it must. A poll may end before its time: a signal came, or the
 * process was stopped, and then there may be something that it has not seen. */
static bool stays_quiet(tide_loop *loop) {
  if (loop->holds == 0 || loop->threshold == 0) return is_quiet(loop);
  tide_time until = tide_time_add(tide_clock_monotonic(), loop->threshold);
  for (tide_time now = 0; is_quiet(loop) && now < until && !loop->stopping;) {
    now = tide_clock_monotonic();
    if (now < until)
      poll_for(loop, until - now);
    else
      ev_run(loop->ev, EVRUN_NOWAIT);
  }
  return is_quiet(loop);
}

/* Whether anything outside can wake a task, or a signal cancel one that sleeps without end. */
static bool can_be_woken(const tide_loop *loop) {
  if (loop->holds > 0) return true;
  bool endless = !tide_list_empty(&loop->endless);
  return endless && loop->signals && loop->running && !loop->virtual_clock;
}

/* Looks what has come. A guest's descriptors are looked at by the host's loop. */
static void poll_once(tide_loop *loop) {
  if (!loop->guest) ev_run(loop->ev, EVRUN_NOWAIT);
}

static int poll_real(tide_loop *loop, bool block) {
  bool passes = loop->timers.count > 0 && !loop->manual_clock;
  if (!block)
    poll_once(loop);
  else if (passes || can_be_woken(loop))
    poll_blocking(loop);
  else
    return TIDE_EDEADLOCK;
  return TIDE_OK;
}

/* Virtual time: descriptors first, then the clock jumps. What is posted meanwhile has woken the
 * first poll, and would wake no second one. */
static int poll_virtual(tide_loop *loop, bool block) {
  loop->stirred = false;
  poll_once(loop);
  if (!block || tide__ready(loop) || tide__port_waits(loop->port)) return TIDE_OK;
  if (loop->timers.count == 0 || loop->manual_clock) return poll_real(loop, true);
  if (loop->outside > 0) {
    poll_for(loop, LONGEST_POLL);
    return TIDE_OK;
  }
  tide_time when = loop->timers.entries[0].key;
  if (when > loop->now && stays_quiet(loop)) loop->now = when;
  return TIDE_OK;
}

int tide__poll(tide_loop *loop, bool block) {
  if (!tide_list_empty(&loop->before_poll)) tide__run_deferred(&loop->before_poll);
  bool idle = !tide__ready(loop);
  if (loop->left < loop->stride) tide__look_at_clock(loop);
  block = idle && block && !tide__port_doze(loop->port);
  loop->changed = false;
  int error = loop->virtual_clock ? poll_virtual(loop, block) : poll_real(loop, block);
  loop->due = false;
  if (idle) loop->wary = TIDE__WARY_TURNS;
  loop->polled = loop->checked = tide_clock_monotonic();
  if (!loop->virtual_clock) loop->now = loop->polled + loop->ahead;
  tide__timers_fire(loop, loop->now);
  tide__port_look(loop->port);
  if (!tide_list_empty(&loop->idle)) tide__idle_run(loop);
  return error;
}

int tide__loop_poll(tide_loop *loop) {
  if (loop->guest) return TIDE_EINVALID_STATE;
  tide_list active; /* so that the poll may block */
  tide_list_init(&active);
  tide_list_splice(&active, &loop->active);
  int error = tide__poll(loop, true);
  tide_list_splice(&active, &loop->active);
  tide_list_splice(&loop->active, &active);
  return error;
}

/* Beside a loop of another kind: libev's own descriptor is readable where it has something. libev
 * makes another one where events come of a descriptor that it does not know any more: one that was
 * closed, and that a child process, or a duplicate, keeps open. A host that watches the old one
 * would hear of nothing: so what it watches is an epoll of ours, in which libev's is. */

static void no_sweep(struct ev_loop *ev, ev_embed *embed, int events) {
  (void)ev;
  (void)embed;
  (void)events;
}

/* libev tells it to who embeds the loop in another one. */
static int find_inner(tide_loop *loop) {
  struct ev_loop *other = ev_loop_new(EVBACKEND_SELECT | EVFLAG_NOENV);
  ev_embed embed;
  if (other == NULL) return -1;
  ev_embed_init(&embed, no_sweep, loop->ev);
  ev_embed_start(other, &embed);
  int fd = embed.io.fd;
  ev_embed_stop(other, &embed);
  ev_loop_destroy(other);
  return fd;
}

static bool put_inner_in(loop_with_alarm *whole) {
  struct epoll_event readable = {.events = EPOLLIN};
  whole->inner = find_inner(&whole->loop);
  return whole->inner >= 0 &&
         epoll_ctl(whole->loop.polled_by, EPOLL_CTL_ADD, whole->inner, &readable) == 0;
}

/* The present one is still open. */
static void renews(struct ev_loop *ev, ev_fork *renewing, int events) {
  loop_with_alarm *whole = renewing->data;
  (void)events;
  epoll_ctl(whole->loop.polled_by, EPOLL_CTL_DEL, whole->inner, NULL);
  ev_check_start(ev, &whole->renewed);
}

/* After the same poll. Where memory is short it is tried again after the next. */
static void has_renewed(struct ev_loop *ev, ev_check *renewed, int events) {
  (void)events;
  if (put_inner_in(renewed->data)) ev_check_stop(ev, renewed);
}

static int open_descriptor(loop_with_alarm *whole) {
  tide_loop *loop = &whole->loop;
  loop->polled_by = epoll_create1(EPOLL_CLOEXEC);
  if (loop->polled_by < 0) return TIDE_OS(errno);
  if (!put_inner_in(whole)) {
    close(loop->polled_by);
    loop->polled_by = -1;
    return TIDE_ENOMEM;
  }
  ev_fork_init(&whole->renewing, renews);
  ev_check_init(&whole->renewed, has_renewed);
  whole->renewing.data = whole->renewed.data = whole;
  ev_fork_start(loop->ev, &whole->renewing);
  return TIDE_OK;
}

static void close_descriptor(loop_with_alarm *whole) {
  if (whole->loop.polled_by < 0) return;
  ev_check_stop(whole->loop.ev, &whole->renewed);
  ev_fork_stop(whole->loop.ev, &whole->renewing);
  close(whole->loop.polled_by);
}

int tide_loop_fd(tide_loop *loop) {
  int before = errno;
  if (loop->guest || !(ev_backend(loop->ev) & ev_embeddable_backends())) return TIDE_EINVALID_STATE;
  int error = loop->polled_by < 0 ? open_descriptor(whole_of(loop)) : TIDE_OK;
  loop->hosted = error == TIDE_OK;
  if (loop->hosted && !loop->turning) {
    ev_run(loop->ev, EVRUN_NOWAIT); /* the kernel hears of the alarm */
    tide__host_wake(loop);
  }
  errno = before;
  return error == TIDE_OK ? loop->polled_by : error;
}

void tide__host_wake(tide_loop *loop) {
  if (loop->guest)
    guest_keep(loop);
  else if (!loop->turning)
    tide__alarm_set(&whole_of(loop)->exact, 1);
}

void tide__show_next_turn(tide_loop *loop) {
  bool busy = tide__ready(loop) || !tide_list_empty(&loop->deferred) || loop->changed;
  tide_time next = busy ? 0 : next_turn(loop);
  if (next == TIDE_NEVER) return;
  tide_time when = next > 0 ? by_real_clock(loop, next) : 0;
  tide__alarm_set(&whole_of(loop)->exact, when > 0 ? when : 1);
}
