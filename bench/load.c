/* Load generator for the echo servers: closed-loop round trips on connections opened at once, or
 * idle connections. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  MAX_SIZE = 1 << 20, /* longest message, in bytes */
  SHIFTS = 251,       /* so many places in the pattern where a message may begin */
  EVENTS = 1024,      /* taken from epoll at once */
  SHORT = 4096,       /* messages up to so many bytes are all compared */
  SPOT_CHECK = 8,     /* of longer ones, one in so many: the kernel discards the others, or the load
                         would be the slower side */
  IDLE_STRIDE = 50,   /* idle connections opened between two checks that the server keeps up */
  SETTLE_MS = 300     /* from the last connection to reading the server's memory */
};

static const double WARM_UP = 0.2; /* seconds of load before round trips are counted */

static const char USAGE[] =
    "usage: bench_load echo [-c connections] [-s bytes] [-t seconds] [-p port | -- server ...]\n"
    "       bench_load idle [-c connections] [-p port | -- server ...]\n"
    "A server is started, must print `port N`, and is ended afterwards. idle with -p holds until "
    "stdin closes.\n";

struct options {
  const char *mode; /* "echo" or "idle" */
  size_t connections;
  size_t size;    /* of a message, in bytes */
  double seconds; /* how long round trips are counted */
  int port;       /* 0: start the server */
  char **server;  /* command line of the server, NULL-terminated; empty with a port */
};

struct client {
  int fd;
  bool wants_write;      /* epoll reports it when it becomes writable */
  size_t sent, received; /* bytes of the message in flight */
  size_t shift;          /* where in the pattern that message begins */
  unsigned long trips;   /* completed since the connection was opened */
};

struct load {
  struct options options;
  struct client *clients; /* options.connections of them, owned */
  int epoll;
  pid_t server;        /* 0 when somebody else runs it */
  unsigned long trips; /* of all clients */
};

static char pattern[MAX_SIZE + SHIFTS];
static char incoming[MAX_SIZE];

static void fail(const char *what) {
  fprintf(stderr, "bench_load: %s\n", what);
  exit(EXIT_FAILURE);
}

static void fail_errno(const char *what) {
  fprintf(stderr, "bench_load: %s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

static double seconds_of(clockid_t clock) {
  struct timespec now;
  if (clock_gettime(clock, &now) < 0) fail_errno("clock_gettime");
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The server */

/* Allows as many descriptors as the hard limit does, here and in the server. */
static void raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) fail_errno("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) fail_errno("setrlimit");
}

static void become_server(char **command, int output) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(output, STDOUT_FILENO);
  execvp(command[0], command);
  fail_errno(command[0]);
}

/* Reads the line `port N` that the server prints first. */
static int read_port(int fd) {
  int port;
  FILE *output = fdopen(fd, "r");
  if (output == NULL || fscanf(output, "port %d", &port) != 1) fail("the server printed no port");
  return port;
}

/* Starts the server; its output stays open, unread, until this program ends. */
static void start_server(struct load *load) {
  int fds[2];
  if (pipe(fds) < 0) fail_errno("pipe");
  load->server = fork();
  if (load->server < 0) fail_errno("fork");
  if (load->server == 0) become_server(load->options.server, fds[1]);
  close(fds[1]);
  load->options.port = read_port(fds[0]);
}

static void end_server(const struct load *load) {
  if (load->server == 0) return;
  kill(load->server, SIGKILL);
  waitpid(load->server, NULL, 0);
}

/* CPU seconds the server has used, 0 when somebody else runs it. */
static double server_cpu(const struct load *load) {
  clockid_t clock;
  if (load->server == 0 || clock_getcpuclockid(load->server, &clock) != 0) return 0;
  return seconds_of(clock);
}

static double server_resident(const struct load *load) {
  char path[64];
  long pages = 0;
  snprintf(path, sizeof path, "/proc/%d/statm", (int)load->server);
  FILE *statm = fopen(path, "r");
  if (statm == NULL || fscanf(statm, "%*d %ld", &pages) != 1)
    fail("cannot read the server's memory");
  fclose(statm);
  return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* Connections */

static int new_connection(int port, int flags) {
  struct sockaddr_in address;
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_port = htons((uint16_t)port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0) fail_errno("socket");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
    fail_errno("connect");
  return fd;
}

static void watch(const struct load *load, struct client *client, int operation, bool for_write) {
  struct epoll_event event = {.events = EPOLLIN | (for_write ? (uint32_t)EPOLLOUT : 0u),
                              .data = {.ptr = client}};
  client->wants_write = for_write;
  if (epoll_ctl(load->epoll, operation, client->fd, &event) < 0) fail_errno("epoll_ctl");
}

/* Begins all connections without waiting for any; each sends its first message when it is writable.
 */
static void open_at_once(struct load *load) {
  for (size_t i = 0; i < load->options.connections; i++) {
    struct client *client = &load->clients[i];
    client->fd = new_connection(load->options.port, SOCK_NONBLOCK);
    client->shift = i % SHIFTS;
    watch(load, client, EPOLL_CTL_ADD, true);
  }
}

static void send_rest(const struct load *load, struct client *client) {
  ssize_t put = send(client->fd, pattern + client->shift + client->sent,
                     load->options.size - client->sent, MSG_NOSIGNAL);
  if (put < 0 && errno != EAGAIN) fail_errno("send");
  if (put > 0) client->sent += (size_t)put;
  bool unsent = client->sent < load->options.size;
  if (unsent != client->wants_write) watch(load, client, EPOLL_CTL_MOD, unsent);
}

static void next_message(struct load *load, struct client *client) {
  client->trips++;
  load->trips++;
  client->sent = client->received = 0;
  client->shift = (client->shift + 1) % SHIFTS;
  send_rest(load, client);
}

static bool compared(const struct load *load, const struct client *client) {
  return load->options.size <= SHORT || client->trips % SPOT_CHECK == 0;
}

static void receive(struct load *load, struct client *client) {
  bool compare = compared(load, client);
  ssize_t got =
      recv(client->fd, incoming, load->options.size - client->received, compare ? 0 : MSG_TRUNC);
  if (got < 0 && errno == EAGAIN) return;
  if (got < 0) fail_errno("recv");
  if (got == 0) fail("the server closed a connection");
  if (compare && memcmp(incoming, pattern + client->shift + client->received, (size_t)got) != 0)
    fail("the echo differs");
  client->received += (size_t)got;
  if (client->received == load->options.size) next_message(load, client);
}

/* Echo */

/* Serves events until the clock shows `end`. */
static void drive_until(struct load *load, double end) {
  struct epoll_event events[EVENTS];
  double now;
  while ((now = seconds_of(CLOCK_MONOTONIC)) < end) {
    int n = epoll_wait(load->epoll, events, EVENTS, (int)((end - now) * 1e3) + 1);
    if (n < 0 && errno != EINTR) fail_errno("epoll_wait");
    for (int i = 0; i < n; i++) {
      if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        receive(load, events[i].data.ptr);
      else
        send_rest(load, events[i].data.ptr);
    }
  }
}

static int compare_trips(const void *a, const void *b) {
  const struct client *left = a, *right = b;
  return (left->trips > right->trips) - (left->trips < right->trips);
}

static void report_echo(struct load *load, double trips, double wall, double cpu) {
  size_t n = load->options.connections;
  qsort(load->clients, n, sizeof *load->clients, compare_trips);
  printf("trips_per_s %.0f min %lu median %lu max %lu server_busy %.2f\n", trips / wall,
         load->clients[0].trips, load->clients[n / 2].trips, load->clients[n - 1].trips,
         cpu / wall);
}

static void run_echo(struct load *load) {
  open_at_once(load);
  drive_until(load, seconds_of(CLOCK_MONOTONIC) + WARM_UP);
  double began = seconds_of(CLOCK_MONOTONIC), cpu = server_cpu(load);
  unsigned long before = load->trips;
  drive_until(load, began + load->options.seconds);
  double wall = seconds_of(CLOCK_MONOTONIC) - began;
  report_echo(load, (double)(load->trips - before), wall, server_cpu(load) - cpu);
}

/* Idle connections */

/* One byte there and back: whatever was connected before has then been accepted. */
static void prove_accepted(int fd) {
  char byte = 'x';
  if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, MSG_WAITALL) != 1 || byte != 'x')
    fail("no echo");
}

static void open_idle(struct load *load) {
  for (size_t i = 0; i < load->options.connections; i++) {
    load->clients[i].fd = new_connection(load->options.port, 0);
    if (i % IDLE_STRIDE == 0 || i + 1 == load->options.connections)
      prove_accepted(load->clients[i].fd);
  }
}

static void settle(void) {
  struct timespec pause = {.tv_sec = 0, .tv_nsec = SETTLE_MS * 1000000L};
  nanosleep(&pause, NULL);
}

/* Prints what the server's memory grew by for each connection; the first, made before, has warmed
 * it up. */
static void measure_idle(struct load *load) {
  int first = new_connection(load->options.port, 0);
  prove_accepted(first);
  settle();
  double before = server_resident(load);
  open_idle(load);
  settle();
  printf("bytes %.0f\n", (server_resident(load) - before) / (double)load->options.connections);
  close(first);
}

static void hold_idle(struct load *load) {
  char byte;
  open_idle(load);
  printf("open %zu\n", load->options.connections);
  fflush(stdout);
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
}

static void run_idle(struct load *load) {
  if (load->server == 0)
    hold_idle(load);
  else
    measure_idle(load);
}

/* Set-up */

static void usage(void) {
  fputs(USAGE, stderr);
  exit(EXIT_FAILURE);
}

static struct options parse(int argc, char **argv) {
  struct options options = {.connections = 50, .size = 64, .seconds = 1.0};
  int option;
  if (argc < 2) usage();
  options.mode = argv[1];
  while ((option = getopt(argc - 1, argv + 1, "c:s:t:p:")) != -1) {
    if (option == 'c')
      options.connections = strtoul(optarg, NULL, 10);
    else if (option == 's')
      options.size = strtoul(optarg, NULL, 10);
    else if (option == 't')
      options.seconds = strtod(optarg, NULL);
    else if (option == 'p')
      options.port = (int)strtol(optarg, NULL, 10);
    else
      usage();
  }
  options.server = argv + 1 + optind;
  if ((options.port > 0) == (options.server[0] != NULL)) usage();
  if (options.connections == 0 || options.size == 0 || options.size > MAX_SIZE ||
      options.seconds <= 0)
    usage();
  return options;
}

static void fill_pattern(void) {
  uint32_t state = 1;
  for (size_t i = 0; i < sizeof pattern; i++) {
    state = state * 1664525u + 1013904223u;
    pattern[i] = (char)(state >> 24);
  }
}

int main(int argc, char **argv) {
  struct load load = {.options = parse(argc, argv)};
  bool echo = strcmp(load.options.mode, "echo") == 0;
  if (!echo && strcmp(load.options.mode, "idle") != 0) usage();
  raise_descriptor_limit();
  fill_pattern();
  load.clients = calloc(load.options.connections, sizeof *load.clients);
  load.epoll = epoll_create1(EPOLL_CLOEXEC);
  if (load.clients == NULL || load.epoll < 0) fail("no memory");
  if (load.options.port == 0) start_server(&load);
  if (echo)
    run_echo(&load);
  else
    run_idle(&load);
  end_server(&load);
  free(load.clients);
  return 0;
}
