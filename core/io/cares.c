/* cares.c: c-ares on the loop: its sockets are watchers, its timeouts one timer. */
#include "cares.h"

#include <dlfcn.h>
#include <sys/socket.h>

#include "sys.h"

#define LIBRARY "libcares.so.2" /* of all releases since 1.0 */

int tide__cares_open(tide__cares *self) {
  *self = (tide__cares){.library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL)};
  if (self->library == NULL) return TIDE_OS(ENOSYS);
#define FIND(name) self->name = (__typeof__(name) *)dlsym(self->library, #name);
  TIDE__CARES_MAP(FIND)
#undef FIND
#define IS_THERE(name) &&self->name != NULL
  if (true TIDE__CARES_MAP(IS_THERE)) return TIDE_OK;
#undef IS_THERE
  tide__cares_close(self);
  return TIDE_OS(ENOSYS);
}

void tide__cares_close(tide__cares *self) {
  if (self->library != NULL) dlclose(self->library);
  self->library = NULL;
}

/* One server is asked through one datagram socket, and one connection where that is needed; while
 * one of them is replaced there may be one more. */
enum { SOCKETS = 4 };

typedef struct tide__server {
  const tide__cares *cares;
  tide_loop *loop;
  ares_channel channel;
  tide_timer timer; /* when c-ares is to look what has timed out */
  struct server_socket {
    tide_watcher watcher;
    tide__server *server;
    int fd; /* -1: none */
    bool datagrams;
  } sockets[SOCKETS];
} tide__server;

/* When it is to look again. Its time is the real one: in virtual time it looks once for each time
 * that something was asked, or the loop would go from look to look until that has passed. */
static void set_timer(tide__server *self, bool asked) {
  struct timeval span;
  if (self->cares->ares_timeout(self->channel, NULL, &span) == NULL) {
    tide_timer_stop(&self->timer, self->loop);
    return;
  }
  if (!asked && tide_loop_clock_is_virtual(self->loop)) return;
  tide_timer_stop(&self->timer, self->loop);
  tide_time wait = (tide_time)span.tv_sec * 1000000000 + (tide_time)span.tv_usec * 1000;
  int error = tide_timer_start(&self->timer, self->loop, tide_loop_after(self->loop, wait));
  if (error != TIDE_OK) self->cares->ares_cancel(self->channel);
}

static void process(tide__server *self, int readable, int writable) {
  self->cares->ares_process_fd(self->channel, readable, writable);
  set_timer(self, false);
}

static void timed_out(tide_timer *timer) {
  process(tide_container(timer, tide__server, timer), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void ready(tide_watcher *watcher, int events) {
  struct server_socket *at = tide_container(watcher, struct server_socket, watcher);
  if (events & TIDE_UNWATCHED) {
    at->server->cares->ares_cancel(at->server->channel);
    set_timer(at->server, false);
    return;
  }
  process(at->server, events & TIDE_READABLE ? at->fd : ARES_SOCKET_BAD,
          events & TIDE_WRITABLE ? at->fd : ARES_SOCKET_BAD);
}

/* Its sockets, which are ours to make. */

static struct server_socket *socket_of(tide__server *self, int fd) {
  for (int i = 0; i < SOCKETS; i++)
    if (self->sockets[i].fd == fd) return &self->sockets[i];
  return NULL;
}

/* -1 and errno, as c-ares wants them, for a negated errno. */
static ssize_t answer(ssize_t result) {
  if (result >= 0) return result;
  errno = (int)-result;
  return -1;
}

static int socket_open(int family, int type, int protocol, void *server) {
  tide__server *self = server;
  struct server_socket *at = socket_of(self, -1);
  (void)protocol;
  int fd = at != NULL ? tide__sys_socket(self->loop, family, type) : -EMFILE;
  if (fd >= 0) {
    at->fd = fd;
    at->datagrams = type == SOCK_DGRAM;
    tide_watcher_init(&at->watcher, fd, ready);
  }
  return (int)answer(fd);
}

static int socket_close(int fd, void *server) {
  struct server_socket *at = socket_of(server, fd);
  tide__watcher_set(&at->watcher, at->server->loop, 0);
  tide__sys_close(fd);
  at->fd = -1;
  return 0;
}

static int socket_connect(int fd, const struct sockaddr *to, socklen_t length, void *server) {
  const tide__server *self = server;
  tide_address address = {.length = length};
  memcpy(&address.as, to, length);
  return (int)answer(tide__sys_connect(self->loop, fd, &address));
}

static ssize_t socket_receive(int fd, void *bytes, size_t size, int flags, struct sockaddr *from,
                              socklen_t *length, void *server) {
  tide__server *self = server;
  (void)flags;
  if (!socket_of(self, fd)->datagrams) return answer(tide__sys_read(self->loop, fd, bytes, size));
  return answer(tide__sys_receive(self->loop, fd, bytes, size, from, length));
}

static ssize_t socket_send(int fd, const struct iovec *parts, int count, void *server) {
  tide__server *self = server;
  uint8_t channel = TIDE__SOCKET_CHANNEL;
  if (!socket_of(self, fd)->datagrams)
    return answer(tide__sys_send(self->loop, fd, parts, (size_t)count, &channel));
  return answer(tide__sys_send_datagram(self->loop, fd, parts, (size_t)count));
}

static const struct ares_socket_functions socket_functions = {.asocket = socket_open,
                                                              .aclose = socket_close,
                                                              .aconnect = socket_connect,
                                                              .arecvfrom = socket_receive,
                                                              .asendv = socket_send};

static void socket_changed(void *server, int fd, int readable, int writable) {
  struct server_socket *at = socket_of(server, fd);
  int events = (readable ? TIDE_READABLE : 0) | (writable ? TIDE_WRITABLE : 0);
  if (at != NULL) tide__watcher_set(&at->watcher, at->server->loop, events);
}

/* The server. */

int tide__server_new(tide__server **server, const tide__cares *cares, tide_loop *loop,
                     const struct ares_addr_port_node *address, int timeout) {
  struct ares_addr_port_node only = *address;
  tide__server *self = tide_alloc(&loop->allocator, sizeof *self);
  if (self == NULL) return TIDE_ENOMEM;
  *self = (tide__server){.cares = cares, .loop = loop};
  tide_timer_init(&self->timer, timed_out);
  for (int i = 0; i < SOCKETS; i++)
    self->sockets[i] = (struct server_socket){.server = self, .fd = -1};
  struct ares_options options = {
      .flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
      .timeout = timeout,
      .tries = 1,
      .sock_state_cb = socket_changed,
      .sock_state_cb_data = self,
  };
  int status = cares->ares_init_options(&self->channel, &options,
                                        ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                            ARES_OPT_SOCK_STATE_CB);
  if (status == ARES_SUCCESS) {
    only.next = NULL;
    cares->ares_set_socket_functions(self->channel, &socket_functions, self);
    status = cares->ares_set_servers_ports(self->channel, &only);
    if (status != ARES_SUCCESS) cares->ares_destroy(self->channel);
  }
  if (status != ARES_SUCCESS)
    tide_free(&loop->allocator, self, sizeof *self);
  else
    *server = self;
  return status == ARES_SUCCESS ? TIDE_OK : TIDE_ENOMEM;
}

/* What c-ares keeps for a question: it tells of the end also where it is ended. */
typedef struct asked {
  tide__server *server;
  tide__answer_fn *answered;
  void *context;
  int number;
} asked;

static void on_answer(void *argument, int status, int timeouts, unsigned char *bytes, int length) {
  asked *self = argument;
  asked copy = *self;
  (void)timeouts;
  tide_free(&copy.server->loop->allocator, self, sizeof *self);
  copy.answered(copy.context, copy.number, status, status == ARES_SUCCESS ? bytes : NULL, length);
}

void tide__server_ask(tide__server *self, const unsigned char *question, int length,
                      tide__answer_fn *answered, void *context, int number) {
  asked *record = tide_alloc(&self->loop->allocator, sizeof *record);
  if (record == NULL) {
    answered(context, number, ARES_ENOMEM, NULL, 0);
    return;
  }
  *record = (asked){.server = self, .answered = answered, .context = context, .number = number};
  self->cares->ares_send(self->channel, question, length, on_answer, record);
  set_timer(self, true);
}

void tide__server_free(tide__server *self) {
  if (self == NULL) return;
  self->cares->ares_destroy(self->channel);
  tide_timer_stop(&self->timer, self->loop);
  tide_free(&self->loop->allocator, self, sizeof *self);
}
