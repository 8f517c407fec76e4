/* Limit of a TCP server: echo on libev, one ev_io per connection, one read and one write per event. Prints its port. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[65536];

static void fail(const char *what) {
    perror(what);
    exit(EXIT_FAILURE);
}

static void close_client(struct ev_loop *loop, ev_io *client) {
    ev_io_stop(loop, client);
    close(client->fd);
    free(client);
}

/* A short write closes the connection: with one message in flight the socket's buffer never fills. */
static void on_readable(struct ev_loop *loop, ev_io *client, int revents) {
    (void)revents;
    ssize_t got = read(client->fd, buffer, sizeof buffer);
    if (got <= 0 || write(client->fd, buffer, (size_t)got) != got) close_client(loop, client);
}

static void serve(struct ev_loop *loop, int fd) {
    int on = 1;
    ev_io *client = malloc(sizeof *client);
    if (client == NULL) fail("malloc");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ev_io_init(client, on_readable, fd, EV_READ);
    ev_io_start(loop, client);
}

static void on_connection(struct ev_loop *loop, ev_io *listener, int revents) {
    int fd;
    (void)revents;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) serve(loop, fd);
}

/* A listening socket on a free port of the loopback; prints the port. */
static int listen_on_loopback(void) {
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, SOMAXCONN) < 0) fail("listen");
    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0) fail("getsockname");
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(void) {
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    ev_io listener;
    if (loop == NULL) fail("ev_loop_new");
    ev_io_init(&listener, on_connection, listen_on_loopback(), EV_READ);
    ev_io_start(loop, &listener);
    ev_run(loop, 0);
    return 0;
}
