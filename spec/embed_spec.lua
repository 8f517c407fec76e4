-- The programs in examples/embed/, built by CMake against an installed tide.

local build = os.getenv "TIDE_BUILD"

-- What a shell command prints (both outputs), and whether it ended well.
local function sh(command)
  local pipe <close> = assert(io.popen("{ " .. command .. "\n} 2>&1"))
  local output = pipe:read("a")
  local ok = pipe:close()
  return output, ok
end

local function succeeds(command)
  local output, ok = sh(command)
  assert(ok, command .. "\n" .. output)
  return output
end

if not build or build:find "asan" or not select(2, sh "command -v cmake cc pkg-config") then
  pending "the embedded examples need CMake and a build without sanitizers (TIDE_BUILD)"
  return
end

describe("examples/embed", function()
  local dir

  setup(function()
    dir = sh("mktemp -d"):gsub("\n", "")
    succeeds(("cmake --install '%s' --prefix '%s/prefix' >'%s/log'"):format(build, dir, dir))
    succeeds(("cmake -S examples/embed -B '%s/build' -DCMAKE_PREFIX_PATH='%s/prefix' >'%s/log'"):format(dir, dir, dir))
    succeeds(("cmake --build '%s/build' --parallel 2"):format(dir))
  end)

  teardown(function() sh(("rm -rf '%s'"):format(dir)) end)

  local function run(command)
    return succeeds(("cd '%s/build' && timeout -k 5 60 %s"):format(dir, command))
  end

  it("own_waitable: a source of waits from public headers, with cancellation and select", function()
    assert.equal([[
hasty: timeout
patient: the water is at 3
patient: no need to wait for 2
choosy: the water
]], run "./own_waitable")
  end)

  it("pipeline: queues push back, time is up, and every job is freed once", function()
    assert.equal([[
the director: timeout, 99 jobs are done, the sum of their squares is 328350
the producer has made many jobs and ends: cancelled
every job was freed once
]], run "./pipeline")
  end)

  it("threads: loops in threads, channels and posts between them, a job", function()
    assert.equal([[
3 threads found 9592 primes in 16 pieces
a job found 9592
all have said bye: yes
]], run "./threads")
  end)

  it("ten_lines: a script that waits", function()
    assert.equal("hello\tafter\t1\ttask\n", run "./ten_lines")
  end)

  it("libev_host: a guest in a libev loop, which ends with the work of both", function()
    local output = run "./libev_host"
    assert.equal([[
script: step 1
script: step 2
script: step 3
script: the program says that it is done
]], (output:gsub("program:[^\n]*\n", ""))) -- timers of both, by the real clock
    assert.equal([[
program: tick 1
program: tick 2
program: nothing left
]], (output:gsub("script:[^\n]*\n", "")))
    assert.matches("done\nprogram: nothing left\n$", output)
  end)

  it("poll_host: beside a loop that polls descriptors", function()
    assert.equal([[
script: ONE
script: TWO
script: no more lines, the clock went on
]], run [[sh -c "printf 'one\ntwo\n' | ./poll_host"]])
  end)

  it("wake_host: beside a loop that watches no descriptors, woken by a thread", function()
    assert.equal([[
script: key	1
script: key	2
script: key	3
script: key	4
script: the cursor blinked
]], run "./wake_host")
  end)

  it("game_loop: frames, a budget, and scripts that are reloaded while the game goes on", function()
    local output = run [[sh -c './game_loop 60 & pid=$!; sleep 0.3; kill -HUP $pid; wait $pid']]
    assert.matches("in 60 frames", output)
    local longest, steps, reloads = output:match "longest ([%d.]+) ms, (%d+) steps, (%d+) reloads"
    assert(tonumber(longest) and tonumber(steps) > 3000, output)
    assert.equal("1", reloads)
  end)

  it("async_c: callbacks from another thread, made awaitable", function()
    assert.equal("both:\t3\t5\nslow:\tfalse\ttimeout\n", run "./async_c")
  end)

  it("job: work that blocks, by a thread of the pool", function()
    assert.equal([[
sum, bytes:	294	3
removed:	false	ENOENT
endless:	false	timeout	others went on
]], run "./job")
  end)

  it("two_states: a queue and a channel between two states in one loop, one of which is unloaded", function()
    assert.equal([[
worker: cleans up
program: the worker is unloaded
customer: has all, and goes on:	true
customer: the rest waits:	true
]], run "./two_states")
  end)

  it("postgres: queries that suspend a task, their cancellation, transactions", function()
    if not select(2, sh(("test -x '%s/build/postgres'"):format(dir))) then return pending "needs libpq" end
    local output, ok = sh(("timeout -k 5 60 spec/with_postgres.sh '%s/build/postgres'; echo \"status $?\""):format(dir))
    if output == "status 77\n" then return pending "needs a PostgreSQL server" end
    assert(ok)
    assert.equal([[
sum	42
others went on	true
too slow	timeout
failed	postgres	ERROR:  column "no_such_column" does not exist
rows	100000	1
status 0
]], output)
  end)

  it("host: the same in C++", function()
    assert.equal("second: timeout\nfirst: slept well\n", run "./host")
  end)

  it("echo: says back what it is told, to many at once, and ends with its input", function()
    if not sh("nc -h"):find "OpenBSD" then return pending "needs OpenBSD's nc" end
    assert.equal([[
one two three
1048576
hello
closed
]], run [[sh -c '
      mkfifo input; ./echo 127.0.0.1 0 <input >log & exec 3>input
      until grep -q listening log; do sleep 0.01; done
      port=$(sed -n "s/^listening on .*://p" log)
      mkfifo held; nc -N 127.0.0.1 $port <held >held.out 3>&- & exec 4>held
      echo one two three | nc -N 127.0.0.1 $port
      head -c 1048576 /dev/zero | nc -N 127.0.0.1 $port | wc -c
      echo hello >&4
      until [ -s held.out ]; do sleep 0.01; done
      exec 3>&- 4>&-
      wait
      cat held.out; tail -n 1 log']])
  end)
end)
