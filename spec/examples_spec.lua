-- Runs the programs in examples/ and looks at what they print.

local function lowest_argument()
  local i = 0
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

local build = os.getenv "TIDE_BUILD"
local program = build and build .. "/tide" or lowest_argument()

-- What a command prints (both outputs), and whether it ended well.
local function sh(command)
  local pipe <close> = assert(io.popen("{ " .. command .. "\n} 2>&1"))
  local output = pipe:read("a")
  local ok = pipe:close()
  return output, ok
end

-- In virtual time: what an example prints does not depend on the machine's speed.
local in_virtual_time = [[
local path = ...
arg = { [0] = path }
require "tide".testing.run(assert(loadfile(path)))
]]

local function run(example)
  local output, ok = sh(("timeout -k 10 120 '%s' -e '%s' examples/%s"):format(program, in_virtual_time, example))
  assert(ok, output)
  return output
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

-- Each of the patterns is in `text`, behind the one before.
local function check_in_order(text, patterns)
  local position = 1
  for _, pattern in ipairs(patterns) do
    local _, last = text:find(pattern, position)
    assert(last, ("not found: %s\nin:\n%s"):format(pattern, text))
    position = last + 1
  end
end

if not sh(("'%s' -v"):format(program)):find "^tide" then
  pending "the examples need the program tide (TIDE_BUILD)"
  return
end

describe("examples", function()
  it("udp_time.lua", function()
    check_in_order(run "udp_time.lua", {
      "ada knows the time: true\n", "bob knows", "cyd knows", "dan knows", "eve knows", "fay knows the time: true\n",
      "6 answers to %d+ questions\n",
    })
  end)

  it("tls_echo.lua", function()
    if not require "spec.certificates".available then return pending "no OpenSSL, or not its program" end
    check_in_order(run "tls_echo.lua", {
      "a friend, TLSv1.3: hello\n", "who believes everybody, TLSv1.3: hello again\n", "a stranger: self_signed\n",
      "who wants another: the certificate is for localhost, and not for example.org\n",
    })
  end)

  it("producers.lua", function()
    local output = run "producers.lua"
    check_in_order(output, { "goes home", "goes home", "goes home", "done: 9 stones, 12 logs" })
    local by = {}
    for count in output:match("by: (.*)"):gmatch "%d+" do by[#by + 1] = tonumber(count) end
    assert.equal(21, by[1] + by[2] + by[3])
  end)

  it("groups.lua", function()
    check_in_order(run "groups.lua", {
      "users's rows and orders's rows",
      "one fails:", "users closed %(cancelled%)", "TaskGroup 'report': 1 task failed", "1%. db: table is gone",
      "several fail:", "database: table is gone; no permission", "late: server is slow",
      "raised again:", "database: handled", "left: server is slow\n$",
    })
  end)

  it("timeouts.lua", function()
    check_in_order(run "timeouts.lua", {
      "^in time: forty%-two\n", "timeout after 0%.1 s\n", "step 1\n", "block: timeout after 0%.1 s\n",
      "moved on without the news\n", "nested: timeout after 0%.1 s\n",
      "with progress: finished after 0%.2 s\n", "saved\n", "after the shield: timeout\n",
      "waiter: timeout, task: for all\n$",
    })
  end)

  it("health.lua", function()
    local output = run "health.lua"
    check_in_order(output, { "^ 10 down %(ECONNREFUSED%)\n", " 81 ok\n", "  4 slow\n", "  5 unwell\n" })
    assert.matches("100 services in %d%.%d s, 10 at most at once", output)
  end)

  it("tour.lua", function()
    local output = run "tour.lua"
    check_in_order(output, {
      "listening on 127%.0%.0%.1:%d+", "12 connections",
      "max said 100 lines, the others heard 1000",
      "server: sloth is too slow", "server: sloth has left", "MB were said, and all the others have heard them",
      "caught: .*rusty hit a bug", "11 connections go on",
      "timeout; the stream is unharmed",
      "the others heard 520 lines; 0 connections, 2 task left\n$", -- it, and the program's that runs it
    })
    assert.not_matches("stack traceback", output)
  end)
end)

-- Shell functions for the specs with netcat: a client NAME writes what comes through NAME.in and
-- keeps in NAME.out what it hears.
local prelude = [[
dir=$(mktemp -d) && cd "$dir" || exit 1
trap 'exec 3>&- 4>&- 5>&-; kill $server 2>/dev/null; rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*"; head -c 1000 *.out log; exit 1; }
saw() { # FILE TEXT: until the file has the text
  tries=0
  until grep -qF -e "$2" "$1" 2>/dev/null; do
    tries=$((tries + 1)); [ $tries -lt 1200 ] || fail "no '$2' in $1"
    sleep 0.05
  done
}
serve() {
  TIDE "$@" >log 2>&1 &
  server=$!
  saw log listening
  port=$(sed -n 's/^listening on [^ ]* //p' log)
}
stop() {
  kill -TERM $server
  wait $server
  echo "status $?"
  exec 3>&- 4>&- # the input of the clients, who wait for its end too
}
]]

local function nc_spec(script)
  local here = sh("pwd"):gsub("\n", "")
  local path = program:find "^/" and program or here .. "/" .. program
  local commands = prelude:gsub("TIDE", function() return ("'%s' '%s/examples/chat.lua'"):format(path, here) end) .. script
  local name = os.tmpname()
  do
    local file <close> = assert(io.open(name, "w"))
    file:write(commands)
  end
  local output = sh("timeout -k 10 100 sh " .. name)
  os.remove(name)
  return output
end

local has_nc = sh("nc -h"):find "OpenBSD"
local nc_it = has_nc and it or pending

describe("examples/chat.lua with netcat", function()
  nc_it("passes on what is said, and says goodbye", function()
    local output = nc_spec [[
      serve 127.0.0.1 0
      mkfifo ann.in bob.in
      nc 127.0.0.1 $port <ann.in >ann.out & ann=$!
      nc 127.0.0.1 $port <bob.in >bob.out & bob=$!
      exec 3>ann.in 4>bob.in
      saw ann.out 'Your name?'; echo ann >&3; saw log 'ann has joined'
      echo ann >&4; saw bob.out 'Another name?'
      echo bob >&4; saw ann.out '* bob has joined'
      echo hello >&3; saw bob.out 'ann: hello'
      echo welcome >&4; saw ann.out 'bob: welcome'
      (echo cid; echo bye) | nc -N 127.0.0.1 $port >cid.out
      saw ann.out '* cid has left'
      stop
      wait $ann $bob
      cat ann.out
    ]]
    assert.equal([[
status 143
Your name?
* bob has joined
bob: welcome
* cid has joined
cid: bye
* cid has left
* closing
]], output)
  end)

  nc_it("works over a unix socket", function()
    local output = nc_spec [[
      serve "unix:$dir/socket"
      mkfifo ann.in
      nc -U socket <ann.in >ann.out & ann=$!
      exec 3>ann.in
      echo ann >&3; saw log 'ann has joined'
      (echo bob; echo hello) | nc -N -U socket >bob.out
      saw ann.out '* bob has left'
      stop
      wait $ann
      cat ann.out
      [ -e socket ] || echo 'socket removed'
    ]]
    assert.equal([[
status 143
Your name?
* bob has joined
bob: hello
* bob has left
* closing
socket removed
]], output)
  end)

  nc_it("throws out who does not read, and whose client is killed leaves", function()
    local output = nc_spec [[
      serve 127.0.0.1 0
      mkfifo ann.in sloth.in sloth.pipe
      nc 127.0.0.1 $port <ann.in >ann.out & ann=$!
      exec 3>ann.in
      echo ann >&3; saw log 'ann has joined'
      exec 5<>sloth.pipe
      nc 127.0.0.1 $port <sloth.in >sloth.pipe & sloth=$!
      exec 4>sloth.in
      echo sloth >&4; saw log 'sloth has joined'
      line=$(printf %01000d 0)
      kill -KILL $ann; saw log 'ann has left'
      (echo flood; yes $line | head -n 30000) | nc -N 127.0.0.1 $port >flood.out
      saw log 'sloth has left'
      saw log 'flood has left'
      kill -KILL $sloth
      stop
      grep sloth log
    ]]
    assert.equal("status 143\nsloth has joined\nsloth is too slow\nsloth has left\n", output)
  end)
end)

-- A Python that is new enough and has the modules, or nil: Debian's, behind the first in the path.
local function python_with(modules)
  for _, python in ipairs { "python3", "/usr/bin/python3" } do
    local command = "%s -c 'import sys, %s; sys.exit(sys.version_info < (3, 11))'"
    if select(2, sh(command:format(python, modules))) then return python end
  end
end

local pythons = { asyncio = python_with "asyncio", greenlet = python_with "greenlet" }

-- The same for Python: where its loop would wait for a deadline, the time is that deadline.
local asyncio_in_virtual_time = [[
import asyncio, runpy, sys

class Loop(asyncio.SelectorEventLoop):
    def __init__(self):
        super().__init__()
        self.now = 0.0
        select = self._selector.select
        def jump(timeout):
            events = select(0 if timeout else timeout)
            if timeout and not events:
                self.now += timeout
            return events
        self._selector.select = jump

    def time(self):
        return self.now

class Policy(asyncio.DefaultEventLoopPolicy):
    _loop_factory = Loop

asyncio.set_event_loop_policy(Policy())
runpy.run_path(sys.argv[1], run_name="__main__")
]]

local function contains(path, text)
  local file <close> = assert(io.open(path))
  return file:read("a"):find(text, 1, true) ~= nil
end

-- Lua lacks the sanitizers.
local lua = sh "command -v lua5.4" ~= "" and not (build and build:find "asan") and "lua5.4"

local function run_by_lua(path)
  local output, ok = sh(("timeout 60 %s %s"):format(lua, path))
  assert(ok, output)
  return output
end

describe("examples/asyncio prints what its twin in Python prints:", function()
  for path in sh("ls examples/asyncio/*.lua"):gmatch "[^\n]+" do
    local name = path:match "([^/]+)%.lua$"
    local bare = contains(path, "run_forever") -- it runs the loop itself, outside a task: for Lua with the module
    local twin = "examples/asyncio/" .. name .. ".py"
    local python = pythons[contains(twin, "from greenlet import") and "greenlet" or "asyncio"]
    local it_runs = (bare and not lua or not python) and pending or it
    it_runs(name, function()
      local expected, ok = sh(("timeout 60 %s -c '%s' %s"):format(python, asyncio_in_virtual_time, twin))
      assert(ok, expected)
      assert.same(lines_of(expected), lines_of(bare and run_by_lua(path) or run("asyncio/" .. name .. ".lua")))
    end)
  end
end)
