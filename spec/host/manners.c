/* manners.c: what is the host's stays as it was, whatever it calls: errno, signals, the standard
 * streams, locale, umask, working directory, timers, children, descriptors, its libev loop. */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "states.h"

/* What is looked at around each call. */
typedef struct things {
  int error;
  mode_t mask;
  char locale[200], folder[200];
  struct sigaction actions[NSIG];
  sigset_t held, pending;
  struct itimerval timer;
  int flags[3]; /* of the standard streams */
  struct stat streams[3];
} things;

static things before;
static pid_t child;      /* the host's own, which has ended and was not waited for */
static int output;       /* the file that standard output and error are */
static int pipe_signals; /* that the host has got */

static void look(things *now) {
  memset(now, 0, sizeof *now);
  now->mask = umask(0);
  umask(now->mask);
  snprintf(now->locale, sizeof now->locale, "%s", setlocale(LC_ALL, NULL));
  if (getcwd(now->folder, sizeof now->folder) == NULL) now->folder[0] = '\0';
  for (int i = 1; i < NSIG; i++) sigaction(i, NULL, &now->actions[i]);
  sigprocmask(SIG_BLOCK, NULL, &now->held);
  sigpending(&now->pending);
  getitimer(ITIMER_REAL, &now->timer);
  for (int i = 0; i < 3; i++) {
    now->flags[i] = fcntl(i, F_GETFL);
    fstat(i, &now->streams[i]);
  }
}

static void check_text_of(const char *call, const char *what, bool same) {
  char text[200];
  if (same) return;
  snprintf(text, sizeof text, "%s has changed %s", call, what);
  check_fail(__FILE__, __LINE__, text);
}

static void check_after(const char *call, int error) {
  things now;
  look(&now);
  check_text_of(call, "errno", error == 4242);
  check_text_of(call, "the umask", now.mask == before.mask);
  check_text_of(call, "the locale", strcmp(now.locale, before.locale) == 0);
  check_text_of(call, "the folder", strcmp(now.folder, before.folder) == 0);
  for (int i = 1; i < NSIG; i++)
    check_text_of(call, "a signal's action",
                  now.actions[i].sa_handler == before.actions[i].sa_handler &&
                      now.actions[i].sa_flags == before.actions[i].sa_flags);
  check_text_of(call, "which signals are held back",
                memcmp(&now.held, &before.held, sizeof now.held) == 0);
  check_text_of(call, "which signals are pending",
                memcmp(&now.pending, &before.pending, sizeof now.pending) == 0);
  check_text_of(call, "the timer", now.timer.it_value.tv_sec > 0);
  for (int i = 0; i < 3; i++)
    check_text_of(call, "a standard stream",
                  now.flags[i] == before.flags[i] &&
                      now.streams[i].st_ino == before.streams[i].st_ino &&
                      now.streams[i].st_dev == before.streams[i].st_dev);
  check_text_of(call, "the output", lseek(output, 0, SEEK_END) == 0 && pipe_signals == 0);
  siginfo_t info = {.si_pid = 0};
  waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT);
  check_text_of(call, "the host's child", info.si_pid == child);
}

/* One call, and a look at everything behind it. */
#define MANNERLY(call)         \
  do {                         \
    errno = 4242;              \
    call;                      \
    check_after(#call, errno); \
  } while (0)

/* A host with particular habits: its own handlers, mask, umask, locale, timer, output, and a child.
 */

static void handler(int number) { pipe_signals += number == SIGPIPE; }

/* The spec itself writes where standard output was. */
static void open_host(void) {
  FILE *file = tmpfile(), *real = fdopen(dup(1), "w");
  if (file == NULL || real == NULL) exit(2);
  output = dup(fileno(file));
  fclose(file);
  dup2(output, 1);
  dup2(output, 2);
  stdout = real;
  umask(013);
  setlocale(LC_ALL, "C.UTF-8");
  signal(SIGPIPE, handler);
  signal(SIGUSR1, handler);
  signal(SIGCHLD, SIG_DFL);
  sigset_t held;
  sigemptyset(&held);
  sigaddset(&held, SIGUSR2);
  sigprocmask(SIG_BLOCK, &held, NULL);
  raise(SIGUSR2); /* pending */
  struct itimerval timer = {.it_value.tv_sec = 10000};
  setitimer(ITIMER_REAL, &timer, NULL);
  child = fork();
  if (child == 0) _exit(7);
  siginfo_t info;
  waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
  look(&before);
}

static void close_host(void) {
  int status = 0;
  struct itimerval none = {.it_value.tv_sec = 0};
  setitimer(ITIMER_REAL, &none, NULL);
  if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7) exit(2);
}

static int count_descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

/* The core. */

typedef struct worker {
  tide_task task; /* first */
  tide_steps steps;
  tide_stream one, other;
  tide_slice slice;
  tide_job job;
  tide_completion completion;
  tide_borrowed_fd borrowed;
  int pipe[2];
  int results[12];
} worker;

static void nothing(tide_job *job) { (void)job; }

static const struct iovec byte = {.iov_base = (void *)(uintptr_t) "x", .iov_len = 1};

static void step(tide_task *task, int outcome) {
  static const tide_completion_ops ops = {.name = "thing"};
  static const tide_job_ops job_ops = {.name = "job"};
  worker *self = (worker *)(void *)task;
  TIDE_BEGIN(task, &self->steps, outcome);
  TIDE_WAIT(tide_task_sleep_until(task, tide_loop_after(task->loop, 1000000)));
  CHECK_EQ(tide_stream_pair(&self->one, &self->other, task->loop), TIDE_OK);
  TIDE_CALL(tide_stream_write(&self->one, task, &byte, 1));
  TIDE_CALL(tide_stream_read(&self->other, task, 10, &self->slice));
  tide_stream_close(&self->one);
  TIDE_CALL(tide_stream_read(&self->other, task, 10, &self->slice));
  self->results[0] = self->steps.outcome;
  TIDE_CALL(tide_stream_write(&self->other, task, &byte, 1));
  self->results[1] = self->steps.outcome;
  tide_stream_close(&self->other);
  CHECK_EQ(pipe2(self->pipe, O_NONBLOCK | O_CLOEXEC), 0);
  tide_stream_init(&self->one, task->loop, self->pipe[1]);
  close(self->pipe[0]);
  TIDE_CALL(tide_stream_write(&self->one, task, &byte, 1));
  self->results[2] = self->steps.outcome;
  tide_stream_close(&self->one);
  tide_job_init(&self->job, task->loop, nothing, &job_ops);
  CHECK_EQ(tide_job_submit(&self->job, tide_loop_pool(task->loop)), TIDE_OK);
  TIDE_WAIT(tide_job_wait(&self->job, task));
  tide_completion_init(&self->completion, task->loop, &ops);
  CHECK_EQ(tide_completion_post(&self->completion, TIDE_OK), TIDE_OK);
  TIDE_WAIT(tide_completion_wait(&self->completion, task));
  tide_completion_drop(&self->completion);
  self->results[3] = tide_borrowed_fd_init(&self->borrowed, task->loop, 9999);
  self->steps.outcome = TIDE_OK;
  TIDE_END;
}

static void start(worker *self, tide_loop *loop) {
  static const tide_task_ops ops = {.name = "worker", .step = step};
  *self = (worker){.results = {0}};
  tide_task_init(&self->task, loop, &ops);
  CHECK_EQ(tide_task_spawn(&self->task, tide_loop_background(loop)), TIDE_OK);
}

static void check_worker(const worker *self) {
  CHECK_EQ(self->task.state, TIDE_TASK_ENDED);
  CHECK_EQ(self->results[0], TIDE_EEOF);
  CHECK_EQ(self->results[1], TIDE_OS(EPIPE));
  CHECK_EQ(self->results[2], TIDE_OS(EPIPE));
  CHECK_EQ(self->results[3], TIDE_OS(EBADF));
}

static int post_runs;
static void count_run(tide_post *post) {
  (void)post;
  post_runs++;
}

static void the_core_leaves_everything_as_it_was(void) {
  tide_loop *loop = NULL;
  worker self;
  tide_post post;
  tide_listener listener;
  tide_address address;
  tide_stream stream;
  tide_port *port;
  int descriptors = count_descriptors(), result;
  bool more;
  MANNERLY(loop = tide_loop_new(NULL));
  MANNERLY(tide_loop_set_virtual_clock(loop));
  MANNERLY(tide_loop_set_real_clock(loop));
  MANNERLY(start(&self, loop));
  MANNERLY(tide_loop_turn(loop, false));
  MANNERLY(tide_loop_tick(loop, 0, &more));
  MANNERLY(tide_loop_tick(loop, 1000000, &more));
  MANNERLY(tide_loop_turn(loop, true));
  MANNERLY(result = tide_loop_run(loop, &self.task.future));
  CHECK_EQ(result, TIDE_OK);
  check_worker(&self);
  MANNERLY(port = tide_port_new(loop));
  tide_post_init(&post, count_run);
  MANNERLY(tide_loop_post(loop, &post));
  MANNERLY(tide_loop_turn(loop, false));
  MANNERLY(tide_port_post(port, &post));
  MANNERLY(tide_loop_turn(loop, false));
  CHECK_EQ(post_runs, 2);
  MANNERLY(result = tide_address_parse(&address, "no/such/folder/socket", 0));
  CHECK_EQ(tide_address_parse(&address, "unix:/no/such/folder/socket", 0), TIDE_OK);
  MANNERLY(result = tide_listener_open(&listener, loop, &address, NULL));
  CHECK(TIDE_IS_OS(result));
  CHECK_EQ(tide_address_parse(&address, "127.0.0.1", 0), TIDE_OK);
  MANNERLY(result = tide_listener_open(&listener, loop, &address, NULL));
  CHECK_EQ(result, TIDE_OK);
  MANNERLY(tide_listener_close(&listener));
  MANNERLY(tide_stream_init(&stream, loop, 9999));
  MANNERLY(result = tide_stream_close_write(&stream));
  MANNERLY(tide_stream_close(&stream));
  MANNERLY(result = tide_loop_fd(loop));
  CHECK(result >= 0);
  MANNERLY(tide_loop_tick(loop, 1000000, NULL));
  MANNERLY(tide_loop_send_all(loop));
  MANNERLY(tide_loop_free(loop));
  MANNERLY(tide_port_post(port, &post));
  MANNERLY(tide_port_unref(port));
  CHECK_EQ(count_descriptors(), descriptors);
}

/* A guest. */

static void end_loop(struct ev_loop *ev, ev_timer *timer, int events) {
  (void)timer;
  (void)events;
  ev_break(ev, EVBREAK_ONE);
}

static void a_guest_leaves_the_host_its_loop(void) {
  struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO);
  ev_timer timer;
  tide_loop *loop = NULL;
  worker self;
  int mine = 0;
  ev_set_userdata(ev, &mine);
  MANNERLY(loop = tide_loop_new_on(ev, NULL));
  MANNERLY(start(&self, loop));
  for (int i = 0; i < 1000 && self.task.state != TIDE_TASK_ENDED; i++) {
    ev_timer_init(&timer, end_loop, 0.001, 0.);
    ev_timer_start(ev, &timer);
    MANNERLY(ev_run(ev, EVRUN_ONCE));
    ev_timer_stop(ev, &timer);
    CHECK(ev_userdata(ev) == &mine);
  }
  check_worker(&self);
  MANNERLY(tide_loop_free(loop));
  CHECK(ev_userdata(ev) == &mine);
  ev_timer_init(&timer, end_loop, 0., 0.);
  ev_timer_start(ev, &timer);
  CHECK(!ev_run(ev, 0)); /* nothing of tide's is left in it */
  ev_loop_destroy(ev);
}

/* Lua. */

static void told_end(lua_State *L, int error, int count, void *context) {
  (void)L;
  *(int *)context = error == TIDE_OK ? count : error;
}

static void told_stop(lua_State *L, void *context) {
  (void)L;
  *(int *)context += 1;
}

static const char script[] =
    "local net = tide.net\n"
    "tide.on_failure(function() end)\n"
    "local ok, err = pcall(net.connect, '127.0.0.1', 1)\n"
    "assert(not ok and err.code == 'ECONNREFUSED')\n"
    "assert(not pcall(net.connect, 'unix:/no/such/socket'))\n"
    "assert(not pcall(net.listen, 'unix:/no/such/folder/socket'))\n"
    "local a, b = net.pair()\n"
    "a:close() assert(not pcall(b.write, b, ('x'):rep(100000)))\n"
    "local server = net.serve(function(s) s:write(s:read_line()) end, '127.0.0.1', 0)\n"
    "local s = net.connect(server:address()) s:write 'hello\\n'\n"
    "assert(s:read_all() == 'hello')\n"
    "server:close()\n"
    "assert(not pcall(tide.fd.open, 9999))\n"
    "tide.spawn(error, 'nobody awaits this')\n"
    "tide.sleep(0.001)\n"
    "local call, handle = tide.callback(function() end) call() handle:close()\n"
    "return 1, 2, 3";

static int spawn_script(lua_State *L) {
  void *context = lua_touserdata(L, 1);
  if (luaL_loadstring(L, script) != LUA_OK) return lua_error(L);
  tide_lua_spawn_cb(L, 0, told_end, context);
  return 0;
}

static int refused(lua_State *L) {
  tide_lua_push_stream(L, 9999);
  return 0;
}

static int encode(lua_State *L) {
  luaL_dostring(L, "return { 1, { 'x' } }");
  tide_message *message = tide_lua_encode(L, -1, 0, 0);
  tide_lua_decode(L, message, 0);
  tide_message_free(message);
  return 0;
}

static void call(lua_State *L, lua_CFunction function, void *argument) {
  lua_pushcfunction(L, function);
  lua_pushlightuserdata(L, argument);
  lua_pcall(L, 1, 0, 0);
  lua_settop(L, 0);
}

static void lua_in_it_does_too(void) {
  int told = -100, stopped = 0, descriptors = count_descriptors();
  tide_loop *loop = tide_loop_new(NULL);
  lua_State *L = NULL;
  MANNERLY(L = state_new(loop));
  MANNERLY(call(L, spawn_script, &told));
  MANNERLY(tide_loop_turn(loop, false));
  for (int i = 0; i < 1000 && told == -100; i++) MANNERLY(tide_loop_turn(loop, true));
  CHECK_EQ(told, 3);
  MANNERLY(call(L, refused, NULL));
  MANNERLY(call(L, encode, NULL));
  MANNERLY(run_code(L, "tide.spawn(tide.sleep, 100) tide.spawn(function()\n"
                       "  local _ <close> = setmetatable({}, { __close = function() "
                       "tide.shield(tide.sleep, 100) end })\n"
                       "  tide.sleep(100) end)"));
  MANNERLY(tide_loop_turn(loop, false));
  MANNERLY(tide_lua_stop(L, 1000000, told_stop, &stopped));
  for (int i = 0; i < 1000 && stopped == 0; i++) MANNERLY(tide_loop_turn(loop, true));
  CHECK_EQ(stopped, 1);
  MANNERLY(lua_close(L));
  MANNERLY(L = state_new(loop));
  MANNERLY(run_code(L, states_busy));
  for (int i = 0; i < 20; i++) MANNERLY(tide_loop_turn(loop, false));
  MANNERLY(tide_lua_close(L, 1000000));
  MANNERLY(tide_loop_send_all(loop));
  tide_loop_free(loop);
  CHECK_EQ(count_descriptors(), descriptors);
}

int main(void) {
  open_host();
  RUN(the_core_leaves_everything_as_it_was);
  RUN(a_guest_leaves_the_host_its_loop);
  RUN(lua_in_it_does_too);
  close_host();
  return check_summary();
}
