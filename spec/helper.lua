-- spec.helper: what every spec file gets: tide, and a check after each spec that nothing is left.
--
-- busted --helper=spec/helper.lua loads it before the specs; they get it by require "spec.helper".
-- Busted may run under lua5.4 or under the program tide: then all specs are inside one task.
local tide = require "tide"
local busted = require "busted"

local helper = {}

-- How many points and seeds specs that try many take: "quick", "usual" or "full".
helper.thoroughness = os.getenv "TIDE_SWEEP" or "usual"
package.loaded["spec.helper"] = helper

-- TIDE_ONE_BYTE in the environment: each system call that reads or writes moves one byte.
if os.getenv "TIDE_ONE_BYTE" then tide.testing.one_byte(true) end

-- ---- what is open

local has_lfs, lfs = pcall(require, "lfs")

-- The number of open descriptors, or 0 where the system does not tell.
function helper.count_fds()
  if not has_lfs or not lfs.attributes("/proc/self/fd") then return 0 end
  local count = 0
  for _ in lfs.dir("/proc/self/fd") do count = count + 1 end
  return count
end

-- References in the registry: not its names, and not luaL_ref's list of free places.
local function count_registry()
  local count = 0
  for key, value in pairs(debug.getregistry()) do
    if type(key) ~= "string" and math.type(value) ~= "integer" then count = count + 1 end
  end
  return count
end

-- What the process holds, garbage included.
function helper.holdings_now()
  local stats = tide.stats()
  return {
    fds = helper.count_fds(),
    registry = count_registry(),
    tasks = stats.tasks,
    handles = stats.handles,
    ready = stats.ready,
    timers = stats.timers,
    watching = stats.watching,
  }
end

-- What the process holds, after all garbage is gone.
function helper.holdings()
  collectgarbage()
  collectgarbage()
  return helper.holdings_now()
end

-- What there is more of in `after` than in `before`, as text; nil if nothing.
function helper.leaked(before, after)
  local lines = {}
  for what, count in pairs(after) do
    if count > before[what] then lines[#lines + 1] = ("%d %s"):format(count - before[what], what) end
  end
  table.sort(lines)
  return #lines > 0 and table.concat(lines, ", ") or nil
end

-- ---- a spec that does not end

-- Seconds until a spec is said to hang and the process is killed: TIDE_SPEC_SECONDS, or enough for
-- any machine.
local limit = tonumber(os.getenv "TIDE_SPEC_SECONDS")
  or (os.getenv "TIDE_BUILD" or ""):find "asan" and 360 or 120

local where_we_are = os.tmpname() -- the file that tells the watchdog
local count = 0

-- Tells the watchdog what begins.
local function now_begins(what)
  local file <close> = io.open(where_we_are, "w")
  count = count + 1
  if file then file:write(("%s (%d)\n"):format(what:gsub("\n", " "), count)) end
end

local inside = {} -- the names of the file and the `describe`s that we are in

local function enters(element)
  inside[#inside + 1] = element.name
  return nil, true
end

local function leaves()
  inside[#inside] = nil
  return nil, true
end

for _, kind in ipairs { "file", "describe" } do
  busted.subscribe({ kind, "start" }, enters)
  busted.subscribe({ kind, "end" }, leaves)
end

local function name_of(test)
  return table.concat(inside, " ") .. " " .. test.name
end

now_begins "the first spec"
os.execute(("'%s/watchdog.sh' $PPID '%s' %d </dev/null >/dev/null &"):format(
  debug.getinfo(1, "S").source:match "^@(.*)/[^/]*$" or ".", where_we_are, limit))

-- What is too much after a spec, as text. Streams that were closed are given until their peers, which
-- were closed too, have been seen to be: both may be in this process, and the loop has to turn.
local function left_since(earlier)
  local leak
  for attempt = 1, 200 do
    leak = helper.leaked(earlier, helper.holdings_now()) -- collecting garbage takes longer than most specs
    leak = leak and helper.leaked(earlier, helper.holdings())
    if not leak or not leak:find "watching" then return leak end
    local function wait() tide.sleep(attempt > 20 and 0.005 or 0) end
    if tide.current_task() then wait() else tide.run(wait) end
  end
  return leak
end

-- ---- around each spec

local before

busted.subscribe({ "test", "start" }, function(test)
  now_begins(name_of(test))
  before = helper.holdings_now()
  return nil, true
end)

busted.subscribe({ "test", "end" }, function(test)
  now_begins("what comes after " .. name_of(test))
  tide.on_failure(nil)
  local leak = left_since(before)
  if leak then error("the spec left something behind: " .. leak, 0) end
  return nil, true
end)

-- ---- points of sweeps

local current_file -- without folder and ending
local swept = {} -- {file=, points=, failed=}, in the order of the files

local function tally()
  local file = current_file or "?"
  if not swept[file] then
    swept[file] = { file = file, points = 0, failed = 0 }
    swept[#swept + 1] = swept[file]
  end
  return swept[file]
end

-- Counts a point, and one that failed, of the spec file at hand.
function helper.count_point() tally().points = tally().points + 1 end
function helper.count_failure() tally().failed = tally().failed + 1 end

busted.subscribe({ "file", "start" }, function(file)
  current_file = file.name:match "([^/]+)_spec%.lua$"
  return nil, true
end)

-- What ./dev faults shows.
busted.subscribe({ "suite", "end" }, function()
  if helper.thoroughness ~= "full" then return nil, true end
  local points, failed = 0, 0
  print()
  for _, group in ipairs(swept) do
    print(("%-60s %6d"):format("cancellation, " .. group.file, group.points))
    points, failed = points + group.points, failed + group.failed
  end
  print(("cancellation: %d points, %d failed"):format(points, failed))
  return nil, true
end)

-- ---- for the bodies of specs

-- Whether busted itself runs in a task: what only the root of a run can do is not to be tested.
helper.inside = tide.current_task() ~= nil

helper.size = require "spec.size"

local REAL = { clock = "real" }

-- Runs the body as tide.run does, also where a loop runs already; opts are those of testing.run, but
-- for the clock, which is the real one unless they say otherwise.
function helper.run_now(body, opts)
  return tide.testing.run(body, opts or REAL)
end

-- it("waits", helper.run(function() ... end)): the body is the main task of a run.
function helper.run(body, opts)
  return function() helper.run_now(body, opts) end
end

-- The reports of failures that nobody awaited go into the list that is returned, as
-- {what=, err=, traceback=}, until the spec's end.
function helper.collect_failures()
  local failures = {}
  tide.on_failure(function(what, err, traceback)
    failures[#failures + 1] = { what = what, err = err, traceback = traceback }
  end)
  return failures
end

-- Whether a `break` closes the closing value of a loop with a closure over a local of its body: not where
-- Lua miscompiles it.
function helper.break_closes()
  local loop = assert(load [[
    local closer, note = ...
    for x in next, { 1 }, nil, closer do
      local y = x
      local capture = function() return y end
      if capture then break end
    end
    note()
  ]])
  local closed, in_time = false, nil
  tide.raw.pcall(loop, helper.closer(function() closed = true end), function() in_time = closed end)
  return in_time
end

-- Lets `n` turns pass (1).
function helper.turns(n)
  for _ = 1, n or 1 do tide.sleep(0) end
end

-- A task that takes every turn and counts them in its field `turns`, until it is closed.
function helper.bystander()
  local self = setmetatable({ turns = 0 }, { __close = function(self) self.task:cancel() end })
  self.task = tide.spawn(function()
    while true do
      self.turns = self.turns + 1
      tide.sleep(0)
    end
  end)
  return self
end

-- A task that waits, and whose cleanup waits too; then it sets the field `cleaned` of the table.
function helper.slow_cleanup(told)
  return tide.spawn(function()
    local _ <close> = helper.closer(function()
      tide.shield(helper.turns, 3)
      told.cleaned = true
    end)
    tide.sleep(5)
  end)
end

-- f must raise an error of tide's of that kind; it is returned.
function helper.raises(kind, f, ...)
  local results = table.pack(tide.raw.pcall(f, ...))
  if results[1] then error("no error was raised, expected kind " .. kind, 2) end
  local err = results[2]
  if not tide.is(err, kind) then
    error(("expected an error of kind %s, got: %s"):format(kind, tostring(err)), 2)
  end
  return err
end

-- f must raise a message that contains `part`; it is returned.
function helper.fails(part, f, ...)
  local ok, err = tide.raw.pcall(f, ...)
  if ok then error("no error was raised, expected: " .. part, 2) end
  if not tostring(err):find(part, 1, true) then
    error(("expected an error with '%s', got: %s"):format(part, tostring(err)), 2)
  end
  return err
end

-- Whether the peer ends the connection.
function helper.hung_up(stream)
  local data, err = tide.timeout(10, tide.try, stream.read, stream, 1)
  return data == nil and (err == nil or tide.is(err, "os"))
end

-- How many descriptors this process may have open.
function helper.max_fds()
  local file <close> = io.open "/proc/self/limits"
  return file and tonumber(file:read("a"):match "Max open files%s+(%d+)") or 256
end

-- All values of all steps of an Iter: {{1}, {2, "b"}}.
function helper.steps_of(iter)
  local steps = {}
  iter:foreach(function(...) steps[#steps + 1] = { ... } end)
  return steps
end

-- A list that knows how to compare itself: log(x) appends.
function helper.log()
  return setmetatable({}, { __call = function(self, x) self[#self + 1] = x end })
end

-- A to-be-closed value that calls f.
function helper.closer(f)
  return setmetatable({}, { __close = f })
end

-- A function that fails with the value.
function helper.failing(value)
  return function() error(value, 0) end
end

return helper
