/* An echo server in C, on a core that knows nothing of Lua: echo HOST PORT. Prints where it
 * listens. It ends when its standard input does: the connections that there are get a second to
 * end. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <tide.h>
#include <unistd.h>

typedef struct connection {
  tide_task task;
  tide_steps steps;
  tide_stream stream;
  uint64_t copied;
} connection;

typedef struct server {
  tide_task task;
  tide_steps steps;
  tide_listener listener;
  tide_group connections;
  tide_timeout grace;
  connection *next; /* waits to be accepted */
  tide_borrowed_fd input;
  tide_select select;
  tide_case cases[2];
} server;

static void serve(tide_task *task, int outcome) {
  connection *self = tide_container(task, connection, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  TIDE_CALL(tide_stream_copy(&self->stream, &self->stream, task, UINT64_MAX, &self->copied));
  TIDE_END;
  tide_stream_close(&self->stream); /* what was written arrives all the same */
  free(self);
}

/* The loop is freed while it waits: it has ended already. */
static void drop(tide_task *task) {
  connection *self = tide_container(task, connection, task);
  tide_stream_close(&self->stream);
  free(self);
}

static void start(server *self, int fd) {
  static const tide_task_ops ops = {.name = "connection", .step = serve, .drop = drop};
  connection *fresh = calloc(1, sizeof *fresh);
  if (fresh == NULL) {
    close(fd);
    return;
  }
  tide_stream_init(&fresh->stream, self->task.loop, fd);
  tide_task_init(&fresh->task, self->task.loop, &ops);
  tide_task_spawn(&fresh->task, &self->connections);
}

static void choose(server *self) {
  tide_case_accept(&self->cases[0], &self->listener);
  tide_case_fd(&self->cases[1], &self->input.fd, TIDE_READABLE);
  tide_select_init(&self->select, self->cases, 2);
}

/* Whether the standard input has ended. */
static bool is_over(const server *self) {
  char bytes[256];
  (void)self;
  return read(STDIN_FILENO, bytes, sizeof bytes) == 0;
}

static void listen_step(tide_task *task, int outcome) {
  server *self = tide_container(task, server, task);
  TIDE_BEGIN(task, &self->steps, outcome);
  tide_group_init(&self->connections, task->loop, 0, false);
  tide_group_enter(&self->connections, task);
  for (;;) {
    choose(self);
    TIDE_CALL(tide_select_wait(&self->select, task));
    if (self->steps.outcome != TIDE_OK) break;
    if (self->select.chosen == 0)
      start(self, (int)self->cases[0].wait.value.integer);
    else if (is_over(self))
      break;
  }
  tide_listener_close(&self->listener);
  TIDE_TRY(tide_timeout_begin(&self->grace, task, tide_time_from_seconds(1)));
  do {
    TIDE_CALL(tide_group_wait_few(&self->connections, task, 0));
  } while (self->steps.outcome == TIDE_OK && self->connections.live > 0);
  if (tide_timeout_end(&self->grace, self->steps.outcome) != TIDE_OK)
    tide_group_cancel(&self->connections);
  TIDE_CALL(tide_group_wait(&self->connections, task));
  tide_group_exit(&self->connections);
  TIDE_LEAVE(TIDE_OK);
  TIDE_END;
}

int main(int argc, char **argv) {
  static const tide_task_ops ops = {.name = "server", .step = listen_step};
  static server self;
  tide_address address;
  char text[TIDE_ADDRESS_TEXT];
  const char *host = argc > 1 ? argv[1] : "127.0.0.1";
  uint16_t port = argc > 2 ? (uint16_t)atoi(argv[2]) : 0;
  tide_loop *loop = tide_loop_new(NULL);
  if (loop == NULL) return 1;
  int error = tide_address_parse(&address, host, port);
  if (error == TIDE_OK) error = tide_listener_open(&self.listener, loop, &address, NULL);
  if (error == TIDE_OK) error = tide_listener_address(&self.listener, &address);
  if (error == TIDE_OK) error = tide_borrowed_fd_init(&self.input, loop, STDIN_FILENO);
  if (error != TIDE_OK) {
    fprintf(stderr, "%s: %s\n", host, tide_error_message(error));
    return 1;
  }
  tide_address_format(&address, text);
  printf("listening on %s\n", text);
  fflush(stdout);
  tide_task_init(&self.task, loop, &ops);
  tide_task_spawn(&self.task, tide_loop_background(loop));
  error = tide_loop_run(loop, &self.task.future);
  tide_loop_send_all(loop);
  tide_borrowed_fd_term(&self.input);
  tide_loop_free(loop);
  printf("closed\n");
  return error == TIDE_OK ? 0 : 1;
}
