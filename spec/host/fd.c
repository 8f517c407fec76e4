/* fd.c: tide.fd: scripts wait for descriptors of the host's. */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host.h"

/* For Lua: pair() -> two descriptors, each the other's peer; feed(fd), drain(fd), fill(fd),
 * shut(fd), file() -> one of a regular file, epoll() -> one of epoll's. */

static int l_pair(lua_State *L) {
  int fds[2];
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  lua_pushinteger(L, fds[0]);
  lua_pushinteger(L, fds[1]);
  return 2;
}

static int l_feed(lua_State *L) {
  CHECK_EQ(write((int)lua_tointeger(L, 1), "x", 1), 1);
  return 0;
}

static int l_drain(lua_State *L) {
  char buffer[4096];
  while (read((int)lua_tointeger(L, 1), buffer, sizeof buffer) > 0) continue;
  return 0;
}

static int l_fill(lua_State *L) {
  char buffer[4096] = {0};
  while (write((int)lua_tointeger(L, 1), buffer, sizeof buffer) > 0) continue;
  return 0;
}

static int l_shut(lua_State *L) {
  CHECK_EQ(close((int)lua_tointeger(L, 1)), 0);
  return 0;
}

static int l_file(lua_State *L) {
  lua_pushinteger(L, open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  return 1;
}

static int l_epoll(lua_State *L) {
  lua_pushinteger(L, epoll_create1(EPOLL_CLOEXEC));
  return 1;
}

static void open_with_fds(host *h) {
  host_open_for_lua(h);
  lua_register(h->L, "pair", l_pair);
  lua_register(h->L, "feed", l_feed);
  lua_register(h->L, "drain", l_drain);
  lua_register(h->L, "fill", l_fill);
  lua_register(h->L, "shut", l_shut);
  lua_register(h->L, "file", l_file);
  lua_register(h->L, "epoll", l_epoll);
  host_do(h, "fd = tide.fd\n"
             "function try(f, ...)\n"
             "  local ok, err = pcall(f, ...)\n"
             "  return ok and tostring(err) or kind(err)\n"
             "end");
}

static void a_wait_ends_when_there_is_something_to_read(void) {
  host h;
  open_with_fds(&h);
  host_do(&h, "run(function()\n"
              "  local a, b = pair()\n"
              "  local one <close> = fd.open(a)\n"
              "  for i = 1, 3 do\n"
              "    local task = spawn(function() return one:wait('r') end)\n"
              "    sleep(1)\n"
              "    say(i, task:status())\n"
              "    feed(b)\n"
              "    say(task:await())\n"
              "    if i < 3 then drain(a) end\n"
              "  end\n"
              "  say(one:wait('r'), fd.wait(a, 'r'))\n" /* it still is there */
              "  drain(a) shut(b)\n"
              "  say(one:wait('r'))\n" /* the end */
              "  one:close() shut(a)\n"
              "end)");
  CHECK_LUA_LOG(&h, "1 waiting, r, 2 waiting, r, 3 waiting, r, r r, r");
  host_close(&h);
}

static void a_wait_ends_when_there_is_room_to_write(void) {
  host h;
  open_with_fds(&h);
  host_do(&h, "run(function()\n"
              "  local a, b = pair()\n"
              "  say(fd.wait(a, 'w'))\n"
              "  fill(a)\n"
              "  local task = spawn(fd.wait, a, 'w')\n"
              "  sleep(1) say(task:status())\n"
              "  drain(b)\n"
              "  say(task:await())\n"
              "  shut(a) shut(b)\n"
              "end)");
  CHECK_LUA_LOG(&h, "w, waiting, w");
  host_close(&h);
}

static void a_wait_for_both_tells_which_it_was(void) {
  host h;
  open_with_fds(&h);
  host_do(&h, "run(function()\n"
              "  local a, b = pair()\n"
              "  local one <close> = fd.open(a)\n"
              "  for _, wait in ipairs { function() return one:wait 'rw' end,\n"
              "      function() return fd.wait(a, 'rw') end } do\n"
              "    say(wait())\n"
              "    fill(a)\n"
              "    local task = spawn(wait)\n"
              "    sleep(1) say(task:status())\n"
              "    feed(b)\n"
              "    say(task:await())\n"
              "    drain(a)\n"
              "    task = spawn(wait)\n"
              "    sleep(1) drain(b)\n"
              "    say(task:await())\n"
              "  end\n"
              "  one:close() shut(a) shut(b)\n"
              "end)");
  CHECK_LUA_LOG(&h, "w, waiting, r, w, w, waiting, r, w");
  host_close(&h);
}

static void one_task_waits_for_each_direction(void) {
  host h;
  open_with_fds(&h);
  host_do(
      &h,
      "run(function()\n"
      "  local a, b = pair()\n"
      "  local one <close> = fd.open(a)\n"
      "  fill(a)\n"
      "  local reads, writes = spawn(one.wait, one, 'r'), spawn(one.wait, one, 'w')\n"
      "  sleep(0)\n"
      "  say(try(one.wait, one, 'r'), try(one.wait, one, 'w'), try(one.wait, one, 'rw'))\n"
      "  say(try(tide.select, one:readable()), try(tide.select, tide.Event(), one:writable()))\n"
      "  local other <close> = fd.open(a)\n" /* another object is no hindrance */
      "  local also = spawn(other.wait, other, 'rw')\n"
      "  sleep(0)\n"
      "  feed(b)\n"
      "  say(reads:await(), also:await(), writes:status())\n"
      "  drain(b)\n"
      "  say(writes:await())\n"
      "  one:close() other:close() shut(a) shut(b)\n"
      "end)");
  CHECK_LUA_LOG(&h, "invalid_state invalid_state invalid_state, invalid_state invalid_state, "
                    "r r waiting, w");
  host_close(&h);
}

static void its_directions_are_cases_of_select(void) {
  host h;
  open_with_fds(&h);
  host_do(&h, "run(function()\n"
              "  local a, b = pair()\n"
              "  local one <close> = fd.open(a)\n"
              "  local queue = tide.Queue()\n"
              "  say(tostring(one:readable()), tostring(one:writable()), "
              "(tostring(one):gsub('%d+', 'n')))\n"
              "  say(tide.select(one:readable(), one:writable()))\n"
              "  fill(a)\n"
              "  say(tide.select(one:readable(), one:writable(), tide.after(1)))\n"
              "  local task = spawn(tide.select, queue, one:writable(), one:readable())\n"
              "  sleep(1) feed(b)\n"
              "  say(task:await())\n"
              "  queue:put('x')\n"
              "  say(tide.select(queue, one:readable()))\n"
              "  say(try(tide.select, one:writable(), one:writable(), queue))\n" /* one at a time */
              "  task = spawn(tide.select, queue, one:writable())\n"
              "  sleep(0) one:close()\n"
              "  say(try(task.await, task), try(tide.select, one:readable()))\n"
              "  shut(a) shut(b)\n"
              "end)");
  CHECK_LUA_LOG(&h, "case(Fd.readable) case(Fd.writable) Fd(n), 2, 3, 3, 1 x, invalid_state, "
                    "closed closed");
  host_close(&h);
}

static void closing_the_object_ends_waits_and_leaves_the_descriptor(void) {
  host h;
  open_with_fds(&h);
  host_do(&h, "run(function()\n"
              "  local a, b = pair()\n"
              "  for _, mode in ipairs { 'r', 'rw' } do\n"
              "    local one = fd.open(a)\n"
              "    fill(a)\n"
              "    local task = spawn(one.wait, one, mode)\n"
              "    sleep(0) one:close() one:close()\n"
              "    say(try(task.await, task), try(one.wait, one, mode), tostring(one))\n"
              "  end\n"
              "  drain(b) feed(a) say(fd.wait(b, 'r'))\n"
              "  shut(a) shut(b)\n"
              "end)");
  CHECK_LUA_LOG(&h, "closed closed Fd(closed), closed closed Fd(closed), r");
  host_close(&h);
}

static void who_is_cancelled_or_killed_leaves_its_place(void) {
  host h;
  open_with_fds(&h);
  host_do(&h, "run(function()\n"
              "  local a, b = pair()\n"
              "  local one <close> = fd.open(a)\n"
              "  fill(a)\n"
              "  for _, how in ipairs { 'cancel', 'kill' } do\n"
              "    for _, mode in ipairs { 'r', 'w', 'rw' } do\n"
              "      for _, wait in ipairs { function() one:wait(mode) end,\n"
              "          function() fd.wait(a, mode) end,\n"
              "          function() tide.select(one:readable(), one:writable()) end } do\n"
              "        for turns = 0, 2 do\n"
              "          local task = spawn(wait)\n"
              "          for _ = 1, turns do sleep(0) end\n"
              "          task[how](task)\n"
              "          pcall(task.await, task)\n"
              "          assert(task:cancelled())\n"
              "        end\n"
              "      end\n"
              "    end\n"
              "  end\n"
              "  say(tostring(tide.move_on_after(1, one.wait, one, 'rw')))\n"
              "  feed(b) say(one:wait('rw'))\n"
              /* woken, and then killed */
              "  local task = spawn(one.wait, one, 'rw')\n"
              "  sleep(0) sleep(0) task:kill()\n"
              "  say(one:wait('rw'))\n"
              "  one:close() shut(a) shut(b)\n"
              "end)");
  CHECK_LUA_LOG(&h, "false, r, r");
  host_close(&h);
}

static void a_regular_file_is_always_ready(void) {
  host h;
  open_with_fds(&h);
  host_do(&h, "run(function()\n"
              "  local file = file()\n"
              "  say(fd.wait(file, 'r'), fd.wait(file, 'w'), fd.wait(file, 'rw'))\n"
              "  shut(file)\n"
              "end)");
  CHECK_LUA_LOG(&h, "r w r");
  host_close(&h);
}

static void what_is_no_descriptor_is_refused(void) {
  host h;
  open_with_fds(&h);
  host_do(
      &h,
      "run(function()\n"
      "  local a, b = pair()\n"
      "  shut(a) shut(b)\n"
      "  for _, f in ipairs { fd.wait, fd.open } do\n"
      "    local ok, err = pcall(f, a, 'r')\n"
      "    say(kind(err), err.code, (err.message:match('^descriptor %d+: ')) and 'named')\n"
      "    for _, bad in ipairs { -1, 1.5, '', {}, 2^40 } do\n"
      "      ok, err = pcall(f, bad, 'r')\n"
      "      assert(not ok and tostring(err):find 'bad argument #1')\n"
      "    end\n"
      "  end\n"
      "  for _, bad in ipairs { '', 'x', 'wr', {} } do\n"
      "    local ok, err = pcall(fd.wait, 0, bad)\n"
      "    assert(not ok and err:find 'bad argument #2')\n"
      "  end\n"
      "  assert(not pcall(fd.wait, 0) and not pcall(fd.open) and not pcall(fd.wait))\n"
      /* one of epoll's, which may be the loop's own */
      "  local e = epoll()\n"
      "  for number = 0, e do\n"
      "    local ok, err = pcall(fd.open, number)\n"
      "    if ok then err:close() else assert(err.code == 'EINVAL' or err.code == 'EBADF') end\n"
      "    if number == e then say(err.code) end\n"
      "  end\n"
      "  shut(e)\n"
      "end)\n"
      "say(try(fd.wait, 0, 'r'))");
  CHECK_LUA_LOG(&h, "os EBADF named, os EBADF named, EINVAL, no_task");
  host_close(&h);
}

/* The owner closes the descriptor, at all moments: nothing crashes, and whoever begins to wait
 * hears of it. */
static void an_owner_who_closes_first_does_no_harm(void) {
  host h;
  open_with_fds(&h);
  host_do(
      &h,
      "run(function()\n"
      /* in the turn in which the wait began */
      "  for _, mode in ipairs { 'r', 'w', 'rw' } do\n"
      "    local a, b = pair()\n"
      "    local one, other = fd.open(a), fd.open(a)\n"
      "    fill(a)\n"
      "    local tasks = { spawn(try, one.wait, one, mode), spawn(try, other.wait, other, 'r'),\n"
      "      spawn(try, fd.wait, a, mode), spawn(try, tide.select, tide.Queue(), one:readable()) "
      "}\n"
      "    local closer = spawn(function() shut(a) end)\n"
      "    local kinds = {}\n"
      "    for i, task in ipairs(tasks) do kinds[i] = task:await() end\n"
      "    say(mode, table.concat(kinds, ' '))\n"
      "    say(try(one.wait, one, 'r'), try(other.wait, other, 'w'))\n"
      "    one:close() other:close() shut(b)\n"
      "  end\n"
      /* before a wait begins, after one has ended, and while others wait */
      "  local a, b = pair()\n"
      "  local one, other, third = fd.open(a), fd.open(a), fd.open(a)\n"
      "  one:wait 'w' feed(b) one:wait 'r' fill(a)\n"
      "  local waits = spawn(other.wait, other, 'w')\n"
      "  sleep(1)\n"
      "  shut(a)\n"
      "  local c, d = pair()\n" /* the number stands for another now */
      "  assert(c == a)\n"
      "  one:close()\n"
      "  sleep(1)\n"
      "  say(third:wait 'w', fd.wait(c, 'w'))\n"
      "  other:close() third:close()\n"
      "  say(try(waits.await, waits))\n"
      "  shut(b) shut(c) shut(d)\n"
      /* while all wait: they do not end by that, and can be cancelled */
      "  a, b = pair()\n"
      "  one, other = fd.open(a), fd.open(a)\n"
      "  fill(a)\n"
      "  waits = spawn(one.wait, one, 'r')\n"
      "  local writes = spawn(other.wait, other, 'w')\n"
      "  sleep(1)\n"
      "  shut(a)\n"
      "  sleep(1)\n"
      "  say(waits:status(), writes:status())\n"
      "  waits:cancel()\n" /* what the other watches is told to the kernel again */
      "  sleep(1)\n"
      "  say(waits:status())\n"
      "  one:close()\n"
      "  say(try(writes.await, writes))\n"
      "  other:close() shut(b)\n"
      "end)");
  CHECK_LUA_LOG(&h, "r os os os invalid_state, os os, w os os os os, os os, "
                    "rw os os os invalid_state, os os, w w, w, waiting waiting, cancelled, os");
  host_close(&h);
}

static void objects_that_are_dropped_watch_nothing(void) {
  host h;
  open_with_fds(&h);
  host_do(&h, "run(function()\n"
              "  local a, b = pair()\n"
              "  for i = 1, 1000 do fd.open(a) fd.open(a):readable() end\n"
              "  spawn(function() fd.open(a):wait 'r' end)\n"
              "  local case = fd.open(a):readable()\n"
              "  sleep(0)\n"
              "  collectgarbage() collectgarbage()\n"
              "  feed(b)\n"
              "  say(tide.select(case))\n" /* a case keeps its object */
              "  sleep(0) shut(a) shut(b)\n"
              "end)");
  host_collect_garbage(&h);
  CHECK_EQ(tide_loop_get_stats(h.w.loop).watching, 0);
  CHECK_LUA_LOG(&h, "1");
  host_close(&h);
}

static void the_state_is_closed_while_tasks_wait(void) {
  for (int turns = 0; turns < 3; turns++) {
    host h;
    open_with_fds(&h);
    host_do(&h, "a, b = pair()\n"
                "fill(a)\n"
                "kept = fd.open(a)\n"
                "for _, mode in ipairs { 'r', 'w', 'rw' } do\n"
                "  spawn(function() fd.open(a):wait(mode) end)\n"
                "  spawn(fd.wait, a, mode)\n"
                "end\n"
                "spawn(function() tide.select(kept:readable(), kept:writable()) end)\n"
                "closer(function() shut(a) shut(b) end)\n"
                "late = setmetatable({}, { __gc = function() say(tide.try(kept.wait, kept, 'r'),\n"
                "  pcall(fd.open, a)) kept:close() end })");
    for (int i = 0; i < turns; i++) tide_loop_turn(h.w.loop, false);
    lua_getglobal(h.L, "a");
    lua_getglobal(h.L, "b");
    int a = (int)lua_tointeger(h.L, -2), b = (int)lua_tointeger(h.L, -1);
    host_close_state(&h);
    CHECK_EQ(close(a), 0);
    CHECK_EQ(close(b), 0);
    CHECK_EQ(h.w.memory.in_use, 0);
  }
}

static void memory_and_descriptors_may_be_short(void) {
  struct rlimit was, few;
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
  for (unsigned number = 1; number < 40; number++) {
    host h;
    open_with_fds(&h);
    host_do(&h, "a, b = pair()\n"
                "function work() for _ = 1, 2 do local one <close> = fd.open(a) one:wait('w')\n"
                "  fd.wait(a, 'rw') tide.select(one:readable(), one:writable()) end end");
    h.w.memory.fail_at = h.w.memory.allocations + number;
    luaL_dostring(h.L, "pcall(run, work)");
    h.w.memory.fail_at = 0;
    h.luas.fail_at = h.luas.allocations + number;
    luaL_dostring(h.L, "pcall(run, work)");
    h.luas.fail_at = 0;
    host_do(&h, "run(work) shut(a) shut(b)");
    host_close(&h);
  }
  host h;
  open_with_fds(&h);
  host_do(&h, "a, b = pair() e = epoll() run(function() fd.wait(a, 'w') end)");
  few = was;
  few.rlim_cur = 3;
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  host_do(&h, "run(function() say(fd.wait(a, 'rw'), try(fd.open, e)) end)"); /* needs none */
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
  host_do(&h, "shut(a) shut(b) shut(e)");
  CHECK_LUA_LOG(&h, "w os");
  host_close(&h);
}

/* Whether a descriptor without a type is epoll's is asked with the help of another one. */
static void the_system_may_refuse_to_tell_what_it_is(void) {
  host h;
  open_with_fds(&h);
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  lua_pushinteger(h.L, fd);
  lua_setglobal(h.L, "timer");
  tide_faults faults = {.call = TIDE_CALL_EVENTFD, .at = 1, .error = EMFILE};
  tide_loop_set_faults(h.w.loop, &faults);
  host_do(&h, "local ok, err = pcall(fd.open, timer) say(err.code)\n"
              "fd.open(timer):close()");
  tide_loop_set_faults(h.w.loop, NULL);
  CHECK_LUA_LOG(&h, "EMFILE");
  CHECK_EQ(close(fd), 0);
  host_close(&h);
}

/* Of streams. */

static void a_stream_is_readable_when_a_read_would_not_wait(void) {
  host h;
  open_with_fds(&h);
  host_do(&h,
          "run(function()\n"
          "  local one, other = tide.net.pair()\n"
          "  local queue = tide.Queue()\n"
          "  say(tostring(one:readable()), tide.select(one:readable(), tide.after(1)))\n"
          "  local task = spawn(function() return tide.select(queue, one:readable()) end)\n"
          "  sleep(1) say(task:status())\n"
          "  other:write 'abc'\n"
          "  say(task:await())\n"
          "  say(tide.select(one:readable()), one:read(2), tide.select(one:readable(), queue))\n"
          "  say(one:read(2), tide.select(one:readable(), tide.after(0)))\n"
          "  queue:put(1) other:write 'd'\n"
          "  say(tide.select(queue, one:readable()))\n"
          "  say(tide.select(queue, one:readable()), one:read_exactly(1))\n"
          "  task = spawn(tide.select, queue, one:readable())\n"
          "  sleep(0) other:close()\n"
          "  say(task:await(), tostring(one:read()), tide.select(one:readable()))\n" /* the end */
          "  one:close()\n"
          "  say(try(tide.select, one:readable()))\n"
          "end)");
  CHECK_LUA_LOG(&h, "case(Stream.readable) 2, waiting, 2, 1 ab 1, c 2, 1 1, 2 d, 2 nil 1, closed");
  host_close(&h);
}

static void a_stream_that_somebody_reads_is_no_case(void) {
  host h;
  open_with_fds(&h);
  host_do(&h, "run(function()\n"
              "  local one <close>, other = tide.net.pair()\n"
              "  local _ <close> = other\n"
              "  local reads = spawn(one.read, one)\n"
              "  sleep(0)\n"
              "  say(try(tide.select, one:readable()))\n"
              "  other:write 'x' say(reads:await())\n"
              "  local waits = spawn(tide.select, tide.Queue(), one:readable())\n"
              "  sleep(0)\n"
              "  say(try(one.read, one), try(tide.select, one:readable()))\n"
              "  say(waits:status())\n"
              "  for _, how in ipairs { 'cancel', 'kill' } do\n"
              "    waits[how](waits) pcall(waits.await, waits)\n"
              "    waits = spawn(tide.select, tide.Queue(), one:readable())\n"
              "    sleep(0)\n"
              "  end\n"
              "  other:write 'y'\n"
              "  say(waits:await(), one:read())\n"
              "  waits = spawn(tide.select, tide.Queue(), one:readable())\n"
              "  sleep(0) one:close()\n"
              "  say(try(waits.await, waits))\n"
              "end)");
  CHECK_LUA_LOG(&h, "invalid_state, x, invalid_state invalid_state, waiting, 2 y, closed");
  host_close(&h);
}

int main(void) {
  RUN(a_wait_ends_when_there_is_something_to_read);
  RUN(a_wait_ends_when_there_is_room_to_write);
  RUN(a_wait_for_both_tells_which_it_was);
  RUN(one_task_waits_for_each_direction);
  RUN(its_directions_are_cases_of_select);
  RUN(closing_the_object_ends_waits_and_leaves_the_descriptor);
  RUN(who_is_cancelled_or_killed_leaves_its_place);
  RUN(a_regular_file_is_always_ready);
  RUN(what_is_no_descriptor_is_refused);
  RUN(an_owner_who_closes_first_does_no_harm);
  RUN(objects_that_are_dropped_watch_nothing);
  RUN(the_state_is_closed_while_tasks_wait);
  RUN(memory_and_descriptors_may_be_short);
  RUN(the_system_may_refuse_to_tell_what_it_is);
  RUN(a_stream_is_readable_when_a_read_would_not_wait);
  RUN(a_stream_that_somebody_reads_is_no_case);
  return check_summary();
}
