/* post.c: the inbox that any thread may push into, and what wakes its loop. */
#include "post.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "port.h"
#include "private.h"

struct tide_port {
  tide_post *inbox; /* atomic: what was posted, the last first; or `refusal` */
  int fd;           /* atomic: the descriptor that wakes the loop; -1: not yet */
  int alarm;        /* the loop's, which does until then; the port's to close: who posts may still
                       have it ring when the loop has gone */
  int attentive;    /* atomic: the loop looks before it waits, and need not be woken */
  uint32_t references;  /* atomic */
  uint32_t lent;        /* references of the loop's thread that are not in there yet */
  tide_loop *loop;      /* where; the following are its thread's */
  tide_post *taken;     /* those of the inbox that are still to be run, the first first */
  tide_watcher watcher; /* of the descriptor */
};

/* What the inbox of a loop that has been freed holds for good: no post has this address. */
static inline tide_post *refusal(const tide_port *port) { return (tide_post *)(uintptr_t)port; }

void tide_post_init(tide_post *post, void (*run)(tide_post *post)) {
  *post = (tide_post){.run = run};
}

/* Waking. */

static void ring(int alarm) {
  static const struct itimerspec now = {.it_value = {.tv_nsec = 1}};
  timerfd_settime(alarm, 0, &now, NULL);
}

static void wake(const tide_port *port) {
  static const uint64_t once = 1;
  int before = errno, fd = __atomic_load_n(&port->fd, __ATOMIC_ACQUIRE);
  if (fd < 0)
    ring(port->alarm);
  else if (!__atomic_load_n(&port->attentive, __ATOMIC_SEQ_CST))
    (void)!write(fd, &once,
                 sizeof once); /* it fails only where it counts so many that it is loud */
  errno = before;
}

bool tide__port_waits(const tide_port *port) {
  return __atomic_load_n(&port->inbox, __ATOMIC_SEQ_CST) != NULL;
}

void tide__port_ring_again(const tide_port *port) {
  if (tide__port_waits(port)) ring(port->alarm);
}

/* Posting. */

/* Whose push found the inbox empty wakes the loop: it empties it after it woke up. */
int tide_port_post(tide_port *port, tide_post *post) {
  if (__atomic_exchange_n(&post->on_its_way, 1, __ATOMIC_ACQ_REL)) return TIDE_OK;
  tide_post *last = __atomic_load_n(&port->inbox, __ATOMIC_RELAXED);
  do {
    if (last == refusal(port)) {
      __atomic_store_n(&post->on_its_way, 0, __ATOMIC_RELEASE);
      return TIDE_ECLOSED;
    }
    post->next = last;
  } while (!__atomic_compare_exchange_n(&port->inbox, &last, post, true, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED));
  if (last == NULL) wake(port);
  return TIDE_OK;
}

int tide_loop_post(tide_loop *loop, tide_post *post) { return tide_port_post(loop->port, post); }

/* Running. */

/* Moves all that is in the inbox behind what was taken before. */
static void take_all(tide_port *port) {
  tide_post *post = __atomic_exchange_n(&port->inbox, NULL, __ATOMIC_ACQ_REL), *first = NULL;
  while (post != NULL) {
    tide_post *earlier = post->next;
    post->next = first;
    first = post;
    post = earlier;
  }
  tide_post **end = &port->taken; /* of something only where a run has polled */
  while (*end != NULL) end = &(*end)->next;
  *end = first;
}

/* The next one of those taken, which may be posted anew, or NULL. */
static tide_post *next_taken(tide_port *port) {
  tide_post *post = port->taken;
  if (post == NULL) return NULL;
  port->taken = post->next;
  __atomic_exchange_n(&post->on_its_way, 0, __ATOMIC_ACQ_REL);
  return post;
}

static void run_all(tide_port *port) {
  tide_post *post;
  take_all(port);
  while ((post = next_taken(port)) != NULL) post->run(post);
}

/* It was all for the poll to end: then the loop looks. */
static void awake(tide_watcher *watcher, int events) {
  const tide_port *port = tide_container(watcher, tide_port, watcher);
  uint64_t times;
  (void)events;
  (void)!read(port->fd, &times, sizeof times);
}

/* Gets the descriptor that others wake the loop by, where there is one to be had. */
static void open_descriptor(tide_port *port) {
  tide_loop *loop = port->loop;
  if (port->fd >= 0) return;
  if (loop->faults != NULL && tide_faults_strike(loop->faults, TIDE_CALL_EVENTFD)) return;
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) return;
  tide_watcher_init(&port->watcher, fd, awake);
  tide__watcher_set(&port->watcher, loop, TIDE_READABLE);
  __atomic_store_n(&port->fd, fd, __ATOMIC_RELEASE);
}

/* Who posts pushes, then reads whether the loop is attentive; the loop says that it is not, then
 * reads whether something was pushed: at least one of the two sees the other. */
bool tide__port_doze(tide_port *port) {
  if (port->fd >= 0) __atomic_store_n(&port->attentive, 0, __ATOMIC_SEQ_CST);
  return tide__port_waits(port);
}

void tide__port_attend(tide_port *port) {
  if (port->fd >= 0) __atomic_store_n(&port->attentive, 1, __ATOMIC_RELAXED);
}

void tide__port_look(tide_port *port) {
  if (port->loop->turning) tide__port_attend(port);
  if (!tide__port_waits(port)) return;
  open_descriptor(port); /* without one the alarm goes on to do */
  run_all(port);
}

void tide__port_leave(tide_port *port) {
  if (tide__port_doze(port)) wake(port);
}

/* References. */

tide_port *tide__port_make(tide_loop *loop, int alarm) {
  tide_port *port = malloc(sizeof *port);
  if (port == NULL) return NULL;
  *port = (tide_port){.fd = -1, .alarm = alarm, .references = 1, .loop = loop};
  return port;
}

tide_port *tide_port_new(tide_loop *loop) { return tide_port_ref(loop->port); }

tide_port *tide_port_ref(tide_port *port) {
  __atomic_fetch_add(&port->references, 1, __ATOMIC_RELAXED);
  return port;
}

void tide_port_unref(tide_port *port) {
  if (__atomic_sub_fetch(&port->references, 1, __ATOMIC_ACQ_REL) > 0) return;
  if (port->fd >= 0) close(port->fd);
  close(port->alarm);
  free(port);
}

tide_port *tide__port_lend(tide_loop *loop) {
  loop->port->lent++;
  return loop->port;
}

void tide__port_give_back(tide_port *port) {
  if (__atomic_load_n(&port->inbox, __ATOMIC_ACQUIRE) == refusal(port))
    tide_port_unref(port);
  else
    port->lent--;
}

/* Drops all that is there. What that posts is there then. */
static void drop_all(tide_port *port) {
  tide_post *post;
  take_all(port);
  while ((post = next_taken(port)) != NULL)
    if (post->dropped != NULL) post->dropped(post);
}

void tide__port_await(tide_port *port) {
  struct pollfd bells[] = {{.fd = port->alarm, .events = POLLIN},
                           {.fd = port->fd, .events = POLLIN}};
  tide__port_doze(port);
  while (!tide__port_waits(port)) {
    uint64_t times;
    poll(bells, port->fd >= 0 ? 2 : 1, -1);
    for (int i = 0; i < 2; i++)
      if (bells[i].revents & POLLIN) (void)!read(bells[i].fd, &times, sizeof times);
  }
  drop_all(port);
}

/* From the moment that posts are refused, what was lent is given back by any thread. */
static bool refuse_posts(tide_port *port) {
  uint32_t lent = port->lent;
  tide_post *none = NULL;
  __atomic_fetch_add(&port->references, lent, __ATOMIC_RELAXED);
  if (__atomic_compare_exchange_n(&port->inbox, &none, refusal(port), false, __ATOMIC_ACQ_REL,
                                  __ATOMIC_RELAXED))
    return true;
  __atomic_fetch_sub(&port->references, lent, __ATOMIC_RELAXED);
  return false;
}

void tide__port_close(tide_port *port) {
  do drop_all(port);
  while (!refuse_posts(port));
  if (port->fd >= 0) tide__watcher_set(&port->watcher, port->loop, 0);
  tide_port_unref(port);
}
